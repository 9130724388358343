//! What is counted of jobs.

use std::sync::atomic::AtomicI64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::services::job_queue::attempt::Tried;

/// Counters of jobs.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobMetrics {
    /// Attempts that succeeded.
    pub(crate) succeeded: Counter,
    /// Attempts that failed.
    pub(crate) failed: Counter,
    /// Jobs that became dead letters.
    pub(crate) dead_letters: Counter,
    /// Queues of this node that have work.
    pub(crate) lanes: Gauge<i64, AtomicI64>,
}

impl JobMetrics {
    /// An attempt has come to its end. What the server queues of itself leaves no dead letters.
    pub(crate) fn count(&self, tried: &Tried, is_own: bool) {
        let counter = if tried.succeeded() { &self.succeeded } else { &self.failed };
        counter.inc();
        if tried.is_last() && !is_own {
            self.dead_letters.inc();
        }
    }
}
