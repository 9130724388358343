//! An attempt at the first jobs of a queue, but for the script itself: taking the jobs, and settling what became of them
//! (BEHAVIOUR J-27, J-30 … J-37, J-42). `run` and the server's own workers share it.

use std::sync::Arc;

use hiroba_api::contract::UnixMillis;
use hiroba_api::job_queue::{Namespace, SERVICE};
use hiroba_api::names::UserId;
use hiroba_lua::Outcome;
use hiroba_store::{Row, Tx, params};
use serde_json::{Value, json};

use super::job::Queued;
use super::{dead_letter, result};
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs::Lane;
use crate::pipeline::{Made, forget};
use crate::scripts::{failed, failure};
use crate::services::gateway::{Notice, notify};

/// First and longest time between two attempts at a job (BEHAVIOUR J-36).
const BACK_OFF_MS: i64 = 1000;
const BACK_OFF_MS_MAX: i64 = 60_000;
/// Arguments of more characters than this are not read together with those of other jobs.
const ARGS_TOGETHER_MAX: i64 = 8192;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The first jobs of a queue; arguments of more than `$5` characters are left out.
        SELECT_HEAD = "SELECT sequence, name, script_id, CASE WHEN length(args) <= CAST($5 AS BIGINT) THEN args END,
                retry_count, max_try_count, created_at, updated_at
            FROM job_queue_job WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 ORDER BY sequence LIMIT $4";
        /// The arguments of a job.
        SELECT_ARGS = "SELECT args FROM job_queue_job
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4";
        /// Takes a job that was done out of its queue.
        FINISH_JOB = "DELETE FROM job_queue_job
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4";
        /// Counts a failed attempt.
        RETRY_JOB = "UPDATE job_queue_job SET retry_count = $5, updated_at = $6
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4";
        /// Whether a queue holds jobs.
        SELECT_ANY = "SELECT 1 FROM job_queue_job WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 LIMIT 1";
        /// Whether a job is in its queue.
        SELECT_WAITS = "SELECT 1 FROM job_queue_job
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4";
        /// Claims a queue for a node unless another one has it whose lease lasts.
        CLAIM_LANE = "INSERT INTO job_queue_lane (owner_id, namespace_name, user_id, node_id) VALUES ($1, $2, $3, $4)
            ON CONFLICT (owner_id, namespace_name, user_id) DO UPDATE SET node_id = excluded.node_id
            WHERE job_queue_lane.node_id = excluded.node_id OR NOT EXISTS (
                SELECT 1 FROM gateway_node n WHERE n.node_id = job_queue_lane.node_id AND n.expires_at > $5)";
        /// Whether a node still has a queue.
        SELECT_CLAIM = "SELECT 1 FROM job_queue_lane
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND node_id = $4";
        /// Gives a queue up.
        RELEASE_LANE = "DELETE FROM job_queue_lane
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND node_id = $4";
        /// Gives a queue up if it is empty.
        RELEASE_EMPTY_LANE = "DELETE FROM job_queue_lane
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND node_id = $4 AND NOT EXISTS (
                SELECT 1 FROM job_queue_job j WHERE j.owner_id = $1 AND j.namespace_name = $2 AND j.user_id = $3)";
    }
}

/// The first jobs of a queue.
#[derive(Debug)]
pub(crate) struct Head {
    /// The jobs, in order.
    pub(crate) jobs: Vec<Queued>,
    /// Whether there may be more.
    pub(crate) more: bool,
}

/// Reads the first jobs of a queue.
pub(crate) fn head(tx: &mut Tx<'_>, lane: &Lane, count: usize) -> Result<Head, Error> {
    let params = params![&lane.owner, &lane.namespace, &lane.user, count as i64, ARGS_TOGETHER_MAX];
    let read = |row: &Row<'_>| Ok((Queued::read(row)?, row.opt_text(3)?.is_some()));
    let mut rows = tx.query(sql::SELECT_HEAD, params, read)?;
    let mut more = rows.len() == count;
    if let Some((first, whole @ false)) = rows.first_mut() {
        let params = params![&lane.owner, &lane.namespace, &lane.user, first.sequence];
        let args = tx.query_opt(sql::SELECT_ARGS, params, |row| row.text(0))?;
        first.args = args.unwrap_or_default().into();
        *whole = true;
        more |= rows.len() > 1;
        rows.truncate(1);
    }
    if let Some(large) = rows.iter().position(|(_, whole)| !whole) {
        rows.truncate(large);
        more = true;
    }
    Ok(Head { jobs: rows.into_iter().map(|(queued, _)| queued).collect(), more })
}

