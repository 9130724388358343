//! A thread that runs `read` closures, each on a snapshot.

use rusqlite::Connection;

use super::session::{Role, SqliteSession};
use crate::{
    job::{Job, Ran},
    queue::Queue,
    tx::{Session, Tx},
};

/// Runs until the queue is closed and empty.
pub(crate) fn run(conn: &Connection, queue: &Queue) {
    let session = match SqliteSession::new(conn, Role::Reader) {
        Ok(session) => session,
        // Callers hear `Closed` from the abandoned queue; these six statements cannot fail to prepare otherwise.
        Err(_) => return,
    };
    let mut tx = Tx::new(Session::Sqlite(Box::new(session)));
    let mut jobs = Vec::new();
    // One at a time: what else is queued is for the other readers.
    while queue.take(&mut jobs, 1) {
        for mut job in jobs.drain(..) {
            serve(&mut tx, job.as_mut());
            job.answer();
        }
    }
}

fn serve(tx: &mut Tx<'_>, job: &mut dyn Job) {
    tx.start();
    let ran = job.run(tx);
    let ended = tx.sqlite().map_or(Ok(()), SqliteSession::end_snapshot);
    match tx.failed().filter(|_| ran.succeeded()).or(ended.err()) {
        Some(error) => {
            tx.drop_effects();
            job.fail(error);
        }
        None if ran == Ran::Keep => tx.release_effects(),
        None => tx.drop_effects(),
    }
}
