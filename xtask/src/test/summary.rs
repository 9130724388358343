//! The parts of a test run and the table at its end.

use super::counts::Counts;
use anyhow::Result;
use std::time::{Duration, Instant};

/// Everything that ran so far.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    counts: Counts,
    took: Duration,
}

impl Summary {
    /// Runs a part and remembers what became of it; a fault that is no failed test counts as one.
    pub(crate) fn part(&mut self, name: &str, run: impl FnOnce() -> Result<Counts>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let counts = run().unwrap_or_else(|error| {
            println!("error: {error:#}");
            Counts { passed: 0, failed: 1 }
        });
        self.parts.push(Part { name: name.to_owned(), counts, took: start.elapsed() });
    }

    /// Whether any part failed.
    pub(crate) fn failed(&self) -> bool {
        self.parts.iter().any(|part| part.counts.failed > 0)
    }

    /// Prints the table and, as the last line, the sums.
    pub(crate) fn print(&self) {
        println!("\n{:<18} {:<6} {:>8} {:>8} {:>9}", "part", "result", "passed", "failed", "seconds");
        for Part { name, counts, took } in &self.parts {
            let result = if counts.failed > 0 { "FAIL" } else { "pass" };
            let seconds = took.as_secs_f64();
            println!("{name:<18} {result:<6} {:>8} {:>8} {seconds:>9.1}", counts.passed, counts.failed);
        }
        let sum = |count: fn(&Counts) -> u64| self.parts.iter().map(|part| count(&part.counts)).sum::<u64>();
        println!("\n{} passed, {} failed", sum(|counts| counts.passed), sum(|counts| counts.failed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_failed_part_and_later_parts_still_run() {
        let mut summary = Summary::default();
        summary.part("first", || anyhow::bail!("no disk"));
        summary.part("second", || Ok(Counts { passed: 2, failed: 0 }));
        assert!(summary.failed());
        assert_eq!(summary.parts[1].counts.passed, 2);
    }
}
