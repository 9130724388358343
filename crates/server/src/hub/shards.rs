//! A map in parts, each under a lock of its own.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

use parking_lot::Mutex;

/// Parts; many more than cores, so that two rarely meet.
const SHARDS: usize = 64;

/// The map.
#[derive(Debug)]
pub(super) struct Shards<K, V> {
    hasher: RandomState,
    parts: Box<[Mutex<HashMap<K, V>>]>,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Shards { hasher: RandomState::new(), parts: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl<K: Hash + Eq, V> Shards<K, V> {
    /// Works on the part that `key` belongs to.
    pub(super) fn with<Q, T>(&self, key: &Q, work: impl FnOnce(&mut HashMap<K, V>) -> T) -> T
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        let part = self.hasher.hash_one(key) as usize % SHARDS;
        work(&mut self.parts[part].lock())
    }

    /// Visits every value.
    pub(super) fn each(&self, mut visit: impl FnMut(&V)) {
        for part in &self.parts {
            part.lock().values().for_each(&mut visit);
        }
    }
}
