//! Numbers for spans of time, made of the entries that a query finds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use hiroba_api::contract::UnixMillis;
use hiroba_api::error::ApiError;
use hiroba_api::log::{
    AggregationConfig, QueryText, QueryTimeseries, SERVICE, Timeseries, TimeseriesMetadata, TimeseriesPoint,
    TimeseriesValue,
};

use super::field::{Field, Fields, NAMES};
use super::find::{COMPONENT, label_value, open, query, slice};
use super::query::Query;
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::scan::{Period, Place, Visitor};
use crate::logs::{Entry, Kind};
use crate::registry::Registry;

/// Spans of a period.
const POINTS_MAX: i64 = 10_000;
/// Spans of a period when nothing is said.
const POINTS: i64 = 60;
/// Groups that are told apart.
const GROUPS_MAX: usize = 10_000;

pub(super) fn register(registry: &mut Registry) {
    registry.call(query_timeseries);
}

/// What is made of the values of a field.
#[derive(Debug, Clone)]
struct Aggregation {
    kind: String,
    /// Nothing for a number of entries.
    field: Option<Field>,
    /// Its name in answers: `p95(duration)`.
    key: String,
}

/// What is collected for one number.
#[derive(Debug, Default)]
struct Collected {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// For percentiles.
    values: Vec<f64>,
    /// For numbers of different values.
    distinct: HashSet<String>,
}

impl Aggregation {
    fn new(config: &AggregationConfig, component: &str) -> Result<Aggregation, Error> {
        let kind = config.r#type.to_string();
        let given = config.field.as_deref().filter(|field| !field.is_empty());
        let name = given.or(match kind.as_str() {
            "count" => None,
            "unique" => Some("userId"),
            _ => Some("duration"),
        });
        // `calls` is what the metric is called.
        let name = name.filter(|name| !(kind == "count" && *name == "calls"));
        let key = name.map_or_else(|| kind.clone(), |name| format!("{kind}({name})"));
        let field = name.map(|name| field(name, "aggregation", component)).transpose()?;
        Ok(Aggregation { kind, field, key })
    }

    fn add(&self, collected: &mut Collected, fields: &Fields<'_, '_>) {
        let Some(field) = &self.field else {
            collected.count += 1;
            return;
        };
        match self.kind.as_str() {
            "count" => collected.count += u64::from(fields.text(field).is_some()),
            "unique" => {
                if let Some(text) = fields.text(field)
                    && !collected.distinct.contains(text.as_ref())
                {
                    collected.distinct.insert(text.into_owned());
                }
            }
            _ => {
                let Some(number) = fields.number(field) else { return };
                let first = collected.count == 0;
                collected.count += 1;
                collected.sum += number;
                collected.min = if first { number } else { collected.min.min(number) };
                collected.max = if first { number } else { collected.max.max(number) };
                if self.kind.starts_with('p') {
                    collected.values.push(number);
                }
            }
        }
    }

    /// The number; nothing when no entry had the field.
    fn number(&self, collected: &mut Collected) -> Option<f64> {
        match self.kind.as_str() {
            "count" => Some(collected.count as f64),
            "unique" => Some(collected.distinct.len() as f64),
            _ if collected.count == 0 => None,
            "sum" => Some(collected.sum),
            "avg" => Some(collected.sum / collected.count as f64),
            "min" => Some(collected.min),
            "max" => Some(collected.max),
            percentile => {
                let part: f64 = percentile.trim_start_matches('p').parse().unwrap_or(50.0);
                collected.values.sort_unstable_by(f64::total_cmp);
                // The smallest value that so many per cent do not exceed.
                let rank = (part / 100.0 * collected.values.len() as f64).ceil() as usize;
                collected.values.get(rank.saturating_sub(1)).copied()
            }
        }
    }
}

fn field(name: &str, member: &str, component: &str) -> Result<Field, Error> {
    Field::parse(name).ok_or_else(|| {
        let detail = format!("entries have no field `{name}` for `{member}`: name {NAMES}");
        ApiError::bad_request(SERVICE.name, component, member, "invalid", detail).into()
    })
}

