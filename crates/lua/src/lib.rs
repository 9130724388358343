//! Runs a Lua script in a sandbox, under limits of time, memory, output and nesting.
//!
//! The language is Luau: compatible with Lua 5.1, made for code that is not trusted, and interruptible inside slow
//! text patterns. The crate knows nothing of the server: a script's calls and HTTP requests go through [`Host`].
//!
//! A [`Sandbox`] is one virtual machine. It lives on one thread, blocks it while a script runs, and is meant to be
//! used again and again: a run sees nothing of the former ones. A [`Compiled`] script may be shared by threads.

mod compiled;
mod failure;
mod host;
mod json;
mod library;
mod limits;
mod run;
mod sandbox;
mod state;

pub use compiled::Compiled;
pub use failure::Failure;
pub use host::{Host, HttpRequest, Pending, Reply};
pub use limits::Limits;
pub use run::{Action, Outcome, RandomStatus, RandomUsed, Run, Transaction};
pub use sandbox::Sandbox;
pub use state::LASTS;
