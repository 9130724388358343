//! The calls of a running script: from its tables to the road and back.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender, SyncSender};

use hiroba_api::contract::{Credentials, FieldInfo, Fields, Kind, Row, RowId, Table};
use hiroba_api::error::ApiError;
use hiroba_lua::{Failure, Host, HttpRequest, Outcome, Pending, Reply};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{Watcher, failed, failure, items, refused};
use crate::entropy::request_id;
use crate::logs::Trace;
use crate::pipeline::{Core, Origin, Pipeline};

/// Operations by the names that scripts call them.
#[derive(Debug)]
pub(crate) struct Methods {
    /// Service under each of its names, then method in snake case.
    services: HashMap<&'static str, HashMap<String, RowId>>,
}

impl Methods {
    pub(crate) fn new(table: &Table) -> Methods {
        let mut services: HashMap<&'static str, HashMap<String, RowId>> = HashMap::new();
        for row in table.rows() {
            let service = row.declaration.service;
            // `jobQueue` is what older texts say (BEHAVIOUR section 0).
            let names = std::collections::BTreeSet::from([service.script, service.name, service.segment]);
            for name in names {
                services.entry(name).or_default().insert(snake_case(&row.name), row.id);
            }
        }
        Methods { services }
    }

    fn method(&self, service: &str, method: &str) -> Option<RowId> {
        self.services.get(service)?.get(method).copied()
    }

    /// The operation of a built-in script: `job_queue_push_by_user_id` (BEHAVIOUR J-64).
    pub(super) fn named(&self, name: &str) -> Option<RowId> {
        let cuts = name.match_indices('_').map(|(at, _)| at);
        cuts.filter_map(|at| self.method(&name[..at], &name[at + 1..])).next()
    }
}

/// `pushByUserId` as scripts write it: `push_by_user_id`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 8);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A call of a script that is part of a transaction, for the thread that has the transaction.
pub(super) struct Asked {
    pub(super) row: RowId,
    pub(super) fields: Fields,
    pub(super) credentials: Credentials,
    pub(super) origin: Origin,
    pub(super) answer: SyncSender<Reply>,
}

/// What the thread of such a script says.
pub(super) enum Said {
    /// It wants a call made.
    Asked(Box<Asked>),
    /// It has ended.
    Done(Outcome),
}

/// Where the calls of a script go.
pub(super) enum Way {
    /// On the road, each a transaction of its own; nowhere when the server has stopped.
    Road(Option<Arc<Pipeline>>),
    /// To the thread that has the transaction which they are part of.
    Within(Sender<Said>),
}

/// The name of an operation's built-in script: `job_queue_push_by_user_id` (BEHAVIOUR J-64).
pub(super) fn built_in_name(row: &Row) -> String {
    format!("{}_{}", row.declaration.service.script, snake_case(&row.name))
}

/// What one run of a script may call.
pub(super) struct Calls {
    core: Arc<Core>,
    way: Way,
    origin: Origin,
    watcher: Option<Rc<dyn Watcher>>,
}

impl Calls {
    pub(super) fn new(
        core: &Arc<Core>,
        origin: &Origin,
        way: Way,
        watcher: Option<Rc<dyn Watcher>>,
    ) -> Calls {
        let mut origin = Origin { depth: origin.depth + 1, ..origin.clone() };
        if origin.trace.id.is_none() {
            // No call set it off: what the run calls belongs together under an id of its own.
            origin.trace = Trace::begin(&request_id());
        }
        Calls { core: Arc::clone(core), way, origin, watcher }
    }

    /// Runs a built-in script: the operation with the arguments as its request.
    pub(super) fn operation(&self, row: RowId, args: &str) -> Outcome {
        let started = std::time::Instant::now();
        let Ok(Value::Object(request)) = serde_json::from_str(args) else {
            let detail = "the arguments must be the JSON text of an object".to_owned();
            return failed(&failure(400, "args", "invalid", detail));
        };
        let Reply { status, body } = if self.slow() { self.make(row, request) } else { stopping() };
        if status != 200 {
            let failure = Failure { status, message: body };
            return Outcome { elapsed: started.elapsed(), ..failed(&failure) };
        }
        let (output, random, transaction) = (Vec::new(), None, None);
        Outcome { status, result: body, output, random, transaction, elapsed: started.elapsed() }
    }

