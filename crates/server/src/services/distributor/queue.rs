//! Transactions that run after the call that makes them: jobs in a queue of the server itself, so that none is lost and those of
//! a player keep their order (BEHAVIOUR DT-30, DT-32, DT-39).

use std::sync::Arc;

use hiroba_api::contract::UnixMillis;
use hiroba_api::distributor::StampSheetResult;
use hiroba_api::job_queue::JobEntry;
use hiroba_api::names::{GrnText, UserId};
use hiroba_api::script::Transaction;
use hiroba_lua::Outcome as Ran;
use hiroba_store::Tx;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::{self, Outcome, Role};
use super::record::{self, Executed};
use super::result::{self, Place, of_player};
use super::{setting, together};
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs::Lane;
use crate::logs::Line;
use crate::pipeline::{Core, Once, Origin};
use crate::scripts;
use crate::services::job_queue::job::{self, Queued};

/// The namespace of its queues; its name is none that a caller can give.
pub(crate) const NAMESPACE: &str = ":transaction";
/// Attempts at a transaction that meets conflicts or trouble, up to a minute apart: about an hour and a half.
const TRIES: i64 = 100;

/// What a job says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    distributor: String,
    atomic: bool,
    transaction: Value,
}

/// Has a transaction run, behind those that the player made before.
pub(super) fn push(
    tx: &mut Tx<'_>,
    cx: &Cx,
    user: &UserId,
    distributor: &str,
    atomic: bool,
    transaction: &Transaction,
) -> Result<(), Error> {
    let write = |error| Error::internal("writing a transaction", error);
    let value = serde_json::to_value(transaction).map_err(write)?;
    let args = Args { distributor: distributor.to_owned(), atomic, transaction: value };
    let args = serde_json::to_string(&args).map_err(write)?;
    let script_id = GrnText::trusted(&*transaction.transaction_id);
    let entry = JobEntry { script_id, args: Some(args), max_try_count: None };
    for job in job::enqueued(tx, cx, &[entry])? {
        let job = Queued { max_try_count: TRIES, ..job };
        job::insert_next(tx, (cx.owner(), NAMESPACE, user), &job)?;
    }
    let (core, lane) = (Arc::clone(&cx.core), Lane::new(cx.owner(), NAMESPACE, user));
    tx.on_commit(move || core.jobs.wake(&core, lane));
    Ok(())
}

/// Whether another attempt may succeed: conflicts and trouble pass (BEHAVIOUR DT-37).
fn passes(code: i32) -> bool {
    code == 409 || code >= 500
}

/// Runs the transaction of a job. Its status is 200 when no other attempt is wanted, whatever became of the transaction.
pub(crate) async fn run(core: &Arc<Core>, lane: &Lane, job: &Queued, once: &Arc<Once>) -> Ran {
    let again = match attempt(core, lane, job, once).await {
        Ok(again) => again,
        Err(error) => {
            tracing::warn!(%error, transaction = job.script_id, "a transaction could not be run; it is tried again");
            true
        }
    };
    let status = if again { 503 } else { 200 };
    let detail = "the transaction met a conflict or trouble".to_owned();
    let failed = scripts::failed(&scripts::failure(status, "transaction", "failed", detail));
    if again { failed } else { Ran { result: "{}".to_owned(), ..failed } }
}

async fn attempt(core: &Arc<Core>, lane: &Lane, job: &Queued, once: &Arc<Once>) -> Result<bool, Error> {
    let read = |error: String| Error::internal("reading a transaction", error);
    let args: Args = serde_json::from_str(&job.args).map_err(|error| read(error.to_string()))?;
    let transaction: Transaction =
        crate::json::stored(&hiroba_api::distributor::SERVICE, "transaction", args.transaction)?;
    let cx = Arc::new(of_player(core, &lane.owner, &lane.user));
    if args.atomic {
        let running = Arc::clone(&cx);
        let run = move |tx: &mut Tx<'_>| {
            running.entropy.restart();
            together::run(tx, &running, running.user()?, &args.distributor, transaction.clone())
        };
        let result = cx.write(run).await?;
        let error = together::error_of(&super::issue::script_result(result));
        return Ok(error.is_some_and(|error| passes(i32::from(error.status.code()))));
    }
    steps(&cx, &args.distributor, transaction, once).await
}

