//! Records what is called in namespaces that name a Log namespace, off the road of the calls (BEHAVIOUR section 12). What is
//! recorded waits in a bounded queue; a task writes it in chunks. Nothing of this fails or delays a call (LG-12).

mod chunk;
mod entry;
mod mask;
pub(crate) mod scan;
mod settings;
pub(crate) mod store;
mod writer;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hiroba_api::contract::{Credentials, Fields, Row, RowId, Table};
use hiroba_api::names::UserId;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::{Notify, Semaphore, watch};

pub(crate) use chunk::{Builder, Chunk, Term};
pub(crate) use entry::{Entry, Kind};
pub(crate) use mask::Mask;
pub(crate) use settings::{Logged, Settings, logging_namespace, watch};
pub(crate) use writer::run;

use crate::config::Config;
use crate::cx::Cx;
use crate::pipeline::{Core, Use};

/// Bytes of a request, an answer or the arguments of an action that are kept.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// About what an entry takes beside its texts.
const ENTRY_BYTES: usize = 256;
/// How long a query waits for what was recorded before it.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// Queries that look through logs at the same time; each holds some megabytes and a core.
const SCANS_MAX: usize = 2;

/// Where a call stands among those that caused it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// Id of the call; nothing for what the server does of itself.
    pub(crate) id: Option<Arc<str>>,
    /// Id of the call that caused it.
    pub(crate) source: Option<Arc<str>>,
    /// Id of the call with which it all began, where that is another one.
    pub(crate) root: Option<Arc<str>>,
}

impl Trace {
    /// Of a call that comes from outside.
    pub(crate) fn begin(id: &str) -> Trace {
        Trace { id: Some(id.into()), source: None, root: None }
    }

    /// Of a call that this one causes.
    pub(crate) fn inside(&self, id: &str) -> Trace {
        let root = self.root.clone().or_else(|| self.id.clone());
        Trace { id: Some(id.into()), source: self.id.clone(), root }
    }
}

/// What is counted of logs.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogMetrics {
    /// Entries that were written.
    pub(crate) written: Counter,
    /// Entries that were dropped.
    pub(crate) dropped: Family<DropLabels, Counter>,
    /// Chunks that were written.
    pub(crate) chunks: Counter,
    /// Bytes of the chunks that were written.
    pub(crate) bytes: Counter,
}

/// Why entries were dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DropLabels {
    /// `full`: too many waited; `store`: the store could not be reached; `namespace`: there is no such Log namespace.
    reason: &'static str,
}

impl LogMetrics {
    fn drop(&self, reason: &'static str, entries: u64) {
        self.dropped.get_or_create(&DropLabels { reason }).inc_by(entries);
    }
}

/// A recorded entry that waits to be written.
#[derive(Debug)]
struct Queued {
    /// Owner and name of the Log namespace.
    place: Place,
    kind: Kind,
    at: i64,
    duration: u64,
    status: u16,
    trace: Trace,
    service: &'static str,
    method: Arc<str>,
    namespace: Arc<str>,
    user: Option<UserId>,
    action: String,
    request: String,
    result: String,
    list: Vec<String>,
}

/// Owner and name of a Log namespace.
pub(crate) type Place = (Arc<str>, Arc<str>);

impl Queued {
    fn bytes(&self) -> usize {
        let list: usize = self.list.iter().map(String::len).sum();
        ENTRY_BYTES + self.action.len() + self.request.len() + self.result.len() + list
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Queued>,
    bytes: usize,
    /// Entries that were ever queued.
    total: u64,
}

/// A call that will be recorded, as far as it is known before it is made.
#[derive(Debug)]
pub(crate) struct Note {
    logged: Arc<Logged>,
    request: String,
    at: i64,
    /// Filled in on the way.
    pub(crate) user: OnceLock<UserId>,
}

/// The recorder.
#[derive(Debug)]
pub(crate) struct Logs {
    /// Which namespaces are logged where.
    pub(crate) settings: Settings,
    /// Plain verbs of the table's rows.
    methods: Vec<Arc<str>>,
    mask: Mask,
    queue: Mutex<Queue>,
    entries_max: usize,
    bytes_max: usize,
    /// Something waits.
    filled: Notify,
    /// What waits must be written at once.
    urgent: Notify,
    /// Entries that were ever taken care of.
    settled: watch::Sender<u64>,
    /// Places for queries.
    pub(crate) scans: Semaphore,
    metrics: LogMetrics,
}

impl Logs {
    /// Nothing is logged yet.
    pub(crate) fn new(config: &Config, table: &Table, metrics: LogMetrics) -> Logs {
        Logs {
            settings: Settings::default(),
            methods: table.rows().iter().map(|row| plain_method(row).into()).collect(),
            mask: Mask::new(table),
            queue: Mutex::default(),
            entries_max: config.log_queue_entries_max,
            bytes_max: config.log_queue_bytes_max,
            filled: Notify::new(),
            urgent: Notify::new(),
            settled: watch::Sender::new(0),
            scans: Semaphore::new(SCANS_MAX),
            metrics,
        }
    }

