//! Waiting jobs: `/job-queue/{namespaceName}/user/{userId}/job…` (BEHAVIOUR J-01 … J-16, J-52, J-53).

use std::sync::Arc;

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::job_queue::{
    DeleteByStampTask, DeleteJob, DescribeJobsByUserId, GetJobByUserId, Job, JobEntry, JobName, Namespace,
    Namespaces, PushByStampSheet, PushByUserId, Pushed, SERVICE,
};
use hiroba_api::names::{GrnText, PageToken, UserId};
use hiroba_store::{Row, StoreError, Tx, params};
use serde_json::json;

use super::name;
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs::Lane;
use crate::registry::{Answered, Registry, Steps};
use crate::services::gateway::{Notice, notify};
use crate::services::{distributor, namespaces, page};

/// Attempts when the entry says nothing (BEHAVIOUR J-11).
const MAX_TRY_COUNT: i32 = 3;
/// Places in the queue for one push, which has at most 10 jobs.
const PLACES: i64 = 16;
/// Jobs that are read at once; together they may be large.
const CHUNK: i64 = 32;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A number after which no other push's jobs come.
        SELECT_NEXT = "SELECT hiroba_next_revision()";
        /// Adds a job; no row when there is no namespace.
        INSERT_JOB = "INSERT INTO job_queue_job (owner_id, namespace_name, user_id, sequence, name, script_id, args,
                retry_count, max_try_count, created_at, updated_at)
            SELECT owner_id, name, CAST($4 AS text), CAST($5 AS BIGINT), CAST($6 AS text), CAST($7 AS text),
                CAST($8 AS text), 0, CAST($9 AS BIGINT), CAST($10 AS BIGINT), CAST($10 AS BIGINT)
            FROM namespace WHERE owner_id = $1 AND service = $2 AND name = $3";
        /// Adds a job behind another one of the same push.
        INSERT_NEXT_JOB = "INSERT INTO job_queue_job (owner_id, namespace_name, user_id, sequence, name, script_id, args,
                retry_count, max_try_count, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $9)";
        /// Some waiting jobs of a player, in their order.
        SELECT_JOBS = "SELECT sequence, name, script_id, args, retry_count, max_try_count, created_at, updated_at
            FROM job_queue_job WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence > $4
            ORDER BY sequence LIMIT $5";
        /// One waiting job.
        SELECT_JOB = "SELECT sequence, name, script_id, args, retry_count, max_try_count, created_at, updated_at
            FROM job_queue_job WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4";
        /// Removes a job.
        DELETE_JOB = "DELETE FROM job_queue_job
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4 AND name = $5
            RETURNING sequence, name, script_id, args, retry_count, max_try_count, created_at, updated_at";
        /// Removes all jobs of a namespace.
        DELETE_ALL = "DELETE FROM job_queue_job WHERE owner_id = $1 AND namespace_name = $2";
        /// Gives all queues of a namespace up.
        DELETE_LANES = "DELETE FROM job_queue_lane WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_jobs_by_user_id);
    registry.read(get_job_by_user_id);
    registry.write_in::<PushByUserId, Namespaces>(|request| &request.namespace_name, push_by_user_id);
    registry.write(delete_job);
    registry.steps(push_by_stamp_sheet);
    registry.steps(delete_by_stamp_task);
}

/// A waiting job as its row holds it.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    /// Place in the queue.
    pub(crate) sequence: i64,
    pub(crate) name: String,
    pub(crate) script_id: String,
    pub(crate) args: Arc<str>,
    /// Failed attempts so far.
    pub(crate) retry_count: i64,
    pub(crate) max_try_count: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl Queued {
    pub(super) fn read(row: &Row<'_>) -> Result<Queued, StoreError> {
        Ok(Queued {
            sequence: row.int(0)?,
            name: row.text(1)?,
            script_id: row.text(2)?,
            args: row.opt_text(3)?.unwrap_or_default().into(),
            retry_count: row.int(4)?,
            max_try_count: row.int(5)?,
            created_at: row.int(6)?,
            updated_at: row.int(7)?,
        })
    }

    pub(super) fn model(&self, cx: &Cx, namespace: &str, user: &UserId) -> Job {
        Job {
            job_id: job_id(cx, namespace, user, &self.name),
            name: JobName::trusted(&*self.name),
            user_id: user.clone(),
            script_id: GrnText::trusted(&*self.script_id),
            args: self.args.to_string(),
            current_retry_count: small(self.retry_count),
            max_try_count: small(self.max_try_count),
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
        }
    }
}

