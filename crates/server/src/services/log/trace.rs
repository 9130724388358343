//! `getTrace`: all that one call caused (BEHAVIOUR LG-04).

use std::collections::BTreeMap;
use std::sync::Arc;

use hiroba_api::error::ApiError;
use hiroba_api::log::{GetTrace, LogEntry, SERVICE, Trace, TraceAnswer};

use super::find::{COMPONENT, log_entry, open};
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::scan::{Period, Place, Visitor};
use crate::logs::{Entry, Kind, Term};
use crate::registry::Registry;

/// Entries of a trace that are answered.
const SPANS_MAX: usize = 100;
/// Traces that ran at the same time that are answered, and their entries.
const PARALLELS_MAX: usize = 10;

pub(super) fn register(registry: &mut Registry) {
    registry.call(get_trace);
}

/// The entries of one trace.
#[derive(Default)]
struct Spans {
    id: String,
    /// The oldest ones.
    spans: BTreeMap<Place, LogEntry>,
    truncated: bool,
    /// From the first beginning to the last end.
    period: Option<Period>,
    users: Vec<String>,
}

impl Spans {
    fn add(&mut self, place: Place, entry: &Entry<'_>) {
        let end = entry.at.saturating_add(i64::try_from(entry.duration).unwrap_or(i64::MAX));
        let period = self.period.get_or_insert(Period { begin: entry.at, end });
        period.begin = period.begin.min(entry.at);
        period.end = period.end.max(end);
        if !entry.user.is_empty() && !self.users.iter().any(|user| user == entry.user) {
            self.users.push(entry.user.to_owned());
        }
        self.spans.insert(place, log_entry(entry));
        if self.spans.len() > SPANS_MAX {
            self.spans.pop_last();
            self.truncated = true;
        }
    }

    fn trace(self) -> Trace {
        Trace { trace_id: self.id, spans: self.spans.into_values().collect(), truncated: self.truncated }
    }
}

impl Visitor for Spans {
    fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        if entry.trace() == self.id {
            self.add(place, entry);
        }
    }
}

/// Other traces of some players.
struct Parallels {
    not: String,
    users: Vec<String>,
    traces: BTreeMap<String, Spans>,
    truncated: bool,
}

impl Visitor for Parallels {
    fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        let id = entry.trace();
        if id == self.not || !self.users.iter().any(|user| user == entry.user) {
            return;
        }
        if self.traces.len() == PARALLELS_MAX && !self.traces.contains_key(id) {
            self.truncated = true;
            return;
        }
        let new = || Spans { id: id.to_owned(), ..Spans::default() };
        self.traces.entry(id.to_owned()).or_insert_with(new).add(place, entry);
    }
}

async fn get_trace(cx: Arc<Cx>, request: Arc<GetTrace>) -> Result<TraceAnswer, Error> {
    let id = request.trace_id.as_str();
    let log = open(&cx, &request.namespace_name).await?;
    let period = log.whole(&cx, request.begin, request.end, COMPONENT)?;
    let spans = Spans { id: id.to_owned(), ..Spans::default() };
    let (mut spans, _) = log.walk(&cx, Kind::Access, period, vec![Term::Trace(id).hash()], spans).await?;
    let Some(meanwhile) = spans.period else {
        let detail = format!("there is no entry of a trace `{id}` in that period");
        return Err(ApiError::not_found(SERVICE.name, "trace", detail).into());
    };
    let users = std::mem::take(&mut spans.users);
    let terms = match users.as_slice() {
        [user] => vec![Term::User(user).hash()],
        _ => Vec::new(),
    };
    let parallels = Parallels { not: id.to_owned(), users, traces: BTreeMap::new(), truncated: false };
    let parallels = if parallels.users.is_empty() {
        parallels
    } else {
        log.walk(&cx, Kind::Access, meanwhile, terms, parallels).await?.0
    };
    Ok(TraceAnswer {
        trace: spans.trace(),
        parallels: parallels.traces.into_values().map(Spans::trace).collect(),
        parallel_truncated: parallels.truncated,
    })
}
