//! What callers and sockets share: pushes that may go, pushes that arrived, when each went and arrived.

use super::caller::{ID_DIGITS, ID_MARK};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, Semaphore};

/// Most groups of callers.
pub(super) const GROUPS_MAX: usize = 64;

/// The state of a measure.
#[derive(Debug)]
pub(super) struct Board {
    epoch: Instant,
    /// Pushes that arrived since the start.
    received: AtomicU64,
    /// Sockets that one broadcast reaches; 0 while each push is for one socket.
    reach: AtomicU64,
    /// Pushes that may be sent, by group of callers. The sockets of a group are those whose number, modulo the number of
    /// groups, is the group's. Broadcasts are all of group 0.
    free: Vec<Semaphore>,
    groups: AtomicUsize,
    /// Whether the times of the pushes are noted.
    timed: AtomicBool,
    /// When each push went and arrived, by its id: nanoseconds since the epoch, 0 until then.
    times: Vec<(AtomicU64, AtomicU64)>,
    fault: Mutex<Option<anyhow::Error>>,
    failed: Notify,
}

impl Board {
    /// A board that can note the times of so many pushes.
    pub(super) fn new(timed_max: usize) -> Self {
        Self {
            epoch: Instant::now(),
            received: AtomicU64::new(0),
            reach: AtomicU64::new(0),
            free: (0..GROUPS_MAX).map(|_| Semaphore::new(0)).collect(),
            groups: AtomicUsize::new(1),
            timed: AtomicBool::new(false),
            times: (0..timed_max).map(|_| Default::default()).collect(),
            fault: Mutex::new(None),
            failed: Notify::new(),
        }
    }

    /// Starts a measure of pushes to one socket each; `in_flight` may be under way in each group.
    pub(super) fn start_single(&self, groups: usize, in_flight: usize, timed: bool) {
        self.start(0, groups, in_flight, timed);
    }

    /// Starts a measure of broadcasts to so many sockets.
    pub(super) fn start_broadcast(&self, sockets: usize, in_flight: usize) {
        self.start(sockets, 1, in_flight, false);
    }

    fn start(&self, reach: usize, groups: usize, in_flight: usize, timed: bool) {
        self.received.store(0, Ordering::Relaxed);
        self.reach.store(reach as u64, Ordering::Relaxed);
        self.groups.store(groups, Ordering::Relaxed);
        self.timed.store(timed, Ordering::Relaxed);
        for (went, arrived) in if timed { self.times.as_slice() } else { &[] } {
            went.store(0, Ordering::Relaxed);
            arrived.store(0, Ordering::Relaxed);
        }
        for free in &self.free {
            free.forget_permits(usize::MAX);
            free.add_permits(in_flight);
        }
    }

    /// Pushes that a group may send; whoever takes a permit forgets it, an arrival gives it back.
    pub(super) fn free(&self, group: usize) -> &Semaphore {
        &self.free[group]
    }

    /// Pushes that have arrived since the start.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// A push goes now.
    pub(super) fn goes(&self, id: usize) {
        if let Some((went, _)) = self.times.get(id) {
            went.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A push has arrived; its text holds its id.
    pub(super) fn arrived(&self, push: &[u8]) {
        if self.timed.load(Ordering::Relaxed)
            && let Some((_, arrived)) = id(push).and_then(|id| self.times.get(id))
        {
            arrived.store(self.now(), Ordering::Relaxed);
        }
    }

    /// So many pushes have arrived at a socket.
    pub(super) fn count(&self, socket: usize, pushes: u64) {
        let before = self.received.fetch_add(pushes, Ordering::Relaxed);
        let reach = self.reach.load(Ordering::Relaxed);
        if reach == 0 {
            let groups = self.groups.load(Ordering::Relaxed);
            self.free[socket % groups].add_permits(usize::try_from(pushes).unwrap_or(0));
            return;
        }
        // As many have arrived as a broadcast has receivers: one more may go.
        let ended = (before + pushes) / reach - before / reach;
        if ended > 0 {
            self.free[0].add_permits(usize::try_from(ended).unwrap_or(0));
        }
    }

    /// Nanoseconds that the pushes took which went at that time or later, sorted.
    pub(super) fn latencies(&self, since: u64) -> Vec<u64> {
        let times =
            self.times.iter().map(|(went, arrived)| [went, arrived].map(|at| at.load(Ordering::Relaxed)));
        let measured = times.filter(|[went, arrived]| *went >= since && *arrived >= *went);
        let mut latencies: Vec<u64> = measured.map(|[went, arrived]| arrived - went).collect();
        latencies.sort_unstable();
        latencies
    }

    /// Nanoseconds since the epoch.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A socket cannot go on.
    pub(super) fn fail(&self, error: anyhow::Error) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.notify_one();
    }

    /// Waits until a socket fails.
    pub(super) async fn failure(&self) -> anyhow::Error {
        loop {
            if let Some(error) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return error;
            }
            self.failed.notified().await;
        }
    }
}

/// The id in the text of a push, between two marks.
fn id(push: &[u8]) -> Option<usize> {
    let start = push.iter().position(|byte| *byte == ID_MARK)? + 1;
    std::str::from_utf8(push.get(start..start + ID_DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_lets_its_group_send_again() {
        let board = Board::new(0);
        board.start_single(4, 0, false);
        board.count(6, 2);
        assert_eq!((board.free(2).available_permits(), board.received()), (2, 2));
    }

    #[test]
    fn a_broadcast_ends_when_all_have_it() {
        let board = Board::new(0);
        board.start_broadcast(3, 2);
        for (pushes, free) in [(1, 2), (1, 2), (2, 3), (5, 5)] {
            board.count(0, pushes);
            assert_eq!(board.free(0).available_permits(), free);
        }
    }

    #[test]
    fn latencies_are_of_pushes_that_went_and_arrived() {
        let board = Board::new(3);
        board.start_single(1, 0, true);
        board.goes(0);
        let since = board.now();
        board.goes(1);
        board.goes(2);
        board.arrived(b"x~00000000~");
        board.arrived(b"x~00000001~");
        assert_eq!(board.latencies(since).len(), 1);
        assert_eq!(board.latencies(0).len(), 2);
    }
}
