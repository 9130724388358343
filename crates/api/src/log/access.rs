//! What was called: `/log/{namespaceName}/log/access…`.

use super::{Found, SERVICE};
use crate::contract::UnixMillis;
use crate::names::{NamespaceName, PageLimit, PageToken, UserId};
use crate::{Model, Operation};

/// A call that was made (BEHAVIOUR LG-02, LG-03).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct AccessLog {
    /// When the call began.
    pub timestamp: UnixMillis,
    /// Id of the call: the caller's `X-GS2-REQUEST-ID`, or a UUID (BEHAVIOUR LG-05).
    pub request_id: Option<String>,
    /// Service: `jobQueue`.
    pub service: String,
    /// Operation without `ByUserId` and the like: `push`.
    pub method: String,
    /// Player that the call was about.
    pub user_id: Option<UserId>,
    /// Request, JSON text; secrets are `***` (BEHAVIOUR LG-11).
    pub request: String,
    /// Answer, or what the call was refused with, JSON text; secrets are `***`.
    pub result: String,
}

/// How many calls have the same values.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct AccessLogCount {
    /// Service, when services are counted apart.
    pub service: Option<String>,
    /// Method, when methods are counted apart.
    pub method: Option<String>,
    /// Player, when players are counted apart.
    pub user_id: Option<UserId>,
    /// Number of calls.
    pub count: i64,
}

/// A call that was made, with what it belongs to (BEHAVIOUR LG-04).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct AccessLogWithTelemetry {
    /// When the call began.
    pub timestamp: UnixMillis,
    /// Id of the call.
    pub request_id: Option<String>,
    /// Id of the call that caused this one, such as the one whose script made it.
    pub source_request_id: Option<String>,
    /// Milliseconds that the call took.
    pub duration: i64,
    /// Service.
    pub service: String,
    /// Operation without `ByUserId` and the like.
    pub method: String,
    /// Player that the call was about.
    pub user_id: Option<UserId>,
    /// Request, JSON text; secrets are `***`.
    pub request: String,
    /// Answer, or what the call was refused with, JSON text; secrets are `***`.
    pub result: String,
    /// `ok` or `error`.
    pub status: String,
}

/// Finds calls, newest first (BEHAVIOUR LG-07, LG-08). Calls that were answered before are found.
///
/// One call looks at 128 MiB of log; a longer period goes on with `nextPageToken`, and `totalCount` is what was found so far.
///
/// Fails with 404 `namespace`, with 400 when `begin` is after `end`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/access", name = "queryAccessLog", component = "accessLog",
    answer = Found<AccessLog>)]
pub struct QueryAccessLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only this service, as logs name it: `jobQueue`.
    #[field(0..=1024)]
    pub service: Option<String>,
    /// Only this method, as logs name it: `push` (BEHAVIOUR LG-03).
    #[field(0..=1024)]
    pub method: Option<String>,
    /// Only this player.
    pub user_id: Option<UserId>,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Counts calls (BEHAVIOUR LG-07): one number, or one for each combination of the values that are counted apart, largest first.
///
/// One call looks at the newest 128 MiB of log of the period. Fails like `queryAccessLog`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/access/count", name = "countAccessLog", component = "accessLog",
    answer = Found<AccessLogCount>)]
pub struct CountAccessLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Whether to count each service apart.
    #[field(default = 0)]
    pub service: bool,
    /// Whether to count each method apart.
    #[field(default = 0)]
    pub method: bool,
    /// Whether to count each player apart.
    #[field(default = 0)]
    pub user_id: bool,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Finds calls with what they belong to, newest first (BEHAVIOUR LG-04).
///
/// Bounded like `queryAccessLog`, and fails like it.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/log/access/telemetry", name = "queryAccessLogWithTelemetry",
    component = "accessLogWithTelemetry", answer = Found<AccessLogWithTelemetry>)]
pub struct QueryAccessLogWithTelemetry {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only this player.
    pub user_id: Option<UserId>,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}
