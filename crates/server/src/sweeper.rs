//! Removes in the background what has expired and is invisible already: mutexes, results of jobs, kept answers,
//! messages, federations, uploads, files of user data, logs, sessions of killed nodes.

use std::sync::Arc;
use std::time::Duration;

use hiroba_store::Engine;
use tokio::sync::watch;

use crate::error::Error;
use crate::logs;
use crate::pipeline::{Core, sweep_answers};
use crate::services::gateway::node;
use crate::services::job_queue::result;
use crate::services::lock::mutex;
use crate::services::{auth, chat, distributor, masters, uploads, user_data};

/// Time between two sweeps.
const PERIOD: Duration = Duration::from_secs(30);
/// Rows that one transaction looks at or removes, so that no caller waits long behind it.
const ROWS_MAX: i64 = 500;
/// Uploads and documents that one transaction removes; each may have megabytes.
const UPLOADS_MAX: i64 = 8;

/// Sweeps until `stop` says so.
pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is at once; a start has better things to do.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        if let Err(error) = sweep(&core).await {
            tracing::warn!(%error, "sweeping failed; the next sweep tries again");
        }
    }
}

/// One sweep over everything that can expire.
pub(crate) async fn sweep(core: &Arc<Core>) -> Result<(), Error> {
    sweep_mutexes(core).await?;
    sweep_results(core).await?;
    chat::sweep(core).await?;
    logs::store::sweep(core).await?;
    let now = core.clock.now();
    while core.store.write(move |tx| sweep_answers(tx, now, ROWS_MAX)).await? == ROWS_MAX.unsigned_abs() {}
    while core.store.write(move |tx| auth::sweep(tx, now, ROWS_MAX)).await? == ROWS_MAX.unsigned_abs() {}
    while core.store.write(move |tx| uploads::sweep(tx, now, UPLOADS_MAX)).await?
        == UPLOADS_MAX.unsigned_abs()
    {}
    while core.store.write(move |tx| distributor::sweep(tx, now, ROWS_MAX)).await? == ROWS_MAX.unsigned_abs()
    {
    }
    while core.store.write(move |tx| masters::sweep(tx, now, UPLOADS_MAX)).await?
        == UPLOADS_MAX.unsigned_abs()
    {}
    user_data::sweep(core).await?;
    if core.store.engine() == Engine::Postgres {
        let node = core.hub.node().to_owned();
        core.store.write(move |tx| node::sweep(tx, &node, now)).await?;
    }
    Ok(())
}

async fn sweep_results(core: &Core) -> Result<(), Error> {
    let mut after = Some((-1, -1));
    while let Some(place) = after {
        let now = core.clock.now();
        let (next, expired) =
            core.store.read(move |tx| result::find_expired(tx, place, ROWS_MAX, now)).await?;
        after = next;
        if !expired.is_empty() {
            core.store.write(move |tx| result::delete_expired(tx, &expired, now)).await?;
        }
    }
    Ok(())
}

async fn sweep_mutexes(core: &Core) -> Result<(), Error> {
    let mut after = Some(mutex::Key::default());
    while let Some(place) = after {
        let now = core.clock.now();
        let (next, expired) =
            core.store.read(move |tx| mutex::find_expired(tx, &place, ROWS_MAX, now)).await?;
        if !expired.is_empty() {
            let deleted = core.store.write(move |tx| mutex::delete_expired(tx, &expired, now)).await?;
            core.metrics.swept_mutexes.inc_by(deleted);
        }
        after = next;
    }
    Ok(())
}
