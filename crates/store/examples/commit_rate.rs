//! Prints how many durable read-modify-writes a second the store does with 1, 16 and 256 callers, and how much
//! processor time each of them takes.
//!
//! `cargo run --release -p hiroba-store --example commit_rate -- ./folder` measures SQLite in a folder that it makes,
//! with a URL instead of the folder PostgreSQL, in the schema `commit_rate`.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hiroba_store::{
    Migration, Observer, PostgresConfig, SqliteConfig, Store, StoreConfig, StoreError, params,
};

const SECONDS: f64 = 5.0;

const TABLES: &[Migration] = &[Migration {
    version: 1,
    name: "counters",
    sql: "CREATE TABLE counter (owner TEXT NOT NULL, id TEXT NOT NULL, value BIGINT NOT NULL,
              PRIMARY KEY (owner, id)) /*sqlite WITHOUT ROWID*/;",
}];

const SELECT: &str = "SELECT value FROM counter WHERE owner = $1 AND id = $2";
const PUT: &str = "INSERT INTO counter (owner, id, value) VALUES ($1, $2, $3)
                   ON CONFLICT (owner, id) DO UPDATE SET value = excluded.value";

#[derive(Default)]
struct Commits {
    commits: AtomicUsize,
    retries: AtomicUsize,
    inside_ns: AtomicU64,
}

impl Observer for Commits {
    fn committed(&self, _transactions: usize, elapsed: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.inside_ns.fetch_add(elapsed.as_nanos().try_into().unwrap_or(0), Ordering::Relaxed);
    }

    fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::args().nth(1).ok_or("name a folder or a PostgreSQL URL")?;
    let config = if place.contains("://") {
        let mut config = PostgresConfig::new(place);
        config.schema = Some("commit_rate".to_owned());
        StoreConfig::Postgres(config)
    } else {
        StoreConfig::Sqlite(SqliteConfig::new(std::path::Path::new(&place).join("commit_rate.sqlite")))
    };
    let commits = Arc::new(Commits::default());
    let store = Store::open(&config, TABLES, commits.clone())?;
    // The first call starts threads and connections.
    call(store.clone(), Subject::Own(0), Instant::now(), 0.0).await?;
    for callers in [1, 16, 256] {
        measure(&store, &commits, callers, Subject::Own).await?;
    }
    println!("all on one row, with lock_row:");
    measure(&store, &commits, 256, |_| Subject::Shared).await?;
    store.close().await;
    Ok(())
}

/// Which rows a caller works on.
#[derive(Clone, Copy)]
enum Subject {
    /// Sixteen of its own.
    Own(usize),
    /// The one that all work on.
    Shared,
}

async fn measure(
    store: &Store,
    commits: &Commits,
    callers: usize,
    subject: impl Fn(usize) -> Subject,
) -> Result<(), Box<dyn Error>> {
    let (commits_before, processor_before) = (commits.commits.load(Ordering::Relaxed), processor_seconds());
    let (writer_before, retries_before) =
        (thread_seconds("store-write"), commits.retries.load(Ordering::Relaxed));
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| tokio::spawn(call(store.clone(), subject(caller), started, SECONDS)))
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    waits.sort_unstable();
    let (count, p50, p99) = (waits.len(), waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    let per_call = |seconds: Option<f64>| {
        seconds.map_or_else(|| "?".to_owned(), |seconds| format!("{:.1} µs", seconds * 1e6 / count as f64))
    };
    println!(
        "{callers:>4} callers: {:>7.0} a second, {:>6.1} a commit, p50 {p50:.1?}, p99 {p99:.1?}, longest {:.1?}; \
         processor for each: {} in all, {} on the writer's thread; {} retries",
        count as f64 / seconds,
        count as f64 / (commits.commits.load(Ordering::Relaxed) - commits_before) as f64,
        waits[count - 1],
        per_call(processor_seconds().zip(processor_before).map(|(after, before)| after - before)),
        per_call(thread_seconds("store-write").zip(writer_before).map(|(after, before)| after - before)),
        commits.retries.load(Ordering::Relaxed) - retries_before,
    );
    Ok(())
}

async fn call(
    store: Store,
    subject: Subject,
    started: Instant,
    seconds: f64,
) -> Result<Vec<Duration>, StoreError> {
    let mut waits = Vec::new();
    let mut turn = 0;
    while turn == 0 || started.elapsed().as_secs_f64() < seconds {
        turn += 1;
        let id = match subject {
            Subject::Own(caller) => format!("user-{caller:04}-{:02}", turn % 16),
            Subject::Shared => "shared".to_owned(),
        };
        let asked = Instant::now();
        store
            .write::<_, StoreError, _>(move |tx| {
                if matches!(subject, Subject::Shared) {
                    tx.lock_row(&id);
                }
                let value = tx.query_opt(SELECT, params!["owner", &id], |row| row.int(0))?;
                tx.execute(PUT, params!["owner", &id, value.unwrap_or(0) + 1])
            })
            .await?;
        waits.push(asked.elapsed());
    }
    Ok(waits)
}

/// Processor time of this process, where the system tells it as Linux does.
fn processor_seconds() -> Option<f64> {
    ticks(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Processor time of the thread whose name is this.
fn thread_seconds(name: &str) -> Option<f64> {
    std::fs::read_dir("/proc/self/task").ok()?.flatten().find_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        stat.contains(&format!("({name})")).then(|| ticks(&stat))?
    })
}

/// User and system time of a `stat` line, in ticks of 10 ms.
fn ticks(stat: &str) -> Option<f64> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
