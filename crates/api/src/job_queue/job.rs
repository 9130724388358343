//! Jobs: `/job-queue/{namespaceName}/user/{userId}/job…`, and the sheet's `/job-queue/stamp/job…`.

use super::{JobResultBody, SERVICE};
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{GrnText, NamespaceName, PageLimit, PageToken, UserId, text_type};
use crate::{Model, Operation};

text_type! {
    /// Name of a job: the UUID that the server gives it, at most 36 characters (BEHAVIOUR J-04).
    JobName, 1..=36, |_| Ok(())
}

/// A job that waits. One that succeeded is gone, one that failed too often is a dead letter (BEHAVIOUR J-32, J-33).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Job {
    /// GRN of the job.
    pub job_id: String,
    /// Name: a UUID that the server gives.
    pub name: JobName,
    /// Player in whose queue it is.
    pub user_id: UserId,
    /// GRN of the script that does it.
    pub script_id: GrnText,
    /// JSON object that the script sees as `args`.
    #[field(0..=5242880)]
    pub args: String,
    /// How often it failed so far.
    #[field(0..=100)]
    pub current_retry_count: i32,
    /// How often it is tried before it becomes a dead letter (BEHAVIOUR J-33).
    #[field(1..=100)]
    pub max_try_count: i32,
    /// When it was pushed.
    pub created_at: UnixMillis,
    /// When it was last changed, such as by a try that failed.
    pub updated_at: UnixMillis,
}

/// A job to push.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct JobEntry {
    /// GRN of the script. It is looked for when the job runs, not before (BEHAVIOUR J-13).
    pub script_id: GrnText,
    /// JSON object that the script sees as `args`; `{}` when absent.
    #[field(0..=131072)]
    pub args: Option<String>,
    /// How often it is tried before it becomes a dead letter; 3 when absent, 0 counts as 1 (BEHAVIOUR J-11).
    #[field(0..=100)]
    pub max_try_count: Option<i32>,
}

/// Lists a player's waiting jobs, the next one first (BEHAVIOUR J-53).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/job", name = "describeJobsByUserId", component = "job",
    answer = Page<Job>)]
pub struct DescribeJobsByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Gets a waiting job.
///
/// Fails with 404 `job`, also when it is done or a dead letter, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/job/{jobName}", name = "getJobByUserId", component = "job",
    answer = Item<Job>)]
pub struct GetJobByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the job.
    pub job_name: JobName,
}

/// Jobs that were pushed.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Pushed {
    /// The jobs, in the order of the request.
    pub items: Vec<Job>,
    /// Whether the server runs them by itself: the namespace's `enableAutoRun`. Otherwise somebody must call `run`.
    pub auto_run: bool,
}

/// Appends jobs to a player's queue, all or none (BEHAVIOUR J-10 … J-13).
///
/// Players cannot do it themselves (J-14). Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/{userId}/job", name = "pushByUserId", component = "job", answer = Pushed)]
pub struct PushByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The jobs; none when absent.
    #[field(0..=10)]
    pub jobs: Option<Vec<JobEntry>>,
}

/// What a call of `run` did.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Ran {
    /// The job that was tried; absent when there was none (BEHAVIOUR J-22).
    pub item: Option<Job>,
    /// What became of the try; absent when there was no job.
    pub result: Option<JobResultBody>,
    /// Whether no job is left: otherwise call again (BEHAVIOUR J-23).
    pub is_last_job: bool,
}

/// Tries the first job of the player's queue and waits for it (BEHAVIOUR J-20).
///
/// Answers 200 also when the job fails: `result.statusCode` says it (J-21). A job that failed stays the first one (J-32),
/// until it was tried `maxTryCount` times and becomes a dead letter (J-33). With `enableAutoRun` the server runs the jobs, and
/// the call does nothing and answers `isLastJob` true (J-24). Fails with 409 `jobQueue.execution.conflict` while another
/// job of the player's queue is being tried (J-25), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/{userId}/job/run", name = "run", component = "job", answer = Ran)]
pub struct Run {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Removes a job, whether or not it is being tried (BEHAVIOUR J-52).
///
/// A try that has begun goes on and its result is kept, but there is no other one. Fails with 404 `job`, with 404
/// `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/user/{userId}/job/{jobName}", name = "deleteJob", component = "job",
    answer = Item<Job>)]
pub struct DeleteJob {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the job.
    pub job_name: JobName,
}

/// Pushes the jobs that a signed sheet names: the acquire action `Gs2JobQueue:PushByUserId` (BEHAVIOUR J-16, DT-20).
///
/// Fails with 400 when the sheet is not one of this server, is of another action or too old, or when the context stack proves
/// not all of its tasks, and as `pushByUserId` does. The jobs of a sheet are pushed once (BEHAVIOUR DT-21).
#[derive(Debug, Operation)]
#[operation(POST "/stamp/job", name = "pushByStampSheet", component = "job", answer = Pushed)]
pub struct PushByStampSheet {
    /// The sheet: JSON text with `body` and `signature` (BEHAVIOUR DT-11).
    #[field(1..=5242880)]
    pub stamp_sheet: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// A job that a task removed.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Deleted {
    /// The job.
    pub item: Job,
    /// What the sheet's next task is called with: the proof that this one was done (BEHAVIOUR DT-16).
    pub new_context_stack: String,
}

/// Removes the job that a signed task names: the consume action `Gs2JobQueue:DeleteJobByUserId` (BEHAVIOUR J-16, DT-20).
///
/// Fails with 400 when the task is not one of this server, is of another action or too old, and as `deleteJobByUserId` does. A
/// task that was done is not done again (BEHAVIOUR DT-21).
#[derive(Debug, Operation)]
#[operation(POST "/stamp/job/delete", name = "deleteByStampTask", component = "job", answer = Deleted)]
pub struct DeleteByStampTask {
    /// The task: JSON text with `body` and `signature` (BEHAVIOUR DT-13).
    #[field(1..=5242880)]
    pub stamp_task: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}
