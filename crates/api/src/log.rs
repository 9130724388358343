//! Log: what was called in the namespaces that name a Log namespace, what players' games tell, and queries over both
//! (BEHAVIOUR section 12).

mod access;
mod dashboard;
mod entry;
mod facet;
mod in_game;
mod insight;
mod metric;
mod put;
mod stamp;

pub use access::*;
pub use dashboard::*;
pub use entry::*;
pub use facet::*;
pub use in_game::*;
pub use insight::*;
pub use metric::*;
pub use put::*;
pub use stamp::*;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::contract::{At, Declaration, Field, FieldInfo, Kind, Operation, Reader, Service, Shape, Spec};
use crate::error::ErrorItem;
use crate::names::{PageToken, text_type};

/// The service.
pub static SERVICE: Service = Service {
    name: "log",
    segment: "log",
    grn: "log",
    script: "log",
    action: "Gs2Log",
    regional: true,
    doc: "Calls on namespaces that name a Log namespace, logs of games, and queries over both.",
    resources: &[
        ("namespace", "{namespaceName}"),
        ("accessLog", "{namespaceName}"),
        ("issueStampSheetLog", "{namespaceName}"),
        ("executeStampSheetLog", "{namespaceName}"),
        ("executeStampTaskLog", "{namespaceName}"),
        ("inGameLog", "{namespaceName}"),
        ("accessLogWithTelemetry", "{namespaceName}"),
        ("logEntry", "{namespaceName}"),
        ("metricModel", "{namespaceName}"),
        ("insight", "{namespaceName}:insight:{insightName}"),
        ("facetModel", "{namespaceName}:model:facet:{field}"),
        ("dashboard", "{namespaceName}:dashboard:{dashboardName}"),
    ],
};

fn log_type(text: &str) -> Result<(), &'static str> {
    match text {
        "gs2" => Ok(()),
        _ => Err("must be `gs2`: this server keeps logs itself and sends none to BigQuery or Firehose"),
    }
}

text_type! {
    /// Where a namespace keeps its logs: `gs2`, this server (BEHAVIOUR LG-06).
    LogType, 1..=16, log_type
}

/// What is written in place of a secret.
pub const MASK: &str = "***";

/// A credential for a place that this server sends no logs to. It is forgotten as soon as it is read: what is kept, answered
/// and logged is [`MASK`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgottenSecret;

impl Serialize for ForgottenSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl Field for ForgottenSecret {
    fn shape() -> Shape {
        Shape { range: Some((0, SECRET_CHARS_MAX)), secret: true, ..Shape::of(Kind::String) }
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let at = At { range: at.range.or(Some((0, SECRET_CHARS_MAX))), ..*at };
        String::read(value, &at, errors).map(|_| ForgottenSecret)
    }
}

/// Longest credential that is accepted, in characters.
const SECRET_CHARS_MAX: i64 = 16_384;

crate::namespace_operations! {
    settings {
        /// Where logs are kept: `gs2`, also when absent. `bigquery` and `firehose` are refused (BEHAVIOUR LG-06).
        pub r#type: Option<LogType>,
        /// Of no effect, forgotten at once: this server sends no logs to BigQuery.
        pub gcp_credential_json: Option<ForgottenSecret>,
        /// Of no effect.
        #[field(0..=1024)]
        pub big_query_dataset_name: Option<String>,
        /// Days after which logs vanish (BEHAVIOUR LG-06); counts for those that are there too.
        #[field(1..=3650, default = 30)]
        pub log_expire_days: i32,
        /// Of no effect.
        #[field(0..=256)]
        pub aws_region: Option<String>,
        /// Of no effect.
        #[field(0..=256)]
        pub aws_access_key_id: Option<String>,
        /// Of no effect, forgotten at once: this server sends no logs to Firehose.
        pub aws_secret_access_key: Option<ForgottenSecret>,
        /// Of no effect.
        #[field(0..=256)]
        pub firehose_stream_name: Option<String>,
        /// Of no effect.
        #[field(0..=256)]
        pub firehose_compress_data: Option<String>,
    }
}

