//! BullMQ and pg-boss: a process of node that is told over a connection what to do, and the server that it keeps its jobs on.

use super::{CALLERS, JobsArguments, Measure, PLAYERS, Sample, Shape};
use crate::bench::peer::start_redis;
use crate::postgres::Postgres;
use crate::process::{self, Process};
use crate::project::Project;
use crate::temp_dir::TempDir;
use crate::{install, packages, proc};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time from start to ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a command on top of what it measures.
const SLACK: Duration = Duration::from_secs(60);
/// Connections of pg-boss to PostgreSQL.
const PGBOSS_CONNECTIONS: usize = 16;
/// Jobs that pg-boss fetches at once at most.
const PGBOSS_FETCHED: usize = 4000;

/// Files of the processes. One optional package is held at a version whose lock file is the same on every machine.
const FILES: [(&str, &str); 7] = [
    ("package.json", include_str!("../../../bench/jobs/package.json")),
    ("package-lock.json", include_str!("../../../bench/jobs/package-lock.json")),
    (".npmrc", include_str!("../../../bench/jobs/.npmrc")),
    ("control.js", include_str!("../../../bench/jobs/control.js")),
    ("bullmq.js", include_str!("../../../bench/jobs/bullmq.js")),
    ("bullmq-worker.js", include_str!("../../../bench/jobs/bullmq-worker.js")),
    ("pgboss.mjs", include_str!("../../../bench/jobs/pgboss.mjs")),
];

/// A started process of node. The fields end in this order: first the client, then what it is connected to.
#[derive(Debug)]
pub(super) struct Node {
    connection: BufReader<TcpStream>,
    process: Process,
    store: Store,
    _folder: TempDir,
}

#[derive(Debug)]
enum Store {
    Redis { process: Process, _folder: TempDir },
    Postgres { postgres: Box<Postgres>, _folder: TempDir },
}

impl Node {
    /// Starts Redis and BullMQ on it, with so many processes of workers that run so many jobs at a time.
    pub(super) fn bullmq(base: Option<&Path>, processes: u8, concurrency: u16) -> Result<Self> {
        let (process, address, folder) = start_redis("jobs-redis", base)?;
        let port = address.rsplit(':').next().context("Redis has no port")?;
        let arguments = [port, &processes.to_string(), &concurrency.to_string()];
        Self::start("bullmq", "bullmq.js", &arguments, base, Store::Redis { process, _folder: folder })
    }

    /// Starts PostgreSQL and pg-boss on it.
    pub(super) fn pgboss(base: Option<&Path>) -> Result<Self> {
        // In a folder of its own, since Hiroba may have a PostgreSQL at the same time.
        let folder = TempDir::create("jobs-pgboss-postgres", base)?;
        let postgres = Postgres::start(Some(folder.path()))?;
        let url = postgres.create_database("pgboss")?;
        let numbers = [PGBOSS_CONNECTIONS, PGBOSS_FETCHED].map(|number| number.to_string());
        let arguments = [url.as_str(), &numbers[0], &numbers[1]];
        Self::start(
            "pgboss",
            "pgboss.mjs",
            &arguments,
            base,
            Store::Postgres { postgres: Box::new(postgres), _folder: folder },
        )
    }

    fn start(
        name: &str,
        script: &str,
        arguments: &[&str],
        base: Option<&Path>,
        store: Store,
    ) -> Result<Self> {
        let installed = Project::load()?.cache().join("jobs");
        std::fs::create_dir_all(&installed).with_context(|| format!("creating {}", installed.display()))?;
        for (name, text) in FILES {
            std::fs::write(installed.join(name), text)
                .with_context(|| format!("writing to {}", installed.display()))?;
        }
        install::node_modules(&installed)?;
        let node = packages::find("node").context("node is missing: install it and run again")?;
        let folder = TempDir::create(&format!("jobs-{name}"), base)?;
        let mut command = process::command(node);
        command.arg(script).args(arguments).current_dir(&installed);
        command.env("NODE_ENV", "production").env_remove("NODE_OPTIONS").env_remove("DEBUG");
        let mut process = Process::start(name, command, &folder.path().join("log"))?;
        let line = process.wait_for_line(READY_TIMEOUT, |line| line.starts_with("ready "))?;
        let port = line.trim_start_matches("ready ");
        let connection = TcpStream::connect(format!("127.0.0.1:{port}")).context("connecting to node")?;
        connection.set_nodelay(true).context("setting TCP_NODELAY")?;
        Ok(Self { connection: BufReader::new(connection), process, store, _folder: folder })
    }

