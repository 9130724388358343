//! A connection's statements and its transaction.

use rusqlite::{Connection, PrepFlags, Statement, ToSql, types::ToSqlOutput, types::ValueRef};

use super::engine_error;
use crate::{
    address::{AddressMap, STATEMENTS_MAX, address},
    error::{StoreError, head},
    value::{Param, Row},
};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Transactions share one commit.
    Writer,
    /// Transactions are snapshots.
    Reader,
}

/// One connection with its prepared statements.
pub(crate) struct SqliteSession<'c> {
    conn: &'c Connection,
    role: Role,
    prepared: AddressMap<Prepared<'c>>,
    begin: Statement<'c>,
    commit: Statement<'c>,
    rollback: Statement<'c>,
    savepoint: Statement<'c>,
    release: Statement<'c>,
    rollback_to: Statement<'c>,
    /// Whether the writer's running transaction has its savepoint, or the reader's its snapshot.
    open: bool,
    /// Whether each of the writer's transactions has a savepoint of its own.
    guarded: bool,
    /// Rows that the connection had changed when the writer's running transaction began.
    changes_before: u64,
}

/// How the writer's running transaction was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// As was asked for.
    Done,
    /// Its changes cannot be taken back alone: the batch must be rolled back and run again with savepoints.
    Entangled,
}

struct Prepared<'c> {
    statement: Statement<'c>,
    /// For each of SQLite's parameters the index into the caller's: SQLite numbers `$2` first when it reads it first.
    order: Box<[usize]>,
    readonly: bool,
    returns_rows: bool,
}

impl<'c> SqliteSession<'c> {
    pub(crate) fn new(conn: &'c Connection, role: Role) -> Result<Self, StoreError> {
        let prepare = |sql| prepare(conn, sql);
        let begin = if role == Role::Writer { "BEGIN IMMEDIATE" } else { "BEGIN DEFERRED" };
        Ok(Self {
            conn,
            role,
            prepared: AddressMap::default(),
            begin: prepare(begin)?,
            commit: prepare("COMMIT")?,
            rollback: prepare("ROLLBACK")?,
            savepoint: prepare("SAVEPOINT one")?,
            release: prepare("RELEASE one")?,
            rollback_to: prepare("ROLLBACK TO one")?,
            open: false,
            guarded: true,
            changes_before: 0,
        })
    }

    /// Gives each of the writer's next transactions a savepoint, or none.
    pub(crate) fn guard(&mut self, guarded: bool) {
        self.guarded = guarded;
    }

    /// The writer's next transaction begins.
    pub(crate) fn enter(&mut self) {
        self.changes_before = self.conn.total_changes();
    }

