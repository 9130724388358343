//! A PostgreSQL of our own: loopback, free port, temporary data, durable as in production.

use crate::process::{self, Process};
use crate::temp_dir::TempDir;
use crate::{packages, server};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Time for recovery-free start and for a fast shutdown.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Connections the server takes: the test binaries of one crate run many servers at once.
const CONNECTIONS_MAX: u32 = 300;
/// User of the operating system that the Debian package makes; PostgreSQL refuses to run as root.
const SYSTEM_USER: &str = "postgres";

/// A running PostgreSQL, stopped with the value.
#[derive(Debug)]
pub(crate) struct Postgres {
    process: Process,
    binaries: PathBuf,
    port: u16,
    folder: TempDir,
}

impl Postgres {
    /// Finds or installs PostgreSQL, makes a cluster and starts it.
    pub(crate) fn start(base: Option<&Path>) -> Result<Self> {
        let binaries = match binaries() {
            Some(binaries) => binaries,
            None => {
                packages::install("postgresql")?;
                binaries().context("postgresql is installed and initdb is still not found")?
            }
        };
        let folder = TempDir::create("postgres", base)?;
        let home = folder.folder("home")?;
        if rustix::process::geteuid().is_root() {
            let owner = |option| system_id(option, SYSTEM_USER);
            std::os::unix::fs::chown(&home, Some(owner("-u")?), Some(owner("-g")?))
                .context("giving PostgreSQL its folder")?;
        }
        let data = home.join("data");
        let mut initdb = unprivileged(&binaries.join("initdb"));
        initdb
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data);
        let output = initdb.current_dir(&home).output().context("running initdb")?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let port = server::free_port()?;
        let mut command = unprivileged(&binaries.join("postgres"));
        command.arg("-D").arg(&data).current_dir(&home);
        let socket = home.to_str().context("the temporary folder's name is not UTF-8")?;
        for setting in [
            "listen_addresses=127.0.0.1",
            &format!("port={port}"),
            &format!("unix_socket_directories={socket}"),
            &format!("max_connections={CONNECTIONS_MAX}"),
            "lc_messages=C",
        ] {
            command.args(["-c", setting]);
        }
        let mut process = Process::start("PostgreSQL", command, &folder.path().join("log"))?;
        process.wait_for_line(TIMEOUT, |line| line.contains("ready to accept connections"))?;
        Ok(Self { process, binaries, port, folder })
    }

    /// Makes an empty database and returns its address.
    pub(crate) fn create_database(&self, name: &str) -> Result<String> {
        let output = Command::new(self.binaries.join("createdb"))
            .args(["--host=127.0.0.1", "--username=postgres", &format!("--port={}", self.port), name])
            .current_dir(self.folder.path())
            .output()
            .context("running createdb")?;
        if !output.status.success() {
            bail!("createdb {name} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(format!("postgres://postgres@127.0.0.1:{}/{name}", self.port))
    }

    /// Number of the process that all others of this PostgreSQL are below of.
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is the fast shutdown; SIGTERM would wait for clients that may never leave.
        if let Err(error) = self.process.stop(Signal::INT, TIMEOUT) {
            eprintln!("warning: stopping PostgreSQL: {error:#}");
        }
    }
}

fn unprivileged(program: &Path) -> Command {
    if rustix::process::geteuid().is_root() {
        process::command_as(SYSTEM_USER, "INT", program)
    } else {
        process::command(program)
    }
}

/// Folder with initdb, postgres and createdb: the newest of Debian's, or the one on the search path.
fn binaries() -> Option<PathBuf> {
    let complete =
        |folder: &Path| ["initdb", "postgres", "createdb"].iter().all(|name| folder.join(name).is_file());
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| complete(folder))
        .collect();
    versions.sort();
    let on_path = || Some(packages::find("initdb")?.canonicalize().ok()?.parent()?.to_path_buf());
    versions.pop().map(|(_, folder)| folder).or_else(|| on_path().filter(|folder| complete(folder)))
}

fn system_id(option: &str, user: &str) -> Result<u32> {
    let output = Command::new("id").args([option, user]).output().context("running id")?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .with_context(|| format!("root cannot run PostgreSQL, and there is no user {user} to run it as"))
}
