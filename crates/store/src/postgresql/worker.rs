//! A thread that runs closures on its connection, and repeats those that conflicted.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::session::{Access, Fault, PgSession};
use crate::{
    config::Observer,
    error::StoreError,
    job::{Job, Ran},
    queue::Queue,
    tx::{Session, Tx},
};

/// Runs of one closure at most.
const ATTEMPTS_MAX: u32 = 50;
/// Of these, runs that found no connection at most.
const UNREACHABLE_MAX: u32 = 8;
/// Longest wait after a conflict; it starts at a millisecond and doubles.
const CONFLICT_WAIT_MAX: Duration = Duration::from_millis(64);
/// Longest wait after a broken connection; it starts at 16 ms and doubles.
const BROKEN_WAIT_MAX: Duration = Duration::from_millis(1_000);

/// One worker.
pub(crate) struct Worker {
    pub(crate) queue: Arc<Queue>,
    pub(crate) access: Access,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Worker {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(self, session: PgSession) {
        let mut tx = Tx::new(Session::Postgres(Box::new(session)));
        let mut jobs = Vec::new();
        let mut pause = Pause::new();
        while self.queue.take(&mut jobs, 1) {
            for job in jobs.drain(..) {
                self.serve(&mut tx, job, &mut pause);
            }
        }
    }

    fn serve(&self, tx: &mut Tx<'_>, mut job: Box<dyn Job>, pause: &mut Pause) {
        let mut unreachable = 0;
        tx.postgres().map(PgSession::renew).unwrap_or_default();
        for attempt in 1..=ATTEMPTS_MAX {
            let Some(fault) = self.attempt(tx, job.as_mut()) else {
                // A read is answered before its snapshot is given up: nothing can become of it any more.
                job.answer();
                tx.postgres().map(PgSession::rollback).unwrap_or_default();
                return;
            };
            let Some(session) = tx.postgres() else { break };
            session.rollback();
            self.observer.retried();
            match fault {
                Fault::Stale => session.forget_statements(),
                Fault::Conflict => {
                    let queues = session.heat();
                    // The second attempt queues for its rows, which is the better wait. If that did not help, the
                    // conflict is about something else.
                    if !queues || attempt > 1 {
                        pause.wait(Duration::from_millis(1), attempt, CONFLICT_WAIT_MAX);
                    }
                }
                Fault::Broken(error) => {
                    session.disconnect();
                    unreachable += 1;
                    if unreachable == UNREACHABLE_MAX {
                        job.fail(error);
                        job.answer();
                        return;
                    }
                    pause.wait(Duration::from_millis(16), unreachable, BROKEN_WAIT_MAX);
                }
            }
        }
        job.fail(StoreError::RetryExhausted { attempts: ATTEMPTS_MAX });
        job.answer();
    }

    /// Runs the closure once. Answers the fault when it is to be repeated; else the job has its result.
    fn attempt(&self, tx: &mut Tx<'_>, job: &mut dyn Job) -> Option<Fault> {
        tx.start();
        tx.postgres()?.start();
        let ran = job.run(tx);
        let failed = tx.failed();
        let session = tx.postgres()?;
        if let Some(fault) = session.take_fault()
            && ran != Ran::Panicked
        {
            tx.drop_effects();
            return Some(fault);
        }
        if ran != Ran::Keep || failed.is_some() {
            session.rollback();
            tx.drop_effects();
            if let Some(error) = failed.filter(|_| ran.succeeded()) {
                job.fail(error);
            }
            return None;
        }
        if self.access == Access::Read {
            tx.release_effects();
            return None;
        }
        match session.commit() {
            Ok(begun) => {
                if let Some(begun) = begun {
                    self.observer.committed(1, begun.elapsed());
                }
                tx.release_effects();
                None
            }
            Err(error) => {
                let fault = session.take_fault();
                tx.drop_effects();
                if fault.is_none() {
                    job.fail(error);
                }
                fault
            }
        }
    }
}

/// Waits of random length, so that those who conflicted do not meet again.
struct Pause {
    seed: RandomState,
    drawn: u64,
    never: (Mutex<()>, Condvar),
}

impl Pause {
    fn new() -> Self {
        Self { seed: RandomState::new(), drawn: 0, never: (Mutex::new(()), Condvar::new()) }
    }

    /// Waits up to `first`, doubled with each attempt after the first, `max` at most.
    fn wait(&mut self, first: Duration, attempt: u32, max: Duration) {
        let longest = first.saturating_mul(1 << (attempt - 1).min(16)).min(max);
        self.drawn += 1;
        // 1 to 1,024 parts of 1,024.
        let parts = u32::try_from(self.seed.hash_one(self.drawn) % 1_024).unwrap_or_default() + 1;
        let (mutex, condvar) = &self.never;
        let _ = condvar.wait_for(&mut mutex.lock(), longest * parts / 1_024);
    }
}
