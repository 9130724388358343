//! What was called (BEHAVIOUR LG-02 … LG-04, LG-07).

use std::sync::Arc;

use hiroba_api::contract::UnixMillis;
use hiroba_api::log::{
    AccessLog, AccessLogCount, AccessLogWithTelemetry, CountAccessLog, Found, QueryAccessLog,
    QueryAccessLogWithTelemetry,
};
use hiroba_api::names::UserId;

use super::field::status;
use super::find::{Pages, open, slice, wanted};
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::scan::{Counter, Filter};
use crate::logs::{Entry, Kind, Term};
use crate::registry::Registry;

const COMPONENT: &str = "accessLog";

pub(super) fn register(registry: &mut Registry) {
    registry.call(query_access_log);
    registry.call(count_access_log);
    registry.call(query_access_log_with_telemetry);
}

/// What the entries of a log are chosen by.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) service: Option<String>,
    pub(super) method: Option<String>,
    pub(super) user: Option<String>,
    pub(super) action: Option<String>,
}

impl Choice {
    /// What chunks must hold.
    pub(super) fn terms(&self) -> Vec<u64> {
        let terms = [
            self.service.as_deref().map(Term::Service),
            self.method.as_deref().map(Term::Method),
            self.user.as_deref().map(Term::User),
            self.action.as_deref().map(Term::Action),
        ];
        terms.into_iter().flatten().map(Term::hash).collect()
    }

    /// Whether an entry is chosen.
    pub(super) fn filter(self) -> Filter {
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        Box::new(move |entry| {
            is(&self.service, entry.service)
                && is(&self.method, entry.method)
                && is(&self.user, entry.user)
                && is(&self.action, entry.action)
        })
    }
}

/// The player of an entry.
pub(super) fn user(text: &str) -> Option<UserId> {
    (!text.is_empty()).then(|| UserId::trusted(text))
}

/// A text that an entry may not have.
pub(super) fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn access_log(entry: &Entry<'_>) -> AccessLog {
    AccessLog {
        timestamp: UnixMillis(entry.at),
        request_id: some(entry.id),
        service: entry.service.to_owned(),
        method: entry.method.to_owned(),
        user_id: user(entry.user),
        request: entry.request.to_owned(),
        result: entry.result.to_owned(),
    }
}

async fn query_access_log(cx: Arc<Cx>, request: Arc<QueryAccessLog>) -> Result<Found<AccessLog>, Error> {
    let choice = Choice {
        service: wanted(request.service.as_deref()),
        method: wanted(request.method.as_deref()),
        user: wanted(request.user_id.as_deref()),
        action: None,
    };
    let pages = Pages {
        namespace: &request.namespace_name,
        component: COMPONENT,
        kind: Kind::Access,
        begin: request.begin,
        end: request.end,
        token: request.page_token.as_ref(),
        limit: request.limit,
        terms: choice.terms(),
        filter: choice.filter(),
        make: access_log,
    };
    pages.find(&cx).await
}

fn with_telemetry(entry: &Entry<'_>) -> AccessLogWithTelemetry {
    AccessLogWithTelemetry {
        timestamp: UnixMillis(entry.at),
        request_id: some(entry.id),
        source_request_id: some(entry.source),
        duration: i64::try_from(entry.duration).unwrap_or(i64::MAX),
        service: entry.service.to_owned(),
        method: entry.method.to_owned(),
        user_id: user(entry.user),
        request: entry.request.to_owned(),
        result: entry.result.to_owned(),
        status: status(entry).to_owned(),
    }
}

async fn query_access_log_with_telemetry(
    cx: Arc<Cx>,
    request: Arc<QueryAccessLogWithTelemetry>,
) -> Result<Found<AccessLogWithTelemetry>, Error> {
    let choice = Choice { user: wanted(request.user_id.as_deref()), ..Choice::default() };
    let pages = Pages {
        namespace: &request.namespace_name,
        component: "accessLogWithTelemetry",
        kind: Kind::Access,
        begin: request.begin,
        end: request.end,
        token: request.page_token.as_ref(),
        limit: request.limit,
        terms: choice.terms(),
        filter: choice.filter(),
        make: with_telemetry,
    };
    pages.find(&cx).await
}

/// Which values are counted apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Apart {
    pub(super) service: bool,
    pub(super) method: bool,
    pub(super) user: bool,
    pub(super) action: bool,
}

/// Values that entries have in common, and their number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) service: Option<String>,
    pub(super) method: Option<String>,
    pub(super) user: Option<String>,
    pub(super) action: Option<String>,
    pub(super) count: i64,
}

impl Apart {
    /// The values of an entry that are counted apart.
    fn key(self, entry: &Entry<'_>) -> [Option<String>; 4] {
        let value = |apart: bool, text: &str| apart.then(|| text.to_owned());
        [
            value(self.service, entry.service),
            value(self.method, entry.method),
            value(self.user, entry.user),
            value(self.action, entry.action),
        ]
    }
}

/// The period and the page of a request that counts.
pub(super) struct Counting<'r> {
    pub(super) namespace: &'r str,
    pub(super) component: &'static str,
    pub(super) kind: Kind,
    pub(super) begin: Option<UnixMillis>,
    pub(super) end: Option<UnixMillis>,
    pub(super) token: Option<&'r hiroba_api::names::PageToken>,
    pub(super) limit: hiroba_api::names::PageLimit,
    pub(super) apart: Apart,
}

impl Counting<'_> {
    /// The groups, largest first.
    pub(super) async fn count<T>(self, cx: &Arc<Cx>, make: fn(Group) -> T) -> Result<Found<T>, Error> {
        let log = open(cx, self.namespace).await?;
        let period = log.period(cx, self.begin, self.end, self.component)?;
        let apart = self.apart;
        let counter = Counter::new(Box::new(|_| true), Box::new(move |entry| apart.key(entry)));
        let (counter, walked) = log.walk(cx, self.kind, period, Vec::new(), counter).await?;
        let group = |([service, method, user, action], count): ([Option<String>; 4], i64)| Group {
            service,
            method,
            user: user.filter(|user| !user.is_empty()),
            action,
            count,
        };
        let mut groups: Vec<Group> = counter.counts.into_iter().map(group).collect();
        groups.sort_unstable_by(|left, right| right.count.cmp(&left.count).then_with(|| left.cmp(right)));
        let (groups, next_page_token) = slice(groups, self.token, self.limit, self.component)?;
        Ok(Found {
            items: groups.into_iter().map(make).collect(),
            next_page_token,
            total_count: counter.total,
            scan_size: i64::try_from(walked.bytes).unwrap_or(i64::MAX),
        })
    }
}

async fn count_access_log(cx: Arc<Cx>, request: Arc<CountAccessLog>) -> Result<Found<AccessLogCount>, Error> {
    let counting = Counting {
        namespace: &request.namespace_name,
        component: COMPONENT,
        kind: Kind::Access,
        begin: request.begin,
        end: request.end,
        token: request.page_token.as_ref(),
        limit: request.limit,
        apart: Apart {
            service: request.service,
            method: request.method,
            user: request.user_id,
            action: false,
        },
    };
    let make = |group: Group| AccessLogCount {
        service: group.service,
        method: group.method,
        user_id: group.user.map(UserId::trusted),
        count: group.count,
    };
    counting.count(&cx, make).await
}
