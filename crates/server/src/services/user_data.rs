//! What a service holds of a player, to be written into a file, removed, and taken in again: one set of handlers for every
//! service (BEHAVIOUR U-01 … U-08). What a service adds is its [`Model`]s.
//!
//! The work is done in pages and in transactions of bounded size, on a task of its own that goes on when the caller has left.

mod archive;
mod clean;
mod dump;
mod import;
mod link;
mod log;
mod manifest;
mod page;
mod task;

use std::sync::Arc;

use hiroba_api::contract::{Empty, Fields, Service};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::names::UserId;
use hiroba_api::namespace::NamespaceOperations;
use hiroba_api::user_data::{
    PreparedUserData, UserDataFile, UserDataOperations, UserDataProgress, UserDataState,
};
use hiroba_store::{Tx, params};

pub(crate) use link::{Link, PATH};
pub(crate) use page::{Sizes, bounded_rows, read_line};
use task::{Ended, Kind, Known, Step, Which};
pub(crate) use task::{UserData, UserDataMetrics, sweep};

use super::identifier::secret_hash;
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Core;
use crate::registry::Registry;

const HOUR_MS: i64 = 3_600_000;
/// How long files and the ends of tasks are kept.
const DAY_MS: i64 = 24 * HOUR_MS;
/// Model that refusals name (BEHAVIOUR U-06).
const MODEL: &str = "userData";
/// Bytes that [`entries`] answers at most, unless one entry has more.
const ENTRIES_BYTES_MAX: usize = 8 << 20;
/// Pages that [`entries`] reads at most, since most of what it looks through may belong to others.
const ENTRIES_PAGES_MAX: u32 = 64;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The next namespace of a service.
        SELECT_NEXT_NAMESPACE = "SELECT name FROM namespace WHERE owner_id = $1 AND service = $2 AND name > $3
            ORDER BY name LIMIT 1";
    }
}

/// Every statement for user data.
pub(crate) const STATEMENTS: &[&[&str]] = &[sql::ALL, task::sql::ALL];

/// Whose data, where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) user: &'a UserId,
}

/// One entry: a JSON object in one line.
#[derive(Debug)]
pub(crate) struct Line {
    /// Where to go on behind it.
    pub(crate) after: String,
    pub(crate) text: String,
}

/// What one transaction read.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) lines: Vec<Line>,
    /// Where to go on; `None` at the end. There may be more although there are no lines.
    pub(crate) next: Option<String>,
}

/// What one transaction removed.
#[derive(Debug, Default)]
pub(crate) struct Cleaned {
    pub(crate) removed: u64,
    /// Where to go on; `None` at the end.
    pub(crate) next: Option<String>,
}

/// What became of a line that was to be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    Added,
    /// It was there already.
    There,
    /// It was not taken in, for this reason.
    Left(String),
}

/// Takes lines in.
type Import = fn(&mut Tx<'_>, &Cx, Place<'_>, &[Fields]) -> Result<Vec<Taken>, Error>;

/// One kind of thing that a service holds of a player. A page and a transaction are of bounded size, however much there is.
#[derive(Debug)]
pub(crate) struct Model {
    /// Name, as that of its files: `job`.
    pub(crate) name: &'static str,
    /// Members of the lines that only files have: what they hold is not shown.
    pub(crate) hidden: &'static [&'static str],
    /// Reads on behind a place, which is empty at the beginning.
    pub(crate) read: fn(&mut Tx<'_>, &Cx, Place<'_>, &str) -> Result<Chunk, Error>,
    /// Removes on behind a place, which is empty at the beginning.
    pub(crate) clean: fn(&mut Tx<'_>, &Cx, Place<'_>, &str) -> Result<Cleaned, Error>,
    /// Fails with what is wrong with a line.
    pub(crate) check: fn(&Cx, &Fields) -> Result<(), String>,
    /// Takes lines in that have been checked; says of each what became of it.
    pub(crate) import: Import,
}

/// A service with user data.
pub(crate) trait UserDataModels: NamespaceOperations + UserDataOperations {
    /// What it holds of a player, in an order in which each model finds what it belongs to.
    const MODELS: &'static [Model];
}

/// A service and its models, once the types are forgotten.
#[derive(Debug, Clone, Copy)]
struct Data {
    service: &'static Service,
    models: &'static [Model],
}

impl Data {
    const fn of<S: UserDataModels>() -> Data {
        Data { service: S::SERVICE, models: S::MODELS }
    }

    /// A task on the player of the call.
    fn which(self, cx: &Cx, kind: Kind, token: &str) -> Result<Which, Error> {
        let token_hash = if token.is_empty() { String::new() } else { token_hash(token) };
        Ok(Which { service: self.service, user: cx.user()?.clone(), kind, token_hash })
    }
}

/// Every service with user data, in the order of [`entries`].
const ALL: &[Data] = &[
    Data::of::<hiroba_api::gateway::Namespaces>(),
    Data::of::<hiroba_api::job_queue::Namespaces>(),
    Data::of::<hiroba_api::chat::Namespaces>(),
];

