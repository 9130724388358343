//! A recorded history of concurrent calls could have happened one after the other (BEHAVIOUR L-14).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use hiroba_testkit::api::{Mutexes, int, text};
use hiroba_testkit::http::Response;
use hiroba_testkit::linear::{Entry, check};
use hiroba_testkit::mutex::{MutexModel, Operation, Seen, Unlocked};
use hiroba_testkit::{Database, Random, TestServer, on_both_engines};

const CLIENTS: u64 = 12;
const TRANSACTIONS: u64 = 4;
const MUTEXES: u64 = 3;
const CALLS_PER_CLIENT: u64 = 150;

/// On PostgreSQL the clients are at two nodes.
async fn histories_are_linearizable(database: Database) {
    let nodes = TestServer::nodes(&database).await;
    let api = nodes[0].api().await;
    api.create_namespace("ns").await;
    let mut random = Random::new();
    // Grows with time and never repeats, which is all that the checker wants of a clock.
    let clock = Arc::new(AtomicU64::new(1));
    let clients = (0..CLIENTS).map(|client| {
        let node = &nodes[client as usize % nodes.len()];
        let mutexes = api.at(node.address()).mutexes("ns", "alice");
        let (random, clock) = (random.fork(), Arc::clone(&clock));
        tokio::spawn(record(mutexes, random, clock))
    });
    let mut histories = vec![Vec::new(); MUTEXES as usize];
    for client in join_all(clients).await {
        for (mutex, entry) in client.unwrap() {
            histories[mutex as usize].push(entry);
        }
    }
    let total: usize = histories.iter().map(Vec::len).sum();
    assert!(total >= 1000, "{total} operations");
    for (mutex, history) in histories.iter().enumerate() {
        let grants =
            history.iter().filter(|entry| matches!(entry.operation, Operation::Lock(_, Some(_)))).count();
        let refused =
            history.iter().filter(|entry| matches!(entry.operation, Operation::Lock(_, None))).count();
        println!("mutex {mutex}: {} operations, {grants} grants, {refused} conflicts", history.len());
        assert!(grants > 10 && refused > 10, "the clients hardly met");
        if let Err(longest) = check(&MutexModel, history) {
            let mut left: Vec<_> =
                history.iter().enumerate().filter(|(index, _)| !longest.contains(index)).collect();
            left.sort_by_key(|(_, entry)| entry.invoked);
            let last: Vec<_> = longest.iter().rev().take(5).map(|index| &history[*index]).collect();
            let next: Vec<_> = left.iter().take(8).map(|(_, entry)| *entry).collect();
            panic!(
                "mutex {mutex} is not linearizable: after (last first) {last:#?} none of {next:#?} can come"
            );
        }
    }
    for node in nodes {
        node.stop().await;
    }
}

async fn record(mutexes: Mutexes, mut random: Random, clock: Arc<AtomicU64>) -> Vec<(u64, Entry<Operation>)> {
    let mut history = Vec::new();
    for _ in 0..CALLS_PER_CLIENT {
        let (mutex, transaction) = (random.below(MUTEXES), random.below(TRANSACTIONS));
        let (property, name) = (format!("p{mutex}"), format!("t{transaction}"));
        let kind = random.below(20);
        let invoked = clock.fetch_add(1, Ordering::SeqCst);
        let answer = match kind {
            0..8 => mutexes.lock(&property, &name).await,
            8..15 => mutexes.unlock(&property, &name).await,
            15..19 => mutexes.get(&property).await,
            _ => mutexes.delete(&property).await,
        };
        let answered = clock.fetch_add(1, Ordering::SeqCst);
        let operation = match kind {
            _ if answer.status == 503 => Operation::Refused,
            0..8 => Operation::Lock(transaction, seen_or(&answer, 409)),
            8..15 if answer.status == 400 => Operation::Unlock(transaction, Unlocked::NotMine),
            8..15 => {
                let seen = seen_or(&answer, 404);
                Operation::Unlock(transaction, seen.map_or(Unlocked::Free, Unlocked::Done))
            }
            15..19 => Operation::Get(seen_or(&answer, 404)),
            _ => Operation::Delete(seen_or(&answer, 404)),
        };
        history.push((mutex, Entry { invoked, answered, operation }));
    }
    history
}

/// The mutex in the answer, or `None` for the one other status that it may have.
fn seen_or(answer: &Response, status: u16) -> Option<Seen> {
    if answer.status == status {
        assert_eq!(answer.refusals()[0].component, "mutex");
        return None;
    }
    let item = answer.item();
    let transaction = text(&item, "transactionId").strip_prefix('t').unwrap().parse().unwrap();
    Some(Seen { transaction, count: int(&item, "referenceCount"), revision: int(&item, "revision") })
}

on_both_engines! {
    histories_are_linearizable
}
