//! Running the first job of a queue on request: `/job-queue/{namespaceName}/user/{userId}/job/run` (BEHAVIOUR J-20 …
//! J-26).

use std::sync::Arc;
use std::time::Instant;

use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::job_queue::{JobResultBody, Namespace, Namespaces, Ran, Run, SERVICE};
use hiroba_store::{Engine, StoreError, Tx};

use super::attempt::{self, Tried};
use super::job::{Queued, small};
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs::Lane;
use crate::pipeline::{Once, Origin};
use crate::registry::Registry;
use crate::scripts::{self, Work};
use crate::services::distributor::{self, Mode};
use crate::services::namespaces;

pub(super) fn register(registry: &mut Registry) {
    registry.call(run);
}

const EMPTY: Ran = Ran { item: None, result: None, is_last_job: true };

async fn run(cx: Arc<Cx>, request: Arc<Run>) -> Result<Ran, Error> {
    let namespace = namespaces::cached::<Namespaces>(&cx, &request.namespace_name).await?;
    if namespace.enable_auto_run {
        return Ok(EMPTY);
    }
    // On a task of its own: a caller who goes away must not leave a script running whose place is free again.
    let ran = tokio::spawn(run_first(cx, namespace)).await;
    ran.map_err(|error| Error::internal("running a job", error))?
}

async fn run_first(cx: Arc<Cx>, namespace: Arc<Namespace>) -> Result<Ran, Error> {
    let core = Arc::clone(&cx.core);
    let lane = Arc::new(Lane::new(cx.owner(), &namespace.name, cx.user()?));
    let Some(_place) = core.jobs.enter(&core, &lane) else { return Err(conflict()) };
    let since = Instant::now();
    let Some(job) = take(&cx, &lane).await? else { return Ok(EMPTY) };

    let once = Arc::new(Once::new(&job.name));
    let origin = Origin { once: Some(Arc::clone(&once)), ..Origin::of(&cx) };
    let tried_at = core.clock.now();
    let outcome = match scripts::find(&core, &cx.project, &job.script_id, since).await? {
        Err(failure) => scripts::failed(&failure),
        Ok(target) => {
            let (args, seed) = (attempt::args(&job), attempt::seed(&job));
            let work = Work { target, args, origin: origin.clone(), random: None, seed };
            let outcome = scripts::run(&core, work).await?;
            let mode =
                Mode::new(namespace.transaction_setting.as_ref(), namespace.transaction_setting_v2.as_ref());
            distributor::after_job(&core, &origin, &job.script_id, outcome, mode).await?
        }
    };
    if outcome.status >= 300 && once.was_unavailable() {
        // The store's trouble is not the job's: such an attempt does not count.
        return Err(StoreError::Unavailable("a call of the job's script could not be made".to_owned()).into());
    }
    let tried = Arc::new(Tried::new(job, outcome, tried_at, once.made()));
    let (settling, settled, name) = (Arc::clone(&cx), Arc::clone(&tried), namespace.name.clone());
    let now = core.clock.now();
    let is_last_job = cx
        .write(move |tx| {
            attempt::settle(tx, &settling, &lane, &namespace, &settled, now)?;
            if let Some(node) = claims(&settling) {
                attempt::release(tx, &lane, node)?;
            }
            Ok::<_, Error>(!attempt::any(tx, &lane)?)
        })
        .await?;
    core.jobs.metrics.count(&tried, false);
    let body = JobResultBody {
        // Counted from 1 here (BEHAVIOUR J-31).
        try_number: small(tried.job.retry_count + 1),
        status_code: i32::from(tried.status),
        result: tried.result.clone(),
        try_at: tried.tried_at,
    };
    let item = tried.job.model(&cx, &name, cx.user()?);
    Ok(Ran { item: Some(item), result: Some(body), is_last_job })
}

/// The node that claims queues, where there may be several and the call is no dry run.
fn claims(cx: &Cx) -> Option<&str> {
    (cx.core.store.engine() == Engine::Postgres && !cx.dry_run).then(|| cx.core.hub.node())
}

/// The first job of the queue, which nobody else tries until it is settled.
async fn take(cx: &Arc<Cx>, lane: &Arc<Lane>) -> Result<Option<Queued>, Error> {
    let (taking, lane) = (Arc::clone(cx), Arc::clone(lane));
    let take = move |tx: &mut Tx<'_>| {
        let first = attempt::head(tx, &lane, 1)?.jobs.pop();
        match claims(&taking) {
            Some(node) if first.is_some() && !attempt::claim(tx, &lane, node, taking.now)? => Err(conflict()),
            _ => Ok(first),
        }
    };
    if claims(cx).is_some() { cx.write(take).await } else { cx.read(take).await }
}

/// The special code that SDKs look for (BEHAVIOUR E-11, J-25).
fn conflict() -> Error {
    let detail = "another job of this player's queue is running; repeat the call when it is done";
    let item = ErrorItem {
        code: "jobQueue.execution.conflict".to_owned(),
        ..ErrorItem::new(SERVICE.name, "job", "execution", "duplicate", detail)
    };
    ApiError::one(Status::Conflict, item).into()
}
