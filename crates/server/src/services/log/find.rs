//! What queries have in common, and the pages of `queryLog` (BEHAVIOUR LG-07, LG-08).

use std::sync::Arc;

use hiroba_api::contract::{Item, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::log::{Found, GetLog, Label, LogEntries, LogEntry, Namespaces, QueryLog, QueryText, SERVICE};
use hiroba_api::names::{PageLimit, PageToken};
use serde::de::IgnoredAny;
use serde_json::json;

use super::field::{Fields, status};
use super::query::Query;
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::scan::{self, Filter, From, Paged, Pager, Period, Sought, Visitor, Walked, walk};
use crate::logs::{Entry, Kind, Term, store};
use crate::registry::Registry;
use crate::services::namespaces::cached;

/// Bytes of requests and answers after which a page ends although its limit is not reached (BEHAVIOUR N-07).
const PAGE_BYTES_MAX: usize = 8 << 20;
/// The period of a query that names none.
const PERIOD_MS: i64 = 3_600_000;
/// Characters of a label's value.
pub(super) const LABEL_CHARS_MAX: usize = 256;

/// The logs of a namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log {
    /// Their number; nothing while there are none.
    id: Option<i64>,
    /// What is older is gone.
    oldest: i64,
}

/// Finds the logs of a namespace; what was recorded before is among them.
///
/// Fails with 404 `namespace`.
pub(super) async fn open(cx: &Arc<Cx>, namespace: &str) -> Result<Log, Error> {
    let settings = cached::<Namespaces>(cx, namespace).await?;
    cx.core.logs.flush().await;
    let (owner, name) = (cx.owner().to_owned(), namespace.to_owned());
    let id = cx.read(move |tx| Ok::<_, Error>(store::space(tx, &owner, &name)?)).await?;
    Ok(Log { id, oldest: store::oldest(cx.now.0, settings.log_expire_days) })
}

impl Log {
    /// The period of a query: the last hour unless it says something else (BEHAVIOUR LG-08).
    pub(super) fn period(
        &self,
        cx: &Cx,
        begin: Option<UnixMillis>,
        end: Option<UnixMillis>,
        component: &str,
    ) -> Result<Period, Error> {
        let end = end.map_or(cx.now.0, |end| end.0);
        let begin = begin.map_or(end - PERIOD_MS, |begin| begin.0);
        if begin > end {
            let detail = format!("`begin` must not be after `end`, but {begin} is after {end}");
            return Err(ApiError::bad_request(SERVICE.name, component, "begin", "invalid", detail).into());
        }
        Ok(Period { begin: begin.max(self.oldest), end })
    }

    /// The period of a query that looks for one thing: all of the time unless it says something else.
    pub(super) fn whole(
        &self,
        cx: &Cx,
        begin: Option<UnixMillis>,
        end: Option<UnixMillis>,
        component: &str,
    ) -> Result<Period, Error> {
        self.period(cx, Some(begin.unwrap_or(UnixMillis(0))), end, component)
    }

    /// Shows the entries of a period to a visitor.
    pub(super) async fn walk<V: Visitor>(
        &self,
        cx: &Arc<Cx>,
        kind: Kind,
        period: Period,
        terms: Vec<u64>,
        visitor: V,
    ) -> Result<(V, Walked), Error> {
        match self.id {
            Some(log_id) => walk(cx, Sought { log_id, kind, period, terms }, visitor).await,
            None => Ok((visitor, Walked { bytes: 0, left: None })),
        }
    }
}

/// A query for a page of entries.
pub(super) struct Pages<'r, T> {
    pub(super) namespace: &'r str,
    pub(super) component: &'static str,
    pub(super) kind: Kind,
    pub(super) begin: Option<UnixMillis>,
    pub(super) end: Option<UnixMillis>,
    pub(super) token: Option<&'r PageToken>,
    pub(super) limit: PageLimit,
    pub(super) terms: Vec<u64>,
    pub(super) filter: Filter,
    pub(super) make: fn(&Entry<'_>) -> T,
}

impl<T: Send + 'static> Pages<'_, T> {
    async fn paged(self, cx: &Arc<Cx>) -> Result<(Paged<T>, Walked), Error> {
        let log = open(cx, self.namespace).await?;
        let mut period = log.period(cx, self.begin, self.end, self.component)?;
        let from = self.token.filter(|token| !token.is_empty()).map(|token| {
            From::parse(token.key()).ok_or_else(|| {
                let detail = "`pageToken` must be the `nextPageToken` of an earlier page of this query";
                ApiError::bad_request(SERVICE.name, self.component, "pageToken", "invalid", detail)
            })
        });
        let from = from.transpose()?;
        if let Some(from) = from {
            period.end = period.end.min(from.place.at);
        }
        let pager = Pager::new(from, self.limit.get(), PAGE_BYTES_MAX, self.filter, self.make);
        let (pager, walked) = log.walk(cx, self.kind, period, self.terms, pager).await?;
        Ok((pager.finish(walked), walked))
    }

    /// The page, with the totals of the protocol.
    pub(super) async fn find(self, cx: &Arc<Cx>) -> Result<Found<T>, Error> {
        let (Paged { items, next, total }, walked) = self.paged(cx).await?;
        Ok(Found {
            items,
            next_page_token: next.map(|from| PageToken::after(&from.to_text())),
            total_count: total,
            scan_size: i64::try_from(walked.bytes).unwrap_or(i64::MAX),
        })
    }
}

