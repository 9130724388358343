//! A worker: takes some queues, runs their first jobs, and settles what became of them in one commit.
//!
//! Invariant: nothing that a job does takes effect before what became of the job before it is on disk. Jobs that only
//! compute may run ahead of the commit; before a script's first call everything that ran before it is settled.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hiroba_api::job_queue::{Namespace, Namespaces};
use hiroba_api::names::UserId;
use hiroba_lua::Outcome;
use hiroba_store::{Engine, Tx};

use super::{Lane, Next};
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::{Core, Once, Origin, forget};
use crate::scripts::{self, Watcher, Work};
use crate::services::distributor::{self, Mode};
use crate::services::gateway::remember;
use crate::services::job_queue::attempt::{self, Head, Tried};
use crate::services::job_queue::job::Queued;
use crate::services::{namespaces, triggers};

/// Jobs of one queue that a visit runs at most.
const JOBS_MAX: usize = 16;
/// A visit that takes longer than this leaves the queues that it has not begun to others.
const VISIT: Duration = Duration::from_millis(20);
/// What the visits of several nodes queue for when they meet conflicts.
const VISITS: &str = "job visits";
/// Time after which a queue is looked at again that could not be read or settled.
const AGAIN_MS: i64 = 1000;

/// Works until there is nothing left to do.
pub(super) fn run(core: &Arc<Core>) {
    while let Some(batch) = core.jobs.take(core) {
        let visit = Rc::new(Visit::new(core, &batch));
        if catch_unwind(AssertUnwindSafe(|| visit.run(batch))).is_err() {
            tracing::error!("running jobs panicked; their queues are looked at again");
        }
        visit.end();
    }
    core.jobs.left();
}

/// A queue whose first jobs were read.
struct Loaded {
    lane: Arc<Lane>,
    /// Settings; none for what the server itself queues.
    namespace: Option<Arc<Namespace>>,
    jobs: VecDeque<Queued>,
    more: bool,
    /// How many deletions there had been before it was read.
    deletions: u64,
}

/// What became of some jobs of a queue.
struct Done {
    lane: Arc<Lane>,
    namespace: Option<Arc<Namespace>>,
    tried: Vec<Tried>,
    /// What comes next; nothing while the visit of this queue goes on.
    next: Option<Next>,
}

#[derive(Default)]
struct State {
    /// Queues that are read and not begun.
    rest: VecDeque<Loaded>,
    /// What is not settled yet.
    done: Vec<Done>,
    /// The queue that is being run, with what became of its jobs since the last commit.
    current: Option<Done>,
    /// The job of it that runs, until its first call.
    beginning: Option<i64>,
    /// Queues that are this visit's to finish.
    open: Vec<Arc<Lane>>,
    /// Whether the worker counts as computing.
    computes: bool,
    /// Whether the running job's effects must not happen, since what was before it could not be settled.
    broken: bool,
}

/// One visit.
struct Visit {
    core: Arc<Core>,
    state: RefCell<State>,
}

impl Watcher for Visit {
    fn slow(&self) -> bool {
        self.leave_rest();
        let may = self.settle() && !self.state.borrow().broken && self.still_waits();
        self.computes(false);
        may
    }
}

impl Visit {
    fn new(core: &Arc<Core>, batch: &[Arc<Lane>]) -> Visit {
        let state = State { open: batch.to_vec(), computes: true, ..State::default() };
        Visit { core: Arc::clone(core), state: RefCell::new(state) }
    }