/// A request for numbers.
pub(super) struct Wanted<'r> {
    pub(super) namespace: &'r str,
    pub(super) component: &'static str,
    pub(super) begin: Option<UnixMillis>,
    pub(super) end: Option<UnixMillis>,
    pub(super) query: Option<&'r QueryText>,
    pub(super) group_by: &'r [String],
    pub(super) aggregations: &'r [AggregationConfig],
    pub(super) interval: Option<i32>,
    pub(super) series_max: usize,
    /// By which aggregation groups are ordered; by their number of entries when nothing is said.
    pub(super) order_key: Option<&'r str>,
    pub(super) ascending: bool,
}

/// Collects the numbers.
struct Collecting {
    query: Query,
    group_by: Vec<Field>,
    aggregations: Vec<Aggregation>,
    /// By which groups are ordered; behind the others.
    order: Aggregation,
    begin: i64,
    interval: i64,
    /// Numbers of the groups, each with its place.
    groups: HashMap<Vec<String>, usize>,
    /// Over the whole period, by group.
    orders: Vec<Collected>,
    /// By span and group.
    points: BTreeMap<i64, HashMap<usize, Vec<Collected>>>,
}

impl Visitor for Collecting {
    fn entry(&mut self, _place: Place, entry: &Entry<'_>) {
        let fields = Fields::new(entry);
        if !self.query.matches(&fields) {
            return;
        }
        let values: Vec<String> = self
            .group_by
            .iter()
            .map(|field| fields.text(field).map(|text| label_value(&text)).unwrap_or_default())
            .collect();
        let group = match self.groups.get(&values) {
            Some(group) => *group,
            None if self.groups.len() == GROUPS_MAX => return,
            None => {
                let group = self.groups.len();
                self.groups.insert(values, group);
                self.orders.push(Collected::default());
                group
            }
        };
        self.order.add(&mut self.orders[group], &fields);
        let span = (entry.at - self.begin).div_euclid(self.interval);
        let collected = self.points.entry(span).or_default().entry(group);
        let count = self.aggregations.len();
        let collected = collected.or_insert_with(|| (0..count).map(|_| Collected::default()).collect());
        for (aggregation, collected) in self.aggregations.iter().zip(collected) {
            aggregation.add(collected, &fields);
        }
    }
}

impl Wanted<'_> {
    /// The points, oldest first, and what their keys are made of.
    pub(super) async fn points(
        self,
        cx: &Arc<Cx>,
    ) -> Result<(Vec<TimeseriesPoint>, TimeseriesMetadata), Error> {
        let component = self.component;
        let query = query(self.query, component)?;
        let group_by: Result<Vec<Field>, Error> =
            self.group_by.iter().map(|name| field(name, "groupBy", component)).collect();
        let aggregations: Result<Vec<Aggregation>, Error> =
            self.aggregations.iter().map(|config| Aggregation::new(config, component)).collect();
        let mut aggregations = aggregations?;
        let count = Aggregation { kind: "count".to_owned(), field: None, key: "count".to_owned() };
        if aggregations.is_empty() {
            aggregations.push(count.clone());
        }
        let order = match self.order_key.filter(|key| !key.is_empty()) {
            None => count,
            Some(key) => aggregations.iter().find(|known| known.key == key).cloned().ok_or_else(|| {
                let keys: Vec<&str> = aggregations.iter().map(|known| known.key.as_str()).collect();
                let detail = format!("`orderKey` must be one of the aggregations: {}", keys.join(", "));
                ApiError::bad_request(SERVICE.name, component, "orderKey", "invalid", detail)
            })?,
        };
        let log = open(cx, self.namespace).await?;
        let asked = log.period(cx, self.begin, self.end, component)?;
        let interval = interval(asked, self.interval, component)?;
        // Spans begin at multiples of their length, so that those of two calls are the same.
        let begin = asked.begin.div_euclid(interval) * interval;
        let terms = query.terms();
        let metadata = TimeseriesMetadata {
            keys: aggregations.iter().map(|aggregation| aggregation.key.clone()).collect(),
            group_by: self.group_by.to_vec(),
        };
        let collecting = Collecting {
            query,
            group_by: group_by?,
            aggregations,
            order,
            begin,
            interval,
            groups: HashMap::new(),
            orders: Vec::new(),
            points: BTreeMap::new(),
        };
        let (collecting, _) = log.walk(cx, Kind::Access, asked, terms, collecting).await?;
        Ok((collecting.finish(self.series_max, self.ascending), metadata))
    }
}

