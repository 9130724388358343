//! Runs the jobs of queues with `enableAutoRun`: workers that take queue after queue in turn, so that a player with many
//! jobs delays nobody, and one attempt of a player at a time, so that jobs keep their order (BEHAVIOUR J-02, J-25, J-40).
//!
//! What waits is in the store; what is here only says which queues to look at. On the embedded store this process is the
//! only one that can run them. On PostgreSQL a node claims a queue with a row that lasts as long as the node's lease.

mod lanes;
mod metrics;
mod search;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::runtime::Handle;

use crate::pipeline::Core;
pub(crate) use lanes::Lane;
use lanes::{Lanes, Next};
pub(crate) use metrics::JobMetrics;
pub(crate) use search::{find_in_background, run as search};

pub(crate) mod sql {
    pub(crate) use super::search::sql::ALL;
}

/// Queues that a worker takes at once: their jobs share a commit.
const BATCH_MAX: usize = 32;
/// A worker without work ends after this time.
const IDLE: Duration = Duration::from_secs(30);
/// Longest time between two looks at the clock while queues wait for a moment: a clock that is moved tells nobody.
const LOOK: Duration = Duration::from_millis(100);

/// Which queues have work, and the workers.
#[derive(Debug)]
pub(crate) struct Jobs {
    state: Mutex<State>,
    work: Condvar,
    ended: Condvar,
    /// Held by the worker whose transaction runs, on PostgreSQL: those of one node would only be in each other's way.
    alone: Mutex<()>,
    /// Grows when waiting jobs were deleted: what was read of queues before may hold such jobs.
    deletions: AtomicU64,
    /// Workers that may compute at the same time; those that wait for something are not counted.
    computing_max: usize,
    threads_max: usize,
    runtime: Handle,
    pub(crate) metrics: JobMetrics,
}

#[derive(Debug, Default)]
struct State {
    lanes: Lanes,
    threads: usize,
    /// Queues that calls of `run` have taken.
    places: usize,
    idle: usize,
    computing: usize,
    /// Whether somebody looks at the clock for the queues that wait, or has been told to.
    looks: bool,
    /// How many do look: one at most.
    looking: usize,
    stopping: bool,
}

/// A queue that somebody calls `run` on; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    core: Arc<Core>,
    lane: Arc<Lane>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let jobs = &self.core.jobs;
        jobs.finish(&self.core, vec![(Arc::clone(&self.lane), Next::Drained)]);
        jobs.state.lock().places -= 1;
        jobs.ended.notify_all();
    }
}

impl Jobs {
    /// Without workers yet; they come with the work.
    pub(crate) fn new(threads_max: usize, runtime: Handle, metrics: JobMetrics) -> Jobs {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Jobs {
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
            alone: Mutex::default(),
            deletions: AtomicU64::new(0),
            computing_max: cores.max(2),
            threads_max: threads_max.max(1),
            runtime,
            metrics,
        }
    }

    /// A queue has work, and the commit that says so is done.
    pub(crate) fn wake(&self, core: &Arc<Core>, lane: Lane) {
        let mut state = self.state.lock();
        state.lanes.wake(lane);
        self.rouse(core, &mut state);
    }

    /// Waiting jobs were deleted, and the commit that says so is done: none of them begins any more.
    pub(crate) fn deleted(&self) {
        self.deletions.fetch_add(1, Ordering::SeqCst);
    }

    fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::SeqCst)
    }

    /// Takes a queue for a call of `run`; `None` while a job of it runs.
    pub(crate) fn enter(&self, core: &Arc<Core>, lane: &Arc<Lane>) -> Option<Place> {
        let mut state = self.state.lock();
        let entered = state.lanes.enter(lane);
        state.places += usize::from(entered);
        entered.then(|| Place { core: Arc::clone(core), lane: Arc::clone(lane) })
    }

    /// Ends when the workers have ended, each when what it runs has come to its end, and calls of `run` whose callers
    /// went away.
    pub(crate) async fn stop(core: &Arc<Core>) {
        let stopping = Arc::clone(core);
        let stop = move || {
            let jobs = &stopping.jobs;
            let mut state = jobs.state.lock();
            state.stopping = true;
            jobs.work.notify_all();
            while state.threads > 0 || state.places > 0 {
                jobs.ended.wait(&mut state);
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(stop).await {
            tracing::warn!(%error, "waiting for the jobs that run failed");
        }
        search::leave(core).await;
    }

    /// What comes next for queues that were visited.
    fn finish(&self, core: &Arc<Core>, visited: Vec<(Arc<Lane>, Next)>) {
        let mut state = self.state.lock();
        for (lane, next) in visited {
            state.lanes.finish(&lane, next);
        }
        self.metrics.lanes.set(i64::try_from(state.lanes.len()).unwrap_or(i64::MAX));
        self.rouse(core, &mut state);
    }

    /// Gives queues back that were taken but not visited.
    fn put_back(&self, core: &Arc<Core>, lanes: impl DoubleEndedIterator<Item = Arc<Lane>>) {
        let mut state = self.state.lock();
        lanes.rev().for_each(|lane| state.lanes.put_back(&lane));
        self.rouse(core, &mut state);
    }

    /// The worker waits for something, or stops doing so.
    fn computes(&self, core: &Arc<Core>, computes: bool) {
        let mut state = self.state.lock();
        if computes {
            state.computing += 1;
        } else {
            state.computing -= 1;
            self.rouse(core, &mut state);
        }
    }

    /// Sees to it that somebody takes what is ready, and that somebody looks at the clock for what waits.
    fn rouse(&self, core: &Arc<Core>, state: &mut MutexGuard<'_, State>) {
        let works = state.lanes.is_ready() && state.computing < self.computing_max;
        let looks = state.lanes.is_waiting() && !state.looks;
        if state.stopping || !(works || looks) {
            return;
        }
        state.looks |= looks;
        if state.idle > 0 {
            self.work.notify_one();
        } else if state.threads < self.threads_max {
            state.threads += 1;
            let worker = Arc::clone(core);
            let spawned =
                std::thread::Builder::new().name("job".to_owned()).spawn(move || worker::run(&worker));
            if let Err(error) = spawned {
                state.threads -= 1;
                tracing::error!(%error, "no thread for jobs; the others go on");
            }
        }
    }

    /// The next queues to visit; `None` when the worker shall end.
    fn take(&self, core: &Arc<Core>) -> Option<Vec<Arc<Lane>>> {
        let mut state = self.state.lock();
        loop {
            if state.stopping {
                return None;
            }
            let now = core.clock.now().0;
            let next = state.lanes.due(now);
            if state.lanes.is_ready() && state.computing < self.computing_max {
                state.computing += 1;
                let batch = state.lanes.take(BATCH_MAX, self.computing_max);
                // If this one was to look, another one must.
                state.looks = state.looking > 0;
                self.rouse(core, &mut state);
                return Some(batch);
            }
            state.idle += 1;
            let stays = match next {
                Some(at) if state.looking == 0 => {
                    let wait = Duration::from_millis(u64::try_from(at - now).unwrap_or(0).max(1)).min(LOOK);
                    (state.looks, state.looking) = (true, 1);
                    self.work.wait_for(&mut state, wait);
                    (state.looks, state.looking) = (false, 0);
                    true
                }
                _ => {
                    state.looks = state.looking > 0;
                    !self.work.wait_for(&mut state, IDLE).timed_out()
                }
            };
            state.idle -= 1;
            if !stays && !state.lanes.is_ready() {
                return None;
            }
        }
    }

    /// A worker has ended.
    fn left(&self) {
        let mut state = self.state.lock();
        state.threads -= 1;
        self.ended.notify_all();
    }
}
