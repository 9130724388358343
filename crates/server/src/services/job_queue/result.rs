//! What became of attempts: `/job-queue/{namespaceName}/user/{userId}/job/{jobName}/result` (BEHAVIOUR J-30, J-31, J-50,
//! J-51).

use hiroba_api::contract::{Item, UnixMillis};
use hiroba_api::job_queue::{GetJobResult, JobResult, JobResultBody, Namespaces, SERVICE};
use hiroba_api::names::GrnText;
use hiroba_store::{Row, StoreError, Tx, params};

use super::job::{found, job_id, small};
use super::name;
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs::Lane;
use crate::registry::Registry;
use crate::services::namespaces;

/// How long results are kept after the last attempt (BEHAVIOUR J-51).
pub(super) const KEPT_MS: i64 = 24 * 3_600_000;
/// When the results of a job go that waits for its next attempt.
pub(super) const NEVER: i64 = i64::MAX;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The result of one attempt.
        SELECT_RESULT = "SELECT try_number, script_id, args, status_code, result, tried_at, added_at, name, expires_at
            FROM job_queue_result
            WHERE sequence = $1 AND try_number = $2 AND owner_id = $3 AND namespace_name = $4 AND user_id = $5";
        /// The result of the latest attempt.
        SELECT_LATEST = "SELECT try_number, script_id, args, status_code, result, tried_at, added_at, name, expires_at
            FROM job_queue_result
            WHERE sequence = $1 AND owner_id = $2 AND namespace_name = $3 AND user_id = $4
            ORDER BY try_number DESC LIMIT 1";
        /// All attempts at a job.
        SELECT_ATTEMPTS = "SELECT try_number, status_code, result, tried_at FROM job_queue_result
            WHERE sequence = $1 AND owner_id = $2 AND namespace_name = $3 AND user_id = $4
            ORDER BY try_number LIMIT 101";
        /// Keeps what became of an attempt.
        INSERT_RESULT = "INSERT INTO job_queue_result (sequence, try_number, owner_id, namespace_name, user_id, name,
                script_id, args, status_code, result, tried_at, added_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            ON CONFLICT (sequence, try_number, owner_id, namespace_name, user_id) DO NOTHING";
        /// Says when the results of a job that left its queue go.
        UPDATE_EXPIRY = "UPDATE job_queue_result SET expires_at = $2
            WHERE sequence = $1 AND owner_id = $3 AND namespace_name = $4 AND user_id = $5";
        /// Some results in the order of their jobs' pushes.
        SELECT_KEYS = "SELECT sequence, try_number, expires_at FROM job_queue_result
            WHERE (sequence, try_number) > ($1, $2) ORDER BY sequence, try_number LIMIT $3";
        /// Removes a result that has expired, of whichever player.
        DELETE_RESULT = "DELETE FROM job_queue_result WHERE sequence = $1 AND try_number = $2 AND expires_at <= $3";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(get_job_result);
}

struct Stored {
    try_number: i64,
    script_id: String,
    args: String,
    status_code: i64,
    result: String,
    tried_at: i64,
    added_at: i64,
    name: String,
    expires_at: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            try_number: row.int(0)?,
            script_id: row.text(1)?,
            args: row.text(2)?,
            status_code: row.int(3)?,
            result: row.text(4)?,
            tried_at: row.int(5)?,
            added_at: row.int(6)?,
            name: row.text(7)?,
            expires_at: row.int(8)?,
        })
    }
}