    fn row(&self, id: RowId) -> &Row {
        self.core.table.row(id)
    }

    fn make(&self, row: RowId, request: Fields) -> Reply {
        let (fields, credentials) = prepared(self.row(row), request);
        let origin = self.origin.clone();
        match &self.way {
            Way::Road(None) => stopping(),
            Way::Road(Some(pipeline)) => {
                let answer = pipeline.call_inside(self.row(row), fields, credentials, origin);
                reply(self.core.scripts.runtime.block_on(answer))
            }
            Way::Within(thread) => {
                let (answer, answered) = mpsc::sync_channel(1);
                let asked = Box::new(Asked { row, fields, credentials, origin, answer });
                // Nobody listens any more when the transaction has come to its end without the script.
                let sent = thread.send(Said::Asked(asked));
                sent.ok().and_then(|()| answered.recv().ok()).unwrap_or_else(stopping)
            }
        }
    }

    fn find(&self, service: &str, method: &str) -> Result<RowId, String> {
        let row = self.core.scripts.methods.method(service, method);
        row.ok_or_else(|| format!("there is no method `{method}` of service `{service}`"))
    }
}

/// Takes the members that are no fields of the operation, and gives lists that Lua cannot tell from objects their form.
fn prepared(row: &Row, mut request: Fields) -> (Fields, Credentials) {
    let infos = (row.declaration.fields)();
    let mut take = |name: &str| match request.remove(name) {
        Some(Value::String(text)) if !infos.iter().any(|info| info.name == name) => Some(text),
        Some(Value::Null) | None => None,
        Some(value) => {
            request.insert(name.to_owned(), value);
            None
        }
    };
    let credentials = Credentials {
        access_token: take("accessToken"),
        time_offset_token: take("timeOffsetToken"),
        duplication_avoider: take("duplicationAvoider"),
        ..Credentials::default()
    };
    lists(&mut request, &infos);
    (request, credentials)
}

/// An empty table is written as an object; where a list belongs it is an empty list.
fn lists(fields: &mut Fields, infos: &[FieldInfo]) {
    for info in infos {
        let Some(value) = fields.get_mut(info.name) else { continue };
        match (&info.shape.kind, value) {
            (Kind::List(element), value) => {
                if value.as_object().is_some_and(Fields::is_empty) {
                    *value = Value::Array(Vec::new());
                }
                if let (Kind::Model { fields: infos, .. }, Value::Array(elements)) = (&element.kind, value) {
                    elements
                        .iter_mut()
                        .filter_map(Value::as_object_mut)
                        .for_each(|fields| lists(fields, infos));
                }
            }
            (Kind::Model { fields: infos, .. }, Value::Object(fields)) => lists(fields, infos),
            _ => {}
        }
    }
}

pub(super) fn reply(answer: Result<String, ApiError>) -> Reply {
    match answer {
        Ok(body) => Reply { status: 200, body },
        Err(error) => Reply { status: error.status.code(), body: items(&error.items) },
    }
}

fn stopping() -> Reply {
    let detail = "the server is stopping; repeat the call";
    let item = hiroba_api::ErrorItem::new("server", "server", "server", "failed", detail);
    let Failure { status, message } = refused(&ApiError::one(hiroba_api::Status::Unavailable, item));
    Reply { status, body: message }
}

/// A call that runs beside the script.
struct Beside {
    runtime: tokio::runtime::Handle,
    task: JoinHandle<Result<String, ApiError>>,
}

impl Pending for Beside {
    fn wait(self: Box<Self>) -> Reply {
        // A call's panic is an answer already; what is left is a runtime that ends.
        self.runtime.block_on(self.task).map_or_else(|_| stopping(), reply)
    }
}

/// A call that was made at once, or not at all.
struct Made(Reply);

impl Pending for Made {
    fn wait(self: Box<Self>) -> Reply {
        self.0
    }
}

impl Host for Calls {
    fn has_service(&self, service: &str) -> bool {
        self.core.scripts.methods.services.contains_key(service)
    }

