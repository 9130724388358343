//! The figures of `bench push` as a table for people and as JSON for programs.

use super::Peer;
use super::crowd::Sample;
use crate::bench::report::{cores, micros, processor, quantile};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Memory of an idle socket.
    Memory,
    /// Time from the call to the arrival.
    Latency,
    /// Pushes to one socket each.
    Single,
    /// Pushes to all sockets; each arrival counts.
    Broadcast,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Latency => "latency",
            Self::Single => "single",
            Self::Broadcast => "broadcast",
        }
    }
}

/// One figure of a peer with so many sockets open.
#[derive(Debug, Clone)]
pub(super) struct Row {
    peer: Peer,
    measure: Measure,
    sockets: usize,
    /// Arrivals in a second.
    per_second: Option<f64>,
    p50: Option<Duration>,
    p99: Option<Duration>,
    /// CPU time of the server for an arrival.
    server_cpu: Option<Duration>,
    /// CPU time of the load generator, in cores.
    load_cores: Option<f64>,
    /// Resident memory of the server for a socket.
    socket_bytes: Option<f64>,
}

impl Row {
    /// Reduces a sample to its figures.
    pub(super) fn new(peer: Peer, measure: Measure, sockets: usize, sample: &Sample) -> Self {
        // Counts are far below 2^52, where a float is exact.
        let (count, seconds) = (sample.pushes as f64, sample.elapsed.as_secs_f64());
        let latency = |share| {
            (measure == Measure::Latency).then(|| Duration::from_nanos(quantile(&sample.latencies, share)))
        };
        Self {
            peer,
            measure,
            sockets,
            per_second: Some(count / seconds),
            p50: latency(0.50),
            p99: latency(0.99),
            server_cpu: Some(sample.server_cpu.div_f64(count)),
            load_cores: Some(sample.load_cpu.as_secs_f64() / seconds),
            socket_bytes: None,
        }
    }

    /// A figure of memory: what the server had before and with so many sockets, in bytes.
    pub(super) fn memory(peer: Peer, sockets: usize, before: u64, after: u64) -> Self {
        Self {
            peer,
            measure: Measure::Memory,
            sockets,
            per_second: None,
            p50: None,
            p99: None,
            server_cpu: None,
            load_cores: None,
            socket_bytes: Some(after.saturating_sub(before) as f64 / sockets as f64),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "peer": self.peer.name(),
            "measure": self.measure.name(),
            "sockets": self.sockets,
            "perSecond": self.per_second.map(f64::round),
            "p50Micros": self.p50.map(micros),
            "p99Micros": self.p99.map(micros),
            "serverCpuMicros": self.server_cpu.map(micros),
            "loadCores": self.load_cores.map(hundredths),
            "bytesPerSocket": self.socket_bytes.map(f64::round),
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            formatter,
            "{:<9} {:>7}  {:<15} {} {} {} {} {} {}",
            self.measure.name(),
            self.sockets,
            self.peer.name(),
            cell(10, 0, "", self.per_second),
            cell(8, 2, "", self.p50.map(milliseconds)),
            cell(8, 2, "", self.p99.map(milliseconds)),
            cell(8, 1, "", self.server_cpu.map(|time| time.as_secs_f64() * 1e6)),
            cell(9, 0, "%", self.load_cores.map(|cores| cores * 100.0)),
            cell(10, 1, "", self.socket_bytes.map(|bytes| bytes / 1024.0)),
        )
    }
}

const HEADER: &str =
    "measure   sockets  peer                   1/s   p50 ms   p99 ms   CPU µs  load CPU KiB/socket";
const RATIO_HEADER: &str =
    "measure   sockets  compared                          1/s      p50      p99  server CPU   memory";