/// What a query found: `{"items", "nextPageToken", "totalCount", "scanSize"}` (BEHAVIOUR LG-07).
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    /// The page; may be shorter than the limit although there are more.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last one.
    pub next_page_token: Option<PageToken>,
    /// Entries that the query finds: all of them, or as many as one call looks at, see the operation.
    pub total_count: i64,
    /// Bytes of log that this call looked at.
    pub scan_size: i64,
}

const ITEMS: Spec = Spec { name: "items", alias: None, range: None, default: None, doc: "" };
const NEXT: Spec =
    Spec { name: "nextPageToken", alias: None, range: None, default: None, doc: "Absent on the last page." };
const TOTAL: Spec = Spec {
    name: "totalCount",
    alias: None,
    range: None,
    default: None,
    doc: "Entries that the query finds; of a period with more than one call looks at, those found so far.",
};
const SCAN: Spec = Spec {
    name: "scanSize",
    alias: None,
    range: None,
    default: None,
    doc: "Bytes of log that this call looked at.",
};

impl<T: Field> Serialize for Found<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("items", &self.items)?;
        if let Some(token) = &self.next_page_token {
            map.serialize_entry("nextPageToken", token)?;
        }
        map.serialize_entry("totalCount", &self.total_count)?;
        map.serialize_entry("scanSize", &self.scan_size)?;
        map.end()
    }
}

impl<T: Field> Field for Found<T> {
    fn shape() -> Shape {
        let fields = vec![
            FieldInfo::of::<Vec<T>>(&ITEMS),
            FieldInfo::of::<Option<PageToken>>(&NEXT),
            FieldInfo::of::<i64>(&TOTAL),
            FieldInfo::of::<i64>(&SCAN),
        ];
        Shape::of(Kind::Model { name: "Found".to_owned(), doc: "", fields })
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let mut reader = Reader::nested(value, "result", at, errors)?;
        let (items, next) = (reader.field(&ITEMS), reader.field(&NEXT));
        let (total, scan) = (reader.field(&TOTAL), reader.field(&SCAN));
        Some(Found { items: items?, next_page_token: next?, total_count: total?, scan_size: scan? })
    }
}

/// Every operation of the service.
pub const OPERATIONS: &[&Declaration] = &[
    DescribeNamespaces::DECLARATION,
    CreateNamespace::DECLARATION,
    GetNamespaceStatus::DECLARATION,
    GetNamespace::DECLARATION,
    UpdateNamespace::DECLARATION,
    DeleteNamespace::DECLARATION,
    GetServiceVersion::DECLARATION,
    QueryAccessLog::DECLARATION,
    CountAccessLog::DECLARATION,
    QueryIssueStampSheetLog::DECLARATION,
    CountIssueStampSheetLog::DECLARATION,
    QueryExecuteStampSheetLog::DECLARATION,
    CountExecuteStampSheetLog::DECLARATION,
    QueryExecuteStampTaskLog::DECLARATION,
    CountExecuteStampTaskLog::DECLARATION,
    QueryInGameLog::DECLARATION,
    SendInGameLog::DECLARATION,
    QueryAccessLogWithTelemetry::DECLARATION,
    DescribeInsights::DECLARATION,
    CreateInsight::DECLARATION,
    GetInsight::DECLARATION,
    DeleteInsight::DECLARATION,
    DescribeFacetModels::DECLARATION,
    CreateFacetModel::DECLARATION,
    GetFacetModel::DECLARATION,
    UpdateFacetModel::DECLARATION,
    DeleteFacetModel::DECLARATION,
    DescribeDashboards::DECLARATION,
    CreateDashboard::DECLARATION,
    GetDashboard::DECLARATION,
    UpdateDashboard::DECLARATION,
    DuplicateDashboard::DECLARATION,
    DeleteDashboard::DECLARATION,
    QueryLog::DECLARATION,
    GetLog::DECLARATION,
    QueryFacets::DECLARATION,
    QueryTimeseries::DECLARATION,
    GetTrace::DECLARATION,
    QueryMetricsTimeseries::DECLARATION,
    DescribeMetrics::DECLARATION,
    DescribeLabelValues::DECLARATION,
    PutLog::DECLARATION,
];
