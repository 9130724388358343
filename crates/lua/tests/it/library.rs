//! The library of a script: SC-15 to SC-19 and SC-23.

use hiroba_lua::{Action, Limits, RandomStatus, RandomUsed, Transaction};

use crate::{Bench, check, check_failure, run};

#[test]
fn sc19_the_language_works() {
    check(
        "local t = {3, 1, 2} table.sort(t) result = {t, #t, select('#', 1, 2), type(t), typeof(t), tostring(1.5)}",
        r#"[[1,2,3],3,2,"table","table","1.5"]"#,
    );
    check("local t = {'b', 'a', 'C'} table.sort(t) result = t", r#"["C","a","b"]"#);
    check("local t = {1, 2, 3} table.sort(t, function(a, b) return a > b end) result = t", "[3,2,1]");
    check("result = {('hello world'):match('(%w+) (%w+)')}", r#"["hello","world"]"#);
    check("result = {('hello'):gsub('l', 'L')}", r#"["heLLo",2]"#);
    check("result = {('hello'):gsub('l', 'L', 1)}", r#"["heLlo",1]"#);
    check("result = {('$a $b'):gsub('%$(%w+)', {a = 1})}", r#"["1 $b",2]"#);
    check("result = {} for w in ('a b c'):gmatch('%a') do table.insert(result, w) end", r#"["a","b","c"]"#);
    check("result = {string.format('%d %s %5.2f %q', 5, 'x', 1.234, 'y')}", r#"["5 x  1.23 \"y\""]"#);
    check(
        "result = {bit32.band(12, 10), utf8.len('é'), math.floor(2.5), rawlen({1}), unpack({7, 8})}",
        "[8,1,2,1,7,8]",
    );
    check("result = table.move({1, 2, 3}, 1, 3, 2)", "[1,1,2,3]");
    check("result = {tonumber('0x10'), tonumber('z', 36), tonumber('x') == nil}", "[16,35,true]");
    check("local s = 0 for k, v in ipairs({1, 2}) do s += v end result = {s}", "[3]");
    check(
        "local t = setmetatable({}, {__index = function(_, k) return k .. '!' end}) result = {t.a}",
        r#"["a!"]"#,
    );
    check("result = {_VERSION:sub(1, 4)}", r#"["Luau"]"#);
}

#[test]
fn sc19_a_plain_find_finds() {
    check("result = {('abcabc'):find('c')}", "[3,3]");
    check("result = {('abcabc'):find('c', 4)}", "[6,6]");
    check("result = {('abcabc'):find('a', -3)}", "[4,4]");
    check("result = {('abcabc'):find('a', -30)}", "[1,1]");
    check("result = {('a.c'):find('.', 1, true)}", "[2,2]");
    check("result = {('a.c'):find('.', 1, false)}", "[1,1]");
    check("result = {('abc'):find('')}", "[1,0]");
    check("result = {('abc'):find('', 4)}", "[4,3]");
    check("result = {('abc'):find('', 5) == nil}", "[true]");
    check("result = {('abc'):find('x') == nil, select('#', ('abc'):find('x'))}", "[true,1]");
    check("result = {('a1c'):find('(%d)')}", r#"[2,2,"1"]"#);
    check(
        "result = {(123):rep(1) == nil}"
            .replace("(123):rep(1)", "string.find(123, 2) == nil or nil")
            .as_str(),
        "[true]",
    );
    check("result = {string.find(123, 2)}", "[2,2]");
}

#[test]
fn sc15_util_answers_like_a_call() {
    check(
        "result = util.table_to_json({b = 1, a = {}})",
        r#"{"isError":false,"result":"{\"a\":{},\"b\":1}","statusCode":200}"#,
    );
    let refused = r#"{"errorMessage":"table.a: a function cannot be JSON","isError":true,"message":"table.a: a function cannot be JSON","statusCode":400}"#;
    check("result = util.table_to_json({a = print})", refused);
    check("result = {util.table_to_json(5).isError, util.table_to_json().statusCode}", "[true,400]");
    check(r#"result = util.json_to_table('{"a": "5", "b": []}').result"#, r#"{"a":5,"b":[]}"#);
    check(r#"result = util.json_to_table('{"a": "5"}', true).result"#, r#"{"a":"5"}"#);
    check(
        "local a = util.json_to_table('{') result = {a.isError, a.statusCode, a.result == nil, a.errorMessage}",
        r#"[true,400,true,"EOF while parsing an object at line 1 column 1"]"#,
    );
    check("result = {util.json_to_table({}).isError, util.json_to_table('\\xff').isError}", "[true,true]");
    check(
        "result = util.split('a,b,,c', ',')",
        r#"{"isError":false,"result":["a","b","","c"],"statusCode":200}"#,
    );
    check(
        "result = {util.split('', ',').result, util.split('abc', '').result, util.split(102, 0).result}",
        r#"[[""],["a","b","c"],["1","2"]]"#,
    );
    check("result = {util.split({}, ',').isError, util.split('a').isError}", "[true,true]");
    check(
        "result = {('a,b'):split(','), ('a b'):split(' '), ('a,b'):split()}",
        r#"[["a","b"],["a","b"],["a","b"]]"#,
    );
}

#[test]
fn sc16_print_goes_to_the_output() {
    let outcome = run(
        "print() print('a', 1, 1.5, nil, true) print(setmetatable({}, {__tostring = function() return 'made' end})) print('x\\ny')",
    );
    assert_eq!(outcome.output, ["", "a\t1\t1.5\tnil\ttrue", "made", "x\ny"]);
    let limits = Limits { output_bytes: 10, ..Limits::default() };
    let outcome = Bench::new(limits).run("print('1234') print('5678') print('9')");
    assert_eq!((outcome.status, outcome.output), (500, vec!["1234".to_owned(), "5678".to_owned()]));
    assert!(outcome.result.contains("printed more than the limit of 10 bytes"));
    check_failure("print(unpack({}, 1, 201))", 500, "general:hello:1: print takes no more than 200 values");
}

#[test]
fn sc23_os_time_is_the_runs() {
    check("result = {os.time() - os.time() % 10}", "[1700000000]");
    check("result = {os.time({year = 2000, month = 1, day = 1, hour = 0})}", "[946684800]");
    check_failure("os.time({})", 500, "general:hello:1: field 'day' missing in date table");
}

#[test]
fn sc18_random_is_repeatable_and_counted() {
    let mut bench = Bench::new(Limits::default());
    let source = "result = {random(1), random(1), random(2), random()}";
    let status = |used: &[(i64, i64)]| RandomStatus {
        seed: 5,
        used: used.iter().map(|&(category, used)| RandomUsed { category, used }).collect(),
    };
    bench.random = Some(status(&[]));
    let all = bench.run(source);
    assert_eq!(all.random, Some(status(&[(1, 2), (2, 1), (0, 1)])));
    // The same four draws in two runs.
    let first = bench.run("result = {random(1)}");
    assert_eq!(first.random, Some(status(&[(1, 1)])));
    bench.random = first.random;
    let rest = bench.run("result = {random(1), random(2), random()}");
    assert_eq!(rest.random, Some(status(&[(1, 2), (2, 1), (0, 1)])));
    let joined = format!("{},{}", first.result.trim_end_matches(']'), &rest.result[1..]);
    assert_eq!(joined, all.result);
    // Without a status there is one only if there were draws.
    bench.random = None;
    assert_eq!(bench.run("").random, None);
    bench.seed = 5;
    let drawn = bench.run(source);
    assert_eq!((drawn.result, drawn.random), (all.result, Some(status(&[(1, 2), (2, 1), (0, 1)]))));
    // Draws count although the script failed.
    assert_eq!(bench.run("random(7) fail(400, 'x')").random, Some(status(&[(7, 1)])));
}

#[test]
fn sc18_random_has_limits() {
    check_failure(
        "for i = 1, 2000 do random(i) end",
        400,
        "general:hello:1: random: more than 1000 categories",
    );
    check_failure("random({})", 500, "general:hello:1: random: the category must be a whole number");
    check_failure("random(1.5)", 500, "general:hello:1: random: the category must be a whole number");
}

fn action(action: &str, request: &str) -> Action {
    Action { action: action.to_owned(), request: request.to_owned() }
}

#[test]
fn sc17_transactions_are_recorded() {
    let outcome = run("
        local service = transaction.service('serialKey')
        transaction.execute({consume = {service.consume.use_by_user_id({userId = '12', n = 1})}})
        transaction.execute({
            acquire = {transaction.service('job_queue').acquire.push_by_user_id(), {action = 'A', request = '{}'}},
            verify = {service.verify.verify_code_by_user_id{}},
        })
        transaction.execute({consume = {}})
        result = {}");
    assert_eq!(outcome.status, 200, "{}", outcome.result);
    let expected = Transaction {
        verify: vec![action("Gs2SerialKey:VerifyCodeByUserId", "{}")],
        consume: vec![action("Gs2SerialKey:UseByUserId", r#"{"n":1,"userId":"12"}"#)],
        acquire: vec![action("Gs2JobQueue:PushByUserId", "{}"), action("A", "{}")],
    };
    assert_eq!(outcome.transaction, Some(expected));
    assert_eq!(run("").transaction, None);
    assert_eq!(run("transaction.execute({}) nothing()").transaction, None);
}

#[test]
fn sc17_a_malformed_action_is_a_script_error() {
    for source in [
        "transaction.execute()",
        "transaction.execute({consumes = {}})",
        "transaction.execute({consume = 5})",
        "transaction.execute({consume = {5}})",
        "transaction.execute({consume = {{action = 'a'}}})",
        "transaction.execute({consume = {{action = 'a', request = {}}}})",
        "transaction.execute({consume = {x = {action = 'a', request = '{}'}}})",
        "transaction.service()",
        "transaction.service('a:b')",
        "transaction.service('a').consume['x y']({})",
        "transaction.service('a').consume.x(5)",
        "transaction.service('a').consume.x({print})",
        "transaction.service('a').other.x({})",
    ] {
        assert_eq!(run(source).status, 500, "{source}");
    }
    let many = "local list = {} for i = 1, 60 do list[i] = {action = 'a', request = '{}'} end
        transaction.execute({consume = list})";
    assert_eq!(run(many).status, 200);
    let outcome = run(&format!("{many} transaction.execute({{consume = list}})"));
    assert_eq!(outcome.status, 400);
    assert!(outcome.result.contains("more than 100 actions in consume"), "{}", outcome.result);
}
