//! `cargo xtask bench`: Hiroba beside its peers on this machine. `bench push`, `bench jobs` and `bench chat` have files of their
//! own, `bench lock` is here: durable lock and unlock pairs, beside etcd and Redis.
//!
//! All peers run during the whole task and take turns at each number of clients, so that a slow minute of the disk
//! meets all of them. A waiting peer costs next to nothing.

pub(crate) mod chat;
mod etcd;
mod frame;
mod hiroba;
mod http;
pub(crate) mod jobs;
mod load;
mod peer;
pub(crate) mod push;
mod redis;
mod report;
mod socket;

use crate::project::Project;
use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use load::Plan;
use peer::Running;
use report::{Report, Row};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Synced writes that the floor of the disk is taken from.
const SYNC_SAMPLES: usize = 200;

/// Measurements.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchTask {
    /// Durable lock and unlock pairs, and the empty call that is their floor.
    Lock(LockArguments),
    /// Notifications to one socket and to thousands, and the memory of an idle socket.
    Push(push::PushArguments),
    /// Jobs: how fast they are pushed and run in order, and how soon one is done.
    Jobs(jobs::JobsArguments),
    /// Chat: durable posts with live subscribers, pages of messages, and a post to a thousand subscribers.
    Chat(chat::ChatArguments),
}

/// Command line of `cargo xtask bench lock`.
#[derive(Debug, Args)]
pub(crate) struct LockArguments {
    /// Numbers of clients, each with a connection of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256], value_parser = clients)]
    clients: Vec<usize>,
    /// Seconds that each figure is measured for, after a second of warm-up.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// What to measure, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Hiroba, Peer::HirobaPostgres, Peer::Etcd, Peer::Redis])]
    peers: Vec<Peer>,
    /// All clients fight for one mutex; a client that does not get it asks again at once.
    #[arg(long)]
    contended: bool,
    /// Threads of the load generator. More than one takes CPU from the server on a small machine.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: u8,
    /// Folder for the data of all peers, on the disk to measure; `/var/tmp` when absent.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Binary of the server, instead of a release build of this checkout.
    #[arg(long)]
    hiroba: Option<PathBuf>,
    /// Also write the figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Hiroba on its embedded store.
    Hiroba,
    /// The same with the calls recorded in a Log namespace.
    HirobaLogged,
    /// Hiroba on PostgreSQL; its CPU time includes that of PostgreSQL.
    HirobaPostgres,
    /// etcd as Debian packages it, over gRPC.
    Etcd,
    /// Redis as Debian packages it, with a synced append-only file.
    Redis,
}

impl Peer {
    /// Name on the command line and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hiroba => "hiroba",
            Self::HirobaLogged => "hiroba-logged",
            Self::HirobaPostgres => "hiroba-postgres",
            Self::Etcd => "etcd",
            Self::Redis => "redis",
        }
    }

    fn is_hiroba(self) -> bool {
        matches!(self, Self::Hiroba | Self::HirobaLogged | Self::HirobaPostgres)
    }
}

/// What one measured unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A lock that was granted and its unlock.
    Pair,
    /// An authenticated call that only reads the state of a namespace.
    EmptyCall,
}

/// Runs the measurement.
pub(crate) fn lock(arguments: &LockArguments) -> Result<()> {
    let binary = if arguments.peers.iter().any(|peer| peer.is_hiroba()) {
        Some(server_binary(arguments.hiroba.as_deref())?)
    } else {
        None
    };
    let base = arguments.dir.as_deref();
    let mut running = Vec::new();
    for &peer in &arguments.peers {
        println!("starting {}", peer.name());
        running.push(Running::start(peer, binary.as_deref(), base)?);
    }
    let mut report = Report::new(sync_latency(base)?, arguments.contended);
    for &clients in &arguments.clients {
        for unit in [Unit::Pair, Unit::EmptyCall] {
            for running in &running {
                if unit == Unit::EmptyCall && !running.peer().is_hiroba() {
                    continue;
                }
                let plan = Plan {
                    clients,
                    threads: usize::from(arguments.threads).min(clients),
                    warm_up: Duration::from_secs(1),
                    measured: Duration::from_secs(arguments.seconds),
                    contended: arguments.contended,
                };
                let sample = running
                    .measure(unit, &plan)
                    .with_context(|| format!("measuring {} with {clients} clients", running.peer().name()))?;
                report.push(Row::new(running.peer(), unit, clients, &sample));
            }
        }
    }
    // Stopped before the table, so that a fault while stopping does not hide below it.
    running.into_iter().try_for_each(Running::stop)?;
    report.print_ratios();
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.to_json()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// The given binary of the server, or a release build.
fn server_binary(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(binary) = given {
        return Ok(binary.to_path_buf());
    }
    println!("building the server for release");
    Project::load()?.build_server(true)
}

fn clients(text: &str) -> Result<usize, String> {
    match text.parse() {
        // Every client is a connection, and PostgreSQL and the number of open files have limits too.
        Ok(count @ 1..=4096) => Ok(count),
        _ => Err("a number from 1 to 4096".into()),
    }
}

/// Sorted durations of small synced appends: what one commit costs on this disk at least.
fn sync_latency(base: Option<&Path>) -> Result<Vec<Duration>> {
    let folder = crate::temp_dir::TempDir::create("sync", base)?;
    let mut file = File::create(folder.path().join("file")).context("creating a file to sync")?;
    let mut sample = || -> std::io::Result<Duration> {
        let start = Instant::now();
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        Ok(start.elapsed())
    };
    let mut samples =
        (0..SYNC_SAMPLES).map(|_| sample()).collect::<Result<Vec<_>, _>>().context("syncing a file")?;
    samples.sort_unstable();
    Ok(samples)
}
