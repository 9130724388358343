//! What a script may take, and what becomes of those that take more (BEHAVIOUR SC-06, SC-20, SC-21).

use futures_util::future::join_all;
use hiroba_testkit::api::{int, text};
use hiroba_testkit::http::Connection;
use hiroba_testkit::jobs::entry;
use hiroba_testkit::process::Builder;
use hiroba_testkit::{Database, Queue, Stage, TestServer, eventually, on_both_engines, within};
use serde_json::{Value, json};
use tokio::task::block_in_place;

/// Calls itself until it stands in so many runs; in the one of level `args.wait` it waits, and it is the innermost one that
/// says so.
const NESTED: &str = "
if args.level == args.wait then hold('nested', 'there') gate('deeper') end
local level = args.level
if level < args.depth then
    args.level = level + 1
    local inner = gs2('script').invoke_script({ scriptId = args.script, args = json(args) })
    if inner.isError then fail(inner.statusCode, inner.errorMessage) end
    if inner.result.code ~= 200 then fail(inner.result.code, inner.result.result) end
    level = util.json_to_table(inner.result.result).result.level
end
result = { level = level }
";

fn answer(invoked: &Value) -> Value {
    assert_eq!(int(invoked, "code"), 200, "{invoked}");
    serde_json::from_str(text(invoked, "result")).unwrap()
}

/// SC-21: time, memory and output end; the next run knows nothing of the one before.
async fn what_takes_too_much_ends(database: Database) {
    let builder = TestServer::builder(&database).config(|config| {
        config.script_seconds_max = 1;
        config.script_memory_mib_max = 16;
    });
    let server = builder.start().await;
    let stage = Stage::create(&server.api().await).await;
    for (source, code) in [
        ("while true do end", 504),
        ("gate('never')", 504),
        ("string.rep('a', 30000):find('.-.-.-.-b')", 504),
        ("local all = {} for i = 1, 1e9 do all[i] = string.rep('x', 10000) .. i end", 500),
        ("local text = 'x' for i = 1, 40 do text = text .. text end", 500),
        ("local function deep() return deep() + 1 end deep()", 500),
        ("local line = string.rep('x', 10000) for i = 1, 1e9 do print(line) end", 500),
        ("local a = {} a.a = a result = a", 400),
    ] {
        let invoked = stage.debug(source, &json!({})).await;
        assert_eq!(int(&invoked, "code"), code, "{source}: {}", invoked["result"]);
        let errors: Value = serde_json::from_str(text(&invoked, "result")).unwrap();
        assert!(errors[0]["message"].is_string(), "{source}: {errors}");
        let after = stage.debug("print('hello') result = { n = args.n }", &json!({ "n": 1 })).await;
        assert_eq!((answer(&after), &after["output"]), (json!({ "n": 1 }), &json!(["hello"])));
    }
    // What is printed before the limit is answered.
    let invoked = stage.debug("print('before') fail(400, 'no')", &json!({})).await;
    assert_eq!(invoked["output"], json!(["before"]));
    server.stop().await;
}

/// SC-21: scripts stand in each other eight deep, not nine.
async fn nesting_has_an_end(database: Database) {
    let server = TestServer::start(&database).await;
    let stage = Stage::create(&server.api().await).await;
    let script = stage.script("nested", NESTED).await;
    let args = |depth: i64| json!({ "script": script, "level": 1, "depth": depth, "wait": 0 });
    let eight = stage.invoke(&script, &args(8)).await.ok();
    assert_eq!(answer(&eight), json!({ "level": 8 }));
    let nine = stage.invoke(&script, &args(9)).await.ok();
    assert_eq!(int(&nine, "code"), 400, "{nine}");
    assert!(text(&nine, "result").contains("script.script.depth.error.tooMany"), "{nine}");
    // So it is for a job.
    let queue = Queue::create(&server.api().await, "auto", true).await;
    for (depth, status) in [(8, 200), (9, 400)] {
        let mut entry = entry(&script, &args(depth));
        entry["maxTryCount"] = 1.into();
        let job = queue.push("alice", &[entry]).await.remove(0);
        assert_eq!(int(&queue.tried("alice", &job).await, "statusCode"), status);
    }
    server.stop().await;
}

/// A script that was changed is the changed one in the next run, wherever it runs, also as a job and inside others.
async fn a_changed_script_counts_at_once(database: Database) {
    let nodes = TestServer::nodes(&database).await;
    let api = nodes[0].api().await;
    let stage = Stage::create(&api).await;
    let queue = Queue::create(&api, "manual", false).await;
    let script = stage.script("changing", "result = { n = 0 }").await;
    let outer = "
        local inner = gs2('script').invoke_script({ scriptId = args.script })
        result = util.json_to_table(inner.result.result).result
    ";
    let outer = stage.script("outer", outer).await;
    for n in 1..30 {
        stage.change("changing", &format!("result = {{ n = {n} }}")).await;
        for node in &nodes {
            let api = api.at(node.address());
            let (stage, queue) = (Stage::of(&api), Queue::of(&api, "manual"));
            let expected = json!({ "n": n });
            assert_eq!(answer(&stage.invoke(&script, &json!({})).await.ok()), expected);
            assert_eq!(answer(&stage.invoke(&outer, &json!({ "script": script })).await.ok()), expected);
            queue.push_one("alice", &script, &json!({})).await;
            let ran = queue.run("alice").await.ok();
            assert_eq!(ran["result"]["result"], expected.to_string());
        }
    }
    api.call("script", "DELETE", "/scripts/script/changing", Value::Null).await.item();
    for node in &nodes {
        let stage = Stage::of(&api.at(node.address()));
        let gone = stage.invoke(&script, &json!({})).await;
        gone.refused(404, "script", "script.script.script.error.notFound");
    }
    stage.script("changing", "result = { n = 'new' }").await;
    for node in &nodes {
        let stage = Stage::of(&api.at(node.address()));
        assert_eq!(answer(&stage.invoke(&script, &json!({})).await.ok()), json!({ "n": "new" }));
    }
    drop(queue);
    for node in nodes {
        node.stop().await;
    }
}

