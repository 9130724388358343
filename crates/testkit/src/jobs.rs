//! Queues of jobs.

use serde_json::{Value, json};

use crate::api::{Api, text};
use crate::deadline::eventually;
use crate::http::{Request, Response};

/// Calls of JobQueue in one namespace.
#[derive(Debug, Clone)]
pub struct Queue {
    api: Api,
    namespace: String,
}

/// An entry of a push.
pub fn entry(script_id: &str, args: &Value) -> Value {
    json!({ "scriptId": script_id, "args": args.to_string() })
}

impl Queue {
    /// A new namespace of this name.
    pub async fn create(api: &Api, namespace: &str, auto_run: bool) -> Queue {
        let fields = json!({ "name": namespace, "enableAutoRun": auto_run });
        api.call("job-queue", "POST", "/", fields).await.ok();
        Queue::of(api, namespace)
    }

    /// A namespace that exists.
    pub fn of(api: &Api, namespace: &str) -> Queue {
        Queue { api: api.clone(), namespace: namespace.to_owned() }
    }

    /// GRN of the namespace.
    pub fn id(&self) -> String {
        format!("grn:gs2:ap-northeast-1:hiroba:queue:{}", self.namespace)
    }

    /// Whether the server runs the jobs from now on.
    pub async fn set_auto_run(&self, auto_run: bool) {
        self.call("PUT", "", json!({ "enableAutoRun": auto_run })).await.ok();
    }

    /// The request of a push.
    pub fn push_request(&self, user: &str, entries: &[Value]) -> Request {
        let path = format!("/{}/user/{user}/job", self.namespace);
        self.api.request("job-queue", "POST", &path, &json!({ "jobs": entries }))
    }

    /// Pushes jobs, at most ten: their names.
    pub async fn push(&self, user: &str, entries: &[Value]) -> Vec<String> {
        let pushed = self.api.send(&self.push_request(user, entries)).await.ok();
        names(&pushed)
    }

    /// Pushes one job: its name.
    pub async fn push_one(&self, user: &str, script_id: &str, args: &Value) -> String {
        self.push(user, &[entry(script_id, args)]).await.remove(0)
    }

    /// `runByUserId`.
    pub async fn run(&self, user: &str) -> Response {
        self.call("POST", &format!("/user/{user}/job/run"), json!({})).await
    }

    /// Runs until no job is left.
    pub async fn run_all(&self, user: &str) {
        while self.run(user).await.ok()["isLastJob"] == false {}
    }

    /// All waiting jobs.
    pub async fn jobs(&self, user: &str) -> Vec<Value> {
        self.list(&format!("/user/{user}/job")).await
    }

    /// `getJobResult`, of the latest attempt when none is named.
    pub async fn result(&self, user: &str, job: &str, try_number: Option<i64>) -> Response {
        let query = try_number.map_or(String::new(), |number| format!("?tryNumber={number}"));
        self.call("GET", &format!("/user/{user}/job/{job}/result{query}"), Value::Null).await
    }

    /// Waits until a job has a result.
    pub async fn tried(&self, user: &str, job: &str) -> Value {
        let look = async || {
            let answer = self.result(user, job, None).await;
            (answer.status == 200).then(|| answer.item())
        };
        eventually("the result of a job", look).await
    }

    /// `deleteJobByUserId`.
    pub async fn delete(&self, user: &str, job: &str) -> Response {
        self.call("DELETE", &format!("/user/{user}/job/{job}"), Value::Null).await
    }

    /// All dead letters.
    pub async fn dead_letters(&self, user: &str) -> Vec<Value> {
        self.list(&format!("/user/{user}/dead")).await
    }

    /// Name of a player's first waiting job.
    pub async fn first(&self, user: &str) -> Option<String> {
        let page = self.call("GET", &format!("/user/{user}/job?limit=1"), Value::Null).await.ok();
        let first = page["items"].as_array().expect("a page has items").first();
        first.map(|job| text(job, "name").to_owned())
    }

    /// Waits until a player has no waiting job; for each job in turn as long as for any event.
    pub async fn drained(&self, user: &str) {
        let mut first = self.first(user).await;
        while first.is_some() {
            let other = async || Some(self.first(user).await).filter(|now| *now != first);
            first = eventually(&format!("the first job of {user} to run"), other).await;
        }
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut query = "?limit=1000".to_owned();
        loop {
            let mut page = self.call("GET", &format!("{path}{query}"), Value::Null).await.ok();
            items.append(page["items"].as_array_mut().expect("a page has items"));
            match page["nextPageToken"].as_str() {
                Some(token) => query = format!("?limit=1000&pageToken={token}"),
                None => return items,
            }
        }
    }

    /// An operation below the namespace.
    pub async fn call(&self, method: &str, path: &str, fields: Value) -> Response {
        self.api.call("job-queue", method, &format!("/{}{path}", self.namespace), fields).await
    }
}

/// Names of the jobs in the answer to a push.
pub fn names(pushed: &Value) -> Vec<String> {
    let items = pushed["items"].as_array().expect("a push has items");
    items.iter().map(|item| text(item, "name").to_owned()).collect()
}
