//! What became of transactions, for a day: `…/transaction/{transactionId}/result`, `…/stampSheet/{transactionId}/result`
//! (BEHAVIOUR DT-36, DT-37, DT-39).

use std::sync::Arc;

use hiroba_api::contract::{At, Field, Item, UnixMillis};
use hiroba_api::distributor::{
    GetStampSheetResult, GetTransactionResult, Namespaces, RunTransaction, SERVICE, StampSheetResult,
    TransactionId, TransactionResult,
};
use hiroba_api::error::ApiError;
use hiroba_api::script::Transaction;
use hiroba_store::{Row, Tx, params};

use super::{Context, action, together};
use crate::cx::Cx;
use crate::error::Error;
use crate::json;
use crate::registry::Registry;
use crate::services::namespaces;
use crate::vault;

/// How long results are kept (BEHAVIOUR DT-39).
pub(super) const KEPT_MS: i64 = 24 * 3_600_000;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// One result.
        SELECT_RESULT = "SELECT result FROM distributor_result
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND transaction_id = $4 AND kind = $5
              AND expires_at > $6";
        /// Keeps a result in place of an earlier one.
        UPSERT_RESULT = "INSERT INTO distributor_result
                (owner_id, namespace_name, user_id, transaction_id, kind, result, has_error, created_at, revision, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (owner_id, namespace_name, user_id, transaction_id, kind) DO UPDATE SET result = excluded.result,
                has_error = excluded.has_error, revision = excluded.revision, expires_at = excluded.expires_at";
        /// Forgets some old results.
        DELETE_EXPIRED = "DELETE FROM distributor_result
            WHERE (owner_id, namespace_name, user_id, transaction_id, kind) IN (
                SELECT owner_id, namespace_name, user_id, transaction_id, kind FROM distributor_result
                WHERE expires_at <= $1 LIMIT $2)";
        /// Forgets all results of a namespace.
        DELETE_ALL = "DELETE FROM distributor_result WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(get_transaction_result);
    registry.read(get_stamp_sheet_result);
    registry.write(run_transaction);
}

/// A model of what became of a transaction.
pub(super) trait Kept: Field {
    /// What its rows are marked with.
    const KIND: &'static str;
    /// Name of the model.
    const MODEL: &'static str;

    /// Whether something failed.
    fn has_error(&self) -> bool;
    /// How often it was kept, and when first.
    fn kept(&self) -> (i64, UnixMillis);
    /// Sets how often it was kept, and when first.
    fn set_kept(&mut self, revision: i64, created_at: UnixMillis);
}

impl Kept for TransactionResult {
    const KIND: &'static str = "transaction";
    const MODEL: &'static str = "transactionResult";

    fn has_error(&self) -> bool {
        self.has_error
    }

    fn kept(&self) -> (i64, UnixMillis) {
        (self.revision, self.created_at)
    }

    fn set_kept(&mut self, revision: i64, created_at: UnixMillis) {
        (self.revision, self.created_at) = (revision, created_at);
    }
}

impl Kept for StampSheetResult {
    const KIND: &'static str = "sheet";
    const MODEL: &'static str = "stampSheetResult";

    fn has_error(&self) -> bool {
        let codes = self.verify_task_result_codes.iter().chain(&self.task_result_codes);
        codes.chain(&self.sheet_result_code).any(|code| !(200..300).contains(code))
    }

    fn kept(&self) -> (i64, UnixMillis) {
        (self.revision, self.created_at)
    }

    fn set_kept(&mut self, revision: i64, created_at: UnixMillis) {
        (self.revision, self.created_at) = (revision, created_at);
    }
}

/// Where a result is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Name of the Distributor namespace.
    pub(super) namespace: &'a str,
    pub(super) user: &'a str,
    pub(super) transaction_id: &'a str,
}

impl Place<'_> {
    /// GRN of the result (BEHAVIOUR N-04).
    pub(super) fn id(&self, cx: &Cx, kind: &str) -> String {
        let Place { namespace, user, transaction_id } = self;
        cx.grn(&SERVICE, &format!("{namespace}:user:{user}:{kind}:result:{transaction_id}"))
    }

    fn sealed_under(&self, cx: &Cx, kind: &str) -> Vec<u8> {
        vault::context(&[cx.owner(), self.namespace, self.user, self.transaction_id, kind])
    }
}

/// What is kept of a transaction.
pub(super) fn kept<K: Kept>(tx: &mut Tx<'_>, cx: &Cx, place: Place<'_>) -> Result<Option<K>, Error> {
    let Place { namespace, user, transaction_id } = place;
    let params = params![cx.owner(), namespace, user, transaction_id, K::KIND, cx.now.0];
    let row = tx.query_opt(sql::SELECT_RESULT, params, |row: &Row<'_>| row.text(0))?;
    let Some(sealed) = row else { return Ok(None) };
    let sealed = vault::from_text(&sealed)?;
    let sealed = sealed.ok_or_else(|| Error::Internal("a result is not sealed".to_owned()))?;
    let plain = cx.core.distributor.sealing.open(&place.sealed_under(cx, K::KIND), &sealed)?;
    let value = serde_json::from_slice(&plain).map_err(|error| Error::internal("reading a result", error))?;
    json::stored(&SERVICE, K::MODEL, value).map(Some)
}

/// Keeps what became of a transaction.
pub(super) fn keep<K: Kept>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    place: Place<'_>,
    result: &mut K,
    before: Option<&K>,
) -> Result<(), Error> {
    let Place { namespace, user, transaction_id } = place;
    let (before, created_at) = before.map_or((0, cx.now), Kept::kept);
    let revision = before + 1;
    result.set_kept(revision, created_at);
    let text = serde_json::to_string(result).map_err(|error| Error::internal("writing a result", error))?;
    let sealed = cx.core.distributor.sealing.seal(&place.sealed_under(cx, K::KIND), text.as_bytes())?;
    let sealed = vault::to_text(&sealed);
    let params = params![
        cx.owner(),
        namespace,
        user,
        transaction_id,
        K::KIND,
        &sealed,
        i64::from(result.has_error()),
        cx.now.0,
        revision,
        cx.now.0 + KEPT_MS
    ];
    tx.execute(sql::UPSERT_RESULT, params)?;
    Ok(())
}

