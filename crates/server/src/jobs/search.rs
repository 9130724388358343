//! Finds queues with work that nobody has told of: after a start, after a namespace was switched to `enableAutoRun`, and
//! those of nodes that were killed.

use std::sync::Arc;
use std::time::Duration;

use hiroba_api::job_queue::{Namespaces, SERVICE};
use hiroba_store::{Engine, Tx, params};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Lane;
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Core;
use crate::services::job_queue::attempt;
use crate::services::namespaces::read_all;

/// Time between two searches, where there may be other nodes.
const PERIOD: Duration = Duration::from_secs(3);
/// Time after which a search that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Queues that one transaction looks for.
const LANES_MAX: i64 = 1000;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Owners that have namespaces of a service.
        SELECT_OWNERS = "SELECT DISTINCT owner_id FROM namespace WHERE service = $1";
        /// Players behind `$3` whose queues in a namespace hold jobs, each found by one look-up. Queues of other nodes
        /// whose leases last are left out.
        SELECT_LANES = "WITH RECURSIVE lane(user_id) AS (
                SELECT min(user_id) FROM job_queue_job
                WHERE owner_id = $1 AND namespace_name = $2 AND user_id > $3
              UNION ALL
                SELECT (SELECT min(j.user_id) FROM job_queue_job j
                    WHERE j.owner_id = $1 AND j.namespace_name = $2 AND j.user_id > lane.user_id)
                FROM lane WHERE lane.user_id IS NOT NULL)
            SELECT user_id FROM lane WHERE user_id IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM job_queue_lane l JOIN gateway_node n ON n.node_id = l.node_id
                WHERE l.owner_id = $1 AND l.namespace_name = $2 AND l.user_id = lane.user_id
                  AND n.node_id <> $4 AND n.expires_at > $5)
            LIMIT $6";
        /// Queues that a node has claimed.
        SELECT_CLAIMED = "SELECT owner_id, namespace_name, user_id FROM job_queue_lane WHERE node_id = $1 LIMIT $2";
        /// Gives all queues of a node up.
        DELETE_CLAIMED = "DELETE FROM job_queue_lane WHERE node_id = $1";
    }
}

/// Searches at the start, and then for what other nodes left, until `stop` says so.
pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        match search(&core).await {
            Ok(()) if core.store.engine() == Engine::Sqlite => return,
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, "searching for waiting jobs failed; trying again");
                ticks.reset_after(AGAIN);
            }
        }
    }
}

async fn search(core: &Arc<Core>) -> Result<(), Error> {
    release_forgotten(core).await?;
    let owners = core
        .store
        .read(|tx| Ok::<_, Error>(tx.query(sql::SELECT_OWNERS, params![SERVICE.name], |row| row.text(0))?))
        .await?;
    for owner in owners {
        let cx = Cx::of_owner(core, &owner);
        let namespaces = core.store.read(move |tx| read_all::<Namespaces>(tx, &cx)).await?;
        for namespace in namespaces.into_iter().filter(|namespace| namespace.enable_auto_run) {
            find(core, &owner, &namespace.name).await?;
        }
        for namespace in crate::services::triggers::NAMESPACES {
            find(core, &owner, namespace).await?;
        }
    }
    Ok(())
}

/// Finds the queues of a namespace that have work; a failure is logged.
pub(crate) fn find_in_background(core: &Arc<Core>, owner: String, namespace: String) {
    let finding = Arc::clone(core);
    core.jobs.runtime.spawn(async move {
        while let Err(error) = find(&finding, &owner, &namespace).await {
            tracing::warn!(%error, "searching for waiting jobs failed; trying again");
            tokio::time::sleep(AGAIN).await;
        }
    });
}

async fn find(core: &Arc<Core>, owner: &str, namespace: &str) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let (owning, name, node) = (owner.to_owned(), namespace.to_owned(), core.hub.node().to_owned());
        let now = core.clock.now().0;
        let users = core.store.read(move |tx| {
            let params = params![&owning, &name, &after, &node, now, LANES_MAX];
            Ok::<_, Error>(tx.query(sql::SELECT_LANES, params, |row| row.text(0))?)
        });
        let users = users.await?;
        let count = users.len() as i64;
        let Some(last) = users.last().cloned() else { return Ok(()) };
        users.iter().for_each(|user| core.jobs.wake(core, Lane::new(owner, namespace, user)));
        if count < LANES_MAX {
            return Ok(());
        }
        after = last;
    }
}

/// Gives up what this node has claimed and does not visit: a call of `run` that failed halfway may leave such a queue.
async fn release_forgotten(core: &Arc<Core>) -> Result<(), Error> {
    if core.store.engine() == Engine::Sqlite {
        return Ok(());
    }
    let node = core.hub.node().to_owned();
    let claimed = core.store.read(move |tx| {
        Ok::<_, Error>(tx.query(sql::SELECT_CLAIMED, params![&node, LANES_MAX], |row| {
            Ok(Lane { owner: row.text(0)?, namespace: row.text(1)?, user: row.text(2)? })
        })?)
    });
    for lane in claimed.await? {
        if core.jobs.state.lock().lanes.knows(&lane) {
            continue;
        }
        let lane = Arc::new(lane);
        // While it is entered nobody can claim it anew.
        let Some(_place) = core.jobs.enter(core, &lane) else { continue };
        let (node, releasing) = (core.hub.node().to_owned(), Arc::clone(&lane));
        core.store.write(move |tx| attempt::release(tx, &releasing, &node)).await?;
    }
    Ok(())
}

/// Gives up all queues of this node, so that others take them at once.
pub(super) async fn leave(core: &Arc<Core>) {
    if core.store.engine() == Engine::Sqlite {
        return;
    }
    let node = core.hub.node().to_owned();
    let release = move |tx: &mut Tx<'_>| {
        tx.execute(sql::DELETE_CLAIMED, params![&node])?;
        Ok::<_, Error>(())
    };
    if let Err(error) = core.store.write(release).await {
        tracing::warn!(%error, "the queues of this node could not be given up; they go with its lease");
    }
}
