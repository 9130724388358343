//! The figures as a table for people and as JSON for programs.

use super::load::Sample;
use super::{Peer, Unit};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// A number that was found in some rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Spread {
    /// The spread of these numbers.
    pub(super) fn new(numbers: impl Iterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        Self {
            least: quantile(&numbers, 0.0),
            median: quantile(&numbers, 0.5),
            most: quantile(&numbers, 1.0),
        }
    }
}

/// One figure: a peer under so many clients.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    peer: Peer,
    unit: Unit,
    clients: usize,
    /// Units that ended in a second.
    per_second: f64,
    p50: Duration,
    p99: Duration,
    /// CPU time of the server for a unit.
    server_cpu: Duration,
    /// CPU time of the load generator, in cores.
    load_cores: f64,
    /// Refused locks for a granted one.
    refusals: f64,
}

impl Row {
    /// Reduces a sample to its figures.
    pub(crate) fn new(peer: Peer, unit: Unit, clients: usize, sample: &Sample) -> Self {
        // Counts are far below 2^52, where a float is exact.
        let (count, seconds) = (sample.latencies.len() as f64, sample.elapsed.as_secs_f64());
        Self {
            peer,
            unit,
            clients,
            per_second: count / seconds,
            p50: Duration::from_nanos(quantile(&sample.latencies, 0.50)),
            p99: Duration::from_nanos(quantile(&sample.latencies, 0.99)),
            server_cpu: sample.server_cpu.div_f64(count),
            load_cores: sample.load_cpu.as_secs_f64() / seconds,
            refusals: sample.refusals as f64 / count,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "peer": self.peer.name(),
            "unit": self.unit.name(),
            "clients": self.clients,
            "perSecond": self.per_second.round(),
            "p50Micros": micros(self.p50),
            "p99Micros": micros(self.p99),
            "serverCpuMicros": micros(self.server_cpu),
            "loadCores": (self.load_cores * 100.0).round() / 100.0,
            "refusalsPerUnit": (self.refusals * 100.0).round() / 100.0,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>7}  {:<15} {:<10} {:>10.0} {:>9.2} {:>9.2} {:>8.1} {:>8.0}%",
            self.clients,
            self.peer.name(),
            self.unit.name(),
            self.per_second,
            self.p50.as_secs_f64() * 1e3,
            self.p99.as_secs_f64() * 1e3,
            self.server_cpu.as_secs_f64() * 1e6,
            self.load_cores * 100.0,
        )?;
        if self.refusals > 0.0 { write!(formatter, "  {:.1} refusals", self.refusals) } else { Ok(()) }
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::EmptyCall => "empty call",
        }
    }
}

/// All figures of a run.
#[derive(Debug)]
pub(crate) struct Report {
    sync: Vec<Duration>,
    contended: bool,
    rows: Vec<Row>,
}

impl Report {
    /// Starts a report and says what the machine is; the syncs are sorted.
    pub(crate) fn new(sync: Vec<Duration>, contended: bool) -> Self {
        let report = Self { sync, contended, rows: Vec::new() };
        let (p50, p99) = report.sync_latency();
        println!("{}, {} cores; a synced write takes {p50:.0?} (p99 {p99:.0?})", processor(), cores());
        println!(
            "{}",
            if contended { "all clients fight for one mutex" } else { "every client has its own mutex" }
        );
        println!("\n{HEADER}");
        report
    }

    /// Prints a figure and keeps it.
    pub(crate) fn push(&mut self, row: Row) {
        println!("{row}");
        self.rows.push(row);
    }

    /// Prints how the figures compare.
    pub(crate) fn print_ratios(&self) {
        let ratios = self.ratios();
        if !ratios.is_empty() {
            println!("\nclients  compared                        pairs/s      p99  server CPU");
        }
        for Ratio { clients, of, to, pairs, p99, cpu } in ratios {
            let names = format!("{} / {}", of.name(), to.name());
            println!("{clients:>7}  {names:<30} {pairs:>7.2}x {p99:>7.2}x {cpu:>10.2}x");
        }
    }