fn get<K: Kept>(tx: &mut Tx<'_>, cx: &Cx, place: Place<'_>) -> Result<Item<K>, Error> {
    // Results are kept without a namespace too, so that nothing runs twice.
    namespaces::require::<Namespaces>(tx, cx, place.namespace)?;
    match kept::<K>(tx, cx, place)? {
        Some(item) => Ok(Item { item }),
        None => {
            let detail = format!(
                "transaction `{}` of player `{}` has no result in namespace `{}`: it has not run yet, or more than a day ago",
                place.transaction_id, place.user, place.namespace
            );
            Err(ApiError::not_found(SERVICE.name, K::MODEL, detail).into())
        }
    }
}

fn get_transaction_result(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetTransactionResult,
) -> Result<Item<TransactionResult>, Error> {
    let (namespace, transaction_id) = (request.namespace_name.as_str(), request.transaction_id.as_str());
    let user = cx.user()?;
    get(tx, cx, Place { namespace, user, transaction_id })
}

fn get_stamp_sheet_result(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetStampSheetResult,
) -> Result<Item<StampSheetResult>, Error> {
    let (namespace, transaction_id) = (request.namespace_name.as_str(), request.transaction_id.as_str());
    let user = cx.user()?;
    get(tx, cx, Place { namespace, user, transaction_id })
}

fn run_transaction(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &RunTransaction,
) -> Result<Item<TransactionResult>, Error> {
    if request.owner_id != cx.owner() {
        let detail = format!("`ownerId` must be the caller's own project, `{}`", cx.owner());
        let (service, model) = (SERVICE.name, "transactionResult");
        return Err(ApiError::bad_request(service, model, "ownerId", "invalid", detail).into());
    }
    namespaces::require::<Namespaces>(tx, cx, &request.namespace_name)?;
    let user = Some(cx.user()?.as_str());
    let transaction = with_values(cx, user, given(&request.transaction)?);
    let ran = together::run(tx, cx, cx.user()?, &request.namespace_name, transaction)?;
    Ok(Item { item: ran })
}

/// Replaces the placeholders of a transaction. What can never run is the result of its action, as what fails is.
fn with_values(cx: &Cx, user: Option<&str>, mut transaction: Transaction) -> Transaction {
    let values = Context::of(cx).values(user);
    let verify = transaction.verify_actions.iter_mut().map(|item| &mut item.request);
    let consume = transaction.consume_actions.iter_mut().map(|item| &mut item.request);
    let acquire = transaction.acquire_actions.iter_mut().map(|item| &mut item.request);
    for request in verify.chain(consume).chain(acquire) {
        *request = action::replaced(request, user, &values);
    }
    transaction
}

/// Reads a transaction that a caller gives; an absent list is an empty one.
fn given(text: &str) -> Result<Transaction, Error> {
    let refuse = |detail: String| {
        ApiError::bad_request(SERVICE.name, "transactionResult", "transaction", "invalid", detail)
    };
    let mut value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        refuse(format!("`transaction` is no JSON text (line {line} column {column})"))
    })?;
    if let Some(members) = value.as_object_mut() {
        for name in ["verifyActions", "consumeActions", "acquireActions"] {
            let list = members.entry(name).or_insert(serde_json::Value::Null);
            if list.is_null() {
                *list = serde_json::Value::Array(Vec::new());
            }
        }
    }
    let at = At { service: SERVICE.name, model: "transaction", member: "transaction", range: None };
    let mut errors = Vec::new();
    let read = Transaction::read(value, &at, &mut errors);
    if let Some(transaction) = &read {
        let id = At { model: "transaction", member: "transactionId", ..at };
        TransactionId::read(transaction.transaction_id.as_str().into(), &id, &mut errors);
    }
    read.filter(|_| errors.is_empty())
        .ok_or_else(|| ApiError { status: hiroba_api::Status::BadRequest, items: errors }.into())
}

/// Forgets some old results; says how many.
pub(crate) fn sweep(tx: &mut Tx<'_>, now: UnixMillis, count_max: i64) -> Result<u64, Error> {
    Ok(tx.execute(sql::DELETE_EXPIRED, params![now.0, count_max])?)
}

/// Forgets all results of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    Ok(())
}

/// The name under which calls queue for a transaction, so that two of them are not run at once.
pub(super) fn lock(tx: &mut Tx<'_>, cx: &Cx, place: Place<'_>) {
    tx.lock_row(&[cx.owner(), "transaction", place.namespace, place.user, place.transaction_id].join("\n"));
}

/// A context for what a player's queue does of itself.
pub(super) fn of_player(core: &Arc<crate::pipeline::Core>, owner: &str, user: &str) -> Cx {
    let mut cx = Cx::of_owner(core, owner);
    cx.user = Some(hiroba_api::names::UserId::trusted(user));
    cx
}
