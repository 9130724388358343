//! `cargo xtask test`: all tests, of the crates and through the official SDKs, on both stores.
//!
//! Every part runs to its end whatever became of the others; the last lines say what failed.

mod counts;
mod sdk;
mod summary;

use crate::packages;
use crate::postgres::Postgres;
use crate::process;
use crate::project::{self, Project};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use counts::Counts;
use sdk::Sdk;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use summary::{Output, Summary, Work};

/// Time for building and running the tests of the crates; a cold build on two cores takes most of it.
const RUST_TIMEOUT: Duration = Duration::from_secs(25 * 60);

/// Command line of `cargo xtask test`.
#[derive(Debug, Default, Args)]
pub(crate) struct TestArguments {
    /// Run the tests of one language only.
    #[arg(long)]
    only: Option<Language>,
    /// Run on one store only.
    #[arg(long)]
    store: Option<Store>,
    /// Arguments for the runner (cargo test, pytest or npm test); needs `--only`.
    #[arg(last = true, requires = "only")]
    extra: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Python,
    Node,
}

/// What the server keeps its data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What the parts share.
struct Setting<'a> {
    project: &'a Project,
    extra: &'a [String],
    /// The server's binary, or why there is none.
    binary: Result<PathBuf>,
}

impl Setting<'_> {
    fn binary(&self) -> Result<&Path> {
        self.binary.as_deref().map_err(|error| anyhow!("{error:#}"))
    }
}

/// Makes a database of that name and returns its address.
fn database(postgres: &Result<Postgres>, name: &str) -> Result<String> {
    match postgres {
        Ok(postgres) => postgres.create_database(name),
        Err(error) => bail!("no PostgreSQL: {error:#}"),
    }
}

/// Runs the task and returns whether all passed; the counts are the last line, so a failure is not told again.
pub(crate) fn run(arguments: &TestArguments) -> Result<bool> {
    let project = Project::load()?;
    let wants = |language| arguments.only.is_none_or(|only| only == language);
    let stores = [Store::Sqlite, Store::Postgres]
        .map(|store| (store, arguments.store.is_none_or(|only| only == store)));
    let stores: Vec<Store> =
        stores.into_iter().filter(|(_, wanted)| *wanted).map(|(store, _)| store).collect();

    let mut summary = Summary::default();
    println!("building the server");
    let binary = project.build_server(false);
    let postgres = stores.contains(&Store::Postgres).then(|| Postgres::start(None));
    let setting = Setting { project: &project, extra: &arguments.extra, binary };
    if wants(Language::Rust) {
        let database = postgres.as_ref().map(|postgres| database(postgres, "hiroba_rust"));
        summary.parts(vec![("rust".to_owned(), Box::new(|output| rust(&setting, database, output)))]);
    }
    // All at once: each of them waits for most of its time.
    let mut parts: Vec<Work<'_>> = Vec::new();
    for (language, sdk) in [(Language::Python, Sdk::Python), (Language::Node, Sdk::Node)] {
        if wants(language) {
            let prepared = Arc::new(sdk.prepare(&project));
            for &store in &stores {
                let (setting, prepared) = (&setting, Arc::clone(&prepared));
                let database = match store {
                    Store::Sqlite => None,
                    Store::Postgres => postgres.as_ref().map(|postgres| database(postgres, &sdk.database())),
                };
                let run = move |output: &Output| {
                    let runner = prepared.as_ref().as_ref().map_err(|error| anyhow!("{error:#}"))?;
                    sdk::run(setting, sdk, runner, store, database.transpose()?.as_deref(), output)
                };
                parts.push((format!("{} {}", sdk.name(), store.name()), Box::new(run)));
            }
        }
    }
    summary.parts(parts);
    // Stopped before the summary, so that its lines are the last ones.
    drop(postgres);
    summary.print();
    Ok(!summary.failed())
}

/// Runs the tests of all crates; without PostgreSQL when the other store was asked for.
fn rust(setting: &Setting<'_>, database: Option<Result<String>>, output: &Output) -> Result<Counts> {
    let mut command = process::command(project::cargo());
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(setting.extra)
        .current_dir(&setting.project.root);
    command.env("HIROBA_BIN", setting.binary()?);
    if let Some(database) = database {
        command.env("HIROBA_TEST_DATABASE_URL", database?);
        command.env("HIROBA_TEST_NATS_SERVER", packages::ensure("nats-server", "nats-server")?);
    }
    let mut counts = Counts::default();
    let ok = process::run("cargo test", command, RUST_TIMEOUT, |line| {
        output.line(line);
        counts.read_cargo(line);
    })
    .context("running the tests of the crates")?;
    Ok(counts.with_outcome(ok))
}
