//! What a script error looks like: status 500, `{name}:{line}: {cause}`.

use hiroba_lua::Limits;

use crate::{Bench, check_failure, run};

#[test]
fn j62_a_runtime_error_has_name_line_and_cause() {
    check_failure("\nlocal a = nil\na.b = 1", 500, "general:hello:3: attempt to index nil with 'b'");
    check_failure("nothing()", 500, "general:hello:1: attempt to call a nil value");
    check_failure("\nload('x')", 500, "general:hello:2: attempt to call a nil value");
    check_failure("error('oops')", 500, "general:hello:1: oops");
    check_failure("error('oops', 0)", 500, "oops");
    check_failure("local function f() error('oops', 2) end\nf()", 500, "general:hello:2: oops");
    check_failure("local function f()\nerror('oops') end\nf()", 500, "general:hello:2: oops");
    check_failure("error('a\\nb')", 500, "general:hello:1: a b");
    check_failure("assert(false, 'oops')", 500, "general:hello:1: oops");
    check_failure("assert(nil)", 500, "general:hello:1: assertion failed!");
    check_failure("string.rep()", 500, "general:hello:1: missing argument #1 to 'rep' (string expected)");
    check_failure("('x'):find('[')", 500, "general:hello:1: malformed pattern (missing ']')");
    check_failure(
        "\n('x'):gsub('x', function() nothing() end)",
        500,
        "general:hello:2: attempt to call a nil value",
    );
    check_failure("\ntable.sort({1, 'x'})", 500, "general:hello:2: attempt to compare string < number");
}

#[test]
fn j62_error_objects_have_a_text() {
    check_failure("error()", 500, "general:hello:1: nil");
    check_failure("error(12)", 500, "general:hello:1: 12");
    check_failure("error({})", 500, "general:hello:1: (the error is a table)");
    check_failure("error(print)", 500, "general:hello:1: (the error is a function)");
    check_failure(
        "error(setmetatable({}, {__tostring = function() return 'made' end}))",
        500,
        "general:hello:1: made",
    );
    check_failure(
        "error(setmetatable({}, {__tostring = function() error('inner') end}))",
        500,
        "general:hello:1: inner",
    );
    let outcome = run("error(setmetatable({}, {__tostring = function() return {} end}))");
    assert_eq!(outcome.status, 500);
    assert!(
        outcome.result.contains("general:hello:1: '__tostring' must return a string"),
        "{}",
        outcome.result
    );
}

#[test]
fn j62_an_error_text_is_one_short_line() {
    let outcome = run("error(('x'):rep(5000) .. '\\n\\r\\t')");
    assert_eq!(outcome.result.len(), r#"[{"component":"script","message":""}]"#.len() + 1_024);
    for source in ["error(print)", "nothing()", "gs2()", "string.find()", "error({})", "('x'):gsub('(', '')"]
    {
        let result = run(source).result;
        for word in ["mlua", "Rust", "CallbackError", "/root", "/home", ".rs", "stack traceback", "0x"] {
            assert!(!result.contains(word), "{source}: {result}");
        }
    }
}

#[test]
fn j62_what_was_printed_before_an_error_is_kept() {
    let outcome = run("print('a') print('b', 1, nil, true) nothing()");
    assert_eq!(outcome.output, ["a", "b\t1\tnil\ttrue"]);
}

#[test]
fn an_odd_name_does_no_harm() {
    for name in ["", "a\0b", "=x", "@x", "a\nb", "名前:スクリプト", &"n".repeat(1_000), "table.sort"] {
        let script = hiroba_lua::Compiled::new(name, "nothing()").unwrap();
        let outcome = Bench::new(Limits::default()).run_compiled(script, "{}");
        assert_eq!(outcome.status, 500);
        assert!(outcome.result.contains(":1: attempt to call a nil value"), "{name}: {}", outcome.result);
        assert!(hiroba_lua::Compiled::new(name, "x =").is_err());
    }
}
