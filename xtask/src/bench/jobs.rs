//! `cargo xtask bench jobs`: job queues, Hiroba beside BullMQ and pg-boss on this machine.
//!
//! A push of Hiroba is an authenticated call over HTTP that is answered when the jobs are on disk, and each job runs a Lua
//! script in a sandbox of its own, one after the other for a player, whose result is kept. The jobs of the others are empty
//! functions of node: BullMQ runs them in no order per player and forgets them when they are done, pg-boss keeps the order of
//! each key. Both are called from one process of node, the way they are made for. Everything that is answered is on disk.
//!
//! All peers run during a round and take turns at each measure, so that a slow minute of the disk meets all of them; each
//! round begins with fresh servers.

mod hiroba;
mod node;
mod report;

use crate::bench::report::{cores, processor};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use hiroba::Hiroba;
use node::Node;
use report::Report;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Those who push at the same time.
const CALLERS: usize = 32;
/// Players that pushes go to at random.
const PLAYERS: usize = 20_000;
/// Jobs that are drained on PostgreSQL at most, where both peers are slower by far.
const POSTGRES_JOBS_MAX: usize = 4000;

/// Command line of `cargo xtask bench jobs`.
#[derive(Debug, Args)]
pub(crate) struct JobsArguments {
    /// How often everything is measured; the table shows the median, the least and the most.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
    /// Seconds that pushes are measured for, after a second of warm-up.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Seconds that the latency is measured for.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=600))]
    latency_seconds: u64,
    /// Seconds after which a drain is cut short.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    drain_seconds: u64,
    /// Jobs in a second while the latency is measured.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// What to measure, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Hiroba, Peer::Bullmq, Peer::HirobaPostgres, Peer::Pgboss])]
    peers: Vec<Peer>,
    /// What about it.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Latency, Part::Drain, Part::Enqueue])]
    parts: Vec<Part>,
    /// Processes of BullMQ's workers.
    #[arg(long, default_value_t = 1)]
    bullmq_processes: u8,
    /// Jobs that each of them runs at a time.
    #[arg(long, default_value_t = 100)]
    bullmq_concurrency: u16,
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
enum Peer {
    /// Hiroba on its embedded store.
    Hiroba,
    /// Hiroba on PostgreSQL, draining only; its CPU time includes that of PostgreSQL.
    HirobaPostgres,
    /// BullMQ on Redis with a synced append-only file.
    Bullmq,
    /// pg-boss on PostgreSQL with the policy `key_strict_fifo` and notify.
    Pgboss,
}

impl Peer {
    /// Name on the command line and in the report.
    fn name(self) -> &'static str {
        match self {
            Self::Hiroba => "hiroba",
            Self::HirobaPostgres => "hiroba-postgres",
            Self::Bullmq => "bullmq",
            Self::Pgboss => "pgboss",
        }
    }

    fn is_hiroba(self) -> bool {
        matches!(self, Self::Hiroba | Self::HirobaPostgres)
    }

    /// Whether the measure is one of this peer's.
    fn takes(self, measure: Measure) -> bool {
        self != Self::HirobaPostgres || matches!(measure, Measure::Drain(_))
    }

    /// What it drains: the same jobs of each player, fewer players where it would take too long.
    fn shape(self, shape: Shape) -> Shape {
        match self {
            Self::HirobaPostgres => {
                Shape { players: shape.players.min(POSTGRES_JOBS_MAX / shape.each), ..shape }
            }
            _ => shape,
        }
    }
}

/// What can be left out on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Time from the push of a job until somebody learns that it is done.
    Latency,
    /// Jobs that wait, run as fast as it goes.
    Drain,
    /// Pushes.
    Enqueue,
}

impl Part {
    fn measures(self) -> Vec<Measure> {
        match self {
            Self::Latency => vec![Measure::Latency],
            Self::Drain => SHAPES.map(Measure::Drain).to_vec(),
            Self::Enqueue => vec![Measure::Enqueue(1), Measure::Enqueue(10)],
        }
    }
}

/// How the jobs that are drained are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    players: usize,
    /// Jobs of each player.
    each: usize,
}

const SHAPES: [Shape; 3] =
    [Shape { players: 200, each: 20 }, Shape { players: 2000, each: 5 }, Shape { players: 20_000, each: 1 }];

impl Shape {
    fn jobs(self) -> usize {
        self.players * self.each
    }
}

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Time from the push of a job until somebody learns that it is done.
    Latency,
    /// Jobs run in a second.
    Drain(Shape),
    /// Jobs pushed in a second, so many in a push.
    Enqueue(usize),
}

/// What was measured once.
#[derive(Debug)]
struct Sample {
    /// Time that was measured.
    elapsed: Duration,
    /// Jobs that were pushed or done in that time.
    jobs: u64,
    /// Nanoseconds from the push to the end, where they were noted.
    latencies: Vec<u64>,
    /// CPU time of what holds the queue and runs the jobs.
    server_cpu: Duration,
    /// CPU time of those who push.
    load_cpu: Duration,
}

/// A started peer.
#[derive(Debug)]
enum Running {
    Hiroba(Hiroba),
    Node(Node),
}

impl Running {
    fn start(peer: Peer, binary: Option<&Path>, arguments: &JobsArguments) -> Result<Self> {
        let base = arguments.dir.as_deref();
        match peer {
            Peer::Hiroba | Peer::HirobaPostgres => {
                let binary = binary.context("the server was not built")?;
                Hiroba::start(binary, base, peer == Peer::HirobaPostgres).map(Self::Hiroba)
            }
            Peer::Bullmq => {
                Node::bullmq(base, arguments.bullmq_processes, arguments.bullmq_concurrency).map(Self::Node)
            }
            Peer::Pgboss => Node::pgboss(base).map(Self::Node),
        }
    }

    fn measure(&mut self, measure: Measure, arguments: &JobsArguments) -> Result<Sample> {
        match self {
            Self::Hiroba(hiroba) => hiroba.measure(measure, arguments),
            Self::Node(node) => node.measure(measure, arguments),
        }
    }

    /// Stops the peer; for Hiroba the stop is part of what must work.
    fn stop(self) -> Result<()> {
        match self {
            Self::Hiroba(hiroba) => hiroba.stop(),
            Self::Node(_) => Ok(()),
        }
    }
}

/// Runs the measurement.
pub(crate) fn run(arguments: &JobsArguments) -> Result<()> {
    let binary = if arguments.peers.iter().any(|peer| peer.is_hiroba()) {
        Some(super::server_binary(arguments.hiroba.as_deref())?)
    } else {
        None
    };
    let measures: Vec<Measure> = arguments.parts.iter().flat_map(|part| part.measures()).collect();
    println!("{}, {} cores", processor(), cores());
    let mut report = Report::new(arguments.rate);
    for round in 1..=arguments.rounds {
        let mut peers = Vec::new();
        for &peer in &arguments.peers {
            let running = Running::start(peer, binary.as_deref(), arguments);
            peers.push((peer, running.with_context(|| format!("starting {}", peer.name()))?));
        }
        println!("\nround {round} of {}", arguments.rounds);
        for &measure in &measures {
            for (peer, running) in peers.iter_mut().filter(|(peer, _)| peer.takes(measure)) {
                let sample = running.measure(measure, arguments);
                let sample = sample.with_context(|| format!("measuring {}", peer.name()))?;
                report.push(*peer, measure, sample);
            }
        }
        // Stopped before the table, so that a fault while stopping does not hide below it.
        for (peer, running) in peers {
            running.stop().with_context(|| format!("stopping {}", peer.name()))?;
        }
    }
    report.print();
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.to_json()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
