//! Hiroba: jobs pushed over HTTP, run by the server itself, their ends told on the players' sockets.

use super::{CALLERS, JobsArguments, Measure, PLAYERS, Peer, Sample, Shape};
use crate::bench::hiroba::Prepared;
use crate::bench::http::{Connection, request};
use crate::bench::load::{self, Client, Connect, Plan};
use crate::bench::socket::Socket;
use crate::postgres::Postgres;
use crate::proc;
use crate::server::{OWNER_ID, REGION, Server};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Deserializer, Value, json};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, sleep, timeout};

/// Settings beside the defaults: nobody answers pings while other measures are taken.
const SETTINGS: [&str; 2] = ["--socket-silence-seconds", "3600"];
/// What each job runs.
const SCRIPT: &str = "result = {}";
/// Namespace of the script, and of the sockets.
const NAMESPACE: &str = "bench";
/// Most jobs in a push.
const PUSH_MAX: usize = 10;
/// Time between two looks at how many jobs are done.
const LOOK: Duration = Duration::from_millis(3);
/// Time in which some job must be done.
const STALL: Duration = Duration::from_secs(20);
/// Time before a measure, with load.
const WARM_UP: Duration = Duration::from_secs(1);
/// Players whose sockets learn of jobs that are done.
const LISTENERS: usize = 64;
/// Callers of the measure of latency: an answer may take that many times the interval of the pushes before the rate drops.
const TIMED_CALLERS: usize = 4;

/// A started server.
#[derive(Debug)]
pub(super) struct Hiroba {
    peer: Peer,
    server: Box<Server>,
    prepared: Arc<Prepared>,
    postgres: Option<Box<Postgres>>,
    runtime: Runtime,
}

impl Hiroba {
    /// Starts the server and stores the script.
    pub(super) fn start(binary: &Path, base: Option<&Path>, on_postgres: bool) -> Result<Self> {
        let peer = if on_postgres { Peer::HirobaPostgres } else { Peer::Hiroba };
        let postgres = if on_postgres { Some(Postgres::start(base)?) } else { None };
        let url = postgres.as_ref().map(|postgres| postgres.create_database("hiroba")).transpose()?;
        let name = format!("jobs-{}", peer.name());
        let server = Server::start(binary, base, &name, url.as_deref(), &SETTINGS)?;
        let runtime = Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
        let prepared = runtime.block_on(async {
            let prepared = Prepared::log_in(server.address()).await?;
            prepared.create_namespace("gateway", NAMESPACE).await?;
            prepared.create_namespace("script", NAMESPACE).await?;
            let script = json!({"name": "nothing", "script": SCRIPT});
            prepared.call("POST", &format!("/script/{NAMESPACE}/script"), &script).await?;
            Ok::<_, anyhow::Error>(Arc::new(prepared))
        })?;
        let (server, postgres) = (Box::new(server), postgres.map(Box::new));
        Ok(Self { peer, server, prepared, postgres, runtime })
    }

    /// Measures one figure.
    pub(super) fn measure(&mut self, measure: Measure, arguments: &JobsArguments) -> Result<Sample> {
        match measure {
            Measure::Latency => {
                let seconds = Duration::from_secs(arguments.latency_seconds);
                self.runtime.block_on(self.latency(seconds, arguments.rate))
            }
            Measure::Drain(shape) => {
                let limit = Duration::from_secs(arguments.drain_seconds);
                self.runtime.block_on(self.drain(self.peer.shape(shape), limit))
            }
            Measure::Enqueue(batch) => self.enqueue(batch, Duration::from_secs(arguments.seconds)),
        }
        .map_err(|error| error.context(self.server.log_tail()))
    }

    /// Stops the server.
    pub(super) fn stop(mut self) -> Result<()> {
        self.server.stop()
    }

    /// CPU time of all processes that do the server's work.
    fn cpu(&self) -> Result<Duration> {
        let database =
            self.postgres.as_ref().map(|postgres| proc::cpu_of_tree(postgres.pid())).transpose()?;
        Ok(proc::cpu(self.server.pid())? + database.unwrap_or_default())
    }

