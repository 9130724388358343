//! Script: Lua scripts that services and jobs call (BEHAVIOUR section 9).

mod invocation;
mod source;
mod transaction;

pub use invocation::*;
pub use source::*;
pub use transaction::*;

use crate::contract::{Declaration, Operation, Service};
use crate::namespace::{LogSetting, TransactionSetting, TransactionSettingV2};

/// The service.
pub static SERVICE: Service = Service {
    name: "script",
    segment: "script",
    grn: "script",
    script: "script",
    action: "Gs2Script",
    regional: true,
    doc: "Lua scripts that run on the server.",
    resources: &[("namespace", "{namespaceName}"), ("script", "{namespaceName}:script:{scriptName}")],
};

crate::namespace_operations! {
    settings {
        /// How the transactions that scripts make run (BEHAVIOUR SC-17).
        pub transaction_setting: Option<TransactionSetting>,
        /// How the transactions that scripts make run, as newer SDKs say it.
        pub transaction_setting_v2: Option<TransactionSettingV2>,
        /// Where the calls are logged.
        pub log_setting: Option<LogSetting>,
    }
}

/// Every operation of the service.
pub const OPERATIONS: &[&Declaration] = &[
    DescribeNamespaces::DECLARATION,
    CreateNamespace::DECLARATION,
    GetNamespaceStatus::DECLARATION,
    GetNamespace::DECLARATION,
    UpdateNamespace::DECLARATION,
    DeleteNamespace::DECLARATION,
    GetServiceVersion::DECLARATION,
    DescribeScripts::DECLARATION,
    CreateScript::DECLARATION,
    CreateScriptFromGitHub::DECLARATION,
    GetScript::DECLARATION,
    UpdateScript::DECLARATION,
    UpdateScriptFromGitHub::DECLARATION,
    DeleteScript::DECLARATION,
    InvokeScript::DECLARATION,
    DebugInvoke::DECLARATION,
    InvokeByStampSheet::DECLARATION,
];
