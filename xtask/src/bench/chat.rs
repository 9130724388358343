//! `cargo xtask bench chat`: rooms with history and live subscribers, Hiroba beside Redis on this machine.
//!
//! A post of Hiroba is an authenticated call, over HTTP or on a WebSocket, that is answered when the message is on disk; each
//! subscriber of the room is a player's WebSocket that gets a notification. A post of Redis is an `XADD` with the same members
//! and a `PUBLISH` of the same notification in one write, on a synced append-only file; each subscriber is a connection that
//! has subscribed to the channel of the room. A page is `describeMessages` on one side and `XRANGE` on the other.
//!
//! After every measure all notifications must have arrived at all subscribers, those of Hiroba in the order of the messages,
//! and the history must hold every message that was posted.
//!
//! All peers run during a round and take turns at each measure, so that a slow minute of the disk meets all of them; each
//! round begins with fresh servers, each measure with fresh rooms and sockets.

mod board;
mod hiroba;
mod link;
mod listener;
mod measure;
mod redis;
mod report;

use crate::bench::report::{cores, processor};
use crate::proc;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use hiroba::Hiroba;
use link::Caller;
use listener::Listener;
use redis::Redis;
use report::Report;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Builder;

/// Live subscribers of a room, unless a post is to reach many.
const SUBSCRIBERS: usize = 5;
/// Live subscribers of the room of the fan-out.
const SUBSCRIBERS_MANY: usize = 1000;
/// Numbers of rooms and of callers that posts are measured with.
const SHAPES: [(usize, usize); 4] = [(1, 16), (1, 64), (100, 16), (100, 64)];
/// The same where a password is checked with each post.
const SECRET_SHAPE: (usize, usize) = (100, 64);
/// Rooms into which the first post with a password is measured.
const FIRST_ROOMS: usize = 100;
/// Callers that read pages at the same time.
const READERS: usize = 16;
/// Messages of the room whose pages are read.
const PAGED_MESSAGES: usize = 5000;
/// Messages of a page.
const PAGE: usize = 50;
/// Files beside the sockets: callers, pipes, logs.
const FILES_SPARE: usize = 500;

/// Command line of `cargo xtask bench chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArguments {
    /// How often everything is measured; the table shows the median, the least and the most.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
    /// Seconds that each figure is measured for, after a second of warm-up.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// What to measure, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Peer::Hiroba, Peer::Redis])]
    peers: Vec<Peer>,
    /// How Hiroba is called.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Way::Rest, Way::Socket])]
    ways: Vec<Way>,
    /// What about it.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Posts, Part::Secret, Part::Pages, Part::Fanout])]
    parts: Vec<Part>,
    /// Posts to the thousand subscribers under way at the same time while deliveries are counted.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    burst: u8,
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
enum Peer {
    /// Hiroba on its embedded store.
    Hiroba,
    /// Hiroba on PostgreSQL; its CPU time includes that of PostgreSQL.
    HirobaPostgres,
    /// A stream of Redis per room with a synced append-only file, and a channel per room.
    Redis,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Hiroba => "hiroba",
            Self::HirobaPostgres => "hiroba-postgres",
            Self::Redis => "redis",
        }
    }

    fn is_hiroba(self) -> bool {
        matches!(self, Self::Hiroba | Self::HirobaPostgres)
    }
}

/// How calls travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// HTTP on kept-alive connections.
    Rest,
    /// WebSockets.
    Socket,
}

/// What a figure belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subject {
    peer: Peer,
    /// Of no meaning for Redis.
    way: Way,
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            _ if !self.peer.is_hiroba() => "",
            Way::Rest => " rest",
            Way::Socket => " socket",
        };
        formatter.pad(&format!("{}{way}", self.peer.name()))
    }
}

/// What can be left out on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Posts into rooms with a few subscribers.
    Posts,
    /// The same, with a password that each post names; Hiroba only.
    Secret,
    /// Pages of a history.
    Pages,
    /// Posts to many subscribers: one after the other, then some at the same time.
    Fanout,
}

