//! What goes into a script and what comes out: SC-02, SC-10, SC-11, J-60 to J-63.

use std::time::Duration;

use hiroba_lua::Limits;

use crate::{Bench, check, check_failure, run};

#[test]
fn j60_args_go_in_and_result_comes_out() {
    let mut bench = Bench::new(Limits::default());
    let outcome = bench.run_with(
        "result = {sum = args.a + args.b.c, text = args.b.d, list = args.list}",
        r#"{"a": 1.5, "b": {"c": 2, "d": "x"}, "list": [1, [true, false], {"k": null}]}"#,
    );
    assert_eq!(outcome.status, 200);
    assert_eq!(outcome.result, r#"{"list":[1,[true,false],{}],"sum":3.5,"text":"x"}"#);
    assert!(outcome.elapsed < Duration::from_secs(5));
}

#[test]
fn sc02_texts_of_digits_become_numbers_unless_they_are_kept() {
    let args =
        r#"{"a": "12", "b": ["7", {"c": "0"}], "d": "1.5", "e": "9007199254740993", "f": "", "9": "x"}"#;
    let mut bench = Bench::new(Limits::default());
    let outcome = bench.run_with("result = args", args);
    assert_eq!(outcome.result, r#"{"9":"x","a":12,"b":[7,{"c":0}],"d":"1.5","e":"9007199254740993","f":""}"#);
    bench.keep_digit_texts = true;
    let outcome = bench.run_with("result = args", args);
    assert_eq!(
        outcome.result,
        r#"{"9":"x","a":"12","b":["7",{"c":"0"}],"d":"1.5","e":"9007199254740993","f":""}"#
    );
}

#[test]
fn j60_args_must_be_an_object() {
    let mut bench = Bench::new(Limits::default());
    for (args, cause) in [
        ("[1]", "args: must be a JSON object"),
        ("[]", "args: must be a JSON object"),
        ("1", "args: must be a JSON object"),
        ("null", "args: must be a JSON object"),
        ("{", "args: EOF while parsing an object at line 1 column 1"),
        ("", "args: EOF while parsing a value at line 1 column 0"),
        ("{} x", "args: trailing characters at line 1 column 4"),
    ] {
        let outcome = bench.run_with("result = {}", args);
        assert_eq!(outcome.status, 400, "{args}");
        assert!(outcome.result.contains(cause), "{args}: {}", outcome.result);
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
    assert!(bench.run_with("", &deep).result.contains("args: nested deeper than 64"));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(bench.run_with("", &deep).status, 400);
    assert_eq!(bench.run("result = {}").status, 200);
}

#[test]
fn sc10_result_unset_is_an_empty_object_and_a_returned_value_is_ignored() {
    check("", "{}");
    check("return {a = 1}", "{}");
    check("result = nil", "{}");
    check("result = {a = 1} return 5", r#"{"a":1}"#);
}

#[test]
fn j61_tables_become_objects_or_arrays() {
    check("result = {}", "{}");
    check("result = {1, 2, 3}", "[1,2,3]");
    check("result = {a = {}, b = {{}}}", r#"{"a":{},"b":[{}]}"#);
    check("result = {1, 2, x = 3}", r#"{"1":1,"2":2,"x":3}"#);
    check("result = {[1] = 1, [3] = 3}", r#"{"1":1,"3":3}"#);
    check("result = {[0] = 1}", r#"{"0":1}"#);
    check("result = {[1.5] = 1, [-2] = 2}", r#"{"-2":2,"1.5":1}"#);
    check("result = {a = 'q\"\\\\\\n\\1é'}", r#"{"a":"q\"\\\n\u0001é"}"#);
    check("result = {_G.args}", "[{}]");
    check("local t = {} for i = 1, 3 do t[i] = i end t[2] = nil result = t", r#"{"1":1,"3":3}"#);
    check("local t = {x = 1} result = {t, t}", r#"[{"x":1},{"x":1}]"#);
}

#[test]
fn j61_numbers_are_integers_while_they_are_exact() {
    check("result = {1, -1, 2^53, -2^53}", "[1,-1,9007199254740992,-9007199254740992]");
    check("result = {0.5, 1e300, 2^53 * 2, -0.0}", "[0.5,1e+300,1.8014398509481984e+16,0]");
}

#[test]
fn j61_an_empty_table_from_an_array_stays_an_array() {
    let mut bench = Bench::new(Limits::default());
    let args = r#"{"a": [], "b": {}, "c": [1]}"#;
    assert_eq!(bench.run_with("result = args", args).result, r#"{"a":[],"b":{},"c":[1]}"#);
    let source = "table.remove(args.c) args.a[1] = 5 result = args";
    assert_eq!(bench.run_with(source, args).result, r#"{"a":[5],"b":{},"c":[]}"#);
    check("result = {a = util.json_to_table('[]').result}", r#"{"a":[]}"#);
}

#[test]
fn j62_a_result_that_cannot_be_json_names_the_member() {
    check_failure("result = 5", 400, "result: must be a table, not a integer");
    check_failure("result = print", 400, "result: must be a table, not a function");
    check_failure("result = {a = {{b = print}}}", 400, "result.a[1].b: a function cannot be JSON");
    check_failure("result = {a = 0/0}", 400, "result.a: a number must be finite");
    check_failure("result = {1, {math.huge}}", 400, "result[2][1]: a number must be finite");
    check_failure("result = {a = '\\xff'}", 400, "result.a: a text must be UTF-8");
    check_failure("result = {['\\xff'] = 1}", 400, "result: the name of a member must be UTF-8");
    check_failure("result = {[true] = 1}", 400, "result: a boolean cannot be the name of a member");
    check_failure("result = {[1] = 1, ['1'] = 2}", 400, "result.1: has a number and a text of the same name");
    check_failure("local t = {} t.a = {t} result = t", 400, "result.a[1]: a table must not contain itself");
    let deep = "local t = {} local top = t for i = 1, 64 do t.x = {} t = t.x end result = top";
    assert!(run(deep).result.contains(".x: nested deeper than 64"));
    check_failure(
        "result = {a = ('x'):rep(6000000)}",
        400,
        "result.a: longer than the limit of 5242880 bytes",
    );
}

#[test]
fn sc11_j63_fail_sets_status_and_message() {
    check_failure("fail(404, 'no such thing')", 404, "no such thing");
    check_failure("result = {} local function f() fail(400, 'x') end f() result = {a = 1}", 400, "x");
    check_failure("fail(42, 'x')", 500, "x");
    check_failure("fail('oops', 'x')", 500, "x");
    check_failure("fail()", 500, "");
    check_failure("fail(400, 12)", 400, "12");
    check_failure("('x'):gsub('x', function() fail(409, 'inside') end)", 409, "inside");
    check_failure("table.sort({2, 1}, function() fail(409, 'inside') end)", 409, "inside");
    let errors = r#"[{"component":"a","message":"b"}]"#;
    assert_eq!(run(&format!("fail(400, '{errors}')")).result, errors);
    let long = run("fail(400, ('é'):rep(100000))");
    assert_eq!(long.result.chars().count(), 65_536 + r#"[{"component":"script","message":""}]"#.len());
}

#[test]
fn sc11_fail_with_a_status_of_success_is_a_success_without_result() {
    let outcome = run("result = {a = 1} transaction.execute({}) fail(202, 'enough')");
    assert_eq!((outcome.status, outcome.result.as_str()), (202, "{}"));
    assert!(outcome.transaction.is_some());
}