/// Runs the actions one after the other, up to one that fails; those that took effect do not so again in another attempt.
async fn steps(
    cx: &Arc<Cx>,
    namespace: &str,
    transaction: Transaction,
    once: &Arc<Once>,
) -> Result<bool, Error> {
    let (core, user) = (&cx.core, cx.user()?.clone());
    let (reading, name) = (Arc::clone(cx), namespace.to_owned());
    let settings = move |tx: &mut Tx<'_>| {
        let settings = setting::namespace(tx, &reading, &name)?;
        setting::permissions(tx, &reading, settings.as_deref())
    };
    let permissions = cx.read(settings).await?;
    let once = Some(Arc::clone(once));
    let origin = Origin { user: Some(user.clone()), once: once.clone(), permissions, ..Origin::of(cx) };
    let call = |role, name: String, request: String| {
        let (origin, user) = (origin.clone(), user.clone());
        async move {
            match action::ready(core, role, (&name, &request), Some(&user)) {
                Ok(ready) => action::apart(core, ready, origin).await,
                Err(error) => Ok(Err(error)),
            }
        }
    };
    let mut result = StampSheetResult {
        stamp_sheet_result_id: String::new(),
        user_id: user.to_string(),
        transaction_id: transaction.transaction_id,
        verify_task_requests: transaction.verify_actions,
        task_requests: transaction.consume_actions,
        sheet_request: None,
        verify_task_result_codes: Vec::new(),
        verify_task_results: Vec::new(),
        task_result_codes: Vec::new(),
        task_results: Vec::new(),
        sheet_result_code: None,
        sheet_result: None,
        next_transaction_id: None,
        created_at: UnixMillis(0),
        revision: 0,
    };
    let mut last: Outcome = Ok("{}".to_owned());
    for item in result.verify_task_requests.clone() {
        if last.is_ok() {
            last = call(Role::Verify, item.action, item.request).await?;
            result.verify_task_result_codes.push(action::code(&last));
            result.verify_task_results.push(action::text(&last));
        }
    }
    for item in result.task_requests.clone() {
        if last.is_ok() {
            last = call(Role::Consume, item.action, item.request).await?;
            result.task_result_codes.push(action::code(&last));
            result.task_results.push(action::text(&last));
        }
    }
    // The model has room for one: of several the first that fails is told, else the last.
    for item in transaction.acquire_actions {
        if last.is_ok() {
            result.sheet_request = Some(item.clone());
            last = call(Role::Acquire, item.action, item.request).await?;
            result.sheet_result_code = Some(action::code(&last));
            result.sheet_result = Some(action::text(&last));
            let answer: Value = serde_json::from_str(&action::text(&last)).unwrap_or_default();
            result.next_transaction_id = answer["transactionId"].as_str().map(str::to_owned);
        }
    }
    let again = passes(action::code(&last));
    keep(cx, namespace, result).await?;
    Ok(again)
}

/// What the log says of the steps that took effect. Another attempt tells those again that an earlier one took.
fn executed(cx: &Cx, log: &str, result: &StampSheetResult) -> Vec<Line> {
    let (id, method) = (&*result.transaction_id, "runTransaction");
    let user = UserId::trusted(&*result.user_id);
    let done = |code: &i32| (200..300).contains(code);
    let tasks = result.task_requests.iter().zip(&result.task_result_codes).filter(|(_, code)| done(code));
    let tasks = tasks.filter_map(|(item, _)| {
        Executed { id, action: &item.action, request: &item.request, method }.task(cx, log, Some(&user))
    });
    let sheet = result.sheet_request.as_ref().filter(|_| result.sheet_result_code.as_ref().is_some_and(done));
    let sheet = sheet.and_then(|item| {
        Executed { id, action: &item.action, request: &item.request, method }.sheet(cx, log, Some(&user))
    });
    tasks.chain(sheet).collect()
}

/// Keeps what the steps came to, and tells the player.
async fn keep(cx: &Arc<Cx>, namespace: &str, result: StampSheetResult) -> Result<(), Error> {
    let (keeping, namespace) = (Arc::clone(cx), namespace.to_owned());
    let keep = move |tx: &mut Tx<'_>| {
        let (cx, mut result) = (&keeping, result.clone());
        let (user, transaction_id) = (result.user_id.clone(), result.transaction_id.clone());
        let place = Place { namespace: &namespace, user: &user, transaction_id: &transaction_id };
        result.stamp_sheet_result_id = place.id(cx, "stampSheet");
        let before = result::kept::<StampSheetResult>(tx, cx, place)?;
        result::keep(tx, cx, place, &mut result, before.as_ref())?;
        match setting::namespace(tx, cx, &namespace)? {
            Some(settings) => {
                if let Some(log) = record::log_of(Some(&settings)) {
                    record::when_committed(tx, cx, executed(cx, log, &result));
                }
                let setting = settings.auto_run_stamp_sheet_notification.as_ref();
                together::tell(tx, cx, place, setting, "Gs2Distributor:AutoRunStampSheetNotification")
            }
            None => {
                together::warn(cx, &namespace);
                Ok(())
            }
        }
    };
    cx.write(keep).await
}