/// Claims a queue for a node, where there may be several; says whether it has it.
pub(crate) fn claim(tx: &mut Tx<'_>, lane: &Lane, node: &str, now: UnixMillis) -> Result<bool, Error> {
    let params = params![&lane.owner, &lane.namespace, &lane.user, node, now.0];
    Ok(tx.execute(sql::CLAIM_LANE, params)? == 1)
}

/// Gives a queue up.
pub(crate) fn release(tx: &mut Tx<'_>, lane: &Lane, node: &str) -> Result<(), Error> {
    tx.execute(sql::RELEASE_LANE, params![&lane.owner, &lane.namespace, &lane.user, node])?;
    Ok(())
}

/// Gives a queue up if it is empty; says whether it was given up.
pub(crate) fn release_empty(tx: &mut Tx<'_>, lane: &Lane, node: &str) -> Result<bool, Error> {
    let params = params![&lane.owner, &lane.namespace, &lane.user, node];
    Ok(tx.execute(sql::RELEASE_EMPTY_LANE, params)? == 1)
}

/// Whether a node still has a queue that it claimed.
pub(crate) fn is_claimed(tx: &mut Tx<'_>, lane: &Lane, node: &str) -> Result<bool, Error> {
    let params = params![&lane.owner, &lane.namespace, &lane.user, node];
    Ok(tx.query_opt(sql::SELECT_CLAIM, params, |row| row.int(0))?.is_some())
}

/// Whether a queue holds jobs.
pub(crate) fn any(tx: &mut Tx<'_>, lane: &Lane) -> Result<bool, Error> {
    let params = params![&lane.owner, &lane.namespace, &lane.user];
    Ok(tx.query_opt(sql::SELECT_ANY, params, |row| row.int(0))?.is_some())
}

/// Whether a job is still in its queue.
pub(crate) fn waits(tx: &mut Tx<'_>, lane: &Lane, sequence: i64) -> Result<bool, Error> {
    let params = params![&lane.owner, &lane.namespace, &lane.user, sequence];
    Ok(tx.query_opt(sql::SELECT_WAITS, params, |row| row.int(0))?.is_some())
}

/// When a job may be tried again by the server (BEHAVIOUR J-36): after 1, 2, 4 … seconds, at most 60.
pub(crate) fn due_at(job: &Queued) -> i64 {
    match job.retry_count {
        0 => i64::MIN,
        count => {
            let doublings = u32::try_from(count - 1).unwrap_or(u32::MAX).min(16);
            job.updated_at.saturating_add((BACK_OFF_MS << doublings).min(BACK_OFF_MS_MAX))
        }
    }
}

/// A job that was tried.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) job: Queued,
    pub(crate) status: u16,
    pub(crate) result: String,
    pub(crate) tried_at: UnixMillis,
    /// The calls that the script made.
    pub(crate) made: Vec<Made>,
    /// Whether another attempt is known to be in vain.
    pub(crate) hopeless: bool,
}

impl Tried {
    /// What a run of the job's script came to.
    pub(crate) fn new(job: Queued, outcome: Outcome, tried_at: UnixMillis, made: Vec<Made>) -> Tried {
        let Outcome { mut status, mut result, .. } = outcome;
        // SDKs look for members in it (BEHAVIOUR J-61); the host writes objects with their brace first.
        if (200..300).contains(&status) && !result.starts_with('{') {
            let detail = "a job's `result` must be a table with named members, not a list".to_owned();
            let outcome = failed(&failure(400, "result", "invalid", detail));
            (status, result) = (outcome.status, outcome.result);
        }
        Tried { job, status, result, tried_at, made, hopeless: false }
    }

