//! One socket as the hub sees it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use super::{Player, Reason};

/// Bytes that a queued frame takes beside its text.
const FRAME_BYTES: usize = 16;

/// Something to send on a socket.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// The answer to a call, with the call's place among those in flight.
    Answer {
        /// The frame.
        text: String,
        /// Given up when the answer is sent.
        place: OwnedSemaphorePermit,
    },
    /// A notification; many sockets share its bytes, which are UTF-8.
    Notification(Bytes),
    /// The last frame.
    Close(Reason),
}

impl Outgoing {
    /// Bytes that count against the queue's limit; answers are limited by the number of calls in flight.
    pub(crate) fn queued_bytes(&self) -> usize {
        match self {
            Outgoing::Notification(frame) => frame.len() + FRAME_BYTES,
            Outgoing::Answer { .. } | Outgoing::Close(_) => 0,
        }
    }
}

/// How much waits on a socket; shared with the task that writes.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    bytes: AtomicUsize,
    overflowed: AtomicBool,
    overflow: Notify,
}

impl Flow {
    /// What was taken off the queue is on its way.
    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Waits until more was queued than may be.
    pub(crate) async fn overflow(&self) {
        self.overflow.notified().await;
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    /// The queue is full; said once, and the socket closes.
    Overflow,
    Closed,
}

/// A binding to a player.
#[derive(Debug)]
struct Binding {
    player: Player,
    sequence: i64,
}

#[derive(Debug, Default)]
struct Bindings {
    /// The socket has closed; nothing binds it any more.
    closed: bool,
    list: Vec<Binding>,
}

/// An open socket.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its id (BEHAVIOUR G-01).
    pub(crate) id: Arc<str>,
    queue: mpsc::UnboundedSender<Outgoing>,
    flow: Arc<Flow>,
    bindings: Mutex<Bindings>,
    ending: OnceLock<Reason>,
    ended: Notify,
}

impl Connection {
    pub(super) fn new(id: Arc<str>) -> (Connection, mpsc::UnboundedReceiver<Outgoing>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let connection = Connection {
            id,
            queue,
            flow: Arc::default(),
            bindings: Mutex::default(),
            ending: OnceLock::new(),
            ended: Notify::new(),
        };
        (connection, receiver)
    }

    /// For the task that writes. It must not hold the connection itself, whose end is what ends it.
    pub(crate) fn flow(&self) -> Arc<Flow> {
        Arc::clone(&self.flow)
    }

    /// Queues an answer.
    pub(crate) fn answer(&self, text: String, place: OwnedSemaphorePermit) {
        // The socket may be gone; the call was made all the same.
        let _ = self.queue.send(Outgoing::Answer { text, place });
    }

    /// Has the socket end: the task that reads stops, and closes it when the calls that run are answered.
    pub(super) fn end(&self, reason: Reason) {
        // The first reason counts.
        let _ = self.ending.set(reason);
        self.ended.notify_one();
    }

    /// Waits until the socket has to end.
    pub(crate) async fn ending(&self) -> Reason {
        loop {
            if let Some(reason) = self.ending.get() {
                return *reason;
            }
            self.ended.notified().await;
        }
    }

    /// Closes the socket after what is queued.
    pub(crate) fn close(&self, reason: Reason) {
        // It may be gone already.
        let _ = self.queue.send(Outgoing::Close(reason));
    }

    /// Waits until the task that writes has ended.
    pub(crate) async fn writer_ended(&self) {
        self.queue.closed().await;
    }

    pub(super) fn push(&self, frame: &Bytes, bytes_max: usize) -> Pushed {
        if self.flow.overflowed.load(Ordering::Relaxed) {
            return Pushed::Closed;
        }
        let outgoing = Outgoing::Notification(frame.clone());
        let bytes = outgoing.queued_bytes();
        let before = self.flow.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > bytes_max {
            self.flow.sent(bytes);
            if self.flow.overflowed.swap(true, Ordering::Relaxed) {
                return Pushed::Closed;
            }
            self.flow.overflow.notify_one();
            return Pushed::Overflow;
        }
        if self.queue.send(outgoing).is_ok() { Pushed::Queued } else { Pushed::Closed }
    }

    /// Notes a binding; when it is a new one, `apply` gets the player it replaces, before another binding of this socket
    /// is made. Says whether the socket is still open.
    pub(super) fn bind(&self, player: &Player, sequence: i64, apply: impl FnOnce(Option<Player>)) -> bool {
        let mut bindings = self.bindings.lock();
        if bindings.closed {
            return false;
        }
        let same = bindings.list.iter_mut().find(|binding| binding.player.namespace() == player.namespace());
        match same {
            Some(binding) if binding.sequence > sequence => {}
            Some(binding) => {
                binding.sequence = sequence;
                if binding.player != *player {
                    let left = std::mem::replace(&mut binding.player, player.clone());
                    apply(Some(left));
                }
            }
            None => {
                bindings.list.push(Binding { player: player.clone(), sequence });
                apply(None);
            }
        }
        true
    }

    /// Forgets the binding in the namespace of `player`.
    pub(super) fn unbind(&self, player: &Player) -> Vec<Player> {
        let mut bindings = self.bindings.lock();
        let inside = |binding: &mut Binding| binding.player.namespace() == player.namespace();
        bindings.list.extract_if(.., inside).map(|binding| binding.player).collect()
    }

    /// Forgets all bindings; there will be no new ones.
    pub(super) fn take_bindings(&self) -> Vec<Player> {
        let mut bindings = self.bindings.lock();
        bindings.closed = true;
        std::mem::take(&mut bindings.list).into_iter().map(|binding| binding.player).collect()
    }

    /// The players that the socket is bound to.
    pub(super) fn players(&self) -> Vec<Player> {
        self.bindings.lock().list.iter().map(|binding| binding.player.clone()).collect()
    }
}
