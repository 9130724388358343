//! Log: what is recorded, how it is found, and what it may cost (BEHAVIOUR section 12).

mod limits;
mod queries;
mod recording;

use hiroba_testkit::api::{Api, int, text};
use hiroba_testkit::http::Response;
use serde_json::{Value, json};

/// A Log namespace.
#[derive(Debug, Clone)]
struct Log {
    api: Api,
    namespace: String,
}

impl Log {
    /// A new one.
    async fn create(api: &Api, namespace: &str) -> Log {
        api.call("log", "POST", "/", json!({ "name": namespace })).await.ok();
        Log { api: api.clone(), namespace: namespace.to_owned() }
    }

    /// Its GRN.
    fn id(&self) -> String {
        format!("grn:gs2:ap-northeast-1:hiroba:log:{}", self.namespace)
    }

    /// A log setting that names it.
    fn setting(&self) -> Value {
        json!({ "loggingNamespaceId": self.id() })
    }

    /// Creates a namespace that is logged in it.
    async fn logged(&self, service: &str, name: &str) {
        let fields = json!({ "name": name, "logSetting": self.setting() });
        self.api.call(service, "POST", "/", fields).await.ok();
    }

    /// Calls an operation of the namespace; members that are left out of a `GET` stand in `path`.
    async fn call(&self, method: &str, path: &str, fields: Value) -> Response {
        self.api.call("log", method, &format!("/{}{path}", self.namespace), fields).await
    }

    /// `queryAccessLog` with this query string.
    async fn page(&self, query: &str) -> Value {
        self.call("GET", &format!("/log/access?{query}"), Value::Null).await.ok()
    }

    /// Calls that `queryAccessLog` finds, newest first.
    async fn entries(&self, query: &str) -> Vec<Value> {
        items(&self.page(&format!("limit=1000&{query}")).await)
    }

    /// Calls with what they belong to, newest first.
    async fn spans(&self) -> Vec<Value> {
        items(&self.call("GET", "/log/access/telemetry?limit=1000", Value::Null).await.ok())
    }

    /// `queryLog`.
    async fn find(&self, query: &str) -> Vec<Value> {
        items(&self.call("POST", "/log/v2/query", json!({ "query": query, "limit": 1000 })).await.ok())
    }
}

fn items(answer: &Value) -> Vec<Value> {
    answer["items"].as_array().unwrap_or_else(|| panic!("no items in {answer}")).clone()
}

/// Service and method of entries.
fn methods(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|entry| format!("{}.{}", text(entry, "service"), text(entry, "method"))).collect()
}

/// A member that is a JSON text.
fn inner(entry: &Value, member: &str) -> Value {
    serde_json::from_str(text(entry, member)).unwrap_or_else(|error| panic!("{error} in {entry}"))
}

fn total(answer: &Value) -> i64 {
    int(answer, "totalCount")
}
