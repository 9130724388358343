//! Children: started so that they end with xtask, watched without polling, stopped with a deadline.

use crate::{packages, proc};
use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Time in which a killed process must be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which output that was written before an exit must have been read.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Lines of a log that are shown when its process failed.
const TAIL_LINES: usize = 60;

/// A command whose process the kernel stops when xtask dies in whatever way.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    bound_command(&["--pdeathsig=TERM"], program.as_ref())
}

/// The same as another user, for root only; `death_signal` is the gentle end of that program.
pub(crate) fn command_as(user: &str, death_signal: &str, program: impl AsRef<OsStr>) -> Command {
    let user_option = format!("--reuid={user}");
    let group_option = format!("--regid={user}");
    let signal_option = format!("--pdeathsig={death_signal}");
    bound_command(&[&user_option, &group_option, "--init-groups", &signal_option], program.as_ref())
}

fn bound_command(options: &[&str], program: &OsStr) -> Command {
    // The program replaces setpriv, so the process keeps its number. Elsewhere than on Linux there is none.
    let Some(setpriv) = packages::find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(options).arg("--").arg(program);
    command
}

/// Runs a command to its end, handing over its standard output line by line. Returns whether it succeeded.
pub(crate) fn run(
    name: &str,
    mut command: Command,
    timeout: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<bool> {
    command.stdin(Stdio::null());
    let mut process = Process::spawn(name, command, None)?;
    let deadline = Instant::now() + timeout;
    while let Some(line) = process.line(deadline)? {
        on_line(&line);
    }
    Ok(process.exit(deadline)?.success())
}

enum Event {
    Line(String),
    Closed,
    Exited(ExitStatus),
}

/// A running child. It is killed, with everything below it, when the value is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    pid: Pid,
    log: Option<PathBuf>,
    events: Receiver<Event>,
    /// Lines are sent only while somebody waits for one; a server may write for hours.
    listening: Arc<AtomicBool>,
    exited: Option<ExitStatus>,
    closed: bool,
}

impl Process {
    /// Starts a service whose output goes to a log file.
    pub(crate) fn start(name: &str, command: Command, log: &Path) -> Result<Self> {
        Self::spawn(name, command, Some(log))
    }

    fn spawn(name: &str, mut command: Command, log: Option<&Path>) -> Result<Self> {
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        if log.is_some() {
            command.stdin(Stdio::null()).stderr(writer.try_clone().context("sharing a pipe")?);
        }
        command.stdout(writer);
        let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
        // The command holds the writing end; without this the pipe would never close.
        drop(command);
        let pid = Pid::from_child(&child);
        let (sender, events) = channel();
        let listening = Arc::new(AtomicBool::new(true));
        let file = log.map(File::create).transpose().context("creating a log file")?;
        let lines = sender.clone();
        let flag = Arc::clone(&listening);
        std::thread::spawn(move || pump(BufReader::new(reader), file, &flag, &lines));
        std::thread::spawn(move || {
            if let Ok(status) = child.wait() {
                // Nobody listens any more when the owner is gone.
                let _ = sender.send(Event::Exited(status));
            }
        });
        let log = log.map(Path::to_path_buf);
        Ok(Self { name: name.to_owned(), pid, log, events, listening, exited: None, closed: false })
    }