    /// Pushes as fast as the callers can; nobody runs the jobs.
    fn enqueue(&self, batch: usize, measured: Duration) -> Result<Sample> {
        let namespace = format!("enqueue-{batch}");
        self.runtime.block_on(self.prepared.create_namespace("job-queue", &namespace))?;
        let pushes = Pushes { prepared: &self.prepared, namespace: &namespace, batch };
        let plan = Plan { clients: CALLERS, threads: 1, warm_up: WARM_UP, measured, contended: false };
        let sample = load::measure(&pushes, &plan, || self.cpu())?;
        Ok(Sample {
            elapsed: sample.elapsed,
            jobs: (sample.latencies.len() * batch) as u64,
            latencies: Vec::new(),
            server_cpu: sample.server_cpu,
            load_cpu: sample.load_cpu,
        })
    }

    /// Fills the queues, lets the server run, and waits until nothing is left. What is not done in time is not counted.
    async fn drain(&self, shape: Shape, limit: Duration) -> Result<Sample> {
        let namespace = format!("drain-{}", shape.players);
        self.prepared.create_namespace("job-queue", &namespace).await?;
        self.fill(&namespace, shape).await?;
        let mut metrics = Metrics::open(&self.prepared).await?;
        let before = metrics.read().await?;
        ensure!(before.lanes == 0, "queues have work before they are to run");
        let jobs = shape.jobs() as u64;

        let (server_before, load_before, start) = (self.cpu()?, proc::cpu_of_self()?, Instant::now());
        let run = json!({"enableAutoRun": true});
        self.prepared.call("PUT", &format!("/job-queue/{namespace}"), &run).await?;
        let (mut last, mut progress, mut counted) = (before.succeeded, Instant::now(), None);
        let (elapsed, done) = loop {
            let now = metrics.read().await?;
            ensure!(now.failed == before.failed, "{} jobs failed", now.failed - before.failed);
            let (elapsed, done) = (start.elapsed(), now.succeeded - before.succeeded);
            // Jobs are counted when they have run; no queue has work when that is on disk, too.
            if done >= jobs && now.lanes == 0 {
                break (elapsed, done);
            }
            if elapsed > limit && counted.is_none() {
                counted = Some((elapsed, done, self.cpu()?, proc::cpu_of_self()?));
            }
            if now.succeeded != last {
                (last, progress) = (now.succeeded, Instant::now());
            }
            ensure!(
                progress.elapsed() < STALL,
                "{done} of {jobs} jobs are done and no other one follows: {now:?}"
            );
            sleep(LOOK).await;
        };
        ensure!(done == jobs, "{jobs} jobs were to run and {done} did");
        let (server_after, load_after) = (self.cpu()?, proc::cpu_of_self()?);
        let (elapsed, done, server_after, load_after) =
            counted.unwrap_or((elapsed, done, server_after, load_after));
        self.demand_empty(&namespace, shape.players).await?;
        Ok(Sample {
            elapsed,
            jobs: done,
            latencies: Vec::new(),
            server_cpu: server_after.saturating_sub(server_before),
            load_cpu: load_after.saturating_sub(load_before),
        })
    }

    async fn fill(&self, namespace: &str, shape: Shape) -> Result<()> {
        let prepared = Arc::clone(&self.prepared);
        let namespace = namespace.to_owned();
        for_each_player(shape.players, &self.prepared, move |player| {
            let path = push_path(&namespace, &player_name(player));
            (0..shape.each)
                .step_by(PUSH_MAX)
                .map(|first| {
                    let body = push_body((shape.each - first).min(PUSH_MAX));
                    (prepared.request("POST", &path, None, &body), "\"items\":[{")
                })
                .collect()
        })
        .await
        .context("filling the queues")
    }

    /// Asks for every player's queue.
    async fn demand_empty(&self, namespace: &str, players: usize) -> Result<()> {
        let prepared = Arc::clone(&self.prepared);
        let namespace = namespace.to_owned();
        for_each_player(players, &self.prepared, move |player| {
            let path = push_path(&namespace, &player_name(player));
            vec![(prepared.request("GET", &path, None, ""), "\"items\":[]")]
        })
        .await
        .context("looking for jobs that still wait")
    }

