//! Calls as entries with labels: `/log/{namespaceName}/log/v2…` (BEHAVIOUR LG-10).

use super::SERVICE;
use crate::contract::{Item, Items, UnixMillis};
use crate::names::{NamespaceName, PageLimit, PageToken, text_type};
use crate::{Model, Operation};

text_type! {
    /// A query in the language of `docs/logs.md`, at most 4,096 characters.
    QueryText, 0..=4096, |_| Ok(())
}
text_type! {
    /// Id of a call, at most 1,024 characters.
    LogRequestId, 1..=1024, |_| Ok(())
}
text_type! {
    /// Id of a trace: that of the call with which it began, at most 64 characters.
    TraceId, 1..=64, |_| Ok(())
}

fn aggregation_type(text: &str) -> Result<(), &'static str> {
    const TYPES: [&str; 9] = ["count", "unique", "sum", "avg", "max", "min", "p90", "p95", "p99"];
    if TYPES.contains(&text) {
        Ok(())
    } else {
        Err("must be `count`, `unique`, `sum`, `avg`, `max`, `min`, `p90`, `p95` or `p99`")
    }
}

text_type! {
    /// What is made of the values of a field: `count`, `unique`, `sum`, `avg`, `max`, `min`, `p90`, `p95` or `p99`.
    AggregationType, 1..=8, aggregation_type
}

/// A value that an entry has.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Label {
    /// Name.
    #[field(0..=128)]
    pub key: String,
    /// Value, its first 256 characters.
    #[field(0..=256)]
    pub value: String,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct LogEntry {
    /// When the call began.
    pub timestamp: UnixMillis,
    /// `ok` or `error`.
    #[field(0..=16)]
    pub status: String,
    /// Milliseconds that the call took.
    pub duration: i64,
    /// The whole entry, JSON text of an object with `requestId`, `service`, `method`, `request`, `result` and the like.
    #[field(0..=10485760)]
    pub line: String,
    /// `service`, `method`, `userId`, `namespaceName`, `requestId`, `sourceRequestId`, `traceId`, `status`, `statusCode`.
    #[field(0..=128)]
    pub labels: Vec<Label>,
}

/// What `queryLog` found.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct LogEntries {
    /// The page, newest first; may be shorter than the limit although there are more.
    pub items: Vec<LogEntry>,
    /// Entries that the query finds; of a period with more than one call looks at, those found so far.
    pub total_entry_count: i32,
    /// Where the next page starts; absent on the last one.
    pub next_page_token: Option<PageToken>,
}

/// Finds entries, newest first.
///
/// Bounded like `queryAccessLog`. Fails with 404 `namespace`, with 400 when `begin` is after `end`, and when `query` is not in
/// the language; the message names the place.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/log/v2/query", name = "queryLog", component = "logEntry", answer = LogEntries)]
pub struct QueryLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Which entries, in the language of `docs/logs.md`: `service:lock AND duration:>100`. All when absent.
    pub query: Option<QueryText>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Gets the entry of a call. Without `begin` all logs are looked through.
///
/// Fails with 404 `logEntry`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/v2/query/{logRequestId}", name = "getLog", component = "logEntry",
    answer = Item<LogEntry>)]
pub struct GetLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Id of the call.
    pub log_request_id: LogRequestId,
    /// Earliest time, that moment included; the oldest log when absent.
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent.
    pub end: Option<UnixMillis>,
}

/// How often a value was found.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct FacetValueCount {
    /// The value, its first 256 characters.
    #[field(0..=256)]
    pub value: String,
    /// How often.
    pub count: i64,
}

/// Smallest and largest value.
#[derive(Debug, Clone, PartialEq, Model)]
pub struct NumericRange {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

/// The values of a field.
#[derive(Debug, Clone, PartialEq, Model)]
pub struct Facet {
    /// The field.
    #[field(0..=128)]
    pub field: String,
    /// Its 100 most frequent values, most frequent first.
    #[field(0..=100)]
    pub values: Vec<FacetValueCount>,
    /// Of a field of numbers, those of the entries that the query finds; absent when they have none.
    pub range: Option<NumericRange>,
    /// Of a field of numbers, those of all entries of the period.
    pub global_range: Option<NumericRange>,
}

/// Counts the values that `service`, `method`, `status`, `namespaceName`, `userId` and the fields of the facet models have in the
/// entries that a query finds, and finds the range of `duration`.
///
/// One call looks at the newest 128 MiB of log of the period. Fails like `queryLog`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/log/v2/query/facet", name = "queryFacets", component = "logEntry",
    answer = Items<Facet>)]