/// GRN of a job (BEHAVIOUR N-04).
pub(super) fn job_id(cx: &Cx, namespace: &str, user: &str, name: &str) -> String {
    cx.grn(&SERVICE, &format!("{namespace}:user:{user}:job:{name}"))
}

/// A number of the protocol's `int` that the server itself keeps small.
pub(super) fn small(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What was found, or 404: `model`, or `namespace` when even that is missing (BEHAVIOUR E-08).
pub(super) fn found<T>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
    model: &str,
    detail: &str,
    row: Option<T>,
) -> Result<T, Error> {
    match row {
        Some(row) => Ok(row),
        None => {
            namespaces::require::<Namespaces>(tx, cx, namespace)?;
            Err(ApiError::not_found(SERVICE.name, model, detail).into())
        }
    }
}

/// The place behind which a page of these models starts.
pub(super) fn after(model: &str, token: Option<&PageToken>) -> Result<i64, Error> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(-1) };
    token.key().parse().map_err(|_| {
        let detail = "`pageToken` must be the `nextPageToken` of an earlier page of this list";
        ApiError::bad_request(SERVICE.name, model, "pageToken", "invalid", detail).into()
    })
}

fn describe_jobs_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeJobsByUserId,
) -> Result<Page<Job>, Error> {
    let (namespace, user) = (request.namespace_name.as_str(), cx.user()?);
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let after = after("job", request.page_token.as_ref())?;
    let select = |after: &i64, count| {
        let params = params![cx.owner(), namespace, user.as_str(), *after, count];
        Ok(tx.query(sql::SELECT_JOBS, params, Queued::read)?)
    };
    let bytes = |queued: &Queued| queued.args.len();
    let page = page::bounded(request.limit, after, CHUNK, select, |queued| queued.sequence, bytes)?;
    let items = page.items.iter().map(|queued| queued.model(cx, namespace, user)).collect();
    Ok(Page { items, next_page_token: page.next_page_token })
}

const NO_JOB: &str = "there is no such job waiting; it may have run: ask for its result with getJobResult";

fn get_job_by_user_id(tx: &mut Tx<'_>, cx: &Cx, request: &GetJobByUserId) -> Result<Item<Job>, Error> {
    let (namespace, user) = (request.namespace_name.as_str(), cx.user()?);
    let queued = match name::sequence(&request.job_name) {
        Some(sequence) => {
            let params = params![cx.owner(), namespace, user.as_str(), sequence];
            tx.query_opt(sql::SELECT_JOB, params, Queued::read)?
        }
        None => None,
    };
    let queued = queued.filter(|queued| queued.name == *request.job_name);
    let queued = found(tx, cx, namespace, "job", NO_JOB, queued)?;
    Ok(Item { item: queued.model(cx, namespace, user) })
}

fn push_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &PushByUserId,
    namespace: &Namespace,
) -> Result<Pushed, Error> {
    let entries = request.jobs.as_deref().unwrap_or_default();
    let items = push(tx, cx, namespace, cx.user()?, entries)?;
    Ok(Pushed { items, auto_run: namespace.enable_auto_run })
}

/// Appends jobs to a player's queue: all or none (BEHAVIOUR J-12).
///
/// Fails with 404 `namespace` when the namespace is gone by now.
pub(crate) fn push(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &Namespace,
    user: &UserId,
    entries: &[JobEntry],
) -> Result<Vec<Job>, Error> {
    let name = namespace.name.as_str();
    if entries.is_empty() {
        namespaces::require::<Namespaces>(tx, cx, name)?;
        return Ok(Vec::new());
    }
    let queued = enqueued(tx, cx, entries)?;
    let (first, others) = (&queued[0], &queued[1..]);
    let params = params![
        cx.owner(),
        SERVICE.name,
        name,
        user.as_str(),
        first.sequence,
        &first.name,
        &first.script_id,
        &*first.args,
        first.max_try_count,
        first.created_at
    ];
    if tx.execute(sql::INSERT_JOB, params)? == 0 {
        let detail = format!("there is no namespace `{name}`");
        return Err(ApiError::not_found(SERVICE.name, "namespace", detail).into());
    }
    for job in others {
        insert_next(tx, (cx.owner(), name, user), job)?;
    }
    if namespace.enable_auto_run {
        let (core, lane) = (Arc::clone(&cx.core), Lane::new(cx.owner(), name, user));
        tx.on_commit(move || core.jobs.wake(&core, lane));
    } else if let Some(setting) = &namespace.push_notification {
        // One for each push, not for each job (BEHAVIOUR J-15).
        let payload = json!({ "namespaceName": name, "userId": user.as_str() });
        let notice = Notice::new(cx.grn(&SERVICE, name), "Gs2JobQueue:Push", &payload);
        notify(tx, cx, (SERVICE.name, setting), user, notice)?;
    }
    Ok(queued.iter().map(|job| job.model(cx, name, user)).collect())
}

