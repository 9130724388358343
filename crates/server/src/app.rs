//! The server as a whole: opens the store, makes what a first start makes, serves, and stops in order.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use hiroba_api::grn::Project;
use hiroba_api::names::UserId;
use hiroba_api::namespace::ScriptSetting;
use hiroba_store::{Migration, PostgresConfig, SqliteConfig, Store, StoreConfig, Tx};
use tokio::sync::{Semaphore, watch};

use crate::bootstrap::{self, Credential};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterMetrics};
use crate::config::Config;
use crate::cx::Cx;
use crate::error::Error;
use crate::files::Files;
use crate::hub::{Hub, HubMetrics, Limits};
use crate::jobs::{self, JobMetrics, Jobs};
use crate::logs::{self, LogMetrics, Logs};
use crate::metrics::{Metrics, StoreMetrics};
use crate::outbound::eventbridge::{self, EventBridge};
use crate::outbound::github::{self, GitHub};
use crate::pipeline::{Access, Core, KeptKey, Pipeline, Road, Running, Tokens, Urls};
use crate::registry::Registry;
use crate::scripts::Scripts;
use crate::services::chat::{Chat, ChatMetrics};
use crate::services::distributor::{Distributor, Mode};
use crate::services::gateway::{Mobile, MobileMetrics, Notice, Warned, node, notify_now};
use crate::services::key::signing;
use crate::services::masters::MasterCache;
use crate::services::namespaces::NamespaceCache;
use crate::services::triggers::{self, Subject};
use crate::services::user_data::{self, UserData, UserDataMetrics};
use crate::transport::Listener;
use crate::vault::Vault;
use crate::{services, sweeper, vault};

/// Password hashes that may be computed at once; each takes 19 MiB and tens of milliseconds of a core.
const HASHES_MAX: usize = 2;

/// Every change of the schema, oldest first. A released one never changes.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "foundation", sql: include_str!("../migrations/0001_foundation.sql") },
    Migration { version: 2, name: "gateway", sql: include_str!("../migrations/0002_gateway.sql") },
    Migration { version: 3, name: "jobs", sql: include_str!("../migrations/0003_jobs.sql") },
    Migration { version: 4, name: "chat", sql: include_str!("../migrations/0004_chat.sql") },
    Migration { version: 5, name: "masters", sql: include_str!("../migrations/0005_masters.sql") },
    Migration { version: 6, name: "key", sql: include_str!("../migrations/0006_key.sql") },
    Migration { version: 7, name: "distributor", sql: include_str!("../migrations/0007_distributor.sql") },
    Migration { version: 8, name: "log", sql: include_str!("../migrations/0008_log.sql") },
    Migration { version: 9, name: "user data", sql: include_str!("../migrations/0009_user_data.sql") },
];

impl Core {
    /// Computes a password hash off the tasks that serve calls.
    pub(crate) async fn hash<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = self.hashing.acquire().await;
        let _permit = permit.map_err(|error| Error::internal("waiting to hash a password", error))?;
        let computed = tokio::task::spawn_blocking(compute).await;
        computed.map_err(|error| Error::internal("hashing a password", error))?
    }
}

/// A running server.
#[derive(Debug)]
pub struct App {
    core: Arc<Core>,
    /// Kept for the calls of scripts that still run when no caller is left.
    pipeline: Arc<Pipeline>,
    listener: Listener,
    credential: Credential,
    credential_is_new: bool,
    data_folder: std::path::PathBuf,
    stop: watch::Sender<bool>,
    /// Ends what sockets need until the last one has closed.
    leave: watch::Sender<bool>,
    background: Vec<tokio::task::JoinHandle<()>>,
}

