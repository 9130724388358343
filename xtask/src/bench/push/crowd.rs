//! The sockets of a peer, and what is measured on them.

use super::board::Board;
use super::caller::Caller;
use super::peer::Running;
use super::reader;
use crate::bench::socket::Socket;
use crate::proc;
use anyhow::{Context, Result, anyhow, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval_at, sleep, timeout};

/// Sockets that are opened at the same time.
const OPENING: usize = 32;
/// Time for opening all sockets.
const OPEN_TIMEOUT: Duration = Duration::from_secs(400);
/// Time in which everything that was pushed must have arrived.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(20);
/// Time before a measure, with load.
const WARM_UP: Duration = Duration::from_secs(1);
/// Callers of the measure of latency: an answer may take that many times the interval of the calls before the rate drops.
const TIMED_CALLERS: usize = 8;

/// What was measured.
#[derive(Debug)]
pub(super) struct Sample {
    /// Time that was measured.
    pub(super) elapsed: Duration,
    /// Pushes that arrived in that time.
    pub(super) pushes: u64,
    /// Sorted nanoseconds from the call to the arrival, where they were noted.
    pub(super) latencies: Vec<u64>,
    /// CPU time that the server used.
    pub(super) server_cpu: Duration,
    /// CPU time that the load generator used.
    pub(super) load_cpu: Duration,
}

/// Open sockets of a peer, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Crowd<'a> {
    running: &'a Running,
    board: Arc<Board>,
    /// Those that nobody reads yet.
    sockets: Vec<Socket>,
    /// Tasks of those that are read.
    readers: Vec<AbortHandle>,
    measured: Duration,
    /// Calls in a second in the measure of latency.
    rate: u32,
}

impl<'a> Crowd<'a> {
    /// Opens so many sockets, each bound to a player of its own; measures will take that time.
    pub(super) async fn open(
        running: &'a Running,
        count: usize,
        measured: Duration,
        rate: u32,
    ) -> Result<Self> {
        let access = Arc::clone(running.access());
        let open = move |number| {
            let access = Arc::clone(&access);
            async move { access.open(number).await }
        };
        let sockets = each((0..count).collect(), open).await.context("opening sockets")?;
        let seconds = (WARM_UP + measured + ARRIVAL_TIMEOUT).as_secs() + 1;
        let timed_max = usize::try_from(seconds * u64::from(rate)).context("too long a measure")?;
        let board = Arc::new(Board::new(timed_max));
        Ok(Self { running, board, sockets, readers: Vec::new(), measured, rate })
    }

    /// Has the sockets get broadcasts as well, and starts reading them.
    pub(super) async fn join(&mut self) -> Result<()> {
        let access = Arc::clone(self.running.access());
        let join = move |mut socket| {
            let access = Arc::clone(&access);
            async move {
                access.join(&mut socket).await?;
                Ok(socket)
            }
        };
        let sockets =
            each(std::mem::take(&mut self.sockets), join).await.context("joining the broadcasts")?;
        for (number, socket) in sockets.into_iter().enumerate() {
            let (board, dialect) = (Arc::clone(&self.board), self.running.access().dialect());
            let task = tokio::spawn(async move {
                if let Err(error) = reader::read(socket, number, dialect, Arc::clone(&board)).await {
                    board.fail(error.context(format!("socket {number}")));
                }
            });
            self.readers.push(task.abort_handle());
        }
        Ok(())
    }

    /// Closes all sockets but the first ones.
    pub(super) fn keep(&mut self, count: usize) {
        for reader in self.readers.drain(count..) {
            reader.abort();
        }
    }