/// Part of a large list that is made anew for each page: the token is how many elements were before.
pub(super) fn slice<T>(
    items: Vec<T>,
    token: Option<&PageToken>,
    limit: PageLimit,
    component: &str,
) -> Result<(Vec<T>, Option<PageToken>), Error> {
    let before: usize = match token.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => token.key().parse().map_err(|_| {
            let detail = "`pageToken` must be the `nextPageToken` of an earlier page of this list";
            ApiError::bad_request(SERVICE.name, component, "pageToken", "invalid", detail)
        })?,
    };
    let end = before.saturating_add(limit.get());
    let next = (items.len() > end).then(|| PageToken::after(&end.to_string()));
    Ok((items.into_iter().skip(before).take(limit.get()).collect(), next))
}

/// Reads a query.
pub(super) fn query(text: Option<&QueryText>, component: &str) -> Result<Query, Error> {
    Query::parse(text.map(QueryText::as_str).unwrap_or_default()).map_err(|wrong| {
        let detail = format!("`query` is wrong at character {}: {}", wrong.position, wrong.expected);
        ApiError::bad_request(SERVICE.name, component, "query", "invalid", detail).into()
    })
}

/// A filter of a query.
pub(super) fn filter(query: Query) -> Filter {
    Box::new(move |entry| query.matches(&Fields::new(entry)))
}

/// What entries must have for a text to be looked for; the empty text is none.
pub(super) fn wanted(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The first characters of a label's value.
pub(super) fn label_value(text: &str) -> String {
    match text.char_indices().nth(LABEL_CHARS_MAX) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// An entry with its labels.
pub(super) fn log_entry(entry: &Entry<'_>) -> LogEntry {
    let status_code = entry.status.to_string();
    let labels = [
        ("service", entry.service),
        ("method", entry.method),
        ("userId", entry.user),
        ("namespaceName", entry.namespace),
        ("requestId", entry.id),
        ("sourceRequestId", entry.source),
        ("traceId", entry.trace()),
        ("status", status(entry)),
        ("statusCode", &status_code),
    ];
    let label = |(key, value): (&str, &str)| {
        (!value.is_empty()).then(|| Label { key: key.to_owned(), value: label_value(value) })
    };
    LogEntry {
        timestamp: UnixMillis(entry.at),
        status: status(entry).to_owned(),
        duration: i64::try_from(entry.duration).unwrap_or(i64::MAX),
        line: line(entry),
        labels: labels.into_iter().filter_map(label).collect(),
    }
}

/// The whole entry as a JSON text.
fn line(entry: &Entry<'_>) -> String {
    let mut head = json!({
        "timestamp": entry.at,
        "requestId": entry.id,
        "traceId": entry.trace(),
        "service": entry.service,
        "method": entry.method,
        "namespaceName": entry.namespace,
        "status": status(entry),
        "statusCode": entry.status,
        "duration": entry.duration,
    });
    for (name, value) in [("sourceRequestId", entry.source), ("userId", entry.user)] {
        if !value.is_empty() {
            head[name] = value.into();
        }
    }
    let mut line = head.to_string();
    line.pop();
    for (name, text) in [("request", entry.request), ("result", entry.result)] {
        line.push_str(",\"");
        line.push_str(name);
        line.push_str("\":");
        // A text that was cut is no JSON any more.
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => line.push_str(text),
            Err(_) => line.push_str(&serde_json::Value::from(text).to_string()),
        }
    }
    line.push('}');
    line
}

pub(super) fn register(registry: &mut Registry) {
    registry.call(query_log);
    registry.call(get_log);
}

/// Component of these operations.
pub(super) const COMPONENT: &str = "logEntry";

async fn query_log(cx: Arc<Cx>, request: Arc<QueryLog>) -> Result<LogEntries, Error> {
    let query = query(request.query.as_ref(), COMPONENT)?;
    let pages = Pages {
        namespace: &request.namespace_name,
        component: COMPONENT,
        kind: Kind::Access,
        begin: request.begin,
        end: request.end,
        token: request.page_token.as_ref(),
        limit: request.limit,
        terms: query.terms(),
        filter: filter(query),
        make: log_entry,
    };
    let (Paged { items, next, total }, _) = pages.paged(&cx).await?;
    Ok(LogEntries {
        items,
        total_entry_count: i32::try_from(total).unwrap_or(i32::MAX),
        next_page_token: next.map(|from| PageToken::after(&from.to_text())),
    })
}

/// Keeps the first entry that it is shown.
struct First(String, Option<LogEntry>);

impl Visitor for First {
    fn entry(&mut self, _place: scan::Place, entry: &Entry<'_>) {
        if self.1.is_none() && entry.id == self.0 {
            self.1 = Some(log_entry(entry));
        }
    }

    fn boundary(&mut self, _newest: i64) -> bool {
        self.1.is_none()
    }
}

async fn get_log(cx: Arc<Cx>, request: Arc<GetLog>) -> Result<Item<LogEntry>, Error> {
    let id = request.log_request_id.as_str();
    let log = open(&cx, &request.namespace_name).await?;
    let period = log.whole(&cx, request.begin, request.end, COMPONENT)?;
    let terms = vec![Term::Id(id).hash()];
    let (First(_, item), _) = log.walk(&cx, Kind::Access, period, terms, First(id.to_owned(), None)).await?;
    item.map(|item| Item { item }).ok_or_else(|| {
        let detail = format!("there is no entry of a call `{id}` in that period");
        ApiError::not_found(SERVICE.name, COMPONENT, detail).into()
    })
}
