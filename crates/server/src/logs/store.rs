//! The rows of logs: chunks, to which Log namespace they belong, and their end.

use std::sync::Arc;

use hiroba_store::{Row, StoreError, Tx, params};

use super::{Chunk, Kind};
use crate::error::Error;
use crate::pipeline::Core;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The namespaces of all services and owners that have a log setting.
        SELECT_LOGGED = "SELECT owner_id, service, name, settings FROM namespace
            WHERE settings LIKE '%loggingNamespaceId%'";
        /// Under which number the logs of a Log namespace are kept.
        SELECT_SPACE = "SELECT log_id FROM log_space WHERE owner_id = $1 AND namespace_name = $2";
        /// Whether there is a Log namespace.
        SELECT_NAMESPACE = "SELECT 1 FROM namespace WHERE owner_id = $1 AND service = 'log' AND name = $2";
        /// Gives a Log namespace a number.
        INSERT_SPACE = "INSERT INTO log_space (owner_id, namespace_name, log_id) VALUES ($1, $2, hiroba_next_revision())
            ON CONFLICT (owner_id, namespace_name) DO NOTHING";
        /// Takes the number away from a Log namespace.
        DELETE_SPACE = "DELETE FROM log_space WHERE owner_id = $1 AND namespace_name = $2 RETURNING log_id";
        /// Adds a chunk.
        INSERT_CHUNK = "INSERT INTO log_chunk
                (log_id, kind, last_at, sequence, first_at, entries, bytes, summary, body)
            VALUES ($1, $2, $3, hiroba_next_revision(), $4, $5, $6, $7, $8)";
        /// Chunks with entries of a period, newest first, behind one.
        SELECT_CHUNKS = "SELECT last_at, sequence, summary FROM log_chunk
            WHERE log_id = $1 AND kind = $2 AND last_at <= $3 AND last_at >= $4 AND first_at <= $5
                AND (last_at, sequence) < ($6, $7)
            ORDER BY last_at DESC, sequence DESC LIMIT $8";
        /// The entries of a chunk.
        SELECT_BODY = "SELECT body FROM log_chunk WHERE log_id = $1 AND kind = $2 AND last_at = $3 AND sequence = $4";
        /// Some Log namespaces behind one, and their settings.
        SELECT_SPACES = "SELECT log_space.owner_id, log_space.namespace_name, log_space.log_id, namespace.settings
            FROM log_space JOIN namespace ON namespace.owner_id = log_space.owner_id AND namespace.service = 'log'
                AND namespace.name = log_space.namespace_name
            WHERE (log_space.owner_id, log_space.namespace_name) > ($1, $2)
            ORDER BY log_space.owner_id, log_space.namespace_name LIMIT $3";
        /// Removes some chunks that are older than a time.
        DELETE_OLD = "DELETE FROM log_chunk WHERE log_id = $1 AND kind = $2 AND sequence IN (
            SELECT sequence FROM log_chunk WHERE log_id = $1 AND kind = $2 AND last_at < $3
            ORDER BY last_at, sequence LIMIT $4)";
        /// Says that logs are to be removed.
        INSERT_ENDED = "INSERT INTO log_ended (log_id) VALUES ($1)";
        /// Logs that are to be removed.
        SELECT_ENDED = "SELECT log_id FROM log_ended ORDER BY log_id LIMIT 1";
        /// The logs are removed.
        DELETE_ENDED = "DELETE FROM log_ended WHERE log_id = $1";
    }
}

/// Chunks that one transaction removes.
const CHUNKS_MAX: i64 = 64;
/// Log namespaces that one transaction looks at.
const SPACES_MAX: i64 = 200;
const DAY_MS: i64 = 86_400_000;

/// Every kind.
const KINDS: [Kind; 5] =
    [Kind::Access, Kind::IssuedSheet, Kind::ExecutedSheet, Kind::ExecutedTask, Kind::InGame];

/// Owner, service, name and settings of the namespaces that may be logged.
pub(super) fn logged(tx: &mut Tx<'_>) -> Result<Vec<(String, String, String, String)>, Error> {
    let read = |row: &Row<'_>| Ok((row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?));
    Ok(tx.query(sql::SELECT_LOGGED, &[], read)?)
}

