//! The real program as a process of its own, for what needs a real kill, a real signal or a real memory.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::api::Api;
use crate::database::{Database, MASTER_KEY};
use crate::deadline::EVENT;

/// Line that says that the server takes calls, before the URL.
const READY: &str = "hiroba ready on ";

/// What a process is started with.
#[derive(Debug)]
pub struct Builder {
    program: PathBuf,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

/// A running `hiroba serve`. Killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    url: String,
    start_time: Duration,
    data_folder: PathBuf,
    /// Lines of standard output after the ready line; closed when the process has ended.
    output: Receiver<String>,
    printed: Vec<String>,
    log: Arc<Mutex<String>>,
}

impl Builder {
    /// The program with a data folder of this name, on this database.
    pub fn new(program: &str, database: &Database, folder: &str) -> Builder {
        let data_folder = database.data_folder(folder);
        let mut environment = vec![
            ("HIROBA_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("HIROBA_DATA_DIR".to_owned(), data_folder.to_str().expect("a UTF-8 path").to_owned()),
        ];
        environment.push(("HIROBA_MASTER_KEY".to_owned(), MASTER_KEY.to_owned()));
        environment.extend(database.url().map(|url| ("HIROBA_DATABASE_URL".to_owned(), url)));
        Builder { program: program.into(), environment, arguments: vec!["serve".to_owned()] }
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Builder {
        self.environment.retain(|(given, _)| given != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without an environment variable that it is started with otherwise.
    pub fn without_env(mut self, name: &str) -> Builder {
        self.environment.retain(|(given, _)| given != name);
        self
    }

    /// Another command than `serve`, which ends by itself.
    pub fn command_named(mut self, name: &str) -> Builder {
        self.arguments[0] = name.to_owned();
        self
    }

    /// With a further argument.
    pub fn arg(mut self, argument: &str) -> Builder {
        self.arguments.push(argument.to_owned());
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HIROBA_")) {
            command.env_remove(name);
        }
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end, which must come by itself: how it ended, and what it printed and logged.
    pub fn run_to_end(&self) -> (ExitStatus, String, String) {
        let child = self.command().spawn().expect("starting the program");
        let output = child.wait_with_output().expect("waiting for the program");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status, text(output.stdout), text(output.stderr))
    }

    /// Starts the program and waits until it is ready. Blocks meanwhile.
    pub fn start(&self) -> Process {
        let started = Instant::now();
        let mut child = self.command().spawn().expect("starting the program");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || keep(stderr, &kept));
        let (sender, output) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // Ends with the process, or when nobody listens any more.
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let url = match output.recv_timeout(EVENT) {
            Ok(line) => line.strip_prefix(READY).unwrap_or_else(|| panic!("first line: {line}")).to_owned(),
            Err(error) => {
                let _ = child.kill();
                panic!("no ready line: {error}\n{}", log.lock().unwrap());
            }
        };
        let folder = self.environment.iter().find(|(name, _)| name == "HIROBA_DATA_DIR");
        Process {
            child,
            url,
            start_time: started.elapsed(),
            data_folder: folder.map(|(_, folder)| folder.into()).unwrap_or_default(),
            output,
            printed: Vec::new(),
            log,
        }
    }
}

fn keep(mut stream: impl Read, kept: &Mutex<String>) {
    let mut bytes = [0; 4096];
    while let Ok(count) = stream.read(&mut bytes) {
        if count == 0 {
            return;
        }
        kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

impl Process {
    /// URL of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Address of the server.
    pub fn address(&self) -> SocketAddr {
        let (_, address) = self.url.split_once("://").expect("a URL");
        address.parse().expect("an address")
    }

    /// Number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Time from the start of the program to its ready line.
    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    /// What the program logged up to now.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Client id and secret that the program keeps in its data folder.
    pub fn credential(&self) -> (String, String) {
        let kept = std::fs::read(self.data_folder.join("credentials.json")).expect("reading the credential");
        let kept: serde_json::Value = serde_json::from_slice(&kept).expect("the credential is JSON");
        let text = |name| crate::api::text(&kept, name).to_owned();
        (text("clientId"), text("clientSecret"))
    }

    /// The administrator, logged in.
    pub async fn api(&self) -> Api {
        let (client_id, client_secret) = self.credential();
        Api::login(self.address(), &client_id, &client_secret).await
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("sending SIGTERM");
    }

    /// Kills the process at once and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("sending SIGKILL");
        self.child.wait().expect("waiting for a killed process");
    }

    /// Waits until the process has ended by itself: how it ended, and what it printed after the ready line. Blocks.
    pub fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + EVENT;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.printed.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("the process did not end: {error}\n{}", self.log()),
            }
        }
        (self.child.wait().expect("waiting for the process"), std::mem::take(&mut self.printed))
    }

    /// Stops the process with SIGTERM. Fails the test unless it exits with 0 and without a panic in its log. Blocks.
    pub fn stop(mut self) -> Vec<String> {
        self.terminate();
        let (status, printed) = self.ended();
        let log = self.log();
        assert!(status.success(), "{status}\n{log}");
        assert!(!log.contains("panicked"), "{log}");
        printed
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