    fn run(self: &Rc<Self>, batch: Vec<Arc<Lane>>) {
        let loaded = match self.waiting(|| self.load(batch)) {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(%error, "waiting jobs could not be read; trying again");
                return;
            }
        };
        self.state.borrow_mut().rest = loaded.into();
        let started = Instant::now();
        loop {
            let next = self.state.borrow_mut().rest.pop_front();
            let Some(loaded) = next else { break };
            self.run_queue(loaded);
            if started.elapsed() > VISIT {
                self.leave_rest();
            }
            self.computes(true);
        }
        self.settle();
    }

    /// Whatever happened, every queue has a next visitor.
    fn end(&self) {
        let open = std::mem::take(&mut self.state.borrow_mut().open);
        let again = self.core.clock.now().0 + AGAIN_MS;
        let open = open.into_iter().map(|lane| (lane, Next::At(again))).collect();
        self.core.jobs.finish(&self.core, open);
        self.computes(false);
    }

    fn computes(&self, computes: bool) {
        if std::mem::replace(&mut self.state.borrow_mut().computes, computes) != computes {
            self.core.jobs.computes(&self.core, computes);
        }
    }

    /// Does something that waits, while others may compute.
    fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        let computed = self.state.borrow().computes;
        self.computes(false);
        let waited = wait();
        self.computes(computed);
        waited
    }

    /// Lets others have the queues that are not begun.
    fn leave_rest(&self) {
        let rest = std::mem::take(&mut self.state.borrow_mut().rest);
        if rest.is_empty() {
            return;
        }
        let lanes: Vec<Arc<Lane>> = rest.into_iter().map(|loaded| loaded.lane).collect();
        self.state.borrow_mut().open.retain(|lane| !lanes.contains(lane));
        self.core.jobs.put_back(&self.core, lanes.into_iter());
    }

    fn finish(&self, finished: Vec<(Arc<Lane>, Next)>) {
        self.state.borrow_mut().open.retain(|open| !finished.iter().any(|(lane, _)| lane == open));
        self.core.jobs.finish(&self.core, finished);
    }

    /// Reads the first jobs of the queues, in one transaction; on PostgreSQL claims the queues in it.
    fn load(&self, batch: Vec<Arc<Lane>>) -> Result<Vec<Loaded>, Error> {
        let core = &self.core;
        let (mut wanted, mut finished) = (Vec::with_capacity(batch.len()), Vec::new());
        for lane in batch {
            if triggers::NAMESPACES.contains(&lane.namespace.as_str()) {
                wanted.push((lane, None));
                continue;
            }
            let cx = Arc::new(Cx::of_owner(core, &lane.owner));
            match core.jobs.runtime.block_on(namespaces::cached::<Namespaces>(&cx, &lane.namespace)) {
                Ok(namespace) if namespace.enable_auto_run => {
                    core.jobs.runtime.block_on(remember(&cx, namespace.run_notification.as_ref()))?;
                    wanted.push((lane, Some(namespace)));
                }
                // Whoever waits for `run` must not find the queue claimed.
                Ok(_) => finished.push(lane),
                Err(Error::Refused(_)) => finished.push(lane),
                Err(error) => return Err(error),
            }
        }
        let deletions = core.jobs.deletions();
        let claims = core.store.engine() == Engine::Postgres;
        let (node, now) = (core.hub.node().to_owned(), core.clock.now());
        let (lanes, given_up) = (wanted.clone(), finished.clone());
        let load = move |tx: &mut Tx<'_>| {
            tx.lock_row(VISITS);
            let mut heads = Vec::with_capacity(lanes.len());
            for (lane, _) in &lanes {
                // First the jobs, then the claim: then a node that gives an empty queue up at this moment is in conflict
                // with this transaction when a push came between, and one of the two is repeated.
                let head = attempt::head(tx, lane, JOBS_MAX)?;
                let mine = !claims || (!head.jobs.is_empty() && attempt::claim(tx, lane, &node, now)?);
                heads.push(mine.then_some(head));
            }
            for lane in given_up.iter().filter(|_| claims) {
                attempt::release(tx, lane, &node)?;
            }
            Ok::<_, Error>(heads)
        };
        let runtime = &core.jobs.runtime;
        let heads = if claims {
            let _alone = core.jobs.alone.lock();
            runtime.block_on(core.store.write(load))?
        } else {
            runtime.block_on(core.store.read(load))?
        };
        let mut loaded = Vec::with_capacity(heads.len());
        for ((lane, namespace), head) in wanted.into_iter().zip(heads) {
            match head.filter(|head| !head.jobs.is_empty()) {
                Some(Head { jobs, more }) => {
                    loaded.push(Loaded { lane, namespace, jobs: jobs.into(), more, deletions });
                }
                None => finished.push(lane),
            }
        }
        self.finish(finished.into_iter().map(|lane| (lane, Next::Drained)).collect());
        Ok(loaded)
    }

    /// Runs the first jobs of a queue, up to one that fails.
    fn run_queue(self: &Rc<Self>, loaded: Loaded) {
        let Loaded { lane, namespace, jobs, mut more, deletions } = loaded;
        let since = Instant::now();
        let mode = namespace.as_ref().map(|namespace| {
            Mode::new(namespace.transaction_setting.as_ref(), namespace.transaction_setting_v2.as_ref())
        });
        let mode = mode.unwrap_or_default();
        let current = Done { lane: Arc::clone(&lane), namespace, tried: Vec::new(), next: None };
        self.state.borrow_mut().current = Some(current);
        let mut next = None;
        for job in jobs {
            let now = self.core.clock.now();
            let due_at = attempt::due_at(&job);
            if due_at > now.0 {
                next = Some(Next::At(due_at));
                break;
            }
            // A job that was deleted before it began must not begin.
            if since.elapsed() > VISIT || self.core.jobs.deletions() != deletions {
                more = true;
                break;
            }
            self.state.borrow_mut().beginning = Some(job.sequence);
            let once = Arc::new(Once::new(&job.name));
            let outcome = self.attempt((&lane, mode.clone()), &job, &once, since);
            // The store's trouble is not the job's: such an attempt does not count.
            let Some(outcome) = outcome.filter(|outcome| outcome.status < 300 || !once.was_unavailable())
            else {
                next = Some(Next::At(now.0 + AGAIN_MS));
                break;
            };
            let hopeless = triggers::is_hopeless(&lane, outcome.status);
            let tried = Tried { hopeless, ..Tried::new(job, outcome, now, once.made()) };
            if !tried.succeeded() {
                let after =
                    Queued { retry_count: tried.job.retry_count + 1, updated_at: now.0, ..tried.job.clone() };
                next = (!tried.is_last()).then(|| Next::At(attempt::due_at(&after)));
                more = true;
            }
            let failed = !tried.succeeded();
            let mut state = self.state.borrow_mut();
            let broken = std::mem::take(&mut state.broken);
            match &mut state.current {
                Some(current) if !broken => current.tried.push(tried),
                // What came before could not be settled, so nothing that came of this counts.
                _ => {
                    state.current = None;
                    return;
                }
            }
            if failed {
                break;
            }
        }
        let mut state = self.state.borrow_mut();
        if let Some(mut current) = state.current.take() {
            current.next = Some(next.unwrap_or(if more { Next::More } else { Next::Drained }));
            state.done.push(current);
        }
    }

    /// Tries a job; nothing when its script cannot be read now.
    fn attempt(
        self: &Rc<Self>,
        (lane, mode): (&Lane, Mode),
        job: &Queued,
        once: &Arc<Once>,
        since: Instant,
    ) -> Option<Outcome> {
        let core = &self.core;
        let project = Cx::of_owner(core, &lane.owner).project;
        if let Some(event) = triggers::event(lane, job) {
            return self.slow().then(|| core.jobs.runtime.block_on(triggers::deliver(core, event)));
        }
        if lane.namespace == distributor::QUEUE {
            let run = distributor::run_queued(core, lane, job, once);
            return self.slow().then(|| core.jobs.runtime.block_on(run));
        }
        let user = (!lane.user.is_empty()).then(|| UserId::trusted(&*lane.user));
        let found = scripts::find(core, &project, &job.script_id, since);
        let target = match core.jobs.runtime.block_on(found) {
            Ok(Ok(target)) => target,
            Ok(Err(failure)) => return Some(scripts::failed(&failure)),
            Err(error) => {
                tracing::warn!(%error, script = job.script_id, "the script of a job could not be read");
                return None;
            }
        };
        let origin = Origin { once: Some(Arc::clone(once)), ..Origin::of_server(project, user) };
        let (args, seed) = (attempt::args(job), attempt::seed(job));
        let watcher: Rc<dyn Watcher> = Rc::clone(self) as Rc<dyn Watcher>;
        let work = Work { target, args, origin: origin.clone(), random: None, seed };
        let outcome = scripts::run_here(core, work, Some(watcher));
        if outcome.transaction.is_none() {
            return Some(outcome);
        }
        // What the transaction does must not take effect before what was before this job.
        if !self.slow() {
            return None;
        }
        match core.jobs.runtime.block_on(distributor::after_job(core, &origin, &job.script_id, outcome, mode))
        {
            Ok(outcome) => {
                triggers::look(core, lane, &job.script_id, &outcome);
                Some(outcome)
            }
            Err(error) => {
                tracing::warn!(%error, job = job.name, "the transaction of a job could not be made; the job is tried again");
                None
            }
        }
    }

    /// Whether the job that makes its first call was not deleted before, where other nodes may have done it. One that is
    /// deleted later goes on to its end (BEHAVIOUR J-52).
    fn still_waits(&self) -> bool {
        if self.core.store.engine() == Engine::Sqlite {
            return true;
        }
        let beginning = self.state.borrow_mut().beginning.take();
        let lane = self.state.borrow().current.as_ref().map(|current| Arc::clone(&current.lane));
        let Some((sequence, lane)) = beginning.zip(lane) else { return true };
        let waits = self.core.store.read(move |tx| attempt::waits(tx, &lane, sequence));
        let waits = self.waiting(|| self.core.jobs.runtime.block_on(waits));
        if !matches!(waits, Ok(true)) {
            self.state.borrow_mut().broken = true;
        }
        matches!(waits, Ok(true))
    }

    /// Commits what became of the jobs that ran; says whether it is on disk and the running queue is still this node's.
    fn settle(&self) -> bool {
        let mut done = std::mem::take(&mut self.state.borrow_mut().done);
        if let Some(current) = self.state.borrow_mut().current.as_mut().filter(|done| !done.tried.is_empty())
        {
            done.push(Done {
                lane: Arc::clone(&current.lane),
                namespace: current.namespace.clone(),
                tried: std::mem::take(&mut current.tried),
                next: None,
            });
        }
        if done.is_empty() {
            return true;
        }
        let done = Arc::new(done);
        let (core, settling) = (Arc::clone(&self.core), Arc::clone(&done));
        let settle = move |tx: &mut Tx<'_>| {
            tx.lock_row(VISITS);
            settling.iter().map(|done| settle_queue(tx, &core, done)).collect::<Result<Vec<_>, Error>>()
        };
        let settled = self.waiting(|| {
            let _alone = match self.core.store.engine() {
                Engine::Postgres => Some(self.core.jobs.alone.lock()),
                // Many share a commit there.
                Engine::Sqlite => None,
            };
            self.core.jobs.runtime.block_on(self.core.store.write(settle))
        });
        let next = match settled {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "what became of jobs could not be kept; they are tried again");
                // Those queues are still open, and looked at again when the visit ends.
                let mut state = self.state.borrow_mut();
                state.broken = state.current.is_some();
                return false;
            }
        };
        let mut finished = Vec::with_capacity(done.len());
        for (done, next) in done.iter().zip(next) {
            if next.is_some() {
                done.tried
                    .iter()
                    .for_each(|tried| self.core.jobs.metrics.count(tried, done.namespace.is_none()));
            }
            match (done.next, next) {
                (Some(_), next) => finished.push((Arc::clone(&done.lane), next.unwrap_or(Next::Drained))),
                // Another node has the queue now.
                (None, None) => self.state.borrow_mut().broken = true,
                (None, Some(_)) => {}
            }
        }
        self.finish(finished);
        !self.state.borrow().broken
    }
}

