//! Schemas move forward, and only forward.

use std::sync::Arc;

use hiroba_store::{Migration, Store, StoreError, params};

use crate::harness::{Database, TABLES, on_both_engines};

on_both_engines! {
    an_older_schema_is_upgraded
    a_newer_schema_is_refused
    a_changed_migration_is_refused
    a_failed_migration_leaves_nothing
    one_text_serves_both_engines
    many_may_open_at_once
}

const SECOND: Migration = Migration {
    version: 2,
    name: "colours",
    sql: "ALTER TABLE entry ADD COLUMN colour TEXT; UPDATE entry SET colour = 'red';",
};

const PUT: &str = "INSERT INTO entry (owner, id, number) VALUES ('o', $1, 1)";
const COUNT: &str = "SELECT count(*) FROM entry";

fn open(db: &Database, migrations: &[Migration]) -> Result<Store, StoreError> {
    Store::open(&db.config(), migrations, Arc::new(()))
}

async fn count(store: &Store) -> i64 {
    store.read::<_, StoreError, _>(|tx| tx.query_opt(COUNT, &[], |row| row.int(0))).await.unwrap().unwrap()
}

async fn an_older_schema_is_upgraded(db: Database) {
    let store = db.open();
    store.write::<_, StoreError, _>(|tx| tx.execute(PUT, params!["a"])).await.unwrap();
    store.close().await;
    for _ in 0..2 {
        let store = open(&db, &[TABLES[0], SECOND]).unwrap();
        let colours =
            store.read::<_, StoreError, _>(|tx| tx.query("SELECT colour FROM entry", &[], |row| row.text(0)));
        assert_eq!(colours.await.unwrap(), ["red"]);
        store.close().await;
    }
}

async fn a_newer_schema_is_refused(db: Database) {
    open(&db, &[TABLES[0], SECOND, Migration { version: 9, ..SECOND_AGAIN }]).unwrap().close().await;
    let error = open(&db, &[TABLES[0], SECOND]).err().unwrap();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 9, known: 2, component: "server", .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("version 9") && text.contains("up to 2"), "{text}");
    // It is as it was.
    open(&db, &[TABLES[0], SECOND, Migration { version: 9, ..SECOND_AGAIN }]).unwrap().close().await;
}

const SECOND_AGAIN: Migration =
    Migration { version: 3, name: "sizes", sql: "ALTER TABLE entry ADD COLUMN size BIGINT" };

async fn a_changed_migration_is_refused(db: Database) {
    db.open().close().await;
    let changed = Migration { sql: "CREATE TABLE other (id BIGINT)", ..TABLES[0] };
    let error = open(&db, &[changed, SECOND]).err().unwrap();
    assert!(matches!(error, StoreError::ChangedMigration { version: 1, .. }), "{error}");
    db.open().close().await;
}

async fn a_failed_migration_leaves_nothing(db: Database) {
    db.open().close().await;
    let broken = Migration {
        version: 2,
        name: "broken",
        sql: "CREATE TABLE half (id BIGINT); INSERT INTO half VALUES (1); SELECT * FROM nowhere;",
    };
    let error = open(&db, &[TABLES[0], broken]).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("server migration 2 (broken)"), "{text}");
    let corrected = Migration { sql: "CREATE TABLE half (id BIGINT)", ..broken };
    let store = open(&db, &[TABLES[0], corrected]).unwrap();
    assert_eq!(count(&store).await, 0);
    store.close().await;
}

async fn one_text_serves_both_engines(db: Database) {
    let tables = Migration {
        version: 1,
        name: "marks",
        sql: "CREATE TABLE one (id TEXT NOT NULL PRIMARY KEY) /*sqlite WITHOUT ROWID*/ /*postgres WITH (fillfactor = 70)*/;",
    };
    let store = open(&db, &[tables]).unwrap();
    let rowid = store.prepare_all(&["SELECT rowid FROM one"]);
    assert_eq!(rowid.len(), 1, "neither engine has row numbers here");
    store.close().await;
}

async fn many_may_open_at_once(db: Database) {
    if db.path().is_some() {
        // A file has one server; `lifecycle` tests that.
        return;
    }
    let opened: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&db, &[TABLES[0], SECOND]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for store in opened {
        let store = store.unwrap();
        assert_eq!(count(&store).await, 0);
        store.close().await;
    }
}
