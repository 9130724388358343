//! The figures of `bench jobs` as a table for people and as JSON for programs.

use super::{Measure, Peer, Sample};
use crate::bench::report::{Spread, cores, micros, processor, quantile};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

const PROGRESS_HEADER: &str =
    "measure            peer                 jobs    jobs/s   p50 ms   p99 ms   CPU µs  load CPU";
const HEADER: &str =
    "measure            peer               jobs/s     least      most   p50 ms   p99 ms   CPU µs  load CPU";
const RATIO_HEADER: &str =
    "measure            compared                         jobs/s      p50      p99  server CPU";

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency => formatter.pad("latency"),
            Self::Drain(shape) => formatter.pad(&format!("drain {} x {}", shape.players, shape.each)),
            Self::Enqueue(batch) => formatter.pad(&format!("enqueue {batch} a push")),
        }
    }
}

/// All samples of a run.
#[derive(Debug)]
pub(super) struct Report {
    /// Jobs in a second while the latency is measured.
    rate: u32,
    samples: Vec<(Peer, Measure, Sample)>,
}

impl Report {
    /// Starts a report.
    pub(super) fn new(rate: u32) -> Self {
        println!("\n{PROGRESS_HEADER}");
        Self { rate, samples: Vec::new() }
    }

    /// Prints what was measured once, and keeps it.
    pub(super) fn push(&mut self, peer: Peer, measure: Measure, sample: Sample) {
        let row = Row::new(peer, measure, &[&sample]);
        println!(
            "{measure:<18} {:<15} {:>9} {:>9.0} {}",
            peer.name(),
            sample.jobs,
            row.per_second.median,
            row.rest()
        );
        self.samples.push((peer, measure, sample));
    }