    /// Whether the job is done.
    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it was the last attempt at a job that failed.
    pub(crate) fn is_last(&self) -> bool {
        !self.succeeded() && (self.hopeless || self.job.retry_count + 1 >= self.job.max_try_count)
    }
}

/// Keeps what became of an attempt that ended at `now`, and takes the job out of its queue or leaves it there for the next
/// one.
pub(crate) fn settle(
    tx: &mut Tx<'_>,
    cx: &Cx,
    lane: &Lane,
    namespace: &Namespace,
    tried: &Tried,
    now: UnixMillis,
) -> Result<(), Error> {
    let (job, place) = (&tried.job, (&lane.owner, &lane.namespace, &lane.user));
    let leaves = tried.succeeded() || tried.is_last();
    let key = params![place.0, place.1, place.2, job.sequence];
    let waited = if leaves {
        tx.execute(sql::FINISH_JOB, key)? == 1
    } else {
        let count = job.retry_count + 1;
        let params = params![place.0, place.1, place.2, job.sequence, count, tried.tried_at.0];
        tx.execute(sql::RETRY_JOB, params)? == 1
    };
    // A job that was deleted meanwhile is not tried again (BEHAVIOUR J-52).
    let gone = leaves || !waited;
    let expires_at = if gone { now.0 + result::KEPT_MS } else { result::NEVER };
    let params = params![
        job.sequence,
        job.retry_count,
        place.0,
        place.1,
        place.2,
        &job.name,
        &job.script_id,
        &*job.args,
        i64::from(tried.status),
        &tried.result,
        tried.tried_at.0,
        tried.tried_at.0,
        expires_at
    ];
    tx.execute(result::sql::INSERT_RESULT, params)?;
    if gone {
        if job.retry_count > 0 {
            result::expire(tx, (place.0, place.1, place.2), job.sequence, now)?;
        }
        forget(tx, &lane.owner, &tried.made)?;
    }
    if waited && tried.is_last() {
        dead_letter::insert(tx, lane, job, now)?;
    }
    let tells = tried.succeeded() || (waited && tried.is_last() && namespace.enable_auto_run);
    match &namespace.run_notification {
        Some(setting) if tells => {
            let user = UserId::trusted(&*lane.user);
            let payload =
                json!({ "namespaceName": lane.namespace, "userId": lane.user, "jobName": job.name });
            let payload = with_result(payload, tried);
            let issuer = cx.grn(&SERVICE, &lane.namespace);
            notify(
                tx,
                cx,
                (SERVICE.name, setting),
                &user,
                Notice::new(issuer, "Gs2JobQueue:RunNotification", &payload),
            )
        }
        _ => Ok(()),
    }
}

/// The notification's payload with the result, as long as it keeps the limit of payloads (BEHAVIOUR J-27, G-40).
fn with_result(payload: Value, tried: &Tried) -> Value {
    const PAYLOAD_CHARS_MAX: usize = 1024;
    let mut whole = payload.clone();
    whole["result"] = json!({
        "tryNumber": tried.job.retry_count + 1,
        "statusCode": tried.status,
        "result": tried.result,
        "tryAt": tried.tried_at.0,
    });
    // Bytes are at least as many as characters.
    if tried.result.len() < PAYLOAD_CHARS_MAX && whole.to_string().len() <= PAYLOAD_CHARS_MAX {
        whole
    } else {
        payload
    }
}

/// What a script of a job draws its random numbers from: the same in every attempt, so that its calls are too.
pub(crate) fn seed(job: &Queued) -> u64 {
    crate::entropy::splitmix(job.sequence.cast_unsigned()) & u64::from(u32::MAX)
}

/// The JSON text of the arguments.
pub(crate) fn args(job: &Queued) -> Arc<str> {
    if job.args.is_empty() { "{}".into() } else { Arc::clone(&job.args) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let job = |retry_count| Queued {
            sequence: 0,
            name: String::new(),
            script_id: String::new(),
            args: "".into(),
            retry_count,
            max_try_count: 100,
            created_at: 0,
            updated_at: 1_000_000,
        };
        let waits = [1, 2, 3, 4, 5, 6, 7, 99].map(|count| due_at(&job(count)) - 1_000_000);
        assert_eq!(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        assert!(due_at(&job(0)) < 0);
    }
}
