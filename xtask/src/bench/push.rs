//! `cargo xtask bench push`: pushes to players' sockets, Hiroba beside Socket.IO and NATS on this machine.
//!
//! A push of Hiroba is an authenticated call over HTTP, answered with the sockets that it reached. A push of the others is a
//! line on a plain TCP connection that is not answered, which is leaner: a few bytes that tell the Socket.IO server to emit,
//! a `PUB` to NATS. What is counted is the same for all: frames that arrived at the sockets, which are raw WebSockets
//! without compression. No peer gets ahead of its sockets: a push is under way until it has arrived everywhere.
//!
//! All peers run during the whole task and take turns in each measure, except that the sockets which only the first two
//! measures need are opened and closed one peer after the other.

mod board;
mod caller;
mod crowd;
mod dialect;
mod peer;
mod reader;
mod report;

use crate::proc;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use crowd::Crowd;
use peer::Running;
use report::{Measure, Report, Row};
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::sleep;

/// Sockets of the measures of memory and of the larger broadcast.
const SOCKETS_MANY: usize = 5000;
/// Sockets of the other measures.
const SOCKETS_FEW: usize = 1000;
/// Callers that push to one socket each at the same time.
const CALLERS: usize = 64;
/// Time of rest before memory is read, and after sockets were closed.
const REST: Duration = Duration::from_secs(3);
/// Files beside the sockets: callers, pipes, logs.
const FILES_SPARE: usize = 500;

/// Command line of `cargo xtask bench push`.
#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// Seconds that each figure is measured for, after a second of warm-up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// What to measure, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Hiroba, Peer::Socketio, Peer::Nats])]
    peers: Vec<Peer>,
    /// Calls in a second while the latency is measured.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Broadcasts under way at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    broadcasts: u8,
    /// Threads of the load generator. More than one takes CPU from the server on a small machine.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: u8,
    /// Binary of the server, instead of a release build of this checkout.
    #[arg(long)]
    hiroba: Option<PathBuf>,
    /// Also write the figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Hiroba on its embedded store.
    Hiroba,
    /// Hiroba on PostgreSQL; its CPU time includes that of PostgreSQL.
    HirobaPostgres,
    /// Socket.IO from npm in one process of node.
    Socketio,
    /// NATS as Debian packages it, its sockets over its WebSocket port.
    Nats,
}

impl Peer {
    /// Name on the command line and in the report.
    fn name(self) -> &'static str {
        match self {
            Self::Hiroba => "hiroba",
            Self::HirobaPostgres => "hiroba-postgres",
            Self::Socketio => "socketio",
            Self::Nats => "nats",
        }
    }

    fn is_hiroba(self) -> bool {
        matches!(self, Self::Hiroba | Self::HirobaPostgres)
    }
}

/// Runs the measurement.
pub(crate) fn run(arguments: &PushArguments) -> Result<()> {
    let files = SOCKETS_MANY + SOCKETS_FEW * arguments.peers.len() + FILES_SPARE;
    proc::raise_open_files(files as u64)?;
    let runtime = match arguments.threads {
        1 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads.into()).enable_all().build(),
    };
    runtime.context("starting a runtime")?.block_on(measure(arguments))
}

async fn measure(arguments: &PushArguments) -> Result<()> {
    let binary = if arguments.peers.iter().any(|peer| peer.is_hiroba()) {
        Some(super::server_binary(arguments.hiroba.as_deref())?)
    } else {
        None
    };
    let mut peers = Vec::new();
    for &peer in &arguments.peers {
        println!("starting {}", peer.name());
        peers.push(Running::start(peer, binary.as_deref()).await?);
    }
    let mut report = Report::new();
    let mut crowds = Vec::new();
    for running in &peers {
        let gathered = gather(running, arguments, &mut report).await;
        crowds.push(gathered.with_context(|| format!("measuring {}", running.peer().name()))?);
    }
    let broadcasts = usize::from(arguments.broadcasts);
    for measure in [Measure::Broadcast, Measure::Latency, Measure::Single] {
        for crowd in &crowds {
            let sample = match measure {
                Measure::Latency => crowd.latency().await,
                Measure::Single => crowd.single(CALLERS).await,
                _ => crowd.broadcast(broadcasts).await,
            };
            let peer = crowd.running().peer();
            let sample = sample.with_context(|| format!("measuring {}", peer.name()))?;
            report.push(Row::new(peer, measure, SOCKETS_FEW, &sample));
        }
    }
    // Stopped before the table, so that a fault while stopping does not hide below it.
    drop(crowds);
    peers.into_iter().try_for_each(Running::stop)?;
    report.print_ratios();
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.to_json()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Opens many sockets, measures what many are needed for, and keeps a few.
async fn gather<'a>(
    running: &'a Running,
    arguments: &PushArguments,
    report: &mut Report,
) -> Result<Crowd<'a>> {
    let peer = running.peer();
    sleep(REST).await;
    let before = running.resident()?;
    let seconds = Duration::from_secs(arguments.seconds);
    let mut crowd = Crowd::open(running, SOCKETS_MANY, seconds, arguments.rate).await?;
    sleep(REST).await;
    report.push(Row::memory(peer, SOCKETS_MANY, before, running.resident()?));
    crowd.join().await?;
    let sample = crowd.broadcast(arguments.broadcasts.into()).await?;
    report.push(Row::new(peer, Measure::Broadcast, SOCKETS_MANY, &sample));
    crowd.keep(SOCKETS_FEW);
    sleep(REST).await;
    Ok(crowd)
}
