//! SIGKILL in the middle of a burst: what was acknowledged is there after the restart, and nothing is there by half
//! (BEHAVIOUR L-14, N-11).

use std::sync::Arc;

use futures_util::future::join_all;
use hiroba_testkit::api::{Mutexes, int, text};
use hiroba_testkit::process::Builder;
use hiroba_testkit::{Database, Engine, Process, Random, run, within};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::block_in_place;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hiroba");
const CLIENTS: usize = 6;
const MUTEXES: usize = 8;
/// References that a mutex gets at most.
const DEPTH: i64 = 3;
/// Acknowledged calls before the kill, at most.
const CALLS: u64 = 150;

/// What a client knows of a mutex.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Acknowledged references; 0 when it is free.
    count: i64,
    /// Acknowledged revision.
    revision: i64,
    /// References after a call that was not answered.
    pending: Option<i64>,
}

async fn killed_in_a_burst(database: Database) {
    let rounds = match database.engine() {
        Engine::Sqlite => 50,
        Engine::Postgres => 12,
    };
    let mut random = Random::new();
    let mut clients = vec![vec![Known::default(); MUTEXES]; CLIENTS];
    let (mut acknowledged, mut unanswered, mut revision) = (0, 0, 0);

    let mut process = start(&database);
    // Tokens outlive the server: the key that signs them is in the database.
    let api = process.api().await;
    api.create_namespace("ns").await;
    for round in 0..rounds {
        let here = api.at(process.address());
        let (done, mut answers) = mpsc::unbounded_channel();
        let done = Arc::new(done);
        let tasks = clients.into_iter().enumerate().map(|(client, known)| {
            let mutexes = here.mutexes("ns", &format!("user-{client}"));
            tokio::spawn(burst(mutexes, known, random.fork(), Arc::clone(&done)))
        });
        let tasks: Vec<_> = tasks.collect();
        for _ in 0..=random.below(CALLS) {
            within("an acknowledged call", answers.recv()).await.unwrap();
            acknowledged += 1;
        }
        // What the clients are doing at this moment is not known here: anything.
        block_in_place(|| process.kill());
        clients = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        drop(done);
        while answers.try_recv().is_ok() {
            acknowledged += 1;
        }

        process = start(&database);
        let here = api.at(process.address());
        for (client, known) in clients.iter_mut().enumerate() {
            let mutexes = here.mutexes("ns", &format!("user-{client}"));
            for (number, known) in known.iter_mut().enumerate() {
                unanswered += u32::from(known.pending.is_some());
                revision = revision.max(known.revision);
                *known = compare(&mutexes, number, *known).await;
                revision = revision.max(known.revision);
            }
        }
        let fresh = here.mutexes("ns", "fresh").lock(&format!("round-{round}"), "t").await.item();
        let drawn = int(&fresh, "revision");
        assert!(drawn > revision, "revision {drawn} was granted after {revision}");
        revision = drawn;
    }
    println!("{acknowledged} acknowledged and {unanswered} unanswered calls over {rounds} rounds");
    block_in_place(|| process.stop());
}

fn start(database: &Database) -> Process {
    block_in_place(|| Builder::new(PROGRAM, database, "data").start())
}

/// Locks and unlocks until the server is gone.
async fn burst(
    mutexes: Mutexes,
    mut known: Vec<Known>,
    mut random: Random,
    done: Arc<mpsc::UnboundedSender<()>>,
) -> Vec<Known> {
    loop {
        let number = random.index(MUTEXES);
        let mutex = &mut known[number];
        let locks = mutex.count == 0 || (mutex.count < DEPTH && random.below(2) == 0);
        let (action, after) = if locks { ("/lock", mutex.count + 1) } else { ("/unlock", mutex.count - 1) };
        let request =
            mutexes.request("POST", &format!("p{number}"), action, &json!({ "transactionId": "t" }));
        mutex.pending = Some(after);
        let answer = within("an answer or the end", mutexes.api().try_send(&request)).await;
        let Ok(Some(answer)) = answer else { return known };
        let item = answer.item();
        assert_eq!(int(&item, "referenceCount"), after);
        *mutex = Known { count: after, revision: int(&item, "revision"), pending: None };
        // Nobody listens any more after the kill.
        let _ = done.send(());
    }
}

/// Compares what is there with what is known, and answers what is there.
async fn compare(mutexes: &Mutexes, number: usize, known: Known) -> Known {
    let answer = mutexes.get(&format!("p{number}")).await;
    let found = if answer.status == 404 {
        Known::default()
    } else {
        let item = answer.item();
        assert_eq!(text(&item, "transactionId"), "t");
        assert!(int(&item, "ttlAt") >= int(&item, "createdAt") + 3_600_000, "{item}");
        Known { count: int(&item, "referenceCount"), revision: int(&item, "revision"), pending: None }
    };
    let as_acknowledged =
        found.count == known.count && (found.count == 0 || found.revision == known.revision);
    let as_pending =
        known.pending == Some(found.count) && (found.count == 0 || found.revision > known.revision);
    assert!(as_acknowledged || as_pending, "found {found:?}, but knew {known:?}");
    found
}

#[test]
fn nothing_acknowledged_is_lost_on_sqlite() {
    run(Engine::Sqlite, killed_in_a_burst);
}

#[test]
fn nothing_acknowledged_is_lost_on_postgres() {
    run(Engine::Postgres, killed_in_a_burst);
}
