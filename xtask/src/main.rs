//! `cargo xtask <task>`: everything a contributor or the CI runs, in one program.
//!
//! A task is a file; this one only reads the command line.

mod bench;
mod ci;
mod docs;
mod install;
mod packages;
mod postgres;
mod proc;
mod process;
mod project;
mod server;
mod temp_dir;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tasks of the Hiroba repository.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Installs what the tests need and runs all of them, on both stores.
    Test(test::TestArguments),
    /// Runs what the CI runs: format, lints, dependency rules, house rules, tests.
    Ci,
    /// Writes the documents that are derived from the operations to docs/api.
    Docs(docs::DocsArguments),
    /// Checks the house rules that clippy cannot see.
    Tidy,
    /// Measures the server beside its peers.
    #[command(subcommand)]
    Bench(bench::BenchTask),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Ci => ci::run(),
        Task::Docs(arguments) => docs::run(&arguments).map(|()| true),
        Task::Tidy => tidy::run().map(|()| true),
        Task::Bench(bench::BenchTask::Lock(arguments)) => bench::lock(&arguments).map(|()| true),
        Task::Bench(bench::BenchTask::Push(arguments)) => bench::push::run(&arguments).map(|()| true),
        Task::Bench(bench::BenchTask::Jobs(arguments)) => bench::jobs::run(&arguments).map(|()| true),
        Task::Bench(bench::BenchTask::Chat(arguments)) => bench::chat::run(&arguments).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        // The task has said what failed.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
