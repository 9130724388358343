//! Metrics in the Prometheus text format: `GET /metrics`.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hiroba_api::contract::{RowId, Table};
use hiroba_store::Observer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::cluster::ClusterMetrics;
use crate::hub::HubMetrics;
use crate::jobs::JobMetrics;
use crate::logs::LogMetrics;
use crate::services::chat::ChatMetrics;
use crate::services::gateway::MobileMetrics;
use crate::services::user_data::UserDataMetrics;

/// Upper bounds of latency buckets in seconds.
const LATENCY_SECONDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// Upper bounds of commit batch sizes.
const BATCH_SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Statuses that an answer can have, for the slots of [`RowMetrics`].
const STATUSES: [u16; 10] = [200, 400, 401, 402, 404, 409, 500, 502, 503, 504];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    service: &'static str,
    method: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    service: &'static str,
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: u16,
}

/// Handles of one operation, looked up once instead of at every call.
#[derive(Debug, Default)]
struct RowMetrics {
    statuses: [OnceLock<Counter>; STATUSES.len()],
    latency: OnceLock<Histogram>,
}

/// All metrics of the server.
#[derive(Debug)]
pub(crate) struct Metrics {
    table: Arc<Table>,
    registry: Registry,
    rows: Vec<RowMetrics>,
    calls: Family<CallLabels, Counter>,
    latency: Family<MethodLabels, Histogram, fn() -> Histogram>,
    refused: Family<StatusLabels, Counter>,
    /// Open connections, sockets included.
    pub(crate) connections: Gauge<i64, AtomicI64>,
    /// Open WebSockets.
    pub(crate) sockets: Gauge<i64, AtomicI64>,
    /// Mutexes that expired and were swept away.
    pub(crate) swept_mutexes: Counter,
}

/// Metrics of the store, which exists before the rest.
#[derive(Debug, Clone)]
pub(crate) struct StoreMetrics {
    batch: Histogram,
    commit: Histogram,
    retries: Counter,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        StoreMetrics {
            batch: Histogram::new(BATCH_SIZES),
            commit: Histogram::new(LATENCY_SECONDS),
            retries: Counter::default(),
        }
    }
}

impl Observer for StoreMetrics {
    fn committed(&self, transactions: usize, elapsed: Duration) {
        self.batch.observe(transactions as f64);
        self.commit.observe(elapsed.as_secs_f64());
    }

    fn retried(&self) {
        self.retries.inc();
    }
}

impl Metrics {
    /// With those of user data.
    pub(crate) fn with_user_data(mut self, user_data: &UserDataMetrics) -> Metrics {
        user_data.register(&mut self.registry);
        self
    }

    /// Metrics for the operations of `table` and for a store.
    pub(crate) fn new(
        table: Arc<Table>,
        store: &StoreMetrics,
        hub: &HubMetrics,
        cluster: &ClusterMetrics,
        mobile: &MobileMetrics,
        jobs: &JobMetrics,
        chat: &ChatMetrics,
    ) -> Metrics {
        let rows = table.rows().iter().map(|_| RowMetrics::default()).collect();
        let mut metrics = Metrics {
            table,
            registry: Registry::with_prefix("hiroba"),
            rows,
            calls: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY_SECONDS)),
            refused: Family::default(),
            connections: Gauge::default(),
            sockets: Gauge::default(),
            swept_mutexes: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("calls", "Calls by operation and status", metrics.calls.clone());
        registry.register(
            "call_seconds",
            "Time from the whole request to the answer",
            metrics.latency.clone(),
        );
        registry.register(
            "refused",
            "Requests that named no operation or could not be read",
            metrics.refused.clone(),
        );
        registry.register("connections", "Open connections, sockets included", metrics.connections.clone());
        registry.register("sockets", "Open WebSockets", metrics.sockets.clone());
        registry.register(
            "swept_mutexes",
            "Expired mutexes that were removed",
            metrics.swept_mutexes.clone(),
        );
        registry.register("commit_batch_size", "Transactions that shared one commit", store.batch.clone());
        registry.register(
            "commit_seconds",
            "Time from the begin of a batch to its commit",
            store.commit.clone(),
        );
        registry.register(
            "transaction_retries",
            "Transactions run again after a conflict",
            store.retries.clone(),
        );
        registry.register("bindings", "Bindings of players to sockets", hub.bindings.clone());
        registry.register(
            "notifications_queued",
            "Notifications that were queued for a socket",
            hub.queued.clone(),
        );
        registry.register(
            "slow_readers",
            "Sockets that were closed because their peers do not read",
            hub.slow_readers.clone(),
        );
        registry.register("nats_connected", "1 while NATS is reached", cluster.connected.clone());
        registry.register("node_commands_sent", "Commands to other nodes", cluster.sent.clone());
        registry.register("node_commands_received", "Commands from other nodes", cluster.received.clone());
        registry.register(
            "node_commands_lost",
            "Commands that did not reach another node",
            cluster.lost.clone(),
        );
        registry.register(
            "mobile_notifications",
            "Notifications to devices by outcome",
            mobile.outcomes.clone(),
        );
        registry.register("jobs_succeeded", "Attempts at jobs that succeeded", jobs.succeeded.clone());
        registry.register("jobs_failed", "Attempts at jobs that failed", jobs.failed.clone());
        registry.register("dead_letters", "Jobs that failed for the last time", jobs.dead_letters.clone());
        registry.register("job_lanes", "Queues with work that this node runs", jobs.lanes.clone());
        registry.register("chat_posts_untold", "Posts whose subscribers were not told", chat.untold.clone());
        registry.register("swept_messages", "Expired messages that were removed", chat.swept.clone());
        metrics
    }

    /// The same with those of logs.
    pub(crate) fn with_logs(mut self, logs: &LogMetrics) -> Metrics {
        let registry = &mut self.registry;
        registry.register("log_entries", "Entries that were written to logs", logs.written.clone());
        registry.register(
            "log_entries_dropped",
            "Entries that were not written to logs, by reason",
            logs.dropped.clone(),
        );
        registry.register("log_chunks", "Chunks of logs that were written", logs.chunks.clone());
        registry.register("log_bytes", "Bytes of the chunks of logs that were written", logs.bytes.clone());
        self
    }

    /// One call was answered.
    pub(crate) fn called(&self, id: RowId, status: u16, elapsed: Duration) {
        let slots = &self.rows[usize::from(id.0)];
        let declared = self.table.row(id);
        let service = declared.declaration.service.name;
        if let Some(slot) = STATUSES.iter().position(|known| *known == status) {
            let labels = || CallLabels { service, method: declared.name.clone(), status };
            slots.statuses[slot].get_or_init(|| self.calls.get_or_create(&labels()).clone()).inc();
        }
        let labels = || MethodLabels { service, method: declared.name.clone() };
        let latency = slots.latency.get_or_init(|| self.latency.get_or_create(&labels()).clone());
        latency.observe(elapsed.as_secs_f64());
    }

    /// A request named no operation, or could not be read.
    pub(crate) fn refused(&self, status: u16) {
        self.refused.get_or_create(&StatusLabels { status }).inc();
    }

    /// The metrics as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
