//! Random transactions against a map.

use std::collections::BTreeMap;

use hiroba_store::{Engine, Store, StoreError, Tx, params};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::harness::{Database, quiet_panic, runtime};

const CASES: u32 = 48;

const PUT: &str = "INSERT INTO entry (owner, id, number) VALUES ('m', $1, $2)
                   ON CONFLICT (owner, id) DO UPDATE SET number = excluded.number";
const ADD: &str = "UPDATE entry SET number = number + $2 WHERE owner = 'm' AND id = $1 RETURNING number";
const DELETE: &str = "DELETE FROM entry WHERE owner = 'm' AND id = $1";
const GET: &str = "SELECT number FROM entry WHERE owner = 'm' AND id = $1";
const RANGE: &str = "SELECT id, number FROM entry WHERE owner = 'm' AND id >= $1 AND id < $2 ORDER BY id";
const ALL: &str = "SELECT id, number FROM entry WHERE owner = 'm' ORDER BY id";
const CLEAR: &str = "DELETE FROM entry";

type Map = BTreeMap<String, i64>;

#[derive(Debug, Clone)]
enum Step {
    Put(String, i64),
    Add(String, i64),
    Delete(String),
    Get(String),
    Range(String, String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Commit,
    Fail,
    Panic,
    BreakStatement,
    DryRun,
}

#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Number(Option<i64>),
    Changed(u64),
    Rows(Vec<(String, i64)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || "[a-bA-Bé~日]{0,2}";
    let number = || -1_000..1_000_i64;
    let step = prop_oneof![
        3 => (id(), number()).prop_map(|(id, number)| Step::Put(id, number)),
        2 => (id(), number()).prop_map(|(id, number)| Step::Add(id, number)),
        1 => id().prop_map(Step::Delete),
        1 => id().prop_map(Step::Get),
        1 => (id(), id()).prop_map(|(from, to)| Step::Range(from, to)),
    ];
    prop::collection::vec(step, 0..6)
}

fn transactions() -> impl Strategy<Value = Vec<(Vec<Step>, End)>> {
    let end = prop_oneof![
        5 => Just(End::Commit),
        1 => Just(End::Fail),
        1 => Just(End::Panic),
        1 => Just(End::BreakStatement),
        1 => Just(End::DryRun),
    ];
    prop::collection::vec((steps(), end), 1..12)
}

fn model_step(map: &mut Map, step: &Step) -> Seen {
    match step {
        Step::Put(id, number) => {
            map.insert(id.clone(), *number);
            Seen::Changed(1)
        }
        Step::Add(id, number) => Seen::Number(map.get_mut(id).map(|value| {
            *value += number;
            *value
        })),
        Step::Delete(id) => Seen::Changed(map.remove(id).is_some().into()),
        Step::Get(id) => Seen::Number(map.get(id).copied()),
        Step::Range(from, to) => {
            let within = map.iter().filter(|(id, _)| *id >= from && *id < to);
            Seen::Rows(within.map(|(id, number)| (id.clone(), *number)).collect())
        }
    }
}

fn store_step(tx: &mut Tx<'_>, step: &Step) -> Result<Seen, StoreError> {
    Ok(match step {
        Step::Put(id, number) => Seen::Changed(tx.execute(PUT, params![id, *number])?),
        Step::Add(id, number) => Seen::Number(tx.query_opt(ADD, params![id, *number], |row| row.int(0))?),
        Step::Delete(id) => Seen::Changed(tx.execute(DELETE, params![id])?),
        Step::Get(id) => Seen::Number(tx.query_opt(GET, params![id], |row| row.int(0))?),
        Step::Range(from, to) => {
            Seen::Rows(tx.query(RANGE, params![from, to], |row| Ok((row.text(0)?, row.int(1)?)))?)
        }
    })
}

async fn store_transaction(store: &Store, steps: Vec<Step>, end: End) -> Result<Vec<Seen>, StoreError> {
    let closure = move |tx: &mut Tx<'_>| {
        let seen: Vec<_> = steps.iter().map(|step| store_step(tx, step)).collect::<Result<_, _>>()?;
        match end {
            End::Commit | End::DryRun => Ok(seen),
            End::Fail => Err(StoreError::ReadOnly),
            End::Panic => quiet_panic(),
            // Nor does it help to look away.
            End::BreakStatement => tx.execute("no statement", &[]).map(|_| seen.clone()).or(Ok(seen)),
        }
    };
    if end == End::DryRun { store.dry_run(closure).await } else { store.write(closure).await }
}

/// All are queued before the first is answered, so that SQLite runs them in shared commits and in order. PostgreSQL
/// would run them in any order: there each is awaited.
async fn check(store: &Store, transactions: Vec<(Vec<Step>, End)>) {
    store.write::<_, StoreError, _>(|tx| tx.execute(CLEAR, &[])).await.unwrap();
    let together = store.engine() == Engine::Sqlite;
    let mut map = Map::new();
    let mut running = Vec::new();
    for (steps, end) in transactions {
        let mut attempt = map.clone();
        let seen: Vec<_> = steps.iter().map(|step| model_step(&mut attempt, step)).collect();
        if end == End::Commit {
            map = attempt;
        }
        let call = store_transaction(store, steps, end);
        if together {
            let mut call = Box::pin(call);
            let first = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
            match first {
                std::task::Poll::Ready(result) => compare(end, &seen, &result),
                std::task::Poll::Pending => running.push((end, seen, call)),
            }
        } else {
            compare(end, &seen, &call.await);
        }
    }
    for (end, seen, call) in running {
        compare(end, &seen, &call.await);
    }
    let all = store.read::<_, StoreError, _>(|tx| tx.query(ALL, &[], |row| Ok((row.text(0)?, row.int(1)?))));
    assert_eq!(all.await.unwrap(), map.into_iter().collect::<Vec<_>>());
}

fn compare(end: End, expected: &Vec<Seen>, result: &Result<Vec<Seen>, StoreError>) {
    match end {
        End::Commit | End::DryRun => assert_eq!(result.as_ref(), Ok(expected)),
        End::Fail => assert_eq!(*result, Err(StoreError::ReadOnly)),
        End::Panic => assert_eq!(*result, Err(StoreError::Panicked)),
        End::BreakStatement => assert!(matches!(result, Err(StoreError::Engine(_))), "{result:?}"),
    }
}

fn run(engine: Engine) {
    let Some(db) = Database::new(engine) else { return };
    let store = db.open();
    let runtime = runtime();
    // A failure prints the smallest failing input instead of leaving a file behind.
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&transactions(), |transactions| {
        runtime.block_on(check(&store, transactions));
        Ok(())
    });
    runtime.block_on(store.close());
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn random_transactions_on_sqlite() {
    run(Engine::Sqlite);
}

#[test]
fn random_transactions_on_postgres() {
    run(Engine::Postgres);
}
