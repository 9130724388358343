//! Calls of the server and HTTP: SC-12 to SC-15.

use hiroba_lua::Limits;

use crate::{Bench, check, check_failure, run, small};

fn run_logged(source: &str) -> (u16, String, Vec<String>) {
    let mut bench = Bench::new(Limits::default());
    let outcome = bench.run(source);
    (outcome.status, outcome.result, bench.take_log())
}

#[test]
fn sc12_a_method_takes_one_table() {
    let (status, result, log) = run_logged(
        "local client = gs2('job_queue')
         local answer = client.push_by_user_id{namespaceName = 'a', jobs = {{args = '12'}}, n = 1}
         result = answer",
    );
    assert_eq!(status, 200);
    assert_eq!(
        result,
        r#"{"isError":false,"result":{"jobs":[{"args":"12"}],"n":1,"namespaceName":"a"},"statusCode":200}"#
    );
    let begun = r#"begin job_queue.push_by_user_id {"jobs":[{"args":"12"}],"n":1,"namespaceName":"a"}"#;
    assert_eq!(log, [begun, "wait push_by_user_id"]);
    check("result = gs2('jobQueue').run()", r#"{"isError":false,"result":{},"statusCode":200}"#);
}

#[test]
fn sc13_errors_do_not_raise() {
    let (status, result, _) = run_logged(
        "local answer = gs2('job_queue').refuse{}
         result = {answer.isError, answer.statusCode, answer.errorMessage, answer.message, answer.result == nil}",
    );
    assert_eq!(status, 200);
    let text = r#""[{\"component\":\"a\",\"message\":\"b\"}]""#;
    assert_eq!(result, format!("[true,404,{text},{text},true]"));
    let outcome = run("local a = gs2('job_queue').garble{} result = {a.isError, a.statusCode}");
    assert_eq!(outcome.result, "[true,500]");
    // What a call refused with goes out as it came in (J-62).
    let outcome = run("local a = gs2('job_queue').refuse{} fail(a.statusCode, a.errorMessage)");
    assert_eq!((outcome.status, outcome.result.as_str()), (404, r#"[{"component":"a","message":"b"}]"#));
}

#[test]
fn sc14_several_may_be_under_way_and_a_handler_answers_twice() {
    let (status, result, log) = run_logged(
        "local client = gs2('job_queue')
         local a = client.push_async{n = 1}
         local b = client.push_async{n = 2}
         result = {b().result.n, a().result.n, b() == b(), b().result.n}",
    );
    assert_eq!((status, result.as_str()), (200, "[2,1,true,2]"));
    assert_eq!(
        log,
        [r#"begin job_queue.push {"n":1}"#, r#"begin job_queue.push {"n":2}"#, "wait push", "wait push"]
    );
}

#[test]
fn sc14_what_is_under_way_is_waited_for_also_when_the_script_fails() {
    for end in ["", "fail(400, 'x')", "nothing()", "while true do end", "result = print"] {
        let mut bench = Bench::new(small());
        bench.run(&format!("gs2('job_queue').push_async{{}} gs2('job_queue').pull_async{{}} {end}"));
        let log = bench.take_log();
        assert_eq!(log.iter().filter(|line| line.starts_with("wait")).count(), 2, "{end}: {log:?}");
    }
}

#[test]
fn sc14_no_more_than_a_thousand_calls_are_under_way() {
    check_failure(
        "local client = gs2('job_queue') while true do client.push_async{} end",
        500,
        "general:hello:1: more than 1000 calls are under way",
    );
    let outcome = run("local client = gs2('job_queue') for i = 1, 3000 do client.push_async{}() end");
    assert_eq!(outcome.status, 200);
}

#[test]
fn sc12_unknown_services_and_methods_are_script_errors() {
    check_failure("gs2('nothing')", 500, "general:hello:1: gs2: there is no service 'nothing'");
    check_failure("gs2()", 500, "general:hello:1: gs2: the name of the service must be a text");
    check_failure(
        "local client = gs2('job_queue')\nclient.no_such{}",
        500,
        "general:hello:2: job_queue.no_such: there is no such method",
    );
    check_failure(
        "gs2('job_queue')['a b']{}",
        500,
        "general:hello:1: job_queue.a b: there is no such method",
    );
    check_failure(
        "gs2('job_queue').push(5)",
        500,
        "general:hello:1: job_queue.push: the request must be a table",
    );
    check_failure(
        "gs2('job_queue').push{a = {print}}",
        500,
        "general:hello:1: job_queue.push: request.a[1]: a function cannot be JSON",
    );
    check_failure(
        "gs2('job_queue').push{1}",
        500,
        "general:hello:1: job_queue.push: request: must be a table with named members",
    );
}

#[test]
fn sc12_a_client_cannot_be_changed() {
    for source in [
        "gs2('job_queue').push = 1",
        "rawset(gs2('job_queue'), 'push', 1)",
        "setmetatable(gs2('job_queue'), {})",
        "getmetatable(gs2('job_queue')).__index = 1",
    ] {
        assert_eq!(run(source).status, 500, "{source}");
    }
}

#[test]
fn sc21_waiting_counts() {
    let mut bench = Bench::new(small());
    let outcome = bench.run("gs2('job_queue').slow{} result = {}");
    assert_eq!(outcome.status, 504);
    assert!(outcome.result.contains("general:hello:1: the script ran longer than the limit of 300ms"));
    let outcome = bench.run("gs2('job_queue').slow_async{} result = {}");
    assert_eq!(outcome.status, 504);
    assert_eq!(bench.run("result = {}").status, 200);
}

#[test]
fn a_host_that_panics_is_an_outcome() {
    let mut bench = Bench::new(Limits::default());
    let outcome = bench.run("gs2('job_queue').push_async{} gs2('job_queue').panic{}");
    assert_eq!(outcome.status, 500);
    assert_eq!(bench.take_log(), ["begin job_queue.push {}", "wait push"]);
    assert_eq!(bench.run("result = {}").status, 200);
}

#[test]
fn sc15_http_goes_through_the_host() {
    let (_, result, log) = run_logged("result = http.get('https://a.test/', {b = 1, a = 'x'})");
    assert_eq!(result, r#"{"isError":false,"result":"GET","statusCode":200}"#);
    assert_eq!(
        log,
        [concat!(
            r#"HttpRequest { method: "GET", url: "https://a.test/", "#,
            r#"headers: [("a", "x"), ("b", "1")], body: None }"#
        )]
    );
    let (_, result, log) = run_logged("result = http.post('https://a.test/', 'text/plain', 'body', {})");
    assert_eq!(result, r#"{"isError":false,"result":"body","statusCode":200}"#);
    assert!(log[0].contains(r#"headers: [("Content-Type", "text/plain")], body: Some("body")"#), "{log:?}");
    let (_, result, _) = run_logged("result = http.delete('https://a.test/missing')");
    assert_eq!(
        result,
        r#"{"errorMessage":"DELETE","isError":true,"message":"DELETE","result":"DELETE","statusCode":404}"#
    );
    check_failure("http.get()", 500, "general:hello:1: http.get: the URL must be a text");
    check_failure(
        "http.get('https://a.test', {a = 'b\\r\\nc: d'})",
        500,
        "general:hello:1: http.get: the URL and the headers must have no line end",
    );
    check_failure("http.put('u', nil, {})", 500, "general:hello:1: http.put: the body must be a text");
}