    /// Time from sending the push to the run notification on the player's socket, at a rate that burdens nobody.
    async fn latency(&self, measured: Duration, rate: u32) -> Result<Sample> {
        let namespace = "timed";
        let gateway = format!("grn:gs2:{REGION}:{OWNER_ID}:gateway:{NAMESPACE}");
        let settings = json!({
            "name": namespace,
            "enableAutoRun": true,
            "runNotification": {"gatewayNamespaceId": gateway},
        });
        self.prepared.call("POST", "/job-queue/", &settings).await?;
        let ends = Arc::new(Mutex::new(HashMap::new()));
        let mut listeners = JoinSet::new();
        for player in 0..LISTENERS {
            let mut socket = Socket::open(self.prepared.address(), "/").await?;
            self.prepared.bind(&mut socket, NAMESPACE, &player_name(player)).await?;
            listeners.spawn(listen(socket, Arc::clone(&ends)));
        }

        let period = Duration::from_secs(TIMED_CALLERS as u64) / rate;
        let (stop, pushed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut callers = JoinSet::new();
        let body = push_body(1);
        let pushes: Vec<Vec<u8>> = (0..LISTENERS)
            .map(|player| {
                self.prepared.request("POST", &push_path(namespace, &player_name(player)), None, &body)
            })
            .collect();
        let pushes = Arc::new(pushes);
        for number in 0..TIMED_CALLERS {
            let mut connection = Connection::open(self.prepared.address()).await?;
            let (stop, pushed, pushes) = (Arc::clone(&stop), Arc::clone(&pushed), Arc::clone(&pushes));
            let offset = period.mul_f64(number as f64 / TIMED_CALLERS as f64);
            callers.spawn(async move {
                let mut ticks = interval_at(tokio::time::Instant::now() + offset, period);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut random = Random::new(number);
                let mut starts = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let start = Instant::now();
                    let answer = connection.call_ok(&pushes[random.below(LISTENERS)]).await?;
                    let answer: Value = serde_json::from_slice(answer).context("an answer is not JSON")?;
                    let name =
                        answer["items"][0]["name"].as_str().context("a push is answered without job")?;
                    starts.push((name.to_owned(), start));
                    pushed.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, anyhow::Error>(starts)
            });
        }
        let (server_before, load_before, begin, end) = tokio::select! {
            Some(ended) = listeners.join_next() => {
                return Err(ended.context("a listener panicked")?.err().unwrap_or_else(|| anyhow!("a listener ended")));
            }
            measured = async {
                sleep(WARM_UP).await;
                let before = (self.cpu()?, proc::cpu_of_self()?, Instant::now());
                sleep(measured).await;
                Ok::<_, anyhow::Error>((before.0, before.1, before.2, Instant::now()))
            } => measured?,
        };
        let (server_after, load_after) = (self.cpu()?, proc::cpu_of_self()?);
        stop.store(true, Ordering::Relaxed);
        let mut starts = Vec::new();
        while let Some(ended) = callers.join_next().await {
            starts.extend(ended.context("a caller panicked")??);
        }
        let all = async {
            while ends.lock().map_or(0, |ends| ends.len()) < starts.len() {
                sleep(LOOK).await;
            }
        };
        let arrived = timeout(STALL, all).await;
        let ends = ends.lock().map_err(|_| anyhow!("a listener panicked"))?;
        ensure!(arrived.is_ok(), "{} jobs were pushed and {} are told to be done", starts.len(), ends.len());
        let mut latencies = Vec::new();
        for (name, start) in starts.iter().filter(|(_, start)| (begin..end).contains(start)) {
            let end = ends.get(name).with_context(|| format!("job {name} is not told to be done"))?;
            latencies.push(u64::try_from((*end - *start).as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(Sample {
            elapsed: end - begin,
            jobs: latencies.len() as u64,
            latencies,
            server_cpu: server_after.saturating_sub(server_before),
            load_cpu: load_after.saturating_sub(load_before),
        })
    }
}

/// Notes when each job is told to be done.
async fn listen(mut socket: Socket, ends: Arc<Mutex<HashMap<String, Instant>>>) -> Result<()> {
    loop {
        let received = socket.wait_for(|received| !received.is_empty()).await?;
        let now = Instant::now();
        for frame in Deserializer::from_slice(&received).into_iter::<Value>() {
            let frame = frame.context("a notification is not JSON")?;
            let payload = frame["body"]["payload"].as_str().context("a notification has no payload")?;
            let payload: Value = serde_json::from_str(payload).context("a payload is not JSON")?;
            let name = payload["jobName"].as_str().with_context(|| format!("{frame} names no job"))?;
            ends.lock().map_err(|_| anyhow!("a listener panicked"))?.insert(name.to_owned(), now);
        }
    }
}

/// Makes the calls of every player, by as many callers as push; each must be answered with 200 and that text.
async fn for_each_player(
    players: usize,
    prepared: &Prepared,
    calls: impl Fn(usize) -> Vec<(Vec<u8>, &'static str)> + Send + Sync + 'static,
) -> Result<()> {
    let calls = Arc::new(calls);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut connection = Connection::open(prepared.address()).await?;
        let calls = Arc::clone(&calls);
        callers.spawn(async move {
            for player in (caller..players).step_by(CALLERS) {
                for (call, expected) in calls(player) {
                    let answer = String::from_utf8_lossy(connection.call_ok(&call).await?).into_owned();
                    ensure!(answer.contains(expected), "player {player}: {answer}");
                }
            }
            Ok(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.context("a caller panicked")??;
    }
    Ok(())
}

fn player_name(number: usize) -> String {
    format!("player-{number:05}")
}

fn push_path(namespace: &str, player: &str) -> String {
    format!("/job-queue/{namespace}/user/{player}/job")
}

fn push_body(jobs: usize) -> String {
    let script = format!("grn:gs2:{REGION}:{OWNER_ID}:script:{NAMESPACE}:script:nothing");
    let job = json!({"scriptId": script, "args": json!({"item": "potion", "amount": 3}).to_string()});
    json!({"jobs": vec![job; jobs]}).to_string()
}

/// What the server says about its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    succeeded: u64,
    failed: u64,
    /// Queues with work.
    lanes: u64,
}

impl Counts {
    fn parse(text: &str) -> Result<Self> {
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            // A counter that never counted may be left out.
            line.map_or(Ok(0), |number| number.trim().parse().with_context(|| format!("{name} is {number}")))
        };
        Ok(Self {
            succeeded: number("hiroba_jobs_succeeded_total")?,
            failed: number("hiroba_jobs_failed_total")?,
            lanes: number("hiroba_job_lanes")?,
        })
    }
}

#[derive(Debug)]
struct Metrics {
    connection: Connection,
    call: Vec<u8>,
}

impl Metrics {
    async fn open(prepared: &Prepared) -> Result<Self> {
        let connection = Connection::open(prepared.address()).await?;
        Ok(Self { connection, call: request("GET", "/metrics", prepared.address(), &[], "") })
    }

    async fn read(&mut self) -> Result<Counts> {
        Counts::parse(std::str::from_utf8(self.connection.call_ok(&self.call).await?)?)
    }
}

/// Makes callers that push.
#[derive(Debug)]
struct Pushes<'a> {
    prepared: &'a Prepared,
    namespace: &'a str,
    batch: usize,
}

/// A caller with the prepared push, in which only the player changes.
#[derive(Debug)]
struct Pusher {
    connection: Connection,
    push: Vec<u8>,
    /// Where the number of the player stands.
    number: Range<usize>,
    random: Random,
}

impl Connect for Pushes<'_> {
    type Client = Pusher;

    async fn connect(&self, numbers: Range<usize>) -> Result<Vec<Pusher>> {
        let path = push_path(self.namespace, &player_name(0));
        let push = self.prepared.request("POST", &path, None, &push_body(self.batch));
        let name = player_name(0);
        let at = push.windows(name.len()).position(|window| window == name.as_bytes());
        let end = at.context("a push without player")? + name.len();
        let mut pushers = Vec::new();
        for number in numbers {
            let connection = Connection::open(self.prepared.address()).await?;
            let (push, number, random) = (push.clone(), end - 5..end, Random::new(number));
            pushers.push(Pusher { connection, push, number, random });
        }
        Ok(pushers)
    }
}

impl Client for Pusher {
    async fn unit(&mut self) -> Result<u64> {
        let player = format!("{:05}", self.random.below(PLAYERS));
        self.push[self.number.clone()].copy_from_slice(player.as_bytes());
        match self.connection.call(&self.push).await? {
            (200, _) => Ok(0),
            (status, body) => bail!("a push is answered with {status}: {}", String::from_utf8_lossy(body)),
        }
    }
}

/// Numbers that look random and are the same in every run (xorshift64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(seed: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_found_among_the_metrics() {
        let text =
            "# TYPE hiroba_jobs_succeeded counter\nhiroba_jobs_succeeded_total 12\nhiroba_job_lanes 3\n";
        assert_eq!(Counts::parse(text).unwrap(), Counts { succeeded: 12, failed: 0, lanes: 3 });
    }

    #[test]
    fn random_numbers_reach_all_players() {
        let mut random = Random::new(0);
        let mut seen = [false; 16];
        (0..1000).for_each(|_| seen[random.below(16)] = true);
        assert_eq!(seen, [true; 16]);
    }
}
