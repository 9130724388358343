//! Running a script: `/script/invoke`, `/script/debug/invoke` and the sheet's `/script/stamp/script/invoke`.

use super::{SERVICE, Transaction, TransactionResult};
use crate::names::{GrnText, UserId};
use crate::{Model, Operation};

/// How many numbers a script drew from one series.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct RandomUsed {
    /// Series.
    #[field(0..=4294967294)]
    pub category: i64,
    /// How many of its numbers were drawn.
    #[field(0..=4294967294)]
    pub used: i64,
}

/// Where a script's random numbers stand: with the same state it draws the same ones (BEHAVIOUR SC-18).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct RandomStatus {
    /// What all series begin with.
    #[field(0..=4294967294)]
    pub seed: i64,
    /// The series that were drawn from.
    #[field(0..=1000)]
    pub used: Option<Vec<RandomUsed>>,
}

/// What became of a script. The call succeeds also when the script fails: `code` says it (BEHAVIOUR SC-06).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Invoked {
    /// Status of the script: 200 when it came to its end, else what `fail` said (BEHAVIOUR SC-11), 400 when the source is no
    /// Lua, 500 when it broke a rule or had an error, 504 when it ran too long (J-35).
    pub code: i32,
    /// JSON text: the object `result` of a script that came to its end, else the list of errors (BEHAVIOUR SC-04, SC-10,
    /// J-62).
    pub result: String,
    /// Name of the transaction that the script made (BEHAVIOUR SC-17); absent when it made none.
    pub transaction_id: Option<String>,
    /// The transaction's actions, with placeholders replaced.
    pub transaction: Option<Transaction>,
    /// Whether the server runs the transaction by itself.
    pub auto_run_stamp_sheet: Option<bool>,
    /// The signed sheet that a client runs step by step, when the server does not (BEHAVIOUR DT-10, DT-11).
    pub stamp_sheet: Option<String>,
    /// GRN of the key that signed it.
    pub stamp_sheet_encryption_key_id: Option<String>,
    /// Where the random numbers stand now (BEHAVIOUR SC-18).
    pub random_status: Option<RandomStatus>,
    /// Whether the transaction's actions take effect together; absent without a transaction.
    pub atomic_commit: Option<bool>,
    /// What became of the transaction, when it ran within the call.
    pub transaction_result: Option<TransactionResult>,
    /// How long the script ran, in milliseconds.
    pub execute_time: i32,
    /// How long it ran in seconds that GS2 would bill.
    pub charged: i32,
    /// What it printed, line by line (BEHAVIOUR SC-16).
    pub output: Vec<String>,
}

/// Runs a stored script and waits for it (BEHAVIOUR SC-03).
///
/// Answers 200 whatever becomes of the script: `code` says it (SC-06). Fails with 400 when `args` is no JSON object, with
/// 404 `script` when there is none of this GRN.
#[derive(Debug, Operation)]
#[operation(POST "/invoke", name = "invokeScript", component = "script", once, answer = Invoked)]
pub struct InvokeScript {
    /// GRN of the script.
    pub script_id: GrnText,
    /// Player for whom it runs.
    pub user_id: Option<UserId>,
    /// JSON object that the script sees as `args`; `{}` when absent (BEHAVIOUR SC-03).
    #[field(0..=5242880)]
    pub args: Option<String>,
    /// Where the random numbers stand.
    pub random_status: Option<RandomStatus>,
}

/// Runs the given source without storing it (BEHAVIOUR SC-05).
///
/// Answers 200 whatever becomes of the script: `code` says it (SC-06). Fails with 400 when `args` is no JSON object.
#[derive(Debug, Operation)]
#[operation(POST "/debug/invoke", name = "debugInvoke", component = "script", once, answer = Invoked)]
pub struct DebugInvoke {
    /// Lua source, at most 5,242,880 characters (BEHAVIOUR SC-01).
    #[field(1..=5242880)]
    pub script: String,
    /// JSON object that the script sees as `args`; `{}` when absent (BEHAVIOUR SC-03).
    #[field(0..=5242880)]
    pub args: Option<String>,
    /// Player for whom it runs.
    pub user_id: Option<UserId>,
    /// Where the random numbers stand.
    pub random_status: Option<RandomStatus>,
    /// Whether texts of digits in the arguments stay texts; otherwise they become numbers (BEHAVIOUR SC-02).
    #[field(default = 0)]
    pub disable_string_number_to_number: bool,
}

/// Runs the script that a signed sheet names: the acquire action `Gs2Script:InvokeScript` (BEHAVIOUR SC-07, DT-20).
///
/// Fails with 400 when the sheet is not one of this server, is of another action or too old, or when the context stack proves
/// not all of its tasks. The script of a sheet runs once (BEHAVIOUR DT-21).
#[derive(Debug, Operation)]
#[operation(POST "/stamp/script/invoke", name = "invokeByStampSheet", component = "script", answer = Invoked)]
pub struct InvokeByStampSheet {
    /// The sheet: JSON text with `body` and `signature` (BEHAVIOUR DT-11).
    #[field(1..=5242880)]
    pub stamp_sheet: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}
