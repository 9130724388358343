//! The thread that runs every write.
//!
//! What is queued runs in one transaction and becomes durable with one sync of the disk, which takes far longer than
//! the closures do. Nobody waits for a batch to fill: while one commits, the next gathers by itself.
//!
//! A closure that fails must leave nothing behind. Most that fail have changed nothing yet, so that a batch first runs
//! without savepoints, each of which makes SQLite copy every page that is changed under it. When a closure fails after a
//! change, the batch is rolled back and run again, with a savepoint for each closure.

use std::{cell::Cell, sync::Arc, time::Instant};

use rusqlite::Connection;

use super::{
    checkpoint::Checkpoints,
    revision::Revisions,
    session::{Role, Settled, SqliteSession},
};
use crate::{
    config::Observer,
    error::StoreError,
    job::{Job, Ran},
    queue::Queue,
    tx::{Session, Tx},
};

/// Batches that run with savepoints after one that would have needed them: who fails late once does so again.
const GUARDED_BATCHES: u32 = 64;

thread_local! {
    /// Pages in the write-ahead log after this thread's last commit. The hook can carry no state of its own.
    static LOG_PAGES: Cell<u32> = const { Cell::new(0) };
}

/// What the writer's thread owns besides its connection.
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) revisions: Revisions,
    pub(crate) batch_max: usize,
    /// Batches that are yet to run with savepoints.
    pub(crate) guarded: u32,
}

impl Writer {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self, conn: &Connection) {
        conn.wal_hook(Some(|_wal, pages| {
            LOG_PAGES.set(pages.try_into().unwrap_or(0));
            Ok(())
        }));
        let session = match SqliteSession::new(conn, Role::Writer) {
            Ok(session) => session,
            // Callers hear `Closed` from the abandoned queue; these six statements cannot fail to prepare otherwise.
            Err(_) => return,
        };
        let mut tx = Tx::new(Session::Sqlite(Box::new(session)));
        let mut jobs = Vec::with_capacity(self.batch_max);
        while self.queue.take(&mut jobs, self.batch_max) {
            let checkpoints = Arc::clone(&self.checkpoints);
            checkpoints.while_writing(|| self.batch(conn, &mut tx, &mut jobs));
            for job in jobs.drain(..) {
                job.answer();
            }
            self.checkpoints.written(LOG_PAGES.get());
        }
    }

    /// Runs the jobs and commits. Results, errors too, are answered only afterwards: what a closure saw may be the
    /// work of its neighbours, which is not true before the commit.
    fn batch(&mut self, conn: &Connection, tx: &mut Tx<'_>, jobs: &mut [Box<dyn Job>]) {
        let started = Instant::now();
        match self.attempts(conn, tx, jobs) {
            Ok(kept) => {
                self.revisions.committed();
                if kept > 0 {
                    self.observer.committed(kept, started.elapsed());
                }
                tx.release_effects();
            }
            Err(error) => {
                // When even this fails the next BEGIN fails too, and its jobs hear of it.
                let _ = tx.sqlite().map(SqliteSession::rollback);
                self.revisions.rolled_back();
                tx.drop_all_effects();
                for job in jobs {
                    job.fail(error.clone());
                }
            }
        }
    }

    /// Answers how many jobs' writes were committed. After an error everything must be rolled back.
    fn attempts(
        &mut self,
        conn: &Connection,
        tx: &mut Tx<'_>,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<usize, StoreError> {
        let mut panicked = vec![false; jobs.len()];
        let guarded = self.guarded > 0;
        self.guarded = self.guarded.saturating_sub(1);
        if let Some(kept) = self.attempt(conn, tx, jobs, guarded, &mut panicked)? {
            return Ok(kept);
        }
        session(tx)?.rollback()?;
        self.revisions.rolled_back();
        tx.drop_all_effects();
        self.guarded = GUARDED_BATCHES;
        let kept = self.attempt(conn, tx, jobs, true, &mut panicked)?;
        kept.ok_or_else(|| {
            StoreError::Engine("a transaction with a savepoint could not be taken back".to_owned())
        })
    }

    /// Runs the jobs and commits; `None` when one failed after a change that cannot be taken back alone.
    ///
    /// A closure that panicked in an earlier attempt is not run again; it has its result.
    fn attempt(
        &mut self,
        conn: &Connection,
        tx: &mut Tx<'_>,
        jobs: &mut [Box<dyn Job>],
        guarded: bool,
        panicked: &mut [bool],
    ) -> Result<Option<usize>, StoreError> {
        session(tx)?.guard(guarded);
        session(tx)?.begin()?;
        self.revisions.reserve(conn)?;
        let mut kept = 0;
        for (job, panicked) in jobs.iter_mut().zip(panicked).filter(|(_, panicked)| !**panicked) {
            tx.start();
            session(tx)?.enter();
            let ran = job.run(tx);
            *panicked = ran == Ran::Panicked;
            let mut keep = ran == Ran::Keep;
            let failed = tx.failed();
            if let Some(error) = failed.clone().filter(|_| ran.succeeded()) {
                job.fail(error);
                keep = false;
            }
            if !keep {
                tx.drop_effects();
            }
            let settled = session(tx)?.settle(keep).map_err(|error| match failed {
                Some(cause) => StoreError::Engine(format!("{error}: {cause}")),
                None => error,
            })?;
            if settled == Settled::Entangled {
                return Ok(None);
            }
            kept += usize::from(keep);
        }
        session(tx)?.commit()?;
        Ok(Some(kept))
    }
}

fn session<'t, 'c>(tx: &'t mut Tx<'c>) -> Result<&'t mut SqliteSession<'c>, StoreError> {
    tx.sqlite().ok_or(StoreError::Closed)
}
