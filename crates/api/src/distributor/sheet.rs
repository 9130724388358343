//! Transactions step by step: tasks and sheets that a service has signed and a client has run (BEHAVIOUR DT-10 … DT-19).

use super::SERVICE;
use crate::names::{GrnText, NamespaceName};
use crate::{Model, Operation};

/// What became of a verify task or a task.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TaskRan {
    /// What the next step is to carry as `contextStack`: the proof that this one was done (BEHAVIOUR DT-16).
    pub context_stack: Option<String>,
    /// Status of the action's answer (BEHAVIOUR DT-17).
    pub status_code: i32,
    /// The action's answer as JSON text, the list of errors when the status is not 2xx.
    pub result: String,
}

/// What became of a sheet.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct SheetRan {
    /// Status of the action's answer (BEHAVIOUR DT-17).
    pub status_code: i32,
    /// The action's answer as JSON text, the list of errors when the status is not 2xx.
    pub result: String,
}

/// What became of a sheet and its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct SheetRanExpress {
    /// Statuses of the verify tasks, up to one that failed.
    pub verify_task_result_codes: Vec<i32>,
    /// Answers of the verify tasks as JSON texts.
    pub verify_task_results: Vec<String>,
    /// Statuses of the tasks, up to one that failed.
    pub task_result_codes: Vec<i32>,
    /// Answers of the tasks as JSON texts.
    pub task_results: Vec<String>,
    /// Status of the sheet; absent when it was not run.
    pub sheet_result_code: Option<i32>,
    /// Answer of the sheet as JSON text.
    pub sheet_result: Option<String>,
}

/// Runs a signed verify task and answers the proof of it (BEHAVIOUR DT-16).
///
/// Answers 200 also when the action fails: `statusCode` says it (DT-17). Fails with 400 when the task is not one of this
/// server or too old, with 404
/// `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/distribute/stamp/verifyTask/run", name = "runVerifyTask", component = "distribute",
    answer = TaskRan)]
pub struct RunVerifyTask {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The verify task: JSON text with `body` and `signature` (BEHAVIOUR DT-13).
    #[field(1..=5242880)]
    pub verify_task: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs a signed task, once, and answers the proof of it (BEHAVIOUR DT-16, DT-21).
///
/// Answers 200 also when the action fails: `statusCode` says it (DT-17). Fails with 400 when the task is not one of this
/// server or too old, with 404
/// `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/distribute/stamp/task/run", name = "runStampTask", component = "distribute",
    answer = TaskRan)]
pub struct RunStampTask {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The task: JSON text with `body` and `signature` (BEHAVIOUR DT-13).
    #[field(1..=5242880)]
    pub stamp_task: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs the acquire action of a signed sheet, once, when the context stack proves that all its tasks ran (BEHAVIOUR DT-16,
/// DT-21).
///
/// Answers 200 also when the action fails: `statusCode` says it (DT-17). Fails with 400 when the sheet is not one of this
/// server, is too old or a proof is missing, with 404
/// `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/distribute/stamp/sheet/run", name = "runStampSheet", component = "distribute",
    answer = SheetRan)]
pub struct RunStampSheet {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The sheet: JSON text with `body` and `signature` (BEHAVIOUR DT-11).
    #[field(1..=5242880)]
    pub stamp_sheet: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs the verify tasks, the tasks and the acquire action of a signed sheet up to one that fails (BEHAVIOUR DT-18). What ran
/// is not run again when the call is repeated (DT-21).
///
/// Answers 200 also when an action fails: the codes say it. Fails with 400 when the sheet is not one of this server or too
/// old, with 404
/// `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/distribute/stamp/run", name = "runStampSheetExpress", component = "distribute",
    answer = SheetRanExpress)]
pub struct RunStampSheetExpress {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The sheet: JSON text with `body` and `signature` (BEHAVIOUR DT-11).
    #[field(1..=5242880)]
    pub stamp_sheet: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs a signed verify task and answers the proof of it (BEHAVIOUR DT-16).
///
/// As `runVerifyTask`, without a namespace: nothing is logged (BEHAVIOUR DT-19).
///
/// Answers 200 also when the action fails: `statusCode` says it (DT-17). Fails with 400 when the task is not one of this
/// server or too old.
#[derive(Debug, Operation)]
#[operation(POST "/stamp/verifyTask/run", name = "runVerifyTaskWithoutNamespace", component = "distribute",
    answer = TaskRan)]
pub struct RunVerifyTaskWithoutNamespace {
    /// The verify task: JSON text with `body` and `signature` (BEHAVIOUR DT-13).
    #[field(1..=5242880)]
    pub verify_task: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs a signed task, once, and answers the proof of it (BEHAVIOUR DT-16, DT-21).
///
/// As `runStampTask`, without a namespace: nothing is logged (BEHAVIOUR DT-19).
///
/// Answers 200 also when the action fails: `statusCode` says it (DT-17). Fails with 400 when the task is not one of this
/// server or too old.
#[derive(Debug, Operation)]
#[operation(POST "/stamp/task/run", name = "runStampTaskWithoutNamespace", component = "distribute",
    answer = TaskRan)]
pub struct RunStampTaskWithoutNamespace {
    /// The task: JSON text with `body` and `signature` (BEHAVIOUR DT-13).
    #[field(1..=5242880)]
    pub stamp_task: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs the acquire action of a signed sheet, once, when the context stack proves that all its tasks ran (BEHAVIOUR DT-16,
/// DT-21).
///
/// As `runStampSheet`, without a namespace: nothing is logged (BEHAVIOUR DT-19).
///
/// Answers 200 also when the action fails: `statusCode` says it (DT-17). Fails with 400 when the sheet is not one of this
/// server, is too old or a proof is missing.
#[derive(Debug, Operation)]
#[operation(POST "/stamp/sheet/run", name = "runStampSheetWithoutNamespace", component = "distribute",
    answer = SheetRan)]
pub struct RunStampSheetWithoutNamespace {
    /// The sheet: JSON text with `body` and `signature` (BEHAVIOUR DT-11).
    #[field(1..=5242880)]
    pub stamp_sheet: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs the verify tasks, the tasks and the acquire action of a signed sheet up to one that fails (BEHAVIOUR DT-18). What ran
/// is not run again when the call is repeated (DT-21).
///
/// As `runStampSheetExpress`, without a namespace: nothing is logged (BEHAVIOUR DT-19).
///
/// Answers 200 also when an action fails: the codes say it. Fails with 400 when the sheet is not one of this server or too
/// old.
#[derive(Debug, Operation)]
#[operation(POST "/stamp/run", name = "runStampSheetExpressWithoutNamespace", component = "distribute",
    answer = SheetRanExpress)]
pub struct RunStampSheetExpressWithoutNamespace {
    /// The sheet: JSON text with `body` and `signature` (BEHAVIOUR DT-11).
    #[field(1..=5242880)]
    pub stamp_sheet: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}
