//! Which rows many transactions have lately fought over.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Keys that are hot at the same time at most; the one that would cool first makes room.
const KEYS_MAX: usize = 1_024;
/// A key is hot for this long after a conflict. While it is, transactions queue for it and meet no conflict, so that
/// it cools though it is still wanted, and costs one conflict to heat again.
const HOT: Duration = Duration::from_secs(1);

/// Shared by the workers of a store.
#[derive(Default)]
pub(crate) struct HotKeys {
    until: Mutex<HashMap<i64, Instant>>,
    /// Spares the lock while nothing is hot.
    count: AtomicUsize,
}

impl HotKeys {
    /// Whether transactions should queue for this key.
    pub(crate) fn contains(&self, key: i64) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut until = self.until.lock();
        let hot = until.get(&key).is_some_and(|until| *until > Instant::now());
        if !hot && until.remove(&key).is_some() {
            self.count.store(until.len(), Ordering::Relaxed);
        }
        hot
    }

    /// A transaction that named these keys met a conflict.
    pub(crate) fn heat(&self, keys: &[i64]) {
        let mut until = self.until.lock();
        let now = Instant::now();
        for key in keys {
            if until.len() >= KEYS_MAX && !until.contains_key(key) {
                until.retain(|_, until| *until > now);
                let coolest = until.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key);
                if let Some(coolest) = coolest.filter(|_| until.len() >= KEYS_MAX) {
                    until.remove(&coolest);
                }
            }
            until.insert(*key, now + HOT);
        }
        self.count.store(until.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_keys_are_kept() {
        let hot = HotKeys::default();
        assert!(!hot.contains(1));
        hot.heat(&[1]);
        assert!(hot.contains(1) && !hot.contains(2));
        for key in 2..2_000 {
            hot.heat(&[key]);
        }
        assert_eq!(hot.until.lock().len(), KEYS_MAX);
        assert!(!hot.contains(1) && hot.contains(1_999));
    }
}
