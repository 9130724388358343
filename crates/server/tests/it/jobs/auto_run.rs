//! `enableAutoRun`: the server runs the jobs, each player's in order and all players' in turn (BEHAVIOUR J-02, J-24, J-40,
//! J-52).

use futures_util::future::join_all;
use hiroba_testkit::api::{Api, int};
use hiroba_testkit::jobs::entry;
use hiroba_testkit::{
    Database, Engine, Queue, Random, Stage, TestServer, eventually, on_both_engines, within,
};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{ANSWERS_OF_JOBS, TRACING, start};

/// A server, its stage, and a queue that runs by itself.
async fn prepare(database: &Database) -> (TestServer, Api, Stage, Queue) {
    let server = TestServer::start(database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let queue = Queue::create(&api, "auto", true).await;
    (server, api, stage, queue)
}

fn of(user: &str, n: usize) -> Value {
    json!({ "user": user, "n": n })
}

async fn jobs_left(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM job_queue_job WHERE namespace_name = 'auto'").await
}

async fn nothing_left(server: &TestServer) {
    let mut left = i64::MAX;
    while left > 0 {
        let fewer = async || Some(jobs_left(server).await).filter(|now| *now < left);
        left = eventually(&format!("fewer jobs than {left}"), fewer).await;
    }
    let forgotten = async || (server.count(ANSWERS_OF_JOBS).await == 0).then_some(());
    eventually("the calls of jobs that are done to be forgotten", forgotten).await;
    let given_up = async || (server.count("SELECT COUNT(*) FROM job_queue_lane").await == 0).then_some(());
    eventually("the queues to be given up", given_up).await;
}

/// J-02, J-40: hundreds of players at once, each one's jobs in the order of its pushes, each job once.
async fn many_players_in_order(database: Database) {
    let (players, jobs) = match database.engine() {
        Engine::Sqlite => (200, 12),
        Engine::Postgres => (100, 10),
    };
    let (server, api, stage, queue) = prepare(&database).await;
    let script = stage.script("tracing", TRACING).await;
    let mut random = Random::new();
    let users: Vec<_> = (0..players).map(|player| format!("user-{player}")).collect();
    let pushes = users.iter().map(|user| {
        let (queue, script, mut random) = (queue.clone(), script.clone(), random.fork());
        async move {
            let mut done = 0;
            while done < jobs {
                let count = (1 + random.index(10)).min(jobs - done);
                let entries: Vec<_> =
                    (done..done + count).map(|number| entry(&script, &of(user, number))).collect();
                queue.push(user, &entries).await;
                done += count;
            }
        }
    });
    join_all(pushes).await;
    nothing_left(&server).await;
    let expected: Vec<i64> = (0..jobs as i64).collect();
    for user in &users {
        assert_eq!(stage.numbers(user).await, expected, "{user}");
    }
    let all = (players * jobs) as i64;
    assert_eq!(server.count("SELECT COUNT(*) FROM job_queue_result WHERE status_code = 200").await, all);
    // A connection that was idle for long may be closed.
    assert_eq!(api.clone().metric("hiroba_jobs_succeeded_total").await, all as f64);
    server.stop().await;
}

/// A player with thousands of jobs does not keep the others waiting.
async fn players_take_turns(database: Database) {
    let many: usize = match database.engine() {
        Engine::Sqlite => 5000,
        Engine::Postgres => 2000,
    };
    let (server, _, stage, queue) = prepare(&database).await;
    let (tracing, nothing) = (stage.script("tracing", TRACING).await, stage.script("nothing", "").await);
    queue.set_auto_run(false).await;
    let ten = vec![entry(&nothing, &json!({})); 10];
    let pushes = (0..10).map(|_| {
        let (queue, ten) = (queue.clone(), ten.clone());
        async move {
            for _ in 0..many / 100 {
                queue.push("alice", &ten).await;
            }
        }
    });
    join_all(pushes).await;
    for player in 0..50 {
        queue.push_one(&format!("user-{player}"), &tracing, &of("others", player)).await;
    }
    queue.set_auto_run(true).await;
    stage.traced("others", 50).await;
    let left = server.count("SELECT COUNT(*) FROM job_queue_job WHERE user_id = 'alice'").await;
    println!("{left} jobs of the first player left when all others were done");
    assert!(left > many as i64 / 2, "{left}");
    // It stops although there are so many, and goes on later.
    let server = server.restart().await;
    nothing_left(&server).await;
    server.stop().await;
}

/// A player whose job computes and waits for long keeps no other player waiting, however many such players there are.
async fn slow_jobs_delay_nobody_else(database: Database) {
    let (server, _, stage, queue) = prepare(&database).await;
    let source = "
        local sum = 0
        for i = 1, 2e6 do sum = sum + i end
        trace('slow', { n = args.n })
        repeat for i = 1, 1e5 do sum = sum + i end until is_open('end')
        hold('slow', 'ended')
    ";
    let (slow, tracing) = (stage.script("slow", source).await, stage.script("tracing", TRACING).await);
    for player in 0..5 {
        let both = [entry(&slow, &of("", player)), entry(&tracing, &of("slow", 100 + player))];
        queue.push(&format!("slow-{player}"), &both).await;
    }
    stage.traced("slow", 5).await;
    for player in 0..50 {
        queue.push_one(&format!("user-{player}"), &tracing, &of("others", player)).await;
    }
    stage.traced("others", 50).await;
    assert_eq!(stage.held("slow", "ended").await, 0);
    assert_eq!(stage.traces("slow").await.len(), 5, "what is behind a slow job waits for it");
    stage.open("end").await;
    stage.traced("slow", 10).await;
    nothing_left(&server).await;
    server.stop().await;
}

/// What a job pushes for its own player comes behind what waits already, and is run.
async fn a_job_may_push_jobs(database: Database) {
    let (server, _, stage, queue) = prepare(&database).await;
    let source = "
        trace('alice', { n = args.n })
        for child = 1, args.children do
            local job = { scriptId = args.script, args = json({
                n = args.n * 10 + child, children = args.children - 1, script = args.script }) }
            local pushed = gs2('job_queue').push_by_user_id({ namespaceName = 'auto', userId = 'alice', jobs = { job } })
            if pushed.isError then fail(500, pushed.errorMessage) end
        end
    ";
    let script = stage.script("breeding", source).await;
    let args = |n: i64, children: i64| json!({ "n": n, "children": children, "script": script });
    queue.set_auto_run(false).await;
    queue.push("alice", &[entry(&script, &args(1, 2)), entry(&script, &args(2, 1))]).await;
    queue.set_auto_run(true).await;
    let numbers = stage.traced("alice", 7).await;
    assert_eq!(numbers, [1, 2, 11, 12, 21, 111, 121]);
    nothing_left(&server).await;
    assert_eq!(stage.traces("alice").await.len(), 7);
    server.stop().await;
}

/// J-24, J-25, J-40: off, jobs wait for somebody to call `run`; on again, the server runs them; never both at once.
async fn it_may_be_switched(database: Database) {
    let (server, _, stage, queue) = prepare(&database).await;
    let tracing = stage.script("tracing", TRACING).await;
    let waiting = stage.script("waiting", "trace('alice', { n = args.n }) gate(args.gate)").await;
    let on = queue.run("alice").await.ok();
    assert_eq!(on, json!({ "isLastJob": true }), "the server runs the jobs");

    let gated = |n: usize, gate: &str| entry(&waiting, &json!({ "n": n, "gate": gate }));
    let mut entries = vec![gated(0, "first")];
    entries.extend((1..10).map(|n| entry(&tracing, &of("alice", n))));
    queue.push("alice", &entries).await;
    let entries: Vec<_> = (10..20).map(|n| entry(&tracing, &of("alice", n))).collect();
    queue.push("alice", &entries).await;
    stage.traced("alice", 1).await;
    queue.set_auto_run(false).await;
    let conflict = queue.run("alice").await;
    assert_eq!((conflict.status, &*conflict.refusals()[0].code), (409, "jobQueue.execution.conflict"));
    stage.open("first").await;
    // The server ends what it has begun; then the queue is the caller's.
    let mine = async || {
        let answer = queue.run("alice").await;
        (answer.status == 200).then_some(())
    };
    eventually("the queue to be free", mine).await;
    let numbers = stage.numbers("alice").await;
    assert_eq!(numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
    let left = queue.jobs("alice").await.len();
    assert_eq!(left + numbers.len(), 20, "nobody runs what waits");
    for _ in 0..left {
        queue.run("alice").await.ok();
    }
    assert_eq!(stage.numbers("alice").await, (0..20).collect::<Vec<_>>());

    // The other way: what is being run on request ends first.
    let jobs = [gated(20, "second"), entry(&tracing, &of("alice", 21))];
    let pushed = queue.call("POST", "/user/alice/job", json!({ "jobs": jobs })).await.ok();
    assert_eq!(pushed["autoRun"], false);
    let running = {
        let queue = queue.clone();
        tokio::spawn(async move { queue.run("alice").await.ok() })
    };
    stage.traced("alice", 21).await;
    queue.set_auto_run(true).await;
    queue.push_one("alice", &tracing, &of("alice", 22)).await;
    assert_eq!(stage.traces("alice").await.len(), 21);
    stage.open("second").await;
    let ran = within("the run", running).await.unwrap();
    assert_eq!(int(&ran["result"], "statusCode"), 200);
    assert_eq!(stage.traced("alice", 23).await, (0..23).collect::<Vec<_>>());
    nothing_left(&server).await;
    server.stop().await;
}

/// J-52: a waiting job that is deleted does not run; one that runs comes to its end, is recorded, and is not tried again.
async fn deleted_jobs(database: Database) {
    let (server, _, stage, queue) = prepare(&database).await;
    let source = "
        trace('alice', { n = args.n })
        gate('end')
        if args.fails then fail(503, 'later') end
        result = { n = args.n }
    ";
    let script = stage.script("waiting", source).await;
    for fails in [true, false] {
        let user = format!("user-{fails}");
        let entries: Vec<_> =
            (0..3).map(|n| entry(&script, &json!({ "n": n, "fails": fails && n == 0 }))).collect();
        let jobs = queue.push(&user, &entries).await;
        stage.traced("alice", if fails { 1 } else { 4 }).await;
        if fails {
            for n in [1, 0] {
                let deleted = queue.delete(&user, &jobs[n]).await.item();
                assert_eq!(deleted["name"], jobs[n]);
                queue.delete(&user, &jobs[n]).await.refused(404, "job", "jobQueue.job.job.error.notFound");
            }
            queue.result(&user, &jobs[0], None).await.refused(
                404,
                "jobResult",
                "jobQueue.jobResult.jobResult.error.notFound",
            );
            stage.open("end").await;
        }
        queue.drained(&user).await;
        let result = queue.tried(&user, &jobs[0]).await;
        assert_eq!(int(&result, "statusCode"), if fails { 503 } else { 200 });
        assert_eq!(int(&result, "tryNumber"), 0);
        assert_eq!(queue.result(&user, &jobs[1], None).await.status, if fails { 404 } else { 200 });
        assert_eq!(int(&queue.tried(&user, &jobs[2]).await, "statusCode"), 200);
        assert!(queue.dead_letters(&user).await.is_empty());
    }
    assert_eq!(stage.numbers("alice").await, [0, 2, 0, 1, 2]);
    nothing_left(&server).await;
    server.stop().await;
}

/// J-01: a namespace that is deleted while its jobs run takes them along; one of the same name later knows nothing of them.
async fn a_namespace_may_go_while_jobs_run(database: Database) {
    let (server, api, stage, queue) = prepare(&database).await;
    let waiting =
        stage.script("waiting", "trace('alice', { n = args.n }) gate('end') hold('alice', 'ended')").await;
    let tracing = stage.script("tracing", TRACING).await;
    let mut running = Vec::new();
    for player in 0..3 {
        let user = format!("user-{player}");
        let entries = [entry(&waiting, &of("", player)), entry(&tracing, &of("alice", 10 + player))];
        running.extend(queue.push(&user, &entries).await.into_iter().next());
    }
    stage.traced("alice", 3).await;
    queue.call("DELETE", "", Value::Null).await.ok();
    queue.run("user-0").await.refused(404, "namespace", "jobQueue.namespace.namespace.error.notFound");
    let queue = Queue::create(&api, "auto", true).await;
    stage.open("end").await;
    stage.holds("alice", "ended", 3).await;
    // The new namespace's queues work, also those that were being run.
    for player in 0..3 {
        queue.push_one(&format!("user-{player}"), &tracing, &of("alice", 20 + player)).await;
    }
    let mut numbers = stage.traced("alice", 6).await;
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 20, 21, 22]);
    nothing_left(&server).await;
    for (player, job) in running.iter().enumerate() {
        let user = format!("user-{player}");
        assert!(queue.dead_letters(&user).await.is_empty());
        queue.result(&user, job, None).await.refused(
            404,
            "jobResult",
            "jobQueue.jobResult.jobResult.error.notFound",
        );
    }
    queue.call("DELETE", "", Value::Null).await.ok();
    nothing_left(&server).await;
    server.stop().await;
}