impl Collecting {
    fn finish(mut self, series_max: usize, ascending: bool) -> Vec<TimeseriesPoint> {
        let mut groups: Vec<(Vec<String>, usize)> = self.groups.drain().collect();
        let mut numbers = Vec::new();
        for collected in &mut self.orders {
            numbers.push(self.order.number(collected).unwrap_or_default());
        }
        groups.sort_unstable_by(|(left, left_at), (right, right_at)| {
            let order = numbers[*left_at].total_cmp(&numbers[*right_at]);
            (if ascending { order } else { order.reverse() }).then_with(|| left.cmp(right))
        });
        groups.truncate(series_max);
        let grouped = !self.group_by.is_empty();
        let several = self.aggregations.len() > 1;
        let mut points = Vec::new();
        for (span, mut collected) in self.points {
            let mut values = Vec::new();
            for (names, group) in &groups {
                let Some(collected) = collected.get_mut(group) else { continue };
                for (aggregation, collected) in self.aggregations.iter().zip(collected) {
                    let Some(value) = aggregation.number(collected) else { continue };
                    let key = match (grouped, several) {
                        (true, true) => format!("{}:{}", aggregation.key, names.join(",")),
                        (true, false) => names.join(","),
                        (false, _) => aggregation.key.clone(),
                    };
                    values.push(TimeseriesValue { key: label_value(&key), value });
                }
            }
            if !values.is_empty() {
                let timestamp = UnixMillis(self.begin + span * self.interval);
                points.push(TimeseriesPoint { timestamp, values });
            }
        }
        points
    }
}

/// Milliseconds of a span.
fn interval(period: Period, seconds: Option<i32>, component: &str) -> Result<i64, Error> {
    let length = (period.end - period.begin).max(0);
    let interval = match seconds {
        Some(seconds) => i64::from(seconds) * 1000,
        None => (length / POINTS / 1000).max(1) * 1000,
    };
    if length / interval >= POINTS_MAX {
        let detail = format!(
            "the period has more than {POINTS_MAX} spans of {} s; make `interval` longer or the period shorter",
            interval / 1000
        );
        return Err(ApiError::bad_request(SERVICE.name, component, "interval", "tooMany", detail).into());
    }
    Ok(interval)
}

async fn query_timeseries(cx: Arc<Cx>, request: Arc<QueryTimeseries>) -> Result<Timeseries, Error> {
    let wanted = Wanted {
        namespace: &request.namespace_name,
        component: COMPONENT,
        begin: request.begin,
        end: request.end,
        query: request.query.as_ref(),
        group_by: request.group_by.as_deref().unwrap_or_default(),
        aggregations: request.aggregation.as_slice(),
        interval: request.interval,
        series_max: usize::try_from(request.series_limit).unwrap_or_default(),
        order_key: None,
        ascending: false,
    };
    let (points, timeseries_metadata) = wanted.points(&cx).await?;
    let (items, next_page_token) = slice(points, request.page_token.as_ref(), request.limit, COMPONENT)?;
    Ok(Timeseries { items, timeseries_metadata, next_page_token })
}

#[cfg(test)]
mod tests {
    use hiroba_api::log::AggregationType;

    use super::*;

    fn number(kind: &str, field: Option<&str>, durations: &[u64]) -> Option<f64> {
        let config =
            AggregationConfig { r#type: AggregationType::trusted(kind), field: field.map(str::to_owned) };
        let aggregation = Aggregation::new(&config, "x").unwrap();
        let mut collected = Collected::default();
        for duration in durations {
            let entry = Entry { duration: *duration, user: "u", ..Entry::default() };
            aggregation.add(&mut collected, &Fields::new(&entry));
        }
        aggregation.number(&mut collected)
    }

    #[test]
    fn aggregations() {
        let hundred: Vec<u64> = (1..=100).rev().collect();
        for (kind, expected) in [
            ("count", 100.0),
            ("unique", 1.0),
            ("sum", 5050.0),
            ("avg", 50.5),
            ("min", 1.0),
            ("max", 100.0),
            ("p90", 90.0),
            ("p95", 95.0),
            ("p99", 99.0),
        ] {
            assert_eq!(number(kind, None, &hundred), Some(expected), "{kind}");
        }
        assert_eq!(number("unique", Some("duration"), &[1, 2, 2]), Some(2.0));
        assert_eq!(number("p99", None, &[7]), Some(7.0));
        assert_eq!(number("avg", None, &[]), None);
        assert_eq!(number("count", Some("method"), &[1]), Some(0.0));
        assert_eq!(number("max", Some("userId"), &[1]), None);
    }
}
