//! The one error type of the store.

use std::path::PathBuf;

/// Why a transaction, or opening the store, did not succeed.
///
/// Callers decide by variant; the texts are for the log and name no stored value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store was closed, or is closing, before the closure ran.
    #[error("the store is closed")]
    Closed,
    /// The closure panicked; what it had written was rolled back.
    #[error("a transaction panicked and was rolled back")]
    Panicked,
    /// The file or database was written by a newer program. Nothing was changed.
    #[error(
        "{place} has {component} schema version {found}, but this program knows versions up to {known}: \
         start a program at least as new as the one that wrote it"
    )]
    NewerSchema {
        /// File or database, without credentials.
        place: String,
        /// Whose schema: `store` for the store's own tables, `server` for the caller's.
        component: &'static str,
        /// Version found.
        found: u32,
        /// Highest version that this program knows.
        known: u32,
    },
    /// A migration that was applied earlier now has another text. Nothing was changed.
    #[error(
        "{component} migration {version} ({name}) differs from the text that was applied to {place}: \
         an applied migration never changes, add a new one"
    )]
    ChangedMigration {
        /// File or database, without credentials.
        place: String,
        /// Whose schema, as in `NewerSchema`.
        component: &'static str,
        /// Version of the migration.
        version: u32,
        /// Its name in this program.
        name: &'static str,
    },
    /// The list of migrations contradicts itself or what was applied.
    #[error("migrations are inconsistent: {0}")]
    MigrationOrder(String),
    /// Another process, or another `Store` of this one, uses the file.
    #[error(
        "{path} is in use by another server process{holder}: stop it, or give this one another data folder"
    )]
    InUse {
        /// The SQLite file.
        path: PathBuf,
        /// ` (process 123)` where it is known, else empty.
        holder: String,
    },
    /// The transaction conflicted with others on every permitted attempt and was rolled back.
    #[error("a transaction still conflicted with others after {attempts} attempts")]
    RetryExhausted {
        /// Attempts made.
        attempts: u32,
    },
    /// The connection broke after COMMIT was sent: the transaction happened whole or not at all.
    #[error("the connection broke while committing, so it is unknown whether the transaction happened")]
    CommitUnknown,
    /// The database server could not be reached.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A statement that writes was run by `read`.
    #[error("a read transaction tried to write")]
    ReadOnly,
    /// A text parameter contained U+0000, which PostgreSQL cannot store.
    #[error("a text parameter contains the character U+0000")]
    NulInText,
    /// The number of parameters differs from the placeholders of the statement.
    #[error("statement takes {expected} parameters but got {given}: {sql}")]
    Parameters {
        /// Placeholders in the statement.
        expected: usize,
        /// Parameters given.
        given: usize,
        /// Start of the statement.
        sql: String,
    },
    /// `query_opt` met a second row.
    #[error("statement returned more than one row: {0}")]
    ManyRows(String),
    /// A column has another type than the one asked for, or does not exist.
    #[error("column {index} is not {expected}: found {found}")]
    Column {
        /// Index, from zero.
        index: usize,
        /// Type asked for.
        expected: &'static str,
        /// What was there.
        found: String,
    },
    /// An earlier statement of this transaction failed, so this one was not run.
    #[error("an earlier statement of this transaction failed")]
    Aborted,
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The engine reported an error.
    #[error("{0}")]
    Engine(String),
}

/// The start of a statement on one line, for messages.
pub(crate) fn head(sql: &str) -> String {
    const CHARS_MAX: usize = 120;
    let mut words = String::new();
    for word in sql.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > CHARS_MAX {
            return words.chars().take(CHARS_MAX).chain("…".chars()).collect();
        }
    }
    words
}
