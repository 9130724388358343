//! The log of an import, which its caller reads.

use std::fmt::Write;

/// Lines about single entries; further ones are counted only.
const DETAILS_MAX: usize = 10_000;

/// What an import says of itself.
#[derive(Debug, Default)]
pub(super) struct Log {
    text: String,
    details: usize,
    more: u64,
}

impl Log {
    /// A line.
    pub(super) fn line(&mut self, line: &str) {
        // A text takes whatever is written to it.
        let _ = writeln!(self.text, "{}", line.replace(|letter: char| letter.is_control(), " "));
    }

    /// A line about one entry.
    pub(super) fn detail(&mut self, file: &str, number: u64, what: &str) {
        if self.details < DETAILS_MAX {
            self.details += 1;
            self.line(&format!("{file} line {number}: {what}"));
        } else {
            self.more += 1;
        }
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        if self.more > 0 {
            let more = self.more;
            self.line(&format!("… and {more} more lines of this kind"));
        }
        self.text
    }
}
