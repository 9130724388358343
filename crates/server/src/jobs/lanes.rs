//! Which queues have work, which are being visited, and which wait for a moment. It knows no threads and no clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

/// A player's queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lane {
    /// Owner of the project.
    pub(crate) owner: String,
    /// Name of the JobQueue namespace.
    pub(crate) namespace: String,
    /// Player.
    pub(crate) user: String,
}

impl Lane {
    /// The queue of a player in a namespace.
    pub(crate) fn new(owner: &str, namespace: &str, user: &str) -> Lane {
        Lane { owner: owner.to_owned(), namespace: namespace.to_owned(), user: user.to_owned() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Stands among the ready ones.
    Ready,
    /// Somebody visits it; `again` when it got work meanwhile.
    Visited { again: bool },
    /// Waits for a moment.
    Waiting(i64),
}

/// What a visit found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// No job was left.
    Drained,
    /// There are more jobs.
    More,
    /// The first job may be tried again at this moment.
    At(i64),
}

/// All queues that are known to have work.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    phases: HashMap<Arc<Lane>, Phase>,
    /// In turn; holds stale entries of queues that are in another phase by now.
    ready: VecDeque<Arc<Lane>>,
    /// By moment; holds stale entries too.
    waiting: BinaryHeap<Reverse<(i64, Arc<Lane>)>>,
}

impl Lanes {
    /// A queue got work.
    pub(super) fn wake(&mut self, lane: Lane) {
        match self.phases.get_mut(&lane) {
            // The first job waits, and so must what comes behind it.
            Some(Phase::Ready | Phase::Waiting(_)) => {}
            Some(Phase::Visited { again }) => *again = true,
            None => {
                let lane = Arc::new(lane);
                self.phases.insert(Arc::clone(&lane), Phase::Ready);
                self.ready.push_back(lane);
            }
        }
    }

    /// Whether a queue is ready.
    pub(super) fn is_ready(&mut self) -> bool {
        while let Some(lane) = self.ready.front() {
            if self.phases.get(lane) == Some(&Phase::Ready) {
                return true;
            }
            self.ready.pop_front();
        }
        false
    }

    /// Takes ready queues in turn: a fair part of them, as `workers` share them, and at most `max`.
    pub(super) fn take(&mut self, max: usize, workers: usize) -> Vec<Arc<Lane>> {
        let count = self.ready.len().div_ceil(workers.max(1)).min(max);
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count && self.is_ready() {
            let Some(lane) = self.ready.pop_front() else { break };
            self.phases.insert(Arc::clone(&lane), Phase::Visited { again: false });
            taken.push(lane);
        }
        taken
    }

    /// Takes one queue out of its turn; says whether nobody else visits it.
    pub(super) fn enter(&mut self, lane: &Arc<Lane>) -> bool {
        match self.phases.get(lane) {
            Some(Phase::Visited { .. }) => false,
            _ => {
                self.phases.insert(Arc::clone(lane), Phase::Visited { again: false });
                true
            }
        }
    }

    /// Gives a queue back that was taken but not visited; it keeps its turn.
    pub(super) fn put_back(&mut self, lane: &Arc<Lane>) {
        self.phases.insert(Arc::clone(lane), Phase::Ready);
        self.ready.push_front(Arc::clone(lane));
    }

    /// Ends a visit.
    pub(super) fn finish(&mut self, lane: &Arc<Lane>, next: Next) {
        let again = self.phases.get(lane) == Some(&Phase::Visited { again: true });
        match next {
            Next::Drained if !again => {
                self.phases.remove(lane);
            }
            Next::Drained | Next::More => {
                self.phases.insert(Arc::clone(lane), Phase::Ready);
                self.ready.push_back(Arc::clone(lane));
            }
            Next::At(at) => {
                self.phases.insert(Arc::clone(lane), Phase::Waiting(at));
                self.waiting.push(Reverse((at, Arc::clone(lane))));
            }
        }
    }

    /// Makes those ready whose moment has come; answers the next moment.
    pub(super) fn due(&mut self, now: i64) -> Option<i64> {
        while let Some(Reverse((at, lane))) = self.waiting.peek() {
            if self.phases.get(lane) == Some(&Phase::Waiting(*at)) {
                if *at > now {
                    return Some(*at);
                }
                self.phases.insert(Arc::clone(lane), Phase::Ready);
                self.ready.push_back(Arc::clone(lane));
            }
            self.waiting.pop();
        }
        None
    }

    /// Whether a queue may be waiting for a moment.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a queue is known to have work.
    pub(super) fn knows(&self, lane: &Lane) -> bool {
        self.phases.contains_key(lane)
    }

