//! Checks whether a recorded history of concurrent operations could have happened one after the other, each at one
//! moment between its invocation and its answer: linearizability, after Wing and Gong, with Lowe's memory of what was
//! tried before.

use std::collections::HashSet;
use std::hash::Hash;

/// What the operations do when they happen one after the other.
pub trait Model {
    /// State between two operations.
    type State: Clone + Eq + Hash;
    /// An operation with what it answered.
    type Operation;

    /// State before the first operation.
    fn initial(&self) -> Self::State;

    /// State after the operation; `None` when it cannot have answered this in this state.
    fn apply(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;
}

/// An operation of a history. Moments are any numbers that grow with time, no two alike.
#[derive(Debug, Clone)]
pub struct Entry<O> {
    /// When it was invoked.
    pub invoked: u64,
    /// When its answer arrived.
    pub answered: u64,
    /// The operation with its answer.
    pub operation: O,
}

/// Finds an order in which the operations could have happened: indices of the history. `Err` has the longest beginning
/// of one that was found.
pub fn check<M: Model>(model: &M, history: &[Entry<M::Operation>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut events = Events::new(history);
    let mut state = model.initial();
    let mut done = Done::new(history.len());
    let mut order: Vec<(usize, M::State)> = Vec::new();
    let mut longest: Vec<usize> = Vec::new();
    let mut tried = HashSet::new();
    let mut event = events.first();
    while let Some(at) = event {
        match events.kind[at] {
            Kind::Invoked(index) => {
                let next = model.apply(&state, &history[index].operation);
                let next = next.filter(|next| tried.insert((done.with(index), next.clone())));
                match next {
                    Some(next) => {
                        order.push((index, std::mem::replace(&mut state, next)));
                        done.flip(index);
                        events.take_out(index);
                        event = events.first();
                        if order.len() > longest.len() {
                            longest = order.iter().map(|(index, _)| *index).collect();
                        }
                    }
                    None => event = events.next(at),
                }
            }
            // An operation was answered that has no place in the order yet: something before it went the wrong way.
            Kind::Answered => {
                let Some((index, before)) = order.pop() else { return Err(longest) };
                state = before;
                done.flip(index);
                events.put_back(index);
                event = events.next(events.invoked[index]);
            }
        }
    }
    Ok(order.into_iter().map(|(index, _)| index).collect())
}

/// Which operations have a place in the order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Done(Vec<u64>);

impl Done {
    fn new(count: usize) -> Done {
        Done(vec![0; count.div_ceil(64)])
    }

    fn flip(&mut self, index: usize) {
        self.0[index / 64] ^= 1 << (index % 64);
    }

    fn with(&self, index: usize) -> Done {
        let mut done = self.clone();
        done.flip(index);
        done
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Invoked(usize),
    Answered,
}

/// Invocations and answers in order of time, as a list from which an operation can be taken out and put back.
struct Events {
    kind: Vec<Kind>,
    /// Place before and after each event; the last place is the list's two ends.
    before: Vec<usize>,
    after: Vec<usize>,
    invoked: Vec<usize>,
    answered: Vec<usize>,
}

impl Events {
    fn new<O>(history: &[Entry<O>]) -> Events {
        let mut moments: Vec<(u64, usize, Kind)> = Vec::with_capacity(history.len() * 2);
        for (index, entry) in history.iter().enumerate() {
            assert!(entry.invoked < entry.answered, "operation {index} was answered before it was invoked");
            moments.push((entry.invoked, index, Kind::Invoked(index)));
            moments.push((entry.answered, index, Kind::Answered));
        }
        moments.sort_by_key(|(moment, ..)| *moment);
        assert!(moments.windows(2).all(|pair| pair[0].0 != pair[1].0), "two moments are alike");
        let end = moments.len();
        let mut events = Events {
            kind: moments.iter().map(|(.., kind)| *kind).collect(),
            before: (0..=end).map(|place| place.checked_sub(1).unwrap_or(end)).collect(),
            after: (0..=end).map(|place| if place == end { 0 } else { place + 1 }).collect(),
            invoked: vec![0; history.len()],
            answered: vec![0; history.len()],
        };
        for (place, (_, index, kind)) in moments.iter().enumerate() {
            match kind {
                Kind::Invoked(_) => events.invoked[*index] = place,
                Kind::Answered => events.answered[*index] = place,
            }
        }
        events
    }

    fn end(&self) -> usize {
        self.kind.len()
    }

    fn first(&self) -> Option<usize> {
        self.next(self.end())
    }

    fn next(&self, place: usize) -> Option<usize> {
        Some(self.after[place]).filter(|next| *next != self.end())
    }

    fn take_out(&mut self, index: usize) {
        for place in [self.invoked[index], self.answered[index]] {
            let (before, after) = (self.before[place], self.after[place]);
            self.after[before] = after;
            self.before[after] = before;
        }
    }

    fn put_back(&mut self, index: usize) {
        // In the opposite order of taking out, so that the neighbours are there again.
        for place in [self.answered[index], self.invoked[index]] {
            let (before, after) = (self.before[place], self.after[place]);
            self.after[before] = place;
            self.before[after] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register that holds a number.
    struct Register;

    #[derive(Debug, Clone, Copy)]
    enum Operation {
        Write(u8),
        Read(u8),
    }
    use Operation::{Read, Write};

    impl Model for Register {
        type State = u8;
        type Operation = Operation;

        fn initial(&self) -> u8 {
            0
        }

        fn apply(&self, state: &u8, operation: &Operation) -> Option<u8> {
            match operation {
                Write(number) => Some(*number),
                Read(number) => (number == state).then_some(*state),
            }
        }
    }

    fn check_register(history: &[(u64, u64, Operation)], linearizable: bool) {
        let entry = |&(invoked, answered, operation)| Entry { invoked, answered, operation };
        let entries: Vec<_> = history.iter().map(entry).collect();
        let found = check(&Register, &entries);
        assert_eq!(found.is_ok(), linearizable, "{history:?}: {found:?}");
        // An order that was found is one: it keeps to time, and the model takes it.
        let Ok(order) = found else { return };
        assert_eq!(order.len(), history.len());
        for (at, earlier) in order.iter().enumerate() {
            for later in &order[at + 1..] {
                assert!(entries[*earlier].invoked < entries[*later].answered, "{order:?}");
            }
        }
        let apply = |state, index: &usize| Register.apply(&state, &entries[*index].operation);
        assert!(order.iter().try_fold(0, apply).is_some());
    }

    #[test]
    fn one_after_the_other() {
        check_register(&[], true);
        check_register(&[(1, 2, Write(1)), (3, 4, Read(1))], true);
        check_register(&[(1, 2, Write(1)), (3, 4, Read(0))], false);
        check_register(&[(1, 2, Read(0)), (3, 4, Write(1))], true);
    }

    #[test]
    fn at_the_same_time() {
        check_register(&[(1, 4, Write(1)), (2, 3, Read(0))], true);
        check_register(&[(1, 4, Write(1)), (2, 3, Read(1))], true);
        check_register(&[(1, 4, Write(1)), (2, 3, Read(2))], false);
        check_register(&[(1, 6, Write(1)), (2, 7, Write(2)), (3, 4, Read(2)), (8, 9, Read(1))], true);
    }

    #[test]
    fn what_was_seen_stays_seen() {
        // The new value is read, then the old one, while one write goes on.
        check_register(&[(1, 8, Write(1)), (2, 3, Read(1)), (4, 5, Read(0))], false);
        check_register(&[(1, 8, Write(1)), (2, 3, Read(0)), (4, 5, Read(1))], true);
    }

    #[test]
    fn a_long_history_takes_no_time() {
        // Six writers at once, many times over, one of whom is read: without memory this would not end.
        let mut history = Vec::new();
        for round in 0..100_u64 {
            let start = round * 100;
            for writer in 0..6_u64 {
                history.push((start + writer, start + 50 + writer, Write(writer as u8)));
            }
            history.push((start + 70, start + 80, Read((round % 6) as u8)));
        }
        check_register(&history, true);
        history.push((900_000, 900_001, Read(77)));
        check_register(&history, false);
    }
}
