//! Dumps, cleans and imports as tasks: one at a time for a player in a service, known to every node, and never taken for done
//! when its node was killed (BEHAVIOUR U-06).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use hiroba_api::contract::{Service, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::names::UserId;
use hiroba_store::{Row, Store, StoreError, Tx, params};
use parking_lot::{Condvar, Mutex};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::link::LinkKey;
use super::{DAY_MS, HOUR_MS, MODEL};
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Core;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The tasks that run on a player's data, and whether their nodes have a lease.
        SELECT_RUNNING = "SELECT kind, run, node_id, EXISTS (
                SELECT 1 FROM gateway_node n WHERE n.node_id = t.node_id AND n.expires_at > $4)
            FROM user_data_task t WHERE owner_id = $1 AND service = $2 AND user_id = $3 AND state = 'running'";
        /// A task, and whether its node has a lease.
        SELECT_TASK = "SELECT state, run, node_id, EXISTS (
                SELECT 1 FROM gateway_node n WHERE n.node_id = t.node_id AND n.expires_at > $6), done, total, expires_at
            FROM user_data_task t
            WHERE owner_id = $1 AND service = $2 AND user_id = $3 AND kind = $4 AND token_hash = $5";
        /// Starts a dump or a clean.
        UPSERT_TASK = "INSERT INTO user_data_task (owner_id, service, user_id, kind, token_hash, state, run, node_id, done,
                total, upload_until, expires_at)
            VALUES ($1, $2, $3, $4, $5, 'running', $6, $7, 0, NULL, 0, $8)
            ON CONFLICT (owner_id, service, user_id, kind, token_hash) DO UPDATE SET state = excluded.state,
                run = excluded.run, node_id = excluded.node_id, done = 0, total = NULL, expires_at = excluded.expires_at";
        /// Prepares an import.
        INSERT_PREPARED = "INSERT INTO user_data_task (owner_id, service, user_id, kind, token_hash, state, run, node_id,
                done, total, upload_until, expires_at)
            VALUES ($1, $2, $3, 'import', $4, 'prepared', '', '', 0, NULL, $5, $5)";
        /// Starts an import that was prepared, or tries one again.
        UPDATE_STARTED = "UPDATE user_data_task SET state = 'running', run = $5, node_id = $6, done = 0, total = NULL,
                expires_at = $7
            WHERE owner_id = $1 AND service = $2 AND user_id = $3 AND kind = 'import' AND token_hash = $4
                AND state <> 'done' AND expires_at > $8";
        /// Says how far a task is.
        UPDATE_PROGRESS = "UPDATE user_data_task SET done = $7, total = $8
            WHERE owner_id = $1 AND service = $2 AND user_id = $3 AND kind = $4 AND token_hash = $5 AND run = $6
                AND state = 'running'";
        /// Says how a task ended.
        UPDATE_ENDED = "UPDATE user_data_task SET state = $7, done = $8, expires_at = $9
            WHERE owner_id = $1 AND service = $2 AND user_id = $3 AND kind = $4 AND token_hash = $5 AND run = $6
                AND state = 'running'";
        /// Whether the file of an import is expected under a token.
        SELECT_EXPECTED = "SELECT 1 FROM user_data_task
            WHERE token_hash = $1 AND kind = 'import' AND upload_until > $2 AND state IN ('prepared', 'refused', 'failed')";
        /// Some tasks that have expired, and whether their nodes have a lease.
        SELECT_EXPIRED = "SELECT owner_id, service, user_id, kind, token_hash, run, state, node_id, EXISTS (
                SELECT 1 FROM gateway_node n WHERE n.node_id = t.node_id AND n.expires_at > $1)
            FROM user_data_task t WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
        /// Forgets a task that has not been started again.
        DELETE_TASK = "DELETE FROM user_data_task
            WHERE owner_id = $1 AND service = $2 AND user_id = $3 AND kind = $4 AND token_hash = $5 AND run = $6
                AND expires_at <= $7";
    }
}

