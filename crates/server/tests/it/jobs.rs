//! JobQueue: jobs that run by themselves and on request, through kills, stops and moved clocks (seeds 000 and 001, BEHAVIOUR
//! section 5).

mod auto_run;
mod back_off;
mod crash;
mod model;
mod nodes;
mod results;

use hiroba_testkit::jobs::entry;
use hiroba_testkit::process::Builder;
use hiroba_testkit::{Database, Process};
use serde_json::{Value, json};
use tokio::task::block_in_place;

/// Answers that are kept for the calls of jobs.
const ANSWERS_OF_JOBS: &str = "SELECT COUNT(*) FROM duplication_answer WHERE avoider LIKE 'script:%'";

/// Leaves a trace, and a count that a doubled trace would differ from.
const TRACING: &str = "
trace(args.user, { n = args.n })
result = { n = args.n, held = hold(args.user, 'count') }
";

/// Starts the program on this database.
fn start(database: &Database, folder: &str) -> Process {
    block_in_place(|| Builder::new(env!("CARGO_BIN_EXE_hiroba"), database, folder).start())
}

/// A job that leaves its number behind and is tried until it succeeds: a call of it may fail when PostgreSQL refuses its
/// transaction too often.
fn tireless(script: &str, user: &str, n: u64) -> Value {
    let mut entry = entry(script, &json!({ "user": user, "n": n }));
    entry["maxTryCount"] = 100.into();
    entry
}
