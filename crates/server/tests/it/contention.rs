//! Many callers, one mutex: exactly one holds it at any time (BEHAVIOUR L-14), and grants carry growing fencing numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use futures_util::future::join_all;
use hiroba_testkit::api::{Mutexes, int};
use hiroba_testkit::{Database, Random, TestServer, on_both_engines, within};
use tokio::sync::watch;

const CALLERS: u64 = 64;
/// Grants of a test run, all callers together.
const GRANTS: u64 = 100;
/// One caller out of so many asks again at once; the others wait until the mutex was freed, and then ask all together.
const IMPATIENT: u64 = 32;

/// What the callers share besides the mutex.
#[derive(Default)]
struct Shared {
    /// Number of the caller inside, plus one; 0 when nobody is.
    holder: AtomicU64,
    /// Fencing number of the last grant. Only who is inside changes it.
    revision: AtomicI64,
    grants: AtomicU64,
    refusals: AtomicU64,
    /// How often the mutex was freed.
    freed: watch::Sender<u64>,
}

/// On PostgreSQL the callers are at two nodes.
async fn one_holds_it_at_any_time(database: Database) {
    let nodes = TestServer::nodes(&database).await;
    let api = nodes[0].api().await;
    api.create_namespace("ns").await;
    let mut random = Random::new();
    let shared = Arc::new(Shared::default());
    let callers = (0..CALLERS).map(|caller| {
        let node = &nodes[caller as usize % nodes.len()];
        let (mutexes, random) = (api.at(node.address()).mutexes("ns", "alice"), random.fork());
        tokio::spawn(fight(mutexes, caller, random, Arc::clone(&shared)))
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    let (grants, refusals) = (shared.grants.load(Ordering::SeqCst), shared.refusals.load(Ordering::SeqCst));
    assert!(grants >= GRANTS);
    println!("{grants} grants, {refusals} refusals");
    assert_eq!(nodes[0].count("SELECT COUNT(*) FROM lock_mutex").await, 0);
    for node in nodes {
        node.stop().await;
    }
}

async fn fight(mutexes: Mutexes, caller: u64, mut random: Random, shared: Arc<Shared>) {
    let transaction = format!("transaction-{caller}");
    let mut freed = shared.freed.subscribe();
    while shared.grants.load(Ordering::SeqCst) < GRANTS {
        freed.mark_unchanged();
        let answer = mutexes.lock("p", &transaction).await;
        if answer.status == 409 {
            shared.refusals.fetch_add(1, Ordering::SeqCst);
            if !caller.is_multiple_of(IMPATIENT) {
                within("the holder to free the mutex", freed.changed()).await.unwrap();
            }
            continue;
        }
        let revision = int(&answer.item(), "revision");
        let before = shared.holder.swap(caller + 1, Ordering::SeqCst);
        assert_eq!(before, 0, "caller {caller} came in while another was there");
        let last = shared.revision.swap(revision, Ordering::SeqCst);
        assert!(revision > last, "revision {revision} was granted after {last}");
        shared.grants.fetch_add(1, Ordering::SeqCst);

        // Some go in more than once.
        let deeper = random.below(3);
        for _ in 0..deeper {
            let revision = int(&mutexes.lock("p", &transaction).await.item(), "revision");
            assert!(revision > shared.revision.swap(revision, Ordering::SeqCst));
        }
        for left in (1..=deeper).rev() {
            assert_eq!(int(&mutexes.unlock("p", &transaction).await.item(), "referenceCount"), left as i64);
        }
        let there = shared.holder.swap(0, Ordering::SeqCst);
        assert_eq!(there, caller + 1, "another came in while caller {caller} was there");
        // A revision may have been drawn for the unlocks above; only grants are compared.
        assert_eq!(int(&mutexes.unlock("p", &transaction).await.item(), "referenceCount"), 0);
        shared.freed.send_modify(|count| *count += 1);
    }
}

on_both_engines! {
    one_holds_it_at_any_time
}
