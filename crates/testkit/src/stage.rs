//! Scripts whose doings a test can see and hold up: they leave traces, and wait at gates.

use serde_json::{Value, json};

use crate::api::{Api, text};
use crate::deadline::eventually;
use crate::http::Response;
use crate::jobs::Queue;

/// What every script of the stage begins with. `trace` pushes into a queue that nobody runs, so that what stands there is
/// what was done, in order, as often as it was done. `gate` ends when the test opens it.
const PRELUDE: &str = "
local function json(value)
    return util.table_to_json(value).result
end
local function trace(user, entry)
    local entries = {{ scriptId = 'trace', args = json(entry) }}
    local pushed = gs2('job_queue').push_by_user_id({ namespaceName = 'traces', userId = user, jobs = entries })
    if pushed.isError then fail(pushed.statusCode, pushed.errorMessage) end
    return pushed.result.items[1]
end
local function hold(user, property)
    local request = { namespaceName = 'locks', userId = user, propertyId = property, transactionId = 't' }
    local held = gs2('lock').lock_by_user_id(request)
    if held.isError then fail(held.statusCode, held.errorMessage) end
    return held.result.item.referenceCount
end
local function is_open(name)
    local request = { namespaceName = 'locks', userId = 'gate', propertyId = name }
    return not gs2('lock').get_mutex_by_user_id(request).isError
end
local function gate(name)
    repeat until is_open(name)
end
";

/// A namespace for scripts, one for what they leave behind, and one for what holds them up.
#[derive(Debug, Clone)]
pub struct Stage {
    api: Api,
    traces: Queue,
}

impl Stage {
    /// A new one; one for each database.
    pub async fn create(api: &Api) -> Stage {
        api.call("script", "POST", "/", json!({ "name": "scripts" })).await.ok();
        api.create_namespace("locks").await;
        Queue::create(api, "traces", false).await;
        Stage::of(api)
    }

    /// One that exists.
    pub fn of(api: &Api) -> Stage {
        Stage { api: api.clone(), traces: Queue::of(api, "traces") }
    }

    /// Stores a script: its GRN.
    pub async fn script(&self, name: &str, source: &str) -> String {
        let fields = json!({ "name": name, "script": format!("{PRELUDE}{source}") });
        let item = self.api.call("script", "POST", "/scripts/script", fields).await.item();
        text(&item, "scriptId").to_owned()
    }

    /// Changes a script.
    pub async fn change(&self, name: &str, source: &str) {
        let fields = json!({ "script": format!("{PRELUDE}{source}") });
        self.api.call("script", "PUT", &format!("/scripts/script/{name}"), fields).await.item();
    }

    /// `invokeScript`.
    pub async fn invoke(&self, script_id: &str, args: &Value) -> Response {
        let fields = json!({ "scriptId": script_id, "args": args.to_string() });
        self.api.call("script", "POST", "/invoke", fields).await
    }

    /// `debugInvoke`: what it answers.
    pub async fn debug(&self, source: &str, args: &Value) -> Value {
        let fields = json!({ "script": format!("{PRELUDE}{source}"), "args": args.to_string() });
        self.api.call("script", "POST", "/debug/invoke", fields).await.ok()
    }

    /// Opens a gate for good.
    pub async fn open(&self, gate: &str) {
        self.api.mutexes("locks", "gate").lock(gate, "t").await.item();
    }

    /// How often a player's property was held; 0 when it never was.
    pub async fn held(&self, user: &str, property: &str) -> i64 {
        let answer = self.api.mutexes("locks", user).get(property).await;
        if answer.status == 404 { 0 } else { crate::api::int(&answer.item(), "referenceCount") }
    }

    /// Waits until a player's property was held so often.
    pub async fn holds(&self, user: &str, property: &str, count: i64) {
        let look = async || (self.held(user, property).await == count).then_some(());
        eventually(&format!("{property} of {user} to be held"), look).await;
    }

    /// The traces of a player, in order.
    pub async fn traces(&self, user: &str) -> Vec<Value> {
        let jobs = self.traces.jobs(user).await;
        jobs.iter().map(|job| serde_json::from_str(text(job, "args")).expect("a trace is JSON")).collect()
    }

    /// The member `n` of each trace of a player, in order.
    pub async fn numbers(&self, user: &str) -> Vec<i64> {
        self.traces(user).await.iter().map(|trace| crate::api::int(trace, "n")).collect()
    }

    /// Waits until a player has so many traces: the member `n` of each.
    pub async fn traced(&self, user: &str, count: usize) -> Vec<i64> {
        let look = async || {
            let numbers = self.numbers(user).await;
            (numbers.len() >= count).then_some(numbers)
        };
        eventually(&format!("{count} traces of {user}"), look).await
    }
}
