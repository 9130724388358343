//! `queryFacets`: which values the fields of entries have.

use std::collections::HashMap;
use std::sync::Arc;

use hiroba_api::contract::Items;
use hiroba_api::log::{Facet, FacetValueCount, NumericRange, QueryFacets};

use super::facet;
use super::field::{Field, Fields};
use super::find::{COMPONENT, label_value, open, query};
use super::query::Query;
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::scan::{Place, Visitor};
use crate::logs::{Entry, Kind};
use crate::registry::Registry;

/// The fields that are always counted, and whether they hold numbers.
const FIELDS: [(&str, bool); 6] = [
    ("service", false),
    ("method", false),
    ("status", false),
    ("namespaceName", false),
    ("userId", false),
    ("duration", true),
];
/// Values of a field that are answered, and that are told apart.
const VALUES_MAX: usize = 100;
const DISTINCT_MAX: usize = 100_000;

pub(super) fn register(registry: &mut Registry) {
    registry.call(query_facets);
}

/// What is known of a field.
struct Known {
    name: String,
    field: Field,
    numeric: bool,
    counts: HashMap<String, i64>,
    range: Option<NumericRange>,
    global_range: Option<NumericRange>,
}

impl Known {
    fn new(name: &str, numeric: bool) -> Option<Known> {
        let field = Field::parse(name)?;
        let (name, counts) = (name.to_owned(), HashMap::new());
        Some(Known { name, field, numeric, counts, range: None, global_range: None })
    }

    fn facet(self) -> Facet {
        let mut counts: Vec<(String, i64)> = self.counts.into_iter().collect();
        counts.sort_unstable_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        counts.truncate(VALUES_MAX);
        let value = |(value, count)| FacetValueCount { value, count };
        Facet {
            field: self.name,
            values: counts.into_iter().map(value).collect(),
            range: self.range,
            global_range: self.global_range,
        }
    }
}

fn widen(range: &mut Option<NumericRange>, number: f64) {
    let range = range.get_or_insert(NumericRange { min: number, max: number });
    range.min = range.min.min(number);
    range.max = range.max.max(number);
}

struct Counting {
    query: Query,
    known: Vec<Known>,
}

impl Visitor for Counting {
    fn entry(&mut self, _place: Place, entry: &Entry<'_>) {
        let fields = Fields::new(entry);
        let found = self.query.matches(&fields);
        for known in &mut self.known {
            if known.numeric {
                let Some(number) = fields.number(&known.field) else { continue };
                widen(&mut known.global_range, number);
                if found {
                    widen(&mut known.range, number);
                }
            }
            if found && let Some(text) = fields.text(&known.field) {
                let value = label_value(&text);
                if known.counts.len() < DISTINCT_MAX || known.counts.contains_key(&value) {
                    *known.counts.entry(value).or_default() += 1;
                }
            }
        }
    }
}

async fn query_facets(cx: Arc<Cx>, request: Arc<QueryFacets>) -> Result<Items<Facet>, Error> {
    let query = query(request.query.as_ref(), COMPONENT)?;
    let log = open(&cx, &request.namespace_name).await?;
    let period = log.period(&cx, request.begin, request.end, COMPONENT)?;
    let (owner, namespace) = (cx.owner().to_owned(), request.namespace_name.to_string());
    let models = cx.read(move |tx| facet::all(tx, &owner, &namespace)).await?;
    let mut known: Vec<Known> =
        FIELDS.iter().filter_map(|(name, numeric)| Known::new(name, *numeric)).collect();
    for model in models {
        let numeric = model.is_numeric();
        match known.iter_mut().find(|known| known.name == model.field) {
            Some(known) => known.numeric = numeric,
            None => known.extend(Known::new(&model.field, numeric)),
        }
    }
    // The ranges of all entries need all chunks.
    let (counting, _) = log.walk(&cx, Kind::Access, period, Vec::new(), Counting { query, known }).await?;
    Ok(Items { items: counting.known.into_iter().map(Known::facet).collect() })
}