/// All figures of a run.
#[derive(Debug)]
pub(super) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Starts a report and says what the machine is.
    pub(super) fn new() -> Self {
        println!("{}, {} cores", processor(), cores());
        println!("\n{HEADER}");
        Self { rows: Vec::new() }
    }

    /// Prints a figure and keeps it.
    pub(super) fn push(&mut self, row: Row) {
        println!("{row}");
        self.rows.push(row);
    }

    /// Prints how the figures compare.
    pub(super) fn print_ratios(&self) {
        let ratios = self.ratios();
        if !ratios.is_empty() {
            println!("\n{RATIO_HEADER}");
        }
        for ratio in ratios {
            let names = format!("{} / {}", ratio.of.name(), ratio.to.name());
            println!(
                "{:<9} {:>7}  {names:<28} {} {} {} {} {}",
                ratio.measure.name(),
                ratio.sockets,
                cell(8, 2, "x", ratio.per_second),
                cell(8, 2, "x", ratio.p50),
                cell(8, 2, "x", ratio.p99),
                cell(11, 2, "x", ratio.server_cpu),
                cell(8, 2, "x", ratio.memory),
            );
        }
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> String {
        let report = json!({
            "processor": processor(),
            "cores": cores(),
            "figures": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "ratios": self.ratios().iter().map(Ratio::to_json).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }

    /// Every Hiroba against every other peer, in the same measure.
    fn ratios(&self) -> Vec<Ratio> {
        let ours = self.rows.iter().filter(|row| row.peer.is_hiroba());
        ours.flat_map(|row| {
            let same = move |other: &&Row| {
                (other.measure, other.sockets) == (row.measure, row.sockets) && !other.peer.is_hiroba()
            };
            self.rows.iter().filter(same).map(move |other| Ratio::new(row, other))
        })
        .collect()
    }
}

/// How one peer compares to another.
#[derive(Debug)]
struct Ratio {
    measure: Measure,
    sockets: usize,
    of: Peer,
    to: Peer,
    per_second: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
    server_cpu: Option<f64>,
    memory: Option<f64>,
}

impl Ratio {
    fn new(of: &Row, to: &Row) -> Self {
        let number = |of: Option<f64>, to: Option<f64>| Some(of? / to?);
        let time = |of: Option<Duration>, to: Option<Duration>| Some(of?.div_duration_f64(to?));
        // The rate of the measure of latency is given, not found.
        let per_second = number(of.per_second, to.per_second).filter(|_| of.measure != Measure::Latency);
        Self {
            measure: of.measure,
            sockets: of.sockets,
            of: of.peer,
            to: to.peer,
            per_second,
            p50: time(of.p50, to.p50),
            p99: time(of.p99, to.p99),
            server_cpu: time(of.server_cpu, to.server_cpu),
            memory: number(of.socket_bytes, to.socket_bytes),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "measure": self.measure.name(),
            "sockets": self.sockets,
            "of": self.of.name(),
            "to": self.to.name(),
            "perSecond": self.per_second.map(hundredths),
            "p50": self.p50.map(hundredths),
            "p99": self.p99.map(hundredths),
            "serverCpu": self.server_cpu.map(hundredths),
            "memory": self.memory.map(hundredths),
        })
    }
}

/// A number for a column of that width, with so many decimals and its unit; blank when there is none.
fn cell(width: usize, decimals: usize, unit: &str, number: Option<f64>) -> String {
    let text = number.map(|number| format!("{number:.decimals$}{unit}")).unwrap_or_default();
    format!("{text:>width$}")
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pushes: u64) -> Sample {
        let elapsed = Duration::from_secs(2);
        let latencies = (1..=100).map(|number| number * 10_000).collect();
        let server_cpu = Duration::from_millis(1);
        Sample { elapsed, pushes, latencies, server_cpu, load_cpu: elapsed / 4 }
    }

    #[test]
    fn a_sample_is_reduced_to_its_figures() {
        let json = Row::new(Peer::Hiroba, Measure::Latency, 1000, &sample(100)).to_json();
        assert_eq!(json["perSecond"], 50.0);
        assert_eq!(json["p50Micros"], 500.0);
        assert_eq!(json["p99Micros"], 990.0);
        assert_eq!(json["serverCpuMicros"], 10.0);
        assert_eq!(json["loadCores"], 0.25);
        assert_eq!(json["bytesPerSocket"], Value::Null);
    }

    #[test]
    fn only_equal_measures_are_compared() {
        let mut report = Report::new();
        report.push(Row::memory(Peer::Hiroba, 10, 1000, 11_000));
        report.push(Row::memory(Peer::Nats, 10, 1000, 41_000));
        report.push(Row::new(Peer::Hiroba, Measure::Single, 10, &sample(200)));
        report.push(Row::new(Peer::Socketio, Measure::Single, 10, &sample(100)));
        report.push(Row::new(Peer::Socketio, Measure::Single, 20, &sample(100)));
        let ratios = report.ratios();
        let found: Vec<_> = ratios.iter().map(|ratio| (ratio.to, ratio.per_second, ratio.memory)).collect();
        assert_eq!(found, [(Peer::Nats, None, Some(0.25)), (Peer::Socketio, Some(2.0), None)]);
    }
}
