//! Transactions whose actions take effect together: all in one transaction of the store (BEHAVIOUR DT-31).

use hiroba_api::contract::UnixMillis;
use hiroba_api::distributor::{SERVICE, TransactionResult};
use hiroba_api::error::ApiError;
use hiroba_api::names::UserId;
use hiroba_api::namespace::NotificationSetting;
use hiroba_api::script::{AcquireActionResult, ConsumeActionResult, Transaction, VerifyActionResult};
use hiroba_store::Tx;
use serde_json::json;

use super::action::{self, Outcome, Role};
use super::record::{self, Executed};
use super::result::{self, Place};
use super::setting;
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Origin;
use crate::services::gateway::{Notice, notify};

/// What the actions came to, up to one that failed.
#[derive(Default)]
struct Results {
    verify: Vec<VerifyActionResult>,
    consume: Vec<ConsumeActionResult>,
    acquire: Vec<AcquireActionResult>,
}

/// Runs a transaction whose placeholders are replaced, keeps its result and tells the player. What it did is taken back when an action fails; the result is kept
/// all the same.
///
/// A transaction that succeeded is not run again: its result is answered (BEHAVIOUR DT-21).
pub(super) fn run(
    tx: &mut Tx<'_>,
    cx: &Cx,
    user: &UserId,
    namespace: &str,
    transaction: Transaction,
) -> Result<TransactionResult, Error> {
    let transaction_id = transaction.transaction_id.clone();
    let place = Place { namespace, user, transaction_id: &transaction_id };
    result::lock(tx, cx, place);
    let before = result::kept::<TransactionResult>(tx, cx, place)?;
    if let Some(done) = before.as_ref().filter(|before| !before.has_error) {
        return Ok(done.clone());
    }
    let settings = setting::namespace(tx, cx, namespace)?;
    let permissions = setting::permissions(tx, cx, settings.as_deref())?;
    // One level down: a script may be an action of the transaction that it makes.
    let depth = cx.depth.saturating_add(1);
    let origin = Origin { user: Some(user.clone()), permissions, depth, ..Origin::of(cx) };
    let mut results = Results::default();
    let ran = tx.part(|tx| actions(tx, cx, &origin, transaction, &mut results));
    let has_error = match ran {
        Ok(()) => false,
        Err(Error::Refused(_)) => true,
        Err(error) => return Err(error),
    };
    let mut result = TransactionResult {
        transaction_result_id: place.id(cx, "transaction"),
        user_id: user.to_string(),
        transaction_id: transaction_id.clone(),
        verify_results: results.verify,
        consume_results: results.consume,
        acquire_results: results.acquire,
        has_error,
        created_at: UnixMillis(0),
        revision: 0,
    };
    result::keep(tx, cx, place, &mut result, before.as_ref())?;
    if let Some(log) = record::log_of(settings.as_deref()).filter(|_| !has_error) {
        let (id, method) = (&*transaction_id, "runTransaction");
        let task = |ran: &ConsumeActionResult| {
            Executed { id, action: &ran.action, request: &ran.consume_request, method }.task(
                cx,
                log,
                Some(user),
            )
        };
        let sheet = |ran: &AcquireActionResult| {
            Executed { id, action: &ran.action, request: &ran.acquire_request, method }.sheet(
                cx,
                log,
                Some(user),
            )
        };
        let tasks = result.consume_results.iter().filter_map(task);
        record::when_committed(
            tx,
            cx,
            tasks.chain(result.acquire_results.iter().filter_map(sheet)).collect(),
        );
    }
    match settings {
        Some(settings) => {
            let setting = settings.auto_run_transaction_notification.as_ref();
            tell(tx, cx, place, setting, "Gs2Distributor:AutoRunTransactionNotification")?;
        }
        None => warn(cx, namespace),
    }
    Ok(result)
}

