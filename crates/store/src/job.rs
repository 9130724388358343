//! A caller's closure with its result, behind one type for the queue.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::{error::StoreError, tx::Tx};

/// A transaction on its way through the store.
pub(crate) trait Job: Send {
    /// Runs the closure and keeps its result; may be called again when the attempt was rolled back.
    ///
    fn run(&mut self, tx: &mut Tx<'_>) -> Ran;

    /// Replaces the result.
    fn fail(&mut self, error: StoreError);

    /// Sends the result to the caller. Nobody hears it when the caller has gone.
    fn answer(self: Box<Self>);
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    /// The closure succeeded: what it wrote is to be committed.
    Keep,
    /// The closure succeeded, but what it wrote is to be rolled back: a dry run.
    Tried,
    /// The closure failed: what it wrote is to be rolled back.
    Failed,
    /// As `Failed`, and the closure must not run again.
    Panicked,
}

impl Ran {
    /// Whether the closure answered `Ok`, which does not hold when a statement had failed.
    pub(crate) fn succeeded(self) -> bool {
        matches!(self, Self::Keep | Self::Tried)
    }
}

/// Whether a successful closure is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Keep,
    Discard,
}

struct Call<T, E, F> {
    closure: F,
    outcome: Outcome,
    result: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

/// Makes a job of a closure, and the end where its result arrives.
///
/// The sender is dropped unanswered only when the job never ran.
pub(crate) fn pair<T, E, F>(closure: F, outcome: Outcome) -> (Box<dyn Job>, oneshot::Receiver<Result<T, E>>)
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (caller, answer) = oneshot::channel();
    (Box::new(Call { closure, outcome, result: None, caller }), answer)
}

impl<T, E, F> Job for Call<T, E, F>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Ran {
        // The closure's captured state may be torn by a panic, but it is not run again after one, and the
        // transaction is rolled back.
        let result = catch_unwind(AssertUnwindSafe(|| (self.closure)(tx)));
        let ran = match (&result, self.outcome) {
            (Ok(Ok(_)), Outcome::Keep) => Ran::Keep,
            (Ok(Ok(_)), Outcome::Discard) => Ran::Tried,
            (Ok(Err(_)), _) => Ran::Failed,
            (Err(_), _) => Ran::Panicked,
        };
        self.result = Some(result.unwrap_or_else(|_panic| Err(E::from(StoreError::Panicked))));
        ran
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(E::from(error)));
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            let _ = self.caller.send(result);
        }
    }
}
