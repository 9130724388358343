//! The bounded queue between callers and the store's threads.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Semaphore;

use crate::{error::StoreError, job::Job};

/// Jobs that wait in one queue at most; further callers wait before they enter it.
pub(crate) const JOBS_MAX: usize = 8_192;

/// Callers enter asynchronously, the store's threads take blocking.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    room: Semaphore,
}

struct State {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
    /// Threads inside `take`: no system call is spent on waking anybody while all of them work.
    waiting: usize,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State { jobs: VecDeque::new(), closed: false, waiting: 0 }),
            filled: Condvar::new(),
            room: Semaphore::new(JOBS_MAX),
        }
    }

    /// Adds a job, waiting for room.
    pub(crate) async fn push(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let permit = self.room.acquire().await.map_err(|_closed| StoreError::Closed)?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        // The thread that takes the job gives the permit back.
        permit.forget();
        self.enter(&mut state, job);
        Ok(())
    }

    /// Adds a job from a thread that may block, without regard to the limit.
    pub(crate) fn push_now(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if let Ok(permit) = self.room.try_acquire() {
            permit.forget();
        }
        self.enter(&mut state, job);
        Ok(())
    }

    fn enter(&self, state: &mut State, job: Box<dyn Job>) {
        state.jobs.push_back(job);
        if state.waiting > 0 {
            self.filled.notify_one();
        }
    }

    /// Moves what is queued, `max` jobs at most, to `into`; waits while there is nothing.
    ///
    /// Answers false when the queue is closed and empty.
    pub(crate) fn take(&self, into: &mut Vec<Box<dyn Job>>, max: usize) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.waiting += 1;
            self.filled.wait(&mut state);
            state.waiting -= 1;
        }
        let count = state.jobs.len().min(max);
        into.extend(state.jobs.drain(..count));
        drop(state);
        self.room.add_permits(count);
        true
    }

    /// Refuses further jobs; those that are queued are still taken.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.room.close();
        self.filled.notify_all();
    }

    /// Refuses further jobs and drops the queued ones, so that their callers hear `Closed`.
    pub(crate) fn abandon(&self) {
        self.close();
        let jobs = std::mem::take(&mut self.state.lock().jobs);
        drop(jobs);
    }
}
