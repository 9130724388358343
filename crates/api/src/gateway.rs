//! Gateway: which sockets a player has, and pushing to them (seed 002, BEHAVIOUR section 6).

mod firebase;
mod session;

pub use firebase::*;
pub use session::*;

use crate::contract::{Declaration, Operation, Service};
use crate::namespace::{LogSetting, TransactionSetting, TransactionSettingV2};

/// The service.
pub static SERVICE: Service = Service {
    name: "gateway",
    segment: "gateway",
    grn: "gateway",
    script: "gateway",
    action: "Gs2Gateway",
    regional: true,
    doc: "The sockets of players, and pushing to them.",
    resources: &[
        ("namespace", "{namespaceName}"),
        ("webSocketSession", "{namespaceName}:user:{userId}:session:{connectionId}"),
        ("firebaseToken", "{namespaceName}:user:{userId}:firebase:token"),
    ],
};

crate::namespace_operations! {
    settings {
        /// How transactions of this namespace run.
        pub transaction_setting: Option<TransactionSetting>,
        /// How transactions of this namespace run, as newer SDKs say it.
        pub transaction_setting_v2: Option<TransactionSettingV2>,
        /// Service account that sends mobile notifications; without it they are recorded only (BEHAVIOUR G-52).
        pub firebase_secret: Option<FirebaseSecret>,
        /// Firebase project; the service account's own when absent.
        #[field(0..=128)]
        pub firebase_project_id: Option<String>,
        /// Where the calls are logged.
        pub log_setting: Option<LogSetting>,
    }
}

crate::user_data_operations!();

/// Every operation of the service.
pub const OPERATIONS: &[&Declaration] = &[
    DescribeNamespaces::DECLARATION,
    CreateNamespace::DECLARATION,
    GetNamespaceStatus::DECLARATION,
    GetNamespace::DECLARATION,
    UpdateNamespace::DECLARATION,
    DeleteNamespace::DECLARATION,
    GetServiceVersion::DECLARATION,
    DumpUserDataByUserId::DECLARATION,
    CheckDumpUserDataByUserId::DECLARATION,
    CleanUserDataByUserId::DECLARATION,
    CheckCleanUserDataByUserId::DECLARATION,
    PrepareImportUserDataByUserId::DECLARATION,
    ImportUserDataByUserId::DECLARATION,
    CheckImportUserDataByUserId::DECLARATION,
    DescribeWebSocketSessions::DECLARATION,
    SetUserId::DECLARATION,
    SendNotification::DECLARATION,
    DisconnectByUserId::DECLARATION,
    DisconnectAll::DECLARATION,
    GetWebSocketSession::DECLARATION,
    GetWebSocketSessionByConnectionId::DECLARATION,
    SetFirebaseToken::DECLARATION,
    GetFirebaseToken::DECLARATION,
    DeleteFirebaseToken::DECLARATION,
    SendMobileNotificationByUserId::DECLARATION,
];