    /// The peer that the sockets are connected to.
    pub(super) fn running(&self) -> &'a Running {
        self.running
    }

    /// Time from the call to the arrival at a steady rate that burdens nobody.
    pub(super) async fn latency(&self) -> Result<Sample> {
        self.board.start_single(1, 0, true);
        let period = Duration::from_secs(TIMED_CALLERS as u64) / self.rate;
        let (stop, ids) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut callers = JoinSet::new();
        for number in 0..TIMED_CALLERS {
            let mut caller = self.running.access().caller().await?;
            let (board, stop, ids) = (Arc::clone(&self.board), Arc::clone(&stop), Arc::clone(&ids));
            let (sockets, offset) =
                (self.readers.len(), period.mul_f64(number as f64 / TIMED_CALLERS as f64));
            callers.spawn(async move {
                let mut ticks = interval_at(tokio::time::Instant::now() + offset, period);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let id = ids.fetch_add(1, Ordering::Relaxed);
                    caller.one(id % sockets, id);
                    board.goes(id);
                    caller.send().await?;
                    sent += 1;
                }
                Ok(sent)
            });
        }
        self.observe(callers, &stop, 1).await
    }

    /// Pushes to one socket each, by so many callers; each waits for the arrival, and for the answer where there is one.
    pub(super) async fn single(&self, callers: usize) -> Result<Sample> {
        let groups = self.running.access().connections(callers);
        let in_flight = callers / groups;
        self.board.start_single(groups, in_flight, false);
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for group in 0..groups {
            let mut caller = self.running.access().caller().await?;
            let (board, stop, sockets) = (Arc::clone(&self.board), Arc::clone(&stop), self.readers.len());
            tasks.spawn(async move {
                let (mut sent, mut number) = (0, group);
                loop {
                    let free = board.free(group);
                    free.acquire().await.context("the measure has ended")?.forget();
                    if stop.load(Ordering::Relaxed) {
                        return Ok(sent);
                    }
                    let mut batch = 1;
                    while batch < in_flight && free.try_acquire().map(|permit| permit.forget()).is_ok() {
                        batch += 1;
                    }
                    for _ in 0..batch {
                        caller.one(number, 0);
                        number = if number + groups < sockets { number + groups } else { group };
                    }
                    caller.send().await?;
                    sent += batch as u64;
                }
            });
        }
        self.observe(tasks, &stop, 1).await
    }

    /// Pushes to all sockets, so many under way at the same time.
    pub(super) async fn broadcast(&self, in_flight: usize) -> Result<Sample> {
        let reach = self.readers.len();
        self.board.start_broadcast(reach, in_flight);
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..in_flight {
            let caller = self.running.access().caller().await?;
            tasks.spawn(broadcast(caller, Arc::clone(&self.board), Arc::clone(&stop)));
        }
        self.observe(tasks, &stop, reach as u64).await
    }

    /// Watches the callers through the warm-up and the measure, stops them and demands that all they pushed arrives, each
    /// push at so many sockets.
    async fn observe(
        &self,
        mut callers: JoinSet<Result<u64>>,
        stop: &AtomicBool,
        reach: u64,
    ) -> Result<Sample> {
        self.undisturbed(&mut callers, WARM_UP).await?;
        let (server_before, load_before) = (self.running.cpu()?, proc::cpu_of_self()?);
        let (pushes_before, since, start) = (self.board.received(), self.board.now(), Instant::now());
        self.undisturbed(&mut callers, self.measured).await?;
        let (elapsed, pushes_after) = (start.elapsed(), self.board.received());
        let (server_after, load_after) = (self.running.cpu()?, proc::cpu_of_self()?);
        stop.store(true, Ordering::Relaxed);
        let rest = async {
            let mut sent = 0;
            while let Some(ended) = callers.join_next().await {
                sent += ended.context("a caller panicked")??;
            }
            Ok::<_, anyhow::Error>(sent)
        };
        let ended = tokio::select! {
            ended = timeout(ARRIVAL_TIMEOUT, rest) => ended,
            error = self.board.failure() => return Err(error),
        };
        let arrived = || format!("{} pushes have arrived", self.board.received());
        let expected = ended.map_err(|_| anyhow!("the callers do not end; {}", arrived()))?? * reach;
        let deadline = Instant::now() + ARRIVAL_TIMEOUT;
        while self.board.received() != expected {
            ensure!(Instant::now() < deadline, "{expected} pushes were to arrive and {}", arrived());
            sleep(Duration::from_millis(5)).await;
        }
        let pushes = pushes_after - pushes_before;
        ensure!(pushes > 0, "nothing arrived within {elapsed:?}");
        Ok(Sample {
            elapsed,
            pushes,
            latencies: self.board.latencies(since),
            server_cpu: server_after.saturating_sub(server_before),
            load_cpu: load_after.saturating_sub(load_before),
        })
    }

    /// Lets the callers work for a while; a fault of one of them, or of a socket, ends the wait.
    async fn undisturbed(&self, callers: &mut JoinSet<Result<u64>>, time: Duration) -> Result<()> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            error = self.board.failure() => Err(error),
            Some(ended) = callers.join_next() => {
                ended.context("a caller panicked")??;
                Err(anyhow!("a caller ended early"))
            }
        }
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        self.keep(0);
    }
}

async fn broadcast(mut caller: Caller, board: Arc<Board>, stop: Arc<AtomicBool>) -> Result<u64> {
    let mut sent = 0;
    loop {
        board.free(0).acquire().await.context("the measure has ended")?.forget();
        if stop.load(Ordering::Relaxed) {
            return Ok(sent);
        }
        caller.all(0);
        caller.send().await?;
        sent += 1;
    }
}

/// Does something with each item, some at the same time, and returns the outcomes in the order of the items.
async fn each<T, U, F>(items: Vec<T>, task: impl Fn(T) -> F + Clone + Send + 'static) -> Result<Vec<U>>
where
    T: Send + 'static,
    U: Send + 'static,
    F: Future<Output = Result<U>> + Send + 'static,
{
    let mut lanes: Vec<Vec<(usize, T)>> = (0..OPENING).map(|_| Vec::new()).collect();
    for (index, item) in items.into_iter().enumerate() {
        lanes[index % OPENING].push((index, item));
    }
    let mut tasks = JoinSet::new();
    for lane in lanes {
        let task = task.clone();
        tasks.spawn(async move {
            let mut done = Vec::with_capacity(lane.len());
            for (index, item) in lane {
                done.push((index, task(item).await?));
            }
            Ok::<_, anyhow::Error>(done)
        });
    }
    let all = async {
        let mut outcomes = Vec::new();
        while let Some(done) = tasks.join_next().await {
            outcomes.extend(done.context("a task panicked")??);
        }
        Ok::<_, anyhow::Error>(outcomes)
    };
    let mut outcomes = timeout(OPEN_TIMEOUT, all).await.context("it takes too long")??;
    outcomes.sort_unstable_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}