/// Registers the operations on user data of service `S`.
pub(crate) fn register<S: UserDataModels>(registry: &mut Registry) {
    registry.call::<S::Dump, _>(dump::<S>);
    registry.call::<S::CheckDump, _>(check_dump::<S>);
    registry.call::<S::Clean, _>(clean::<S>);
    registry.read::<S::CheckClean>(check_clean::<S>);
    registry.write::<S::PrepareImport>(prepare_import::<S>);
    registry.call::<S::Import, _>(import::<S>);
    registry.call::<S::CheckImport, _>(check_import::<S>);
}

fn token_hash(token: &str) -> String {
    data_encoding::HEXLOWER.encode(&secret_hash(token))
}

/// What the file store's trouble is to a caller: it may pass.
fn file_failed(error: impl std::fmt::Display) -> Error {
    tracing::warn!(%error, "the files of user data cannot be reached");
    let detail = "the server cannot reach its files now; repeat the call";
    let item = ErrorItem::new("server", "server", "files", "failed", detail);
    ApiError::one(Status::Unavailable, item).into()
}

/// Starts a task and runs it to its end, also when the caller goes away: between its row and its work too.
async fn run<F>(
    cx: Arc<Cx>,
    data: Data,
    kind: Kind,
    token: &str,
    work: fn(Arc<Cx>, Data, Step) -> F,
) -> Result<Empty, Error>
where
    F: Future<Output = Result<Ended, Error>> + Send + 'static,
{
    if cx.dry_run {
        return Ok(Empty);
    }
    let which = data.which(&cx, kind, token)?;
    let running = tokio::spawn(async move {
        let task = task::start(&cx, which).await?;
        let step = task.step.clone();
        let Which { service, user, kind, .. } = &step.which;
        let is_import = *kind == Kind::Import;
        let (service, user, kind) = (service.name, user.as_str(), kind.word());
        tracing::info!(service, user, kind, "a task on user data begins");
        let outcome = Box::pin(work(Arc::clone(&cx), data, step.clone())).await;
        let (entries, failed) = (step.done(), outcome.as_ref().err().map(ToString::to_string));
        match &failed {
            None => tracing::info!(service, user, kind, entries, "a task on user data has ended"),
            Some(error) => tracing::warn!(service, user, kind, entries, error, "a task on user data failed"),
        }
        let ended = match &outcome {
            Ok(ended) => *ended,
            // The only one who can send what is wrong, and who keeps a log of it.
            Err(Error::Refused(error)) if is_import && error.status == Status::BadRequest => Ended::Refused,
            Err(_) => Ended::Failed,
        };
        let taken_in = (is_import && ended == Ended::Done).then(|| task::upload_file(&step.which.token_hash));
        task.end(ended).await?;
        // Not before: an import that was killed is tried again. Its text should lie in as few places as possible.
        if let Some(upload) = taken_in
            && let Err(error) = cx.core.files.delete(&upload).await
        {
            tracing::warn!(%error, "an imported file stays until it expires");
        }
        outcome.map(|_| Empty)
    });
    running.await.map_err(|error| Error::internal("working on user data", error))?
}

async fn dump<S: UserDataModels>(cx: Arc<Cx>, _: Arc<S::Dump>) -> Result<Empty, Error> {
    run(cx, Data::of::<S>(), Kind::Dump, "", dump::run).await
}

async fn clean<S: UserDataModels>(cx: Arc<Cx>, _: Arc<S::Clean>) -> Result<Empty, Error> {
    run(cx, Data::of::<S>(), Kind::Clean, "", clean::run).await
}

async fn import<S: UserDataModels>(cx: Arc<Cx>, request: Arc<S::Import>) -> Result<Empty, Error> {
    run(cx, Data::of::<S>(), Kind::Import, S::import_token(&request), import::run).await
}

fn prepare_import<S: UserDataModels>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    _: &S::PrepareImport,
) -> Result<PreparedUserData, Error> {
    let token = cx.entropy.text();
    task::prepare(tx, cx, S::SERVICE, cx.user()?, &token_hash(&token))?;
    let upload_url = cx.url(&[PATH, &token].concat());
    Ok(PreparedUserData { upload_token: token, upload_url })
}

fn progress(done: i64, total: Option<i64>) -> UserDataProgress {
    UserDataProgress { state: "running".to_owned(), done, total }
}

async fn check_dump<S: UserDataModels>(cx: Arc<Cx>, _: Arc<S::CheckDump>) -> Result<UserDataFile, Error> {
    let which = Data::of::<S>().which(&cx, Kind::Dump, "")?;
    check_file(&cx, which).await
}

async fn check_import<S: UserDataModels>(
    cx: Arc<Cx>,
    request: Arc<S::CheckImport>,
) -> Result<UserDataFile, Error> {
    let which = Data::of::<S>().which(&cx, Kind::Import, S::check_token(&request))?;
    check_file(&cx, which).await
}

