//! A virtual machine that runs one script after the other.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use crate::{Failure, Limits, Outcome, Run, state::Stop};

mod machine;

use machine::Machine;

/// Runs scripts, one after the other, each in a world of its own. It is one virtual machine and stays on its thread,
/// whose stack must have 2 MiB: scripts may recurse through functions of the library some two hundred times.
pub struct Sandbox {
    limits: Limits,
    /// `None` before the first run, and after a run that may have left the machine odd.
    machine: Option<Machine>,
}

impl Sandbox {
    /// A sandbox whose runs have these limits. The machine is made at the first run.
    pub fn new(limits: Limits) -> Sandbox {
        Sandbox { limits: limits.kept(), machine: None }
    }

    /// Runs a script to its end. It never panics; whatever happens is an outcome.
    ///
    /// Calls whose answers the script did not take are waited for, also when it failed.
    #[expect(clippy::needless_pass_by_value, reason = "a run happens once, and its host goes with it")]
    pub fn run(&mut self, run: Run) -> Outcome {
        let start = Instant::now();
        let machine = match self.machine.take() {
            Some(machine) => Ok(machine),
            None => Machine::new(self.limits),
        };
        let Ok(mut machine) = machine else { return internal(&run, start) };
        let ended = catch_unwind(AssertUnwindSafe(|| machine.run(&run, start)));
        let ended = ended.unwrap_or_else(|_| Err(Stop { failure: internal_failure(&run), spoils: true }));
        let finished = catch_unwind(AssertUnwindSafe(|| machine.finish(&run, ended, start)));
        let (outcome, keep) = finished.unwrap_or_else(|_| (internal(&run, start), false));
        if keep {
            self.machine = Some(machine);
        } else {
            // A machine that a panic went through may panic once more.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(machine)));
        }
        outcome
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The failure of a run that came to an end that is nobody's doing but ours.
fn internal_failure(run: &Run) -> Failure {
    Failure::new(500, format!("{}: the script could not be run to its end", run.script.name()))
}

/// The outcome of a run of which nothing else is known.
fn internal(run: &Run, start: Instant) -> Outcome {
    let failure = internal_failure(run);
    Outcome {
        status: failure.status,
        result: failure.result(),
        output: Vec::new(),
        random: run.random.clone(),
        transaction: None,
        elapsed: start.elapsed(),
    }
}