    /// Number of the process.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits for the line that says that the service is ready, and returns it.
    pub(crate) fn wait_for_line(
        &mut self,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.line(deadline) {
                Ok(Some(line)) if wanted(&line) => {
                    self.listening.store(false, Ordering::Relaxed);
                    return Ok(line);
                }
                Ok(Some(_)) => {}
                Ok(None) => return Err(self.not_ready("it ended")),
                Err(error) => return Err(self.not_ready(&error.to_string())),
            }
        }
    }

    fn not_ready(&mut self, reason: &str) -> anyhow::Error {
        let tail = self.log_tail();
        anyhow!("{} is not ready: {reason}\n{tail}", self.name)
    }

    /// Sends a signal and returns how the process ended.
    pub(crate) fn stop(&mut self, signal: Signal, timeout: Duration) -> Result<ExitStatus> {
        self.catch_up();
        if self.exited.is_none() {
            kill_process(self.pid, signal).with_context(|| format!("signalling {}", self.name))?;
        }
        self.exit(Instant::now() + timeout)
    }

    /// Last lines of the log, for the eyes of whoever looks for a fault.
    pub(crate) fn log_tail(&mut self) -> String {
        if self.exited.is_some() {
            let deadline = Instant::now() + DRAIN_TIMEOUT;
            while !self.closed && self.next(deadline).is_ok() {}
        }
        let Some(log) = &self.log else { return String::new() };
        let text = std::fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
        format!("--- end of the log of {} ---\n{}\n---", self.name, tail.join("\n"))
    }

    /// Next line of output; nothing when the process has ended and all it wrote was read.
    fn line(&mut self, deadline: Instant) -> Result<Option<String>> {
        loop {
            // Something below may keep the pipe open for ever, so after the end the rest is waited for only a moment.
            let deadline = match self.exited {
                Some(_) if self.closed => return Ok(None),
                Some(_) => deadline.min(Instant::now() + DRAIN_TIMEOUT),
                None => deadline,
            };
            match self.next(deadline) {
                Ok(Some(line)) => return Ok(Some(line)),
                Ok(None) => {}
                Err(_) if self.exited.is_some() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes what has happened unread: the exit may be long past.
    fn catch_up(&mut self) {
        while self.exited.is_none() && self.next(Instant::now()).is_ok() {}
    }

    fn exit(&mut self, deadline: Instant) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.exited {
                return Ok(status);
            }
            self.next(deadline).with_context(|| format!("{} does not end", self.name))?;
        }
    }

    /// Takes one event; a line is returned, the others are remembered.
    fn next(&mut self, deadline: Instant) -> Result<Option<String>> {
        match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Line(line)) => return Ok(Some(line)),
            Ok(Event::Closed) => self.closed = true,
            Ok(Event::Exited(status)) => self.exited = Some(status),
            Err(RecvTimeoutError::Timeout) => bail!("the time for it is over"),
            Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("nothing watches it any more")),
        }
        Ok(None)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.catch_up();
        if self.exited.is_some() {
            return;
        }
        let below = proc::descendants(self.pid());
        let below = below.into_iter().filter_map(Pid::from_raw);
        for pid in std::iter::once(self.pid).chain(below) {
            // One that ended meanwhile needs no signal.
            let _ = kill_process(pid, Signal::KILL);
        }
        if let Err(error) = self.exit(Instant::now() + KILL_TIMEOUT) {
            eprintln!("warning: {error:#}");
        }
    }
}

fn pump(mut reader: impl BufRead, mut file: Option<File>, listening: &AtomicBool, events: &Sender<Event>) {
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes), Ok(read) if read > 0) {
        if let Some(file) = &mut file {
            // A full disk must not stop the service by a full pipe.
            let _ = file.write_all(&bytes);
        }
        if listening.load(Ordering::Relaxed) {
            let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
            let _ = events.send(Event::Line(line));
        }
        bytes.clear();
    }
    let _ = events.send(Event::Closed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = command("sh");
        shell.arg("-c").arg(script);
        shell
    }

    const DEADLINE: Duration = Duration::from_secs(20);

    #[test]
    fn run_hands_over_every_line_and_the_outcome() {
        let mut lines = Vec::new();
        assert!(
            run("echo", shell("echo one; echo two"), DEADLINE, |line| lines.push(line.to_owned())).unwrap()
        );
        assert_eq!(lines, ["one", "two"]);
        assert!(!run("false", shell("exit 3"), DEADLINE, |_| {}).unwrap());
    }

    #[test]
    fn run_ends_although_something_below_keeps_the_pipe() {
        let start = Instant::now();
        assert!(run("orphan", shell("sleep 15 & echo done"), DEADLINE, |_| {}).unwrap());
        assert!(start.elapsed() < Duration::from_secs(12));
    }

    #[test]
    fn a_silent_command_runs_into_its_deadline() {
        assert!(run("sleep", shell("sleep 60"), Duration::from_millis(50), |_| {}).is_err());
    }

    #[test]
    fn a_service_is_awaited_stopped_and_its_log_kept() {
        let folder = crate::temp_dir::TempDir::create("process-test", None).unwrap();
        let script = "trap 'echo bye; exit 0' TERM; echo ready on 7; while :; do sleep 0.01; done";
        let mut process = Process::start("service", shell(script), &folder.path().join("log")).unwrap();
        assert_eq!(process.wait_for_line(DEADLINE, |line| line.contains("ready")).unwrap(), "ready on 7");
        assert!(process.stop(Signal::TERM, DEADLINE).unwrap().success());
        assert!(process.log_tail().contains("ready on 7\nbye\n"));
    }

    #[test]
    fn a_service_that_ends_early_shows_its_log() {
        let folder = crate::temp_dir::TempDir::create("early-test", None).unwrap();
        let mut process =
            Process::start("service", shell("echo no disk >&2"), &folder.path().join("log")).unwrap();
        let error = process.wait_for_line(DEADLINE, |_| false).unwrap_err().to_string();
        assert!(error.contains("no disk"), "{error}");
    }

    #[test]
    fn a_dropped_process_takes_what_is_below_it_along() {
        let folder = crate::temp_dir::TempDir::create("drop-test", None).unwrap();
        let script = "sleep 60 & echo $!; wait";
        let mut process = Process::start("tree", shell(script), &folder.path().join("log")).unwrap();
        let below: i32 = process.wait_for_line(DEADLINE, |_| true).unwrap().parse().unwrap();
        assert!(proc::descendants(process.pid()).contains(&below));
        let pid = process.pid();
        drop(process);
        assert!(proc::descendants(pid).is_empty());
        assert!(!proc::is_alive(pid));
    }
}
