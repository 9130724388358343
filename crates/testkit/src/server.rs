//! The server inside the test's process.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Once};

use hiroba_api::contract::UnixMillis;
use hiroba_server::app::App;
use hiroba_server::clock::Clock;
use hiroba_server::config::Config;
use hiroba_store::Engine;

use crate::api::Api;
use crate::database::Database;
use crate::deadline::within;

/// Where a manual clock begins: a moment of 2027, on a full minute.
pub const START: i64 = 1_800_000_000_000;

/// What a server is started with.
#[derive(Debug)]
pub struct Builder {
    config: Config,
    clock: Clock,
    hand: Option<Arc<AtomicI64>>,
}

/// A running server.
#[derive(Debug)]
pub struct TestServer {
    app: App,
    config: Config,
    clock: Clock,
    hand: Option<Arc<AtomicI64>>,
}

impl Builder {
    /// With a clock that stands still until it is moved.
    pub fn manual_clock(mut self) -> Builder {
        let (clock, hand) = Clock::manual(UnixMillis(START));
        self.clock = clock;
        self.hand = Some(hand);
        self
    }

    /// With other settings.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Builder {
        change(&mut self.config);
        self
    }

    /// Starts the server.
    pub async fn start(self) -> TestServer {
        self.try_start().await.unwrap_or_else(|error| panic!("starting the server: {error}"))
    }

    /// Starts the server, or says why it does not start.
    pub async fn try_start(self) -> Result<TestServer, String> {
        log_once();
        let Builder { config, clock, hand } = self;
        let app = within("the start of the server", App::start(config.clone(), clock.clone())).await;
        let app = app.map_err(|error| format!("{error:#}"))?;
        Ok(TestServer { app, config, clock, hand })
    }
}

/// What the server warns of is shown with the output of a failed test.
fn log_once() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let log = tracing_subscriber::fmt().with_env_filter("warn").with_test_writer();
        log.with_ansi(false).init();
    });
}

impl TestServer {
    /// A server on this database.
    pub fn builder(database: &Database) -> Builder {
        Builder { config: database.config(), clock: Clock::system(), hand: None }
    }

    /// Starts a server with the system's clock.
    pub async fn start(database: &Database) -> TestServer {
        TestServer::builder(database).start().await
    }

    /// Starts a server with a manual clock.
    pub async fn start_manual(database: &Database) -> TestServer {
        TestServer::builder(database).manual_clock().start().await
    }

    /// As many servers as the engine allows on one database: one on SQLite, two on PostgreSQL.
    pub async fn nodes(database: &Database) -> Vec<TestServer> {
        let mut nodes = vec![TestServer::start(database).await];
        if database.engine() == Engine::Postgres {
            let folder = database.data_folder("second");
            nodes.push(TestServer::builder(database).config(|config| config.data_dir = folder).start().await);
        }
        nodes
    }

    /// URL of the server.
    pub fn url(&self) -> String {
        self.app.url()
    }

    /// Address of the server.
    pub fn address(&self) -> SocketAddr {
        self.app.address()
    }

    /// The server itself.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Client id and secret of the administrator.
    pub fn credential(&self) -> (String, String) {
        let credential = self.app.credential();
        (credential.client_id.clone(), credential.client_secret.clone())
    }

    /// The administrator, logged in.
    pub async fn api(&self) -> Api {
        let (client_id, client_secret) = self.credential();
        Api::login(self.address(), &client_id, &client_secret).await
    }

    /// The manual clock's time.
    pub fn now(&self) -> i64 {
        self.clock.now().0
    }

    /// Moves the manual clock forward.
    pub fn advance(&self, milliseconds: i64) {
        let hand = self.hand.as_ref().expect("the server has a manual clock");
        hand.fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// Removes what has expired, as the background task does from time to time.
    pub async fn sweep(&self) {
        self.app.sweep().await.unwrap_or_else(|error| panic!("sweeping: {error:#}"));
    }

    /// Rows of a table.
    pub async fn count(&self, statement: &'static str) -> i64 {
        self.app.count(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:#}"))
    }

    /// Stops the server in order.
    pub async fn stop(self) {
        within("the stop of the server", self.app.stop()).await;
    }

    /// Stops the server in order and starts it again, with the same clock, on another port.
    pub async fn restart(self) -> TestServer {
        let TestServer { app, config, clock, hand } = self;
        within("the stop of the server", app.stop()).await;
        Builder { config, clock, hand }.start().await
    }
}