fn get_job_result(tx: &mut Tx<'_>, cx: &Cx, request: &GetJobResult) -> Result<Item<JobResult>, Error> {
    let (namespace, user) = (request.namespace_name.as_str(), cx.user()?);
    let (owner, player) = (cx.owner(), user.as_str());
    let stored = match (name::sequence(&request.job_name), request.try_number) {
        (None, _) => None,
        (Some(sequence), None) => {
            tx.query_opt(sql::SELECT_LATEST, params![sequence, owner, namespace, player], Stored::read)?
        }
        (Some(sequence), Some(number)) => {
            let params = params![sequence, i64::from(number), owner, namespace, player];
            tx.query_opt(sql::SELECT_RESULT, params, Stored::read)?
        }
    };
    let stored = stored.filter(|stored| stored.name == *request.job_name && stored.expires_at > cx.now.0);
    let stored = match stored {
        // Results go with their time, not with their namespace: those of an earlier one of this name are none of this.
        Some(stored) => namespaces::read::<Namespaces>(tx, cx, namespace)?
            .is_some_and(|namespace| namespace.created_at.0 <= stored.added_at)
            .then_some(stored),
        None => None,
    };
    let detail = "there is no such result: the job was not tried yet, or its results are older than 24 hours";
    let stored = found(tx, cx, namespace, "jobResult", detail, stored)?;
    let job_id = job_id(cx, namespace, user, &stored.name);
    let item = JobResult {
        job_result_id: result_id(cx, namespace, user, &stored.name, stored.try_number),
        job_id,
        script_id: GrnText::trusted(stored.script_id),
        args: stored.args,
        try_number: small(stored.try_number),
        status_code: small(stored.status_code),
        result: stored.result,
        try_at: UnixMillis(stored.tried_at),
    };
    Ok(Item { item })
}

/// GRN of what became of an attempt.
pub(super) fn result_id(cx: &Cx, namespace: &str, user: &str, job: &str, try_number: i64) -> String {
    cx.grn(&SERVICE, &format!("{namespace}:user:{user}:job:{job}:jobResult:{try_number}"))
}

/// All attempts at a job, as dead letters hold them.
pub(super) fn attempts(tx: &mut Tx<'_>, lane: &Lane, sequence: i64) -> Result<Vec<JobResultBody>, Error> {
    let read = |row: &Row<'_>| {
        Ok(JobResultBody {
            // Counted from 1 here, from 0 there (BEHAVIOUR J-31).
            try_number: small(row.int(0)? + 1),
            status_code: small(row.int(1)?),
            result: row.text(2)?,
            try_at: UnixMillis(row.int(3)?),
        })
    };
    Ok(tx.query(sql::SELECT_ATTEMPTS, params![sequence, &lane.owner, &lane.namespace, &lane.user], read)?)
}

/// The job has left its queue: its results are kept for a while from now on.
pub(super) fn expire(
    tx: &mut Tx<'_>,
    (owner, namespace, user): (&str, &str, &str),
    sequence: i64,
    now: UnixMillis,
) -> Result<(), Error> {
    tx.execute(sql::UPDATE_EXPIRY, params![sequence, now.0 + KEPT_MS, owner, namespace, user])?;
    Ok(())
}

/// A result's place in the table.
pub(crate) type Key = (i64, i64);

/// Reads up to `count` results behind `after`: where to go on, if that is worth it, and those that have expired.
///
/// Results are in the order in which their jobs were pushed, so those that expire next come first: the walk ends where
/// none has.
pub(crate) fn find_expired(
    tx: &mut Tx<'_>,
    (sequence, try_number): Key,
    count: i64,
    now: UnixMillis,
) -> Result<(Option<Key>, Vec<Key>), Error> {
    let read = |row: &Row<'_>| Ok(((row.int(0)?, row.int(1)?), row.int(2)?));
    let rows = tx.query(sql::SELECT_KEYS, params![sequence, try_number, count], read)?;
    // Results of jobs that wait for their next attempt say nothing about the others.
    let later = rows.iter().any(|(_, expires_at)| *expires_at > now.0 && *expires_at < NEVER);
    let last = rows.last().filter(|_| rows.len() as i64 == count).map(|(key, _)| *key);
    let expired: Vec<Key> =
        rows.into_iter().filter(|(_, expires_at)| *expires_at <= now.0).map(|(key, _)| key).collect();
    Ok((last.filter(|_| !later || !expired.is_empty()), expired))
}

/// Removes those of these results that have expired.
pub(crate) fn delete_expired(tx: &mut Tx<'_>, keys: &[Key], now: UnixMillis) -> Result<(), Error> {
    for (sequence, try_number) in keys {
        tx.execute(sql::DELETE_RESULT, params![*sequence, *try_number, now.0])?;
    }
    Ok(())
}