    pub(crate) fn begin(&mut self) -> Result<(), StoreError> {
        step(&mut self.begin, "BEGIN")
    }

    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        step(&mut self.commit, "COMMIT")
    }

    /// Rolls everything since `begin` back, if that has not happened already.
    pub(crate) fn rollback(&mut self) -> Result<(), StoreError> {
        self.open = false;
        if self.conn.is_autocommit() { Ok(()) } else { step(&mut self.rollback, "ROLLBACK") }
    }

    /// Ends the writer's running transaction, keeping what it wrote for the shared commit, or not.
    ///
    /// An error means that the connection's state is unknown and the batch must be rolled back.
    pub(crate) fn settle(&mut self, keep: bool) -> Result<Settled, StoreError> {
        if self.conn.is_autocommit() {
            // A full disk, a lack of memory or an I/O error makes SQLite roll back everything by itself.
            return Err(StoreError::Engine("the engine rolled all that shared the commit back".to_owned()));
        }
        if std::mem::take(&mut self.open) {
            if !keep {
                step(&mut self.rollback_to, "ROLLBACK TO")?;
            }
            step(&mut self.release, "RELEASE")?;
        } else if !keep && self.conn.total_changes() != self.changes_before {
            return Ok(Settled::Entangled);
        }
        Ok(Settled::Done)
    }

    /// Ends the reader's snapshot, if a statement began one.
    pub(crate) fn end_snapshot(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.open) && !self.conn.is_autocommit() { self.commit() } else { Ok(()) }
    }

    pub(crate) fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let conn = self.conn;
        let prepared = self.bind(sql, params)?;
        if !prepared.returns_rows {
            return match prepared.statement.raw_execute() {
                Ok(changed) => Ok(changed as u64),
                Err(error) => Err(engine_error(&error, sql)),
            };
        }
        let (mut rows, mut count) = (prepared.statement.raw_query(), 0);
        while rows.next().map_err(|error| engine_error(&error, sql))?.is_some() {
            count += 1;
        }
        drop(rows);
        // PostgreSQL counts the rows of a query, and those that a writing statement changed.
        Ok(if prepared.readonly { count } else { conn.changes() })
    }

    pub(crate) fn each(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        visit: &mut dyn FnMut(&Row<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let mut rows = self.bind(sql, params)?.statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| engine_error(&error, sql))? {
            if !visit(&Row::sqlite(row)) {
                break;
            }
        }
        Ok(())
    }

    /// Sets, takes back to or forgets a savepoint within the running transaction.
    pub(crate) fn mark(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match self.role {
            // Nothing changes that could be taken back.
            Role::Reader => Ok(()),
            Role::Writer => {
                // The transaction's own savepoint must be the outer one.
                self.open_savepoint()?;
                self.execute(sql, &[]).map(|_| ())
            }
        }
    }

    fn open_savepoint(&mut self) -> Result<(), StoreError> {
        if self.guarded && !self.open {
            step(&mut self.savepoint, "SAVEPOINT")?;
            self.open = true;
        }
        Ok(())
    }

    pub(crate) fn prepare(&mut self, sql: &'static str) -> Result<(), StoreError> {
        self.prepared(sql).map(|_| ())
    }

    /// Finds the statement, begins what must be begun before it, and gives it its parameters.
    fn bind(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<&mut Prepared<'c>, StoreError> {
        let role = self.role;
        let prepared = self.prepared(sql)?;
        if prepared.order.len() != params.len() {
            let expected = prepared.order.len();
            return Err(StoreError::Parameters { expected, given: params.len(), sql: head(sql) });
        }
        let readonly = prepared.readonly;
        match role {
            // A transaction that only looked needs no savepoint.
            Role::Writer if !readonly => self.open_savepoint()?,
            Role::Reader if !readonly => return Err(StoreError::ReadOnly),
            Role::Reader if !self.open => {
                self.begin()?;
                self.open = true;
            }
            Role::Writer | Role::Reader => {}
        }
        let prepared = self.prepared(sql)?;
        for (index, from) in prepared.order.iter().enumerate() {
            prepared
                .statement
                .raw_bind_parameter(index + 1, Bound(params[*from]))
                .map_err(|error| engine_error(&error, sql))?;
        }
        Ok(prepared)
    }

    fn prepared(&mut self, sql: &'static str) -> Result<&mut Prepared<'c>, StoreError> {
        let key = address(sql);
        if self.prepared.len() >= STATEMENTS_MAX && !self.prepared.contains_key(&key) {
            self.prepared.clear();
        }
        match self.prepared.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let statement = prepare(self.conn, sql)?;
                let order = order(&statement, sql)?;
                let (readonly, returns_rows) = (statement.readonly(), statement.column_count() > 0);
                Ok(entry.insert(Prepared { statement, order, readonly, returns_rows }))
            }
        }
    }
}

fn prepare<'c>(conn: &'c Connection, sql: &str) -> Result<Statement<'c>, StoreError> {
    conn.prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT)
        .map_err(|error| engine_error(&error, sql))
}

fn step(statement: &mut Statement<'_>, what: &str) -> Result<(), StoreError> {
    statement.raw_execute().map(|_| ()).map_err(|error| engine_error(&error, what))
}

/// Reads the placeholders' numbers off their names.
fn order(statement: &Statement<'_>, sql: &str) -> Result<Box<[usize]>, StoreError> {
    let count = statement.parameter_count();
    (1..=count)
        .map(|index| {
            statement
                .parameter_name(index)
                .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
                // Each name appears once, so that numbers within the count are all of them.
                .filter(|number| (1..=count).contains(number))
                .map(|number| number - 1)
                .ok_or_else(|| {
                    StoreError::Engine(format!("placeholders are not $1 to ${count}: {}", head(sql)))
                })
        })
        .collect()
}

struct Bound<'a>(Param<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Param::Null => ValueRef::Null,
            Param::Int(value) => ValueRef::Integer(value),
            Param::Text(value) => ValueRef::Text(value.as_bytes()),
            Param::Blob(value) => ValueRef::Blob(value),
        }))
    }
}
