//! Jobs that failed too often: `/job-queue/{namespaceName}/user/{userId}/dead…` (BEHAVIOUR J-33, J-37 … J-39).

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::job_queue::{
    DeadLetterJob, DeleteDeadLetterJobByUserId, DescribeDeadLetterJobsByUserId, GetDeadLetterJobByUserId,
    JobResultBody, Namespaces, SERVICE,
};
use hiroba_api::names::{GrnText, UserId};
use hiroba_store::{Row, StoreError, Tx, params};
use serde::{Deserialize, Serialize};

use super::job::{Queued, after, found};
use super::{name, result};
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs::Lane;
use crate::registry::Registry;
use crate::services::{namespaces, page};

/// Dead letters that are read at once; each may be large.
const CHUNK: i64 = 8;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Some dead letters of a player, in the order of their pushes.
        SELECT_DEAD_LETTERS = "SELECT sequence, name, script_id, args, results, created_at, updated_at
            FROM job_queue_dead_letter
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence > $4
            ORDER BY sequence LIMIT $5";
        /// One dead letter.
        SELECT_DEAD_LETTER = "SELECT sequence, name, script_id, args, results, created_at, updated_at
            FROM job_queue_dead_letter
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4 AND name = $5";
        /// Adds a dead letter.
        INSERT_DEAD_LETTER = "INSERT INTO job_queue_dead_letter (owner_id, namespace_name, user_id, sequence, name,
                script_id, args, results, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)";
        /// Removes a dead letter.
        DELETE_DEAD_LETTER = "DELETE FROM job_queue_dead_letter
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND sequence = $4 AND name = $5
            RETURNING sequence, name, script_id, args, results, created_at, updated_at";
        /// Removes all dead letters of a namespace.
        DELETE_ALL = "DELETE FROM job_queue_dead_letter WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_dead_letter_jobs_by_user_id);
    registry.read(get_dead_letter_job_by_user_id);
    registry.write(delete_dead_letter_job_by_user_id);
}

/// An attempt as the row holds it.
#[derive(Serialize, Deserialize)]
struct Attempt {
    try_number: i32,
    status_code: i32,
    result: String,
    tried_at: i64,
}

pub(super) struct Stored {
    pub(super) sequence: i64,
    name: String,
    script_id: String,
    args: String,
    results: String,
    created_at: i64,
    updated_at: i64,
}

impl Stored {
    pub(super) fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            sequence: row.int(0)?,
            name: row.text(1)?,
            script_id: row.text(2)?,
            args: row.text(3)?,
            results: row.text(4)?,
            created_at: row.int(5)?,
            updated_at: row.int(6)?,
        })
    }

    fn bytes(&self) -> usize {
        self.args.len() + self.results.len()
    }

    pub(super) fn model(self, cx: &Cx, namespace: &str, user: &UserId) -> Result<DeadLetterJob, Error> {
        let attempts: Vec<Attempt> = serde_json::from_str(&self.results)
            .map_err(|error| Error::internal("reading the attempts of a dead letter", error))?;
        let body = |attempt: Attempt| JobResultBody {
            try_number: attempt.try_number,
            status_code: attempt.status_code,
            result: attempt.result,
            try_at: UnixMillis(attempt.tried_at),
        };
        Ok(DeadLetterJob {
            dead_letter_job_id: cx.grn(&SERVICE, &format!("{namespace}:user:{user}:dead:{}", self.name)),
            name: self.name,
            user_id: user.clone(),
            script_id: GrnText::trusted(self.script_id),
            args: self.args,
            result: attempts.into_iter().map(body).collect(),
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
        })
    }
}

/// Attempts as the row holds them.
pub(super) fn results_text(attempts: &[JobResultBody]) -> Result<String, Error> {
    let attempt = |body: &JobResultBody| Attempt {
        try_number: body.try_number,
        status_code: body.status_code,
        result: body.result.clone(),
        tried_at: body.try_at.0,
    };
    serde_json::to_string(&attempts.iter().map(attempt).collect::<Vec<_>>())
        .map_err(|error| Error::internal("writing the attempts of a dead letter", error))
}

/// Keeps a job that failed for the last time, with all its attempts.
pub(super) fn insert(tx: &mut Tx<'_>, lane: &Lane, job: &Queued, now: UnixMillis) -> Result<(), Error> {
    let results = results_text(&result::attempts(tx, lane, job.sequence)?)?;
    let params = params![
        &lane.owner,
        &lane.namespace,
        &lane.user,
        job.sequence,
        &job.name,
        &job.script_id,
        &*job.args,
        &results,
        now.0
    ];
    tx.execute(sql::INSERT_DEAD_LETTER, params)?;
    Ok(())
}

fn describe_dead_letter_jobs_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeDeadLetterJobsByUserId,
) -> Result<Page<DeadLetterJob>, Error> {
    let (namespace, user) = (request.namespace_name.as_str(), cx.user()?);
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let after = after("deadLetterJob", request.page_token.as_ref())?;
    let select = |after: &i64, count| {
        let params = params![cx.owner(), namespace, user.as_str(), *after, count];
        Ok(tx.query(sql::SELECT_DEAD_LETTERS, params, Stored::read)?)
    };
    let page = page::bounded(request.limit, after, CHUNK, select, |stored| stored.sequence, Stored::bytes)?;
    let items = page
        .items
        .into_iter()
        .map(|stored| stored.model(cx, namespace, cx.user()?))
        .collect::<Result<_, _>>()?;
    Ok(Page { items, next_page_token: page.next_page_token })
}

const NO_DEAD_LETTER: &str = "there is no such dead letter";

fn get_dead_letter_job_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetDeadLetterJobByUserId,
) -> Result<Item<DeadLetterJob>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), &request.dead_letter_job_name);
    one(tx, cx, namespace, name, sql::SELECT_DEAD_LETTER)
}

fn delete_dead_letter_job_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteDeadLetterJobByUserId,
) -> Result<Item<DeadLetterJob>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), &request.dead_letter_job_name);
    one(tx, cx, namespace, name, sql::DELETE_DEAD_LETTER)
}

fn one(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
    name: &str,
    statement: &'static str,
) -> Result<Item<DeadLetterJob>, Error> {
    let stored = match name::sequence(name) {
        Some(sequence) => {
            let params = params![cx.owner(), namespace, cx.user()?.as_str(), sequence, name];
            tx.query_opt(statement, params, Stored::read)?
        }
        None => None,
    };
    let stored = found(tx, cx, namespace, "deadLetterJob", NO_DEAD_LETTER, stored)?;
    Ok(Item { item: stored.model(cx, namespace, cx.user()?)? })
}

/// Removes all dead letters of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    Ok(())
}
