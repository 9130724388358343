//! Transactions that were issued, and their parts that were executed: `/log/{namespaceName}/log/issue…`, `…/execute…`
//! (BEHAVIOUR LG-09).

use super::{Found, SERVICE};
use crate::contract::UnixMillis;
use crate::names::{NamespaceName, PageLimit, PageToken, UserId};
use crate::{Model, Operation};

/// A transaction that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct IssueStampSheetLog {
    /// When.
    pub timestamp: UnixMillis,
    /// Id of the transaction.
    pub transaction_id: String,
    /// Service of the call that issued it.
    pub service: String,
    /// Operation that issued it, without `ByUserId` and the like.
    pub method: String,
    /// Player whose transaction it is.
    pub user_id: Option<UserId>,
    /// Action: `Gs2JobQueue:PushByUserId`.
    pub action: String,
    /// Request of the action, JSON text; secrets are `***` (BEHAVIOUR LG-11).
    pub args: String,
    /// Consume actions, each a JSON text.
    #[field(0..=10)]
    pub tasks: Vec<String>,
}

/// How many transactions that were issued have the same values.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct IssueStampSheetLogCount {
    /// Service, when services are counted apart.
    pub service: Option<String>,
    /// Method, when methods are counted apart.
    pub method: Option<String>,
    /// Player, when players are counted apart.
    pub user_id: Option<UserId>,
    /// Action, when actions are counted apart.
    pub action: Option<String>,
    /// Their number.
    pub count: i64,
}

/// Finds transactions that were issued, newest first (BEHAVIOUR LG-08, LG-09).
///
/// Bounded like `queryAccessLog`, and fails like it.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/issue/stamp/sheet", name = "queryIssueStampSheetLog", component = "issueStampSheetLog",
    answer = Found<IssueStampSheetLog>)]
pub struct QueryIssueStampSheetLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only this service, as logs name it: `jobQueue`.
    #[field(0..=1024)]
    pub service: Option<String>,
    /// Only this method, as logs name it: `push` (BEHAVIOUR LG-03).
    #[field(0..=1024)]
    pub method: Option<String>,
    /// Only this player.
    pub user_id: Option<UserId>,
    /// Only this action: `Gs2JobQueue:PushByUserId`.
    #[field(0..=1024)]
    pub action: Option<String>,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Counts transactions that were issued: one number, or one for each combination of the values that are counted apart, largest first.
///
/// Bounded like `countAccessLog`, and fails like it.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/issue/stamp/sheet/count", name = "countIssueStampSheetLog", component = "issueStampSheetLog",
    answer = Found<IssueStampSheetLogCount>)]
pub struct CountIssueStampSheetLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Whether to count each service apart.
    #[field(default = 0)]
    pub service: bool,
    /// Whether to count each method apart.
    #[field(default = 0)]
    pub method: bool,
    /// Whether to count each player apart.
    #[field(default = 0)]
    pub user_id: bool,
    /// Whether to count each action apart.
    #[field(default = 0)]
    pub action: bool,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// An acquire action that was executed.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ExecuteStampSheetLog {
    /// When.
    pub timestamp: UnixMillis,
    /// Id of the transaction.
    pub transaction_id: String,
    /// Service of the call that issued it.
    pub service: String,
    /// Operation that issued it, without `ByUserId` and the like.
    pub method: String,
    /// Player whose transaction it is.
    pub user_id: Option<UserId>,
    /// Action: `Gs2JobQueue:PushByUserId`.
    pub action: String,
    /// Request of the action, JSON text; secrets are `***` (BEHAVIOUR LG-11).
    pub args: String,
}

/// How many acquire actions that were executed have the same values.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ExecuteStampSheetLogCount {
    /// Service, when services are counted apart.
    pub service: Option<String>,
    /// Method, when methods are counted apart.
    pub method: Option<String>,
    /// Player, when players are counted apart.
    pub user_id: Option<UserId>,
    /// Action, when actions are counted apart.
    pub action: Option<String>,
    /// Their number.
    pub count: i64,
}