/// The number of a Log namespace; `None` when it has no logs yet.
pub(crate) fn space(tx: &mut Tx<'_>, owner: &str, namespace: &str) -> Result<Option<i64>, StoreError> {
    tx.query_opt(sql::SELECT_SPACE, params![owner, namespace], |row| row.int(0))
}

/// The number of a Log namespace, which gets one when it has none; `None` when there is no such namespace.
fn ensure_space(tx: &mut Tx<'_>, owner: &str, namespace: &str) -> Result<Option<i64>, StoreError> {
    if let Some(id) = space(tx, owner, namespace)? {
        return Ok(Some(id));
    }
    let exists = tx.query_opt(sql::SELECT_NAMESPACE, params![owner, namespace], |row| row.int(0))?;
    if exists.is_none() {
        return Ok(None);
    }
    tx.execute(sql::INSERT_SPACE, params![owner, namespace])?;
    space(tx, owner, namespace)
}

/// Adds a chunk to the logs of a Log namespace; says whether there is such a namespace.
pub(crate) fn add(
    tx: &mut Tx<'_>,
    (owner, namespace): (&str, &str),
    kind: Kind,
    chunk: &Chunk,
) -> Result<bool, StoreError> {
    let Some(id) = ensure_space(tx, owner, namespace)? else { return Ok(false) };
    let (entries, bytes) = (chunk.entries as i64, chunk.bytes as i64);
    let params = params![
        id,
        kind.number(),
        chunk.last_at,
        chunk.first_at,
        entries,
        bytes,
        &chunk.summary,
        &chunk.body
    ];
    tx.execute(sql::INSERT_CHUNK, params)?;
    Ok(true)
}

/// Removes all logs of a Log namespace: from now on nobody sees them, and the sweeper removes their rows.
pub(crate) fn delete_all(tx: &mut Tx<'_>, owner: &str, namespace: &str) -> Result<(), Error> {
    if let Some(id) = tx.query_opt(sql::DELETE_SPACE, params![owner, namespace], |row| row.int(0))? {
        tx.execute(sql::INSERT_ENDED, params![id])?;
    }
    Ok(())
}

/// Before which logs of a namespace with this retention are gone.
pub(crate) fn oldest(now: i64, days: i32) -> i64 {
    now.saturating_sub(i64::from(days) * DAY_MS)
}

/// Removes logs that are older than their namespaces keep them, and those of namespaces that are gone.
pub(crate) async fn sweep(core: &Arc<Core>) -> Result<(), Error> {
    let now = core.clock.now().0;
    let mut after = (String::new(), String::new());
    loop {
        let (owner, name) = after.clone();
        let spaces = core.store.read(move |tx| {
            let read = |row: &Row<'_>| Ok((row.text(0)?, row.text(1)?, row.int(2)?, row.text(3)?));
            let spaces = tx.query(sql::SELECT_SPACES, params![&owner, &name, SPACES_MAX], read)?;
            Ok::<_, Error>(spaces)
        });
        let spaces = spaces.await?;
        let Some((owner, name, ..)) = spaces.last() else { break };
        after = (owner.clone(), name.clone());
        for (_, _, id, settings) in spaces {
            let settings: serde_json::Value = serde_json::from_str(&settings).unwrap_or_default();
            // A namespace always has the setting.
            let days = settings["logExpireDays"].as_i64().and_then(|days| i32::try_from(days).ok());
            let Some(days) = days else { continue };
            remove(core, id, oldest(now, days)).await?;
        }
    }
    let ended = |tx: &mut Tx<'_>| tx.query_opt(sql::SELECT_ENDED, &[], |row| row.int(0));
    while let Some(id) = core.store.read(move |tx| Ok::<_, Error>(ended(tx)?)).await? {
        remove(core, id, i64::MAX).await?;
        core.store.write(move |tx| Ok::<_, Error>(tx.execute(sql::DELETE_ENDED, params![id])?)).await?;
    }
    Ok(())
}

async fn remove(core: &Arc<Core>, id: i64, before: i64) -> Result<(), Error> {
    for kind in KINDS {
        let delete = move |tx: &mut Tx<'_>| {
            let params = params![id, kind.number(), before, CHUNKS_MAX];
            Ok::<_, Error>(tx.execute(sql::DELETE_OLD, params)?)
        };
        while core.store.write(delete).await? == CHUNKS_MAX.unsigned_abs() {}
    }
    Ok(())
}