pub struct QueryFacets {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Which entries, in the language of `docs/logs.md`: `service:lock AND duration:>100`. All when absent.
    pub query: Option<QueryText>,
}

/// What is made of the entries of a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct AggregationConfig {
    /// How: `count`, `unique`, `sum`, `avg`, `max`, `min`, `p90`, `p95` or `p99`.
    pub r#type: AggregationType,
    /// Of which field; `count` without one counts entries, the others take `duration`, `unique` takes `userId`.
    #[field(0..=128)]
    pub field: Option<String>,
}

/// A number.
#[derive(Debug, Clone, PartialEq, Model)]
pub struct TimeseriesValue {
    /// What it is of: the aggregation, such as `p95(duration)`, or the values of the fields in `groupBy` with commas between them;
    /// both, with a colon between them, where there are several aggregations and a `groupBy`.
    #[field(0..=256)]
    pub key: String,
    /// The number.
    pub value: f64,
}

/// The numbers of one span of time.
#[derive(Debug, Clone, PartialEq, Model)]
pub struct TimeseriesPoint {
    /// When the span begins.
    pub timestamp: UnixMillis,
    /// Its numbers; what has no entries has none.
    #[field(0..=10000)]
    pub values: Vec<TimeseriesValue>,
}

/// What the keys of the numbers are made of.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TimeseriesMetadata {
    /// The aggregations: `count`, `p95(duration)`.
    #[field(0..=10)]
    pub keys: Vec<String>,
    /// The fields by which entries are grouped.
    #[field(0..=10)]
    pub group_by: Vec<String>,
}

/// What `queryTimeseries` found.
#[derive(Debug, Clone, PartialEq, Model)]
pub struct Timeseries {
    /// The spans of time, oldest first; those without entries are left out.
    pub items: Vec<TimeseriesPoint>,
    /// What the keys are made of.
    pub timeseries_metadata: TimeseriesMetadata,
    /// Where the next page starts; absent on the last one.
    pub next_page_token: Option<PageToken>,
}

/// Makes numbers of the entries that a query finds, for each span of time.
///
/// One call looks at the newest 128 MiB of log of the period. Fails like `queryLog`, and with 400 when the period has more than
/// 10,000 spans.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/log/v2/timeseries", name = "queryTimeseries", component = "logEntry",
    answer = Timeseries)]
pub struct QueryTimeseries {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Which entries, in the language of `docs/logs.md`: `service:lock AND duration:>100`. All when absent.
    pub query: Option<QueryText>,
    /// Fields whose values are taken apart, at most 10.
    #[field(0..=10)]
    pub group_by: Option<Vec<String>>,
    /// What is made of the entries; their number when absent.
    pub aggregation: Option<AggregationConfig>,
    /// Seconds of a span; a sixtieth of the period, at least one second, when absent.
    #[field(1..=31536000)]
    pub interval: Option<i32>,
    /// Number of groups at most, those with the most entries.
    #[field(1..=1000, default = 100)]
    pub series_limit: i32,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// The entries that began with one call.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Trace {
    /// Id of the call with which it began.
    #[field(0..=64)]
    pub trace_id: String,
    /// Its entries, oldest first, at most 100.
    #[field(0..=100)]
    pub spans: Vec<LogEntry>,
    /// Whether there are more.
    pub truncated: bool,
}

/// What `getTrace` found.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TraceAnswer {
    /// The trace.
    pub trace: Trace,
    /// Other traces of the same player that ran at the same time, at most 10.
    pub parallels: Vec<Trace>,
    /// Whether there are more of those.
    pub parallel_truncated: bool,
}

/// Gets all that one call caused, itself included (BEHAVIOUR LG-04). Without `begin` all logs are looked through.
///
/// Fails with 404 `trace`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/v2/trace/{traceId}", name = "getTrace", component = "logEntry",
    answer = TraceAnswer)]
pub struct GetTrace {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Id of the call with which it began.
    pub trace_id: TraceId,
    /// Earliest time, that moment included; the oldest log when absent.
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent.
    pub end: Option<UnixMillis>,
}
