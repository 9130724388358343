//! SIGKILL while jobs are pushed and run: every acknowledged job runs to success, in order, and what it does is there
//! exactly once (seed 001, BEHAVIOUR J-02, J-12, J-25).

use std::net::SocketAddr;
use std::time::Duration;

use hiroba_testkit::api::{Api, DUPLICATION_AVOIDER, int, text};
use hiroba_testkit::jobs::{entry, names};
use hiroba_testkit::{
    Database, Engine, Queue, Random, Stage, TestServer, eventually, on_both_engines, within,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::block_in_place;

use super::{ANSWERS_OF_JOBS, TRACING, start, tireless};

/// Says how often the server is killed; 80 and more make the minute.
const KILLS: &str = "HIROBA_TEST_KILLS";
const PLAYERS: u64 = 16;
/// Jobs that a player gets between two kills, at most: the queues shall not grow without end.
const JOBS_PER_LIFE: u64 = 12;

/// Where the server is, how often it was started, and whether producers shall go on.
#[derive(Debug, Clone, Copy)]
struct Life {
    address: SocketAddr,
    number: u64,
    last: bool,
}

/// Pushes the numbers from 0 on for one player, each exactly once: the acknowledged jobs, in order.
async fn produce(api: Api, user: String, mut random: Random, mut life: watch::Receiver<Life>) -> Vec<String> {
    let (mut acknowledged, mut pushes, mut lived, mut left) = (Vec::new(), 0, 0, 0);
    loop {
        let now = *life.borrow_and_update();
        if now.last {
            return acknowledged;
        }
        if now.number != lived {
            (lived, left) = (now.number, JOBS_PER_LIFE);
        }
        if left == 0 {
            within("the next life of the server", life.changed()).await.unwrap();
            continue;
        }
        let first = acknowledged.len() as u64;
        let count = (1 + random.below(10)).min(left);
        left -= count;
        let script = "grn:gs2:ap-northeast-1:hiroba:script:scripts:script:tracing";
        let entries: Vec<_> = (first..first + count).map(|n| tireless(script, &user, n)).collect();
        // The same push again until it is answered, with the same avoider.
        loop {
            let now = *life.borrow_and_update();
            let api = api.at(now.address).with(DUPLICATION_AVOIDER, &format!("push-{pushes}"));
            let request = Queue::of(&api, "auto").push_request(&user, &entries);
            if let Ok(Some(answer)) = within("an answer or the end", api.try_send(&request)).await {
                // PostgreSQL may refuse one transaction for the sake of others too often: the call is to be repeated.
                if answer.status == 503 {
                    continue;
                }
                acknowledged.extend(names(&answer.ok()));
                break;
            }
            within("the next life of the server", life.changed()).await.unwrap();
        }
        pushes += 1;
    }
}

async fn killed_again_and_again(database: Database) {
    let usual = match database.engine() {
        Engine::Sqlite => 20,
        Engine::Postgres => 8,
    };
    let kills: u64 = std::env::var(KILLS).map_or(usual, |kills| kills.parse().unwrap());
    let mut random = Random::new();
    let mut process = start(&database, "data");
    // Tokens outlive the server: the key that signs them is in the database.
    let api = process.api().await;
    let stage = Stage::create(&api).await;
    stage.script("tracing", TRACING).await;
    Queue::create(&api, "auto", true).await;

    let (tell, told) = watch::channel(Life { address: process.address(), number: 1, last: false });
    let users: Vec<_> = (0..PLAYERS).map(|player| format!("user-{player}")).collect();
    let producers = users
        .iter()
        .map(|user| tokio::spawn(produce(api.clone(), user.clone(), random.fork(), told.clone())));
    let producers: Vec<_> = producers.collect();
    for kill in 0..kills {
        // Time is what the kill is drawn from here, not what is waited for.
        tokio::time::sleep(Duration::from_millis(200 + random.below(801))).await;
        block_in_place(|| process.kill());
        process = start(&database, "data");
        tell.send(Life { address: process.address(), number: kill + 2, last: false }).unwrap();
    }
    tell.send(Life { address: process.address(), number: kills + 2, last: true }).unwrap();
    let mut jobs = Vec::new();
    for producer in producers {
        jobs.push(within("a producer to end", producer).await.unwrap());
    }
    let api = api.at(process.address());
    for (user, jobs) in users.iter().zip(&jobs) {
        check(&api, user, jobs).await;
    }
    println!("{} jobs through {kills} kills", jobs.iter().map(Vec::len).sum::<usize>());
    block_in_place(|| process.stop());

    let server = TestServer::start(&database).await;
    assert_eq!(server.count(ANSWERS_OF_JOBS).await, 0, "what jobs did is remembered although they are done");
    assert_eq!(
        server.count("SELECT COUNT(*) FROM job_queue_lane").await,
        0,
        "queues are claimed for nothing"
    );
    server.stop().await;
}

/// Waits until a player's jobs have run, and looks at what they did.
async fn check(api: &Api, user: &str, jobs: &[String]) {
    let (stage, queue) = (Stage::of(api), Queue::of(api, "auto"));
    queue.drained(user).await;
    let expected: Vec<i64> = (0..jobs.len() as i64).collect();
    assert_eq!(stage.numbers(user).await, expected, "each job of {user} once, in order");
    assert_eq!(stage.held(user, "count").await, jobs.len() as i64);
    assert!(queue.dead_letters(user).await.is_empty());
    for (number, job) in jobs.iter().enumerate() {
        let result = queue.result(user, job, None).await.item();
        assert_eq!(int(&result, "statusCode"), 200, "{result}");
        let expected = json!({ "n": number, "held": number + 1 });
        assert_eq!(serde_json::from_str::<serde_json::Value>(text(&result, "result")).unwrap(), expected);
    }
    // It is not stuck.
    let count = jobs.len();
    let script = "grn:gs2:ap-northeast-1:hiroba:script:scripts:script:tracing";
    queue.push_one(user, script, &json!({ "user": user, "n": count })).await;
    stage.traced(user, count + 1).await;
    queue.drained(user).await;
}

/// A kill for certain between two calls of one script, again and again: the first is not made twice, the second is made.
async fn killed_between_two_calls(database: Database) {
    let mut process = start(&database, "data");
    let api = process.api().await;
    let stage = Stage::create(&api).await;
    let source = "
        local held = hold(args.user, 'first')
        gate('second')
        trace(args.user, { n = args.n })
        result = { held = held }
    ";
    let script = stage.script("halves", source).await;
    let queue = Queue::create(&api, "auto", true).await;
    let entries: Vec<_> = (0..3).map(|n| entry(&script, &json!({ "user": "alice", "n": n }))).collect();
    let jobs = queue.push("alice", &entries).await;
    let kills = match database.engine() {
        Engine::Sqlite => 3,
        // The next life takes the queue over when the lease of the last one has ended.
        Engine::Postgres => 1,
    };
    for _ in 0..kills {
        // It stands at the gate, and looks again and again whether it is open.
        let api = api.at(process.address());
        let looks = "hiroba_call_seconds_count{service=\"lock\",method=\"getMutexByUserId\"}";
        let waiting = async || (api.metric(looks).await > 100.0).then_some(());
        eventually("the script to wait", waiting).await;
        block_in_place(|| process.kill());
        process = start(&database, "data");
        let stage = Stage::of(&api.at(process.address()));
        assert_eq!((stage.held("alice", "first").await, stage.traces("alice").await), (1, vec![]));
    }
    let api = api.at(process.address());
    let (stage, queue) = (Stage::of(&api), Queue::of(&api, "auto"));
    stage.open("second").await;
    let ran = async || (stage.numbers("alice").await == [0, 1, 2]).then_some(());
    eventually("the jobs to run", ran).await;
    queue.drained("alice").await;
    assert_eq!(stage.numbers("alice").await, [0, 1, 2]);
    assert_eq!(stage.held("alice", "first").await, 3, "each job's first call took effect once");
    for (number, job) in jobs.iter().enumerate() {
        let result = queue.result("alice", job, None).await.item();
        assert_eq!(int(&result, "statusCode"), 200, "{result}");
        assert_eq!(text(&result, "result"), json!({ "held": number + 1 }).to_string(), "the kept answer");
    }
    block_in_place(|| process.stop());
}

on_both_engines! {
    killed_again_and_again
    killed_between_two_calls
}