impl Part {
    fn measures(self) -> Vec<Measure> {
        match self {
            Self::Posts => {
                SHAPES.map(|(rooms, callers)| Measure::Posts { rooms, callers, secret: false }).to_vec()
            }
            Self::Secret => {
                let (rooms, callers) = SECRET_SHAPE;
                vec![Measure::FirstPosts, Measure::Posts { rooms, callers, secret: true }]
            }
            Self::Pages => vec![Measure::Pages],
            Self::Fanout => vec![Measure::Fanout, Measure::Burst],
        }
    }
}

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Posts in a second, each caller with one under way.
    Posts { rooms: usize, callers: usize, secret: bool },
    /// Posts in a second into rooms with a password, one after the other, each the first one of its room.
    FirstPosts,
    /// Pages in a second.
    Pages,
    /// Time from a post until the last of many subscribers has its notification.
    Fanout,
    /// Notifications that arrive in a second at many subscribers.
    Burst,
}

impl Measure {
    /// Who takes this measure, in turn.
    fn subjects(self, arguments: &ChatArguments) -> Vec<Subject> {
        let takes = |subject: &Subject| match self {
            Self::Posts { secret: true, .. } | Self::FirstPosts => subject.peer.is_hiroba(),
            _ => true,
        };
        let ways = |peer: Peer| match self {
            // The way of a post makes no difference to what it causes.
            Self::Fanout | Self::Burst | Self::FirstPosts => &arguments.ways[arguments.ways.len() - 1..],
            _ if !peer.is_hiroba() => &[Way::Socket],
            _ => arguments.ways.as_slice(),
        };
        let peers = arguments.peers.iter();
        peers
            .flat_map(|&peer| ways(peer).iter().map(move |&way| Subject { peer, way }))
            .filter(takes)
            .collect()
    }
}

/// What was measured once.
#[derive(Debug)]
struct Sample {
    /// Time that was measured.
    elapsed: Duration,
    /// Posts or pages that were answered in that time.
    calls: u64,
    /// Notifications that arrived in that time.
    deliveries: u64,
    /// Nanoseconds that each call took, for a fan-out until the last notification.
    latencies: Vec<u64>,
    /// CPU time that the server used.
    server_cpu: Duration,
    /// CPU time that the load generator used.
    load_cpu: Duration,
}

/// The rooms of a measure, numbered from 0.
#[derive(Debug, Clone)]
struct Rooms {
    /// What their names begin with.
    prefix: String,
    count: usize,
    /// Subscribers of each.
    subscribers: usize,
    password: Option<&'static str>,
}

impl Rooms {
    /// The name of a room; all have the same length.
    fn name(&self, number: usize) -> String {
        format!("{}-{}", self.prefix, link::room_number(number))
    }
}

/// A started peer.
#[derive(Debug)]
enum Running {
    Hiroba(Hiroba),
    Redis(Redis),
}

impl Running {
    async fn start(peer: Peer, binary: Option<&Path>, base: Option<&Path>) -> Result<Self> {
        match peer {
            Peer::Hiroba | Peer::HirobaPostgres => {
                let binary = binary.context("the server was not built")?;
                Hiroba::start(binary, base, peer).await.map(Self::Hiroba)
            }
            Peer::Redis => Redis::start(base).map(Self::Redis),
        }
    }

    /// CPU time of all processes that do the peer's work.
    fn cpu(&self) -> Result<Duration> {
        match self {
            Self::Hiroba(hiroba) => hiroba.cpu(),
            Self::Redis(redis) => redis.cpu(),
        }
    }

    async fn create(&self, rooms: &Rooms) -> Result<()> {
        match self {
            Self::Hiroba(hiroba) => hiroba.create(rooms).await,
            // A stream begins with its first message.
            Self::Redis(_) => Ok(()),
        }
    }

    /// Connects the subscribers.
    async fn listeners(&self, rooms: &Rooms) -> Result<Vec<Listener>> {
        match self {
            Self::Hiroba(hiroba) => hiroba.listeners(rooms).await,
            Self::Redis(redis) => redis.listeners(rooms).await,
        }
    }

