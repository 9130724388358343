//! Installations that are kept between runs, and made again when what they were made from has changed.

use crate::{packages, process};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// File that holds the requirements an installation was made from.
const STAMP: &str = ".hiroba-stamp";

/// Installs the locked packages of a folder with a `package.json` unless they are there, and returns npm.
pub(crate) fn node_modules(folder: &Path) -> Result<PathBuf> {
    let npm = packages::find("npm").context("npm is missing: install node with npm and run again")?;
    let wanted = read(&folder.join("package.json"))? + &read(&folder.join("package-lock.json"))?;
    let modules = folder.join("node_modules");
    if !is_current(&modules, &wanted) {
        let mut command = process::command(&npm);
        command.args(["ci", "--no-audit", "--no-fund"]).current_dir(folder);
        run("npm ci", &mut command)?;
        stamp(&modules, &wanted)?;
    }
    Ok(npm)
}

/// Runs an installer to its end.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<()> {
    println!("running {name}");
    let status = command.status().with_context(|| format!("starting {name}"))?;
    if !status.success() {
        bail!("{name} failed: {status}");
    }
    Ok(())
}

/// Reads a file of requirements.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Whether the installation was made from these requirements.
pub(crate) fn is_current(folder: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(folder.join(STAMP)).is_ok_and(|found| found == wanted)
}

/// Written last, so that an installation that was cut short is made again.
pub(crate) fn stamp(folder: &Path, wanted: &str) -> Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(STAMP), wanted))
        .with_context(|| format!("writing to {}", folder.display()))
}
