//! A connection's statements and its transaction.

use std::{sync::Arc, time::Instant};

use postgres::{Client, Statement, error::SqlState, types::ToSql};

use super::{connect::Connector, engine_error, hot::HotKeys, values::Wire};
use crate::{
    address::{AddressMap, STATEMENTS_MAX, address},
    error::{StoreError, head},
    migration::fnv1a,
    value::{Param, Row},
};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    Read,
}

/// Why an attempt is worth repeating, whatever error the closure made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It conflicted with another transaction.
    Conflict,
    /// A prepared statement no longer fits the schema.
    Stale,
    /// The connection broke, or could not be made, before COMMIT was sent.
    Broken(StoreError),
}

/// One worker's connection, made when it is first needed and again when it broke.
pub(crate) struct PgSession {
    connector: Arc<Connector>,
    hot: Arc<HotKeys>,
    access: Access,
    client: Option<Client>,
    prepared: AddressMap<Statement>,
    /// When BEGIN was sent, while the transaction is open.
    begun: Option<Instant>,
    /// Whether advisory locks are held.
    locked: bool,
    /// What `lock_row` named in this attempt.
    keys: Vec<i64>,
    /// What it named in earlier attempts of this closure: rows named after the first statement are queued for by the
    /// next attempt.
    named: Vec<i64>,
    fault: Option<Fault>,
}

impl PgSession {
    pub(crate) fn new(connector: Arc<Connector>, hot: Arc<HotKeys>, access: Access) -> Self {
        Self {
            connector,
            hot,
            access,
            client: None,
            prepared: AddressMap::default(),
            begun: None,
            locked: false,
            keys: Vec::new(),
            named: Vec::new(),
            fault: None,
        }
    }

    /// Forgets the previous closure.
    pub(crate) fn renew(&mut self) {
        self.keys.clear();
        self.named.clear();
    }

    /// Begins an attempt. The previous one was committed or rolled back; what it named is kept.
    pub(crate) fn start(&mut self) {
        debug_assert!(self.begun.is_none() && !self.locked, "the previous attempt was not ended");
        self.named.append(&mut self.keys);
        self.fault = None;
    }

    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Marks the keys of this attempt, so that the next one queues for them. Answers whether there are any.
    pub(crate) fn heat(&self) -> bool {
        self.hot.heat(&self.keys);
        self.hot.heat(&self.named);
        !self.keys.is_empty() || !self.named.is_empty()
    }

    pub(crate) fn lock_row(&mut self, key: &str) {
        if self.access == Access::Read {
            return;
        }
        // Schemas of one database share the server's space of advisory keys. Two keys with one hash merely queue
        // for each other.
        let schema = self.connector.schema().unwrap_or_default();
        self.keys.push(fnv1a(schema.bytes().chain([0]).chain(key.bytes())).cast_signed());
    }

