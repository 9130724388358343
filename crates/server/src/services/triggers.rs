//! Scripts and events that services set off around a change, as their `ScriptSetting` says (BEHAVIOUR SC-08, SC-30, SC-31,
//! CH-70 … CH-74).
//!
//! What follows a change is a job in the change's own transaction, so that none is lost: in the JobQueue namespace that the
//! setting names, or in queues of the server itself, whose namespaces no caller can name.

use std::sync::Arc;
use std::time::Instant;

use hiroba_api::contract::Fields;
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::grn::Grn;
use hiroba_api::job_queue::{JobEntry, Namespace, Namespaces, SERVICE as JOB_QUEUE};
use hiroba_api::names::{GrnText, UserId};
use hiroba_api::namespace::ScriptSetting;
use hiroba_lua::Outcome;
use hiroba_store::{Tx, params};
use serde_json::Value;

use super::distributor::{self, Mode};
use super::job_queue::attempt::{self, Tried};
use super::job_queue::job::{self, Queued};
use super::namespaces;
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs::Lane;
use crate::outbound::eventbridge::Event;
use crate::pipeline::{Core, Origin, forget};
use crate::scripts::{self, Work};

/// Queues of scripts without a JobQueue namespace.
const SCRIPTS: &str = ":script";
/// Queues of events for Amazon EventBridge.
const EVENTS: &str = ":event";
/// The namespaces of the server's own queues; their names are none that a caller can give.
pub(crate) const NAMESPACES: [&str; 3] = [SCRIPTS, EVENTS, distributor::QUEUE];
/// Attempts at delivering an event, up to a minute apart: about an hour and a half.
const EVENT_TRIES: i64 = 100;

/// What a trigger is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    /// Name of the service: `chat`.
    pub(crate) service: &'static str,
    /// Model that a refusal names: `room`.
    pub(crate) model: &'static str,
    /// What is being done: `createRoom`.
    pub(crate) action: &'static str,
}

/// Runs the script before a change, if the setting names one, and answers its `result`.
///
/// A transaction that the script records is made with the change, as `transactions` says where the script's own namespace says
/// nothing. A script that fails makes the call fail: with the status that it gave to `fail`, else with 500 (BEHAVIOUR CH-72).
pub(crate) async fn before(
    cx: &Arc<Cx>,
    setting: Option<&ScriptSetting>,
    subject: Subject,
    args: &Value,
    transactions: Mode,
) -> Result<Option<Fields>, Error> {
    let Some(script_id) = setting.and_then(|setting| setting.trigger_script_id.as_ref()) else {
        return Ok(None);
    };
    let refuse = |status, detail: String| {
        let item = ErrorItem::new(subject.service, subject.model, "script", "failed", detail);
        Err(ApiError::one(status, item).into())
    };
    let target = match scripts::find(&cx.core, &cx.project, script_id, Instant::now()).await? {
        Ok(target) => target,
        Err(_) => {
            let detail =
                format!("the trigger script `{script_id}` does not exist; mend the namespace's setting");
            return refuse(Status::Internal, detail);
        }
    };
    let entropy = cx.entropy.bytes();
    let seed = u64::from(u32::from_be_bytes([entropy[0], entropy[1], entropy[2], entropy[3]]));
    let work = Work { target, args: args.to_string().into(), origin: Origin::of(cx), random: None, seed };
    let outcome = scripts::run(&cx.core, work).await?;
    if outcome.status == 200 {
        *cx.recorded.lock() =
            outcome.transaction.map(|transaction| (script_id.to_string(), transaction, transactions));
        return match serde_json::from_str(&outcome.result) {
            Ok(Value::Object(result)) => Ok(Some(result)),
            _ => {
                refuse(Status::Internal, format!("`result` of `{script_id}` is no table with named members"))
            }
        };
    }
    let status = Status::from_code(outcome.status).unwrap_or(match outcome.status {
        400..=499 => Status::BadRequest,
        _ => Status::Internal,
    });
    refuse(status, format!("the trigger script `{script_id}` failed: {}", outcome.result))
}

/// Has done after the change of this transaction what the setting says, in the order of this player's changes.
pub(crate) fn done(
    tx: &mut Tx<'_>,
    cx: &Cx,
    player: Option<&UserId>,
    setting: Option<&ScriptSetting>,
    subject: Subject,
    args: &Value,
) -> Result<(), Error> {
    let Some(setting) = setting else { return Ok(()) };
    commit_recorded(tx, cx, player)?;
    match (setting.done_trigger_target_type.as_deref(), &setting.done_trigger_script_id) {
        (Some("gs2_script"), Some(script_id)) => {
            let queue = setting.done_trigger_queue_namespace_id.as_ref();
            let namespace = match queue {
                Some(id) => queue_namespace(tx, cx, subject, id)?,
                None => None,
            };
            match (namespace, player) {
                (Some(namespace), Some(user)) => {
                    let args = Some(args.to_string());
                    let entry = JobEntry { script_id: script_id.clone(), args, max_try_count: None };
                    job::push(tx, cx, &namespace, user, &[entry]).map(|_| ())
                }
                // Once: whatever becomes of it is logged only (BEHAVIOUR SC-31).
                _ => push(tx, cx, (SCRIPTS, player), script_id, args.to_string(), 1),
            }
        }
        (Some("aws"), _) => {
            let name = format!("{}:{}", subject.service, subject.action);
            push(tx, cx, (EVENTS, player), &name, args.to_string(), EVENT_TRIES)
        }
        _ => Ok(()),
    }
}