/// Where the file of a task is, or how far the task has come.
async fn check_file(cx: &Arc<Cx>, which: Which) -> Result<UserDataFile, Error> {
    let (looking, looked) = (Arc::clone(cx), which.clone());
    match cx.read(move |tx| task::look(tx, &looking, &looked)).await? {
        Known::Running { done, total } => {
            Ok(UserDataFile { url: None, progress: Some(progress(done, total)) })
        }
        Known::Ended => {
            let name = which.file(cx.owner());
            let files = &cx.core.files;
            // A bucket is not asked: all nodes see the same, and who follows the URL learns what is not there.
            if !files.is_shared() && files.open(&name).await.map_err(file_failed)?.is_none() {
                let detail = "the file is not on this node: it was made by another one, or somebody removed it; several nodes \
                              need a store that all reach (`--s3-url`)";
                let service = which.service.name;
                return Err(ApiError::conflict(service, MODEL, "file", "notFound", detail).into());
            }
            Ok(UserDataFile { url: Some(link::url(cx, &name)), progress: None })
        }
    }
}

fn check_clean<S: UserDataModels>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    _: &S::CheckClean,
) -> Result<UserDataState, Error> {
    let which = Data::of::<S>().which(cx, Kind::Clean, "")?;
    Ok(match task::look(tx, cx, &which)? {
        Known::Running { done, total } => UserDataState { progress: Some(progress(done, total)) },
        Known::Ended => UserDataState { progress: None },
    })
}

/// Name of the file that is expected under the token of an import; `None` when none is.
pub(crate) async fn expected(core: &Core, token: &str) -> Result<Option<String>, Error> {
    let hash = token_hash(token);
    Ok(task::is_expected(core, hash.clone()).await?.then(|| task::upload_file(&hash)))
}

/// The namespace of a service behind one.
async fn namespace_after(
    cx: &Arc<Cx>,
    service: &'static Service,
    after: &str,
) -> Result<Option<String>, Error> {
    let (reading, after) = (Arc::clone(cx), after.to_owned());
    let next = move |tx: &mut Tx<'_>| {
        let params = params![reading.owner(), service.name, &after];
        Ok::<_, Error>(tx.query_opt(sql::SELECT_NEXT_NAMESPACE, params, |row| row.text(0))?)
    };
    cx.read(next).await
}

/// Reads on in a model of a player.
async fn read_chunk(
    cx: &Arc<Cx>,
    model: &'static Model,
    namespace: &str,
    user: &UserId,
    after: &str,
) -> Result<Chunk, Error> {
    let (reading, namespace, user, after) =
        (Arc::clone(cx), namespace.to_owned(), user.clone(), after.to_owned());
    let read = move |tx: &mut Tx<'_>| {
        (model.read)(tx, &reading, Place { namespace: &namespace, user: &user }, &after)
    };
    cx.read(read).await
}

/// One thing that a service holds of a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Name of the service: `jobQueue`.
    pub(crate) service: &'static str,
    /// Namespace that holds it.
    pub(crate) namespace_name: String,
    /// Model: `job`.
    pub(crate) kind: &'static str,
    /// The thing as a JSON object, without what only files have.
    pub(crate) payload: String,
}

/// What all services hold of a player, in a stable order: by service, namespace, model and key. Answers up to `limit` entries
/// behind `after`, which is empty at the beginning, and where to go on; `None` at the end. There may be fewer, even none,
/// before the end, since a call reads a bounded amount.
///
/// Fails with 400 `pageToken` when `after` is none that was answered.
pub(crate) async fn entries(
    cx: &Arc<Cx>,
    user: &UserId,
    after: &str,
    limit: usize,
) -> Result<(Vec<Entry>, Option<String>), Error> {
    let mut cursor = page::Cursor::read(after)?;
    let (mut entries, mut bytes, mut pages) = (Vec::new(), 0, 0);
    while let Some(data) = ALL.get(cursor.service) {
        if cursor.namespace.is_empty() || cursor.model >= data.models.len() {
            match namespace_after(cx, data.service, &cursor.namespace).await? {
                Some(namespace) => cursor = page::Cursor { namespace, ..page::Cursor::of(cursor.service) },
                None => cursor = page::Cursor::of(cursor.service + 1),
            }
            continue;
        }
        if pages == ENTRIES_PAGES_MAX || entries.len() >= limit {
            return Ok((entries, Some(cursor.text())));
        }
        pages += 1;
        let model = &data.models[cursor.model];
        let chunk = read_chunk(cx, model, &cursor.namespace, user, &cursor.after).await?;
        for line in chunk.lines {
            if entries.len() >= limit || (bytes > 0 && bytes + line.text.len() > ENTRIES_BYTES_MAX) {
                return Ok((entries, Some(cursor.text())));
            }
            let payload = page::shown(line.text, model.hidden)?;
            bytes += payload.len();
            let namespace_name = cursor.namespace.clone();
            entries.push(Entry { service: data.service.name, namespace_name, kind: model.name, payload });
            cursor.after = line.after;
        }
        match chunk.next {
            Some(next) => cursor.after = next,
            None => (cursor.model, cursor.after) = (cursor.model + 1, String::new()),
        }
    }
    Ok((entries, None))
}
