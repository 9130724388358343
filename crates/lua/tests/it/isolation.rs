//! SC-20: what a script cannot reach, and that a run leaves nothing to the next.

use hiroba_lua::Limits;

use crate::{Bench, check, run};

#[test]
fn sc20_what_is_dangerous_is_absent() {
    let absent = "load loadstring require dofile loadfile pcall xpcall coroutine io debug package collectgarbage \
                  gcinfo newproxy getfenv setfenv buffer vector";
    for name in absent.split_whitespace() {
        check(
            &format!("result = {{{name} == nil, _G.{name} == nil, rawget(_G, '{name}') == nil}}"),
            "[true,true,true]",
        );
    }
    for call in [
        "vector.create(1, 2, 3)",
        "buffer.create(5)",
        "buffer.len('x')",
        "getfenv(0)",
        "coroutine.wrap(print)",
    ] {
        assert_eq!(run(&format!("local x = {call} print(x)")).status, 500, "{call}");
    }
    check("local n = {} for name in pairs(os) do n[#n + 1] = name end result = n", r#"["time"]"#);
}

#[test]
fn sc20_only_what_is_meant_to_be_is_global() {
    let source = "local names = {}
        for name in pairs(getmetatable(_G).__index) do names[#names + 1] = name end
        table.sort(names)
        for name in pairs(_G) do names[#names + 1] = name end
        result = {table.concat(names, ' ')}";
    let expected = "_VERSION assert bit32 error fail getmetatable gs2 http ipairs math next os pairs print random \
                    rawequal rawget rawlen rawset select setmetatable string table tonumber tostring transaction type \
                    typeof unpack utf8 util";
    let result = run(source).result;
    assert!(result.starts_with(&format!("[\"{expected} ")), "{result}");
    assert!(result.ends_with(" args _G\"]") || result.ends_with(" _G args\"]"), "{result}");
}

#[test]
fn sc20_shared_tables_cannot_be_written() {
    for source in [
        "string.rep = nil",
        "_G.string.rep = nil",
        "math.floor = 1",
        "rawset(math, 'floor', 1)",
        "getmetatable('').__index = {}",
        "getmetatable('').__add = print",
        "rawset(getmetatable(''), '__index', {})",
        "setmetatable(string, {})",
        "setmetatable(getmetatable(_G).__index, {})",
        "getmetatable(_G).__index = {}",
        "getmetatable(_G).__index.print = 1",
        "table.insert(util, 1)",
        "table.clear(string)",
        "table.move({1}, 1, 1, 1, math)",
        "table.sort(string)",
        "os.time = 1",
        "http.get = 1",
        "transaction.execute = 1",
        "gs2.x = 1",
        "getmetatable(util.json_to_table('[]').result).x = 1",
        "transaction.service('a').consume = 1",
        "transaction.service('a').consume.x = 1",
    ] {
        let outcome = run(source);
        assert_eq!(outcome.status, 500, "{source}: {}", outcome.result);
    }
}

#[test]
fn sc20_a_run_sees_nothing_of_the_former() {
    let mut bench = Bench::new(Limits::default());
    let look = "local seen = {}
        for name in pairs(_G) do seen[#seen + 1] = name end
        table.sort(seen)
        seen[#seen + 1] = tostring(leak) .. tostring(args.leak) .. tostring(math.floor(1.5)) .. ('x'):rep(2)
        seen[#seen + 1] = tostring(print == nil) .. tostring(result)
        result = seen";
    let clean = bench.run(look).result;
    assert_eq!(clean, r#"["_G","args","nilnil1xx","falsenil"]"#);
    for source in [
        "leak = 1 result = {1}",
        "_G.leak = 1 _G.print = nil _G.math = {floor = print}",
        "rawset(_G, 'leak', 1) setmetatable(_G, nil)",
        "args.leak = 1 args = 5",
        "print = 1 string = {rep = print}",
        "setmetatable(_G, {__index = function() return 1 end, __newindex = print})",
        "table.freeze(_G)",
        "table.freeze(args)",
        "math.randomseed(5)",
        "leak = function() return leak end result = {leak}",
        "for name in pairs(_G) do _G[name] = nil end",
    ] {
        bench.run(source);
        assert_eq!(bench.run(look).result, clean, "{source}");
    }
}

#[test]
fn sc20_a_script_that_is_loaded_already_begins_anew() {
    let mut bench = Bench::new(Limits::default());
    let source = "count = (count or 0) + 1
        local function f() own = (own or 0) + 1 return own end
        result = {count, f(), f(), args.n, tostring(f ~= kept)}
        kept = f";
    let script = hiroba_lua::Compiled::new("general:hello", source).unwrap();
    for n in 0..5 {
        let outcome = bench.run_compiled(script.clone(), &format!("{{\"n\": {n}}}"));
        assert_eq!(outcome.result, format!("[1,1,2,{n},\"true\"]"));
    }
}

#[test]
fn sc20_many_scripts_take_turns_in_one_sandbox() {
    let mut bench = Bench::new(Limits::default());
    let scripts: Vec<_> = (0..200)
        .map(|i| hiroba_lua::Compiled::new(&format!("a:s{i}"), &format!("result = {{{i}}}")).unwrap())
        .collect();
    for _ in 0..3 {
        for (i, script) in scripts.iter().enumerate() {
            assert_eq!(bench.run_compiled(script.clone(), "{}").result, format!("[{i}]"));
        }
    }
}

#[test]
fn sc18_math_random_is_a_function_of_the_seed() {
    let mut bench = Bench::new(Limits::default());
    let source = "result = {math.random(1000000), math.random(1000000), math.random(1000000)}";
    let first = bench.run(source).result;
    bench.run("math.randomseed(9) for i = 1, 10 do math.random() end");
    assert_eq!(bench.run(source).result, first);
    assert_eq!(Bench::new(Limits::default()).run(source).result, first);
    bench.seed = 2;
    assert_ne!(bench.run(source).result, first);
}