/// What is done to a player's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Dump,
    Clean,
    Import,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Dump => "dump",
            Kind::Clean => "clean",
            Kind::Import => "import",
        }
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// As it should.
    Done,
    /// The file of an import cannot be taken in; its log says why.
    Refused,
    /// The server failed or is stopping.
    Failed,
}

impl Ended {
    fn word(self) -> &'static str {
        match self {
            Ended::Done => "done",
            Ended::Refused => "refused",
            Ended::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    kind: &'static str,
    outcome: &'static str,
}

/// What is counted of user data.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserDataMetrics {
    running: Family<KindLabel, Gauge>,
    ended: Family<EndLabels, Counter>,
    entries: Family<KindLabel, Counter>,
}

impl UserDataMetrics {
    /// Shows them.
    pub(crate) fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        registry.register(
            "user_data_running",
            "Tasks on user data that run on this node",
            self.running.clone(),
        );
        registry.register("user_data_tasks", "Tasks on user data that have ended", self.ended.clone());
        registry.register("user_data_entries", "Entries dumped, removed or imported", self.entries.clone());
    }
}

/// The tasks of this node.
#[derive(Debug)]
pub(crate) struct UserData {
    running: Mutex<HashMap<String, Arc<Progress>>>,
    ended: Condvar,
    stopping: AtomicBool,
    /// Signs URLs of files.
    pub(crate) links: LinkKey,
    /// Bytes of a file that may be uploaded.
    pub(crate) upload_bytes_max: u64,
    metrics: UserDataMetrics,
}

/// How far a task is.
#[derive(Debug, Default)]
struct Progress {
    done: AtomicI64,
    /// Negative while it is not known.
    total: AtomicI64,
}

impl UserData {
    /// Nothing runs yet.
    pub(crate) fn new(signing_key: &[u8], upload_bytes_max: u64, metrics: UserDataMetrics) -> UserData {
        UserData {
            running: Mutex::default(),
            ended: Condvar::new(),
            stopping: AtomicBool::new(false),
            links: LinkKey::new(signing_key),
            upload_bytes_max,
            metrics,
        }
    }

    /// Ends when the tasks have: each stops after the step that it is at.
    pub(crate) async fn stop(core: &Arc<Core>) {
        core.user_data.stopping.store(true, Ordering::SeqCst);
        let stopping = Arc::clone(core);
        let wait = move || {
            let tasks = &stopping.user_data;
            let mut running = tasks.running.lock();
            while !running.is_empty() {
                tasks.ended.wait(&mut running);
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(wait).await {
            tracing::warn!(%error, "waiting for the tasks on user data failed");
        }
    }
}

/// Which task.
#[derive(Debug, Clone)]
pub(super) struct Which {
    pub(super) service: &'static Service,
    pub(super) user: UserId,
    pub(super) kind: Kind,
    /// Hash of an import's token; empty for the others.
    pub(super) token_hash: String,
}

impl Which {
    /// Name of the file that the task makes. The same for each start, so that a file never lacks a row.
    pub(super) fn file(&self, owner: &str) -> String {
        file(owner, self.service.name, &self.user, self.kind.word(), &self.token_hash)
    }

    fn conflict(&self, problem: &str, detail: String) -> Error {
        ApiError::conflict(self.service.name, MODEL, MODEL, problem, detail).into()
    }
}

/// Name of the file that is uploaded under a token.
pub(super) fn upload_file(token_hash: &str) -> String {
    format!("upload-{token_hash}")
}

fn file(owner: &str, service: &str, user: &str, kind: &str, token_hash: &str) -> String {
    let place = crate::vault::context(&[owner, service, user, kind, token_hash]);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &place);
    format!("{kind}-{}", data_encoding::HEXLOWER.encode(hash.as_ref()))
}

/// What the steps of a task need of it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    core: Arc<Core>,
    owner: String,
    pub(super) which: Which,
    /// Tells this start from every other.
    run: String,
    progress: Arc<Progress>,
}

/// A task that this node runs. When it is dropped without [`Task::end`] it counts as interrupted.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) step: Step,
}

