//! PostgreSQL: worker threads, each with a connection of its own.

mod connect;
mod hot;
mod open;
pub(crate) mod session;
mod values;
mod worker;

pub(crate) use open::open;

use postgres::error::SqlState;

use crate::error::{StoreError, head};

/// What the server said, with the statement that it said it about. The server's DETAIL is left out, since it quotes
/// stored values.
fn engine_error(error: &postgres::Error, context: &str) -> StoreError {
    match error.as_db_error() {
        Some(db) if *db.code() == SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly,
        Some(db) => StoreError::Engine(format!("{} ({}): {}", db.message(), db.code().code(), head(context))),
        None => StoreError::Engine(format!("{}: {}", causes(error), head(context))),
    }
}

/// An error with its causes: the outermost text alone is often only "error connecting to server".
fn causes(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
