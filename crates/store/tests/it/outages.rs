//! Connections to PostgreSQL that break, and a disk that is full.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use hiroba_store::{Engine, Migration, Observer, PostgresConfig, Store, StoreConfig, StoreError, Tx, params};

use crate::harness::{Database, TABLES, run};

const PUT: &str = "INSERT INTO entry (owner, id, number) VALUES ('o', $1, $2)";
const NUMBERS: &str = "SELECT number FROM entry ORDER BY number";
const PROCESS: &str = "SELECT pg_backend_pid()";

#[derive(Default)]
struct Retries(AtomicU32);

impl Observer for Retries {
    fn retried(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn numbers(store: &Store) -> Vec<i64> {
    store.read::<_, StoreError, _>(|tx| tx.query(NUMBERS, &[], |row| row.int(0))).await.unwrap()
}

/// Ends a server process from another connection, and waits until it has ended.
fn terminate(process: i64) {
    std::thread::spawn(move || {
        let url = std::env::var(crate::harness::URL).unwrap();
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        let sql = "SELECT pg_terminate_backend($1, 10000)";
        assert!(client.query_one(sql, &[&i32::try_from(process).unwrap()]).unwrap().get::<_, bool>(0));
    })
    .join()
    .unwrap();
}

fn process(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    Ok(tx.query_opt(PROCESS, &[], |row| row.int(0))?.unwrap())
}

#[test]
fn a_transaction_survives_its_connection() {
    run(Engine::Postgres, async |db: Database| {
        let retries = Arc::new(Retries::default());
        let store = Store::open(&db.config(), TABLES, retries.clone()).unwrap();
        let mut attempts = 0;
        let write = store.write::<_, StoreError, _>(move |tx| {
            attempts += 1;
            tx.execute(PUT, params!["a", attempts])?;
            if attempts == 1 {
                terminate(process(tx)?);
            }
            tx.execute(PUT, params!["b", attempts + 10])?;
            Ok(attempts)
        });
        assert_eq!(write.await, Ok(2));
        assert_eq!(retries.0.load(Ordering::SeqCst), 1);
        assert_eq!(numbers(&store).await, [2, 12]);
        store.close().await;
    });
}

#[test]
fn a_connection_that_broke_while_idle_is_replaced() {
    run(Engine::Postgres, async |db: Database| {
        let StoreConfig::Postgres(mut config) = db.config() else { unreachable!() };
        (config.writers, config.readers) = (1, 1);
        let store = Store::open(&StoreConfig::Postgres(config), TABLES, Arc::new(())).unwrap();
        for number in 0..5 {
            let used = store.write::<_, StoreError, _>(move |tx| {
                tx.execute(PUT, params![&number.to_string(), number])?;
                process(tx)
            });
            terminate(used.await.unwrap());
            terminate(store.read(process).await.unwrap());
        }
        assert_eq!(numbers(&store).await, [0, 1, 2, 3, 4]);
        store.close().await;
    });
}

#[test]
fn a_lost_answer_to_commit_is_not_repeated() {
    run(Engine::Postgres, async |db: Database| {
        // A trigger that runs inside COMMIT ends the connection there.
        let trigger = Migration {
            version: 2,
            name: "break the connection",
            sql: "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS \
                  'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
                  CREATE CONSTRAINT TRIGGER break AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED
                  FOR EACH ROW EXECUTE FUNCTION break();",
        };
        let store = db.open_with(&[TABLES[0], trigger]);
        let attempts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&attempts);
        let write = store.write::<_, StoreError, _>(move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            tx.on_commit(|| unreachable!("an effect of what may not have happened"));
            tx.execute(PUT, params!["a", 1])
        });
        assert_eq!(write.await, Err(StoreError::CommitUnknown));
        assert_eq!(attempts.load(Ordering::SeqCst), 1);
        // The worker has a new connection.
        let deleted = store.write::<_, StoreError, _>(|tx| tx.execute("DELETE FROM entry", &[]));
        assert_eq!(deleted.await, Ok(0));
        store.close().await;
    });
}

#[test]
fn a_closure_may_hide_the_conflict() {
    run(Engine::Postgres, async |db: Database| {
        #[derive(Debug, PartialEq)]
        struct Opaque;
        impl From<StoreError> for Opaque {
            fn from(_: StoreError) -> Self {
                Self
            }
        }
        let retries = Arc::new(Retries::default());
        let store = Store::open(&db.config(), TABLES, retries.clone()).unwrap();
        store.write::<_, StoreError, _>(|tx| tx.execute(PUT, params!["a", 0])).await.unwrap();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .write::<_, Opaque, _>(|tx| {
                            tx.lock_row("a");
                            let number = tx.query_opt(NUMBERS, &[], |row| row.int(0))?.unwrap();
                            tx.execute("UPDATE entry SET number = $1", params![number + 1])
                                .map_err(|_| Opaque)
                        })
                        .await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(1));
        }
        assert_eq!(numbers(&store).await, [16]);
        store.close().await;
    });
}

#[test]
fn an_unreachable_server_is_named() {
    // Port 1 of this host answers nobody.
    let config = PostgresConfig::new("postgresql://nobody@127.0.0.1:1/nothing");
    let error = Store::open(&StoreConfig::Postgres(config), TABLES, Arc::new(())).err().unwrap();
    assert!(matches!(&error, StoreError::Unavailable(text) if text.contains("refused")), "{error}");
}

#[test]
fn encryption_is_not_given_up() {
    // The server of the tests speaks no TLS: a connection that must be encrypted fails instead of going on without.
    let Ok(url) = std::env::var(crate::harness::URL) else { return };
    let separator = if url.contains('?') { '&' } else { '?' };
    let config = PostgresConfig::new(format!("{url}{separator}sslmode=require"));
    let error = Store::open(&StoreConfig::Postgres(config), TABLES, Arc::new(())).err().unwrap();
    assert!(matches!(&error, StoreError::Unavailable(text) if text.contains("TLS")), "{error}");
}

/// An error that ends the shared transaction reaches every caller in it, and nobody else's work is lost.
#[test]
fn a_full_disk_is_told_to_whom_it_concerns() {
    run(Engine::Sqlite, async |db: Database| {
        let store = db.open();
        let limit = store.write::<_, StoreError, _>(|tx| {
            tx.query_opt("PRAGMA max_page_count = 200", &[], |row| row.int(0))
        });
        assert_eq!(limit.await, Ok(Some(200)));
        let writes: Vec<_> = (0..200)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .write::<_, StoreError, _>(move |tx| {
                            let sql = "INSERT INTO entry (owner, id, number, bytes) VALUES ('o', $1, $2, $3)";
                            // A tenth of them alone is more than the disk holds.
                            let bytes = vec![1; if number % 10 == 5 { 2 << 20 } else { 10 }];
                            tx.execute(sql, params![&number.to_string(), number, &bytes])
                        })
                        .await
                })
            })
            .collect();
        let mut written = Vec::new();
        for (number, write) in (0_i64..).zip(writes) {
            match write.await.unwrap() {
                Ok(_) => written.push(number),
                Err(error) => assert!(error.to_string().contains("full"), "{error}"),
            }
        }
        assert!(written.iter().all(|number| number % 10 != 5));
        assert_eq!(numbers(&store).await, written);
        let after = store.write::<_, StoreError, _>(|tx| tx.execute(PUT, params!["after", 1_000]));
        assert_eq!(after.await, Ok(1));
        store.close().await;
    });
}
