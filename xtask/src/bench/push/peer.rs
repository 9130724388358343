//! The servers that push: started, joined by sockets, told what to push, asked for CPU time and memory.

use super::Peer;
use super::caller::{Caller, FILLER_BYTES, ID, Link, NUMBER, Template, payload, socket_number};
use super::dialect::Dialect;
use crate::bench::frame::{BINARY, TEXT};
use crate::bench::hiroba::Prepared;
use crate::bench::http::Connection;
use crate::bench::socket::Socket;
use crate::postgres::Postgres;
use crate::process::{self, Process};
use crate::project::Project;
use crate::server::{Server, free_port};
use crate::temp_dir::TempDir;
use crate::{install, packages, proc};
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Time from start to ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Settings of Hiroba beside the defaults: one player may have all sockets, and nobody answers pings until all have joined.
const SETTINGS: [&str; 4] = ["--player-sockets-max", "100000", "--socket-silence-seconds", "3600"];
/// Namespace in which each socket is bound to a player of its own.
const OWN: &str = "own";
/// Namespace in which all sockets are bound to one player.
const ALL: &str = "all";
/// Connections that the callers of a peer share whose calls are not answered.
const LINE_CONNECTIONS: usize = 4;

/// Files of the Socket.IO server.
const SOCKETIO_FILES: [(&str, &str); 4] = [
    ("package.json", include_str!("../../../bench/socketio/package.json")),
    ("package-lock.json", include_str!("../../../bench/socketio/package-lock.json")),
    (".npmrc", include_str!("../../../bench/socketio/.npmrc")),
    ("server.js", include_str!("../../../bench/socketio/server.js")),
];

/// A started peer.
#[derive(Debug)]
pub(super) struct Running {
    access: Arc<Access>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Hiroba {
        server: Box<Server>,
        postgres: Option<Box<Postgres>>,
    },
    /// Killed when dropped.
    Foreign {
        process: Process,
        _folder: TempDir,
    },
}

impl Running {
    /// Starts the peer, after installing it when need be.
    pub(super) async fn start(peer: Peer, binary: Option<&Path>) -> Result<Self> {
        match peer {
            Peer::Hiroba | Peer::HirobaPostgres => {
                start_hiroba(peer, binary.context("the server was not built")?).await
            }
            Peer::Socketio => start_socketio(),
            Peer::Nats => start_nats(),
        }
    }

    fn foreign(process: Process, folder: TempDir, access: Access) -> Self {
        Self { access: Arc::new(access), kind: Kind::Foreign { process, _folder: folder } }
    }

    /// Which peer it is.
    pub(super) fn peer(&self) -> Peer {
        self.access.peer
    }

    /// How to connect to it.
    pub(super) fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// CPU time of all processes that do the peer's work.
    pub(super) fn cpu(&self) -> Result<Duration> {
        match &self.kind {
            Kind::Hiroba { server, postgres } => {
                let database =
                    postgres.as_ref().map(|postgres| proc::cpu_of_tree(postgres.pid())).transpose()?;
                Ok(proc::cpu(server.pid())? + database.unwrap_or_default())
            }
            Kind::Foreign { process, .. } => proc::cpu_of_tree(process.pid()),
        }
    }

    /// Bytes of resident memory of the process that has the sockets.
    pub(super) fn resident(&self) -> Result<u64> {
        match &self.kind {
            Kind::Hiroba { server, .. } => proc::resident(server.pid()),
            Kind::Foreign { process, .. } => proc::resident(process.pid()),
        }
    }

    /// Stops the peer; for Hiroba the stop is part of what must work.
    pub(super) fn stop(self) -> Result<()> {
        match self.kind {
            Kind::Hiroba { mut server, .. } => {
                server.stop().with_context(|| format!("stopping {}", self.access.peer.name()))
            }
            Kind::Foreign { .. } => Ok(()),
        }
    }
}

/// How sockets and callers connect to a peer.
#[derive(Debug)]
pub(super) struct Access {
    peer: Peer,
    /// Host and port of the sockets.
    sockets: String,
    /// Host and port of the callers.
    callers: String,
    dialogue: Dialogue,
}