/// SIGTERM while jobs run: they end and are recorded, what waits is run after the next start, and nothing runs twice.
async fn a_stop_lets_running_jobs_end(database: Database) {
    let mut process = start(&database, "data");
    let api = process.api().await;
    let stage = Stage::create(&api).await;
    let queue = Queue::create(&api, "auto", true).await;
    let source = "
        trace('alice', { n = 0 })
        local till = os.time() + 2
        repeat until os.time() >= till
        trace('alice', { n = 1 })
        result = { held = hold('alice', 'ended') }
    ";
    let (slow, tracing) = (stage.script("slow", source).await, stage.script("tracing", TRACING).await);
    let mut entries = vec![entry(&slow, &json!({}))];
    entries.extend((2..11).map(|n| entry(&tracing, &of("alice", n))));
    let jobs = queue.push("alice", &entries).await;
    stage.traced("alice", 1).await;
    process.terminate();
    let (status, _) = block_in_place(|| process.ended());
    assert_eq!(status.code(), Some(0), "{}", process.log());
    assert!(!process.log().contains("WARN") && !process.log().contains("panicked"), "{}", process.log());

    let again = start(&database, "data");
    let api = api.at(again.address());
    let (stage, queue) = (Stage::of(&api), Queue::of(&api, "auto"));
    assert_eq!(stage.traced("alice", 11).await, (0..11).collect::<Vec<_>>());
    queue.drained("alice").await;
    let first = queue.result("alice", &jobs[0], None).await.item();
    assert_eq!((int(&first, "statusCode"), int(&first, "tryNumber")), (200, 0));
    assert_eq!(first["result"], "{\"held\":1}");
    assert!(int(&first, "tryAt") <= int(&queue.result("alice", &jobs[1], None).await.item(), "tryAt"));
    block_in_place(|| again.stop());
}

on_both_engines! {
    many_players_in_order
    players_take_turns
    slow_jobs_delay_nobody_else
    a_job_may_push_jobs
    it_may_be_switched
    deleted_jobs
    a_namespace_may_go_while_jobs_run
    a_stop_lets_running_jobs_end
}