    /// Whether this call of an outsider is to be recorded: it is, when its namespace says so and its project token is one of the
    /// namespace's owner, so that strangers write nothing.
    pub(crate) fn note_from_outside(
        &self,
        core: &Core,
        row: &Row,
        fields: &Fields,
        credentials: &Credentials,
    ) -> Option<Note> {
        if !self.settings.is_any() {
            return None;
        }
        let now = core.clock.now();
        let claims = core.tokens.verify(credentials.project_token.as_deref()?, Use::Project, now)?;
        self.note(row, fields, &claims.owner, now.0)
    }

    /// Whether this call is to be recorded, which is made in the project of an owner.
    pub(crate) fn note(&self, row: &Row, fields: &Fields, owner: &str, at: i64) -> Option<Note> {
        if !self.settings.is_any() {
            return None;
        }
        let logged = self.settings.find(row.declaration.service, owner, fields)?;
        Some(Note { logged, request: request_text(row, fields), at, user: OnceLock::new() })
    }

    /// Records a call that was answered.
    pub(crate) fn record(
        &self,
        note: Note,
        row: RowId,
        trace: Trace,
        status: u16,
        result: &str,
        elapsed: Duration,
    ) {
        let Note { logged, request, at, user } = note;
        self.push(Queued {
            place: logged.log.clone(),
            kind: Kind::Access,
            at,
            duration: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            status,
            trace,
            service: logged.service,
            method: Arc::clone(&self.methods[usize::from(row.0)]),
            namespace: Arc::clone(&logged.namespace),
            user: user.into_inner(),
            action: String::new(),
            request,
            result: result.to_owned(),
            list: Vec::new(),
        });
    }

    /// Writes a line that was made ready; to be called when what it says has happened, as in `tx.on_commit`. Never fails and
    /// never waits.
    pub(crate) fn keep(&self, line: Line) {
        self.push(line.0);
    }

    fn push(&self, queued: Queued) {
        let bytes = queued.bytes();
        let (first, full) = {
            let mut queue = self.queue.lock();
            if queue.waiting.len() >= self.entries_max || queue.bytes + bytes > self.bytes_max {
                drop(queue);
                self.metrics.drop("full", 1);
                return;
            }
            queue.waiting.push(queued);
            queue.bytes += bytes;
            queue.total += 1;
            let full = queue.waiting.len() == chunk::ENTRIES_MAX
                || (queue.bytes >= chunk::BYTES_MAX && queue.bytes - bytes < chunk::BYTES_MAX);
            (queue.waiting.len() == 1, full)
        };
        if first {
            self.filled.notify_one();
        }
        if full {
            self.urgent.notify_one();
        }
    }

    /// Ends when everything that was recorded before is written or dropped, so that a query finds it.
    pub(crate) async fn flush(&self) {
        let total = self.queue.lock().total;
        let mut settled = self.settled.subscribe();
        if *settled.borrow() >= total {
            return;
        }
        self.urgent.notify_one();
        // Better an answer without the newest entries than none.
        let _ = tokio::time::timeout(FLUSH_TIME, settled.wait_for(|settled| *settled >= total)).await;
    }
}

/// A line of a log that is ready to be written.
#[derive(Debug)]
pub(crate) struct Line(Queued);

/// What a line about a transaction says.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    /// Id of the transaction, or of the task.
    pub(crate) id: String,
    /// Service of the call that made or ran it: `jobQueue`.
    pub(crate) service: &'static str,
    /// Plain verb of that call: `push`.
    pub(crate) method: &'static str,
    /// Player whose transaction it is.
    pub(crate) user_id: Option<UserId>,
    /// Action: `Gs2JobQueue:PushByUserId`.
    pub(crate) action: String,
    /// Its request, JSON text; secrets in it are masked.
    pub(crate) args: String,
}

impl Line {
    /// A transaction that is made: its acquire action, and its consume actions, each a JSON text in which secrets are masked.
    ///
    /// `logging_namespace_id` is the GRN in a namespace's log setting; there is no line when it names no Log namespace of the call's
    /// owner. So it is for the other lines.
    pub(crate) fn issued(
        cx: &Cx,
        logging_namespace_id: &str,
        action: Action,
        tasks: Vec<String>,
    ) -> Option<Line> {
        Line::new(cx, logging_namespace_id, Kind::IssuedSheet, action, tasks)
    }