/// What is said when they have connected.
#[derive(Debug)]
enum Dialogue {
    Hiroba(Prepared),
    Socketio,
    Nats,
}

impl Access {
    /// The language of its sockets.
    pub(super) fn dialect(&self) -> Dialect {
        match self.dialogue {
            Dialogue::Hiroba(_) => Dialect::Hiroba,
            Dialogue::Socketio => Dialect::Socketio,
            Dialogue::Nats => Dialect::Nats(Vec::new()),
        }
    }

    /// Opens a socket that gets the pushes to its number.
    pub(super) async fn open(&self, number: usize) -> Result<Socket> {
        let address = &self.sockets;
        match &self.dialogue {
            Dialogue::Hiroba(prepared) => {
                let mut socket = Socket::open(address, "/").await?;
                prepared.bind(&mut socket, OWN, &format!("player-{}", socket_number(number))).await?;
                Ok(socket)
            }
            Dialogue::Socketio => {
                let mut socket = Socket::open(address, "/socket.io/?EIO=4&transport=websocket").await?;
                socket.wait_for(|received| received.starts_with(b"0{")).await?;
                socket.send(TEXT, format!("40{}", json!({"number": number})).as_bytes()).await?;
                socket.wait_for(|received| contains(received, b"40{")).await?;
                Ok(socket)
            }
            Dialogue::Nats => {
                let mut socket = Socket::open(address, "/").await?;
                socket.send(BINARY, nats_connect().as_bytes()).await?;
                subscribe(&mut socket, &format!("SUB own.{} 1\r\n", socket_number(number))).await?;
                Ok(socket)
            }
        }
    }

    /// Has a socket get the broadcasts too.
    pub(super) async fn join(&self, socket: &mut Socket) -> Result<()> {
        match &self.dialogue {
            Dialogue::Hiroba(prepared) => prepared.bind(socket, ALL, "everybody").await,
            // It broadcasts to whoever is connected.
            Dialogue::Socketio => Ok(()),
            Dialogue::Nats => subscribe(socket, "SUB all 2\r\n").await,
        }
    }

    /// How many connections so many callers have. Those whose calls are answered have one each, the others share a few, and
    /// what is called at the same time goes in one write.
    pub(super) fn connections(&self, callers: usize) -> usize {
        match self.dialogue {
            Dialogue::Hiroba(_) => callers,
            Dialogue::Socketio | Dialogue::Nats => callers.min(LINE_CONNECTIONS),
        }
    }

    /// Connects a caller.
    pub(super) async fn caller(&self) -> Result<Caller> {
        let (link, one, all) = match &self.dialogue {
            Dialogue::Hiroba(prepared) => {
                let body = json!({"subject": "bench", "payload": payload()}).to_string();
                let call = |namespace: &str, user: &str| {
                    let path = format!("/gateway/{namespace}/session/user/{user}/notification");
                    prepared.request("POST", &path, None, &body)
                };
                let link = Link::Http(Connection::open(&self.callers).await?);
                (link, call(OWN, &format!("player-{NUMBER}")), call(ALL, "everybody"))
            }
            Dialogue::Socketio => {
                let link = Link::open_line(&self.callers).await?;
                (link, format!("one {NUMBER} {ID}\n").into(), format!("all {ID}\n").into())
            }
            Dialogue::Nats => {
                let mut link = Link::open_line(&self.callers).await?;
                link.send(nats_connect().as_bytes()).await?;
                let payload = payload();
                let call = |subject: &str| format!("PUB {subject} {}\r\n{payload}\r\n", payload.len()).into();
                (link, call(&format!("own.{NUMBER}")), call("all"))
            }
        };
        Ok(Caller::new(link, Template::new(one)?, Template::new(all)?))
    }
}