impl Drop for Task {
    fn drop(&mut self) {
        let tasks = &self.step.core.user_data;
        tasks.metrics.running.get_or_create(&KindLabel { kind: self.step.which.kind.word() }).dec();
        tasks.running.lock().remove(&self.step.run);
        tasks.ended.notify_all();
    }
}

/// A row that says that a task runs, and whether that is so.
struct Claimed {
    run: String,
    node: String,
    leased: bool,
}

impl Claimed {
    /// Whether it runs indeed: here, or on a node that is alive.
    fn is_alive(&self, core: &Core) -> bool {
        if self.node == core.hub.node() {
            core.user_data.running.lock().contains_key(&self.run)
        } else {
            self.leased
        }
    }
}

/// Starts a task.
///
/// Fails with 409 while another one works on the player's data in this service, and an import with 400 `uploadToken` when it
/// was not prepared, is done or has expired.
pub(super) async fn start(cx: &Arc<Cx>, which: Which) -> Result<Task, Error> {
    let (core, run) = (&cx.core, cx.entropy.text());
    // Known here before the store says that it runs, so that nobody takes it for interrupted.
    let task = {
        let mut running = core.user_data.running.lock();
        if core.user_data.stopping.load(Ordering::SeqCst) {
            return Err(stopping());
        }
        let progress = Arc::new(Progress { total: AtomicI64::new(-1), ..Progress::default() });
        running.insert(run.clone(), Arc::clone(&progress));
        let owner = cx.owner().to_owned();
        core.user_data.metrics.running.get_or_create(&KindLabel { kind: which.kind.word() }).inc();
        let step = Step { core: Arc::clone(core), owner, which: which.clone(), run: run.clone(), progress };
        Task { step }
    };
    let starting = Arc::clone(cx);
    let claim = move |tx: &mut Tx<'_>| {
        let (cx, core) = (&starting, &starting.core);
        let key = (cx.owner(), which.service.name, which.user.as_str());
        tx.lock_row(&format!("user_data\n{}\n{}\n{}", key.0, key.1, key.2));
        let claimed = tx.query(sql::SELECT_RUNNING, params![key.0, key.1, key.2, cx.now.0], |row| {
            Ok((row.text(0)?, Claimed { run: row.text(1)?, node: row.text(2)?, leased: row.bool(3)? }))
        })?;
        if let Some((kind, _)) = claimed.iter().find(|(_, claimed)| claimed.is_alive(core)) {
            let detail = format!(
                "{} of this player's data in this service runs; call check{} until it has ended",
                if kind == "import" { "an import" } else { "a dump or clean" },
                capital(kind)
            );
            return Err(which.conflict("duplicate", detail));
        }
        let (node, expires_at) = (core.hub.node(), cx.now.0.saturating_add(DAY_MS));
        if which.kind == Kind::Import {
            let params = params![key.0, key.1, key.2, &which.token_hash, &run, node, expires_at, cx.now.0];
            if tx.execute(sql::UPDATE_STARTED, params)? == 0 {
                return Err(unknown_token(which.service));
            }
        } else {
            let params =
                params![key.0, key.1, key.2, which.kind.word(), &which.token_hash, &run, node, expires_at];
            tx.execute(sql::UPSERT_TASK, params)?;
        }
        Ok(())
    };
    core.store.write(claim).await?;
    Ok(task)
}

fn capital(kind: &str) -> String {
    let first = kind.chars().next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(kind.chars().skip(1)).chain("UserDataByUserId".chars()).collect()
}

fn unknown_token(service: &Service) -> Error {
    let detail = "`uploadToken` is unknown here, was used, or has expired; call prepareImportUserDataByUserId first, PUT the \
                  file to the `uploadUrl` that it answers, and send its `uploadToken` within an hour";
    ApiError::bad_request(service.name, MODEL, "uploadToken", "invalid", detail).into()
}

fn stopping() -> Error {
    StoreError::Unavailable("the server is stopping".to_owned()).into()
}

