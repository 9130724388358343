//! Whether what was read of the store and is remembered is still what the store holds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hiroba_store::Engine;

/// With several nodes on one database, how long another node may act on what was changed on this one.
const STALE_MAX: Duration = Duration::from_secs(1);

/// Counts the changes of something that is remembered in parts; what was read before the last one is stale.
#[derive(Debug, Default)]
pub(crate) struct Generation(AtomicU64);

/// When something was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    generation: u64,
    read_at: Instant,
}

impl Stamp {
    /// When the reading began.
    pub(crate) fn read_at(&self) -> Instant {
        self.read_at
    }
}

impl Generation {
    /// Something was changed, and the change is committed.
    pub(crate) fn change(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// To be taken before reading.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { generation: self.0.load(Ordering::SeqCst), read_at: Instant::now() }
    }

    /// Whether what was read then may be used. On PostgreSQL another node may have changed it, so it ages there.
    pub(crate) fn is_fresh(&self, stamp: &Stamp, engine: Engine) -> bool {
        stamp.generation == self.0.load(Ordering::SeqCst)
            && (engine == Engine::Sqlite || stamp.read_at.elapsed() < STALE_MAX)
    }
}
