//! What commits, what is rolled back, and who notices.

use std::sync::{Arc, Mutex};

use hiroba_store::{Store, StoreError, Tx, params};

use crate::harness::{Database, on_both_engines, quiet_panic};

on_both_engines! {
    a_commit_is_seen_by_reads
    an_error_rolls_back
    a_panic_rolls_back
    neighbours_are_left_alone
    a_part_is_taken_back_alone
    a_failed_statement_fails_the_transaction
    a_dry_run_changes_nothing
    effects_follow_the_commit
    lost_effects_are_dropped
    a_read_cannot_write
    a_read_is_one_snapshot
    misuse_is_reported
    statements_are_checked_by_preparing
}

hiroba_store::statements! {
    /// Adds or replaces an entry.
    PUT = "INSERT INTO entry (owner, id, number) VALUES ('o', $1, $2)
           ON CONFLICT (owner, id) DO UPDATE SET number = excluded.number";
    /// Fails for an id that exists.
    INSERT = "INSERT INTO entry (owner, id, number) VALUES ('o', $2, $1)";
    /// Numbers in order of id.
    NUMBERS = "SELECT number FROM entry ORDER BY owner, id";
    /// One number.
    NUMBER = "SELECT number FROM entry WHERE owner = 'o' AND id = $1";
    /// Adds to a number.
    ADD = "UPDATE entry SET number = number + $2 WHERE owner = 'o' AND id = $1 RETURNING number";
}

#[derive(Debug, PartialEq)]
enum Error {
    Mine,
    Store(StoreError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn put(tx: &mut Tx<'_>, id: &str, number: i64) -> Result<(), StoreError> {
    assert_eq!(tx.execute(PUT, params![id, number])?, 1);
    Ok(())
}

async fn numbers(store: &Store) -> Vec<i64> {
    store.read::<_, StoreError, _>(|tx| tx.query(NUMBERS, &[], |row| row.int(0))).await.unwrap()
}

async fn a_commit_is_seen_by_reads(db: Database) {
    let store = db.open();
    for number in 0..50 {
        let put = store.write(move |tx| put(tx, "a", number)).await;
        assert_eq!(put, Ok(()));
        assert_eq!(numbers(&store).await, [number]);
    }
    store.close().await;
}

async fn an_error_rolls_back(db: Database) {
    let store = db.open();
    let failed = store.write(|tx| {
        put(tx, "a", 1)?;
        Err::<(), _>(Error::Mine)
    });
    assert_eq!(failed.await, Err(Error::Mine));
    assert_eq!(numbers(&store).await, [0; 0]);
    store.close().await;
}

async fn a_panic_rolls_back(db: Database) {
    let store = db.open();
    let failed = store.write::<(), _, _>(|tx| {
        put(tx, "a", 1)?;
        quiet_panic()
    });
    assert_eq!(failed.await, Err(StoreError::Panicked));
    // Also in the middle of reading rows.
    store.write(|tx| put(tx, "b", 2)).await.unwrap();
    let failed = store.write::<Vec<i64>, StoreError, _>(|tx| tx.query(NUMBERS, &[], |_| quiet_panic())).await;
    assert_eq!(failed, Err(StoreError::Panicked));
    assert_eq!(numbers(&store).await, [2]);
    store.close().await;
}

async fn a_part_is_taken_back_alone(db: Database) {
    let store = db.open();
    let happened = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&happened);
    let written = store.write(move |tx| {
        let tell = |tx: &mut Tx<'_>, what: &'static str| {
            let told = Arc::clone(&told);
            tx.on_commit(move || told.lock().unwrap().push(what));
        };
        // Before anything else, after a change, and inside of each other.
        for (id, number) in [("a", 1), ("b", 2)] {
            let failed = tx.part(|tx| {
                put(tx, id, 9)?;
                tell(tx, "lost");
                Err::<(), _>(Error::Mine)
            });
            assert_eq!(failed, Err(Error::Mine));
            tx.part(|tx| put(tx, id, number).map_err(Error::from))?;
        }
        let outer = tx.part(|tx| {
            put(tx, "c", 3)?;
            tell(tx, "kept");
            assert_eq!(
                tx.part(|tx| put(tx, "c", 8).map_err(Error::from).and(Err::<(), _>(Error::Mine))),
                Err(Error::Mine)
            );
            Ok::<_, Error>(3)
        });
        assert_eq!(outer, Ok(3));
        // The whole can still fail.
        Ok::<_, Error>(())
    });
    assert_eq!(written.await, Ok(()));
    assert_eq!(numbers(&store).await, [1, 2, 3]);
    assert_eq!(*happened.lock().unwrap(), ["kept"]);
    let failed = store.write(|tx| {
        tx.part(|tx| put(tx, "d", 4).map_err(Error::from))?;
        Err::<(), _>(Error::Mine)
    });
    assert_eq!(failed.await, Err(Error::Mine));
    // A statement that fails is the end of all.
    let failed = store.write(|tx| {
        let part: Result<u64, Error> = tx.part(|tx| Ok(tx.execute(INSERT, params![1, "a"])?));
        assert!(matches!(part, Err(Error::Store(StoreError::Engine(_)))), "{part:?}");
        Ok::<_, Error>(())
    });
    assert!(matches!(failed.await, Err(Error::Store(StoreError::Engine(_)))));
    assert_eq!(numbers(&store).await, [1, 2, 3]);
    store.close().await;
}

async fn neighbours_are_left_alone(db: Database) {
    let store = db.open();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = store.clone();
        tasks.spawn(async move {
            let result = store.write(move |tx| {
                put(tx, &format!("{number:03}"), number)?;
                match number % 4 {
                    0 => Err(Error::Mine),
                    1 => quiet_panic(),
                    2 => Ok(tx.execute(INSERT, params![number, &format!("{number:03}")])?),
                    _ => Ok(0),
                }
            });
            (number, result.await)
        });
    }
    while let Some(task) = tasks.join_next().await {
        let (number, result) = task.unwrap();
        match number % 4 {
            0 => assert_eq!(result, Err(Error::Mine)),
            1 => assert_eq!(result, Err(Error::Store(StoreError::Panicked))),
            2 => assert!(matches!(result, Err(Error::Store(StoreError::Engine(_)))), "{result:?}"),
            _ => assert_eq!(result, Ok(0)),
        }
    }
    assert_eq!(numbers(&store).await, (0..200).filter(|number| number % 4 == 3).collect::<Vec<_>>());
    store.close().await;
}

