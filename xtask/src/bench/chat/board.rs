//! What callers and subscribers share: the notifications that have arrived, and what waits for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, Semaphore};

/// The state of a measure.
#[derive(Debug)]
pub(super) struct Board {
    epoch: Instant,
    /// Notifications that have arrived.
    received: AtomicU64,
    /// Notifications that were older than the one before at the same subscriber, or as old.
    disordered: AtomicU64,
    /// Subscribers that one post reaches.
    reach: u64,
    /// Posts that may be sent, where somebody asks; whoever takes a permit forgets it, an arrival everywhere gives it back.
    free: Semaphore,
    /// How many must have arrived for the signal.
    wanted: AtomicU64,
    /// When that many had arrived, in nanoseconds since the epoch.
    reached_at: AtomicU64,
    reached: Notify,
    fault: Mutex<Option<anyhow::Error>>,
    failed: Notify,
}

impl Board {
    /// Starts a measure whose posts reach so many subscribers each.
    pub(super) fn new(reach: usize) -> Self {
        Self {
            epoch: Instant::now(),
            received: AtomicU64::new(0),
            disordered: AtomicU64::new(0),
            reach: reach as u64,
            free: Semaphore::new(0),
            wanted: AtomicU64::new(u64::MAX),
            reached_at: AtomicU64::new(0),
            reached: Notify::new(),
            fault: Mutex::new(None),
            failed: Notify::new(),
        }
    }

    /// Subscribers that one post reaches.
    pub(super) fn reach(&self) -> u64 {
        self.reach
    }

    /// Lets so many posts be under way.
    pub(super) fn allow(&self, in_flight: usize) {
        self.free.forget_permits(usize::MAX);
        self.free.add_permits(in_flight);
    }

    /// Posts that may be sent.
    pub(super) fn free(&self) -> &Semaphore {
        &self.free
    }

    /// Notifications that have arrived.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Notifications that have arrived in a wrong order.
    pub(super) fn disordered(&self) -> u64 {
        self.disordered.load(Ordering::Relaxed)
    }

    /// So many notifications have arrived, some of them in a wrong order.
    pub(super) fn count(&self, arrived: u64, disordered: u64) {
        if disordered > 0 {
            self.disordered.fetch_add(disordered, Ordering::Relaxed);
        }
        let before = self.received.fetch_add(arrived, Ordering::Relaxed);
        let after = before + arrived;
        let wanted = self.wanted.load(Ordering::Relaxed);
        if before < wanted && after >= wanted {
            self.reached_at.store(self.now(), Ordering::Relaxed);
            self.reached.notify_one();
        }
        // As many have arrived as a post has receivers: one more may go.
        let ended = after / self.reach - before / self.reach;
        if ended > 0 {
            self.free.add_permits(usize::try_from(ended).unwrap_or(0));
        }
    }

    /// One more post is to be told of; returns the time.
    pub(super) fn want_post(&self) -> u64 {
        self.wanted.store(self.received() + self.reach, Ordering::Relaxed);
        self.now()
    }

    /// Waits until that post has arrived everywhere, and returns when it had.
    pub(super) async fn arrival(&self) -> u64 {
        self.reached.notified().await;
        self.reached_at.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A subscriber cannot go on.
    pub(super) fn fail(&self, error: anyhow::Error) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.notify_one();
    }

    /// Waits until a subscriber fails.
    pub(super) async fn failure(&self) -> anyhow::Error {
        loop {
            if let Some(error) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return error;
            }
            self.failed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_ends_when_all_have_it() {
        let board = Board::new(3);
        board.allow(2);
        for (arrived, free) in [(1, 2), (1, 2), (2, 3), (5, 5)] {
            board.count(arrived, 0);
            assert_eq!(board.free().available_permits(), free);
        }
        assert_eq!(board.received(), 9);
    }

    #[test]
    fn the_last_arrival_is_noted() {
        let board = Board::new(2);
        let start = board.want_post();
        board.count(1, 0);
        assert_eq!(board.reached_at.load(Ordering::Relaxed), 0);
        board.count(1, 1);
        assert!(board.reached_at.load(Ordering::Relaxed) >= start);
        assert_eq!(board.disordered(), 1);
    }
}
