//! The transaction that a closure sees.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    error::{StoreError, head},
    postgresql::session::PgSession,
    sqlite::session::SqliteSession,
    value::{Param, Row},
};

/// Something to do after the commit.
pub(crate) type Effect = Box<dyn FnOnce() + Send>;

/// A running transaction. The closure that was given it is the transaction: `Ok` commits, `Err` rolls back.
///
/// When a statement fails, every later one fails with [`StoreError::Aborted`] and the transaction is rolled back even
/// if the closure answers `Ok`: PostgreSQL behaves so, and both engines behave alike. Use `ON CONFLICT` where a
/// conflict is expected.
///
/// The closure may run more than once; only the attempt that commits has effects.
pub struct Tx<'c> {
    session: Session<'c>,
    /// Effects of every kept transaction since the last commit, then those of the running one.
    effects: Vec<Effect>,
    /// Where the running transaction's effects begin.
    effects_start: usize,
    failed: Option<StoreError>,
}

/// The engine's half. A `Tx` lives as long as its connection and carries one transaction after the other.
pub(crate) enum Session<'c> {
    Sqlite(Box<SqliteSession<'c>>),
    Postgres(Box<PgSession>),
}

impl<'c> Tx<'c> {
    /// Runs a statement; answers the number of rows that it changed.
    ///
    /// `sql` has placeholders `$1`, `$2`, …, each at least once, and as many parameters.
    pub fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        self.enter(params)?;
        let result = match &mut self.session {
            Session::Sqlite(session) => session.execute(sql, params),
            Session::Postgres(session) => session.execute(sql, params),
        };
        self.note(result)
    }

    /// Runs a statement that returns one row or none, and maps it. A second row is an error.
    pub fn query_opt<T>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        map: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let (mut map, mut mapped, mut many) = (Some(map), None, false);
        self.each(sql, params, &mut |row| {
            match map.take() {
                Some(map) => mapped = Some(map(row)),
                None => many = true,
            }
            // One row more than wanted is all that must be known.
            !many
        })?;
        if many {
            return self.note(Err(StoreError::ManyRows(head(sql))));
        }
        mapped.transpose()
    }

    /// Runs a statement and maps each of its rows. Say `LIMIT` where the number of rows has no other bound.
    pub fn query<T>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut mapped, mut failed) = (Vec::new(), None);
        self.each(sql, params, &mut |row| match map(row) {
            Ok(value) => {
                mapped.push(value);
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        })?;
        failed.map_or(Ok(mapped), Err)
    }

    /// Says that many transactions want the row behind `key` at the same time, so that on PostgreSQL they queue for
    /// it instead of running in vain. Changes nothing about the result. Best before the first statement: a
    /// transaction queues before it begins, so a row that is named later is queued for only when it is run again.
    ///
    /// On PostgreSQL a key costs nothing until a transaction that named it met a conflict; then, for about a second,
    /// every transaction that names it takes an advisory lock before it begins. On SQLite it does nothing, since
    /// writes never overlap there.
    pub fn lock_row(&mut self, key: &str) {
        if let Session::Postgres(session) = &mut self.session {
            session.lock_row(key);
        }
    }

    /// Keeps `effect` until the transaction is committed; it is dropped when the transaction is rolled back.
    ///
    /// It runs on a thread of the store, before the caller hears of the commit: it must be quick and must not wait.
    /// On SQLite effects run in commit order.
    pub fn on_commit(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.effects.push(Box::new(effect));
    }

    /// Runs a part of the transaction that may fail alone: when `f` fails, what it wrote and its effects are taken back, and
    /// the transaction goes on. A statement that fails still fails the whole transaction.
    pub fn part<T, E: From<StoreError>>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let effects = self.effects.len();
        self.mark("SAVEPOINT part")?;
        let result = f(self);
        if self.failed.is_some() {
            return result;
        }
        if result.is_err() {
            self.effects.truncate(effects);
            self.mark("ROLLBACK TO part")?;
        }
        self.mark("RELEASE part")?;
        result
    }

    fn mark(&mut self, sql: &'static str) -> Result<(), StoreError> {
        self.enter(&[])?;
        let result = match &mut self.session {
            Session::Sqlite(session) => session.mark(sql),
            Session::Postgres(session) => session.execute(sql, &[]).map(|_| ()),
        };
        self.note(result)
    }

    fn each(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        visit: &mut dyn FnMut(&Row<'_>) -> bool,
    ) -> Result<(), StoreError> {
        self.enter(params)?;
        let result = match &mut self.session {
            Session::Sqlite(session) => session.each(sql, params, visit),
            Session::Postgres(session) => session.each(sql, params, visit),
        };
        self.note(result)
    }

    fn enter(&mut self, params: &[Param<'_>]) -> Result<(), StoreError> {
        if self.failed.is_some() {
            return Err(StoreError::Aborted);
        }
        let nul = |param: &Param<'_>| matches!(param, Param::Text(text) if text.as_bytes().contains(&0));
        if params.iter().any(nul) { self.note(Err(StoreError::NulInText)) } else { Ok(()) }
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failed.get_or_insert_with(|| error.clone());
        }
        result
    }
}

/// The store's side.
impl<'c> Tx<'c> {
    pub(crate) fn new(session: Session<'c>) -> Self {
        Self { session, effects: Vec::new(), effects_start: 0, failed: None }
    }

    /// Forgets the previous transaction, except for the effects that were kept.
    pub(crate) fn start(&mut self) {
        self.effects_start = self.effects.len();
        self.failed = None;
    }

    /// The first failure of a statement since `start`.
    pub(crate) fn failed(&mut self) -> Option<StoreError> {
        self.failed.take()
    }

    /// Drops the effects since `start`.
    pub(crate) fn drop_effects(&mut self) {
        self.effects.truncate(self.effects_start);
    }

    /// Drops the effects of every transaction since the last commit.
    pub(crate) fn drop_all_effects(&mut self) {
        self.effects.clear();
        self.effects_start = 0;
    }

    /// Runs the kept effects in order. One that panics does not keep the others from running.
    pub(crate) fn release_effects(&mut self) {
        self.effects_start = 0;
        for effect in self.effects.drain(..) {
            let _ = catch_unwind(AssertUnwindSafe(effect));
        }
    }

    /// Prepares a statement without running it.
    pub(crate) fn prepare(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match &mut self.session {
            Session::Sqlite(session) => session.prepare(sql),
            Session::Postgres(session) => session.prepare(sql),
        }
    }

    pub(crate) fn sqlite(&mut self) -> Option<&mut SqliteSession<'c>> {
        match &mut self.session {
            Session::Sqlite(session) => Some(session),
            Session::Postgres(_) => None,
        }
    }

    pub(crate) fn postgres(&mut self) -> Option<&mut PgSession> {
        match &mut self.session {
            Session::Sqlite(_) => None,
            Session::Postgres(session) => Some(session),
        }
    }
}
