//! One WebSocket: many calls at once, and what the server sends on its own.

mod connection;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hiroba_api::Operation;
use hiroba_api::contract::Variant;
use hiroba_api::names::UserId;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::call::{AccessToken, Call, Carrier, ForUser, Player, names_user};
use crate::client::{self, Client};
use crate::error::{ClientError, CloseReason};
use crate::outgoing::Outgoing;
use waiting::Waiting;

/// Messages that wait to be sent; further calls wait.
const OUTGOING_MAX: usize = 256;
/// Bytes of a message that servers of the protocol take (BEHAVIOUR T-28).
const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Notifications that a receiver may leave unread; then the oldest are dropped and their number is told.
const NOTIFICATIONS_MAX: usize = 1024;
/// Time that the server gets to answer a close.
const CLOSE_TIME: Duration = Duration::from_secs(3);

/// Something that the server sends on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Who sends it.
    pub issuer: String,
    /// What it is about: `Gs2Chat:Post`.
    pub subject: String,
    /// Details, JSON text.
    pub payload: String,
}

/// So many notifications were dropped, because the receiver was too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed(pub u64);

/// Receives notifications from the moment of [`Socket::notifications`] on.
#[derive(Debug)]
pub struct Notifications(broadcast::Receiver<Notification>);

impl Notifications {
    /// The next notification; nothing when the socket is closed.
    pub async fn next(&mut self) -> Option<Result<Notification, Missed>> {
        match self.0.recv().await {
            Ok(notification) => Some(Ok(notification)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Err(Missed(count))),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// One WebSocket to a server. Clones are the same socket; it closes when the last one is gone.
///
/// A socket that has closed stays closed: open another one with [`Client::socket`], and do again what was bound to the
/// connection.
#[derive(Debug, Clone)]
pub struct Socket {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    outgoing: mpsc::Sender<Message>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
    /// Dropped by the connection when it ends, so that receivers learn of it.
    notifications: broadcast::WeakSender<Notification>,
    /// The task that ends with the connection, until somebody waits for it.
    reader: Mutex<Option<JoinHandle<()>>>,
}

impl Socket {
    pub(crate) async fn connect(client: &Client) -> Result<Socket, ClientError> {
        let time = client.connect_time();
        let opened = timeout(time, connection::open(client)).await;
        let stream = opened.map_err(|_| ClientError::Timeout(time))??;
        let (outgoing, queue) = mpsc::channel(OUTGOING_MAX);
        let (sender, _) = broadcast::channel(NOTIFICATIONS_MAX);
        let notifications = sender.downgrade();
        let waiting = Arc::new(Waiting::default());
        let reader = connection::spawn(stream, queue, Arc::clone(&waiting), sender);
        let reader = Mutex::new(Some(reader));
        let (client, next_id) = (client.clone(), AtomicU64::new(1));
        let shared = Shared { client, outgoing, waiting, next_id, notifications, reader };
        Ok(Socket { shared: Arc::new(shared) })
    }

    /// Calls an operation that is not about one player, as [`Client::call`] does.
    pub fn call<O: Operation>(&self, request: &O) -> Call<O> {
        const {
            assert!(
                !names_user(O::DECLARATION.path) && !O::DECLARATION.player,
                "the operation is about one player: use `as_player(…).call` or `for_user(…).call`"
            );
        }
        Call::new(Carrier::Socket(self.clone()), request, Variant::Plain)
    }

    /// Calls that act for the player of an access token.
    pub fn as_player(&self, access_token: AccessToken) -> Player {
        Player::new(Carrier::Socket(self.clone()), access_token)
    }

    /// Calls about any player, with the permission of the client's own policies.
    pub fn for_user(&self, user_id: UserId) -> ForUser {
        ForUser::new(Carrier::Socket(self.clone()), user_id)
    }

    /// Receives what the server sends on its own from now on. Ask for it before the call that makes the server send.
    pub fn notifications(&self) -> Notifications {
        let receiver = self.shared.notifications.upgrade().map(|sender| sender.subscribe());
        // Of a closed socket: a receiver whose sender is gone.
        Notifications(receiver.unwrap_or_else(|| broadcast::channel(1).1))
    }

    /// Waits until the socket is closed, by whichever side, and says why.
    pub async fn closed(&self) -> CloseReason {
        self.shared.waiting.closed().await
    }

    /// Closes the socket and waits until the connection has ended, 3 s at most. Calls that wait for an answer fail.
    pub async fn close(&self) {
        let reason = CloseReason { code: 1000, text: connection::CLOSED_HERE.to_owned() };
        self.shared.waiting.close(reason);
        // A writer that is gone has nothing left to close.
        let _ = self.shared.outgoing.send(connection::close_message()).await;
        let reader = self.shared.reader.lock().take();
        if let Some(reader) = reader {
            // A server that does not answer is left to the reader's time limit.
            let _ = timeout(CLOSE_TIME, reader).await;
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Makes one call on the socket, as it is.
    pub(crate) async fn exchange(
        &self,
        outgoing: &Outgoing,
        token: Option<&str>,
    ) -> Result<Value, ClientError> {
        let shared = &self.shared;
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let message = outgoing.message(id, shared.client.client_id(), token);
        if message.len() > MESSAGE_BYTES_MAX {
            let reason = "a message on the socket has at most 8 MiB";
            return Err(ClientError::Unsendable { field: outgoing.function().into_owned(), reason });
        }
        let call_time = shared.client.call_time();
        let exchange = async {
            let place = Waiting::enter(&shared.waiting, id)?;
            // When it cannot be sent any more, the place says why.
            let _ = shared.outgoing.send(Message::text(message)).await;
            place.answer().await
        };
        let answered = timeout(call_time, exchange).await;
        let (status, body) = answered.map_err(|_| ClientError::Timeout(call_time))??;
        client::result(status, body.to_string().as_bytes())
    }
}
