//! `cargo xtask ci`: the checks of `.ci/run`, one after the other, stopping at the first that fails.

use crate::test::TestArguments;
use crate::{project, test, tidy};
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Runs the task and returns whether all tests passed.
pub(crate) fn run() -> Result<bool> {
    cargo(&["fmt", "--all", "--check"])?;
    // With what the usual build leaves out; the tests are built without it.
    cargo(&["clippy", "--workspace", "--all-targets", "--features", "hiroba/otel", "--", "-D", "warnings"])?;
    let deny = Command::new(project::cargo()).args(["deny", "--version"]).stdout(Stdio::null()).status();
    if !deny.is_ok_and(|status| status.success()) {
        bail!("cargo-deny is missing; .ci/run shows how it is installed");
    }
    // Advisories are left out: they need a database from the network, and a build must not change by the day.
    cargo(&["deny", "check", "bans", "licenses", "sources"])?;
    tidy::run()?;
    test::run(&TestArguments::default())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let name = format!("cargo {}", arguments.join(" "));
    println!("\n=== {name}");
    let status = Command::new(project::cargo())
        .args(arguments)
        .current_dir(project::root())
        .status()
        .with_context(|| format!("starting {name}"))?;
    if !status.success() {
        bail!("{name} failed");
    }
    Ok(())
}
