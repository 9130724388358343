//! Opening, closing, and callers that go away.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use hiroba_store::{Observer, Store, StoreConfig, StoreError, params};

use crate::harness::{Database, TABLES, on_both_engines};

on_both_engines! {
    closing_finishes_what_is_queued
    a_closed_store_refuses
    a_full_queue_waits
    a_caller_may_go_away
    commits_are_counted
    a_file_has_one_server
    the_file_is_for_its_owner_only
    the_log_stays_bounded
}

const PUT: &str = "INSERT INTO entry (owner, id, number) VALUES ('o', $1, $2)
                   ON CONFLICT (owner, id) DO UPDATE SET number = excluded.number";
const NUMBERS: &str = "SELECT number FROM entry ORDER BY number";

async fn put(store: Store, number: i64) -> Result<u64, StoreError> {
    store.write(move |tx| tx.execute(PUT, params![&number.to_string(), number])).await
}

async fn numbers(store: &Store) -> Vec<i64> {
    store.read::<_, StoreError, _>(|tx| tx.query(NUMBERS, &[], |row| row.int(0))).await.unwrap()
}

async fn closing_finishes_what_is_queued(db: Database) {
    let store = db.open();
    let mut writes: Vec<_> = (0..100).map(|number| Box::pin(put(store.clone(), number))).collect();
    poll_fn(|context| {
        for write in &mut writes {
            assert!(write.as_mut().poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    // Twice at once: both wait for the end.
    tokio::join!(store.close(), store.close());
    for write in writes {
        assert_eq!(write.await, Ok(1));
    }
    if let Some(path) = db.path() {
        let log = path.with_extension("sqlite-wal");
        assert!(std::fs::metadata(&log).map_or(0, |log| log.len()) == 0, "the log was not emptied");
    }
    let store = db.open();
    assert_eq!(numbers(&store).await, (0..100).collect::<Vec<_>>());
    store.close().await;
}

async fn a_closed_store_refuses(db: Database) {
    let store = db.open();
    let other = store.clone();
    store.close().await;
    store.close().await;
    assert_eq!(put(other.clone(), 1).await, Err(StoreError::Closed));
    assert_eq!(other.read::<_, StoreError, _>(|tx| tx.execute(NUMBERS, &[])).await, Err(StoreError::Closed));
    assert_eq!(
        other.dry_run::<_, StoreError, _>(|tx| tx.execute(NUMBERS, &[])).await,
        Err(StoreError::Closed)
    );
    // What was closed can be opened again at once.
    db.open().close().await;
}

/// Past the limit callers wait for room; when the store closes meanwhile they are refused, and nothing is half done.
async fn a_full_queue_waits(db: Database) {
    const QUEUED: i64 = 8_192;
    const MORE: i64 = 500;
    if db.path().is_none() {
        // The queue is the same for both; here one thread can be held.
        return;
    }
    for close in [false, true] {
        let store = db.open();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (to_test, mut held) = tokio::sync::mpsc::channel(1);
        let holder = tokio::spawn({
            let store = store.clone();
            async move {
                store
                    .write::<_, StoreError, _>(move |tx| {
                        to_test.blocking_send(()).unwrap();
                        let _ = wait.recv();
                        tx.execute("DELETE FROM entry", &[])
                    })
                    .await
            }
        });
        held.recv().await.unwrap();
        let mut writes: Vec<_> =
            (0..QUEUED + MORE).map(|number| tokio::spawn(put(store.clone(), number))).collect();
        // The tasks that are spawned last run last, so that the others have entered or wait.
        writes.push(tokio::spawn(async { Ok(0) }));
        writes.pop().unwrap().await.unwrap().unwrap();
        let closing = tokio::spawn({
            let store = store.clone();
            async move {
                if close {
                    store.close().await;
                }
            }
        });
        drop(go);
        holder.await.unwrap().unwrap();
        let mut written = Vec::new();
        for (number, write) in (0..).zip(writes) {
            match write.await.unwrap() {
                Ok(_) => written.push(number),
                Err(error) => assert!(close && error == StoreError::Closed, "{error}"),
            }
        }
        closing.await.unwrap();
        store.close().await;
        let store = db.open();
        assert_eq!(numbers(&store).await, written);
        assert!(close || written.len() == usize::try_from(QUEUED + MORE).unwrap());
        store.close().await;
    }
}

async fn a_caller_may_go_away(db: Database) {
    let store = db.open();
    for number in 0..20 {
        // Queued by the first poll, then forgotten.
        let mut write = Box::pin(put(store.clone(), number));
        poll_fn(|context| Poll::Ready(write.as_mut().poll(context).is_pending())).await;
    }
    // Never polled: never run.
    drop(put(store.clone(), 100));
    store.close().await;
    let store = db.open();
    assert_eq!(numbers(&store).await, (0..20).collect::<Vec<_>>());
    store.close().await;
}

async fn commits_are_counted(db: Database) {
    #[derive(Default)]
    struct Counts(AtomicUsize);
    impl Observer for Counts {
        fn committed(&self, transactions: usize, elapsed: Duration) {
            assert!(elapsed < crate::harness::DEADLINE);
            self.0.fetch_add(transactions, Ordering::SeqCst);
        }
    }
    let counts = Arc::new(Counts::default());
    let store = Store::open(&db.config(), TABLES, counts.clone()).unwrap();
    let writes: Vec<_> = (0..50).map(|number| tokio::spawn(put(store.clone(), number))).collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let failed = store.write::<(), StoreError, _>(|_| Err(StoreError::ReadOnly)).await;
    assert_eq!(failed, Err(StoreError::ReadOnly));
    store.close().await;
    assert_eq!(counts.0.load(Ordering::SeqCst), 50);
}

async fn a_file_has_one_server(db: Database) {
    let Some(path) = db.path() else { return };
    let store = db.open();
    let error = Store::open(&db.config(), TABLES, Arc::new(())).err().unwrap();
    let text = error.to_string();
    assert!(matches!(&error, StoreError::InUse { path: named, .. } if *named == path), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert_eq!(put(store.clone(), 1).await, Ok(1));
    store.close().await;
    let store = db.open();
    assert_eq!(numbers(&store).await, [1]);
    store.close().await;
}

async fn the_file_is_for_its_owner_only(db: Database) {
    let Some(path) = db.path() else { return };
    let store = db.open();
    put(store.clone(), 1).await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
        }
    }
    store.close().await;
}

/// Under constant writing and reading the log neither grows for ever nor stops being copied back.
async fn the_log_stays_bounded(db: Database) {
    let StoreConfig::Sqlite(config) = db.config() else { return };
    const BYTES: usize = 256 << 10;
    const WRITES: usize = 1_600;
    let store = db.open();
    let writers = (0..4).map(|writer: i64| {
        let store = store.clone();
        tokio::spawn(async move {
            for turn in 0..WRITES / 4 {
                // Other bytes each time: an engine that finds the same ones need not write.
                let bytes = vec![turn.to_le_bytes()[0]; BYTES];
                let write = store.write::<_, StoreError, _>(move |tx| {
                    let sql = "INSERT INTO entry (owner, id, bytes) VALUES ('b', $1, $2)
                               ON CONFLICT (owner, id) DO UPDATE SET bytes = excluded.bytes";
                    tx.execute(sql, params![&writer.to_string(), &bytes])
                });
                write.await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                let read = store.read::<_, StoreError, _>(|tx| {
                    tx.query("SELECT length(bytes) FROM entry", &[], |row| row.int(0))
                });
                if read.await.is_err() {
                    break;
                }
            }
        }
    });
    let mut longest = 0;
    for writer in writers {
        writer.await.unwrap();
        longest = longest.max(std::fs::metadata(config.path.with_extension("sqlite-wal")).unwrap().len());
    }
    // 400 MiB went through it; the limit is 96 MiB and a batch.
    assert!(longest < 112 << 20, "the log has {longest} bytes");
    let close = pin!(store.close());
    close.await;
    reader.await.unwrap();
}