    /// Connects somebody who posts.
    async fn poster(&self, rooms: &Rooms, way: Way, number: usize) -> Result<Caller> {
        match self {
            Self::Hiroba(hiroba) => hiroba.poster(rooms, way, number).await,
            Self::Redis(redis) => redis.poster(rooms, number).await,
        }
    }

    /// Fills a room, and returns the calls for pages that begin anywhere in it.
    async fn pages(&self, prefix: &str, way: Way) -> Result<Vec<Vec<u8>>> {
        match self {
            Self::Hiroba(hiroba) => hiroba.pages(prefix, way).await,
            Self::Redis(redis) => redis.pages(prefix).await,
        }
    }

    /// Connects somebody who reads pages.
    async fn reader(&self, way: Way, calls: Vec<Vec<u8>>) -> Result<Caller> {
        match self {
            Self::Hiroba(hiroba) => hiroba.reader(way, calls).await,
            Self::Redis(redis) => redis.reader(calls).await,
        }
    }

    /// Demands that the history of the rooms holds so many messages and no message twice.
    async fn demand_history(&self, rooms: &Rooms, messages: u64) -> Result<()> {
        match self {
            Self::Hiroba(hiroba) => hiroba.demand_history(rooms, messages).await,
            Self::Redis(redis) => redis.demand_history(rooms, messages).await,
        }
    }

    /// What the server said last, for a fault.
    fn log_tail(&mut self) -> String {
        match self {
            Self::Hiroba(hiroba) => hiroba.log_tail(),
            Self::Redis(redis) => redis.log_tail(),
        }
    }

    /// Stops the peer; for Hiroba the stop is part of what must work.
    fn stop(self) -> Result<()> {
        match self {
            Self::Hiroba(hiroba) => hiroba.stop(),
            Self::Redis(_) => Ok(()),
        }
    }
}

/// Runs the measurement.
pub(crate) fn run(arguments: &ChatArguments) -> Result<()> {
    proc::raise_open_files((SUBSCRIBERS_MANY + FILES_SPARE) as u64)?;
    let runtime = match arguments.threads {
        1 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads.into()).enable_all().build(),
    };
    let report = runtime.context("starting a runtime")?.block_on(rounds(arguments))?;
    report.print();
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.to_json()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

async fn rounds(arguments: &ChatArguments) -> Result<Report> {
    let binary = if arguments.peers.iter().any(|peer| peer.is_hiroba()) {
        Some(super::server_binary(arguments.hiroba.as_deref())?)
    } else {
        None
    };
    let measures: Vec<Measure> = arguments.parts.iter().flat_map(|part| part.measures()).collect();
    println!("{}, {} cores", processor(), cores());
    if cfg!(debug_assertions) {
        println!("a faster load generator: cargo run --release --package xtask -- bench chat");
    }
    let mut report = Report::new();
    for round in 1..=arguments.rounds {
        let mut peers = Vec::new();
        for &peer in &arguments.peers {
            let running = Running::start(peer, binary.as_deref(), arguments.dir.as_deref()).await;
            peers.push((peer, running.with_context(|| format!("starting {}", peer.name()))?));
        }
        println!("\nround {round} of {}", arguments.rounds);
        for (number, &measure) in measures.iter().enumerate() {
            for subject in measure.subjects(arguments) {
                let Some((_, running)) = peers.iter_mut().find(|(peer, _)| *peer == subject.peer) else {
                    continue;
                };
                let sample = measure::take(running, measure, subject.way, number, arguments).await;
                let sample = match sample {
                    Ok(sample) => sample,
                    Err(error) => {
                        return Err(error
                            .context(format!("{measure} of {subject}"))
                            .context(running.log_tail()));
                    }
                };
                report.push(subject, measure, sample);
            }
        }
        // Stopped before the table, so that a fault while stopping does not hide below it.
        for (peer, running) in peers {
            running.stop().with_context(|| format!("stopping {}", peer.name()))?;
        }
    }
    Ok(report)
}
