//! Transactions as scripts make them, and what became of them (BEHAVIOUR SC-17, section 10).

use crate::Model;

/// What must be true for a transaction to begin.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct VerifyAction {
    /// Action: `Gs2{Service}:{Operation}`.
    pub action: String,
    /// Request of the operation, as JSON text (BEHAVIOUR DT-02).
    pub request: String,
}

/// What a transaction takes from the player.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ConsumeAction {
    /// Action: `Gs2{Service}:{Operation}`.
    pub action: String,
    /// Request of the operation, as JSON text (BEHAVIOUR DT-02).
    pub request: String,
}

/// What a transaction gives the player.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct AcquireAction {
    /// Action: `Gs2{Service}:{Operation}`.
    pub action: String,
    /// Request of the operation, as JSON text (BEHAVIOUR DT-02).
    pub request: String,
}

/// Actions that belong together. They run in the order verify, consume, acquire (BEHAVIOUR DT-01).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Transaction {
    /// Name of the transaction.
    #[field(1..=128)]
    pub transaction_id: String,
    /// What must be true.
    #[field(0..=100)]
    pub verify_actions: Vec<VerifyAction>,
    /// What the player loses.
    #[field(0..=100)]
    pub consume_actions: Vec<ConsumeAction>,
    /// What the player gains.
    #[field(0..=100)]
    pub acquire_actions: Vec<AcquireAction>,
}

/// What became of a verify action.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct VerifyActionResult {
    /// Action: `Gs2{Service}:{Operation}`.
    pub action: String,
    /// Request of the operation, as JSON text.
    pub verify_request: String,
    /// Status of its answer; absent when it was not called.
    pub status_code: Option<i32>,
    /// Its answer as JSON text, the list of errors when the status is not 2xx; absent when it was not called.
    pub verify_result: Option<String>,
}

/// What became of a consume action.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ConsumeActionResult {
    /// Action: `Gs2{Service}:{Operation}`.
    pub action: String,
    /// Request of the operation, as JSON text.
    pub consume_request: String,
    /// Status of its answer; absent when it was not called.
    pub status_code: Option<i32>,
    /// Its answer as JSON text, the list of errors when the status is not 2xx; absent when it was not called.
    pub consume_result: Option<String>,
}

/// What became of an acquire action.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct AcquireActionResult {
    /// Action: `Gs2{Service}:{Operation}`.
    pub action: String,
    /// Request of the operation, as JSON text.
    pub acquire_request: String,
    /// Status of its answer; absent when it was not called.
    pub status_code: Option<i32>,
    /// Its answer as JSON text, the list of errors when the status is not 2xx; absent when it was not called.
    pub acquire_result: Option<String>,
}

/// What became of a transaction (BEHAVIOUR DT-37).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TransactionResult {
    /// Name of the transaction.
    pub transaction_id: String,
    /// What became of its verify actions, in order.
    pub verify_results: Vec<VerifyActionResult>,
    /// What became of its consume actions, in order.
    pub consume_results: Vec<ConsumeActionResult>,
    /// What became of its acquire actions, in order.
    pub acquire_results: Vec<AcquireActionResult>,
    /// Whether some status is not 2xx.
    pub has_error: bool,
}

/// A transaction that a script of a call set off, in the `metadata` of the call's answer (BEHAVIOUR T-12).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ScriptTransactionResult {
    /// GRN of the script.
    pub script_id: String,
    /// Name of the transaction.
    pub transaction_id: String,
    /// What became of it, when it ran within the call.
    pub transaction_result: Option<TransactionResult>,
}