impl App {
    /// Opens the store, makes what a first start makes and begins to take calls.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<App> {
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("making the data folder {}", config.data_dir.display()))?;
        let store_metrics = StoreMetrics::default();
        let store = open_store(&config, &store_metrics).await?;
        let vault = vault::unlock(&store, &config).await?;
        let (credential, credential_is_new) = bootstrap::credential(&config)?;
        let key = bootstrap::signing_key(&store, &vault).await?;
        bootstrap::ensure_administrator(&store, &clock, &credential).await?;

        let table = Arc::new(hiroba_api::table());
        let (hub_metrics, mobile_metrics) = (HubMetrics::default(), MobileMetrics::default());
        let (runtime, job_metrics) = (tokio::runtime::Handle::current(), JobMetrics::default());
        let (chat_metrics, log_metrics) = (ChatMetrics::default(), LogMetrics::default());
        let user_data_metrics = UserDataMetrics::default();
        // In a box, since the settings make the future large.
        let files = Box::pin(open_files(config.clone(), clock.clone())).await?;
        let (hub, closed) = Hub::new(Limits::new(&config), hub_metrics.clone());
        let cluster_metrics = ClusterMetrics::default();
        let cluster = match &config.nats_url {
            Some(url) => {
                let installation = bootstrap::installation(&store).await?;
                // In a box, since the future is large and most servers never make it.
                Some(Box::pin(Cluster::connect(url, &installation, cluster_metrics.clone())).await?)
            }
            None => None,
        };
        let core = Arc::new(Core {
            store,
            vault,
            tokens: Tokens::new(&key),
            kept: KeptKey::new(&key),
            access: Access::new(Arc::clone(&table)),
            clock,
            project: project(&config),
            metrics: Metrics::new(
                Arc::clone(&table),
                &store_metrics,
                &hub_metrics,
                &cluster_metrics,
                &mobile_metrics,
                &job_metrics,
                &chat_metrics,
            )
            .with_user_data(&user_data_metrics)
            .with_logs(&log_metrics),
            hub,
            cluster,
            namespaces: NamespaceCache::default(),
            running: Running::default(),
            warned: Warned::default(),
            mobile: Mobile::new(&config, mobile_metrics),
            scripts: Scripts::new(&config, &table, runtime.clone())?,
            chat: Chat::new(runtime.clone(), chat_metrics),
            jobs: Jobs::new(config.job_threads_max, runtime, job_metrics),
            eventbridge: EventBridge::new(eventbridge(&config)).context("setting Amazon EventBridge up")?,
            github: GitHub::new(&config.github_url, github::REQUEST_TIME).context("setting GitHub up")?,
            hashing: Semaphore::new(HASHES_MAX),
            masters: MasterCache::default(),
            files,
            user_data: UserData::new(&key, config.user_data_upload_bytes_max, user_data_metrics.clone()),
            urls: Urls { public: config.public_url.clone(), ..Urls::default() },
            distributor: Distributor::new(&table, &key),
            road: Road::default(),
            logs: Logs::new(&config, &table, log_metrics),
            #[cfg(feature = "otel")]
            telemetry: config.otlp_endpoint.as_deref().map(crate::telemetry::Telemetry::new).transpose()?,
            table,
        });
        let mut registry = Registry::default();
        services::register(&mut registry);
        let pipeline = Arc::new(Pipeline::new(Arc::clone(&core), registry));
        core.road.lead(&pipeline);

        core.logs.settings.load(&core).await?;

        let (stop, stopping) = watch::channel(false);
        node::join(&core).await?;
        let (leave, leaving) = watch::channel(false);
        let background = vec![
            tokio::spawn(sweeper::run(Arc::clone(&core), stopping.clone())),
            tokio::spawn(vault::reseal::run(Arc::clone(&core), stopping.clone())),
            tokio::spawn(jobs::search(Arc::clone(&core), stopping.clone())),
            tokio::spawn(logs::watch(Arc::clone(&core), stopping.clone())),
            tokio::spawn(logs::run(Arc::clone(&core), leaving.clone())),
            tokio::spawn(Mobile::run(Arc::clone(&core), leaving.clone())),
            tokio::spawn(Cluster::run(Arc::clone(&core), leaving.clone())),
            tokio::spawn(node::run(Arc::clone(&core), closed, leaving)),
        ];
        let listener = Listener::start(&config, Arc::clone(&pipeline), stopping).await?;
        let data_folder = config.data_dir;
        Ok(App {
            core,
            pipeline,
            listener,
            credential,
            credential_is_new,
            data_folder,
            stop,
            leave,
            background,
        })
    }

    /// Address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// URL of the server.
    pub fn url(&self) -> String {
        let scheme = if self.listener.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// The administrator's credential.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Whether the credential was made by this start.
    pub fn credential_is_new(&self) -> bool {
        self.credential_is_new
    }

    /// Folder of the embedded store and of the server's files.
    pub fn data_folder(&self) -> &std::path::Path {
        &self.data_folder
    }

    /// Removes what has expired now instead of at the next period, for tests.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        Ok(sweeper::sweep(&self.core).await?)
    }

    /// Tells a player of this owner something, as a service does through its notification setting.
    pub async fn notify(
        &self,
        namespace: &str,
        user: &str,
        subject: &str,
        payload: &str,
    ) -> anyhow::Result<()> {
        let notice = Notice {
            payload: payload.to_owned(),
            ..Notice::new("server".to_owned(), subject, &serde_json::Value::Null)
        };
        Ok(notify_now(&self.core, namespace, user, notice).await?)
    }

    /// Sets the triggers of a setting off around a change of nothing, as a service does: answers the `result` of the script
    /// before it. Without `commit` the change is taken back, and what would follow it with it.
    pub async fn trigger(
        &self,
        setting: ScriptSetting,
        user: Option<&str>,
        args: serde_json::Value,
        commit: bool,
    ) -> anyhow::Result<Option<serde_json::Value>> {
        let subject = Subject { service: "server", model: "change", action: "change" };
        let mut cx = Cx::internal(&self.core);
        cx.user = user.map(UserId::trusted);
        cx.dry_run = !commit;
        let cx = Arc::new(cx);
        let result = triggers::before(&cx, Some(&setting), subject, &args, Mode::default()).await?;
        let changing = Arc::clone(&cx);
        let change = move |tx: &mut Tx<'_>| {
            changing.entropy.restart();
            triggers::done(tx, &changing, changing.user.as_ref(), Some(&setting), subject, &args)
        };
        cx.write(change).await?;
        Ok(result.map(serde_json::Value::Object))
    }

    /// The secret with which a key signs; see [`signing_secret`].
    pub async fn signing_secret(&self, key_id: Option<&str>) -> anyhow::Result<String> {
        read_signing_secret(&self.core.store, &self.core.vault, &self.core.project, key_id).await
    }

    /// Rows that a statement finds, for tests that look behind the API.
    pub async fn count(&self, statement: &'static str) -> anyhow::Result<i64> {
        let count = self.core.store.read(move |tx| tx.query_opt(statement, &[], |row| row.int(0))).await;
        let count: Result<Option<i64>, hiroba_store::StoreError> = count;
        Ok(count?.unwrap_or_default())
    }

    /// A page of what all services hold of a player, as `user_data::entries` answers it: service, namespace, model and
    /// payload of each, and where to go on. For tests.
    pub async fn user_data(
        &self,
        user: &str,
        after: &str,
        limit: usize,
    ) -> anyhow::Result<(Vec<[String; 4]>, Option<String>)> {
        let cx = Arc::new(Cx::internal(&self.core));
        let (entries, next) = user_data::entries(&cx, &UserId::trusted(user), after, limit).await?;
        let parts = |entry: user_data::Entry| {
            [entry.service.to_owned(), entry.namespace_name, entry.kind.to_owned(), entry.payload]
        };
        Ok((entries.into_iter().map(parts).collect(), next))
    }

    /// Stops taking calls, finishes those that run, closes sockets with a reason and closes the store.
    pub async fn stop(self) {
        // Nobody listens any more when everything has ended by itself.
        let _ = self.stop.send(true);
        self.listener.finished().await;
        UserData::stop(&self.core).await;
        Jobs::stop(&self.core).await;
        self.core.scripts.finished().await;
        drop(self.pipeline);
        let _ = self.leave.send(true);
        for task in self.background {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a task in the background ended badly");
            }
        }
        #[cfg(feature = "otel")]
        if self.core.telemetry.is_some() {
            let core = Arc::clone(&self.core);
            let stopped = move || core.telemetry.as_ref().map(crate::telemetry::Telemetry::stop);
            // What fails is logged there.
            let _ = tokio::task::spawn_blocking(stopped).await;
        }
        self.core.store.close().await;
    }
}