async fn a_failed_statement_fails_the_transaction(db: Database) {
    let store = db.open();
    let ignored = store.write::<_, StoreError, _>(|tx| {
        put(tx, "a", 1)?;
        let first = tx.execute(INSERT, params![1, "a"]);
        assert!(
            matches!(&first, Err(StoreError::Engine(text)) if text.contains("INSERT INTO entry")),
            "{first:?}"
        );
        assert_eq!(tx.execute(PUT, params!["b", 1]), Err(StoreError::Aborted));
        Ok(())
    });
    assert!(matches!(ignored.await, Err(StoreError::Engine(_))));
    let ignored = store.dry_run::<_, StoreError, _>(|tx| {
        let _ = tx.execute("no statement", &[]);
        Ok(())
    });
    assert!(matches!(ignored.await, Err(StoreError::Engine(_))));
    assert_eq!(numbers(&store).await, [0; 0]);
    store.close().await;
}

async fn a_dry_run_changes_nothing(db: Database) {
    let store = db.open();
    store.write(|tx| put(tx, "a", 1)).await.unwrap();
    let released = Arc::new(Mutex::new(0));
    let effect = Arc::clone(&released);
    let added = store.dry_run::<_, StoreError, _>(move |tx| {
        let effect = Arc::clone(&effect);
        tx.on_commit(move || *effect.lock().unwrap() += 1);
        tx.query_opt(ADD, params!["a", 10], |row| row.int(0))
    });
    assert_eq!(added.await, Ok(Some(11)));
    assert_eq!(numbers(&store).await, [1]);
    store.close().await;
    assert_eq!(*released.lock().unwrap(), 0);
}

