//! How each figure is taken: rooms, subscribers and callers of its own, then load, then a look at what became of it.

use super::board::Board;
use super::link::Caller;
use super::{
    ChatArguments, FIRST_ROOMS, Measure, READERS, Rooms, Running, SUBSCRIBERS, SUBSCRIBERS_MANY, Sample, Way,
};
use crate::proc;
use anyhow::{Context, Result, anyhow, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Time before a measure, with load.
const WARM_UP: Duration = Duration::from_secs(1);
/// Time in which everything that was posted must have arrived, and every caller must have ended.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time of rest after sockets were opened, and after they were closed.
const REST: Duration = Duration::from_millis(500);
/// Time between the last notification of a post and the next post in the fan-out.
const PAUSE: Duration = Duration::from_millis(10);
/// Password of rooms that have one.
const PASSWORD: &str = "correct-horse-battery-staple";

// 0 is the warm-up.
const PHASE_MEASURE: u8 = 1;
const PHASE_STOP: u8 = 2;

/// Takes one figure; its number makes the names of its rooms unlike those of the others.
pub(super) async fn take(
    running: &Running,
    measure: Measure,
    way: Way,
    number: usize,
    arguments: &ChatArguments,
) -> Result<Sample> {
    let prefix = format!("room-{number}-{}", if way == Way::Rest { "rest" } else { "socket" });
    let measured = Duration::from_secs(arguments.seconds);
    if measure == Measure::Pages {
        return pages(running, &prefix, way, measured).await;
    }
    let (count, subscribers, callers_count) = match measure {
        Measure::Posts { rooms, callers, .. } => (rooms, SUBSCRIBERS, callers),
        Measure::FirstPosts => (FIRST_ROOMS, SUBSCRIBERS, 0),
        Measure::Burst => (1, SUBSCRIBERS_MANY, usize::from(arguments.burst)),
        Measure::Fanout | Measure::Pages => (1, SUBSCRIBERS_MANY, 1),
    };
    let secret = matches!(measure, Measure::Posts { secret: true, .. } | Measure::FirstPosts);
    let rooms = Rooms { prefix, count, subscribers, password: secret.then_some(PASSWORD) };
    running.create(&rooms).await.context("creating rooms")?;
    let board = Arc::new(Board::new(subscribers));
    let crowd = Crowd::gather(running, &rooms, &board).await?;
    sleep(REST).await;

    let progress = Arc::new(Progress::default());
    // Each room is used once before the measure: what a server does only once is a figure of its own.
    let first =
        first_posts(running, running.poster(&rooms, way, callers_count).await?, count, &progress).await?;
    demand_arrival(&progress, &board).await?;
    let sample = if measure == Measure::FirstPosts {
        first
    } else {
        let mut callers = JoinSet::new();
        for caller in 0..callers_count {
            let caller = running.poster(&rooms, way, caller).await?;
            let (board, progress) = (Arc::clone(&board), Arc::clone(&progress));
            match measure {
                Measure::Fanout => callers.spawn(one_by_one(caller, board, progress)),
                Measure::Burst => callers.spawn(some_at_once(caller, board, progress)),
                _ => callers.spawn(drive(caller, progress)),
            };
        }
        board.allow(callers_count);
        observe(running, callers, &progress, &board, measured).await?
    };
    demand_arrival(&progress, &board).await?;
    drop(crowd);
    running.demand_history(&rooms, progress.made.load(Ordering::Relaxed)).await?;
    sleep(REST).await;
    Ok(sample)
}

/// Posts once into each room, one after the other.
async fn first_posts(
    running: &Running,
    mut caller: Caller,
    rooms: usize,
    progress: &Progress,
) -> Result<Sample> {
    let (server_before, load_before, start) = (running.cpu()?, proc::cpu_of_self()?, Instant::now());
    let mut latencies = Vec::new();
    for _ in 0..rooms {
        let start = Instant::now();
        caller.call().await?;
        progress.made();
        latencies.push(nanoseconds(start.elapsed()));
    }
    Ok(Sample {
        elapsed: start.elapsed(),
        calls: rooms as u64,
        deliveries: 0,
        latencies,
        server_cpu: running.cpu()?.saturating_sub(server_before),
        load_cpu: proc::cpu_of_self()?.saturating_sub(load_before),
    })
}

async fn pages(running: &Running, prefix: &str, way: Way, measured: Duration) -> Result<Sample> {
    let calls = running.pages(prefix, way).await?;
    let (progress, board) = (Arc::new(Progress::default()), Board::new(1));
    let mut callers = JoinSet::new();
    for reader in 0..READERS {
        let mut calls = calls.clone();
        let first = reader * calls.len() / READERS;
        calls.rotate_left(first);
        callers.spawn(drive(running.reader(way, calls).await?, Arc::clone(&progress)));
    }
    // Nobody is told of a page.
    let sample = observe(running, callers, &progress, &board, measured).await;
    sleep(REST).await;
    sample
}

/// The subscribers, each read by a task.
#[derive(Debug)]
struct Crowd(Vec<AbortHandle>);

impl Crowd {
    async fn gather(running: &Running, rooms: &Rooms, board: &Arc<Board>) -> Result<Self> {
        let listeners = timeout(ARRIVAL_TIMEOUT, running.listeners(rooms)).await;
        let listeners = listeners.context("subscribers do not get connected")??;
        let tasks = listeners.into_iter().map(|listener| {
            let board = Arc::clone(board);
            let task = tokio::spawn(async move {
                if let Err(error) = listener.listen(Arc::clone(&board)).await {
                    board.fail(error);
                }
            });
            task.abort_handle()
        });
        Ok(Self(tasks.collect()))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// How far the callers are.
#[derive(Debug, Default)]
struct Progress {
    phase: AtomicU8,
    /// Calls that were answered.
    made: AtomicU64,
}

impl Progress {
    /// One more call was answered; returns whether it counts, and whether the caller goes on.
    fn made(&self) -> (bool, bool) {
        self.made.fetch_add(1, Ordering::Relaxed);
        let phase = self.phase.load(Ordering::Relaxed);
        (phase == PHASE_MEASURE, phase != PHASE_STOP)
    }

    fn ended(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == PHASE_STOP
    }
}

/// Calls one after the other.
async fn drive(mut caller: Caller, progress: Arc<Progress>) -> Result<Vec<u64>> {
    let mut latencies = Vec::new();
    loop {
        let start = Instant::now();
        caller.call().await?;
        let (counts, goes_on) = progress.made();
        if counts {
            latencies.push(nanoseconds(start.elapsed()));
        }
        if !goes_on {
            return Ok(latencies);
        }
    }
}

/// Posts when the one before has arrived everywhere, and notes how long that took.
async fn one_by_one(mut caller: Caller, board: Arc<Board>, progress: Arc<Progress>) -> Result<Vec<u64>> {
    let mut latencies = Vec::new();
    loop {
        let start = board.want_post();
        caller.call().await?;
        let arrival = timeout(ARRIVAL_TIMEOUT, board.arrival()).await;
        let arrival =
            arrival.map_err(|_| anyhow!("{} of the notifications have arrived", board.received()))?;
        let (counts, goes_on) = progress.made();
        if counts {
            latencies.push(arrival - start);
        }
        if !goes_on {
            return Ok(latencies);
        }
        sleep(PAUSE).await;
    }
}

/// Posts whenever a post may be under way.
async fn some_at_once(mut caller: Caller, board: Arc<Board>, progress: Arc<Progress>) -> Result<Vec<u64>> {
    let mut latencies = Vec::new();
    loop {
        board.free().acquire().await.context("the measure has ended")?.forget();
        if progress.ended() {
            return Ok(latencies);
        }
        let start = Instant::now();
        caller.call().await?;
        if progress.made().0 {
            latencies.push(nanoseconds(start.elapsed()));
        }
    }
}

/// Demands that every post arrives at all subscribers in the right order.
async fn demand_arrival(progress: &Progress, board: &Board) -> Result<()> {
    let expected = progress.made.load(Ordering::Relaxed) * board.reach();
    let deadline = Instant::now() + ARRIVAL_TIMEOUT;
    while board.received() < expected {
        ensure!(
            Instant::now() < deadline,
            "{expected} notifications were to arrive and {} have arrived",
            board.received()
        );
        tokio::select! {
            () = sleep(Duration::from_millis(5)) => {}
            error = board.failure() => return Err(error),
        }
    }
    // Time for any that nobody expects.
    sleep(REST).await;
    ensure!(
        board.received() == expected,
        "{expected} notifications were to arrive and {} have arrived",
        board.received()
    );
    ensure!(
        board.disordered() == 0,
        "{} of {expected} notifications came after one of the same room that is younger",
        board.disordered()
    );
    Ok(())
}

/// Watches the callers through the warm-up and the measure, and stops them.
async fn observe(
    running: &Running,
    mut callers: JoinSet<Result<Vec<u64>>>,
    progress: &Progress,
    board: &Board,
    measured: Duration,
) -> Result<Sample> {
    undisturbed(&mut callers, board, WARM_UP).await?;
    let (server_before, load_before) = (running.cpu()?, proc::cpu_of_self()?);
    let (calls_before, deliveries_before, start) =
        (progress.made.load(Ordering::Relaxed), board.received(), Instant::now());
    progress.phase.store(PHASE_MEASURE, Ordering::Relaxed);
    undisturbed(&mut callers, board, measured).await?;
    progress.phase.store(PHASE_STOP, Ordering::Relaxed);
    let (elapsed, calls_after, deliveries_after) =
        (start.elapsed(), progress.made.load(Ordering::Relaxed), board.received());
    let (server_after, load_after) = (running.cpu()?, proc::cpu_of_self()?);
    let rest = async {
        let mut latencies = Vec::new();
        while let Some(ended) = callers.join_next().await {
            latencies.extend(ended.context("a caller panicked")??);
        }
        Ok::<_, anyhow::Error>(latencies)
    };
    let ended = tokio::select! {
        ended = timeout(ARRIVAL_TIMEOUT, rest) => ended,
        error = board.failure() => return Err(error),
    };
    let latencies = ended.map_err(|_| anyhow!("the callers do not end"))??;
    let calls = calls_after - calls_before;
    ensure!(calls > 0, "nothing was answered within {elapsed:?}");
    Ok(Sample {
        elapsed,
        calls,
        deliveries: deliveries_after - deliveries_before,
        latencies,
        server_cpu: server_after.saturating_sub(server_before),
        load_cpu: load_after.saturating_sub(load_before),
    })
}

/// Lets the callers work for a while; a fault of one of them, or of a subscriber, ends the wait.
async fn undisturbed(callers: &mut JoinSet<Result<Vec<u64>>>, board: &Board, time: Duration) -> Result<()> {
    tokio::select! {
        () = sleep(time) => Ok(()),
        error = board.failure() => Err(error),
        Some(ended) = callers.join_next() => {
            ended.context("a caller panicked")??;
            Err(anyhow!("a caller ended early"))
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
