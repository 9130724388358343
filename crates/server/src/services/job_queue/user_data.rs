//! What JobQueue holds of a player (BEHAVIOUR U-07): waiting jobs, results that can still be asked for, and dead letters.

use std::collections::HashMap;
use std::sync::Arc;

use hiroba_api::contract::Fields;
use hiroba_api::job_queue::{DeadLetterJob, Job, JobResult, Namespaces, SERVICE};
use hiroba_store::{Row, Tx, params};
use serde::Serialize;

use super::job::{Queued, job_id, small};
use super::result::NEVER;
use super::{dead_letter, name, result};
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs::Lane;
use crate::services::namespaces;
use crate::services::user_data::{
    Chunk, Cleaned, Line, Model, Place, Sizes, Taken, UserDataModels, bounded_rows, read_line,
};

/// Rows whose sizes one transaction looks at.
const ROWS: i64 = 500;
/// Results of whichever players that one transaction looks through.
const RESULTS_LOOKED_AT: i64 = 5_000;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Places and sizes of waiting jobs.
        SELECT_JOB_SIZES = "SELECT sequence, octet_length(args) FROM job_queue_job
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence > $4 ORDER BY sequence LIMIT $5";
        /// Waiting jobs between two places.
        SELECT_JOBS = "SELECT sequence, name, script_id, args, retry_count, max_try_count, created_at, updated_at
            FROM job_queue_job
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence > $4 AND sequence <= $5
            ORDER BY sequence";
        /// Removes some waiting jobs.
        DELETE_JOBS = "DELETE FROM job_queue_job WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3
            AND sequence IN (SELECT sequence FROM job_queue_job
                WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 ORDER BY sequence LIMIT $4)";
        /// Adds a job unless its place is taken.
        INSERT_JOB = "INSERT INTO job_queue_job (owner_id, namespace_name, user_id, sequence, name, script_id, args,
                retry_count, max_try_count, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (owner_id, namespace_name, user_id, sequence) DO NOTHING";
        /// The name of the job at a place.
        SELECT_JOB_NAME = "SELECT name FROM job_queue_job
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4";
        /// The place up to which so many results lie.
        SELECT_RESULTS_END = "SELECT sequence FROM job_queue_result WHERE sequence >= $1
            ORDER BY sequence LIMIT 1 OFFSET $2";
        /// Keys and sizes of a player's results behind a key, up to a place.
        SELECT_RESULT_SIZES = "SELECT sequence, try_number, octet_length(args) + octet_length(result)
            FROM job_queue_result
            WHERE (sequence, try_number) > ($4, $5) AND sequence <= $6
                AND owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND expires_at > $7
            ORDER BY sequence, try_number";
        /// A player's results behind a key, up to another one.
        SELECT_RESULTS = "SELECT sequence, try_number, name, script_id, args, status_code, result, tried_at, expires_at
            FROM job_queue_result
            WHERE (sequence, try_number) > ($4, $5) AND (sequence, try_number) <= ($6, $7)
                AND owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND expires_at > $8
            ORDER BY sequence, try_number";
        /// Removes a player's results between two places.
        DELETE_RESULTS = "DELETE FROM job_queue_result
            WHERE sequence >= $4 AND sequence <= $5 AND owner_id = $1 AND namespace_name = $2 AND user_id = $3";
        /// Places and sizes of dead letters.
        SELECT_DEAD_LETTER_SIZES = "SELECT sequence, octet_length(args) + octet_length(results) FROM job_queue_dead_letter
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence > $4 ORDER BY sequence LIMIT $5";
        /// Dead letters between two places.
        SELECT_DEAD_LETTERS = "SELECT sequence, name, script_id, args, results, created_at, updated_at
            FROM job_queue_dead_letter
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence > $4 AND sequence <= $5
            ORDER BY sequence";
        /// Removes some dead letters.
        DELETE_DEAD_LETTERS = "DELETE FROM job_queue_dead_letter
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3
            AND sequence IN (SELECT sequence FROM job_queue_dead_letter
                WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 ORDER BY sequence LIMIT $4)";
        /// Adds a dead letter unless its place is taken.
        INSERT_DEAD_LETTER = "INSERT INTO job_queue_dead_letter (owner_id, namespace_name, user_id, sequence, name,
                script_id, args, results, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (owner_id, namespace_name, user_id, sequence) DO NOTHING";
    }
}