async fn effects_follow_the_commit(db: Database) {
    let store = db.open();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..20 {
        let order_ = Arc::clone(&order);
        let write = store.write::<_, StoreError, _>(move |tx| {
            for part in 0..3 {
                let order = Arc::clone(&order_);
                tx.on_commit(move || order.lock().unwrap().push(number * 10 + part));
            }
            // One that panics harms nobody.
            tx.on_commit(|| quiet_panic());
            put(tx, "a", number)
        });
        write.await.unwrap();
        // Before the caller hears of the commit.
        assert_eq!(order.lock().unwrap().len(), (number as usize + 1) * 3);
    }
    assert!(order.lock().unwrap().is_sorted());

    // Many at once: on SQLite in commit order, which is the order of the numbers that they drew.
    order.lock().unwrap().clear();
    let writes = (0..100).map(|_| {
        let (store, order) = (store.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            store
                .write::<_, StoreError, _>(move |tx| {
                    let number = tx.query_opt(ADD, params!["a", 1], |row| row.int(0))?;
                    let order = Arc::clone(&order);
                    tx.on_commit(move || order.lock().unwrap().push(number.unwrap()));
                    Ok(())
                })
                .await
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    let mut order = order.lock().unwrap().clone();
    if store.engine() == hiroba_store::Engine::Sqlite {
        assert!(order.is_sorted(), "{order:?}");
    }
    order.sort_unstable();
    assert_eq!(order, (20..120).collect::<Vec<_>>());
    store.close().await;
}

async fn lost_effects_are_dropped(db: Database) {
    let store = db.open();
    let token = Arc::new(());
    for kind in 0..3 {
        let token = Arc::clone(&token);
        let lost = store.write::<(), _, _>(move |tx| {
            let token = Arc::clone(&token);
            tx.on_commit(move || unreachable!("released an effect that holds {token:?}"));
            match kind {
                0 => Err(Error::Mine),
                1 => quiet_panic(),
                _ => Ok(tx.execute("this is no statement", &[]).map(|_| ())?),
            }
        });
        assert!(lost.await.is_err());
    }
    store.close().await;
    assert_eq!(Arc::strong_count(&token), 1);
}

async fn a_read_cannot_write(db: Database) {
    let store = db.open();
    let write = store.read(|tx| put(tx, "a", 1)).await;
    assert_eq!(write, Err(StoreError::ReadOnly));
    let drawn = store
        .read::<_, StoreError, _>(|tx| tx.query_opt("SELECT hiroba_next_revision()", &[], |row| row.int(0)));
    assert!(drawn.await.is_err());
    assert_eq!(numbers(&store).await, [0; 0]);
    store.close().await;
}

async fn a_read_is_one_snapshot(db: Database) {
    let store = db.open();
    store.write(|tx| put(tx, "a", 1)).await.unwrap();
    let (to_writer, mut read_once) = tokio::sync::mpsc::channel(1);
    let (to_reader, written) = std::sync::mpsc::channel();
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .read::<_, StoreError, _>(move |tx| {
                    let before = tx.query_opt(NUMBER, params!["a"], |row| row.int(0))?;
                    to_writer.blocking_send(()).unwrap();
                    written.recv().unwrap();
                    let after = tx.query_opt(NUMBER, params!["a"], |row| row.int(0))?;
                    Ok((before, after))
                })
                .await
        }
    });
    read_once.recv().await.unwrap();
    store.write(|tx| put(tx, "a", 2)).await.unwrap();
    to_reader.send(()).unwrap();
    assert_eq!(reader.await.unwrap(), Ok((Some(1), Some(1))));
    assert_eq!(numbers(&store).await, [2]);
    store.close().await;
}

async fn misuse_is_reported(db: Database) {
    let store = db.open();
    let few = store.write::<_, StoreError, _>(|tx| tx.execute(PUT, params!["a"])).await;
    assert!(matches!(few, Err(StoreError::Parameters { expected: 2, given: 1, .. })), "{few:?}");

    store.write(|tx| put(tx, "a", 1).and_then(|()| put(tx, "b", 2))).await.unwrap();
    let many = store.write::<_, StoreError, _>(|tx| tx.query_opt(NUMBERS, &[], |row| row.int(0))).await;
    assert!(matches!(many, Err(StoreError::ManyRows(_))), "{many:?}");

    let kind =
        store.read::<_, StoreError, _>(|tx| tx.query_opt(NUMBER, params!["a"], |row| row.text(0))).await;
    assert!(matches!(kind, Err(StoreError::Column { index: 0, .. })), "{kind:?}");
    let column =
        store.read::<_, StoreError, _>(|tx| tx.query_opt(NUMBER, params!["a"], |row| row.int(1))).await;
    assert!(matches!(column, Err(StoreError::Column { index: 1, .. })), "{column:?}");

    let gap = store.write::<_, StoreError, _>(|tx| {
        tx.query("SELECT number FROM entry WHERE number = $2", params![1, 2], |row| row.int(0))
    });
    assert!(matches!(gap.await, Err(StoreError::Engine(_))));
    assert_eq!(numbers(&store).await, [1, 2]);
    store.close().await;
}

async fn statements_are_checked_by_preparing(db: Database) {
    let store = db.open();
    assert_eq!(store.prepare_all(ALL), []);
    let wrong = ["SELECT nothing FROM entry", "SELECT \"no such name\" FROM entry"];
    let refused = store.prepare_all(&[wrong[0], NUMBER, wrong[1]]);
    assert_eq!(refused.iter().map(|(sql, _)| *sql).collect::<Vec<_>>(), wrong);
    // The store goes on as before.
    store.write(|tx| put(tx, "a", 1)).await.unwrap();
    store.close().await;
    assert_eq!(store.prepare_all(&[NUMBER]), [(NUMBER, StoreError::Closed)]);
}
