//! What became of the tries of a job: `/job-queue/{namespaceName}/user/{userId}/job/{jobName}/result`.

use super::{JobName, SERVICE};
use crate::contract::{Item, UnixMillis};
use crate::names::{GrnText, NamespaceName};
use crate::{Model, Operation};

/// What became of a try. It outlives the job (BEHAVIOUR J-51).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct JobResult {
    /// GRN of the result.
    pub job_result_id: String,
    /// GRN of the job.
    pub job_id: String,
    /// GRN of the script.
    pub script_id: GrnText,
    /// What the script saw as `args`.
    #[field(0..=5242880)]
    pub args: String,
    /// Number of the try, from 0 (BEHAVIOUR J-31).
    #[field(0..=10000)]
    pub try_number: i32,
    /// Status of the script; 2xx is success (BEHAVIOUR J-21).
    #[field(0..=1000)]
    pub status_code: i32,
    /// JSON text: the object that the script answered (BEHAVIOUR J-61), or the list of errors (J-62).
    #[field(0..=5242880)]
    pub result: String,
    /// When it was tried.
    pub try_at: UnixMillis,
}

/// What became of a try, as `run` and dead letters say it.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct JobResultBody {
    /// Number of the try, from 1: one more than in `JobResult` (BEHAVIOUR J-31).
    #[field(1..=10000)]
    pub try_number: i32,
    /// Status of the script; 2xx is success (BEHAVIOUR J-21).
    #[field(0..=1000)]
    pub status_code: i32,
    /// JSON text: the object that the script answered (BEHAVIOUR J-61), or the list of errors (J-62).
    #[field(0..=5242880)]
    pub result: String,
    /// When it was tried.
    pub try_at: UnixMillis,
}

/// Gets what became of a try, of the latest one when none is named (BEHAVIOUR J-50).
///
/// The job itself may be done and gone (J-51). Fails with 404 `jobResult` when the job is unknown or was not tried yet,
/// with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/job/{jobName}/result", name = "getJobResult", component = "jobResult",
    answer = Item<JobResult>)]
pub struct GetJobResult {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the job.
    pub job_name: JobName,
    /// Number of the try, from 0 (BEHAVIOUR J-31); the latest one when absent.
    #[field(0..=10000)]
    pub try_number: Option<i32>,
}