    fn begin(&self, service: &str, method: &str, request: Fields) -> Result<Box<dyn Pending>, String> {
        let row = self.find(service, method)?;
        if !self.slow() {
            return Ok(Box::new(Made(stopping())));
        }
        let Way::Road(pipeline) = &self.way else { return Ok(Box::new(Made(self.make(row, request)))) };
        let (fields, credentials) = prepared(self.row(row), request);
        let (core, pipeline, origin) = (Arc::clone(&self.core), pipeline.clone(), self.origin.clone());
        let task = self.core.scripts.runtime.spawn(async move {
            let Some(pipeline) = pipeline else { return Err(ApiError::internal("")) };
            pipeline.call_inside(core.table.row(row), fields, credentials, origin).await
        });
        Ok(Box::new(Beside { runtime: self.core.scripts.runtime.clone(), task }))
    }

    fn call(&self, service: &str, method: &str, request: Fields) -> Result<Reply, String> {
        let row = self.find(service, method)?;
        // On this thread: a task of its own would cost two changes of threads.
        Ok(if self.slow() { self.make(row, request) } else { stopping() })
    }

    fn http(&self, request: HttpRequest) -> Reply {
        if matches!(self.way, Way::Within(_)) {
            let detail = "a script that is part of a transaction cannot make HTTP requests: others would wait for them";
            let Failure { status, message } = failure(400, "http", "failed", detail.to_owned());
            return Reply { status, body: message };
        }
        if !self.slow() {
            return stopping();
        }
        let HttpRequest { method, url, headers, body } = request;
        let scripts = &self.core.scripts;
        match scripts.runtime.block_on(scripts.web.fetch(&method, &url, &headers, body)) {
            Ok(fetched) => Reply { status: fetched.status, body: fetched.body },
            Err(refusal) => Reply { status: refusal.status, body: refusal.message },
        }
    }

    fn lasts(&self) {
        // It makes no call by itself, so nothing depends on the answer.
        let _ = self.slow();
    }
}

impl Calls {
    fn slow(&self) -> bool {
        self.watcher.as_ref().is_none_or(|watcher| watcher.slow())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(fields) = value else { panic!("no object") };
        fields
    }

    #[test]
    fn built_in_scripts_name_every_operation() {
        let table = hiroba_api::table();
        let methods = Methods::new(&table);
        for row in table.rows() {
            let name = built_in_name(row);
            assert_eq!(methods.named(&name), Some(row.id), "{name}");
        }
        assert_eq!(methods.named("job_queue_nothing"), None);
        assert_eq!(methods.named(""), None);
    }

    #[test]
    fn services_have_all_their_names() {
        let methods = Methods::new(&hiroba_api::table());
        for service in ["job_queue", "jobQueue", "job-queue"] {
            assert!(methods.method(service, "push_by_user_id").is_some(), "{service}");
        }
        assert_eq!(methods.method("job_queue", "pushByUserId"), None);
    }

    #[test]
    fn tokens_are_no_fields_and_empty_tables_are_lists_where_lists_belong() {
        let table = hiroba_api::table();
        let row = table.named("jobQueue", "pushByUserId").unwrap();
        let request = json!({
            "namespaceName": "n", "jobs": {}, "accessToken": "a", "timeOffsetToken": "t", "duplicationAvoider": null,
        });
        let (request, credentials) = prepared(row, fields(request));
        assert_eq!(Value::Object(request), json!({ "namespaceName": "n", "jobs": [] }));
        assert_eq!(credentials.access_token.as_deref(), Some("a"));
        assert_eq!(credentials.time_offset_token.as_deref(), Some("t"));
        assert_eq!(credentials.duplication_avoider, None);

        let row = table.named("jobQueue", "createNamespace").unwrap();
        let request =
            json!({ "runNotification": { "mobileNotificationMessages": {} }, "transactionSetting": {} });
        let (request, _) = prepared(row, fields(request));
        let expected =
            json!({ "runNotification": { "mobileNotificationMessages": [] }, "transactionSetting": {} });
        assert_eq!(Value::Object(request), expected);
    }
}