    pub(crate) fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        self.run(sql, params, |client, statement, params| client.execute(statement, params))
    }

    pub(crate) fn each(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        visit: &mut dyn FnMut(&Row<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let rows = self.run(sql, params, |client, statement, params| client.query(statement, params))?;
        for row in &rows {
            if !visit(&Row::postgres(row)) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn prepare(&mut self, sql: &'static str) -> Result<(), StoreError> {
        self.client()?;
        self.prepared(sql).map(|_| ())
    }

    fn run<T>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        call: impl FnOnce(&mut Client, &Statement, &[&(dyn ToSql + Sync)]) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        if self.begun.is_none() {
            self.begin()?;
        }
        let statement = self.prepared(sql)?;
        if statement.params().len() != params.len() {
            let expected = statement.params().len();
            return Err(StoreError::Parameters { expected, given: params.len(), sql: head(sql) });
        }
        let wires: Vec<_> = params.iter().map(|param| Wire(*param)).collect();
        let wires: Vec<_> = wires.iter().map(|wire| wire as &(dyn ToSql + Sync)).collect();
        let result = call(self.client()?, &statement, &wires);
        result.map_err(|error| self.failed(&error, sql))
    }

    /// Begins the transaction, after the locks on hot keys were taken.
    ///
    /// A lock taken inside a serializable transaction would come after its snapshot, which then misses what the lock
    /// was waited for. Everything goes in one message, since round trips are what a transaction costs.
    fn begin(&mut self) -> Result<(), StoreError> {
        let mut sql = String::new();
        let mut keys = [self.keys.as_slice(), self.named.as_slice()].concat();
        keys.sort_unstable();
        keys.dedup();
        for key in keys.into_iter().filter(|key| self.hot.contains(*key)) {
            if sql.is_empty() {
                sql.push_str("BEGIN ISOLATION LEVEL READ COMMITTED;");
            }
            sql.push_str(&format!("SELECT pg_advisory_lock({key});"));
        }
        let locked = !sql.is_empty();
        if locked {
            sql.push_str("COMMIT;");
        }
        sql.push_str(match self.access {
            Access::Write => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            // A snapshot is all that a read needs, and it cannot conflict.
            Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        });
        let result = self.client()?.batch_execute(&sql);
        // Also when it failed half way: then there is something to roll back.
        self.begun = Some(Instant::now());
        self.locked = locked;
        result.map_err(|error| self.failed(&error, "BEGIN"))
    }

    /// Commits what a statement began; answers when that was, or nothing where no statement ran.
    ///
    /// A conflict that only the commit brought to light is left in `take_fault`.
    pub(crate) fn commit(&mut self) -> Result<Option<Instant>, StoreError> {
        let Some(begun) = self.begun.take() else {
            return Ok(None);
        };
        let locked = std::mem::take(&mut self.locked);
        let sql = if locked { "COMMIT; SELECT pg_advisory_unlock_all()" } else { "COMMIT" };
        let Err(error) = self.client()?.batch_execute(sql) else {
            return Ok(Some(begun));
        };
        match error.code() {
            Some(code) if is_conflict(code) => {
                self.fault = Some(Fault::Conflict);
                self.unlock(locked);
                Err(engine_error(&error, "COMMIT"))
            }
            // A deferred constraint, a trigger: the server says that it rolled back.
            Some(code) if matches!(code.code().get(..2), Some("22" | "23" | "25" | "27" | "P0")) => {
                self.unlock(locked);
                Err(engine_error(&error, "COMMIT"))
            }
            // The answer was lost, or tells of a shutdown that may have come after the commit.
            _ => {
                self.disconnect();
                Err(StoreError::CommitUnknown)
            }
        }
    }

    /// Rolls back what a statement began. A connection where that fails is given up, which does it as well.
    pub(crate) fn rollback(&mut self) {
        let locked = std::mem::take(&mut self.locked);
        if self.begun.take().is_none() {
            return;
        }
        let sql = if locked { "ROLLBACK; SELECT pg_advisory_unlock_all()" } else { "ROLLBACK" };
        if self.client.as_mut().is_none_or(|client| client.batch_execute(sql).is_err()) {
            self.disconnect();
        }
    }

    /// Gives the connection up, and with it transaction, locks and prepared statements.
    pub(crate) fn disconnect(&mut self) {
        self.prepared.clear();
        self.client = None;
        self.begun = None;
        self.locked = false;
    }

    /// Drops the prepared statements, which no longer fit the schema.
    pub(crate) fn forget_statements(&mut self) {
        self.prepared.clear();
    }

    fn unlock(&mut self, locked: bool) {
        let unlock = "SELECT pg_advisory_unlock_all()";
        if locked && self.client.as_mut().is_none_or(|client| client.batch_execute(unlock).is_err()) {
            self.disconnect();
        }
    }

    fn client(&mut self) -> Result<&mut Client, StoreError> {
        // Between transactions a broken connection is replaced without a word.
        if self.begun.is_none() && self.client.as_ref().is_some_and(Client::is_closed) {
            self.disconnect();
        }
        if self.client.is_none() {
            if self.begun.is_some() {
                return Err(self.broken(StoreError::Unavailable("the connection broke".to_owned())));
            }
            match self.connector.connect() {
                Ok(client) => self.client = Some(client),
                Err(error) => return Err(self.broken(error)),
            }
        }
        self.client.as_mut().ok_or(StoreError::Closed)
    }

    fn prepared(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        let key = address(sql);
        if let Some(statement) = self.prepared.get(&key) {
            return Ok(statement.clone());
        }
        if self.prepared.len() >= STATEMENTS_MAX {
            self.prepared.clear();
        }
        let result = self.client()?.prepare(sql);
        let statement = result.map_err(|error| self.failed(&error, sql))?;
        self.prepared.insert(key, statement.clone());
        Ok(statement)
    }

    /// Remembers what an error means for the attempt.
    fn failed(&mut self, error: &postgres::Error, context: &str) -> StoreError {
        let closed = self.client.as_ref().is_none_or(Client::is_closed);
        match error.code() {
            Some(code) if is_conflict(code) => self.fault = Some(Fault::Conflict),
            Some(code) if is_stale(code, error) => self.fault = Some(Fault::Stale),
            // Shutdown, and connection exceptions of proxies.
            Some(code) if closed || matches!(code.code(), "57P01" | "57P02" | "57P03" | "57P05") => {
                return self.broken(StoreError::Unavailable(error.to_string()));
            }
            Some(code) if code.code().starts_with("08") => {
                return self.broken(StoreError::Unavailable(error.to_string()));
            }
            None if closed || error.is_closed() => {
                return self.broken(StoreError::Unavailable(super::causes(error)));
            }
            _ => {}
        }
        engine_error(error, context)
    }

    fn broken(&mut self, error: StoreError) -> StoreError {
        self.fault = Some(Fault::Broken(error.clone()));
        error
    }
}

fn is_conflict(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code)
}

/// A migration by a newer node changed what a statement returns, or a proxy gave us another server connection.
fn is_stale(code: &SqlState, error: &postgres::Error) -> bool {
    *code == SqlState::INVALID_SQL_STATEMENT_NAME
        || (*code == SqlState::FEATURE_NOT_SUPPORTED
            && error.as_db_error().is_some_and(|db| db.message().contains("cached plan")))
}
