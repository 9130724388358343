//! The road that every call takes, whichever transport brought it: decode, who is it, may they, was it done before,
//! handle, answer.

mod access;
mod duplicates;
mod inside;
mod tokens;
mod within;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hiroba_api::contract::{
    AVOIDER_CHARS_MAX, Access as Level, Credentials, Fields, Row, RowId, Subject, TOKEN_CHARS_MAX, Table,
    Variant,
};
use hiroba_api::distributor::BatchExecuteApi;
use hiroba_api::error::{ApiError, Status};
use hiroba_api::grn::{Project, fill};
use hiroba_api::names::UserId;
use hiroba_store::{Store, StoreError};
use serde_json::Value;

pub(crate) use access::Access;
pub(crate) use duplicates::{Avoider, KeptKey, Running, sweep as sweep_answers};
pub(crate) use inside::{Made, Once, Origin, forget};
pub(crate) use tokens::{Claims, LIFETIME_MS, Tokens, Use};

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cx::{Cx, ProjectToken};
use crate::entropy::request_id;
use crate::error::Error;
use crate::files::Files;
use crate::hub::{Command, Hub};
use crate::jobs::Jobs;
use crate::logs::{Logs, Note, Trace};
use crate::metrics::Metrics;
use crate::outbound::eventbridge::EventBridge;
use crate::outbound::github::GitHub;
use crate::registry::{AnyHandler, AnyRequest, Call, Registry};
use crate::scripts::Scripts;
use crate::services::chat::Chat;
use crate::services::distributor::Distributor;
use crate::services::gateway::{Mobile, Warned};
use crate::services::masters::MasterCache;
use crate::services::namespaces::NamespaceCache;
use crate::services::user_data::UserData;
use crate::vault::Vault;

/// Every statement of the pipeline, for the test that prepares them.
pub(crate) const STATEMENTS: &[&[&str]] = &[access::sql::ALL, duplicates::sql::ALL];

/// Longest request id that a caller may choose, in characters; a longer one is replaced.
const REQUEST_ID_CHARS_MAX: usize = 64;

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: Store,
    /// Seals what must not lie in the store in clear.
    pub(crate) vault: Arc<Vault>,
    pub(crate) table: Arc<Table>,
    pub(crate) tokens: Tokens,
    /// Seals kept answers.
    pub(crate) kept: KeptKey,
    pub(crate) access: Access,
    pub(crate) clock: Clock,
    pub(crate) project: Arc<Project>,
    pub(crate) metrics: Metrics,
    /// The sockets of this node.
    pub(crate) hub: Hub,
    /// The link to the other nodes, where there may be any.
    pub(crate) cluster: Option<Cluster>,
    /// Settings of namespaces.
    pub(crate) namespaces: NamespaceCache,
    /// Calls with a duplication avoider that run outside of a transaction.
    pub(crate) running: Running,
    /// Namespaces that notifications could not go through.
    pub(crate) warned: Warned,
    /// Sends to mobile devices.
    pub(crate) mobile: Mobile,
    /// Runs scripts.
    pub(crate) scripts: Scripts,
    /// Runs jobs.
    pub(crate) jobs: Jobs,
    /// What Chat remembers.
    pub(crate) chat: Chat,
    /// Delivers events to Amazon EventBridge.
    pub(crate) eventbridge: EventBridge,
    /// Fetches files of GitHub.
    pub(crate) github: GitHub,
    /// Password hashes that may be computed at once: each takes tens of milliseconds and 19 MiB.
    pub(crate) hashing: tokio::sync::Semaphore,
    /// Master data in force.
    pub(crate) masters: MasterCache,
    /// Where the server is reached.
    pub(crate) urls: Urls,
    /// What runs transactions.
    pub(crate) distributor: Distributor,
    /// The road, which is made after what it leads to.
    pub(crate) road: Road,
    /// Files of user data.
    pub(crate) files: Files,
    /// The tasks on user data of this node.
    pub(crate) user_data: UserData,
    /// Records calls.
    pub(crate) logs: Logs,
    /// Sends spans of calls, where the settings name a collector.
    #[cfg(feature = "otel")]
    pub(crate) telemetry: Option<crate::telemetry::Telemetry>,
}

