//! Tasks: one at a time, seen while they run, and never taken for done when their server was killed.

use std::time::Duration;

use futures_util::future::join_all;
use hiroba_testkit::jobs::entry;
use hiroba_testkit::process::Builder;
use hiroba_testkit::{
    Database, Engine, Process, Queue, Random, TestServer, UserData, on_both_engines, run, within,
};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{lines, renamed};

async fn fill(queue: &Queue, user: &str, jobs: usize, bytes: usize) {
    let text = "x".repeat(bytes);
    for number in 0..jobs / 10 {
        let entries: Vec<Value> =
            (0..10).map(|at| entry("s", &json!({ "n": number * 10 + at, "x": text }))).collect();
        queue.push(user, &entries).await;
    }
}

async fn one_at_a_time(database: Database) {
    let nodes = TestServer::nodes(&database).await;
    let api = nodes[0].api().await;
    let queue = Queue::create(&api, "ns", false).await;
    fill(&queue, "alice", 600, 20_000).await;
    let apis = join_all((0..6).map(|at| nodes[at % nodes.len()].api())).await;
    let starts = apis.iter().map(|api| async move {
        let data = UserData::of(api, "job-queue");
        let answer = data.start("dump", "alice", json!({})).await;
        if answer.status != 200 {
            answer.refused(409, "userData", "jobQueue.userData.userData.error.duplicate");
        }
        answer.status
    });
    let looking = nodes[nodes.len() - 1].api().await;
    let look = async {
        let data = UserData::of(&looking, "job-queue");
        for _ in 0..2000 {
            let answer = data.check("dump", "alice").await;
            let Ok(answer) = serde_json::from_slice::<Value>(&answer.body) else { continue };
            if answer.get("progress").is_some() {
                assert_eq!(
                    (answer["progress"]["state"].as_str(), answer.get("url")),
                    (Some("running"), None)
                );
                return true;
            }
        }
        false
    };
    let (statuses, seen) = futures_util::future::join(join_all(starts), look).await;
    assert!(statuses.contains(&200), "{statuses:?}");
    println!("{statuses:?}, progress seen: {seen}");
    // The services and players do not wait for each other.
    let data = UserData::of(&api, "job-queue");
    data.clean("bob").await;
    UserData::of(&api, "gateway").dump("alice").await;
    assert_eq!(lines(&data.dump("alice").await).len(), 600);
    for node in nodes {
        node.stop().await;
    }
}

async fn work_goes_on_without_its_caller(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let queue = Queue::create(&api, "ns", false).await;
    fill(&queue, "alice", 300, 2_000).await;
    let data = UserData::of(&api, "job-queue");
    let gone = api.clone();
    let request = data.start_request("clean", "alice", &json!({}));
    let _ = tokio::time::timeout(Duration::from_millis(3), gone.try_send(&request)).await;
    drop(gone);
    let emptied = async || {
        let checked = data.check("clean", "alice").await;
        let ended = checked.status == 200 && checked.ok() == json!({});
        // The caller may have been gone before the call arrived.
        if checked.status == 404 {
            let _ = data.start("clean", "alice", json!({})).await;
        }
        ended.then_some(())
    };
    hiroba_testkit::eventually("the clean to end", emptied).await;
    assert_eq!(queue.jobs("alice").await, [] as [Value; 0]);
    server.stop().await;
}

fn start(database: &Database) -> Process {
    block_in_place(|| Builder::new(env!("CARGO_BIN_EXE_hiroba"), database, "data").start())
}

/// A server is killed in the middle of each kind of task, again and again; then the task is started once more and must come to
/// the same as without a kill.
async fn killed_in_the_middle(database: Database) {
    const JOBS: usize = 1500;
    let rounds = match database.engine() {
        Engine::Sqlite => 4,
        Engine::Postgres => 2,
    };
    let mut random = Random::new();
    let mut process = start(&database);
    let api = process.api().await;
    let queue = Queue::create(&api, "ns", false).await;
    fill(&queue, "alice-1", JOBS, 500).await;
    let mut api = api.at(process.address());
    let dump = UserData::of(&api, "job-queue").dump("alice-1").await;
    let dumped = lines(&dump);
    assert_eq!(dumped.len(), JOBS);
    let mut interrupted = 0;
    for kind in ["dump", "clean", "import"] {
        for _ in 0..rounds {
            let data = UserData::of(&api, "job-queue");
            let user = if kind == "import" { "carol-2" } else { "alice-1" };
            let mut token = String::new();
            if kind == "import" {
                let (prepared, path) = data.prepare(user).await;
                assert_eq!(data.upload(&path, dump.clone()).await.status, 200);
                token = prepared;
            }
            let request = data.start_request(kind, user, &json!({ "uploadToken": token }));
            let caller = api.clone();
            let call = tokio::spawn(async move { caller.try_send(&request).await });
            tokio::time::sleep(Duration::from_millis(random.below(150))).await;
            block_in_place(|| process.kill());
            let _ = call.await;
            process = start(&database);
            api = api.at(process.address());
            let data = UserData::of(&api, "job-queue");
            let check = || async {
                if kind == "import" {
                    data.check_import(user, &token).await
                } else {
                    data.check(kind, user).await
                }
            };
            // A node that was killed counts as alive until its lease ends.
            let look = async || {
                let answer = check().await;
                let runs = answer.status == 200 && answer.text().contains("progress");
                (!runs).then_some(answer)
            };
            let answer = hiroba_testkit::eventually("the lease of the killed node to end", look).await;
            match answer.status {
                409 => {
                    answer.refused(409, "userData", "jobQueue.userData.userData.error.failed");
                    assert!(answer.text().contains("start it again"));
                    interrupted += 1;
                }
                // It had not begun, or one has ended: this one or that of the round before.
                404 | 200 => {}
                other => panic!("{other}: {}", answer.text()),
            }
            if answer.status != 200 || kind != "import" {
                let again = data.start(kind, user, json!({ "uploadToken": token })).await;
                assert_eq!(again.ok(), json!({}), "{kind}");
            }
            assert_eq!(check().await.status, 200);
            let found = lines(&data.dump(user).await);
            match kind {
                "dump" => assert_eq!(found, dumped),
                "clean" => {
                    assert_eq!(found, []);
                    let (_, answer) = data.import("alice-1", dump.clone()).await;
                    assert_eq!(answer.ok(), json!({}));
                }
                _ => {
                    assert_eq!(found, renamed(&dumped, "alice-1", "carol-2"));
                    data.clean("carol-2").await;
                }
            }
        }
    }
    println!("{interrupted} tasks were interrupted");
    within("the stop", async { block_in_place(|| process.stop()) }).await;
}

#[test]
fn a_killed_task_is_never_taken_for_done_on_sqlite() {
    run(Engine::Sqlite, killed_in_the_middle);
}

#[test]
fn a_killed_task_is_never_taken_for_done_on_postgres() {
    run(Engine::Postgres, killed_in_the_middle);
}

on_both_engines! {
    one_at_a_time
    work_goes_on_without_its_caller
}
