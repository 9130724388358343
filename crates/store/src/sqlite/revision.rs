//! `hiroba_next_revision()`: numbers that only grow, also over restarts.
//!
//! Numbers are handed out from memory, out of a block whose end is in a table. The block is reserved in the
//! transaction whose closures use it, so that no committed row holds a number past the committed end. A crash skips
//! the rest of a block; a rollback skips the numbers it had drawn.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use rusqlite::{Connection, functions::FunctionFlags};

use super::engine_error;
use crate::error::StoreError;

/// Numbers reserved at a time. A single batch must not use more than half of it.
const BLOCK: i64 = 1_000_000;

const RESERVE: &str = "UPDATE hiroba_revision SET reserved = max(reserved, ?1) + ?2 RETURNING reserved";

/// The counter of one open file.
pub(crate) struct Revisions {
    /// Last number handed out; shared with the SQL function.
    last: Arc<AtomicI64>,
    /// Last number that may be handed out; shared with the SQL function.
    end: Arc<AtomicI64>,
    /// The end that the table will name when the running transaction commits.
    pending: Option<i64>,
}

impl Revisions {
    /// Registers the function on the writer's connection. The table exists.
    pub(crate) fn open(conn: &Connection) -> Result<Self, StoreError> {
        let reserved = conn
            .query_row("SELECT reserved FROM hiroba_revision", [], |row| row.get(0))
            .map_err(|error| engine_error(&error, "reading hiroba_revision"))?;
        // Nothing up to the old end is used again, and nothing is handed out before the first reservation.
        let last = Arc::new(AtomicI64::new(reserved));
        let end = Arc::new(AtomicI64::new(reserved));
        let (function_last, function_end) = (Arc::clone(&last), Arc::clone(&end));
        register(conn, move || {
            // Only the writer's thread comes here.
            let next = function_last.load(Ordering::Relaxed) + 1;
            if next > function_end.load(Ordering::Relaxed) {
                return Err("one batch used up its block of revisions");
            }
            function_last.store(next, Ordering::Relaxed);
            Ok(next)
        })?;
        Ok(Self { last, end, pending: None })
    }

    /// Makes sure that half a block is left. Called first in each of the writer's transactions.
    pub(crate) fn reserve(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let last = self.last.load(Ordering::Relaxed);
        let left = self.end.load(Ordering::Relaxed) - last;
        if left >= BLOCK / 2 {
            return Ok(());
        }
        let end = conn
            .query_row(RESERVE, [last, BLOCK], |row| row.get(0))
            .map_err(|error| engine_error(&error, RESERVE))?;
        self.pending = Some(self.end.swap(end, Ordering::Relaxed));
        Ok(())
    }

    /// The running transaction was committed.
    pub(crate) fn committed(&mut self) {
        self.pending = None;
    }

    /// The running transaction was rolled back, and with it the reservation. Numbers drawn stay drawn.
    pub(crate) fn rolled_back(&mut self) {
        if let Some(end) = self.pending.take() {
            self.end.store(end, Ordering::Relaxed);
        }
    }
}

/// Registers the function where it may be named but not run, so that every statement can be prepared there.
pub(crate) fn register_refusal(conn: &Connection) -> Result<(), StoreError> {
    register(conn, || Err("hiroba_next_revision() needs a write transaction"))
}

fn register(
    conn: &Connection,
    next: impl Fn() -> Result<i64, &'static str> + Send + 'static,
) -> Result<(), StoreError> {
    conn.create_scalar_function("hiroba_next_revision", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        next().map_err(|reason| rusqlite::Error::UserFunctionError(reason.into()))
    })
    .map_err(|error| engine_error(&error, "registering hiroba_next_revision"))
}
