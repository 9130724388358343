//! The limits of a run.

use std::time::Duration;

/// The depth that [`Limits::nesting`] never exceeds, whatever is asked for: the JSON parser stops at 128.
const NESTING_MAX: usize = 100;

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time from the beginning of the run, waiting for calls included. Default 10 s.
    ///
    /// It is looked at in loops, calls and patterns, and after each call of the host. Source that goes straight on,
    /// without a loop or a call, is not interrupted: a hundred thousand statements that each compare or join texts
    /// of megabytes run to their end first.
    pub time: Duration,
    /// The memory of the virtual machine. What the host holds, such as an answer that is under way, is not in it.
    /// Default 128 MiB.
    pub memory_bytes: usize,
    /// The printed text, each line with its end. Default 1 MiB.
    pub output_bytes: usize,
    /// The result as JSON text, and every other JSON text that a script makes. Default 5,242,880.
    pub result_bytes: usize,
    /// The depth of tables that become JSON and of JSON that becomes tables, at most 100. Default 64.
    pub nesting: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            time: Duration::from_secs(10),
            memory_bytes: 128 << 20,
            output_bytes: 1 << 20,
            result_bytes: 5_242_880,
            nesting: 64,
        }
    }
}

impl Limits {
    /// These limits, with none that the code cannot keep.
    pub(crate) fn kept(self) -> Limits {
        Limits { nesting: self.nesting.min(NESTING_MAX), ..self }
    }
}
