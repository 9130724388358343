//! Opening the file: lock, settings, migrations, threads.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    checkpoint::Checkpoints,
    engine_error, reader,
    revision::{self, Revisions},
    writer::Writer,
};
use crate::{
    config::{Engine, Observer, SqliteConfig},
    dialect::translate,
    error::StoreError,
    migration::{self, Applied, Migration, Target},
    running::{Running, spawn},
};

/// How long the writer waits for a lock that a tool outside the server holds.
const WRITER_BUSY: Duration = Duration::from_secs(30);
/// How long a reader waits for a lock; in WAL mode it meets one only while the log is recovered.
const READER_BUSY: Duration = Duration::from_secs(10);

/// The store's own tables.
const OWN: &[Migration] = &[Migration {
    version: 1,
    name: "revision block",
    sql: "CREATE TABLE hiroba_revision (reserved BIGINT NOT NULL); INSERT INTO hiroba_revision VALUES (0);",
}];

/// Opens the file, brings it up to date and starts the threads.
pub(crate) fn open(
    config: &SqliteConfig,
    migrations: &[Migration],
    observer: Arc<dyn Observer>,
) -> Result<Running, StoreError> {
    let lock = Arc::new(lock(&config.path)?);
    let mut conn = connect(config, OpenFlags::SQLITE_OPEN_READ_WRITE, config.cache_kib)?;
    conn.busy_timeout(WRITER_BUSY).map_err(|error| engine_error(&error, "busy_timeout"))?;
    migration::migrate(&mut Schema { conn: &mut conn, path: &config.path }, OWN, migrations)?;
    let revisions = Revisions::open(&conn)?;

    let mut running = Running::new();
    for number in 0..config.readers.max(1) {
        let conn = connect(config, OpenFlags::SQLITE_OPEN_READ_ONLY, config.cache_kib / 4)?;
        conn.busy_timeout(READER_BUSY).map_err(|error| engine_error(&error, "busy_timeout"))?;
        revision::register_refusal(&conn)?;
        let queue = Arc::clone(&running.read);
        running.threads.push(spawn(format!("store-read-{number}"), &running.read, move || {
            reader::run(&conn, &queue);
        })?);
    }
    let checkpoints = Arc::new(Checkpoints::new());
    let checkpoint_conn = connect(config, OpenFlags::SQLITE_OPEN_READ_WRITE, config.cache_kib / 4)?;
    let checkpointer = {
        let checkpoints = Arc::clone(&checkpoints);
        // Held by the thread that lives longest, so that the file stays locked until nobody uses it.
        let lock = Arc::clone(&lock);
        spawn("store-checkpoint".to_owned(), &running.write, move || {
            checkpoints.run(&checkpoint_conn);
            drop(checkpoint_conn);
            drop(lock);
        })?
    };
    // The last connection empties the log and removes it.
    running.finish = Some({
        let checkpoints = Arc::clone(&checkpoints);
        Box::new(move || {
            checkpoints.stop();
            let _ = checkpointer.join();
        })
    });
    let writer = Writer {
        queue: Arc::clone(&running.write),
        checkpoints,
        observer,
        revisions,
        batch_max: config.batch_max.max(1),
        guarded: 0,
    };
    running.threads.push(spawn("store-write".to_owned(), &running.write, move || {
        writer.run(&conn);
        drop(conn);
        drop(lock);
    })?);
    Ok(running)
}

/// The lock on the file, given back when the last thread that uses the file has ended.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a process that is just being started may still hold a copy of the handle.
        let _ = self.0.unlock();
    }
}

/// Makes folder and file where they are missing, and takes the lock that keeps a second server out.
///
/// The lock is on a file of its own: SQLite locks parts of the database file itself, and shares it gladly.
fn lock(path: &Path) -> Result<Lock, StoreError> {
    let failed = |error: std::io::Error| StoreError::Config(format!("opening {}: {error}", path.display()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);

    let mut lock = options.open(lock_path(path)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            let holder = holder.trim().parse::<u32>();
            let holder = holder.map_or_else(|_| String::new(), |id| format!(" (process {id})"));
            return Err(StoreError::InUse { path: path.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // The number only serves the message above; without it the lock is as good.
    let _ =
        lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| write!(lock, "{}", std::process::id()));
    // SQLite gives its log the mode of the database, which therefore is made here and not by SQLite.
    options.open(path).map_err(failed)?;
    Ok(Lock(lock))
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}

fn connect(config: &SqliteConfig, access: OpenFlags, cache_kib: i64) -> Result<Connection, StoreError> {
    // Each connection stays on one thread, so that it needs no mutex.
    let conn = Connection::open_with_flags(&config.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| engine_error(&error, "opening the database"))?;
    configure(&conn, cache_kib, access == OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| engine_error(&error, "setting up the connection"))?;
    Ok(conn)
}

fn configure(conn: &Connection, cache_kib: i64, writes: bool) -> rusqlite::Result<()> {
    if writes {
        conn.pragma_update(None, "journal_mode", "WAL")?;
        // An acknowledged transaction survives a power failure.
        conn.pragma_update(None, "synchronous", "FULL")?;
        // Checkpoints have their own thread.
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    }
    // Negative: KiB, not pages.
    conn.pragma_update(None, "cache_size", -cache_kib.max(64))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // An I/O error in a mapped page would end the process.
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "foreign_keys", false)?;
    // As PostgreSQL does: LIKE tells upper case from lower, and "x" is a name, never a string.
    conn.pragma_update(None, "case_sensitive_like", true)?;
    // A plan that looks at the values it is bound with, such as a LIMIT, would be made anew at each execution.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    Ok(())
}

/// The file as a target of migrations.
struct Schema<'a> {
    conn: &'a mut Connection,
    path: &'a Path,
}

impl Target for Schema<'_> {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn create_table(&mut self) -> Result<(), StoreError> {
        self.conn
            .execute_batch(migration::CREATE_TABLE)
            .map_err(|error| engine_error(&error, "hiroba_migration"))
    }

    fn applied(&mut self, component: &'static str) -> Result<Vec<Applied>, StoreError> {
        let read = |conn: &Connection| -> rusqlite::Result<Vec<Applied>> {
            if !conn.table_exists(None, "hiroba_migration")? {
                return Ok(Vec::new());
            }
            let mut statement = conn.prepare(migration::SELECT_APPLIED)?;
            let rows = statement
                .query_map([component], |row| Ok(Applied { version: row.get(0)?, checksum: row.get(1)? }))?;
            rows.collect()
        };
        read(self.conn).map_err(|error| engine_error(&error, "hiroba_migration"))
    }

    fn apply(&mut self, component: &'static str, migration: &Migration) -> Result<(), StoreError> {
        let apply = |conn: &mut Connection| -> rusqlite::Result<()> {
            let transaction = conn.transaction()?;
            transaction.execute_batch(&translate(migration.sql, Engine::Sqlite))?;
            let (version, checksum) = (migration.version, migration::checksum(migration.sql));
            transaction.execute(migration::INSERT_APPLIED, (component, version, migration.name, checksum))?;
            transaction.commit()
        };
        let context = format!("{component} migration {} ({})", migration.version, migration.name);
        apply(self.conn).map_err(|error| engine_error(&error, &context))
    }
}