impl UserDataModels for Namespaces {
    const MODELS: &'static [Model] = &[
        Model {
            name: "job",
            hidden: &[],
            read: read_jobs,
            clean: clean_jobs,
            check: |_, line| check_job(line).map(|_| ()),
            import: import_jobs,
        },
        Model {
            name: "jobResult",
            hidden: &[EXPIRES_AT],
            read: read_results,
            clean: clean_results,
            check: |_, line| check_result(line).map(|_| ()),
            import: import_results,
        },
        Model {
            name: "deadLetterJob",
            hidden: &[],
            read: read_dead_letters,
            clean: clean_dead_letters,
            check: |_, line| check_dead_letter(line).map(|_| ()),
            import: import_dead_letters,
        },
    ];
}

/// When a result goes; absent while its job waits for the next attempt.
const EXPIRES_AT: &str = "expiresAt";

fn line(model: &impl Serialize, after: &impl ToString) -> Result<Line, Error> {
    let text = serde_json::to_string(model).map_err(|error| Error::internal("writing user data", error))?;
    Ok(Line { after: after.to_string(), text })
}

/// The place that a page goes on behind.
fn place_of(after: &str) -> Result<i64, Error> {
    match after {
        "" => Ok(-1),
        after => after.parse().map_err(|error| Error::internal("reading a place in user data", error)),
    }
}

