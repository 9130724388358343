//! What became of transactions: `/distributor/{namespaceName}/user/{userId}/transaction…/result`, and of sheets.

use super::SERVICE;
use crate::contract::{Item, UnixMillis};
use crate::names::{NamespaceName, text_type};
use crate::script::{
    AcquireAction, AcquireActionResult, ConsumeAction, ConsumeActionResult, VerifyAction, VerifyActionResult,
};
use crate::{Model, Operation};

fn transaction_id(_: &str) -> Result<(), &'static str> {
    Ok(())
}

text_type! {
    /// Name of a transaction: a UUID, 36 characters.
    TransactionId, 36..=36, transaction_id
}

/// What became of a transaction whose actions take effect together (BEHAVIOUR DT-37).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TransactionResult {
    /// GRN of the result.
    pub transaction_result_id: String,
    /// Player.
    pub user_id: String,
    /// Name of the transaction.
    pub transaction_id: String,
    /// What became of its verify actions, in order, up to one that failed.
    pub verify_results: Vec<VerifyActionResult>,
    /// What became of its consume actions, in order, up to one that failed.
    pub consume_results: Vec<ConsumeActionResult>,
    /// What became of its acquire actions, in order, up to one that failed.
    pub acquire_results: Vec<AcquireActionResult>,
    /// Whether one failed: then none has taken effect.
    pub has_error: bool,
    /// When it ran.
    pub created_at: UnixMillis,
    /// Grows with each attempt, from 1.
    pub revision: i64,
}

/// What became of a transaction whose actions take effect one after the other (BEHAVIOUR DT-35).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct StampSheetResult {
    /// GRN of the result.
    pub stamp_sheet_result_id: String,
    /// Player.
    pub user_id: String,
    /// Name of the transaction.
    pub transaction_id: String,
    /// Its verify actions.
    pub verify_task_requests: Vec<VerifyAction>,
    /// Its consume actions.
    pub task_requests: Vec<ConsumeAction>,
    /// Its acquire action; absent when it has none.
    pub sheet_request: Option<AcquireAction>,
    /// Statuses of the verify actions, up to one that failed.
    pub verify_task_result_codes: Vec<i32>,
    /// Answers of the verify actions as JSON texts.
    pub verify_task_results: Vec<String>,
    /// Statuses of the consume actions, up to one that failed.
    pub task_result_codes: Vec<i32>,
    /// Answers of the consume actions as JSON texts.
    pub task_results: Vec<String>,
    /// Status of the acquire action; absent when it was not called.
    pub sheet_result_code: Option<i32>,
    /// Answer of the acquire action as JSON text.
    pub sheet_result: Option<String>,
    /// Name of a transaction that the acquire action made.
    pub next_transaction_id: Option<String>,
    /// When it ran.
    pub created_at: UnixMillis,
    /// Grows with each attempt, from 1.
    pub revision: i64,
}

/// Gets what became of a transaction whose actions take effect one after the other; it may change until it succeeds
/// (BEHAVIOUR DT-36, DT-39).
///
/// Fails with 404 `stampSheetResult` while it has not run, and a day after, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/stampSheet/{transactionId}/result", name = "getStampSheetResult",
    component = "stampSheetResult", answer = Item<StampSheetResult>)]
pub struct GetStampSheetResult {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the transaction.
    pub transaction_id: TransactionId,
}

/// Gets what became of a transaction whose actions take effect together; it may change until it succeeds (BEHAVIOUR DT-36,
/// DT-39).
///
/// Fails with 404 `transactionResult` while it has not run, and a day after, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/transaction/{transactionId}/result", name = "getTransactionResult",
    component = "transactionResult", answer = Item<TransactionResult>)]
pub struct GetTransactionResult {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the transaction.
    pub transaction_id: TransactionId,
}

/// Runs a transaction whose actions take effect together, once: a transaction of the same name that succeeded is not run
/// again, and its result is answered (BEHAVIOUR DT-21, DT-32).
///
/// Answers 200 also when an action fails: `hasError` says it, and nothing has changed then. Fails with 400 when the
/// transaction cannot be read, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/system/{ownerId}/{namespaceName}/user/{userId}/transaction/run", name = "runTransaction", by_user,
    component = "transactionResult", answer = Item<TransactionResult>)]
pub struct RunTransaction {
    /// Owner of the project; only the caller's own.
    #[field(1..=128)]
    pub owner_id: String,
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// JSON text with `transactionId`, `verifyActions`, `consumeActions` and `acquireActions`.
    #[field(1..=5242880)]
    pub transaction: String,
}