    /// Measures one figure.
    pub(super) fn measure(&mut self, measure: Measure, arguments: &JobsArguments) -> Result<Sample> {
        match measure {
            Measure::Latency => {
                let seconds = arguments.latency_seconds;
                self.sample(
                    &json!({"do": "latency", "name": "timed", "seconds": seconds, "rate": arguments.rate,
                        "playersMax": PLAYERS}),
                    seconds,
                    true,
                )
            }
            Measure::Drain(shape) => self.drain(shape, arguments.drain_seconds),
            Measure::Enqueue(batch) => {
                let push = |seconds| {
                    json!({"do": "enqueue", "name": format!("enqueue-{batch}"), "callers": CALLERS,
                        "batch": batch, "playersMax": PLAYERS, "seconds": seconds})
                };
                self.call(&push(1), 1)?;
                self.sample(&push(arguments.seconds), arguments.seconds, false)
            }
        }
        .map_err(|error| error.context(self.process.log_tail()))
    }

    fn drain(&mut self, shape: Shape, seconds: u64) -> Result<Sample> {
        let Shape { players, each } = shape;
        let name = format!("drain-{players}");
        self.call(&json!({"do": "fill", "name": name, "players": players, "each": each}), 0)?;
        let drain = json!({"do": "drain", "name": name, "players": players, "jobs": shape.jobs(),
            "seconds": seconds});
        let sample = self.sample(&drain, seconds, true)?;
        let drained = self.call(&json!({"do": "drained", "name": name}), 0)?;
        let left = drained["left"].as_u64().context("node does not say what is left")?;
        // What runs while a drain is cut short is neither done nor waiting.
        let cut_short = sample.jobs < shape.jobs() as u64;
        ensure!(cut_short || left == 0, "all {} jobs ran and {left} still wait", sample.jobs);
        Ok(sample)
    }

    /// Has something measured. The process of node counts as the server where it runs the jobs, else as the load.
    fn sample(&mut self, command: &Value, seconds: u64, runs: bool) -> Result<Sample> {
        let (node_before, store_before) = self.cpu()?;
        let answer = self.call(command, seconds)?;
        let (node_after, store_after) = self.cpu()?;
        let (node, store) =
            (node_after.saturating_sub(node_before), store_after.saturating_sub(store_before));
        let seconds = answer["seconds"].as_f64().context("node does not say how long it took")?;
        let millis = answer["millis"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Sample {
            elapsed: Duration::from_secs_f64(seconds),
            jobs: answer["jobs"].as_u64().context("node does not say how many jobs")?,
            latencies: millis.iter().filter_map(Value::as_f64).map(nanoseconds).collect(),
            server_cpu: if runs { store + node } else { store },
            load_cpu: if runs { Duration::ZERO } else { node },
        })
    }

    /// CPU time of node with its workers, and of what holds the jobs.
    fn cpu(&self) -> Result<(Duration, Duration)> {
        let store = match &self.store {
            // Redis rewrites its file in a child, which is its work as well.
            Store::Redis { process, .. } => process.pid(),
            Store::Postgres { postgres, .. } => postgres.pid(),
        };
        Ok((proc::cpu_of_tree(self.process.pid())?, proc::cpu_of_tree(store)?))
    }

    /// Has a command carried out that takes so many seconds on purpose.
    fn call(&mut self, command: &Value, seconds: u64) -> Result<Value> {
        let timeout = Duration::from_secs(seconds) + SLACK;
        let (begun, stream) = (Instant::now(), self.connection.get_mut());
        stream.set_read_timeout(Some(timeout)).context("setting a timeout")?;
        stream.write_all(format!("{command}\n").as_bytes()).context("telling node what to do")?;
        let mut line = String::new();
        self.connection
            .read_line(&mut line)
            .with_context(|| format!("{command}: no answer after {:.0?}", begun.elapsed()))?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("{command}: {line:?}"))?;
        match answer["error"].as_str() {
            Some(error) => bail!("{command}: {error}"),
            None => Ok(answer),
        }
    }
}

fn nanoseconds(millis: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(millis.max(0.0) / 1e3).as_nanos()).unwrap_or(u64::MAX)
}