fn read_jobs(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Chunk, Error> {
    let (after, key) = (place_of(after)?, (cx.owner(), at.namespace, at.user.as_str()));
    let rows = tx.query(sql::SELECT_JOB_SIZES, params![key.0, key.1, key.2, after, ROWS], bounded_rows)?;
    let Some((last, more)) = (Sizes { asked: ROWS, rows }).last() else { return Ok(Chunk::default()) };
    let jobs = tx.query(sql::SELECT_JOBS, params![key.0, key.1, key.2, after, last], Queued::read)?;
    let lines = jobs.iter().map(|job| line(&job.model(cx, at.namespace, at.user), &job.sequence));
    Ok(Chunk { lines: lines.collect::<Result<_, _>>()?, next: more.then(|| last.to_string()) })
}

fn clean_jobs(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, _: &str) -> Result<Cleaned, Error> {
    let removed = tx.execute(sql::DELETE_JOBS, params![cx.owner(), at.namespace, at.user.as_str(), ROWS])?;
    if removed > 0 {
        let core = Arc::clone(&cx.core);
        tx.on_commit(move || core.jobs.deleted());
    }
    Ok(Cleaned { removed, next: (removed == ROWS.unsigned_abs()).then(String::new) })
}

fn not_a_name(what: &str) -> String {
    format!("`{what}` holds no name that this server gave a job")
}

fn check_job(line: &Fields) -> Result<(Job, i64), String> {
    let job: Job = read_line(&SERVICE, "job", line)?;
    let place = name::sequence(&job.name).ok_or_else(|| not_a_name("name"))?;
    Ok((job, place))
}

/// Lines are checked before they are taken in.
fn checked<T>(checked: Result<T, String>) -> Result<T, Error> {
    checked.map_err(|problem| Error::internal("taking user data in", problem))
}

fn import_jobs(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, lines: &[Fields]) -> Result<Vec<Taken>, Error> {
    let key = (cx.owner(), at.namespace, at.user.as_str());
    let mut taken = Vec::with_capacity(lines.len());
    for line in lines {
        let (job, place) = checked(check_job(line))?;
        let params = params![
            key.0,
            key.1,
            key.2,
            place,
            job.name.as_str(),
            job.script_id.as_str(),
            &job.args,
            job.current_retry_count,
            job.max_try_count,
            job.created_at.0,
            job.updated_at.0
        ];
        taken.push(match tx.execute(sql::INSERT_JOB, params)? {
            1 => Taken::Added,
            _ => {
                let params = params![key.0, key.1, key.2, place];
                let there = tx.query_opt(sql::SELECT_JOB_NAME, params, |row| row.text(0))?;
                if there.as_deref() == Some(job.name.as_str()) {
                    Taken::There
                } else {
                    Taken::Left(format!("another job has the place of job `{}` in the queue", job.name))
                }
            }
        });
    }
    if taken.contains(&Taken::Added) {
        let namespace = namespaces::read::<Namespaces>(tx, cx, at.namespace)?;
        if namespace.is_some_and(|namespace| namespace.enable_auto_run) {
            let (core, lane) = (Arc::clone(&cx.core), Lane::new(key.0, key.1, key.2));
            tx.on_commit(move || core.jobs.wake(&core, lane));
        }
    }
    Ok(taken)
}

/// Key of a result.
type Key = (i64, i64);

/// The key that a page of results goes on behind.
fn key_of(after: &str) -> Result<Key, Error> {
    match after.split_once(':') {
        None => Ok((-1, i64::MAX)),
        Some((sequence, number)) => Ok((place_of(sequence)?, place_of(number)?)),
    }
}

fn key_text((sequence, number): Key) -> String {
    format!("{sequence}:{number}")
}

fn read_results(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Chunk, Error> {
    let (after, key, now) = (key_of(after)?, (cx.owner(), at.namespace, at.user.as_str()), cx.now.0);
    let (_, to, more) = results_window(tx, after)?;
    let params = params![key.0, key.1, key.2, after.0, after.1, to, now];
    let rows =
        tx.query(sql::SELECT_RESULT_SIZES, params, |row| Ok(((row.int(0)?, row.int(1)?), row.int(2)?)))?;
    let sizes = Sizes { asked: rows.len() as i64 + 1, rows };
    // What is cut off here is the rest of what is too large for one page.
    let (last, cut) = sizes.last().unwrap_or(((to, i64::MAX), false));
    let last = if cut { last } else { (to, i64::MAX) };
    let read = |row: &Row<'_>| {
        let (sequence, number, name) = (row.int(0)?, row.int(1)?, row.text(2)?);
        let mut model = serde_json::json!({
            "jobResultId": result::result_id(cx, at.namespace, at.user, &name, number),
            "jobId": job_id(cx, at.namespace, at.user, &name),
            "scriptId": row.text(3)?,
            "args": row.text(4)?,
            "tryNumber": small(number),
            "statusCode": small(row.int(5)?),
            "result": row.text(6)?,
            "tryAt": row.int(7)?,
        });
        let expires_at = row.int(8)?;
        if expires_at != NEVER {
            model[EXPIRES_AT] = expires_at.into();
        }
        Ok(Line { after: key_text((sequence, number)), text: model.to_string() })
    };
    let params = params![key.0, key.1, key.2, after.0, after.1, last.0, last.1, now];
    let lines = tx.query(sql::SELECT_RESULTS, params, read)?;
    Ok(Chunk { lines, next: (cut || more).then(|| key_text(last)) })
}

/// From which place to which results behind a key are looked at, and whether there are more.
fn results_window(tx: &mut Tx<'_>, (sequence, number): Key) -> Result<(i64, i64, bool), Error> {
    let from = if number == i64::MAX { sequence.saturating_add(1) } else { sequence };
    let to = tx.query_opt(sql::SELECT_RESULTS_END, params![from, RESULTS_LOOKED_AT], |row| row.int(0))?;
    Ok((from, to.unwrap_or(i64::MAX), to.is_some()))
}

fn clean_results(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Cleaned, Error> {
    let (from, to, more) = results_window(tx, key_of(after)?)?;
    let params = params![cx.owner(), at.namespace, at.user.as_str(), from, to];
    let removed = tx.execute(sql::DELETE_RESULTS, params)?;
    Ok(Cleaned { removed, next: more.then(|| key_text((to, i64::MAX))) })
}

/// A result, the name and place of its job, and when it goes.
fn check_result(line: &Fields) -> Result<(JobResult, String, i64, i64), String> {
    let model: JobResult = read_line(&SERVICE, "jobResult", line)?;
    let named = model.job_id.rsplit_once(":job:").map(|(_, name)| name.to_owned());
    let found = named.and_then(|name| name::sequence(&name).map(|place| (name, place)));
    let (name, place) = found.ok_or_else(|| not_a_name("jobId"))?;
    if !(0..=100).contains(&model.try_number) {
        return Err("`tryNumber` must be from 0 to 100".to_owned());
    }
    let expires_at = match line.get(EXPIRES_AT) {
        None => NEVER,
        Some(value) => value
            .as_i64()
            .filter(|at| *at >= 0)
            .ok_or_else(|| "`expiresAt` must be a time in milliseconds".to_owned())?,
    };
    Ok((model, name, place, expires_at))
}

fn import_results(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, lines: &[Fields]) -> Result<Vec<Taken>, Error> {
    let key = (cx.owner(), at.namespace, at.user.as_str());
    let mut taken = Vec::with_capacity(lines.len());
    let mut waiting: HashMap<i64, bool> = HashMap::new();
    for line in lines {
        let (model, name, place, expires_at) = checked(check_result(line))?;
        let waits = match waiting.get(&place) {
            Some(waits) => *waits,
            None => {
                let params = params![key.0, key.1, key.2, place];
                let there = tx.query_opt(sql::SELECT_JOB_NAME, params, |row| row.text(0))?;
                let waits = there.as_deref() == Some(name.as_str());
                waiting.insert(place, waits);
                waits
            }
        };
        // Results stay as long as their job waits, and a day from then on (BEHAVIOUR J-51).
        let day = cx.now.0 + result::KEPT_MS;
        let expires_at = if waits { expires_at } else { expires_at.min(day) };
        if expires_at <= cx.now.0 {
            taken.push(Taken::Left("it has expired".to_owned()));
            continue;
        }
        let params = params![
            place,
            model.try_number,
            key.0,
            key.1,
            key.2,
            &name,
            model.script_id.as_str(),
            &model.args,
            model.status_code,
            &model.result,
            model.try_at.0,
            cx.now.0,
            expires_at
        ];
        let added = tx.execute(result::sql::INSERT_RESULT, params)? == 1;
        taken.push(if added { Taken::Added } else { Taken::There });
    }
    Ok(taken)
}

fn read_dead_letters(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Chunk, Error> {
    let (after, key) = (place_of(after)?, (cx.owner(), at.namespace, at.user.as_str()));
    let params = params![key.0, key.1, key.2, after, ROWS];
    let rows = tx.query(sql::SELECT_DEAD_LETTER_SIZES, params, bounded_rows)?;
    let Some((last, more)) = (Sizes { asked: ROWS, rows }).last() else { return Ok(Chunk::default()) };
    let params = params![key.0, key.1, key.2, after, last];
    let stored = tx.query(sql::SELECT_DEAD_LETTERS, params, dead_letter::Stored::read)?;
    let lines = stored.into_iter().map(|stored| {
        let sequence = stored.sequence;
        line(&stored.model(cx, at.namespace, at.user)?, &sequence)
    });
    Ok(Chunk { lines: lines.collect::<Result<_, _>>()?, next: more.then(|| last.to_string()) })
}

fn clean_dead_letters(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, _: &str) -> Result<Cleaned, Error> {
    let params = params![cx.owner(), at.namespace, at.user.as_str(), ROWS];
    let removed = tx.execute(sql::DELETE_DEAD_LETTERS, params)?;
    Ok(Cleaned { removed, next: (removed == ROWS.unsigned_abs()).then(String::new) })
}

fn check_dead_letter(line: &Fields) -> Result<(DeadLetterJob, i64), String> {
    let model: DeadLetterJob = read_line(&SERVICE, "deadLetterJob", line)?;
    let place = name::sequence(&model.name).ok_or_else(|| not_a_name("name"))?;
    Ok((model, place))
}

fn import_dead_letters(
    tx: &mut Tx<'_>,
    cx: &Cx,
    at: Place<'_>,
    lines: &[Fields],
) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::with_capacity(lines.len());
    for line in lines {
        let (model, place) = checked(check_dead_letter(line))?;
        let results = dead_letter::results_text(&model.result)?;
        let params = params![
            cx.owner(),
            at.namespace,
            at.user.as_str(),
            place,
            &model.name,
            model.script_id.as_str(),
            &model.args,
            &results,
            model.created_at.0,
            model.updated_at.0
        ];
        let added = tx.execute(sql::INSERT_DEAD_LETTER, params)? == 1;
        taken.push(if added { Taken::Added } else { Taken::There });
    }
    Ok(taken)
}