/// However many runs stand in each other, each gets to its end: those that wait never keep the inner ones from beginning.
async fn many_nested_runs(database: Database) {
    let program = Builder::new(env!("CARGO_BIN_EXE_hiroba"), &database, "data");
    // The runs below meet half way on a busy machine.
    let program = program.env("HIROBA_SCRIPT_SECONDS_MAX", "60");
    let program = program.env("HIROBA_JOB_THREADS_MAX", "8").env("HIROBA_SCRIPT_DEPTH_MAX", "4");
    let process = block_in_place(|| program.start());
    let api = process.api().await;
    let stage = Stage::create(&api).await;
    let script = stage.script("nested", NESTED).await;
    let quick = json!({ "script": script, "level": 1, "depth": 4, "wait": 0 });
    let invocations = (0..200).map(|_| {
        let stage = Stage::of(&api);
        let (script, args) = (script.clone(), quick.clone());
        async move { answer(&stage.invoke(&script, &args).await.ok()) }
    });
    for level in within("200 nested runs", join_all(invocations)).await {
        assert_eq!(level, json!({ "level": 4 }));
    }

    // As many as may begin at once, on request and as jobs, all of them half way.
    let queue = Queue::create(&api, "auto", true).await;
    let half_way = json!({ "script": script, "level": 1, "depth": 4, "wait": 2 });
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let stage = Stage::of(&api);
            let (script, args) = (script.clone(), half_way.clone());
            tokio::spawn(async move { answer(&stage.invoke(&script, &args).await.ok()) })
        })
        .collect();
    let mut jobs = Vec::new();
    for player in 0..8 {
        let user = format!("user-{player}");
        jobs.push((queue.push_one(&user, &script, &half_way).await, user));
    }
    stage.holds("nested", "there", 64 + 8).await;
    stage.open("deeper").await;
    for waiting in waiting {
        assert_eq!(within("a nested run", waiting).await.unwrap(), json!({ "level": 4 }));
    }
    for (job, user) in jobs {
        assert_eq!(int(&queue.tried(&user, &job).await, "statusCode"), 200);
    }
    block_in_place(|| process.stop());
}

/// J-25: a caller who goes away leaves the run going on and its place taken; when it has ended, the next one runs.
async fn a_caller_may_go_away(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let queue = Queue::create(&api, "manual", false).await;
    let script = stage
        .script("waiting", "trace('alice', { n = args.n }) gate(args.gate) hold('alice', 'ended')")
        .await;
    let entries = [0, 1].map(|n| entry(&script, &json!({ "n": n, "gate": "end" })));
    let jobs = queue.push("alice", &entries).await;
    let request = api.request("job-queue", "POST", "/manual/user/alice/job/run", &json!({}));
    let mut connection = Connection::open(server.address()).await;
    connection.send(&request.bytes()).await.unwrap();
    stage.traced("alice", 1).await;
    drop(connection);
    for _ in 0..3 {
        let conflict = queue.run("alice").await;
        assert_eq!((conflict.status, &*conflict.refusals()[0].code), (409, "jobQueue.execution.conflict"));
    }
    assert!(queue.run("bob").await.ok()["isLastJob"].as_bool().unwrap(), "another player's queue is free");
    stage.open("end").await;
    let ran = async || {
        let answer = queue.run("alice").await;
        (answer.status == 200).then(|| answer.ok())
    };
    let second = eventually("the queue to be free", ran).await;
    assert_eq!((text(&second["item"], "name"), second["isLastJob"].as_bool()), (&*jobs[1], Some(true)));
    assert_eq!((stage.numbers("alice").await, stage.held("alice", "ended").await), (vec![0, 1], 2));
    let first = queue.result("alice", &jobs[0], None).await.item();
    assert_eq!(int(&first, "statusCode"), 200);

    // So it is for a script that somebody calls and does not wait for.
    let fields = json!({ "scriptId": script, "args": "{\"n\":2,\"gate\":\"later\"}" });
    let mut connection = Connection::open(server.address()).await;
    connection.send(&api.request("script", "POST", "/invoke", &fields).bytes()).await.unwrap();
    stage.traced("alice", 3).await;
    drop(connection);
    stage.open("later").await;
    stage.holds("alice", "ended", 3).await;
    server.stop().await;
}

on_both_engines! {
    what_takes_too_much_ends
    nesting_has_an_end
    a_changed_script_counts_at_once
    many_nested_runs
    a_caller_may_go_away
}