/// How often a transaction of a task is begun anew that others kept from committing, and the time between.
const PATIENCE: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Runs a transaction of a task, again when PostgreSQL has refused it for the sake of others too often: a task has time.
pub(super) async fn patiently<T, F>(store: &Store, transaction: F) -> Result<T, Error>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, Error> + Clone + Send + 'static,
    T: Send + 'static,
{
    for _ in 0..PATIENCE {
        match store.write(transaction.clone()).await {
            Err(Error::Store(StoreError::RetryExhausted { .. })) => tokio::time::sleep(PAUSE).await,
            written => return written,
        }
    }
    store.write(transaction).await
}

impl Step {
    /// Counts entries that are done.
    pub(super) fn add(&self, done: u64) {
        self.progress.done.fetch_add(i64::try_from(done).unwrap_or(i64::MAX), Ordering::Relaxed);
        let label = KindLabel { kind: self.which.kind.word() };
        self.core.user_data.metrics.entries.get_or_create(&label).inc_by(done);
    }

    /// Says how many entries there are in all.
    pub(super) fn total(&self, total: u64) {
        self.progress.total.store(i64::try_from(total).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Entries that are done.
    pub(super) fn done(&self) -> i64 {
        self.progress.done.load(Ordering::Relaxed)
    }

    /// Fails when the task must go no further, since the server stops.
    pub(super) fn goes_on(&self) -> Result<(), Error> {
        if self.core.user_data.stopping.load(Ordering::SeqCst) { Err(stopping()) } else { Ok(()) }
    }

    /// A step of the task, to be made in the step's transaction: shows the others how far it is.
    ///
    /// Fails when the task is not this node's any more, since its lease ended and another one has started it again.
    pub(super) fn advance(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let Which { service, user, kind, token_hash } = &self.which;
        let total = Some(self.progress.total.load(Ordering::Relaxed)).filter(|total| *total >= 0);
        let key = params![&self.owner, service.name, user.as_str(), kind.word(), token_hash, &self.run];
        let params = [key, params![self.done(), total]].concat();
        match tx.execute(sql::UPDATE_PROGRESS, &params)? {
            1 => Ok(()),
            _ => Err(self.which.conflict("conflict", "the task was started again elsewhere".to_owned())),
        }
    }
}

impl Task {
    /// Says how the task ended, which is the last of it.
    pub(super) async fn end(self, ended: Ended) -> Result<(), Error> {
        let step = &self.step;
        let Which { service, user, kind, token_hash } = step.which.clone();
        let labels = EndLabels { kind: kind.word(), outcome: ended.word() };
        step.core.user_data.metrics.ended.get_or_create(&labels).inc();
        let (owner, run, done) = (step.owner.clone(), step.run.clone(), step.done());
        let expires_at = step.core.clock.now().0.saturating_add(DAY_MS);
        let end = move |tx: &mut Tx<'_>| {
            let key = params![&owner, service.name, user.as_str(), kind.word(), &token_hash, &run];
            tx.execute(sql::UPDATE_ENDED, &[key, params![ended.word(), done, expires_at]].concat())?;
            Ok::<_, Error>(())
        };
        let ending = step.core.store.write(end).await;
        // Not before the store says that it has ended.
        drop(self);
        ending
    }
}

/// What is known of a task.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It runs, and is so far.
    Running { done: i64, total: Option<i64> },
    /// Its file is there.
    Ended,
}

