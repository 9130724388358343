//! The load generator: clients as tasks on few threads, one latency per unit, errors reported at once.

use crate::proc;
use anyhow::{Context, Result, bail};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};

/// Time that connecting and logging in, and ending after the measure, may take on top of it.
const SLACK: Duration = Duration::from_secs(60);

const PHASE_WARM_UP: u8 = 0;
const PHASE_MEASURE: u8 = 1;
const PHASE_STOP: u8 = 2;

/// How one figure is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Clients that work at the same time.
    pub(crate) clients: usize,
    /// Threads that carry them.
    pub(crate) threads: usize,
    /// Time before the measure, with load.
    pub(crate) warm_up: Duration,
    /// Time that is measured.
    pub(crate) measured: Duration,
    /// Whether all clients use the same mutex.
    pub(crate) contended: bool,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Time that was measured.
    pub(crate) elapsed: Duration,
    /// Sorted nanoseconds of every unit that ended in that time.
    pub(crate) latencies: Vec<u64>,
    /// Locks that were refused because another client held the mutex.
    pub(crate) refusals: u64,
    /// CPU time that the server used.
    pub(crate) server_cpu: Duration,
    /// CPU time that the load generator used.
    pub(crate) load_cpu: Duration,
}

/// A client with a connection, ready to work.
pub(crate) trait Client: 'static {
    /// Does one unit of work and returns how often a lock was refused meanwhile.
    async fn unit(&mut self) -> Result<u64>;
}

/// Makes the clients of one thread.
pub(crate) trait Connect: Sync {
    /// What it makes.
    type Client: Client;
    /// Connects the clients of these numbers.
    async fn connect(&self, numbers: Range<usize>) -> Result<Vec<Self::Client>>;
}

/// What a thread tells the measurement.
enum Event {
    /// All its clients are connected.
    Ready,
    /// It ended, with its latencies and refusals.
    Ended(Vec<u64>, u64),
    /// It cannot go on.
    Failed(anyhow::Error),
}

/// Runs the clients and measures them together with the server's CPU time.
pub(crate) fn measure(
    connect: &impl Connect,
    plan: &Plan,
    server_cpu: impl Fn() -> Result<Duration>,
) -> Result<Sample> {
    let phase = Arc::new(AtomicU8::new(PHASE_WARM_UP));
    let (sender, events) = channel();
    std::thread::scope(|scope| {
        for thread in 0..plan.threads {
            let numbers = share(plan, thread);
            let (phase, sender) = (&phase, sender.clone());
            scope.spawn(move || work(connect, plan, numbers, phase, &sender));
        }
        drop(sender);
        let sample = observe(plan, &phase, &events, server_cpu);
        // Also after a fault, since the scope waits for the threads.
        phase.store(PHASE_STOP, Ordering::Relaxed);
        sample
    })
}

fn observe(
    plan: &Plan,
    phase: &AtomicU8,
    events: &Receiver<Event>,
    server_cpu: impl Fn() -> Result<Duration>,
) -> Result<Sample> {
    for _ in 0..plan.threads {
        match events.recv_timeout(SLACK) {
            Ok(Event::Ready) => {}
            Ok(Event::Failed(error)) => return Err(error),
            Ok(Event::Ended(..)) | Err(_) => bail!("the clients do not get connected"),
        }
    }
    undisturbed(events, plan.warm_up)?;
    let (server_before, load_before, start) = (server_cpu()?, proc::cpu_of_self()?, Instant::now());
    phase.store(PHASE_MEASURE, Ordering::Relaxed);
    undisturbed(events, plan.measured)?;
    phase.store(PHASE_STOP, Ordering::Relaxed);
    let (elapsed, load_after, server_after) = (start.elapsed(), proc::cpu_of_self()?, server_cpu()?);

    let (mut latencies, mut refusals) = (Vec::new(), 0);
    for _ in 0..plan.threads {
        match events.recv_timeout(SLACK).context("the clients do not end")? {
            Event::Ended(some, refused) => {
                latencies.extend(some);
                refusals += refused;
            }
            Event::Failed(error) => return Err(error),
            Event::Ready => bail!("a thread was ready twice"),
        }
    }
    latencies.sort_unstable();
    if latencies.is_empty() {
        bail!("nothing ended within {elapsed:?}");
    }
    Ok(Sample {
        elapsed,
        latencies,
        refusals,
        server_cpu: server_after.saturating_sub(server_before),
        load_cpu: load_after.saturating_sub(load_before),
    })
}

