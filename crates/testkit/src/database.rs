//! A database of its own for each test, on either engine.

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once};

use hiroba_server::app::MIGRATIONS;
use hiroba_server::config::Config;
use hiroba_store::{Engine, PostgresConfig, SqliteConfig, Store, StoreConfig, StoreError, Tx};

use crate::deadline::{TEST, within_time};

/// Names the PostgreSQL server of the tests: `postgres://user@host:port/database`.
pub const URL: &str = "HIROBA_TEST_DATABASE_URL";

/// The master key of every server that a test does not give another one: nodes on one database have folders of their own.
pub const MASTER_KEY: &str = "5e1f0a7d2c4b6983a1b2c3d4e5f60718293a4b5c6d7e8f90817263544536271f";

/// Databases on PostgreSQL at once: each server of a test holds up to twenty connections.
const POSTGRES_MAX: usize = 4;

/// A database and a folder, removed when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Database(Arc<Place>);

#[derive(Debug)]
struct Place {
    folder: PathBuf,
    postgres: Option<Postgres>,
}

#[derive(Debug)]
struct Postgres {
    /// A database of the server in which others are made.
    url: String,
    name: String,
    _turn: Turn,
}

impl Database {
    /// A new one; `None` for PostgreSQL when no server was named.
    pub fn new(engine: Engine) -> Option<Database> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hiroba_it_{}_{count}", std::process::id());
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let Ok(url) = std::env::var(URL) else {
                    say_once_that_postgres_did_not_run();
                    return None;
                };
                let turn = Turn::take();
                // What a killed process of the same number left.
                let statements = [drop_statement(&name), format!("CREATE DATABASE {name}")];
                execute(&url, statements.to_vec());
                Some(Postgres { url, name: name.clone(), _turn: turn })
            }
        };
        let folder = std::env::temp_dir().join(name);
        // What a killed process of the same number left.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Some(Database(Arc::new(Place { folder, postgres })))
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        if self.0.postgres.is_some() { Engine::Postgres } else { Engine::Sqlite }
    }

    /// The address of the database on PostgreSQL.
    pub fn url(&self) -> Option<String> {
        let postgres = self.0.postgres.as_ref()?;
        let (address, settings) = postgres.url.split_once('?').unwrap_or((&postgres.url, ""));
        let (server, _) = address.rsplit_once('/').expect("a database URL has a path");
        Some(format!("{server}/{}?{settings}", postgres.name))
    }

    /// A data folder of this name; on SQLite it holds the database.
    pub fn data_folder(&self, name: &str) -> PathBuf {
        self.0.folder.join(name)
    }

    /// Settings of a server on this database, inside the test's process.
    pub fn config(&self) -> Config {
        let master_key = Some(MASTER_KEY.to_owned().into());
        Config { database_url: self.url(), master_key, ..Config::new(self.data_folder("data")) }
    }

    /// Changes what lies in the store behind the server's back, while no server runs; on SQLite of the folder `data`.
    pub async fn change(&self, change: impl FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static) {
        let config = match self.url() {
            Some(url) => StoreConfig::Postgres(PostgresConfig::new(url)),
            None => StoreConfig::Sqlite(SqliteConfig::new(self.data_folder("data").join("hiroba.db"))),
        };
        let open = move || Store::open(&config, MIGRATIONS, Arc::new(()));
        let store = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
        store.write(change).await.unwrap();
        store.close().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(Postgres { url, name, .. }) = &self.postgres {
            execute(url, vec![drop_statement(name)]);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Everything that lies in a database.
#[derive(Debug)]
pub struct Found(Vec<u8>);

impl Found {
    /// All bytes of the files on SQLite; all rows of all tables on PostgreSQL, where bytes are hexadecimal digits. Blocks.
    pub fn in_database(database: &Database) -> Found {
        let Some(url) = database.url() else {
            let folder = database.config().data_dir;
            let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
            let files = files.filter(|path| path.to_string_lossy().contains("hiroba.db"));
            let mut bytes = Vec::new();
            files.for_each(|path| bytes.append(&mut std::fs::read(path).unwrap()));
            return Found(bytes);
        };
        // A thread, since the client must not be used on one of a runtime.
        let read = std::thread::spawn(move || {
            let mut client = postgres::Client::connect(&url, postgres::NoTls)?;
            let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()";
            let mut rows = String::new();
            for table in client.query(tables, &[])? {
                let table: String = table.get(0);
                for row in client.query(&format!("SELECT t::text FROM \"{table}\" t"), &[])? {
                    rows.push_str(row.get(0));
                    rows.push('\n');
                }
            }
            Ok::<_, postgres::Error>(rows)
        });
        Found(read.join().unwrap().unwrap().into_bytes())
    }

    /// Whether a text or some bytes are there, as they are or in hexadecimal digits.
    pub fn has(&self, wanted: impl AsRef<[u8]>) -> bool {
        let wanted = wanted.as_ref();
        let digits = data_encoding::HEXLOWER.encode(wanted);
        let has = |wanted: &[u8]| self.0.windows(wanted.len()).any(|window| window == wanted);
        has(wanted) || has(digits.as_bytes())
    }
}

fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

/// Runs statements, each outside of a transaction.
fn execute(url: &str, statements: Vec<String>) {
    let url = url.to_owned();
    // A thread, since the client must not be used on one of a runtime.
    let executed = std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls)?;
        client.batch_execute("SET client_min_messages = error")?;
        statements.iter().try_for_each(|statement| client.batch_execute(statement))
    });
    executed.join().unwrap().unwrap();
}

fn say_once_that_postgres_did_not_run() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        // Past the test runner's capture, so that it is seen though the tests "pass".
        let note = format!("\nPostgreSQL half NOT RUN: {URL} is not set\n");
        let _ = std::io::stderr().write_all(note.as_bytes());
    });
}

/// One of the [`POSTGRES_MAX`] places.
#[derive(Debug)]
struct Turn;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

impl Turn {
    fn take() -> Turn {
        let taken = TAKEN.lock().unwrap();
        *FREED.wait_while(taken, |taken| *taken >= POSTGRES_MAX).unwrap() += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap() -= 1;
        FREED.notify_one();
    }
}

/// A runtime for one test.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a test on a new database.
pub fn run<F: Future<Output = ()>>(engine: Engine, test: impl FnOnce(Database) -> F) {
    if let Some(database) = Database::new(engine) {
        let test = Box::pin(test(database.clone()));
        runtime().block_on(within_time(TEST, "the end of the test", test));
    }
}