/// Finds acquire actions that were executed, newest first (BEHAVIOUR LG-08, LG-09).
///
/// Bounded like `queryAccessLog`, and fails like it.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/execute/stamp/sheet", name = "queryExecuteStampSheetLog", component = "executeStampSheetLog",
    answer = Found<ExecuteStampSheetLog>)]
pub struct QueryExecuteStampSheetLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only this service, as logs name it: `jobQueue`.
    #[field(0..=1024)]
    pub service: Option<String>,
    /// Only this method, as logs name it: `push` (BEHAVIOUR LG-03).
    #[field(0..=1024)]
    pub method: Option<String>,
    /// Only this player.
    pub user_id: Option<UserId>,
    /// Only this action: `Gs2JobQueue:PushByUserId`.
    #[field(0..=1024)]
    pub action: Option<String>,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Counts acquire actions that were executed: one number, or one for each combination of the values that are counted apart, largest first.
///
/// Bounded like `countAccessLog`, and fails like it.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/execute/stamp/sheet/count", name = "countExecuteStampSheetLog", component = "executeStampSheetLog",
    answer = Found<ExecuteStampSheetLogCount>)]
pub struct CountExecuteStampSheetLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Whether to count each service apart.
    #[field(default = 0)]
    pub service: bool,
    /// Whether to count each method apart.
    #[field(default = 0)]
    pub method: bool,
    /// Whether to count each player apart.
    #[field(default = 0)]
    pub user_id: bool,
    /// Whether to count each action apart.
    #[field(default = 0)]
    pub action: bool,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// A consume action that was executed.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ExecuteStampTaskLog {
    /// When.
    pub timestamp: UnixMillis,
    /// Id of the task.
    pub task_id: String,
    /// Service of the call that issued it.
    pub service: String,
    /// Operation that issued it, without `ByUserId` and the like.
    pub method: String,
    /// Player whose transaction it is.
    pub user_id: Option<UserId>,
    /// Action: `Gs2JobQueue:PushByUserId`.
    pub action: String,
    /// Request of the action, JSON text; secrets are `***` (BEHAVIOUR LG-11).
    pub args: String,
}

/// How many consume actions that were executed have the same values.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ExecuteStampTaskLogCount {
    /// Service, when services are counted apart.
    pub service: Option<String>,
    /// Method, when methods are counted apart.
    pub method: Option<String>,
    /// Player, when players are counted apart.
    pub user_id: Option<UserId>,
    /// Action, when actions are counted apart.
    pub action: Option<String>,
    /// Their number.
    pub count: i64,
}

/// Finds consume actions that were executed, newest first (BEHAVIOUR LG-08, LG-09).
///
/// Bounded like `queryAccessLog`, and fails like it.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/execute/stamp/task", name = "queryExecuteStampTaskLog", component = "executeStampTaskLog",
    answer = Found<ExecuteStampTaskLog>)]
pub struct QueryExecuteStampTaskLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only this service, as logs name it: `jobQueue`.
    #[field(0..=1024)]
    pub service: Option<String>,
    /// Only this method, as logs name it: `push` (BEHAVIOUR LG-03).
    #[field(0..=1024)]
    pub method: Option<String>,
    /// Only this player.
    pub user_id: Option<UserId>,
    /// Only this action: `Gs2JobQueue:PushByUserId`.
    #[field(0..=1024)]
    pub action: Option<String>,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Counts consume actions that were executed: one number, or one for each combination of the values that are counted apart, largest first.
///
/// Bounded like `countAccessLog`, and fails like it.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/execute/stamp/task/count", name = "countExecuteStampTaskLog", component = "executeStampTaskLog",
    answer = Found<ExecuteStampTaskLogCount>)]
pub struct CountExecuteStampTaskLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Whether to count each service apart.
    #[field(default = 0)]
    pub service: bool,
    /// Whether to count each method apart.
    #[field(default = 0)]
    pub method: bool,
    /// Whether to count each player apart.
    #[field(default = 0)]
    pub user_id: bool,
    /// Whether to count each action apart.
    #[field(default = 0)]
    pub action: bool,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}
