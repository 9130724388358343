//! Transactions on the embedded SQLite engine or on PostgreSQL.
//!
//! [`Store::write`], [`Store::read`] and [`Store::dry_run`] take a synchronous closure over a [`Tx`]; the closure is
//! the transaction. It does no I/O, reads no clock and draws no randomness of its own, because it may run twice.
//!
//! # One text for both engines
//!
//! Statements have placeholders `$1`, `$2`, …, `ON CONFLICT … DO UPDATE` and `RETURNING`; columns are TEXT, BIGINT or
//! BYTEA; times are milliseconds and flags are integers. Text is ordered by its bytes, LIKE tells upper case from
//! lower, and `"x"` is a name. `hiroba_next_revision()` answers a number greater than every one that it answered
//! before, over restarts and nodes; the order of drawing is not the order of committing on PostgreSQL.
//! A sum past 64 bits is an error on PostgreSQL and a floating point number on SQLite, which [`Row`] refuses to read:
//! check before adding.
//!
//! # Migrations
//!
//! The text of a [`Migration`] is the same for both engines too, except:
//!
//! - `/*sqlite WITHOUT ROWID*/` is uncommented on SQLite, `/*postgres …*/` on PostgreSQL.
//! - The upper-case word `TEXT` reads `TEXT COLLATE "C"` on PostgreSQL, which is what orders text by bytes there.
//! - The upper-case word `BYTEA` reads `BLOB` on SQLite.
//!
//! # Limits
//!
//! 8,192 calls wait in each of the two queues (write, read), further callers wait before they enter; a connection
//! keeps 2,048 prepared statements; a conflicting PostgreSQL transaction is run 50 times at most.

mod address;
mod config;
mod dialect;
mod error;
mod job;
mod migration;
mod postgresql;
mod queue;
mod running;
mod sqlite;
mod statements;
mod store;
mod tx;
mod value;

pub use config::{Engine, Observer, PostgresConfig, SqliteConfig, StoreConfig};
pub use error::StoreError;
pub use migration::Migration;
pub use store::Store;
pub use tx::Tx;
pub use value::{Param, Row};
