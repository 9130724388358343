//! The parts of a test run and the table at its end.

use super::counts::Counts;
use anyhow::Result;
use std::sync::mpsc::{Sender, channel};
use std::thread;
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

/// What a part prints. Parts that run at once are shown one after the other.
#[derive(Debug)]
pub(crate) struct Output(Sender<String>);

impl Output {
    /// Prints a line.
    pub(crate) fn line(&self, line: impl Into<String>) {
        // Lines are taken until every part has ended.
        let _ = self.0.send(line.into());
    }
}

/// A part's name and its work.
pub(crate) type Work<'a> = (String, Box<dyn FnOnce(&Output) -> Result<Counts> + Send + 'a>);

impl Summary {
    /// Runs parts, all at once, and remembers what became of them; a fault that is no failed test counts as one.
    pub(crate) fn parts(&mut self, parts: Vec<Work<'_>>) {
        thread::scope(|scope| {
            let mut running = Vec::new();
            for (name, work) in parts {
                let (sender, lines) = channel();
                let part = scope.spawn(move || {
                    let (start, output) = (Instant::now(), Output(sender));
                    let counts = work(&output).unwrap_or_else(|error| {
                        output.line(format!("error: {error:#}"));
                        Counts { passed: 0, failed: 1 }
                    });
                    (counts, start.elapsed())
                });
                running.push((name, lines, part));
            }
            for (name, lines, part) in running {
                println!("\n=== {name}");
                lines.iter().for_each(|line| println!("{line}"));
                let panicked = (Counts { passed: 0, failed: 1 }, Duration::ZERO);
                let (counts, took) = part.join().unwrap_or(panicked);
                self.parts.push(Part { name, counts, took });
            }
        });
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
        summary.parts(vec![("first".to_owned(), Box::new(|_| anyhow::bail!("no disk")))]);
        summary.parts(vec![("second".to_owned(), Box::new(|_| Ok(Counts { passed: 2, failed: 0 })))]);
        assert!(summary.failed());
        assert_eq!(summary.parts[1].counts.passed, 2);
    }

    #[test]
    fn parts_run_at_once_and_keep_their_order() {
        let (sender, receiver) = channel();
        let mut summary = Summary::default();
        summary.parts(vec![
            (
                "first".to_owned(),
                Box::new(move |output| {
                    // Said by the part behind it.
                    output.line(receiver.recv_timeout(Duration::from_secs(20))?);
                    Ok(Counts { passed: 1, failed: 0 })
                }),
            ),
            (
                "second".to_owned(),
                Box::new(move |_| {
                    sender.send("done")?;
                    Ok(Counts { passed: 2, failed: 0 })
                }),
            ),
        ]);
        assert!(!summary.failed());
        let passed: Vec<u64> = summary.parts.iter().map(|part| part.counts.passed).collect();
        assert_eq!(passed, [1, 2]);
    }
}
