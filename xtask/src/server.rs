//! A running `hiroba serve` with credentials that the runners know.

use crate::process::{self, Process};
use crate::temp_dir::TempDir;
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Client id of the administrator credential.
pub(crate) const CLIENT_ID: &str = "xtask-client-id";
/// Its secret. The server listens on loopback only, and only while a task runs.
pub(crate) const CLIENT_SECRET: &str = "xtask-client-secret";
/// The project's owner.
pub(crate) const OWNER_ID: &str = "xtask-owner";
/// Region that GRNs name.
pub(crate) const REGION: &str = "ap-northeast-1";

/// Time from start to the line that says ready, on a machine that builds something beside it.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time from SIGTERM to the exit.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// What the server prints before its address when it takes calls.
const READY: &str = "hiroba ready on ";

/// A running server, killed with the value unless it was stopped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    /// Address for clients, such as `http://127.0.0.1:41234`.
    pub(crate) url: String,
    _folder: TempDir,
}

impl Server {
    /// Starts the server on a fresh data folder, with the embedded store or the given PostgreSQL database, and with
    /// further arguments of `hiroba serve`.
    pub(crate) fn start(
        binary: &Path,
        base: Option<&Path>,
        name: &str,
        database_url: Option<&str>,
        arguments: &[&str],
    ) -> Result<Self> {
        let folder = TempDir::create(name, base)?;
        let mut command = process::command(binary);
        clear_settings(&mut command);
        command.args(["serve", "--listen", "127.0.0.1:0", "--region", REGION, "--owner-id", OWNER_ID]);
        command.args(["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]);
        command.arg("--data-dir").arg(folder.folder("data")?);
        if let Some(url) = database_url {
            command.args(["--database-url", url]);
        }
        command.args(arguments);
        let mut process = Process::start("hiroba", command, &folder.path().join("log"))?;
        let line = process.wait_for_line(READY_TIMEOUT, |line| line.contains(READY))?;
        let url = line.split(READY).nth(1).context("the server printed no address")?.trim().to_owned();
        Ok(Self { process, url, _folder: folder })
    }

    /// Number of the server's process.
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Host and port, for those who speak TCP themselves.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }

    /// Stops the server as an operator would, and demands the exit code of a clean stop.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let status = self.process.stop(Signal::TERM, STOP_TIMEOUT).context("after SIGTERM")?;
        if !status.success() {
            bail!("the server answered SIGTERM with {status}, expected exit code 0");
        }
        Ok(())
    }

    /// Last lines of the server's log.
    pub(crate) fn log_tail(&mut self) -> String {
        self.process.log_tail()
    }
}

/// Keeps the settings of whoever runs the task away from the server.
fn clear_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("HIROBA_")) {
            command.env_remove(&name);
        }
    }
}

/// A port that is free now. Another process may take it first; whoever listens on it says so.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}