async fn start_hiroba(peer: Peer, binary: &Path) -> Result<Running> {
    let postgres = if peer == Peer::HirobaPostgres { Some(Postgres::start(None)?) } else { None };
    let url = postgres.as_ref().map(|postgres| postgres.create_database("hiroba")).transpose()?;
    let name = format!("push-{}", peer.name());
    let server = Server::start(binary, None, &name, url.as_deref(), &SETTINGS)?;
    let prepared = Prepared::log_in(server.address()).await?;
    for namespace in [OWN, ALL] {
        prepared.create_namespace("gateway", namespace).await?;
    }
    let address = server.address().to_owned();
    let dialogue = Dialogue::Hiroba(prepared);
    let access = Access { peer, sockets: address.clone(), callers: address, dialogue };
    let kind = Kind::Hiroba { server: Box::new(server), postgres: postgres.map(Box::new) };
    Ok(Running { access: Arc::new(access), kind })
}

fn start_socketio() -> Result<Running> {
    let installed = Project::load()?.cache().join("socketio");
    std::fs::create_dir_all(&installed).with_context(|| format!("creating {}", installed.display()))?;
    for (name, text) in SOCKETIO_FILES {
        std::fs::write(installed.join(name), text)
            .with_context(|| format!("writing to {}", installed.display()))?;
    }
    install::node_modules(&installed)?;
    let node = packages::find("node").context("node is missing: install it and run again")?;
    let folder = TempDir::create("socketio", None)?;
    let mut command = process::command(node);
    command.arg("server.js").arg(FILLER_BYTES.to_string()).current_dir(&installed);
    command.env("NODE_ENV", "production").env_remove("NODE_OPTIONS").env_remove("DEBUG");
    let mut process = Process::start("socketio", command, &folder.path().join("log"))?;
    let line = process.wait_for_line(READY_TIMEOUT, |line| line.starts_with("ready "))?;
    let ports: Vec<&str> = line.split(' ').skip(1).collect();
    let [sockets, callers] = ports[..] else { bail!("the Socket.IO server says {line}") };
    let address = |port: &str| format!("127.0.0.1:{port}");
    let (sockets, callers) = (address(sockets), address(callers));
    let access = Access { peer: Peer::Socketio, sockets, callers, dialogue: Dialogue::Socketio };
    Ok(Running::foreign(process, folder, access))
}

fn start_nats() -> Result<Running> {
    let program = packages::ensure("nats-server", "nats-server")?;
    let folder = TempDir::create("nats", None)?;
    let (sockets, callers) = (free_port()?, free_port()?);
    let configuration = folder.path().join("nats.conf");
    let text = format!(
        "listen: \"127.0.0.1:{callers}\"\nwebsocket {{ listen: \"127.0.0.1:{sockets}\", no_tls: true }}\n"
    );
    std::fs::write(&configuration, text).context("writing the configuration of NATS")?;
    let mut command = process::command(program);
    command.arg("--config").arg(&configuration);
    let mut process = Process::start("nats", command, &folder.path().join("log"))?;
    process.wait_for_line(READY_TIMEOUT, |line| line.contains("Server is ready"))?;
    let address = |port: u16| format!("127.0.0.1:{port}");
    let (sockets, callers) = (address(sockets), address(callers));
    let access = Access { peer: Peer::Nats, sockets, callers, dialogue: Dialogue::Nats };
    Ok(Running::foreign(process, folder, access))
}

fn nats_connect() -> String {
    let options = json!({"verbose": false, "pedantic": false, "lang": "bench", "version": "0"});
    format!("CONNECT {options}\r\n")
}

/// Subscribes on a socket, and waits until the server has done it.
async fn subscribe(socket: &mut Socket, command: &str) -> Result<()> {
    socket.send(BINARY, format!("{command}PING\r\n").as_bytes()).await?;
    let said =
        socket.wait_for(|received| contains(received, b"PONG\r\n") || contains(received, b"-ERR")).await?;
    ensure!(!contains(&said, b"-ERR"), "NATS says {}", String::from_utf8_lossy(&said));
    if contains(&said, b"PING\r\n") {
        socket.send(BINARY, b"PONG\r\n").await?;
    }
    Ok(())
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
