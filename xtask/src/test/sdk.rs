//! The official SDKs against a running server: pytest with `gs2`, node's test runner with the npm package.

use super::counts::Counts;
use super::summary::Output;
use super::{Setting, Store};
use crate::install::{self, is_current, read, stamp};
use crate::packages;
use crate::process;
use crate::project::Project;
use crate::server::{self, Server};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Time for all tests of one SDK on one store.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// An SDK that we test with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sdk {
    Python,
    Node,
}

impl Sdk {
    /// Name of the language, in the summary and in database names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    /// Installs the SDK unless it is there; returns the program that runs the tests.
    pub(crate) fn prepare(self, project: &Project) -> Result<PathBuf> {
        let tests = self.tests(project);
        match self {
            Self::Python => prepare_python(&tests, &project.cache().join("venv")),
            Self::Node => prepare_node(&tests),
        }
    }

    fn tests(self, project: &Project) -> PathBuf {
        project.root.join("tests").join(self.name())
    }

    /// Name of its database.
    pub(crate) fn database(self) -> String {
        format!("hiroba_{}", self.name())
    }

    fn command(self, setting: &Setting<'_>, runner: &Path, store: Store) -> Command {
        let mut command = process::command(runner);
        match self {
            Self::Python => {
                let cache = setting.project.cache().join("pytest").join(store.name());
                command.args(["-m", "pytest", "-o"]).arg(format!("cache_dir={}", cache.display()));
                command.args(setting.extra).env("PYTHONDONTWRITEBYTECODE", "1");
            }
            Self::Node => {
                command.args(["test", "--"]).args(setting.extra);
            }
        }
        command.current_dir(self.tests(setting.project));
        command
    }
}

/// Starts a server on an empty store, runs the SDK's tests against it and stops it as an operator would.
pub(crate) fn run(
    setting: &Setting<'_>,
    sdk: Sdk,
    runner: &Path,
    store: Store,
    database: Option<&str>,
    output: &Output,
) -> Result<Counts> {
    let binary = setting.binary()?;
    let mut server = Server::start(binary, None, sdk.name(), database, &[])?;
    let mut command = sdk.command(setting, runner, store);
    command
        .env("HIROBA_URL", &server.url)
        .env("HIROBA_CLIENT_ID", server::CLIENT_ID)
        .env("HIROBA_CLIENT_SECRET", server::CLIENT_SECRET)
        .env("HIROBA_OWNER_ID", server::OWNER_ID)
        .env("HIROBA_REGION", server::REGION)
        .env("HIROBA_STORE", store.name())
        .env("HIROBA_BIN", binary);
    let mut counts = Counts::default();
    let outcome = process::run(sdk.name(), command, TIMEOUT, |line| {
        output.line(line);
        match sdk {
            Sdk::Python => counts.read_pytest(line),
            Sdk::Node => counts.read_node(line),
        }
    });
    let mut faults = Vec::new();
    match outcome {
        Ok(ok) => counts = counts.with_outcome(ok),
        Err(error) => faults.push(error),
    }
    if let Err(error) = server.stop() {
        faults.push(error);
    }
    for fault in &faults {
        output.line(format!("error: {fault:#}"));
        counts.failed += 1;
    }
    if counts.failed > 0 {
        output.line(server.log_tail());
    }
    Ok(counts)
}

/// Makes a virtual environment with the pinned requirements and returns its interpreter.
fn prepare_python(tests: &Path, environment: &Path) -> Result<PathBuf> {
    let requirements = tests.join("requirements.txt");
    let wanted = read(&requirements)?;
    let python = environment.join("bin/python");
    if is_current(environment, &wanted) && python.exists() {
        return Ok(python);
    }
    // An environment that other requirements left behind may hold what the new ones do not name.
    if environment.exists() {
        std::fs::remove_dir_all(environment).context("removing the old Python environment")?;
    }
    let create =
        || install::run("python3 -m venv", process::command("python3").args(["-m", "venv"]).arg(environment));
    if create().is_err() {
        // Debian keeps the module that venv needs in a package of its own.
        packages::install("python3-venv")?;
        create()?;
    }
    let mut pip = process::command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&requirements);
    install::run("pip install", &mut pip)?;
    stamp(environment, &wanted)?;
    Ok(python)
}

/// Installs the locked packages beside the tests, where node looks for them, and returns npm.
fn prepare_node(tests: &Path) -> Result<PathBuf> {
    install::node_modules(tests)
}
