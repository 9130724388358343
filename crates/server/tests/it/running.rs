//! Running the program: start, health, metrics, files, logs, TLS, and the stop in order (DESIGN 10).

mod log;
mod metrics;
mod start;
mod stop;
mod tls;

use hiroba_testkit::process::Builder;
use hiroba_testkit::{Database, Process};
use tokio::task::block_in_place;

/// The program on this database.
pub(crate) fn program(database: &Database) -> Builder {
    Builder::new(env!("CARGO_BIN_EXE_hiroba"), database, "data")
}

/// Starts the program as it is.
pub(crate) fn start(database: &Database) -> Process {
    block_in_place(|| program(database).start())
}
