//! Jobs that failed too often: `/job-queue/{namespaceName}/user/{userId}/dead…`.

use super::{JobResultBody, SERVICE};
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{GrnText, NamespaceName, PageLimit, PageToken, UserId};
use crate::{Model, Operation};

/// A job that failed `maxTryCount` times. It is kept until somebody deletes it (BEHAVIOUR J-33, J-39).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct DeadLetterJob {
    /// GRN of the dead letter.
    pub dead_letter_job_id: String,
    /// Name: that of the job.
    #[field(1..=128)]
    pub name: String,
    /// Player in whose queue it was.
    pub user_id: UserId,
    /// GRN of the script.
    pub script_id: GrnText,
    /// What the script saw as `args`.
    #[field(0..=5242880)]
    pub args: String,
    /// What became of all its tries, in order (BEHAVIOUR J-37).
    #[field(0..=101)]
    pub result: Vec<JobResultBody>,
    /// When it became a dead letter.
    pub created_at: UnixMillis,
    /// When it was last changed; it never is.
    pub updated_at: UnixMillis,
}

/// Lists a player's dead letters. Old SDKs only (BEHAVIOUR J-38).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/dead", name = "describeDeadLetterJobsByUserId",
    component = "deadLetterJob", answer = Page<DeadLetterJob>)]
pub struct DescribeDeadLetterJobsByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Gets a dead letter. Old SDKs only (BEHAVIOUR J-38).
///
/// Fails with 404 `deadLetterJob`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/dead/{deadLetterJobName}", name = "getDeadLetterJobByUserId",
    component = "deadLetterJob", answer = Item<DeadLetterJob>)]
pub struct GetDeadLetterJobByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the dead letter: that of the job.
    #[field(1..=128)]
    pub dead_letter_job_name: String,
}

/// Deletes a dead letter. Old SDKs only (BEHAVIOUR J-38).
///
/// To try the job again, push it anew with the `scriptId` and `args` of the answer (J-39). Fails with 404 `deadLetterJob`,
/// with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/user/{userId}/dead/{deadLetterJobName}", name = "deleteDeadLetterJobByUserId",
    component = "deadLetterJob", answer = Item<DeadLetterJob>)]
pub struct DeleteDeadLetterJobByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the dead letter: that of the job.
    #[field(1..=128)]
    pub dead_letter_job_name: String,
}
