//! Metrics, which are made of the entries when they are asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use hiroba_api::contract::Page;
use hiroba_api::error::ApiError;
use hiroba_api::log::{
    DescribeLabelValues, DescribeMetrics, FacetType, Label, MetricModel, MetricName, MetricsTimeseries,
    Namespaces, QueryMetricsTimeseries, SERVICE,
};

use super::facet;
use super::field::{Field, Fields};
use super::find::{label_value, open, slice};
use super::timeseries::Wanted;
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::scan::{Place, Visitor};
use crate::logs::{Entry, Kind};
use crate::registry::Registry;
use crate::services::namespaces::cached;

const COMPONENT: &str = "metricModel";
/// The metrics that there always are.
const METRICS: [&str; 2] = ["calls", "duration"];
/// Labels of every metric.
const LABELS: [&str; 5] = ["service", "method", "status", "namespaceName", "userId"];
/// Values that are answered.
const VALUES_MAX: usize = 100_000;

pub(super) fn register(registry: &mut Registry) {
    registry.call(describe_metrics);
    registry.call(describe_label_values);
    registry.call(query_metrics_timeseries);
}

/// Every metric of a namespace, by name.
async fn metrics(cx: &Arc<Cx>, namespace: &str) -> Result<Vec<MetricModel>, Error> {
    cached::<Namespaces>(cx, namespace).await?;
    let (owner, name) = (cx.owner().to_owned(), namespace.to_owned());
    let facets = cx.read(move |tx| facet::all(tx, &owner, &name)).await?;
    let model = |name: &str, kind: &str| MetricModel {
        name: MetricName::trusted(name),
        r#type: FacetType::trusted(kind),
        labels: LABELS.iter().map(|label| (*label).to_owned()).collect(),
    };
    let mut metrics: Vec<MetricModel> = METRICS.iter().map(|name| model(name, "double")).collect();
    for facet in facets.iter().filter(|facet| facet.is_numeric() && !METRICS.contains(&facet.field.as_str()))
    {
        metrics.push(model(&facet.field, &facet.kind));
    }
    metrics.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    Ok(metrics)
}

async fn describe_metrics(cx: Arc<Cx>, request: Arc<DescribeMetrics>) -> Result<Page<MetricModel>, Error> {
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    let mut metrics = metrics(&cx, &request.namespace_name).await?;
    metrics.retain(|metric| metric.name.starts_with(prefix));
    let (items, next_page_token) = slice(metrics, request.page_token.as_ref(), request.limit, COMPONENT)?;
    Ok(Page { items, next_page_token })
}

/// Collects the values of labels.
struct Values {
    labels: Vec<(&'static str, Field)>,
    values: BTreeSet<(&'static str, String)>,
}

impl Visitor for Values {
    fn entry(&mut self, _place: Place, entry: &Entry<'_>) {
        let fields = Fields::new(entry);
        for (name, field) in &self.labels {
            if self.values.len() < VALUES_MAX
                && let Some(text) = fields.text(field)
            {
                self.values.insert((name, label_value(&text)));
            }
        }
    }
}

async fn describe_label_values(cx: Arc<Cx>, request: Arc<DescribeLabelValues>) -> Result<Page<Label>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.metric_name.as_str());
    if !metrics(&cx, namespace).await?.iter().any(|metric| metric.name.as_str() == name) {
        let detail = format!("there is no metric `{name}` in namespace `{namespace}`; see `describeMetrics`");
        return Err(ApiError::not_found(SERVICE.name, COMPONENT, detail).into());
    }
    let prefix = request.label_name_prefix.as_deref().unwrap_or_default();
    let label = |name: &&'static str| Some((*name, Field::parse(name)?));
    let labels = LABELS.iter().filter(|label| label.starts_with(prefix)).filter_map(label).collect();
    let log = open(&cx, namespace).await?;
    let period = log.period(&cx, None, None, COMPONENT)?;
    let values = Values { labels, values: BTreeSet::new() };
    let (values, _) = log.walk(&cx, Kind::Access, period, Vec::new(), values).await?;
    let label = |(key, value): (&'static str, String)| Label { key: key.to_owned(), value };
    let labels = values.values.into_iter().map(label).collect();
    let (items, next_page_token) = slice(labels, request.page_token.as_ref(), request.limit, COMPONENT)?;
    Ok(Page { items, next_page_token })
}

async fn query_metrics_timeseries(
    cx: Arc<Cx>,
    request: Arc<QueryMetricsTimeseries>,
) -> Result<MetricsTimeseries, Error> {
    let wanted = Wanted {
        namespace: &request.namespace_name,
        component: COMPONENT,
        begin: request.begin,
        end: request.end,
        query: request.query.as_ref(),
        group_by: request.group_by.as_deref().unwrap_or_default(),
        aggregations: request.aggregations.as_deref().unwrap_or_default(),
        interval: request.interval,
        series_max: usize::try_from(request.series_limit).unwrap_or_default(),
        order_key: request.order_key.as_deref(),
        ascending: request.order_by.as_deref() == Some("asc"),
    };
    let (items, timeseries_metadata) = wanted.points(&cx).await?;
    Ok(MetricsTimeseries { items, timeseries_metadata })
}
