//! A server inside the test, with a namespace of Lock.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use hiroba_api::auth;
use hiroba_api::contract::UnixMillis;
use hiroba_api::lock::{CreateNamespace, GetMutex, Lock, Unlock};
use hiroba_api::names::{NamespaceName, UserId};
use hiroba_client::{AccessToken, Client, ClientError};
use hiroba_server::app::App;
use hiroba_server::clock::Clock;
use hiroba_server::config::Config;

/// When the servers' clocks begin.
const START: UnixMillis = UnixMillis(1_800_000_000_000);

/// A server with a clock that stands still, and a client of it with the administrator's credential.
pub(crate) struct TestServer {
    app: Option<App>,
    pub(crate) client: Client,
    time: Arc<AtomicI64>,
    folder: PathBuf,
}

impl TestServer {
    pub(crate) async fn start() -> TestServer {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("client-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let (clock, time) = Clock::manual(START);
        let app = App::start(Config::new(&folder), clock).await.unwrap();
        let credential = app.credential();
        let client = Client::builder(app.url())
            .credential(&credential.client_id, &credential.client_secret)
            .build()
            .unwrap();
        let server = TestServer { app: Some(app), client, time, folder };
        let create = CreateNamespace { name: namespace(), description: None, log_setting: None };
        server.client.call(&create).await.unwrap();
        server
    }

    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().expect("the server runs until it is stopped")
    }

    /// Moves the server's clock.
    pub(crate) fn advance(&self, seconds: i64) {
        self.time.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Logs a player in.
    pub(crate) async fn access_token(&self, user: &str) -> AccessToken {
        let login = auth::Login { user_id: UserId::trusted(user), time_offset: None };
        self.client.call(&login).await.unwrap().into()
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // What is left over lies in the target folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn namespace() -> NamespaceName {
    NamespaceName::trusted("game")
}

pub(crate) fn lock(property: &str, transaction: &str) -> Lock {
    Lock {
        namespace_name: namespace(),
        property_id: property.to_owned(),
        transaction_id: transaction.to_owned(),
        ttl: Some(60),
    }
}

pub(crate) fn unlock(property: &str, transaction: &str) -> Unlock {
    Unlock {
        namespace_name: namespace(),
        property_id: property.to_owned(),
        transaction_id: transaction.to_owned(),
    }
}

pub(crate) fn get(property: &str) -> GetMutex {
    GetMutex { namespace_name: namespace(), property_id: property.to_owned() }
}

/// Messages of a refusal.
pub(crate) fn messages<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (u16, Vec<String>) {
    let error = result.unwrap_err();
    let api = error.api().unwrap_or_else(|| panic!("no refusal: {error:?}"));
    (api.status.code(), api.items.iter().map(|item| item.message.clone()).collect())
}