/// Makes the transaction that the script before the change recorded, in the change's own transaction: what fails of it fails the
/// call.
fn commit_recorded(tx: &mut Tx<'_>, cx: &Cx, player: Option<&UserId>) -> Result<(), Error> {
    let Some((script_id, transaction, mode)) = cx.recorded.lock().clone() else { return Ok(()) };
    let recorded = distributor::recorded(tx, cx, Some(&script_id), transaction, &mode)?;
    let issued = distributor::issue(tx, cx, player, recorded)?;
    if let Some(error) = issued.error() {
        return Err(error.into());
    }
    if issued.sheet.is_some() {
        warn(&cx.core, &script_id);
    }
    // This may run twice.
    *cx.transactions.lock() = vec![issued.noted()];
    Ok(())
}

/// Nobody gets the sheet of a trigger's transaction, since no answer has a place for it.
fn warn(core: &Core, script_id: &str) {
    core.warned.once(&format!("sheet {script_id}"), || {
        tracing::warn!(
            "the trigger script `{script_id}` made a transaction for a client to run, and no client gets its sheet: set \
             `enableAutoRun` in the `transactionSetting` of the script's namespace"
        );
    });
}

/// The JobQueue namespace that a setting names.
fn queue_namespace(
    tx: &mut Tx<'_>,
    cx: &Cx,
    subject: Subject,
    id: &GrnText,
) -> Result<Option<Namespace>, Error> {
    let id = cx.project.expand(id);
    let grn = Grn::parse(&id).filter(|grn| grn.owner == cx.owner() && grn.service == JOB_QUEUE.grn);
    let namespace = match grn {
        Some(grn) => namespaces::read::<Namespaces>(tx, cx, grn.rest)?,
        None => None,
    };
    if namespace.is_none() {
        let Subject { service, action, .. } = subject;
        tracing::warn!(
            "the done trigger of {service} {action} names the JobQueue namespace `{id}`, which does not exist; \
             its script runs once, without a queue"
        );
    }
    Ok(namespace)
}

/// Adds a job to a queue of the server itself, in the order of the player's changes.
fn push(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, player): (&str, Option<&UserId>),
    script_id: &str,
    args: String,
    max_try_count: i64,
) -> Result<(), Error> {
    let entry = JobEntry { script_id: GrnText::trusted(script_id), args: Some(args), max_try_count: None };
    let user = player.map_or("", UserId::as_str);
    for job in job::enqueued(tx, cx, &[entry])? {
        job::insert_next(tx, (cx.owner(), namespace, user), &Queued { max_try_count, ..job })?;
    }
    let (core, lane) = (Arc::clone(&cx.core), Lane::new(cx.owner(), namespace, user));
    tx.on_commit(move || core.jobs.wake(&core, lane));
    Ok(())
}

/// The event that a job of the server's own queues is to deliver, if it is one.
pub(crate) fn event(lane: &Lane, job: &Queued) -> Option<Event> {
    if lane.namespace != EVENTS {
        return None;
    }
    let (service, action) = job.script_id.split_once(':')?;
    Some(Event {
        source: format!("gs2.{service}"),
        detail_type: action.to_owned(),
        detail: job.args.to_string(),
        resources: Vec::new(),
    })
}

/// Whether what became of a job of the server's own queues says that another attempt is in vain.
pub(crate) fn is_hopeless(lane: &Lane, status: u16) -> bool {
    lane.namespace == EVENTS && (400..500).contains(&status)
}

/// Delivers an event. Its status is 503 when another attempt may succeed, 400 when it would be in vain.
pub(crate) async fn deliver(core: &Arc<Core>, event: Event) -> Outcome {
    let now = core.clock.now().0.div_euclid(1000);
    match core.eventbridge.put(event, now).await {
        Ok(()) => Outcome {
            status: 200,
            result: "{}".to_owned(),
            ..scripts::failed(&scripts::failure(200, "event", "failed", String::new()))
        },
        Err(undelivered) => {
            let status = if undelivered.retry { 503 } else { 400 };
            scripts::failed(&scripts::failure(status, "event", "failed", undelivered.message))
        }
    }
}

/// Looks at what a job's script came to that made a transaction: the result of one in the server's own queues goes to nobody.
pub(crate) fn look(core: &Core, lane: &Lane, script_id: &str, outcome: &Outcome) {
    if lane.namespace == SCRIPTS && distributor::has_sheet(&outcome.result) {
        warn(core, script_id);
    }
}

/// Takes a job of the server's own queues out, or leaves it there for another attempt. What failed for good is logged.
pub(crate) fn settle(tx: &mut Tx<'_>, lane: &Lane, tried: &Tried) -> Result<(), Error> {
    let job = &tried.job;
    let key = (&lane.owner, &lane.namespace, &lane.user);
    if tried.succeeded() || tried.is_last() {
        if !tried.succeeded() {
            let (owner, what, error) = (lane.owner.clone(), job.script_id.clone(), tried.result.clone());
            tx.on_commit(move || tracing::warn!(owner, what, error, "what the server had queued failed"));
        }
        tx.execute(attempt::sql::FINISH_JOB, params![key.0, key.1, key.2, job.sequence])?;
        forget(tx, &lane.owner, &tried.made)
    } else {
        let count = job.retry_count + 1;
        let params = params![key.0, key.1, key.2, job.sequence, count, tried.tried_at.0];
        tx.execute(attempt::sql::RETRY_JOB, params)?;
        Ok(())
    }
}
