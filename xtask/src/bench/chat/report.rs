//! The figures of `bench chat` as a table for people and as JSON for programs.

use super::{Measure, Sample, Subject};
use crate::bench::report::{Spread, cores, micros, processor, quantile};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

const PROGRESS_HEADER: &str = "measure                     peer                  calls/s deliveries/s   p50 ms   p99 ms   CPU µs  load CPU";
const HEADER: &str = "measure                     peer                  calls/s     least      most deliveries/s   p50 ms   p99 ms   CPU µs  load CPU";
const RATIO_HEADER: &str = "measure                     compared                        calls/s deliveries/s      p50      p99  server CPU";

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Posts { rooms, callers, secret } => {
                let what = if *secret { "secret posts" } else { "posts" };
                formatter.pad(&format!("{what}, {rooms} x {callers}"))
            }
            Self::FirstPosts => formatter.pad("first secret posts"),
            Self::Pages => formatter.pad("pages of 50"),
            Self::Fanout => formatter.pad("1 post to 1,000"),
            Self::Burst => formatter.pad("burst to 1,000"),
        }
    }
}

/// All samples of a run.
#[derive(Debug)]
pub(super) struct Report(Vec<(Subject, Measure, Sample)>);

impl Report {
    /// Starts a report.
    pub(super) fn new() -> Self {
        println!("posts: rooms x callers, 5 subscribers a room; CPU µs is that of the server for a call");
        println!("\n{PROGRESS_HEADER}");
        Self(Vec::new())
    }

    /// Prints what was measured once, and keeps it.
    pub(super) fn push(&mut self, subject: Subject, measure: Measure, sample: Sample) {
        let row = Row::new(subject, measure, &[&sample]);
        println!("{measure:<27} {subject:<18} {:>10.0} {}", row.calls.median, row.rest());
        self.0.push((subject, measure, sample));
    }

