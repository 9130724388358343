//! A database of its own for each test, on either engine.

use std::{
    future::Future,
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hiroba_store::{Engine, Migration, PostgresConfig, SqliteConfig, Store, StoreConfig};

/// Names the PostgreSQL server of the tests.
pub(crate) const URL: &str = "HIROBA_TEST_DATABASE_URL";

/// No test waits longer than this for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Tables that most tests use.
pub(crate) const TABLES: &[Migration] = &[Migration {
    version: 1,
    name: "tables of the tests",
    sql: "CREATE TABLE entry (
              owner TEXT NOT NULL,
              id TEXT NOT NULL,
              number BIGINT,
              bytes BYTEA,
              PRIMARY KEY (owner, id)
          ) /*sqlite WITHOUT ROWID*/;",
}];

/// A database that is removed when the last handle on it is dropped.
#[derive(Clone)]
pub(crate) struct Database(Arc<Place>);

enum Place {
    Sqlite { folder: PathBuf },
    Postgres { url: String, schema: String },
}

impl Database {
    /// A new one; `None` for PostgreSQL when no server was named.
    pub(crate) fn new(engine: Engine) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("store_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let place = match engine {
            Engine::Sqlite => {
                let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
                // What a killed process of the same number left.
                let _ = std::fs::remove_dir_all(&folder);
                Place::Sqlite { folder }
            }
            Engine::Postgres => {
                let Ok(url) = std::env::var(URL) else {
                    // Past the test runner's capture, so that it is seen though the test "passes".
                    let note = format!("\nPostgreSQL half NOT RUN: {URL} is not set\n");
                    let _ = std::io::stderr().write_all(note.as_bytes());
                    return None;
                };
                drop_schema(&url, &name);
                Place::Postgres { url, schema: name }
            }
        };
        Some(Self(Arc::new(place)))
    }

    /// One that another process made, and will remove.
    pub(crate) fn existing(engine: Engine, name: &str) -> Self {
        let database = Self(Arc::new(match engine {
            Engine::Sqlite => Place::Sqlite { folder: name.into() },
            Engine::Postgres => Place::Postgres { url: std::env::var(URL).unwrap(), schema: name.to_owned() },
        }));
        // A handle that is never dropped: the last one removes the database.
        std::mem::forget(database.clone());
        database
    }

    /// What `existing` takes.
    pub(crate) fn name(&self) -> String {
        match &*self.0 {
            Place::Sqlite { folder } => folder.display().to_string(),
            Place::Postgres { schema, .. } => schema.clone(),
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        match &*self.0 {
            Place::Sqlite { .. } => Engine::Sqlite,
            Place::Postgres { .. } => Engine::Postgres,
        }
    }

    pub(crate) fn config(&self) -> StoreConfig {
        match &*self.0 {
            Place::Sqlite { folder } => StoreConfig::Sqlite(SqliteConfig::new(folder.join("data.sqlite"))),
            Place::Postgres { url, schema } => {
                let mut config = PostgresConfig::new(url);
                config.schema = Some(schema.clone());
                StoreConfig::Postgres(config)
            }
        }
    }

    /// The file, on SQLite.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self.config() {
            StoreConfig::Sqlite(config) => Some(config.path),
            StoreConfig::Postgres(_) => None,
        }
    }

    pub(crate) fn open(&self) -> Store {
        self.open_with(TABLES)
    }

    pub(crate) fn open_with(&self, migrations: &[Migration]) -> Store {
        let store = Store::open(&self.config(), migrations, Arc::new(())).unwrap();
        assert_eq!(store.engine(), self.engine());
        store
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self {
            Self::Sqlite { folder } => {
                let _ = std::fs::remove_dir_all(folder);
            }
            Self::Postgres { url, schema } => drop_schema(url, schema),
        }
    }
}

fn drop_schema(url: &str, schema: &str) {
    let (url, schema) = (url.to_owned(), schema.to_owned());
    // A thread, since the client must not be used on one of a runtime.
    let dropped = std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls)?;
        client.batch_execute(&format!(
            "SET client_min_messages = error; DROP SCHEMA IF EXISTS {schema} CASCADE"
        ))
    });
    dropped.join().unwrap().unwrap();
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a test on a new database.
pub(crate) fn run<F: Future<Output = ()>>(engine: Engine, test: impl FnOnce(Database) -> F) {
    if let Some(database) = Database::new(engine) {
        runtime().block_on(async {
            tokio::time::timeout(DEADLINE, test(database.clone()))
                .await
                .expect("the test ran into its deadline");
        });
    }
}

/// Makes a test of each function, once for each engine.
macro_rules! on_both_engines {
    ($($name:ident)+) => {
        mod sqlite {
            $(#[test] fn $name() { crate::harness::run(hiroba_store::Engine::Sqlite, super::$name); })+
        }
        mod postgres {
            $(#[test] fn $name() { crate::harness::run(hiroba_store::Engine::Postgres, super::$name); })+
        }
    };
}
pub(crate) use on_both_engines;

/// Panics without the message that would only confuse the log of a passing test.
pub(crate) fn quiet_panic() -> ! {
    std::panic::resume_unwind(Box::new("a test's panic"))
}

/// A small generator of repeatable numbers.
pub(crate) struct Random(u64);

impl Random {
    /// From the variable `HIROBA_TEST_SEED`, or a new seed. Prints it: shown when the test fails.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("HIROBA_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("HIROBA_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
