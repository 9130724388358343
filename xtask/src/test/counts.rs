//! How many tests passed and failed, read from what the runners print.

/// Tests of one part.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, and faults that are no test, such as a server that did not stop cleanly.
    pub(crate) failed: u64,
}

impl Counts {
    /// Reads a line of `cargo test`, which ends every binary with `test result: ok. 3 passed; 0 failed; …`.
    pub(crate) fn read_cargo(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, "passed");
            self.failed += number_before(result, "failed");
        }
    }

    /// Reads a line of pytest, whose last one is `== 1 failed, 2 passed in 0.12s ==`.
    pub(crate) fn read_pytest(&mut self, line: &str) {
        let line = line.trim_matches(['=', ' ']);
        if line.contains(" in ") && line.ends_with(['s', ')']) && starts_with_count(line) {
            self.passed = number_before(line, "passed");
            self.failed = number_before(line, "failed")
                + number_before(line, "error").max(number_before(line, "errors"));
        }
    }

    /// Reads a line of node's test runner: `# pass 3` or, from its other reporter, `ℹ pass 3`.
    pub(crate) fn read_node(&mut self, line: &str) {
        let Some(line) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) else { return };
        match line.split_once(' ') {
            Some(("pass", count)) => self.passed += count.trim().parse().unwrap_or(0),
            Some(("fail" | "cancelled", count)) => self.failed += count.trim().parse().unwrap_or(0),
            _ => {}
        }
    }

    /// Makes the counts agree with the exit code: a runner may fail without a failed test, or print no count.
    pub(crate) fn with_outcome(mut self, ok: bool) -> Self {
        match ok {
            true if self == Self::default() => self.passed = 1,
            false => self.failed = self.failed.max(1),
            true => {}
        }
        self
    }
}

fn starts_with_count(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_digit())
}

/// The number in front of a word: 3 in `3 passed; 0 failed`.
fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
    words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&mut Counts, &str), text: &str, passed: u64, failed: u64) {
        let mut counts = Counts::default();
        text.lines().for_each(|line| read(&mut counts, line));
        assert_eq!(counts, Counts { passed, failed }, "{text}");
    }

    #[test]
    fn cargo_counts_are_summed_over_binaries() {
        let line =
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let failed = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        check(Counts::read_cargo, &format!("running 3 tests\n{line}\n{failed}"), 4, 2);
    }

    #[test]
    fn pytest_counts_come_from_the_last_line() {
        check(Counts::read_pytest, "===== 1 failed, 12 passed, 2 warnings in 3.05s =====", 12, 1);
        check(Counts::read_pytest, "12 passed in 75.01s (0:01:15)", 12, 0);
        check(Counts::read_pytest, "2 passed, 1 error in 0.10s", 2, 1);
        check(Counts::read_pytest, "1 failed, 3 errors in 0.10s", 0, 4);
        check(Counts::read_pytest, "tests/test_lock.py ....... in progress", 0, 0);
    }

    #[test]
    fn node_counts_are_read_from_both_reporters() {
        check(Counts::read_node, "# tests 5\n# pass 3\n# fail 1\n# cancelled 1", 3, 2);
        check(Counts::read_node, "ℹ pass 3\nℹ fail 0", 3, 0);
    }

    #[test]
    fn the_exit_code_has_the_last_word() {
        let check = |counts: Counts, ok, passed, failed| {
            assert_eq!(counts.with_outcome(ok), Counts { passed, failed });
        };
        check(Counts::default(), true, 1, 0);
        check(Counts::default(), false, 0, 1);
        check(Counts { passed: 4, failed: 0 }, false, 4, 1);
        check(Counts { passed: 4, failed: 2 }, false, 4, 2);
    }
}