    /// An acquire action that was executed.
    pub(crate) fn executed_sheet(cx: &Cx, logging_namespace_id: &str, action: Action) -> Option<Line> {
        Line::new(cx, logging_namespace_id, Kind::ExecutedSheet, action, Vec::new())
    }

    /// A consume action that was executed.
    pub(crate) fn executed_task(cx: &Cx, logging_namespace_id: &str, action: Action) -> Option<Line> {
        Line::new(cx, logging_namespace_id, Kind::ExecutedTask, action, Vec::new())
    }

    fn new(
        cx: &Cx,
        logging_namespace_id: &str,
        kind: Kind,
        told: Action,
        tasks: Vec<String>,
    ) -> Option<Line> {
        let id = cx.project.expand(logging_namespace_id);
        let name = logging_namespace(cx.owner(), &id)?;
        let Action { id, service, method, user_id, action, args } = told;
        Some(Line(Queued {
            place: (cx.owner().into(), name.into()),
            kind,
            at: cx.now.0,
            duration: 0,
            status: 200,
            // Found by its own id; the call that did it is its source.
            trace: Trace { id: Some(id.into()), source: cx.trace.id.clone(), root: cx.trace.root.clone() },
            service,
            method: method.into(),
            namespace: "".into(),
            user: user_id,
            action,
            request: args,
            result: String::new(),
            list: tasks,
        }))
    }
}

/// The operation's name as logs have it: variants of one operation share it (BEHAVIOUR LG-03).
pub(crate) fn plain_method(row: &Row) -> &str {
    let name = row.name.as_str();
    // The log tools of the protocol know this one so.
    if (row.declaration.service.name, name) == ("script", "invokeScript") {
        return "invoke";
    }
    let variants = ["ByUserId", "ByStampSheet", "ByStampTask"];
    variants
        .iter()
        .find_map(|variant| name.strip_suffix(variant))
        .filter(|verb| !verb.is_empty())
        .unwrap_or(name)
}

/// The members of a request that the operation knows, as a JSON text.
fn request_text(row: &Row, fields: &Fields) -> String {
    let known = |name: &str| {
        name == "userId"
            || row.declaration.specs.iter().any(|spec| spec.name == name || spec.alias == Some(name))
    };
    let mut text = Vec::with_capacity(160);
    text.push(b'{');
    for (name, value) in fields.iter().filter(|(name, _)| known(name)) {
        if text.len() > 1 {
            text.push(b',');
        }
        // Writing to memory cannot fail, and names and values of JSON always have a JSON text.
        let _ = serde_json::to_writer(&mut text, name);
        text.push(b':');
        let _ = serde_json::to_writer(&mut text, value);
    }
    text.push(b'}');
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lg03_variants_share_the_plain_verb() {
        let table = hiroba_api::table();
        for (service, name, verb) in [
            ("lock", "lockByUserId", "lock"),
            ("lock", "lock", "lock"),
            ("jobQueue", "pushByUserId", "push"),
            ("jobQueue", "pushByStampSheet", "push"),
            ("jobQueue", "deleteByStampTask", "delete"),
            ("script", "invokeScript", "invoke"),
            ("script", "invokeByStampSheet", "invoke"),
            ("chat", "describeMessagesByUserId", "describeMessages"),
            ("chat", "createRoom", "createRoom"),
            ("gateway", "sendNotification", "sendNotification"),
        ] {
            assert_eq!(plain_method(table.named(service, name).unwrap()), verb);
        }
    }

    #[test]
    fn only_known_members_are_recorded() {
        let table = hiroba_api::table();
        let row = table.named("lock", "lockByUserId").unwrap();
        let fields = serde_json::json!({
            "namespaceName": "ns", "userId": "u", "propertyId": "a \"b\"", "junk": 1, "xGs2ClientId": "c", "ttl": 5,
        });
        let text = request_text(row, fields.as_object().unwrap());
        let expected =
            serde_json::json!({ "namespaceName": "ns", "userId": "u", "propertyId": "a \"b\"", "ttl": 5 });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
    }

    #[test]
    fn a_trace_keeps_its_beginning() {
        let first = Trace::begin("a");
        let second = first.inside("b");
        let third = second.inside("c");
        assert_eq!((second.source.as_deref(), second.root.as_deref()), (Some("a"), Some("a")));
        assert_eq!((third.source.as_deref(), third.root.as_deref()), (Some("b"), Some("a")));
    }
}
