//! Folders of one run, removed when it ends.
//!
//! They are under `/var/tmp`, which is on a disk where `/tmp` may be memory: a store that is tested or measured in
//! memory would show a durability that costs nothing.

use crate::proc;
use anyhow::{Context, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "hiroba-xtask-";

/// A folder that is removed with the value.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: PathBuf,
}

impl TempDir {
    /// Makes a folder of its own, in `base` when given.
    pub(crate) fn create(name: &str, base: Option<&Path>) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let base = base.map_or_else(default_base, Path::to_path_buf);
        remove_stale(&base);
        std::fs::create_dir_all(&base).with_context(|| format!("creating {}", base.display()))?;
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("{PREFIX}{}-{number}-{name}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                // Left behind by a process that had this number before.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("creating {}", path.display())),
            }
        }
    }

    /// Path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder of that name inside.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("leaving {}: {error}", self.path.display());
        }
    }
}

fn default_base() -> PathBuf {
    let disk = Path::new("/var/tmp");
    if disk.is_dir() { disk.to_path_buf() } else { std::env::temp_dir() }
}

/// Removes what runs left behind that were killed before they could tidy up.
fn remove_stale(base: &Path) {
    let Ok(folder) = std::fs::read_dir(base) else { return };
    for entry in folder.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if owner.is_some_and(|pid| !proc::is_alive(pid)) {
            // Another user's leftovers are not ours to remove, so a refusal is no fault.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