    /// Prints the figures of all rounds, and how they compare.
    pub(super) fn print(&self) {
        println!(
            "\nmedian, least and most of the rounds; latencies of all rounds at {} jobs a second",
            self.rate
        );
        println!("{HEADER}");
        for row in self.rows() {
            println!(
                "{:<18} {:<15} {:>9.0} {:>9.0} {:>9.0} {}",
                row.measure,
                row.peer.name(),
                row.per_second.median,
                row.per_second.least,
                row.per_second.most,
                row.rest()
            );
        }
        let ratios = self.ratios();
        if !ratios.is_empty() {
            println!("\n{RATIO_HEADER}");
        }
        for ratio in ratios {
            let names = format!("{} / {}", ratio.of.name(), ratio.to.name());
            println!(
                "{:<18} {names:<28} {} {} {} {}",
                ratio.measure,
                cell(10, 2, "x", ratio.per_second),
                cell(8, 2, "x", ratio.p50),
                cell(8, 2, "x", ratio.p99),
                cell(11, 2, "x", Some(ratio.server_cpu)),
            );
        }
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> String {
        let report = json!({
            "processor": processor(),
            "cores": cores(),
            "latencyRate": self.rate,
            "figures": self.rows().iter().map(Row::to_json).collect::<Vec<_>>(),
            "ratios": self.ratios().iter().map(Ratio::to_json).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }

    /// The rounds of each peer and measure, in the order of the first one.
    fn rows(&self) -> Vec<Row> {
        let mut keys: Vec<(Peer, Measure)> = Vec::new();
        for (peer, measure, _) in &self.samples {
            if !keys.contains(&(*peer, *measure)) {
                keys.push((*peer, *measure));
            }
        }
        let samples = |key: (Peer, Measure)| {
            let same = self.samples.iter().filter(move |(peer, measure, _)| (*peer, *measure) == key);
            same.map(|(_, _, sample)| sample).collect::<Vec<_>>()
        };
        keys.into_iter().map(|key| Row::new(key.0, key.1, &samples(key))).collect()
    }

    /// Every Hiroba against every other peer, in the same measure.
    fn ratios(&self) -> Vec<Ratio> {
        let rows = self.rows();
        let ours = rows.iter().filter(|row| row.peer.is_hiroba());
        ours.flat_map(|row| {
            let same = move |other: &&Row| other.measure == row.measure && !other.peer.is_hiroba();
            rows.iter().filter(same).map(move |other| Ratio::new(row, other))
        })
        .collect()
    }
}

/// One figure of a peer.
#[derive(Debug, Clone)]
struct Row {
    peer: Peer,
    measure: Measure,
    per_second: Spread,
    p50: Option<Duration>,
    p99: Option<Duration>,
    /// CPU time of the server for a job.
    server_cpu: Duration,
    /// CPU time of those who push, in cores.
    load_cores: f64,
}

impl Row {
    /// Reduces what the rounds found.
    fn new(peer: Peer, measure: Measure, samples: &[&Sample]) -> Self {
        let mut latencies: Vec<u64> =
            samples.iter().flat_map(|sample| sample.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let latency =
            |share| (!latencies.is_empty()).then(|| Duration::from_nanos(quantile(&latencies, share)));
        let seconds: f64 = samples.iter().map(|sample| sample.elapsed.as_secs_f64()).sum();
        // Counts are far below 2^52, where a float is exact.
        let jobs = samples.iter().map(|sample| sample.jobs).sum::<u64>().max(1) as f64;
        let load: f64 = samples.iter().map(|sample| sample.load_cpu.as_secs_f64()).sum();
        Self {
            peer,
            measure,
            per_second: Spread::new(
                samples.iter().map(|sample| sample.jobs as f64 / sample.elapsed.as_secs_f64()),
            ),
            p50: latency(0.50),
            p99: latency(0.99),
            server_cpu: samples.iter().map(|sample| sample.server_cpu).sum::<Duration>().div_f64(jobs),
            load_cores: load / seconds,
        }
    }

    /// The columns that are the same for a round and for all of them.
    fn rest(&self) -> String {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        format!(
            "{} {} {} {}",
            cell(8, 2, "", self.p50.map(milliseconds)),
            cell(8, 2, "", self.p99.map(milliseconds)),
            cell(8, 1, "", Some(self.server_cpu.as_secs_f64() * 1e6)),
            cell(9, 0, "%", Some(self.load_cores * 100.0)),
        )
    }

    fn to_json(&self) -> Value {
        json!({
            "peer": self.peer.name(),
            "measure": self.measure.to_string(),
            "perSecond": self.per_second.median.round(),
            "perSecondLeast": self.per_second.least.round(),
            "perSecondMost": self.per_second.most.round(),
            "p50Micros": self.p50.map(micros),
            "p99Micros": self.p99.map(micros),
            "serverCpuMicros": micros(self.server_cpu),
            "loadCores": hundredths(self.load_cores),
        })
    }
}

/// How one peer compares to another.
#[derive(Debug)]
struct Ratio {
    measure: Measure,
    of: Peer,
    to: Peer,
    per_second: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
    server_cpu: f64,
}

impl Ratio {
    fn new(of: &Row, to: &Row) -> Self {
        let time = |of: Option<Duration>, to: Option<Duration>| Some(of?.div_duration_f64(to?));
        Self {
            measure: of.measure,
            of: of.peer,
            to: to.peer,
            // The rate of the measure of latency is given, not found.
            per_second: (of.measure != Measure::Latency).then(|| of.per_second.median / to.per_second.median),
            p50: time(of.p50, to.p50),
            p99: time(of.p99, to.p99),
            server_cpu: of.server_cpu.div_duration_f64(to.server_cpu),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "measure": self.measure.to_string(),
            "of": self.of.name(),
            "to": self.to.name(),
            "perSecond": self.per_second.map(hundredths),
            "p50": self.p50.map(hundredths),
            "p99": self.p99.map(hundredths),
            "serverCpu": hundredths(self.server_cpu),
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

    fn sample(jobs: u64) -> Sample {
        Sample {
            elapsed: Duration::from_secs(2),
            jobs,
            latencies: vec![1_000_000, jobs * 10_000],
            server_cpu: Duration::from_millis(jobs),
            load_cpu: Duration::from_secs(1),
        }
    }

    #[test]
    fn rounds_are_reduced_to_one_figure() {
        let mut report = Report::new(50);
        for jobs in [600, 200, 400] {
            report.push(Peer::Hiroba, Measure::Enqueue(1), sample(jobs));
        }
        let rows = report.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].per_second, Spread { least: 100.0, median: 200.0, most: 300.0 });
        assert_eq!(rows[0].p99, Some(Duration::from_millis(6)));
        assert_eq!(rows[0].to_json()["serverCpuMicros"], 1000.0);
        assert_eq!(rows[0].to_json()["loadCores"], 0.5);
    }

    #[test]
    fn only_equal_measures_are_compared() {
        let mut report = Report::new(50);
        report.push(Peer::Hiroba, Measure::Enqueue(1), sample(400));
        report.push(Peer::Bullmq, Measure::Enqueue(1), sample(200));
        report.push(Peer::Pgboss, Measure::Enqueue(10), sample(200));
        report.push(Peer::Hiroba, Measure::Latency, sample(400));
        report.push(Peer::Bullmq, Measure::Latency, sample(200));
        let found: Vec<_> = report.ratios().iter().map(|ratio| (ratio.to, ratio.per_second)).collect();
        assert_eq!(found, [(Peer::Bullmq, Some(2.0)), (Peer::Bullmq, None)]);
    }
}