/// The road for calls that the server itself makes.
#[derive(Debug, Default)]
pub(crate) struct Road(OnceLock<Weak<Pipeline>>);

impl Road {
    /// Says which road it is.
    pub(crate) fn lead(&self, pipeline: &Arc<Pipeline>) {
        // A second road is never made.
        let _ = self.0.set(Arc::downgrade(pipeline));
    }

    /// The road; none before the server takes calls and after it has stopped.
    pub(crate) fn get(&self) -> Option<Arc<Pipeline>> {
        self.0.get().and_then(Weak::upgrade)
    }
}

/// Where the server is reached, for the URLs that it answers.
#[derive(Debug, Default)]
pub(crate) struct Urls {
    /// What the settings say, without a slash at its end.
    pub(crate) public: Option<String>,
    /// The address that it listens on, as a URL; there from the first connection on.
    pub(crate) listening: OnceLock<String>,
}

impl Core {
    /// Whether [`Core::record`] has anything to do for a call.
    fn records(&self, passage: &Passage) -> bool {
        #[cfg(feature = "otel")]
        if self.telemetry.is_some() {
            return true;
        }
        passage.note.is_some()
    }

    /// Records a call that was answered, where its namespace says so.
    fn record(&self, row: &Row, passage: Passage, answer: &Result<String, ApiError>, elapsed: Duration) {
        #[cfg(feature = "otel")]
        if let Some(telemetry) = &self.telemetry {
            telemetry.called(&crate::telemetry::Call {
                trace: &passage.trace,
                service: row.declaration.service.name,
                method: crate::logs::plain_method(row),
                status: answer.as_ref().map_or_else(|error| error.status.code(), |_| 200),
                ended_at: self.clock.now().0,
                elapsed,
            });
        }
        let Passage { trace, note: Some(note) } = passage else { return };
        match answer {
            Ok(body) => self.logs.record(note, row.id, trace, 200, body, elapsed),
            Err(error) => {
                let status = error.status.code();
                self.logs.record(note, row.id, trace, status, &error.body(), elapsed);
            }
        }
    }

    /// Has a command done on the node that it is for.
    pub(crate) fn tell(&self, node: &str, command: Command) {
        if node == self.hub.node() {
            self.hub.apply(command);
        } else if let Some(cluster) = &self.cluster {
            cluster.tell(node, command);
        }
    }
}

/// The road.
pub(crate) struct Pipeline {
    core: Arc<Core>,
    handlers: Vec<Arc<dyn AnyHandler>>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pipeline").field("core", &self.core).finish_non_exhaustive()
    }
}

/// An answer as every transport sends it.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Status of the protocol.
    pub(crate) status: u16,
    /// Result or error object, JSON text.
    pub(crate) body: String,
    /// Id under which the log knows the call.
    pub(crate) request_id: String,
}

impl Reply {
    fn refused(error: &ApiError, request_id: String) -> Reply {
        Reply { status: error.status.code(), body: error.body(), request_id }
    }
}

/// A call on its way.
#[derive(Debug)]
struct Passage {
    trace: Trace,
    /// There when the call is to be recorded.
    note: Option<Note>,
}

impl Passage {
    /// Tells the context of the call its place among others, and notes whom the call is about.
    fn sees(&self, cx: &mut Cx) {
        cx.trace = self.trace.clone();
        if let (Some(note), Some(user)) = (&self.note, &cx.user) {
            // Filled in once.
            let _ = note.user.set(user.clone());
        }
    }
}

