//! Metrics, which are made of the entries when they are asked for: `/log/{namespaceName}/…/metrics…`.

use super::{AggregationConfig, FacetType, Label, QueryText, SERVICE, TimeseriesMetadata, TimeseriesPoint};
use crate::contract::{Page, UnixMillis};
use crate::names::{NamePrefix, NamespaceName, PageLimit, PageToken, text_type};
use crate::{Model, Operation};

text_type! {
    /// Name of a metric: `calls`, `duration`, or the field of a facet model; at most 128 characters.
    MetricName, 1..=128, |_| Ok(())
}

fn order_by(text: &str) -> Result<(), &'static str> {
    if matches!(text, "asc" | "desc") { Ok(()) } else { Err("must be `asc` or `desc`") }
}

text_type! {
    /// Which end comes first: `asc`, the smallest, or `desc`, the largest.
    OrderBy, 1..=8, order_by
}

/// A number that entries have.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct MetricModel {
    /// Name: `calls`, `duration`, or the field of a facet model that holds numbers.
    pub name: MetricName,
    /// `double`, or what the facet model says.
    pub r#type: FacetType,
    /// Fields that it can be grouped by.
    #[field(0..=10)]
    pub labels: Vec<String>,
}

/// Lists the metrics by name, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/model/metrics", name = "describeMetrics", component = "metricModel",
    answer = Page<MetricModel>)]
pub struct DescribeMetrics {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only names that begin so.
    pub name_prefix: Option<NamePrefix>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Lists the values that a metric's labels had in the last hour, by label and value, ascending.
///
/// Looks at the newest 128 MiB of log of that hour. Fails with 404 `metricModel`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/model/metrics/{metricName}/label", name = "describeLabelValues",
    component = "metricModel", answer = Page<Label>)]
pub struct DescribeLabelValues {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the metric.
    pub metric_name: MetricName,
    /// Only labels that begin so.
    #[field(0..=128)]
    pub label_name_prefix: Option<String>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// What `queryMetricsTimeseries` found.
#[derive(Debug, Clone, PartialEq, Model)]
pub struct MetricsTimeseries {
    /// The spans of time, oldest first; those without entries are left out.
    pub items: Vec<TimeseriesPoint>,
    /// What the keys are made of.
    pub timeseries_metadata: TimeseriesMetadata,
}

/// Makes several numbers of the entries that a query finds, for each span of time.
///
/// Bounded like `queryTimeseries`, and fails like it.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/metrics/timeseries", name = "queryMetricsTimeseries", component = "metricModel",
    answer = MetricsTimeseries)]
pub struct QueryMetricsTimeseries {
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
    /// What is made of the entries, at most 10; their number when absent.
    #[field(0..=10)]
    pub aggregations: Option<Vec<AggregationConfig>>,
    /// Seconds of a span; a sixtieth of the period, at least one second, when absent.
    #[field(1..=31536000)]
    pub interval: Option<i32>,
    /// Number of groups at most, the first ones of the order.
    #[field(1..=1000, default = 100)]
    pub series_limit: i32,
    /// Aggregation, such as `p95(duration)`, by whose value over the whole period groups are ordered; their number of entries when
    /// absent.
    #[field(0..=256)]
    pub order_key: Option<String>,
    /// Which end comes first; `desc` when absent.
    pub order_by: Option<OrderBy>,
}