/// Looks a task up.
///
/// Fails with 404 `userData` when it was not started or is forgotten, with 409 when it was interrupted.
pub(super) fn look(tx: &mut Tx<'_>, cx: &Cx, which: &Which) -> Result<Known, Error> {
    struct Stored {
        state: String,
        claimed: Claimed,
        done: i64,
        total: Option<i64>,
        expires_at: i64,
    }
    let read = |row: &Row<'_>| {
        let claimed = Claimed { run: row.text(1)?, node: row.text(2)?, leased: row.bool(3)? };
        let (done, total, expires_at) = (row.int(4)?, row.opt_int(5)?, row.int(6)?);
        Ok(Stored { state: row.text(0)?, claimed, done, total, expires_at })
    };
    let Which { service, user, kind, token_hash } = which;
    let params = params![cx.owner(), service.name, user.as_str(), kind.word(), token_hash, cx.now.0];
    let stored = tx.query_opt(sql::SELECT_TASK, params, read)?;
    let missing = || {
        let detail = format!(
            "no {} of this player's data was started here in the last 24 hours; call {}UserDataByUserId",
            kind.word(),
            kind.word()
        );
        Err(ApiError::not_found(service.name, MODEL, detail).into())
    };
    let Some(stored) = stored else { return missing() };
    match stored.state.as_str() {
        "running" if stored.claimed.is_alive(&cx.core) => {
            let here = cx.core.user_data.running.lock().get(&stored.claimed.run).cloned();
            let (done, total) = here.map_or((stored.done, stored.total), |progress| {
                let total = Some(progress.total.load(Ordering::Relaxed)).filter(|total| *total >= 0);
                (progress.done.load(Ordering::Relaxed), total)
            });
            Ok(Known::Running { done, total })
        }
        "prepared" => missing(),
        _ if stored.expires_at <= cx.now.0 => missing(),
        "running" | "failed" => {
            let detail = format!(
                "the {} was interrupted after {} entries, since the server failed, stopped or was killed; start it again",
                kind.word(),
                stored.done
            );
            Err(which.conflict("failed", detail))
        }
        _ => Ok(Known::Ended),
    }
}

/// Expects the file of an import; answers its token's hash.
pub(super) fn prepare(
    tx: &mut Tx<'_>,
    cx: &Cx,
    service: &Service,
    user: &UserId,
    token_hash: &str,
) -> Result<(), Error> {
    let until = cx.now.0.saturating_add(HOUR_MS);
    tx.execute(sql::INSERT_PREPARED, params![cx.owner(), service.name, user.as_str(), token_hash, until])?;
    Ok(())
}

/// Whether the file of an import is expected under a token.
pub(super) async fn is_expected(core: &Core, token_hash: String) -> Result<bool, Error> {
    let now = core.clock.now();
    let select = move |tx: &mut Tx<'_>| {
        let found = tx.query_opt(sql::SELECT_EXPECTED, params![&token_hash, now.0], |row| row.int(0))?;
        Ok::<_, Error>(found.is_some())
    };
    core.store.read(select).await
}

/// Tasks that one sweep of [`sweep`] looks at.
const SWEPT_MAX: i64 = 100;

/// Removes tasks that have expired, with their files; one that runs stays.
pub(crate) async fn sweep(core: &Arc<Core>) -> Result<(), Error> {
    let now = core.clock.now();
    let select = move |tx: &mut Tx<'_>| {
        let read = |row: &Row<'_>| {
            let key = [row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?, row.text(4)?];
            let claimed = Claimed { run: row.text(5)?, node: row.text(7)?, leased: row.bool(8)? };
            Ok((key, row.text(6)?, claimed))
        };
        Ok::<_, Error>(tx.query(sql::SELECT_EXPIRED, params![now.0, SWEPT_MAX], read)?)
    };
    for (key, state, claimed) in core.store.read(select).await? {
        if state == "running" && claimed.is_alive(core) {
            continue;
        }
        remove(core, key, claimed.run, now).await?;
    }
    Ok(())
}

async fn remove(core: &Arc<Core>, key: [String; 5], run: String, now: UnixMillis) -> Result<(), Error> {
    let [owner, service, user, kind, token_hash] = &key;
    let mut names = vec![file(owner, service, user, kind, token_hash)];
    if !token_hash.is_empty() {
        names.push(upload_file(token_hash));
    }
    // The files first: what has no row is never looked for again.
    for name in names {
        let deleted = core.files.delete(&name).await;
        deleted.map_err(|error| Error::internal("removing an old file of user data", error))?;
    }
    let delete = move |tx: &mut Tx<'_>| {
        let [owner, service, user, kind, token_hash] = &key;
        let params = params![owner, service, user, kind, token_hash, &run, now.0];
        tx.execute(sql::DELETE_TASK, params)?;
        Ok::<_, Error>(())
    };
    core.store.write(delete).await
}
