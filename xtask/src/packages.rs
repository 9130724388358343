//! Programs of the operating system, installed when they are missing.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Finds a program on the search path, or where system services keep theirs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Finds a program, after installing its Debian package when need be.
pub(crate) fn ensure(program: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    install(package)?;
    find(program).with_context(|| format!("package {package} is installed and {program} is still not found"))
}

/// Installs a Debian package, as root or through sudo.
pub(crate) fn install(package: &str) -> Result<()> {
    let by_hand = format!("install the equivalent of the Debian package {package} by hand and run again");
    if !Path::new("/etc/debian_version").exists() || find("apt-get").is_none() {
        bail!("{package} is missing and this is not a Debian machine: {by_hand}");
    }
    let root = rustix::process::geteuid().is_root();
    if !root && find("sudo").is_none() {
        bail!("{package} is missing, and installing it takes root or sudo: {by_hand}");
    }
    println!("installing {package}");
    // A mirror may lack the versions of an old list, so the list is always renewed first.
    for arguments in
        [&["update", "-qq"][..], &["install", "-y", "-qq", "--no-install-recommends", package][..]]
    {
        let mut command = if root { Command::new("env") } else { Command::new("sudo") };
        command.arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get").args(arguments);
        let status = command.status().context("running apt-get")?;
        if !status.success() {
            bail!("apt-get {} failed ({status}): {by_hand}", arguments.join(" "));
        }
    }
    Ok(())
}