/// Settles the jobs of one queue. Answers what comes next for it, and nothing when it is not this node's any more.
fn settle_queue(tx: &mut Tx<'_>, core: &Arc<Core>, done: &Done) -> Result<Option<Next>, Error> {
    let claims = core.store.engine() == Engine::Postgres;
    let node = core.hub.node();
    if claims && !attempt::is_claimed(tx, &done.lane, node)? {
        // Another node runs the jobs that still wait; those that went with their namespace nobody will run again.
        for tried in &done.tried {
            if !attempt::waits(tx, &done.lane, tried.job.sequence)? {
                forget(tx, &done.lane.owner, &tried.made)?;
            }
        }
        return Ok(None);
    }
    let cx = Cx::of_owner(core, &done.lane.owner);
    for tried in &done.tried {
        match &done.namespace {
            Some(namespace) => attempt::settle(tx, &cx, &done.lane, namespace, tried, cx.now)?,
            None => triggers::settle(tx, &done.lane, tried)?,
        }
    }
    match done.next {
        Some(Next::Drained) if claims => {
            let empty = attempt::release_empty(tx, &done.lane, node)?;
            Ok(Some(if empty { Next::Drained } else { Next::More }))
        }
        next => Ok(Some(next.unwrap_or(Next::More))),
    }
}