/// Adds a job to a queue whose namespace is known to be there.
pub(crate) fn insert_next(
    tx: &mut Tx<'_>,
    (owner, namespace, user): (&str, &str, &str),
    job: &Queued,
) -> Result<(), Error> {
    let params = params![
        owner,
        namespace,
        user,
        job.sequence,
        &job.name,
        &job.script_id,
        &*job.args,
        job.max_try_count,
        job.created_at
    ];
    tx.execute(sql::INSERT_NEXT_JOB, params)?;
    Ok(())
}

/// The jobs that entries make, at places behind all that were pushed before.
pub(crate) fn enqueued(tx: &mut Tx<'_>, cx: &Cx, entries: &[JobEntry]) -> Result<Vec<Queued>, Error> {
    let next = tx.query_opt(sql::SELECT_NEXT, &[], |row| row.int(0))?.unwrap_or_default();
    let mut random = [0; 32];
    let queued = entries.iter().zip(next * PLACES..).enumerate().map(|(index, (entry, sequence))| {
        if index % 4 == 0 {
            random = cx.entropy.bytes();
        }
        let bytes = std::array::from_fn(|byte| random[index % 4 * 8 + byte]);
        Queued {
            sequence,
            name: name::name(sequence, bytes),
            script_id: entry.script_id.to_string(),
            args: entry.args.as_deref().unwrap_or("{}").into(),
            retry_count: 0,
            // None at all makes no sense: it counts as one (BEHAVIOUR J-11).
            max_try_count: entry.max_try_count.unwrap_or(MAX_TRY_COUNT).max(1).into(),
            created_at: cx.now.0,
            updated_at: cx.now.0,
        }
    });
    Ok(queued.collect())
}

fn delete_job(tx: &mut Tx<'_>, cx: &Cx, request: &DeleteJob) -> Result<Item<Job>, Error> {
    let (namespace, user) = (request.namespace_name.as_str(), cx.user()?);
    let queued = match name::sequence(&request.job_name) {
        Some(sequence) => {
            let params = params![cx.owner(), namespace, user.as_str(), sequence, request.job_name.as_str()];
            tx.query_opt(sql::DELETE_JOB, params, Queued::read)?
        }
        None => None,
    };
    let queued = found(tx, cx, namespace, "job", NO_JOB, queued)?;
    let core = Arc::clone(&cx.core);
    tx.on_commit(move || core.jobs.deleted());
    if queued.retry_count > 0 {
        super::result::expire(tx, (cx.owner(), namespace, user), queued.sequence, cx.now)?;
    }
    Ok(Item { item: queued.model(cx, namespace, user) })
}

async fn push_by_stamp_sheet(steps: Steps<PushByStampSheet>) -> Result<Answered, Error> {
    let request = steps.request();
    let (sheet, key) = (&request.stamp_sheet, request.key_id.as_deref());
    let answer = distributor::by_sheet(&steps.cx, "Gs2JobQueue:PushByUserId", sheet, key).await?;
    Ok(Answered::as_text(answer))
}

async fn delete_by_stamp_task(steps: Steps<DeleteByStampTask>) -> Result<Answered, Error> {
    let request = steps.request();
    let (task, key) = (&request.stamp_task, request.key_id.as_deref());
    let answer = distributor::by_task(&steps.cx, "Gs2JobQueue:DeleteJobByUserId", task, key).await?;
    Ok(Answered::as_text(answer))
}

/// Removes all jobs of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    tx.execute(sql::DELETE_LANES, params![cx.owner(), namespace])?;
    let core = Arc::clone(&cx.core);
    tx.on_commit(move || core.jobs.deleted());
    Ok(())
}
