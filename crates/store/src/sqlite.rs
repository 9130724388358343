//! The embedded engine: one writer thread, a few readers, and a thread for checkpoints.

pub(crate) mod checkpoint;
mod open;
mod reader;
mod revision;
pub(crate) mod session;
mod writer;

pub(crate) use open::open;

use crate::error::{StoreError, head};

/// What SQLite said, with the statement that it said it about.
fn engine_error(error: &rusqlite::Error, context: &str) -> StoreError {
    match error {
        rusqlite::Error::SqliteFailure(code, _) if code.code == rusqlite::ErrorCode::ReadOnly => {
            StoreError::ReadOnly
        }
        // The message of some variants repeats the whole statement.
        rusqlite::Error::SqlInputError { msg, .. } => StoreError::Engine(format!("{msg}: {}", head(context))),
        error => StoreError::Engine(format!("{error}: {}", head(context))),
    }
}
