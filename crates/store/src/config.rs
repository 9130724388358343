//! What a store is opened with.

use std::{path::PathBuf, time::Duration};

/// Which engine, and how it is set up.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// The embedded engine.
    Sqlite(SqliteConfig),
    /// A PostgreSQL server.
    Postgres(PostgresConfig),
}

/// Settings of the embedded engine.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The database file. It and its folder are made when missing, readable by their owner only.
    pub path: PathBuf,
    /// Threads that run `read`, each with a connection of its own; at least 1. Default 2.
    pub readers: usize,
    /// Closures that share one commit at most; at least 1. Default 512.
    pub batch_max: usize,
    /// Page cache of the writer in KiB; a reader gets a quarter of it. Default 16384.
    pub cache_kib: i64,
}

impl SqliteConfig {
    /// The defaults, for the given file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 2, batch_max: 512, cache_kib: 16_384 }
    }
}

/// Settings of the connection to PostgreSQL.
///
/// The connection is encrypted when the URL says `sslmode=require`; the server's certificate is then checked
/// against `sslrootcert=/path/to/roots.pem` of the same URL, or the well-known public roots without it. With any
/// other `sslmode` the connection is not encrypted.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgresql://user:password@host:port/database?sslmode=require`.
    pub url: String,
    /// Threads that run `write`, each with a connection of its own; at least 1. Default 16.
    pub writers: usize,
    /// Threads that run `read`, each with a connection of its own; at least 1. Default 4.
    pub readers: usize,
    /// Schema of every table (the session's `search_path`), created when missing; the server's default if `None`.
    pub schema: Option<String>,
}

impl PostgresConfig {
    /// The defaults, for the given URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), writers: 16, readers: 4, schema: None }
    }
}

// By hand, since the URL may hold a password.
impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("writers", &self.writers)
            .field("readers", &self.readers)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// The engine behind a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded engine.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// Hears what the store does, for metrics. Called on the store's threads: it must return at once.
pub trait Observer: Send + Sync + 'static {
    /// One commit made this many transactions durable, this long after the first of them began.
    fn committed(&self, transactions: usize, elapsed: Duration) {
        let _ = (transactions, elapsed);
    }

    /// A transaction conflicted with another one, or lost its connection, and is run again.
    fn retried(&self) {}
}

/// Hears nothing.
impl Observer for () {}