/// Tells the player that there is a result (BEHAVIOUR DT-36).
pub(super) fn tell(
    tx: &mut Tx<'_>,
    cx: &Cx,
    Place { namespace, user, transaction_id }: Place<'_>,
    setting: Option<&NotificationSetting>,
    subject: &str,
) -> Result<(), Error> {
    let default = NotificationSetting::default();
    let setting = setting.unwrap_or(&default);
    let payload = json!({ "namespaceName": namespace, "userId": user, "transactionId": transaction_id });
    let notice = Notice::new(cx.grn(&SERVICE, namespace), subject, &payload);
    notify(tx, cx, (SERVICE.name, setting), &UserId::trusted(user), notice)
}

/// Nobody can ask for a result in a namespace that does not exist, and clients wait for ten seconds (BEHAVIOUR V-04).
pub(super) fn warn(cx: &Cx, namespace: &str) {
    let grn = cx.grn(&SERVICE, namespace);
    cx.core.warned.once(&grn, || {
        tracing::warn!(
            "transactions keep their results in the Distributor namespace `{grn}`, which does not exist: create it with \
             distributor.createNamespace, or clients wait for results in vain"
        );
    });
}

/// Runs the actions in their order (BEHAVIOUR DT-01). Fails as the first one that fails.
fn actions(
    tx: &mut Tx<'_>,
    cx: &Cx,
    origin: &Origin,
    transaction: Transaction,
    results: &mut Results,
) -> Result<(), Error> {
    let user = origin.user.as_deref();
    let call = |tx: &mut Tx<'_>, role, name: &str, request: &str| -> Result<Outcome, Error> {
        match action::ready(&cx.core, role, (name, request), user) {
            Ok(ready) => action::within(tx, &cx.core, ready, origin.clone()),
            Err(error) => Ok(Err(error)),
        }
    };
    for item in transaction.verify_actions {
        let outcome = call(tx, Role::Verify, &item.action, &item.request)?;
        results.verify.push(VerifyActionResult {
            action: item.action,
            verify_request: item.request,
            status_code: Some(action::code(&outcome)),
            verify_result: Some(action::text(&outcome)),
        });
        outcome?;
    }
    for item in transaction.consume_actions {
        let outcome = call(tx, Role::Consume, &item.action, &item.request)?;
        results.consume.push(ConsumeActionResult {
            action: item.action,
            consume_request: item.request,
            status_code: Some(action::code(&outcome)),
            consume_result: Some(action::text(&outcome)),
        });
        outcome?;
    }
    for item in transaction.acquire_actions {
        let outcome = call(tx, Role::Acquire, &item.action, &item.request)?;
        results.acquire.push(AcquireActionResult {
            action: item.action,
            acquire_request: item.request,
            status_code: Some(action::code(&outcome)),
            acquire_result: Some(action::text(&outcome)),
        });
        outcome?;
    }
    Ok(())
}

/// What the first action that failed says, as the error of whoever made the transaction.
pub(super) fn error_of(result: &hiroba_api::script::TransactionResult) -> Option<ApiError> {
    let verify = result.verify_results.iter().map(|ran| (&ran.action, ran.status_code, &ran.verify_result));
    let consume =
        result.consume_results.iter().map(|ran| (&ran.action, ran.status_code, &ran.consume_result));
    let acquire =
        result.acquire_results.iter().map(|ran| (&ran.action, ran.status_code, &ran.acquire_result));
    let failed = |(action, code, text): (&String, Option<i32>, &Option<String>)| {
        let code =
            code.and_then(|code| u16::try_from(code).ok()).filter(|code| !(200..300).contains(code))?;
        let mut error = ApiError::from_body(
            code,
            json!({ "message": text.as_deref().unwrap_or("[]") }).to_string().as_bytes(),
        )?;
        for item in &mut error.items {
            item.detail = format!("{action}: {}", item.detail);
        }
        Some(error)
    };
    verify.chain(consume).chain(acquire).find_map(failed)
}
