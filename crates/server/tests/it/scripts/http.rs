//! `http` in scripts: nothing unless the operator allows it, and never an address inside the operator's network (BEHAVIOUR
//! SC-15).

use hiroba_testkit::api::{Api, int, text};
use hiroba_testkit::{Database, Stage, StandIn, TestServer, on_both_engines};
use serde_json::{Value, json};

const GET: &str = "
local answer = http.get(args.url, { ['X-Own'] = 'own' })
result = { isError = answer.isError, status = answer.statusCode, message = answer.errorMessage, body = answer.result }
";
const POST: &str = "
local answer = http.post(args.url, 'text/plain', args.body)
result = { isError = answer.isError, status = answer.statusCode, message = answer.errorMessage, body = answer.result }
";

async fn server(database: &Database, allowed: &[String], loopback: bool) -> (TestServer, Stage) {
    let allowed = allowed.iter().map(|host| host.parse().unwrap()).collect();
    let builder = TestServer::builder(database).config(|config| {
        config.script_http_allow = allowed;
        config.script_http_loopback = loopback;
        config.script_seconds_max = 2;
    });
    let server = builder.start().await;
    let stage = Stage::of(&server.api().await);
    (server, stage)
}

/// What a script is answered.
async fn answered(stage: &Stage, source: &str, args: Value) -> Value {
    let invoked = stage.debug(source, &args).await;
    assert_eq!(int(&invoked, "code"), 200, "{invoked}");
    serde_json::from_str(text(&invoked, "result")).unwrap()
}

#[track_caller]
fn refused(answer: &Value, status: i64, part: &str) {
    assert_eq!((answer["isError"].as_bool(), int(answer, "status")), (Some(true), status), "{answer}");
    assert!(text(answer, "message").contains(part), "{answer}");
}

/// By itself the server has no `http`, and says how it is allowed.
async fn none_by_itself(database: Database) {
    let there = StandIn::start(200, "{}").await;
    let (server, stage) = server(&database, &[], true).await;
    let answer = answered(&stage, GET, json!({ "url": there.url() })).await;
    refused(&answer, 400, "--script-http-allow");
    assert!(there.received().is_empty());
    server.stop().await;
}

/// Only the hosts that are allowed, and of these only public addresses, however they are written.
async fn only_public_hosts_that_are_allowed(database: Database) {
    let there = StandIn::start(200, "{}").await;
    let port = there.address().port();
    let allowed = ["127.0.0.1".to_owned(), format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let (server, stage) = server(&database, &allowed, false).await;
    for (url, part) in [
        (there.url(), "no public address"),
        (format!("http://127.1:{port}/"), "no public address"),
        (format!("http://2130706433:{port}/"), "no public address"),
        (format!("http://localhost:{port}/"), "no public address"),
        ("http://example.com/".to_owned(), "example.com"),
        (format!("http://127.0.0.2:{port}/"), "127.0.0.2"),
        (format!("http://127.0.0.1:{}/", port ^ 1), "127.0.0.1"),
        ("file:///etc/passwd".to_owned(), ""),
        (format!("http://user:password@127.0.0.1:{port}/"), ""),
        ("no url".to_owned(), ""),
    ] {
        let answer = answered(&stage, GET, json!({ "url": url })).await;
        refused(&answer, 400, part);
    }
    assert!(there.received().is_empty());
    server.stop().await;
}

/// What a host answers is the script's, whatever the status; a redirect is not followed, a host that is silent or gone is an
/// answer too.
async fn answers(database: Database) {
    let there = StandIn::start(200, r#"{"a":"日本"}"#).await;
    let gone = StandIn::start(200, "").await.address().to_string().replace("127.0.0.1", "127.0.0.3");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_at = silent.local_addr().unwrap().to_string();
    let allowed = [there.address().to_string(), gone.clone(), silent_at.clone()];
    let (server, stage) = server(&database, &allowed, true).await;
    let url = format!("{}/path?query=1", there.url());
    let answer = answered(&stage, GET, json!({ "url": url })).await;
    let expected = json!({ "isError": false, "status": 200, "body": "{\"a\":\"日本\"}" });
    assert_eq!(answer, expected);
    let request = there.received().remove(0);
    assert_eq!((&*request.method, &*request.target), ("GET", "/path?query=1"));
    assert_eq!((request.header("x-own"), request.body.len()), ("own", 0));

    let answer = answered(&stage, POST, json!({ "url": url, "body": "日本\r\n" })).await;
    assert_eq!(answer, expected);
    let request = there.received().remove(1);
    assert_eq!((&*request.method, request.header("content-type")), ("POST", "text/plain"));
    assert_eq!(request.body, "日本\r\n".as_bytes());

    for status in [302, 404, 500] {
        there.answer_next(status, "no");
        let answer = answered(&stage, GET, json!({ "url": url })).await;
        assert_eq!((&answer["isError"], &answer["body"]), (&json!(true), &json!("no")));
        assert_eq!(int(&answer, "status"), i64::from(status));
    }
    let huge = "x".repeat((1 << 20) + 1);
    there.answer_next(200, &huge);
    refused(&answered(&stage, GET, json!({ "url": url })).await, 502, "longer than");
    assert_eq!(there.received().len(), 6, "no redirect was followed");
    refused(&answered(&stage, GET, json!({ "url": format!("http://{gone}/") })).await, 502, "127.0.0.3");
    // The run's own time ends with that of the request at the latest.
    let late = stage.debug(GET, &json!({ "url": format!("http://{silent_at}/") })).await;
    assert_eq!(int(&late, "code"), 504, "{late}");
    server.stop().await;
}

/// A script that waits for a host holds up neither the server nor a stop for longer than its time.
async fn a_silent_host_holds_nothing_up(database: Database) {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap().to_string();
    let (server, stage) = server(&database, std::slice::from_ref(&at), true).await;
    let api: Api = server.api().await;
    let waiting = (0..80).map(|_| {
        let (stage, at) = (Stage::of(&api), at.clone());
        tokio::spawn(async move { stage.debug(GET, &json!({ "url": format!("http://{at}/") })).await })
    });
    let waiting: Vec<_> = waiting.collect();
    // More than may run at once have begun or wait.
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(hiroba_testkit::within("a script's request", silent.accept()).await.unwrap());
    }
    api.create_namespace("others").await;
    api.mutexes("others", "alice").lock("p", "t").await.item();
    drop(held);
    for waiting in waiting {
        let invoked = hiroba_testkit::within("a run", waiting).await.unwrap();
        assert!([200, 504].contains(&int(&invoked, "code")), "{invoked}");
    }
    drop(stage);
    server.stop().await;
}

on_both_engines! {
    none_by_itself
    only_public_hosts_that_are_allowed
    answers
    a_silent_host_holds_nothing_up
}
