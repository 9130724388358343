//! A real NATS server on loopback, which a test can kill and start again.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

/// Names the program `nats-server`.
pub const PROGRAM: &str = "HIROBA_TEST_NATS_SERVER";
/// Time for the server to listen.
const START: Duration = Duration::from_secs(20);

/// The server; killed when it is dropped.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Nats {
    /// Starts one; `None` when no program was named.
    pub fn start() -> Option<Nats> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            say_once_that_nats_did_not_run();
            return None;
        };
        // The port is free when it is given back; nothing else on this machine takes ports by number.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut nats = Nats { program: program.into(), port, child: None };
        nats.restart();
        Some(nats)
    }

    /// Its URL, the same after a restart.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--addr", "127.0.0.1", "--port", &self.port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(begun.elapsed() < START, "nats-server does not listen");
            std::thread::yield_now();
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

fn say_once_that_nats_did_not_run() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        // Past the test runner's capture, so that it is seen though the tests "pass".
        let note = format!("\ntests with several nodes NOT RUN: {PROGRAM} is not set\n");
        let _ = std::io::stderr().write_all(note.as_bytes());
    });
}
