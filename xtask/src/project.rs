//! Where things are: the repository, the target directory, the binaries that cargo builds.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository that this xtask belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// Root of the workspace.
    pub(crate) root: PathBuf,
    /// Target directory of cargo, wherever the environment or the configuration put it.
    pub(crate) target: PathBuf,
}

impl Project {
    /// Asks cargo, so that every way to move the target directory is honoured.
    pub(crate) fn load() -> Result<Self> {
        let root = root();
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&root)
            .stderr(Stdio::inherit())
            .output()
            .context("running cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", output.status);
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
        let target =
            metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(Self { root, target: target.into() })
    }

    /// Folder for what xtask keeps between runs, such as the Python environment.
    pub(crate) fn cache(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// Builds the server and returns the path of its binary.
    pub(crate) fn build_server(&self, release: bool) -> Result<PathBuf> {
        let mut command = Command::new(cargo());
        command.args(["build", "--package", "hiroba", "--bin", "hiroba"]);
        command.arg("--message-format=json-render-diagnostics");
        if release {
            command.arg("--release");
        }
        let output = command
            .current_dir(&self.root)
            .stderr(Stdio::inherit())
            .output()
            .context("running cargo build of the server")?;
        if !output.status.success() {
            bail!("the server does not build: {}", output.status);
        }
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
            .context("cargo built no executable named hiroba")
    }
}

/// Root of the repository: one above this crate.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable when it runs us; the built-in path serves a binary that is started by hand.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    let manifest = PathBuf::from(manifest);
    manifest.parent().map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// The cargo that runs us, so that a toolchain override stays in force.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