    /// Prints the figures of all rounds, and how they compare.
    pub(super) fn print(&self) {
        println!("\nmedian, least and most of the rounds; latencies of all rounds");
        println!("{HEADER}");
        for row in self.rows() {
            println!(
                "{:<27} {:<18} {:>10.0} {:>9.0} {:>9.0} {}",
                row.measure,
                row.subject,
                row.calls.median,
                row.calls.least,
                row.calls.most,
                row.rest()
            );
        }
        let ratios = self.ratios();
        if !ratios.is_empty() {
            println!("\n{RATIO_HEADER}");
        }
        for ratio in ratios {
            println!(
                "{:<27} {:<28} {} {} {} {} {}",
                ratio.measure,
                format!("{} / {}", ratio.of, ratio.to),
                cell(10, 2, "x", ratio.calls),
                cell(12, 2, "x", ratio.deliveries),
                cell(8, 2, "x", Some(ratio.p50)),
                cell(8, 2, "x", Some(ratio.p99)),
                cell(11, 2, "x", Some(ratio.server_cpu)),
            );
        }
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> String {
        let report = json!({
            "processor": processor(),
            "cores": cores(),
            "figures": self.rows().iter().map(Row::to_json).collect::<Vec<_>>(),
            "ratios": self.ratios().iter().map(Ratio::to_json).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }

    /// The rounds of each subject and measure, in the order of the first one.
    fn rows(&self) -> Vec<Row> {
        let mut keys: Vec<(Subject, Measure)> = Vec::new();
        for (subject, measure, _) in &self.0 {
            if !keys.contains(&(*subject, *measure)) {
                keys.push((*subject, *measure));
            }
        }
        let samples = |key: (Subject, Measure)| {
            let same = self.0.iter().filter(move |(subject, measure, _)| (*subject, *measure) == key);
            same.map(|(_, _, sample)| sample).collect::<Vec<_>>()
        };
        keys.into_iter().map(|key| Row::new(key.0, key.1, &samples(key))).collect()
    }

    /// Every Hiroba against every other peer, in the same measure.
    fn ratios(&self) -> Vec<Ratio> {
        let rows = self.rows();
        let ours = rows.iter().filter(|row| row.subject.peer.is_hiroba());
        ours.flat_map(|row| {
            let same = move |other: &&Row| other.measure == row.measure && !other.subject.peer.is_hiroba();
            rows.iter().filter(same).map(move |other| Ratio::new(row, other))
        })
        .collect()
    }
}

/// One figure of a subject.
#[derive(Debug, Clone)]
struct Row {
    subject: Subject,
    measure: Measure,
    /// Calls answered in a second.
    calls: Spread,
    /// Notifications that arrived in a second, where there are any.
    deliveries: Option<f64>,
    p50: Duration,
    p99: Duration,
    /// CPU time of the server for a call.
    server_cpu: Duration,
    /// CPU time of the load generator, in cores.
    load_cores: f64,
}

impl Row {
    /// Reduces what the rounds found.
    fn new(subject: Subject, measure: Measure, samples: &[&Sample]) -> Self {
        let mut latencies: Vec<u64> =
            samples.iter().flat_map(|sample| sample.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let latency = |share| Duration::from_nanos(quantile(&latencies, share));
        // Counts are far below 2^52, where a float is exact.
        let per_second = |count: fn(&Sample) -> u64| {
            Spread::new(samples.iter().map(|sample| count(sample) as f64 / sample.elapsed.as_secs_f64()))
        };
        let calls = samples.iter().map(|sample| sample.calls).sum::<u64>().max(1) as f64;
        let seconds: f64 = samples.iter().map(|sample| sample.elapsed.as_secs_f64()).sum();
        let load: f64 = samples.iter().map(|sample| sample.load_cpu.as_secs_f64()).sum();
        Self {
            subject,
            measure,
            calls: per_second(|sample| sample.calls),
            deliveries: Some(per_second(|sample| sample.deliveries).median).filter(|number| *number > 0.0),
            p50: latency(0.50),
            p99: latency(0.99),
            server_cpu: samples.iter().map(|sample| sample.server_cpu).sum::<Duration>().div_f64(calls),
            load_cores: load / seconds,
        }
    }

    /// The columns that are the same for a round and for all of them.
    fn rest(&self) -> String {
        let milliseconds = |time: Duration| Some(time.as_secs_f64() * 1e3);
        format!(
            "{} {} {} {} {}",
            cell(12, 0, "", self.deliveries),
            cell(8, 2, "", milliseconds(self.p50)),
            cell(8, 2, "", milliseconds(self.p99)),
            cell(8, 1, "", Some(self.server_cpu.as_secs_f64() * 1e6)),
            cell(9, 0, "%", Some(self.load_cores * 100.0)),
        )
    }

    fn to_json(&self) -> Value {
        json!({
            "peer": self.subject.to_string(),
            "measure": self.measure.to_string(),
            "callsPerSecond": self.calls.median.round(),
            "callsPerSecondLeast": self.calls.least.round(),
            "callsPerSecondMost": self.calls.most.round(),
            "deliveriesPerSecond": self.deliveries.map(f64::round),
            "p50Micros": micros(self.p50),
            "p99Micros": micros(self.p99),
            "serverCpuMicros": micros(self.server_cpu),
            "loadCores": hundredths(self.load_cores),
        })
    }
}

/// How one subject compares to another.
#[derive(Debug)]
struct Ratio {
    measure: Measure,
    of: Subject,
    to: Subject,
    calls: Option<f64>,
    deliveries: Option<f64>,
    p50: f64,
    p99: f64,
    server_cpu: f64,
}

impl Ratio {
    fn new(of: &Row, to: &Row) -> Self {
        // There are pauses between the posts of the fan-out.
        let given = of.measure == Measure::Fanout;
        let deliveries = of.deliveries.zip(to.deliveries).map(|(of, to)| of / to);
        Self {
            measure: of.measure,
            of: of.subject,
            to: to.subject,
            calls: (!given).then(|| of.calls.median / to.calls.median),
            deliveries: deliveries.filter(|_| !given),
            p50: of.p50.div_duration_f64(to.p50),
            p99: of.p99.div_duration_f64(to.p99),
            server_cpu: of.server_cpu.div_duration_f64(to.server_cpu),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "measure": self.measure.to_string(),
            "of": self.of.to_string(),
            "to": self.to.to_string(),
            "calls": self.calls.map(hundredths),
            "deliveries": self.deliveries.map(hundredths),
            "p50": hundredths(self.p50),
            "p99": hundredths(self.p99),
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
    use super::super::{Peer, Way};
    use super::*;

    const OURS: Subject = Subject { peer: Peer::Hiroba, way: Way::Socket };
    const THEIRS: Subject = Subject { peer: Peer::Redis, way: Way::Socket };

    fn sample(calls: u64) -> Sample {
        Sample {
            elapsed: Duration::from_secs(2),
            calls,
            deliveries: 5 * calls,
            latencies: vec![1_000_000, calls * 10_000],
            server_cpu: Duration::from_millis(calls),
            load_cpu: Duration::from_secs(1),
        }
    }

    #[test]
    fn rounds_are_reduced_to_one_figure() {
        let mut report = Report::new();
        for calls in [600, 200, 400] {
            report.push(OURS, Measure::Burst, sample(calls));
        }
        let rows = report.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].calls, Spread { least: 100.0, median: 200.0, most: 300.0 });
        assert_eq!((rows[0].deliveries, rows[0].p99), (Some(1000.0), Duration::from_millis(6)));
        assert_eq!(rows[0].to_json()["serverCpuMicros"], 1000.0);
        assert_eq!(rows[0].to_json()["loadCores"], 0.5);
    }

    #[test]
    fn only_equal_measures_are_compared() {
        let mut report = Report::new();
        report.push(OURS, Measure::Burst, sample(400));
        report.push(OURS, Measure::Pages, sample(400));
        report.push(THEIRS, Measure::Burst, sample(200));
        report.push(OURS, Measure::Fanout, sample(400));
        report.push(THEIRS, Measure::Fanout, sample(200));
        let ratios = report.ratios();
        let found: Vec<_> = ratios.iter().map(|ratio| (ratio.measure, ratio.calls)).collect();
        assert_eq!(found, [(Measure::Burst, Some(2.0)), (Measure::Fanout, None)]);
    }
}