impl Pipeline {
    /// The road to these handlers.
    pub(crate) fn new(core: Arc<Core>, registry: Registry) -> Pipeline {
        let handlers = registry.into_rows(&core.table);
        Pipeline { core, handlers }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Takes one call from the flat object to the answer. Never fails and never panics: whatever happens is an answer.
    pub(crate) async fn call(&self, id: RowId, fields: Fields, mut credentials: Credentials) -> Reply {
        let request_id = chosen_request_id(credentials.request_id.take());
        let row = self.core.table.row(id);
        let note = self.core.logs.note_from_outside(&self.core, row, &fields, &credentials);
        let passage = Passage { trace: Trace::begin(&request_id), note };
        let road = self.road(row, fields, &credentials, &passage);
        let (answer, elapsed) = self.watched(row, &request_id, road).await;
        self.core.record(row, passage, &answer, elapsed);
        match answer {
            Ok(body) => Reply { status: 200, body, request_id },
            Err(error) => Reply::refused(&error, request_id),
        }
    }

    /// Makes a call whatever happens in it, and counts it. Answers the time that it took too.
    async fn watched(
        &self,
        row: &Row,
        request_id: &str,
        road: impl Future<Output = Result<String, Error>>,
    ) -> (Result<String, ApiError>, Duration) {
        let started = Instant::now();
        let outcome = caught(road).await;
        let answer = outcome
            .map_err(|error| translate(row.declaration.service.name, row.name.as_str(), error, request_id));
        let status = answer.as_ref().map_or_else(|error| error.status.code(), |_| 200);
        let elapsed = started.elapsed();
        self.core.metrics.called(row.id, status, elapsed);
        tracing::debug!(
            service = row.declaration.service.name,
            method = row.name,
            status,
            request_id,
            micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            "call"
        );
        (answer, elapsed)
    }

    /// Does what is no call of an operation, such as taking an upload, whatever happens in it.
    pub(crate) async fn beside<T>(
        &self,
        method: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ApiError> {
        caught(work).await.map_err(|error| translate("server", method, error, &request_id()))
    }

    /// The answer to a request that names no operation (BEHAVIOUR T-29), or that cannot be read at all.
    pub(crate) fn refuse(&self, error: &ApiError, request_id: Option<String>) -> Reply {
        let reply = Reply::refused(error, chosen_request_id(request_id));
        self.core.metrics.refused(reply.status);
        tracing::debug!(status = reply.status, request_id = reply.request_id, %error, "refused");
        reply
    }

    async fn road(
        &self,
        row: &Row,
        mut fields: Fields,
        credentials: &Credentials,
        passage: &Passage,
    ) -> Result<String, Error> {
        let handler = &self.handlers[usize::from(row.id.0)];
        let context_stack = context_stack(&mut fields);
        let (request, subject) = handler.decode(row, fields, credentials)?;
        let mut cx = self.authorise(row, request.as_ref(), subject, credentials).await?;
        cx.context_stack = context_stack;
        if row.is::<BatchExecuteApi>() {
            cx.project_token = credentials.project_token.clone().map(ProjectToken);
        }
        passage.sees(&mut cx);
        let avoider = avoider(row, request.as_ref(), credentials)?;
        if let Some(avoider) = avoider.as_ref().filter(|_| inside::runs_script(row)) {
            // The call is repeated when its answer could not be kept; what the script did must not be.
            cx.once = Some(Arc::new(Once::new(&avoider.name(&cx))));
        }
        let cx = Arc::new(cx);
        let call = Call { cx: Arc::clone(&cx), request, avoider };
        let answer = handler.run(&self.core.store, call).await?;
        if let Some(once) = &cx.once {
            // The answer of the whole is kept by now.
            let (forgetting, made) = (Arc::clone(&cx), once.made());
            if !made.is_empty() {
                cx.write(move |tx| forget(tx, forgetting.owner(), &made)).await?;
            }
        }
        Ok(answer)
    }

    /// Who is it, and may they.
    async fn authorise(
        &self,
        row: &Row,
        request: &dyn AnyRequest,
        subject: Subject,
        credentials: &Credentials,
    ) -> Result<Cx, Error> {
        let core = &self.core;
        let base_url = credentials.base_url.clone();
        let mut cx = Cx { dry_run: credentials.dry_run, base_url, ..Cx::internal(core) };
        let now = cx.now;
        let service = row.declaration.service.name;
        if row.access == Level::Anonymous {
            // A login may come with the token of an earlier one; it then stays in that project.
            let token = credentials.project_token.as_deref();
            let claims = token.and_then(|token| core.tokens.verify(token, Use::Project, now));
            if let Some(claims) = claims.filter(|claims| claims.owner != cx.project.owner) {
                cx.project =
                    Arc::new(Project { owner: claims.owner.clone(), ..core.project.as_ref().clone() });
            }
            return Ok(cx);
        }

        let Some(token) = credentials.project_token.as_deref() else {
            let detail = "log in first and send the project token as `Authorization: Bearer …`";
            return Err(
                ApiError::unauthorized(service, "projectToken", "projectToken", "require", detail).into()
            );
        };
        let unknown = || {
            let detail = "the project token is not of this server, has expired, or its credential is gone; log in again";
            Error::from(ApiError::unauthorized(service, "projectToken", "projectToken", "invalid", detail))
        };
        let claims = core.tokens.verify(token, Use::Project, now).ok_or_else(unknown)?;
        if claims.owner != cx.project.owner {
            cx.project = Arc::new(Project { owner: claims.owner.clone(), ..core.project.as_ref().clone() });
        }
        let caller = core.access.caller(&core.store, token, &claims).await?;
        let permissions = caller.permissions().ok_or_else(unknown)?;

        let federation_id = self.player(row, subject, credentials, &mut cx)?;
        self.offset(row, request, credentials, &mut cx)?;
        let resource = || resource(&cx, row, request);
        let mut permitted = permissions.permit(row.id, &row.action, resource);
        if let (true, Some(id)) = (permitted, &federation_id) {
            let limits = core.access.federation(&core.store, cx.owner(), id).await?;
            permitted =
                limits.as_ref().as_ref().is_none_or(|limits| limits.permit(row.id, &row.action, resource));
        }
        if !permitted {
            let detail = format!(
                "no policy of the caller permits {} on {}; attach one that does, such as AdministratorAccess",
                row.action,
                resource()
            );
            let component = row.declaration.component;
            return Err(ApiError::unauthorized(service, component, &row.name, "notAuthorized", detail).into());
        }
        Ok(cx)
    }

    /// The player of the call. Answers the federation that the access token comes from.
    fn player(
        &self,
        row: &Row,
        subject: Subject,
        credentials: &Credentials,
        cx: &mut Cx,
    ) -> Result<Option<String>, Error> {
        match subject {
            Subject::None => Ok(None),
            Subject::User(user) => {
                cx.user = Some(user);
                Ok(None)
            }
            Subject::Token => {
                let token = credentials.access_token.as_deref().unwrap_or_default();
                let claims = self.core.tokens.verify(token, Use::Access, cx.now);
                let Some(claims) = claims.filter(|claims| claims.owner == cx.project.owner) else {
                    let service = row.declaration.service.name;
                    let detail =
                        "the access token is not of this project or has expired; log the player in again";
                    return Err(ApiError::unauthorized(
                        service,
                        "accessToken",
                        "accessToken",
                        "invalid",
                        detail,
                    )
                    .into());
                };
                cx.user = Some(UserId::trusted(claims.user.clone()));
                cx.by_player = true;
                cx.time_offset = i64::from(claims.time_offset) * 1000;
                Ok(claims.federation_id.clone())
            }
        }
    }

    /// The later time of a time offset token, which is bound to the player of the call (BEHAVIOUR ).
    fn offset(
        &self,
        row: &Row,
        request: &dyn AnyRequest,
        credentials: &Credentials,
        cx: &mut Cx,
    ) -> Result<(), Error> {
        let Some(token) = credentials.time_offset_token.as_deref() else { return Ok(()) };
        // A call with an access token has the time of that token.
        if row.access == Level::Player || cx.by_player {
            return Ok(());
        }
        let fields;
        let user = match &cx.user {
            Some(user) => user.as_str(),
            None => {
                fields = request.fields();
                match fields.get("userId").and_then(Value::as_str) {
                    Some(user) => user,
                    None => return Ok(()),
                }
            }
        };
        if token.chars().count() > TOKEN_CHARS_MAX {
            let service = row.declaration.service.name;
            let detail = format!("`timeOffsetToken` must have at most {TOKEN_CHARS_MAX} characters");
            return Err(ApiError::bad_request(
                service,
                "timeOffsetToken",
                "timeOffsetToken",
                "tooLong",
                detail,
            )
            .into());
        }
        let claims = self.core.tokens.verify(token, Use::TimeOffset, cx.now);
        let Some(claims) = claims.filter(|claims| claims.owner == cx.project.owner && claims.user == user)
        else {
            let service = row.declaration.service.name;
            let detail = format!("the time offset token is not one for player `{user}`, or has expired");
            return Err(ApiError::unauthorized(
                service,
                "timeOffsetToken",
                "timeOffsetToken",
                "invalid",
                detail,
            )
            .into());
        };
        cx.time_offset = i64::from(claims.time_offset) * 1000;
        cx.offset_token = Some(claims.time_offset);
        Ok(())
    }
}

/// The context stack of a request; SDKs send an empty one where there is none (BEHAVIOUR T-07).
fn context_stack(fields: &mut Fields) -> Option<Arc<str>> {
    match fields.remove("contextStack") {
        Some(Value::String(text)) if !text.is_empty() && text != "null" => Some(text.into()),
        _ => None,
    }
}

/// The answer with what scripts of the call set off (BEHAVIOUR T-12).
pub(crate) fn with_metadata(cx: &Cx, answer: String) -> String {
    let transactions = std::mem::take(&mut *cx.transactions.lock());
    if transactions.is_empty() {
        return answer;
    }
    let metadata =
        serde_json::json!({ "metadata": { "scriptTransactionResults": transactions } }).to_string();
    match answer.strip_suffix('}') {
        Some("{") => metadata,
        Some(members) => [members, ",", &metadata[1..]].concat(),
        None => answer,
    }
}

/// The resource that policies see: the GRN of the operation's model as far as the request names it.
fn resource(cx: &Cx, row: &Row, request: &dyn AnyRequest) -> String {
    resource_of(cx, row, request.fields())
}

/// The same for a request that nobody has read yet.
pub(crate) fn resource_of(cx: &Cx, row: &Row, mut fields: Fields) -> String {
    for value in fields.values_mut().filter(|value| value.is_number()) {
        *value = Value::String(value.to_string());
    }
    // A call that names a script by its GRN is about that script.
    if let (Variant::Plain, Some(id)) = (row.variant, fields.get("scriptId").and_then(Value::as_str)) {
        return cx.project.expand(id);
    }
    let value = |name: &str| match name {
        "userId" => cx.user.as_deref().or_else(|| fields.get("userId").and_then(Value::as_str)),
        // Creation calls the new thing `name`.
        _ => fields.get(name).or_else(|| fields.get("name")).and_then(Value::as_str),
    };
    let rest = fill(row.resource(), value);
    cx.grn(row.declaration.service, rest.trim_start_matches(':'))
}

fn avoider(
    row: &Row,
    request: &dyn AnyRequest,
    credentials: &Credentials,
) -> Result<Option<Avoider>, ApiError> {
    let key =
        credentials.duplication_avoider.as_ref().filter(|key| !key.is_empty() && row.avoids_duplicates());
    let Some(key) = key else { return Ok(None) };
    let count = key.chars().count();
    let refuse = |problem, detail| {
        let service = row.declaration.service.name;
        Err(ApiError::bad_request(service, "duplicationAvoider", "duplicationAvoider", problem, detail))
    };
    if count > AVOIDER_CHARS_MAX {
        let detail =
            format!("a duplication avoider has at most {AVOIDER_CHARS_MAX} characters, this one has {count}");
        return refuse("tooLong", detail);
    }
    if key.contains('\0') {
        return refuse("invalid", "a duplication avoider must not hold the character U+0000".to_owned());
    }
    Ok(Some(Avoider::new(row, key.clone(), &request.fields())))
}

/// The one place where an error becomes what the caller reads.
fn translate(service: &str, method: &str, error: Error, request_id: &str) -> ApiError {
    match error {
        Error::Refused(error) => error,
        Error::Store(StoreError::Closed | StoreError::Unavailable(_) | StoreError::RetryExhausted { .. }) => {
            tracing::warn!(service, method, request_id, %error, "store is unavailable");
            let detail = "the server cannot reach its store now; repeat the call";
            let item = hiroba_api::ErrorItem::new("server", "server", "store", "failed", detail);
            ApiError::one(Status::Unavailable, item)
        }
        Error::Store(_) | Error::Twin | Error::Stale | Error::Internal(_) => {
            tracing::error!(service, method, request_id, %error, "call failed");
            ApiError::internal(request_id)
        }
    }
}

/// The outcome of work, also when it panics.
async fn caught<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => Err(Error::Internal(format!("panicked: {}", panic_text(panic.as_ref())))),
    }
}

fn chosen_request_id(chosen: Option<String>) -> String {
    let fits = |id: &String| {
        !id.is_empty() && id.len() <= REQUEST_ID_CHARS_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    chosen.filter(fits).unwrap_or_else(request_id)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
