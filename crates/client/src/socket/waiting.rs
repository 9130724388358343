//! The calls that wait for their answers on one socket, and why it is closed.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use crate::error::{ClientError, CloseReason};

/// Status and body of an answer.
pub(super) type Answer = (u16, Value);

/// The calls that wait. Invariant: once the reason is set, nobody waits.
#[derive(Debug)]
pub(super) struct Waiting {
    calls: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    reason: watch::Sender<Option<CloseReason>>,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { calls: Mutex::default(), reason: watch::Sender::new(None) }
    }
}

impl Waiting {
    /// A place for the answer to the call with this id.
    ///
    /// Fails when the socket is closed.
    pub(super) fn enter(this: &Arc<Waiting>, id: u64) -> Result<Place, ClientError> {
        let (sender, receiver) = oneshot::channel();
        let mut calls = this.calls.lock();
        if let Some(reason) = this.reason.borrow().clone() {
            return Err(ClientError::Closed(reason));
        }
        calls.insert(id, sender);
        drop(calls);
        Ok(Place { waiting: Arc::clone(this), id, receiver })
    }

    /// Hands an answer to the call that waits for it; one that was given up is forgotten.
    pub(super) fn answer(&self, id: u64, answer: Answer) {
        let sender = self.calls.lock().remove(&id);
        if let Some(sender) = sender {
            // The call may have been given up this moment.
            let _ = sender.send(answer);
        }
    }

    /// Ends all waiting. Only the first reason counts.
    pub(super) fn close(&self, reason: CloseReason) {
        let mut calls = self.calls.lock();
        self.reason.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(reason);
            }
            first
        });
        calls.clear();
    }

    /// Waits until the socket is closed.
    pub(super) async fn closed(&self) -> CloseReason {
        let mut reason = self.reason.subscribe();
        match reason.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The sender lives in `self`.
            _ => CloseReason::broken("the socket is gone"),
        }
    }

    fn reason(&self) -> CloseReason {
        self.reason.borrow().clone().unwrap_or_else(|| CloseReason::broken("the socket is gone"))
    }
}

/// A call's place; given back when the call is given up.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Arc<Waiting>,
    id: u64,
    receiver: oneshot::Receiver<Answer>,
}

impl Place {
    /// Waits for the answer.
    ///
    /// Fails when the socket closes before.
    pub(super) async fn answer(mut self) -> Result<Answer, ClientError> {
        (&mut self.receiver).await.map_err(|_| ClientError::Closed(self.waiting.reason()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.calls.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn answers_find_their_calls() {
        let waiting = Arc::new(Waiting::default());
        let (one, two) = (Waiting::enter(&waiting, 1).unwrap(), Waiting::enter(&waiting, 2).unwrap());
        waiting.answer(2, (200, json!("two")));
        waiting.answer(1, (404, json!("one")));
        waiting.answer(3, (200, json!("nobody")));
        assert_eq!(one.answer().await.unwrap(), (404, json!("one")));
        assert_eq!(two.answer().await.unwrap(), (200, json!("two")));
        assert!(waiting.calls.lock().is_empty());
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_leaves_nothing() {
        let waiting = Arc::new(Waiting::default());
        drop(Waiting::enter(&waiting, 1).unwrap());
        assert!(waiting.calls.lock().is_empty());
        waiting.answer(1, (200, json!({})));
    }

    #[tokio::test]
    async fn closing_ends_all_waiting_for_the_first_reason() {
        let waiting = Arc::new(Waiting::default());
        let place = Waiting::enter(&waiting, 1).unwrap();
        waiting.close(CloseReason { code: 1001, text: "first".to_owned() });
        waiting.close(CloseReason::broken("second"));
        let expected = CloseReason { code: 1001, text: "first".to_owned() };
        assert!(matches!(place.answer().await, Err(ClientError::Closed(reason)) if reason == expected));
        assert!(
            matches!(Waiting::enter(&waiting, 2), Err(ClientError::Closed(reason)) if reason == expected)
        );
        assert_eq!(waiting.closed().await, expected);
    }
}