    /// The same for programs.
    pub(crate) fn to_json(&self) -> String {
        let (p50, p99) = self.sync_latency();
        let report = json!({
            "processor": processor(),
            "cores": cores(),
            "contended": self.contended,
            "syncedWriteMicros": {"p50": micros(p50), "p99": micros(p99)},
            "figures": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "ratios": self.ratios().iter().map(Ratio::to_json).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }

    fn sync_latency(&self) -> (Duration, Duration) {
        (quantile(&self.sync, 0.50), quantile(&self.sync, 0.99))
    }

    /// Every Hiroba against every other peer, and the one whose calls are recorded against the one whose are not, at the same
    /// number of clients.
    fn ratios(&self) -> Vec<Ratio> {
        let pairs = || self.rows.iter().filter(|row| row.unit == Unit::Pair);
        let ours = pairs().filter(|row| row.peer.is_hiroba());
        ours.flat_map(|row| {
            let compared =
                |of: Peer, to: Peer| !to.is_hiroba() || (of, to) == (Peer::HirobaLogged, Peer::Hiroba);
            let others =
                pairs().filter(move |other| other.clients == row.clients && compared(row.peer, other.peer));
            others.map(move |other| Ratio::new(row, other))
        })
        .collect()
    }
}

const HEADER: &str = "clients  peer            unit              1/s    p50 ms    p99 ms  CPU µs  load CPU";

/// How one peer compares to another.
#[derive(Debug)]
struct Ratio {
    clients: usize,
    of: Peer,
    to: Peer,
    pairs: f64,
    p99: f64,
    cpu: f64,
}

impl Ratio {
    fn new(of: &Row, to: &Row) -> Self {
        Self {
            clients: of.clients,
            of: of.peer,
            to: to.peer,
            pairs: of.per_second / to.per_second,
            p99: of.p99.div_duration_f64(to.p99),
            cpu: of.server_cpu.div_duration_f64(to.server_cpu),
        }
    }

    fn to_json(&self) -> Value {
        let round = |ratio: f64| (ratio * 100.0).round() / 100.0;
        json!({
            "clients": self.clients,
            "of": self.of.name(),
            "to": self.to.name(),
            "pairs": round(self.pairs),
            "p99": round(self.p99),
            "serverCpu": round(self.cpu),
        })
    }
}

/// The value below which that share of sorted values lies, by nearest rank.
pub(super) fn quantile<T: Copy + Default>(sorted: &[T], share: f64) -> T {
    // The rank is within the length, so neither cast loses anything.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Microseconds with one decimal.
pub(super) fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

/// Cores of this machine.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the processor calls itself.
pub(super) fn processor() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: Peer, milliseconds: u64) -> Row {
        let latencies = (1..=100).map(|number| number * milliseconds * 10_000).collect();
        let (elapsed, cpu) = (Duration::from_secs(2), Duration::from_millis(milliseconds));
        let sample = Sample { elapsed, latencies, refusals: 50, server_cpu: cpu, load_cpu: elapsed / 4 };
        Row::new(peer, Unit::Pair, 4, &sample)
    }

    #[test]
    fn a_sample_is_reduced_to_its_figures() {
        let json = row(Peer::Hiroba, 1).to_json();
        assert_eq!(json["perSecond"], 50.0);
        assert_eq!(json["p50Micros"], 500.0);
        assert_eq!(json["p99Micros"], 990.0);
        assert_eq!(json["serverCpuMicros"], 10.0);
        assert_eq!(json["loadCores"], 0.25);
        assert_eq!(json["refusalsPerUnit"], 0.5);
    }

    #[test]
    fn hiroba_is_compared_to_every_peer() {
        let mut report = Report::new(vec![Duration::from_micros(100)], false);
        [row(Peer::Hiroba, 1), row(Peer::HirobaPostgres, 2), row(Peer::Etcd, 4)]
            .into_iter()
            .for_each(|row| report.push(row));
        let ratios = report.ratios();
        assert_eq!(
            ratios.iter().map(|ratio| (ratio.of, ratio.cpu)).collect::<Vec<_>>(),
            [(Peer::Hiroba, 0.25), (Peer::HirobaPostgres, 0.5),]
        );
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        assert_eq!(quantile(&[1, 2, 3, 4], 0.5), 2);
        assert_eq!(quantile(&[1, 2, 3, 4], 0.99), 4);
        assert_eq!(quantile::<u64>(&[], 0.5), 0);
    }
}
