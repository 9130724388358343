//! The server as a whole: opens the store, makes what a first start makes, serves, and stops in order.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use hiroba_api::grn::Project;
use hiroba_store::{Migration, PostgresConfig, SqliteConfig, Store, StoreConfig};
use tokio::sync::{Semaphore, watch};

use crate::bootstrap::{self, Credential};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::Error;
use crate::metrics::{Metrics, StoreMetrics};
use crate::pipeline::{Access, Core, Pipeline, Tokens};
use crate::registry::Registry;
use crate::transport::Listener;
use crate::{services, sweeper};

/// Password hashes that may be computed at once; each takes 19 MiB and tens of milliseconds of a core.
const HASHES_MAX: usize = 2;

/// Every change of the schema, oldest first. A released one never changes.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "foundation", sql: include_str!("../migrations/0001_foundation.sql") }];

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
    listener: Listener,
    credential: Credential,
    credential_is_new: bool,
    stop: watch::Sender<bool>,
    sweeper: tokio::task::JoinHandle<()>,
}

impl App {
    /// Opens the store, makes what a first start makes and begins to take calls.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<App> {
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("making the data folder {}", config.data_dir.display()))?;
        let store_metrics = StoreMetrics::default();
        let store = open_store(&config, &store_metrics).await?;
        let (credential, credential_is_new) = bootstrap::credential(&config)?;
        let key = bootstrap::signing_key(&store).await?;
        bootstrap::ensure_administrator(&store, &clock, &credential).await?;

        let table = Arc::new(hiroba_api::table());
        let core = Arc::new(Core {
            store,
            tokens: Tokens::new(&key),
            access: Access::new(Arc::clone(&table)),
            clock,
            project: Arc::new(Project { region: config.region.clone(), owner: config.owner_id.clone() }),
            metrics: Metrics::new(Arc::clone(&table), &store_metrics),
            hashing: Semaphore::new(HASHES_MAX),
            table,
        });
        let mut registry = Registry::default();
        services::register(&mut registry);
        let pipeline = Arc::new(Pipeline::new(Arc::clone(&core), registry));

        let (stop, stopping) = watch::channel(false);
        let sweeper = tokio::spawn(sweeper::run(Arc::clone(&core), stopping.clone()));
        let listener = Listener::start(&config, pipeline, stopping).await?;
        Ok(App { core, listener, credential, credential_is_new, stop, sweeper })
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

    /// Removes what has expired now instead of at the next period, for tests.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        Ok(sweeper::sweep(&self.core).await?)
    }

    /// Rows that a statement finds, for tests that look behind the API.
    pub async fn count(&self, statement: &'static str) -> anyhow::Result<i64> {
        let count = self.core.store.read(move |tx| tx.query_opt(statement, &[], |row| row.int(0))).await;
        let count: Result<Option<i64>, hiroba_store::StoreError> = count;
        Ok(count?.unwrap_or_default())
    }

    /// Stops taking calls, finishes those that run, closes sockets with a reason and closes the store.
    pub async fn stop(self) {
        // Nobody listens any more when everything has ended by itself.
        let _ = self.stop.send(true);
        self.listener.finished().await;
        if let Err(error) = self.sweeper.await {
            tracing::warn!(%error, "the sweeper ended badly");
        }
        self.core.store.close().await;
    }
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
