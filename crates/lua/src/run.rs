//! One run of a script: what goes in and what comes out.

use std::{rc::Rc, sync::Arc, time::Duration};

use crate::{Compiled, Host};

/// One run of a script.
pub struct Run {
    /// The script.
    pub script: Compiled,
    /// The script's `args`: the JSON text of an object.
    pub args: Arc<str>,
    /// Whether texts of digits only stay texts (`disableStringNumberToNumber`); otherwise they become numbers.
    pub keep_digit_texts: bool,
    /// What `os.time()` starts from, in seconds since 1970.
    pub now_seconds: i64,
    /// Draws that are to be repeatable, and how many were made.
    pub random: Option<RandomStatus>,
    /// The seed of draws when `random` is `None`.
    pub seed: u64,
    /// Where the script's calls go.
    pub host: Rc<dyn Host>,
}

/// Draws that are repeatable: the same seed and the same number of earlier draws give the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomStatus {
    /// The seed, from 0 to 4294967294.
    pub seed: i64,
    /// How many draws were made, by category; one entry for each category, in the order of their first draws.
    pub used: Vec<RandomUsed>,
}

/// How many draws of a category were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomUsed {
    /// The category.
    pub category: i64,
    /// The number of draws.
    pub used: i64,
}

/// The actions that a script recorded with `transaction.execute`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    /// What must hold.
    pub verify: Vec<Action>,
    /// What is taken.
    pub consume: Vec<Action>,
    /// What is given.
    pub acquire: Vec<Action>,
}

/// An action of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its name, such as `Gs2SerialKey:UseByUserId`.
    pub action: String,
    /// Its request as JSON text.
    pub request: String,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// 200, or the failure's status. A script may end itself with another status of success (`fail(202)`).
    pub status: u16,
    /// The result as JSON text of a table, or of an array of errors for a failure.
    pub result: String,
    /// What was printed, an entry for each `print`; kept when the run failed.
    pub output: Vec<String>,
    /// The draws, with those of this run. `None` when none was given and nothing was drawn.
    pub random: Option<RandomStatus>,
    /// What the script recorded. `None` when it recorded nothing or failed.
    pub transaction: Option<Transaction>,
    /// How long the run took, waiting for calls included.
    pub elapsed: Duration,
}