/// Lets the clients work for a while; an error of one of them ends the wait.
fn undisturbed(events: &Receiver<Event>, time: Duration) -> Result<()> {
    match events.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Ok(Event::Failed(error)) => Err(error),
        Ok(_) | Err(RecvTimeoutError::Disconnected) => bail!("a thread of the load generator ended early"),
    }
}

/// The clients of a thread, by number.
fn share(plan: &Plan, thread: usize) -> Range<usize> {
    plan.clients * thread / plan.threads..plan.clients * (thread + 1) / plan.threads
}

fn work(
    connect: &impl Connect,
    plan: &Plan,
    numbers: Range<usize>,
    phase: &Arc<AtomicU8>,
    events: &Sender<Event>,
) {
    let limit = plan.warm_up + plan.measured + SLACK;
    let run = || -> Result<(Vec<u64>, u64)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting a runtime")?;
        let clients = async {
            let clients = connect.connect(numbers).await?;
            // Nobody listens any more when another thread has failed.
            let _ = events.send(Event::Ready);
            drive_all(clients, phase).await
        };
        let limited =
            async { tokio::time::timeout(limit, clients).await.context("an answer does not come")? };
        LocalSet::new().block_on(&runtime, limited)
    };
    let _ = events.send(match run() {
        Ok((latencies, refusals)) => Event::Ended(latencies, refusals),
        Err(error) => Event::Failed(error),
    });
}

/// Lets every client work as a task of its own; the first fault ends all.
async fn drive_all<C: Client>(clients: Vec<C>, phase: &Arc<AtomicU8>) -> Result<(Vec<u64>, u64)> {
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn_local(drive(client, Arc::clone(phase)));
    }
    let (mut latencies, mut refusals) = (Vec::new(), 0);
    while let Some(ended) = tasks.join_next().await {
        let (some, refused) = ended.context("a client panicked")??;
        latencies.extend(some);
        refusals += refused;
    }
    Ok((latencies, refusals))
}

async fn drive<C: Client>(mut client: C, phase: Arc<AtomicU8>) -> Result<(Vec<u64>, u64)> {
    let (mut latencies, mut refusals) = (Vec::new(), 0);
    loop {
        let start = Instant::now();
        let refused = client.unit().await?;
        match phase.load(Ordering::Relaxed) {
            PHASE_WARM_UP => {}
            PHASE_MEASURE => {
                latencies.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
                refusals += refused;
            }
            _ => return Ok((latencies, refusals)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers at once; client 0 fails after so many units.
    struct Fake {
        units_left: u64,
    }

    impl Client for Fake {
        async fn unit(&mut self) -> Result<u64> {
            tokio::task::yield_now().await;
            self.units_left = self.units_left.checked_sub(1).context("out of units")?;
            Ok(1)
        }
    }

    struct Fakes {
        units: u64,
    }

    impl Connect for Fakes {
        type Client = Fake;
        async fn connect(&self, numbers: Range<usize>) -> Result<Vec<Fake>> {
            Ok(numbers
                .map(|number| Fake { units_left: if number == 0 { self.units } else { u64::MAX } })
                .collect())
        }
    }

    fn plan(clients: usize, threads: usize) -> Plan {
        let time = Duration::from_millis(30);
        Plan { clients, threads, warm_up: time, measured: time, contended: false }
    }

    #[test]
    fn every_client_belongs_to_one_thread() {
        let plan = plan(7, 3);
        let all: Vec<usize> = (0..3).flat_map(|thread| share(&plan, thread)).collect();
        assert_eq!(all, (0..7).collect::<Vec<_>>());
    }

    #[test]
    fn units_of_all_threads_are_measured() {
        let sample = measure(&Fakes { units: u64::MAX }, &plan(5, 2), || Ok(Duration::ZERO)).unwrap();
        assert!(sample.latencies.is_sorted());
        assert_eq!(sample.refusals, sample.latencies.len() as u64);
        assert!(sample.elapsed >= Duration::from_millis(30));
    }

    #[test]
    fn a_failing_client_ends_the_measure() {
        let error = measure(&Fakes { units: 10 }, &plan(5, 2), || Ok(Duration::ZERO)).unwrap_err();
        assert_eq!(error.to_string(), "out of units");
    }
}