    /// Queues that are known to have work.
    pub(super) fn len(&self) -> usize {
        self.phases.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn lane(user: u8) -> Lane {
        Lane::new("o", "n", &user.to_string())
    }

    #[test]
    fn queues_take_turns() {
        let mut lanes = Lanes::default();
        (0..4).for_each(|user| lanes.wake(lane(user)));
        let first = lanes.take(2, 1);
        assert_eq!(first, [Arc::new(lane(0)), Arc::new(lane(1))]);
        first.iter().for_each(|lane| lanes.finish(lane, Next::More));
        assert_eq!(lanes.take(32, 1), [2, 3, 0, 1].map(|user| Arc::new(lane(user))));
    }

    #[test]
    fn work_that_comes_during_a_visit_is_not_lost() {
        let mut lanes = Lanes::default();
        lanes.wake(lane(1));
        let taken = lanes.take(1, 1);
        lanes.wake(lane(1));
        assert!(!lanes.is_ready());
        lanes.finish(&taken[0], Next::Drained);
        assert!(lanes.is_ready());
    }

    #[test]
    fn a_queue_that_waits_is_ready_at_its_moment_only() {
        let mut lanes = Lanes::default();
        lanes.wake(lane(1));
        let taken = lanes.take(1, 1);
        lanes.finish(&taken[0], Next::At(10));
        lanes.wake(lane(1));
        assert_eq!((lanes.due(9), lanes.is_ready()), (Some(10), false));
        assert_eq!((lanes.due(10), lanes.is_ready()), (None, true));
    }

    #[test]
    fn one_visitor_at_a_time() {
        let mut lanes = Lanes::default();
        let only = Arc::new(lane(1));
        assert!(lanes.enter(&only));
        assert!(!lanes.enter(&only));
        lanes.wake(lane(1));
        assert!(!lanes.is_ready());
        lanes.finish(&only, Next::Drained);
        assert!(lanes.enter(&only) && !lanes.is_ready());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8),
        Take(usize),
        Enter(u8),
        Finish(bool),
        Fail,
        PutBack,
        Later(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..6_u8).prop_map(Step::Push),
            (1..4_usize).prop_map(Step::Take),
            (0..6_u8).prop_map(Step::Enter),
            any::<bool>().prop_map(Step::Finish),
            Just(Step::Fail),
            Just(Step::PutBack),
            (1..20_i64).prop_map(Step::Later),
        ]
    }

    proptest! {
        /// Whatever happens: one visitor a queue, and every queue with jobs is ready, visited or waits for a moment.
        #[test]
        fn no_queue_is_stuck_or_visited_twice(steps in prop::collection::vec(step(), 1..80)) {
            let mut lanes = Lanes::default();
            let mut jobs: BTreeMap<u8, usize> = BTreeMap::new();
            let mut visited: Vec<Arc<Lane>> = Vec::new();
            let mut now = 0;
            let user = |lane: &Lane| lane.user.parse::<u8>().unwrap();
            for step in steps {
                match step {
                    Step::Push(to) => {
                        *jobs.entry(to).or_default() += 1;
                        lanes.wake(lane(to));
                    }
                    Step::Take(max) => {
                        lanes.due(now);
                        visited.extend(lanes.take(max, 1));
                    }
                    Step::Enter(to) => {
                        let one = Arc::new(lane(to));
                        if lanes.enter(&one) {
                            visited.push(one);
                        }
                    }
                    Step::Finish(all) => {
                        if let Some(lane) = visited.pop() {
                            let left = jobs.entry(user(&lane)).or_default();
                            *left = if all { 0 } else { left.saturating_sub(1) };
                            // A visit does not see what comes during it.
                            let next = if *left == 0 { Next::Drained } else { Next::More };
                            lanes.finish(&lane, next);
                        }
                    }
                    Step::Fail => {
                        if let Some(lane) = visited.pop() {
                            lanes.finish(&lane, Next::At(now + 5));
                        }
                    }
                    Step::PutBack => {
                        if let Some(lane) = visited.pop() {
                            lanes.put_back(&lane);
                        }
                    }
                    Step::Later(by) => now += by,
                }
                let unique: BTreeSet<_> = visited.iter().collect();
                prop_assert_eq!(unique.len(), visited.len());
            }
            visited.drain(..).for_each(|lane| lanes.finish(&lane, Next::More));
            lanes.due(now + 1000);
            let ready: BTreeSet<u8> = lanes.take(100, 1).iter().map(|lane| user(lane)).collect();
            for (user, _) in jobs.iter().filter(|(_, count)| **count > 0) {
                prop_assert!(ready.contains(user), "queue {} is stuck", user);
            }
        }
    }
}
