//! Transactions at the same time behave as if they came one after the other.

use hiroba_store::{Store, StoreError, params};

use crate::harness::{Database, on_both_engines};

on_both_engines! {
    increments_are_not_lost
    increments_with_lock_row_are_not_lost
    reads_and_writes_do_not_cross
    revisions_only_grow
}

const PUT: &str = "INSERT INTO entry (owner, id, number) VALUES ('o', $1, $2)";
const NUMBER: &str = "SELECT number FROM entry WHERE owner = 'o' AND id = $1";
const SET: &str = "UPDATE entry SET number = $2 WHERE owner = 'o' AND id = $1";

async fn read(store: &Store, id: &'static str) -> i64 {
    let read = store.read::<_, StoreError, _>(move |tx| tx.query_opt(NUMBER, params![id], |row| row.int(0)));
    read.await.unwrap().unwrap()
}

async fn increments_are_not_lost(db: Database) {
    increment(&db, 16, 10, false).await;
}

async fn increments_with_lock_row_are_not_lost(db: Database) {
    increment(&db, 64, 20, true).await;
}

async fn increment(db: &Database, tasks: i64, times: i64, lock: bool) {
    let store = db.open();
    store.write::<_, StoreError, _>(|tx| tx.execute(PUT, params!["a", 0])).await.unwrap();
    let tasks_running = (0..tasks).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..times {
                let write = store.write::<_, StoreError, _>(move |tx| {
                    if lock {
                        tx.lock_row("a");
                    }
                    let number = tx.query_opt(NUMBER, params!["a"], |row| row.int(0))?;
                    tx.execute(SET, params!["a", number.map(|number| number + 1)])
                });
                assert_eq!(write.await, Ok(1));
            }
        })
    });
    for task in tasks_running.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(read(&store, "a").await, tasks * times);
    store.close().await;
}

/// Each transaction takes from one account only what both hold together: possible only if none misses another.
async fn reads_and_writes_do_not_cross(db: Database) {
    let store = db.open();
    for id in ["a", "b"] {
        store.write::<_, StoreError, _>(move |tx| tx.execute(PUT, params![id, 50])).await.unwrap();
    }
    let tasks = (0..40).map(|task| {
        let store = store.clone();
        let id = if task % 2 == 0 { "a" } else { "b" };
        tokio::spawn(async move {
            store
                .write::<_, StoreError, _>(move |tx| {
                    let mut get = |id| tx.query_opt(NUMBER, params![id], |row| row.int(0));
                    let (a, b) = (get("a")?.unwrap(), get("b")?.unwrap());
                    let own = if id == "a" { a } else { b };
                    if a + b < 10 {
                        return Ok(false);
                    }
                    tx.execute(SET, params![id, own - 10])?;
                    Ok(true)
                })
                .await
        })
    });
    let mut taken = 0;
    for task in tasks.collect::<Vec<_>>() {
        taken += i32::from(task.await.unwrap().unwrap());
    }
    assert_eq!(taken, 10);
    assert_eq!(read(&store, "a").await + read(&store, "b").await, 0);
    store.close().await;
}

async fn revisions_only_grow(db: Database) {
    let mut last = 0;
    for _ in 0..3 {
        let store = db.open();
        for round in 0..20 {
            // Drawn by transactions that commit, fail, or are only tried.
            let draw = move |tx: &mut hiroba_store::Tx<'_>| {
                let mut drawn = Vec::new();
                for _ in 0..3 {
                    drawn.extend(tx.query_opt("SELECT hiroba_next_revision()", &[], |row| row.int(0))?);
                }
                let sql = "INSERT INTO entry (owner, id, number) VALUES ('r', $1, hiroba_next_revision())
                           ON CONFLICT (owner, id) DO UPDATE SET number = hiroba_next_revision() RETURNING number";
                drawn.extend(tx.query_opt(sql, params!["a"], |row| row.int(0))?);
                Ok::<_, StoreError>(drawn)
            };
            let drawn = match round % 2 {
                0 => store.write(draw).await,
                _ => store.dry_run(draw).await,
            };
            for number in drawn.unwrap() {
                assert!(number > last, "{number} came after {last}");
                last = number;
            }
        }
        store.close().await;
    }
}
