//! SC-20 and SC-21: scripts that want everything. Each must end soon, and the next run must be as ever.

use std::time::{Duration, Instant};

use hiroba_lua::Limits;

use crate::{Bench, run, small};

/// How long a bomb may take in all, in a slow build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a bomb, checks its status and that the sandbox is as good as new. On a busy machine any of them may run out of time
/// before it comes to what it would fail with.
#[track_caller]
fn defuse(source: &str, statuses: &[u16]) {
    let mut bench = Bench::new(small());
    let start = Instant::now();
    let outcome = bench.run(source);
    let taken = start.elapsed();
    assert!(
        statuses.contains(&outcome.status) || outcome.status == 504,
        "{source}: {} {}",
        outcome.status,
        outcome.result
    );
    assert!(taken < PATIENCE, "{source}: took {taken:?}");
    assert!(outcome.result.len() < 5_300_000);
    let start = Instant::now();
    let mut next = || bench.run("x = (x or 0) + 1 result = {x, #('x'):rep(1000), tostring(bomb)}");
    let next =
        std::iter::repeat_with(&mut next).take(10).find(|next| next.status != 504).expect("a run in time");
    assert_eq!(next.result, r#"[1,1000,"nil"]"#, "after {source}");
    assert!(start.elapsed() < PATIENCE, "after {source}");
    println!("{:?} {} {taken:?}", source.split('\n').next(), outcome.status);
}

#[test]
fn sc21_loops_end() {
    defuse("bomb = 1 while true do end", &[504]);
    defuse("repeat until false", &[504]);
    defuse("for i = 1, math.huge do end", &[504]);
    defuse("local function f() return f() end f()", &[504, 500]);
    defuse("for k in function() return 1 end do end", &[504]);
    defuse(
        "local t = setmetatable({}, {__index = function(t, k) while true do end end}) local x = t.x",
        &[504],
    );
    defuse(
        "local t = setmetatable({}, {__eq = function() while true do end end}) print(t == setmetatable({}, getmetatable(t)))",
        &[504],
    );
    defuse("('x'):rep(1000):gsub('x', function() while true do end end)", &[504]);
    defuse("table.sort({3, 2, 1}, function() while true do end end)", &[504]);
    defuse("print(setmetatable({}, {__tostring = function() while true do end end}))", &[504]);
    defuse("error(setmetatable({}, {__tostring = function() while true do end end}))", &[504]);
    defuse("while true do gs2('job_queue').push{} end", &[504]);
    defuse("while true do util.json_to_table('[1,2,3]') end", &[504]);
}

#[test]
fn sc21_recursion_ends() {
    defuse("local function f() return 1 + f() end f()", &[500]);
    defuse(
        "local t = {} setmetatable(t, {__index = function(_, k) return t[k .. 'x'] end}) local x = t.x",
        &[500, 504],
    );
    defuse(
        "local a, b = {}, {} setmetatable(a, {__index = b}) setmetatable(b, {__index = a}) local x = a.x",
        &[500],
    );
    defuse("local t = {} for i = 1, 1000 do t = setmetatable({}, {__index = t}) end local x = t.x", &[500]);
    defuse("local a = {} setmetatable(a, {__tostring = function() return tostring(a) end}) print(a)", &[500]);
    defuse("local a = {} setmetatable(a, {__tostring = function() print(a) return '' end}) print(a)", &[500]);
    defuse("local a = {} setmetatable(a, {__tostring = function() error(a) end}) error(a)", &[500]);
    defuse("local a = {} setmetatable(a, {__tostring = function() return tostring(a) end}) error(a)", &[500]);
    defuse("local function f() ('x'):gsub('x', f) end f()", &[500]);
    defuse("local function f() table.sort({2, 1}, f) end f()", &[500]);
    defuse("local function f() table.foreach({1}, f) end f()", &[500]);
    defuse(
        "local a = {} setmetatable(a, {__concat = function() return a .. a end}) local x = a .. a",
        &[500],
    );
    defuse("local a = setmetatable({}, {__call = function(self) return self() end}) a()", &[500, 504]);
    defuse("('('):rep(100000):find(('('):rep(100000))", &[500]);
    defuse("('x'):rep(100000):find(('x?'):rep(100000) .. ('x'):rep(100000))", &[500, 504]);
}

#[test]
fn sc20_slow_patterns_end() {
    defuse("('a'):rep(100000):find('(.-)*(.-)*(.-)*(.-)*b')", &[504, 200]);
    defuse("('a'):rep(50):find(('a*'):rep(30) .. 'b')", &[504]);
    defuse("('a'):rep(100000):match('.-.-.-.-.-b')", &[504]);
    defuse("('a'):rep(1000000):gsub('.-b', '')", &[504]);
    defuse("for x in ('a'):rep(1000000):gmatch('.-b') do end", &[504]);
    defuse("('('):rep(1000000):find('%b()')", &[504, 200]);
    defuse("('('):rep(1000000):gsub('%b()', '')", &[504]);
    // One step of a class as long as the text.
    defuse("('x'):rep(1000000):find('[' .. ('a'):rep(1000000) .. 'x]*y')", &[500]);
    defuse("('x'):rep(200000):gsub('[' .. ('a'):rep(1000) .. 'x]*y', '')", &[504]);
    defuse("('x'):rep(1000000):gsub('()', ('%1'):rep(1000000))", &[500]);
    defuse("('x'):rep(1000000):gsub('', ('y'):rep(100000))", &[500]);
}

#[test]
fn sc20_plain_searches_are_linear() {
    defuse("local s = ('a'):rep(8000000) s:find(('a'):rep(1000000) .. 'b')", &[200]);
    defuse("local s = ('a'):rep(8000000) s:find(('a'):rep(1000000) .. '.', 1, true)", &[200]);
    defuse("local s = ('a'):rep(4000000) s:split(('a'):rep(1000000) .. 'b')", &[200]);
    defuse("local s = ('a'):rep(4000000) util.split(s, ('a'):rep(1000000) .. 'b')", &[200]);
    defuse("util.split(('a,'):rep(4000000), ',')", &[500, 504]);
    defuse("while true do ('a'):rep(4000000):find('b') end", &[504]);
}

#[test]
fn sc21_memory_ends() {
    defuse("bomb = ('x'):rep(1e9)", &[500]);
    defuse("('x'):rep(1e9)", &[500]);
    defuse("('x'):rep(2^31)", &[500, 200]);
    defuse("('x'):rep(1e6):rep(1e6)", &[500]);
    defuse("local a = (''):rep(1e9) local b = (''):rep(2^31 - 1)", &[200]);
    defuse("local s = 'x' while true do s = s .. s end", &[500]);
    defuse("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", &[500, 504]);
    defuse("local t = {} while true do t = {t} end", &[500, 504]);
    defuse("local t = {} for i = 1, 1e9 do t[i] = i end", &[500, 504]);
    defuse("table.create(1e9)", &[500]);
    defuse("table.create(1e9, 1)", &[500]);
    defuse("table.create(2^31)", &[500, 200]);
    defuse("table.concat(table.create(1000000, ('x'):rep(1000)))", &[500]);
    defuse("table.concat(table.create(1000, 'x'), ('x'):rep(1000000))", &[500]);
    defuse("string.format(('%99d'):rep(100), unpack(table.create(100, 1))):rep(1e6)", &[500]);
    defuse(
        "local function f() local t = {} return function() t[1] = f() return t end end local k = {} while true do k[#k + 1] = f() end",
        &[500, 504],
    );
    defuse("string.pack('c1000000000', '')", &[500]);
    // Collections in the midst of a pattern.
    defuse("('a'):rep(5000000):gsub('a', 'bb')", &[200, 500, 504]);
    defuse("('a'):rep(100):gsub('a', function() return ('x'):rep(100000) end)", &[200, 500]);
    defuse("unpack({}, 1, 1e8)", &[500]);
    defuse("string.byte(('x'):rep(1e6), 1, -1)", &[500]);
    defuse("('x'):rep(1e6):gsub('x', ('x'):rep(1e6))", &[500]);
    defuse("util.json_to_table('[' .. ('[],'):rep(1000000) .. '1]')", &[500, 504]);
    defuse("util.json_to_table(('['):rep(10000000))", &[200]);
    defuse("http.post('u', nil, ('x'):rep(12000000))", &[200, 500]);
}

#[test]
fn sc21_garbage_is_no_memory_in_use() {
    // Much more than the limit in all, but little at a time.
    let limits = Limits { memory_bytes: 32 << 20, ..Limits::default() };
    let outcome =
        Bench::new(limits).run("for i = 1, 200 do local s = ('x'):rep(4000000) .. i end result = {1}");
    assert_eq!((outcome.status, outcome.result.as_str()), (200, "[1]"));
}

#[test]
fn sc20_library_functions_are_bounded() {
    defuse("table.move({}, 1, 2^31 - 2, 1)", &[500]);
    defuse("table.move({}, -2^31, 2^31 - 1, 1)", &[500]);
    defuse("table.move({}, 1, 999999, 2^30)", &[200]);
    defuse("while true do table.move({}, 1, 999999, 2) end", &[504]);
    defuse("table.concat({}, '', 1, 2^31 - 1)", &[500]);
    defuse("string.format('%99999d', 1)", &[500]);
    defuse("string.format('%99.99f', 1e308)", &[200]);
    defuse("local t = table.create(1000000, 'x') table.sort(t)", &[504, 200]);
    defuse(
        "local a = ('x'):rep(4000000) local b = a .. 'b' a = a .. 'a'
         local t = {} for i = 1, 100000 do t[i] = i % 2 == 0 and a or b end table.sort(t)",
        &[504],
    );
    defuse(
        "local t = {} for i = 1, 99999 do t[i] = i * 7919 % 100000 end while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end",
        &[504],
    );
    defuse("table.sort({1, 2, 3, 4, 5, 6, 7, 8, 9}, function() return true end)", &[500, 200]);
    defuse(
        "local t = {3, 2, 1} table.sort(t, function(a, b) t[#t + 1] = 1 return a < b end)",
        &[500, 200, 504],
    );
    defuse("local t = {3, 2, 1} table.sort(t, function(a, b) table.clear(t) return a < b end)", &[500, 200]);
    defuse("while true do utf8.len(('é'):rep(1000000)) end", &[504, 500]);
    defuse("while true do tonumber(('9'):rep(1000000)) end", &[504]);
    defuse("string.packsize(('!16 i16'):rep(100000))", &[200, 500]);
}

#[test]
fn sc20_metatables_do_no_harm() {
    defuse("setmetatable({}, {__gc = function() while true do end end})", &[200]);
    defuse("local t = setmetatable({}, {__mode = 'kv'}) for i = 1, 100000 do t[{}] = {} end", &[200, 504]);
    defuse(
        "result = setmetatable({}, {__index = function() while true do end end, __len = function() while true do end end, __pairs = print})",
        &[200],
    );
    defuse("result = setmetatable({}, {__tostring = 5, __type = 'x'})", &[200]);
    defuse("setmetatable(_G, {__index = function() while true do end end})", &[200]);
    defuse("setmetatable(_G, {__newindex = function() while true do end end}) result = {}", &[504]);
}

#[test]
fn sc21_results_are_bounded() {
    defuse("local t = {} t.t = t result = t", &[400]);
    defuse("local t = {} for i = 1, 1000 do t = {t} end result = t", &[400]);
    defuse("local t = {} for i = 1, 60 do t = {t, t} end result = t", &[400, 504]);
    defuse("local t = {} for i = 1, 60 do t = {a = t, b = t} end result = t", &[400, 504]);
    defuse("result = {('x'):rep(10000000)}", &[400]);
    defuse("result = {[('x'):rep(10000000)] = 1}", &[400]);
    defuse("result = {('\\1'):rep(2000000)}", &[400]);
    // Growing this table needs about as much as the limit of memory.
    defuse("local t = {} for i = 1, 300000 do t['k' .. i] = i end result = t", &[200, 400, 500, 504]);
    defuse("local t = {} for i = 1, 60 do t = {t, t} end while true do util.table_to_json(t) end", &[504]);
    defuse("fail(400, ('x'):rep(10000000))", &[400]);
    defuse("error(('x'):rep(10000000))", &[500]);
}

#[test]
fn sc16_print_floods_end() {
    for source in [
        "while true do print() end",
        "while true do print('x') end",
        "while true do print(('x'):rep(1000000)) end",
        "print(('x'):rep(10000000))",
        "print(unpack(table.create(200, ('x'):rep(1000000))))",
    ] {
        let outcome = Bench::new(Limits { memory_bytes: 32 << 20, ..Limits::default() }).run(source);
        assert_eq!(outcome.status, 500, "{source}");
        assert!(outcome.result.contains("limit of 1048576 bytes"), "{source}: {}", outcome.result);
        assert!(outcome.output.iter().map(|line| line.len() + 1).sum::<usize>() <= 1 << 20);
        defuse(source, &[500, 504]);
    }
}

#[test]
fn sc21_the_limits_are_named() {
    let mut bench = Bench::new(small());
    let outcome = bench.run("\nwhile true do end");
    assert!(
        outcome.result.contains("general:hello:2: the script ran longer than the limit of 300ms"),
        "{}",
        outcome.result
    );
    let outcome = bench.run("local s = ('x'):rep(1e9)");
    assert!(
        outcome
            .result
            .contains("general:hello: the script needed more memory than the limit of 33554432 bytes"),
        "{}",
        outcome.result
    );
}

#[test]
fn sc21_a_tiny_limit_is_an_outcome() {
    for memory_bytes in [1, 1_000, 50_000, 200_000] {
        let limits = Limits { memory_bytes, ..small() };
        let mut bench = Bench::new(limits);
        for _ in 0..3 {
            let outcome = bench.run("result = {}");
            assert!(matches!(outcome.status, 200 | 500), "{} {}", outcome.status, outcome.result);
        }
    }
    assert_eq!(Bench::new(Limits { time: Duration::ZERO, ..small() }).run("").status, 504);
    assert_eq!(Bench::new(Limits { result_bytes: 0, ..small() }).run("result = {a = 1}").status, 400);
    assert_eq!(run("result = {}").status, 200);
}

#[test]
fn sc20_memory_that_runs_out_anywhere_is_an_outcome() {
    // Each size fails at another place.
    for kib in (600..900).step_by(7) {
        let mut bench = Bench::new(Limits { memory_bytes: kib << 10, ..small() });
        for source in [
            "local t = {} for i = 1, 100000 do t[i] = {i} end",
            "local s = 'x' while true do s = s .. s end",
            "local c = gs2('job_queue') local k = {} while true do k[#k + 1] = c.push{a = #k} end",
            "local k = {} while true do k[#k + 1] = util.json_to_table('{\"a\":[1,{}]}') end",
            "local k = {} while true do k[#k + 1] = ('a,b'):split(',') end",
            "local k = {} while true do k[#k + 1] = {('abc'):find('(b)')} end",
            "local k = {} while true do k[#k + 1] = transaction.service('a').consume.b{} end",
            "local k = {} local function f() k[#k + 1] = {} f() end f()",
        ] {
            let outcome = bench.run(source);
            assert!(matches!(outcome.status, 500 | 504), "{source}: {} {}", outcome.status, outcome.result);
        }
        assert_eq!(bench.run("result = {1}").result, "[1]");
    }
}
