//! The handle that the rest of the server holds.

use std::sync::{Arc, mpsc};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    config::{Engine, Observer, StoreConfig},
    error::StoreError,
    job::{Outcome, pair},
    migration::Migration,
    postgresql,
    queue::Queue,
    running::Running,
    sqlite,
    tx::Tx,
};

/// A cheap handle on an open store. The store's threads end after [`Store::close`], or some time after the last
/// handle was dropped.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    write: Arc<Queue>,
    read: Arc<Queue>,
    /// Taken by the first `close`.
    running: Mutex<Option<Running>>,
    /// Whether everything has ended.
    ended: watch::Sender<bool>,
}

impl Store {
    /// Opens a store, applies the migrations that it lacks and starts its threads. Blocks meanwhile.
    ///
    /// A newer schema, a changed migration or a file in use is refused before anything is changed.
    pub fn open(
        config: &StoreConfig,
        migrations: &[Migration],
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let (engine, running) = match config {
            StoreConfig::Sqlite(config) => (Engine::Sqlite, sqlite::open(config, migrations, observer)?),
            StoreConfig::Postgres(config) => {
                (Engine::Postgres, postgresql::open(config, migrations, &observer)?)
            }
        };
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                write: Arc::clone(&running.write),
                read: Arc::clone(&running.read),
                running: Mutex::new(Some(running)),
                ended: watch::Sender::new(false),
            }),
        })
    }

    /// The engine behind it.
    pub fn engine(&self) -> Engine {
        self.inner.engine
    }

    /// Runs the closure as a transaction; returns when what it wrote is on disk.
    ///
    /// `Ok` commits and `Err` rolls back. When the future is dropped the closure runs all the same, or not at all.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        submit(&self.inner.write, f, Outcome::Keep).await
    }

    /// Runs the closure as `write` does, but rolls back even when it answers `Ok`. Its effects are dropped.
    pub async fn dry_run<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        submit(&self.inner.write, f, Outcome::Discard).await
    }

    /// Runs the closure on a snapshot that holds at least everything acknowledged before the call. A statement that
    /// writes is an error.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        submit(&self.inner.read, f, Outcome::Keep).await
    }

    /// Prepares each statement without running it and returns those that the engine refused. Blocks meanwhile.
    pub fn prepare_all(&self, statements: &[&'static str]) -> Vec<(&'static str, StoreError)> {
        let statements = statements.to_vec();
        let unprepared = statements.clone();
        let (sender, receiver) = mpsc::channel();
        let check = move |tx: &mut Tx<'_>| {
            let refused: Vec<_> = statements
                .iter()
                .filter_map(|sql| tx.prepare(sql).err().map(|error| (*sql, error)))
                .collect();
            let _ = sender.send(refused);
            Ok::<(), StoreError>(())
        };
        let (job, _answer) = pair(check, Outcome::Discard);
        let closed = |_| unprepared.into_iter().map(|sql| (sql, StoreError::Closed)).collect();
        match self.inner.write.push_now(job) {
            Ok(()) => receiver.recv().map_err(|_| StoreError::Closed).unwrap_or_else(closed),
            Err(error) => closed(error),
        }
    }

    /// Finishes what is queued and ends the store's threads; on SQLite the log is copied into the file. Later calls,
    /// of every handle, get [`StoreError::Closed`].
    pub async fn close(&self) {
        let running = self.inner.running.lock().take();
        if let Some(mut running) = running {
            let inner = Arc::clone(&self.inner);
            let end = move || {
                running.end();
                inner.ended.send_replace(true);
            };
            // Joining threads blocks, which a task must not. When this future is dropped it goes on.
            if std::thread::Builder::new().name("store-end".to_owned()).spawn(end).is_err() {
                // `running` was dropped with the closure, which closed the queues.
                self.inner.ended.send_replace(true);
            }
        }
        // The sender lives as long as `self`.
        let _ = self.inner.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

async fn submit<T, E, F>(queue: &Queue, f: F, outcome: Outcome) -> Result<T, E>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (job, answer) = pair(f, outcome);
    queue.push(job).await?;
    // A job is dropped unanswered only when it never ran.
    answer.await.unwrap_or_else(|_closed| Err(StoreError::Closed.into()))
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("engine", &self.engine()).finish_non_exhaustive()
    }
}
