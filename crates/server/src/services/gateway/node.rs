//! This node among those that serve sockets: its lease, and the sessions that end with it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hiroba_api::contract::UnixMillis;
use hiroba_store::{Engine, Tx, params};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::session;
use crate::error::Error;
use crate::hub::{Player, Reason};
use crate::pipeline::Core;

/// How long a node that does not renew its lease is taken for alive.
const LEASE_MS: i64 = 10_000;
/// Time between two renewals.
const RENEWAL: Duration = Duration::from_secs(3);
/// Time after which removing the sessions of closed sockets is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Closed sockets whose sessions one transaction removes.
const CLOSED_MAX: usize = 500;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Takes a lease, or renews it.
        UPSERT_NODE = "INSERT INTO gateway_node (node_id, expires_at) VALUES ($1, $2)
            ON CONFLICT (node_id) DO UPDATE SET expires_at = excluded.expires_at";
        /// Renews a lease.
        UPDATE_NODE = "UPDATE gateway_node SET expires_at = $2 WHERE node_id = $1";
        /// Gives a lease up.
        DELETE_NODE = "DELETE FROM gateway_node WHERE node_id = $1";
        /// Removes the sessions of one node.
        DELETE_SESSIONS = "DELETE FROM gateway_session WHERE node_id = $1";
        /// Whether there are sessions.
        SELECT_ANY = "SELECT 1 FROM gateway_session LIMIT 1";
        /// Removes all sessions.
        DELETE_ALL_SESSIONS = "DELETE FROM gateway_session";
        /// Removes the leases of other nodes that have ended, with the sessions of nodes that have none.
        DELETE_ENDED = "DELETE FROM gateway_node WHERE node_id <> $1 AND expires_at <= $2";
        /// Removes the sessions of nodes without a lease.
        DELETE_ORPHANS = "DELETE FROM gateway_session WHERE node_id <> $1 AND NOT EXISTS (
            SELECT 1 FROM gateway_node n WHERE n.node_id = gateway_session.node_id)";
    }
}

/// Takes this node's lease before the first socket opens. What a node on the embedded store left when it was killed is
/// removed here: nobody else can be using that store.
pub(crate) async fn join(core: &Core) -> Result<(), Error> {
    let node = core.hub.node().to_owned();
    match core.store.engine() {
        Engine::Sqlite => {
            let any =
                core.store.read(|tx| Ok::<_, Error>(tx.query_opt(sql::SELECT_ANY, &[], |row| row.int(0))?));
            if any.await?.is_some() {
                let clear = |tx: &mut Tx<'_>| {
                    tx.execute(sql::DELETE_ALL_SESSIONS, &[])?;
                    Ok::<_, Error>(())
                };
                core.store.write(clear).await?;
            }
            Ok(())
        }
        Engine::Postgres => {
            let expires_at = core.clock.now().0 + LEASE_MS;
            let take = move |tx: &mut Tx<'_>| {
                tx.execute(sql::UPSERT_NODE, params![&node, expires_at])?;
                Ok::<_, Error>(())
            };
            core.store.write(take).await
        }
    }
}

/// Renews the lease and removes the sessions of sockets that close, until the server stops; then gives everything up.
pub(crate) async fn run(
    core: Arc<Core>,
    mut closed: mpsc::UnboundedReceiver<Arc<str>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut renewals = interval(RENEWAL);
    renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let leased = core.store.engine() == Engine::Postgres;
    let mut batch: Vec<Arc<str>> = Vec::new();
    loop {
        // A store that cannot be reached keeps neither the lease nor the stop waiting.
        let retrying = !batch.is_empty();
        let deletes = tokio::select! {
            received = closed.recv_many(&mut batch, CLOSED_MAX), if !retrying => {
                if received == 0 {
                    return;
                }
                true
            }
            () = tokio::time::sleep(RETRY), if retrying => true,
            _ = renewals.tick(), if leased => {
                renew(&core).await;
                false
            }
            _ = stop.changed() => break,
        };
        if deletes && let Err(error) = delete_closed(&core, &mut batch).await {
            tracing::warn!(%error, "the sessions of closed sockets could not be removed; trying again");
        }
    }
    if let Err(error) = leave(&core).await {
        tracing::warn!(%error, "the sessions of this node could not be removed; they end with its lease");
    }
}

/// Removes the sessions of sockets that have closed, and then forgets the sockets.
async fn delete_closed(core: &Core, connection_ids: &mut Vec<Arc<str>>) -> Result<(), Error> {
    let deleting = connection_ids.clone();
    core.store.write(move |tx| session::delete_closed(tx, &deleting)).await?;
    connection_ids.clear();
    Ok(())
}

async fn renew(core: &Core) {
    let (node, expires_at) = (core.hub.node().to_owned(), core.clock.now().0 + LEASE_MS);
    let renew = move |tx: &mut Tx<'_>| {
        if tx.execute(sql::UPDATE_NODE, params![&node, expires_at])? == 1 {
            return Ok::<_, Error>(true);
        }
        tx.execute(sql::UPSERT_NODE, params![&node, expires_at])?;
        Ok(false)
    };
    match core.store.write(renew).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(
                "this node's lease had ended and its sessions were removed; closing its players' sockets"
            );
            core.hub.disconnect_bound(Reason::LeaseLost);
        }
        Err(error) => tracing::warn!(%error, "this node's lease could not be renewed; trying again"),
    }
}

/// Makes the hub's bindings those of the store again, after other nodes could not tell what they changed: sockets whose
/// place was given away are closed, and players that were bound from elsewhere are bound.
pub(crate) async fn reconcile(core: &Core) -> Result<(), Error> {
    // First what is here, then what should be: a binding that is made meanwhile is in both or in the store alone.
    let here = core.hub.bindings();
    let node = core.hub.node().to_owned();
    let stored = core.store.read(move |tx| session::of_node(tx, &node)).await?;
    let kept: HashSet<(&str, &Player)> = stored.iter().map(|(id, player, _)| (id.as_str(), player)).collect();
    let given_away = here.into_iter().filter(|(id, player)| !kept.contains(&(&**id, player)));
    let given_away: Vec<(Arc<str>, Player)> = given_away.collect();
    // A socket that was bound to another player meanwhile has kept its place.
    let here = core.hub.bindings();
    for binding in given_away.iter().filter(|binding| here.contains(binding)) {
        core.hub.disconnect(&binding.0, Reason::Replaced);
    }
    for (connection_id, player, sequence) in stored {
        core.hub.bind(&connection_id, &player, sequence);
    }
    Ok(())
}

/// Gives up the lease, and the sessions with it.
async fn leave(core: &Core) -> Result<(), Error> {
    let node = core.hub.node().to_owned();
    let leave = move |tx: &mut Tx<'_>| {
        tx.execute(sql::DELETE_SESSIONS, params![&node])?;
        tx.execute(sql::DELETE_NODE, params![&node])?;
        Ok::<_, Error>(())
    };
    core.store.write(leave).await
}

/// Removes what nodes left whose leases have ended.
pub(crate) fn sweep(tx: &mut Tx<'_>, node: &str, now: UnixMillis) -> Result<(), Error> {
    tx.execute(sql::DELETE_ENDED, params![node, now.0])?;
    tx.execute(sql::DELETE_ORPHANS, params![node])?;
    Ok(())
}
