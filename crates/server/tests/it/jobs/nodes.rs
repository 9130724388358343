//! Several nodes on one database: a player's jobs run at one of them at a time, and those of a node that is killed for good
//! are run by the others (BEHAVIOUR J-02, J-25, J-40).

use std::net::SocketAddr;

use futures_util::future::join_all;
use hiroba_testkit::api::{Api, DUPLICATION_AVOIDER, int};
use hiroba_testkit::jobs::{entry, names};
use hiroba_testkit::{Database, Engine, Queue, Random, Stage, TestServer, eventually, run, within};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::block_in_place;

use super::{ANSWERS_OF_JOBS, TRACING, start, tireless};

const PLAYERS: u64 = 20;
const JOBS: u64 = 40;
/// Jobs in all after which the first node is killed.
const KILLED_AFTER: usize = 300;

/// Pushes a player's jobs in order, at this node or that, at the one that is left when the other is gone.
async fn produce(
    api: Api,
    user: String,
    script: String,
    nodes: [SocketAddr; 2],
    mut random: Random,
    acknowledged: watch::Sender<usize>,
) -> Vec<String> {
    let mut jobs: Vec<String> = Vec::new();
    while (jobs.len() as u64) < JOBS {
        let first = jobs.len() as u64;
        let count = (1 + random.below(10)).min(JOBS - first);
        let entries: Vec<_> = (first..first + count).map(|n| tireless(&script, &user, n)).collect();
        let mut node = random.index(2);
        loop {
            let api = api.at(nodes[node]).with(DUPLICATION_AVOIDER, &format!("push-{first}"));
            let request = Queue::of(&api, "auto").push_request(&user, &entries);
            if let Ok(Some(answer)) = within("an answer or the end", api.try_send(&request)).await {
                // PostgreSQL may refuse one transaction for the sake of others too often: the call is to be repeated.
                if answer.status == 503 {
                    continue;
                }
                jobs.extend(names(&answer.ok()));
                acknowledged.send_modify(|all| *all += count as usize);
                break;
            }
            assert_eq!(node, 0, "the node that was not killed does not answer");
            node = 1;
        }
    }
    jobs
}

async fn one_is_killed_for_good(database: Database) {
    let mut random = Random::new();
    let (first, second) = (start(&database, "one"), start(&database, "two"));
    let nodes = [first.address(), second.address()];
    let api = second.api().await;
    let stage = Stage::create(&api).await;
    let script = stage.script("tracing", TRACING).await;
    let queue = Queue::create(&api, "auto", true).await;
    let (acknowledge, mut acknowledged) = watch::channel(0);
    let users: Vec<_> = (0..PLAYERS).map(|player| format!("user-{player}")).collect();
    let producers = users.iter().map(|user| {
        let (api, script, random) = (api.clone(), script.clone(), random.fork());
        tokio::spawn(produce(api, user.clone(), script, nodes, random, acknowledge.clone()))
    });
    let producers: Vec<_> = producers.collect();
    let enough = acknowledged.wait_for(|all| *all >= KILLED_AFTER);
    drop(within("the first jobs", enough).await.unwrap());
    block_in_place(|| first.kill());
    let mut jobs = Vec::new();
    for producer in producers {
        jobs.push(within("a producer to end", producer).await.unwrap());
    }
    // Each wait is longer than the lease and the search after it.
    let expected: Vec<i64> = (0..JOBS as i64).collect();
    for user in &users {
        queue.drained(user).await;
        assert_eq!(stage.numbers(user).await, expected, "each job of {user} once, in order");
        assert_eq!(stage.held(user, "count").await, JOBS as i64);
    }
    let looks = users.iter().zip(&jobs).map(async |(user, jobs)| {
        let queue = queue.clone();
        for job in jobs {
            assert_eq!(int(&queue.result(user, job, None).await.item(), "statusCode"), 200);
        }
    });
    join_all(looks).await;
    block_in_place(|| second.stop());
    let server = TestServer::start(&database).await;
    assert_eq!(server.count(ANSWERS_OF_JOBS).await, 0);
    assert_eq!(server.count("SELECT COUNT(*) FROM job_queue_lane").await, 0);
    server.stop().await;
}

/// J-25: what runs at one node is not run at the other; when a node stops in order, the other takes over at once.
async fn one_stops_in_order(database: Database) {
    let [first, second]: [TestServer; 2] = TestServer::nodes(&database).await.try_into().unwrap();
    let api = first.api().await;
    let stage = Stage::create(&api).await;
    let source = "trace(args.user, { n = args.n }) gate(args.gate) hold(args.user, 'done')";
    let script = stage.script("waiting", source).await;
    let args = |n: i64| json!({ "user": "alice", "n": n, "gate": "g" });

    // Runs on request meet at the store.
    let manual = Queue::create(&api, "manual", false).await;
    let there = Queue::of(&api.at(second.address()), "manual");
    manual.push("alice", &[entry(&script, &args(0)), entry(&script, &args(1))]).await;
    let running = {
        let manual = manual.clone();
        tokio::spawn(async move { manual.run("alice").await.ok() })
    };
    stage.traced("alice", 1).await;
    for queue in [&there, &manual.clone()] {
        let conflict = queue.run("alice").await;
        assert_eq!((conflict.status, &*conflict.refusals()[0].code), (409, "jobQueue.execution.conflict"));
    }
    assert_eq!(stage.traces("alice").await.len(), 1);
    stage.open("g").await;
    assert_eq!(int(&within("the run", running).await.unwrap()["result"], "statusCode"), 200);
    there.run_all("alice").await;
    assert_eq!((stage.numbers("alice").await, stage.held("alice", "done").await), (vec![0, 1], 2));

    // Many queues of the first node, of which some wait for their next attempt.
    let auto = Queue::create(&api, "auto", true).await;
    let flaky = stage
        .script("flaky", "if not is_open('mended') then fail(503, 'later') end hold(args.user, 'mended')");
    let flaky = flaky.await;
    let users: Vec<_> = (0..20).map(|player| format!("user-{player}")).collect();
    for user in &users {
        let mut entry = entry(&flaky, &json!({ "user": user }));
        entry["maxTryCount"] = 100.into();
        let job = auto.push(user, &[entry]).await.remove(0);
        auto.tried(user, &job).await;
    }
    stage.open("mended").await;
    first.stop().await;
    let api = api.at(second.address());
    let (stage, auto) = (Stage::of(&api), Queue::of(&api, "auto"));
    for user in &users {
        auto.drained(user).await;
        assert_eq!(stage.held(user, "mended").await, 1);
    }
    let given_up = async || (second.count("SELECT COUNT(*) FROM job_queue_lane").await == 0).then_some(());
    eventually("the queues to be given up", given_up).await;
    second.stop().await;
}

#[test]
fn a_killed_node_loses_and_doubles_nothing() {
    run(Engine::Postgres, one_is_killed_for_good);
}

#[test]
fn a_node_that_stops_hands_over() {
    run(Engine::Postgres, one_stops_in_order);
}
