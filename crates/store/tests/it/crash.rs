//! A process that is killed loses nothing that it acknowledged, and leaves nothing half done.
//!
//! The test program starts itself again as the process that writes; the test `the_process_that_is_killed` does
//! nothing unless it is told to.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use hiroba_store::{Engine, Migration, Store, StoreError, params};

use crate::harness::{Database, Random, runtime};

const ROUNDS: usize = 24;
const PLACE: &str = "HIROBA_TEST_CRASH_PLACE";
const FIRST: &str = "HIROBA_TEST_CRASH_FIRST";
/// Rows of one transaction.
const PARTS: i64 = 3;
const TASKS: usize = 8;

const TABLES: &[Migration] = &[Migration {
    version: 1,
    name: "tables of the crash test",
    sql: "CREATE TABLE part (number BIGINT NOT NULL, part BIGINT NOT NULL, revision BIGINT NOT NULL,
              PRIMARY KEY (number, part)) /*sqlite WITHOUT ROWID*/;
          CREATE TABLE total (id BIGINT NOT NULL PRIMARY KEY, parts BIGINT NOT NULL);
          INSERT INTO total VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0);",
}];

const INSERT: &str = "INSERT INTO part (number, part, revision) VALUES ($1, $2, hiroba_next_revision())";
const COUNT: &str = "UPDATE total SET parts = parts + 1 WHERE id = $1";
const NUMBERS: &str =
    "SELECT number, count(*), min(part), max(part) FROM part GROUP BY number ORDER BY number";
const SUMS: &str = "SELECT (SELECT sum(parts) FROM total), (SELECT count(*) FROM part),
                           (SELECT count(*) FROM (SELECT DISTINCT revision FROM part) AS different),
                           (SELECT max(revision) FROM part)";

#[test]
fn the_process_that_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let engine = if place.contains('/') { Engine::Sqlite } else { Engine::Postgres };
    let first: i64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Store::open(&Database::existing(engine, &place).config(), TABLES, Arc::new(())).unwrap();
    let next = Arc::new(AtomicI64::new(first));
    runtime().block_on(async {
        let tasks: Vec<_> =
            (0..TASKS).map(|task| tokio::spawn(write(store.clone(), task, next.clone()))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn write(store: Store, task: usize, next: Arc<AtomicI64>) {
    let task = i64::try_from(task).unwrap();
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let write = store.write::<_, StoreError, _>(move |tx| {
            for part in 0..PARTS {
                tx.execute(INSERT, params![number, part])?;
                tx.execute(COUNT, params![task])?;
            }
            Ok(())
        });
        write.await.unwrap();
        // One call, so that a line is there whole.
        std::io::stdout().write_all(format!("acknowledged {number}\n").as_bytes()).unwrap();
    }
}

fn rounds(engine: Engine) {
    let Some(db) = Database::new(engine) else { return };
    let mut random = Random::new();
    let mut acknowledged = Vec::new();
    let mut revision = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
            .env(PLACE, db.name())
            .env(FIRST, (round * 1_000_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut number = || loop {
            let line = lines.next()?.ok()?;
            if let Some(number) = line.strip_prefix("acknowledged ") {
                return Some(number.parse::<i64>().unwrap());
            }
        };
        for _ in 0..=random.below(300) {
            acknowledged.push(number().expect("the process ended before it was killed"));
        }
        // What it was doing when the last of these lines came is not known here: anything.
        child.kill().unwrap();
        // Lines that it had still written count as well.
        acknowledged.extend(std::iter::from_fn(number));
        child.wait().unwrap();
        let last = runtime().block_on(check(&db, &acknowledged));
        assert!(last > revision, "revision {last} after {revision}");
        revision = last;
    }
    println!("{} acknowledged transactions over {ROUNDS} rounds", acknowledged.len());
}

/// Answers a revision drawn after the restart.
async fn check(db: &Database, acknowledged: &[i64]) -> i64 {
    let store = db.open_with(TABLES);
    let read = store.read::<_, StoreError, _>(|tx| {
        let numbers =
            tx.query(NUMBERS, &[], |row| Ok((row.int(0)?, (row.int(1)?, row.int(2)?, row.int(3)?))))?;
        let sums = tx.query_opt(SUMS, &[], |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?)))?;
        Ok((numbers, sums))
    });
    let (numbers, sums) = read.await.unwrap();
    let numbers: std::collections::BTreeMap<_, _> = numbers.into_iter().collect();
    for (number, parts) in &numbers {
        assert_eq!(*parts, (PARTS, 0, PARTS - 1), "transaction {number} is not whole");
    }
    for number in acknowledged {
        assert!(numbers.contains_key(number), "acknowledged transaction {number} is lost");
    }
    let (total, rows, revisions, revision_max) = sums.unwrap();
    assert_eq!((total, rows, revisions), (rows, rows, rows), "total, rows and revisions differ");
    let drawn = store
        .write::<_, StoreError, _>(|tx| tx.query_opt("SELECT hiroba_next_revision()", &[], |row| row.int(0)));
    let drawn = drawn.await.unwrap().unwrap();
    assert!(drawn > revision_max, "revision {drawn} after {revision_max}");
    store.close().await;
    drawn
}

#[test]
fn a_killed_process_loses_nothing_on_sqlite() {
    rounds(Engine::Sqlite);
}

#[test]
fn a_killed_process_loses_nothing_on_postgres() {
    rounds(Engine::Postgres);
}

/// A second process is refused while the first lives, and let in when it was killed.
#[test]
fn a_second_process_is_refused() {
    let db = Database::new(Engine::Sqlite).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(PLACE, db.name())
        .env(FIRST, "0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("acknowledged")));
    let error = Store::open(&db.config(), TABLES, Arc::new(())).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, StoreError::InUse { .. }), "{text}");
    assert!(text.contains(&format!("process {}", child.id())), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
    runtime().block_on(check(&db, &[0]));
}
