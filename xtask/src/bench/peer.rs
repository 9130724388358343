//! The servers that are measured: started on their own data folders, asked for their CPU time, stopped.

use super::etcd::Etcd;
use super::hiroba::{EmptyCalls, Pairs, Prepared};
use super::load::{self, Plan, Sample};
use super::redis::Redis;
use super::{Peer, Unit};
use crate::postgres::Postgres;
use crate::process::{self, Process};
use crate::server::{Server, free_port};
use crate::temp_dir::TempDir;
use crate::{packages, proc};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// Time from start to ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A started peer.
#[derive(Debug)]
pub(crate) struct Running {
    peer: Peer,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Hiroba {
        server: Box<Server>,
        prepared: Prepared,
        postgres: Option<Box<Postgres>>,
    },
    /// Killed when dropped; what it wrote is thrown away.
    Foreign {
        process: Process,
        address: String,
        _folder: TempDir,
    },
}

impl Running {
    /// Starts the peer, after installing it when need be.
    pub(crate) fn start(peer: Peer, binary: Option<&Path>, base: Option<&Path>) -> Result<Self> {
        let kind = match peer {
            Peer::Hiroba | Peer::HirobaLogged | Peer::HirobaPostgres => {
                let binary = binary.context("the server was not built")?;
                let postgres = if peer == Peer::HirobaPostgres { Some(Postgres::start(base)?) } else { None };
                let url = postgres.as_ref().map(|postgres| postgres.create_database("hiroba")).transpose()?;
                let server = Server::start(binary, base, peer.name(), url.as_deref(), &[])?;
                let prepared = Prepared::new(server.address(), peer == Peer::HirobaLogged)?;
                Kind::Hiroba { server: Box::new(server), prepared, postgres: postgres.map(Box::new) }
            }
            Peer::Etcd => start_etcd(base)?,
            Peer::Redis => {
                let (process, address, folder) = start_redis(peer.name(), base)?;
                Kind::Foreign { process, address, _folder: folder }
            }
        };
        Ok(Self { peer, kind })
    }

    /// Which peer it is.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// Measures one figure.
    pub(crate) fn measure(&self, unit: Unit, plan: &Plan) -> Result<Sample> {
        match (&self.kind, unit) {
            (Kind::Hiroba { prepared, .. }, Unit::Pair) => {
                load::measure(&Pairs::new(prepared, plan), plan, || self.cpu())
            }
            (Kind::Hiroba { prepared, .. }, Unit::EmptyCall) => {
                load::measure(&EmptyCalls(prepared), plan, || self.cpu())
            }
            (Kind::Foreign { address, .. }, Unit::Pair) if self.peer == Peer::Etcd => {
                load::measure(&Etcd::new(address.clone(), plan), plan, || self.cpu())
            }
            (Kind::Foreign { address, .. }, Unit::Pair) => {
                load::measure(&Redis::new(address.clone(), plan), plan, || self.cpu())
            }
            (Kind::Foreign { .. }, Unit::EmptyCall) => bail!("{} knows no empty call", self.peer.name()),
        }
    }

    /// Stops the peer; for Hiroba the stop is part of what must work.
    pub(crate) fn stop(self) -> Result<()> {
        match self.kind {
            Kind::Hiroba { mut server, .. } => {
                server.stop().with_context(|| format!("stopping {}", self.peer.name()))
            }
            Kind::Foreign { .. } => Ok(()),
        }
    }

    /// CPU time of all processes that do the peer's work.
    fn cpu(&self) -> Result<Duration> {
        match &self.kind {
            Kind::Hiroba { server, postgres, .. } => {
                let database =
                    postgres.as_ref().map(|postgres| proc::cpu_of_tree(postgres.pid())).transpose()?;
                Ok(proc::cpu(server.pid())? + database.unwrap_or_default())
            }
            // Redis rewrites its file in a child, which is its work as well.
            Kind::Foreign { process, .. } => proc::cpu_of_tree(process.pid()),
        }
    }
}

fn start_etcd(base: Option<&Path>) -> Result<Kind> {
    let program = packages::ensure("etcd", "etcd-server")?;
    let folder = TempDir::create("etcd", base)?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let (client, peer) = (format!("http://{address}"), format!("http://127.0.0.1:{}", free_port()?));
    let mut command = process::command(program);
    command.arg("--data-dir").arg(folder.folder("data")?).args(["--name", "bench"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("bench={peer}")]).env_remove("ETCD_DATA_DIR");
    let mut process = Process::start("etcd", command, &folder.path().join("log"))?;
    process.wait_for_line(READY_TIMEOUT, |line| line.contains("ready to serve client requests"))?;
    Ok(Kind::Foreign { process, address, _folder: folder })
}

/// Starts Redis with its data in a folder of that name; returns its process, its address and the folder.
pub(super) fn start_redis(name: &str, base: Option<&Path>) -> Result<(Process, String, TempDir)> {
    let program = packages::ensure("redis-server", "redis-server")?;
    let folder = TempDir::create(name, base)?;
    let port = free_port()?;
    let mut command = process::command(program);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--daemonize", "no", "--save", ""]);
    // Without this an answer would be given before it is on the disk.
    command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    command.arg("--dir").arg(folder.folder("data")?);
    let mut process = Process::start("redis", command, &folder.path().join("log"))?;
    process.wait_for_line(READY_TIMEOUT, |line| line.contains("eady to accept connections"))?;
    Ok((process, format!("127.0.0.1:{port}"), folder))
}
