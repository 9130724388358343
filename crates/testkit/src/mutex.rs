//! What a mutex of the Lock service does when its calls come one after the other (BEHAVIOUR L-02 … L-13), without
//! expiry.

use crate::linear::Model;

/// A mutex that holds that many transactions apart.
#[derive(Debug, Clone, Copy)]
pub struct MutexModel;

/// What the answer says of a mutex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Number of the transaction that holds it.
    pub transaction: u64,
    /// How many unlocks free it.
    pub count: i64,
    /// Fencing number.
    pub revision: i64,
}

/// A call with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `lock`: granted, or refused with 409.
    Lock(u64, Option<Seen>),
    /// `unlock`.
    Unlock(u64, Unlocked),
    /// `getMutex`: the mutex, or 404.
    Get(Option<Seen>),
    /// `deleteMutexByUserId`: the mutex as it was, or 404.
    Delete(Option<Seen>),
    /// A call that the server refused to make: 503.
    Refused,
}

/// What `unlock` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlocked {
    /// 200 with the mutex, whose count is what is left.
    Done(Seen),
    /// 400: another transaction holds it.
    NotMine,
    /// 404: nobody holds it.
    Free,
}

/// State of a mutex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    held: Option<Seen>,
    /// Greatest revision up to now.
    revision: i64,
}

impl Model for MutexModel {
    type State = State;
    type Operation = Operation;

    fn initial(&self) -> State {
        State { held: None, revision: 0 }
    }

    fn apply(&self, state: &State, operation: &Operation) -> Option<State> {
        let newer = |seen: &Seen| seen.revision > state.revision;
        let holds = |held: Option<Seen>, revision| Some(State { held, revision });
        match (operation, state.held) {
            (Operation::Refused, _) => Some(*state),
            (Operation::Lock(transaction, Some(seen)), held) => {
                let count = match held {
                    None => 1,
                    Some(held) if held.transaction == *transaction => held.count + 1,
                    Some(_) => return None,
                };
                let right = seen.transaction == *transaction && seen.count == count && newer(seen);
                right.then_some(State { held: Some(*seen), revision: seen.revision })
            }
            (Operation::Lock(transaction, None), Some(held)) if held.transaction != *transaction => {
                Some(*state)
            }
            (Operation::Unlock(transaction, Unlocked::Done(seen)), Some(held)) => {
                let right =
                    [held.transaction, seen.transaction] == [*transaction; 2] && seen.count == held.count - 1;
                match seen.count {
                    _ if !right => None,
                    // The answer to the last unlock is the mutex as it was held.
                    0 if seen.revision == held.revision => holds(None, state.revision),
                    0 => None,
                    _ if newer(seen) => holds(Some(*seen), seen.revision),
                    _ => None,
                }
            }
            (Operation::Unlock(transaction, Unlocked::NotMine), Some(held))
                if held.transaction != *transaction =>
            {
                Some(*state)
            }
            (Operation::Unlock(_, Unlocked::Free) | Operation::Get(None) | Operation::Delete(None), None) => {
                Some(*state)
            }
            (Operation::Get(Some(seen)), Some(held)) if *seen == held => Some(*state),
            (Operation::Delete(Some(seen)), Some(held)) if *seen == held => holds(None, state.revision),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{Entry, check};
    use Operation::{Delete, Get, Lock, Unlock};

    fn seen(transaction: u64, count: i64, revision: i64) -> Seen {
        Seen { transaction, count, revision }
    }

    fn granted(transaction: u64, count: i64, revision: i64) -> Operation {
        Lock(transaction, Some(seen(transaction, count, revision)))
    }

    fn unlocked(transaction: u64, count: i64, revision: i64) -> Operation {
        Unlock(transaction, Unlocked::Done(seen(transaction, count, revision)))
    }

    fn check_mutex(history: &[(u64, u64, Operation)], linearizable: bool) {
        let entry = |&(invoked, answered, operation)| Entry { invoked, answered, operation };
        let entries: Vec<_> = history.iter().map(entry).collect();
        assert_eq!(check(&MutexModel, &entries).is_ok(), linearizable, "{history:?}");
    }

    #[test]
    fn a_holder_goes_in_and_out() {
        check_mutex(
            &[
                (1, 2, granted(1, 1, 5)),
                (3, 4, granted(1, 2, 6)),
                (5, 6, Lock(2, None)),
                (7, 8, Unlock(2, Unlocked::NotMine)),
                (9, 10, unlocked(1, 1, 7)),
                (11, 12, Get(Some(seen(1, 1, 7)))),
                (13, 14, unlocked(1, 0, 7)),
                (15, 16, Get(None)),
                (17, 18, Unlock(1, Unlocked::Free)),
                (19, 20, granted(2, 1, 8)),
                (21, 22, Delete(Some(seen(2, 1, 8)))),
                (23, 24, Delete(None)),
            ],
            true,
        );
    }

    #[test]
    fn two_holders_are_rejected() {
        check_mutex(&[(1, 2, granted(1, 1, 1)), (3, 4, granted(2, 1, 2))], false);
        // Also when both calls were made at once.
        check_mutex(&[(1, 4, granted(1, 1, 1)), (2, 3, granted(2, 1, 2))], false);
        // But not when the first was let go meanwhile.
        check_mutex(&[(1, 4, granted(1, 1, 1)), (2, 8, granted(2, 1, 2)), (5, 7, unlocked(1, 0, 1))], true);
    }

    #[test]
    fn a_revision_that_goes_back_is_rejected() {
        check_mutex(&[(1, 2, granted(1, 1, 5)), (3, 4, unlocked(1, 0, 5)), (5, 6, granted(2, 1, 5))], false);
        check_mutex(&[(1, 2, granted(1, 1, 5)), (3, 4, granted(1, 2, 4))], false);
    }

    #[test]
    fn stale_answers_are_rejected() {
        check_mutex(&[(1, 2, granted(1, 1, 5)), (3, 4, Get(None))], false);
        check_mutex(&[(1, 2, granted(1, 1, 5)), (3, 4, unlocked(1, 0, 5)), (5, 6, Lock(2, None))], false);
        check_mutex(&[(1, 2, granted(1, 1, 5)), (3, 4, granted(1, 1, 6))], false);
    }
}
