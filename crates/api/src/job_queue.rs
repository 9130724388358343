//! JobQueue: for each player a queue of script calls, tried again until they succeed (seeds 000 and 001, BEHAVIOUR section
//! 5).

mod dead_letter;
mod job;
mod result;

pub use dead_letter::*;
pub use job::*;
pub use result::*;

use crate::contract::{Declaration, Operation, Service};
use crate::namespace::{LogSetting, NotificationSetting, TransactionSetting, TransactionSettingV2};

/// The service.
pub static SERVICE: Service = Service {
    name: "jobQueue",
    segment: "job-queue",
    grn: "queue",
    script: "job_queue",
    action: "Gs2JobQueue",
    regional: true,
    doc: "For each player a queue of script calls, tried again until they succeed.",
    resources: &[
        ("namespace", "{namespaceName}"),
        ("job", "{namespaceName}:user:{userId}:job:{jobName}"),
        ("jobResult", "{namespaceName}:user:{userId}:job:{jobName}:jobResult:{tryNumber}"),
        ("deadLetterJob", "{namespaceName}:user:{userId}:dead:{deadLetterJobName}"),
    ],
};

crate::namespace_operations! {
    settings {
        /// How transactions of this namespace run.
        pub transaction_setting: Option<TransactionSetting>,
        /// How transactions of this namespace run, as newer SDKs say it.
        pub transaction_setting_v2: Option<TransactionSettingV2>,
        /// Whether the server runs jobs by itself, from the push on (BEHAVIOUR J-40); otherwise clients call `run`.
        #[field(default = 0)]
        pub enable_auto_run: bool,
        /// How players learn of new jobs; only without `enableAutoRun` (BEHAVIOUR J-05, J-15).
        pub push_notification: Option<NotificationSetting>,
        /// How players learn of jobs that ran (BEHAVIOUR J-05, J-27).
        pub run_notification: Option<NotificationSetting>,
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
    DescribeJobsByUserId::DECLARATION,
    GetJobByUserId::DECLARATION,
    PushByUserId::DECLARATION,
    Run::DECLARATION,
    DeleteJob::DECLARATION,
    PushByStampSheet::DECLARATION,
    DeleteByStampTask::DECLARATION,
    GetJobResult::DECLARATION,
    DescribeDeadLetterJobsByUserId::DECLARATION,
    GetDeadLetterJobByUserId::DECLARATION,
    DeleteDeadLetterJobByUserId::DECLARATION,
];
