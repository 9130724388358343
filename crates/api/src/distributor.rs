//! Distributor: runs transactions, step by step for clients or of itself for services (BEHAVIOUR section 10).

mod batch;
mod context;
mod distribute;
mod expression;
mod master;
mod model;
mod result;
mod sheet;
mod user_data;

pub use batch::*;
pub use context::*;
pub use distribute::*;
pub use expression::*;
pub use master::*;
pub use model::*;
pub use result::*;
pub use sheet::*;
pub use user_data::*;

use crate::contract::{Declaration, Operation, Service};
use crate::names::GrnText;
use crate::namespace::{LogSetting, NotificationSetting, TransactionSetting, TransactionSettingV2};

/// The service.
pub static SERVICE: Service = Service {
    name: "distributor",
    segment: "distributor",
    grn: "distributor",
    script: "distributor",
    action: "Gs2Distributor",
    regional: true,
    doc: "Runs transactions: what a player must have, loses and gains, together.",
    resources: &[
        ("namespace", "{namespaceName}"),
        ("distributorModel", "{namespaceName}:model:{distributorName}"),
        ("distributorModelMaster", "{namespaceName}:model:{distributorName}"),
        ("currentDistributorMaster", "{namespaceName}"),
        ("distribute", "{namespaceName}"),
        ("expression", "{namespaceName}"),
        ("stampSheetResult", "{namespaceName}:user:{userId}:stampSheet:result:{transactionId}"),
        ("transactionResult", "{namespaceName}:user:{userId}:transaction:result:{transactionId}"),
    ],
};

crate::namespace_operations! {
    settings {
        /// How transactions of this namespace run.
        pub transaction_setting: Option<TransactionSetting>,
        /// How transactions of this namespace run, as newer SDKs say it.
        pub transaction_setting_v2: Option<TransactionSettingV2>,
        /// GRN of the Identifier user whose rights the actions have; all rights of the project when absent (BEHAVIOUR
        /// DT-52).
        pub assume_user_id: Option<GrnText>,
        /// How players learn that the steps of a transaction ran (BEHAVIOUR DT-36); through the Gateway namespace `default`
        /// when absent.
        pub auto_run_stamp_sheet_notification: Option<NotificationSetting>,
        /// How players learn that a transaction ran whose actions take effect together (BEHAVIOUR DT-36); through the
        /// Gateway namespace `default` when absent.
        pub auto_run_transaction_notification: Option<NotificationSetting>,
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
    DescribeDistributorModelMasters::DECLARATION,
    CreateDistributorModelMaster::DECLARATION,
    GetDistributorModelMaster::DECLARATION,
    UpdateDistributorModelMaster::DECLARATION,
    DeleteDistributorModelMaster::DECLARATION,
    DescribeDistributorModels::DECLARATION,
    GetDistributorModel::DECLARATION,
    ExportMaster::DECLARATION,
    GetCurrentDistributorMaster::DECLARATION,
    PreUpdateCurrentDistributorMaster::DECLARATION,
    UpdateCurrentDistributorMaster::DECLARATION,
    UpdateCurrentDistributorMasterFromGitHub::DECLARATION,
    Distribute::DECLARATION,
    DistributeWithoutOverflowProcess::DECLARATION,
    RunVerifyTask::DECLARATION,
    RunStampTask::DECLARATION,
    RunStampSheet::DECLARATION,
    RunStampSheetExpress::DECLARATION,
    RunVerifyTaskWithoutNamespace::DECLARATION,
    RunStampTaskWithoutNamespace::DECLARATION,
    RunStampSheetWithoutNamespace::DECLARATION,
    RunStampSheetExpressWithoutNamespace::DECLARATION,
    SetTransactionDefaultConfig::DECLARATION,
    FreezeMasterData::DECLARATION,
    SignFreezeMasterDataTimestamp::DECLARATION,
    FreezeMasterDataBySignedTimestamp::DECLARATION,
    FreezeMasterDataByTimestamp::DECLARATION,
    BatchExecuteApi::DECLARATION,
    IfExpressionByUserId::DECLARATION,
    AndExpressionByUserId::DECLARATION,
    OrExpressionByUserId::DECLARATION,
    IfExpressionByStampTask::DECLARATION,
    AndExpressionByStampTask::DECLARATION,
    OrExpressionByStampTask::DECLARATION,
    GetStampSheetResult::DECLARATION,
    DescribeUserData::DECLARATION,
    RunTransaction::DECLARATION,
    GetTransactionResult::DECLARATION,
];