/// The secret with which a key signs, in hexadecimal, of a server with these settings; the default key's when none is named.
///
/// Fails when there is no such key, when there is no database yet, and while a server has the embedded store open.
pub async fn signing_secret(config: &Config, key_id: Option<&str>) -> anyhow::Result<String> {
    if config.database_url.is_none() {
        let file = config.data_dir.join("hiroba.db");
        anyhow::ensure!(file.exists(), "there is no {}; give the settings of the server", file.display());
    }
    let store = open_store(config, &StoreMetrics::default()).await?;
    let vault = vault::unlock(&store, config).await?;
    let project = project(config);
    let secret = read_signing_secret(&store, &vault, &project, key_id).await;
    store.close().await;
    secret
}

async fn read_signing_secret(
    store: &Store,
    vault: &Arc<Vault>,
    project: &Arc<Project>,
    key_id: Option<&str>,
) -> anyhow::Result<String> {
    let (vault, project, key_id) = (Arc::clone(vault), Arc::clone(project), key_id.map(str::to_owned));
    let read = move |tx: &mut Tx<'_>| signing::export(tx, &vault, &project, key_id.as_deref());
    Ok(store.read(read).await?)
}

/// Whose things the server keeps.
fn project(config: &Config) -> Arc<Project> {
    Arc::new(Project { region: config.region.clone(), owner: config.owner_id.clone() })
}

fn eventbridge(config: &Config) -> eventbridge::Settings {
    let key = config.aws_access_key_id.clone().zip(config.aws_secret_access_key.clone());
    let credentials = key.map(|(access_key_id, secret_access_key)| eventbridge::Credentials {
        access_key_id,
        secret_access_key,
        session_token: config.aws_session_token.clone(),
    });
    eventbridge::Settings {
        endpoint: config.eventbridge_endpoint.clone(),
        region: config.eventbridge_region.clone(),
        bus: Some(config.eventbridge_bus.clone()),
        credentials,
        timeout: eventbridge::REQUEST_TIME,
    }
}

async fn open_files(config: Config, clock: Clock) -> anyhow::Result<Files> {
    let files = tokio::task::spawn_blocking(move || Files::new(&config, clock)).await?;
    files.context("opening the files of user data")
}

async fn open_store(config: &Config, metrics: &StoreMetrics) -> anyhow::Result<Store> {
    let store_config = match &config.database_url {
        Some(url) => StoreConfig::Postgres(PostgresConfig::new(url)),
        None => StoreConfig::Sqlite(SqliteConfig::new(config.data_dir.join("hiroba.db"))),
    };
    let observer = Arc::new(metrics.clone());
    let open = move || Store::open(&store_config, MIGRATIONS, observer);
    tokio::task::spawn_blocking(open).await?.context("opening the store")
}
