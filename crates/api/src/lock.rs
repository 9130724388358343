//! Lock: re-entrant mutexes with a time limit, one for each property of a player (seed 004, BEHAVIOUR section 8).

mod mutex;

pub use mutex::*;

use crate::contract::{Declaration, Operation, Service};
use crate::namespace::LogSetting;

/// The service.
pub static SERVICE: Service = Service {
    name: "lock",
    segment: "lock",
    grn: "lock",
    script: "lock",
    action: "Gs2Lock",
    regional: true,
    doc: "Re-entrant mutexes with a time limit, one for each property of a player.",
    resources: &[
        ("namespace", "{namespaceName}"),
        ("mutex", "{namespaceName}:user:{userId}:property:{propertyId}"),
    ],
};

crate::namespace_operations! {
    settings {
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
    DescribeMutexes::DECLARATION,
    Lock::DECLARATION,
    Unlock::DECLARATION,
    GetMutex::DECLARATION,
    DeleteMutexByUserId::DECLARATION,
];
