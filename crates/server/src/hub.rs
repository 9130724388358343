//! The sockets of this node: which players are bound to each, and what is queued for it (BEHAVIOUR section 6).

mod connection;
mod shards;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::mpsc;

pub(crate) use connection::{Connection, Flow, Outgoing};
use shards::Shards;

use crate::config::Config;
use crate::entropy::Entropy;

/// Letters of a node's name, with which the ids of its connections begin.
const NODE_CHARS: usize = 10;

/// Why the server closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reason {
    /// The server stops.
    Stopping,
    /// A frame that is no JSON object in a text frame.
    NotUnderstood,
    /// A message over the limit.
    TooLong,
    /// Nothing arrived for too long.
    Silent,
    /// `disconnectByUserId`, `disconnectAll` (BEHAVIOUR G-15).
    Disconnected,
    /// Another socket of the player took its place (BEHAVIOUR G-15).
    Replaced,
    /// More is queued than may be: the peer does not read.
    SlowReader,
    /// The other nodes took this one for dead and gave its players' places away.
    LeaseLost,
}

impl Reason {
    /// Code of the close frame.
    pub(crate) fn code(self) -> u16 {
        match self {
            Reason::Stopping | Reason::Silent => 1001,
            Reason::NotUnderstood => 1003,
            Reason::TooLong => 1009,
            Reason::Disconnected => 4001,
            Reason::Replaced => 4002,
            Reason::SlowReader => 4003,
            Reason::LeaseLost => 4004,
        }
    }

    /// Text of the close frame.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Reason::Stopping => "the server is stopping",
            Reason::NotUnderstood => "send JSON objects in text frames",
            Reason::TooLong => "a message must have at most 8388608 bytes",
            Reason::Silent => "nothing was received for too long",
            Reason::Disconnected => "disconnected by administrator",
            Reason::Replaced => "replaced by new session",
            Reason::SlowReader => "too much is waiting to be read",
            Reason::LeaseLost => "the server lost its place among its nodes; connect again",
        }
    }
}

/// What sockets may take; each is a setting.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Bytes of notifications that may wait for one socket.
    pub(crate) queue_bytes: usize,
    /// Time between two pings.
    pub(crate) ping: Duration,
    /// Silence after which a socket is closed.
    pub(crate) silence: Duration,
    /// Sockets that one player may have in one namespace.
    pub(crate) player_sockets: usize,
}

impl Limits {
    /// The limits in the settings.
    pub(crate) fn new(config: &Config) -> Limits {
        Limits {
            queue_bytes: config.socket_queue_bytes_max,
            ping: Duration::from_secs(config.socket_ping_seconds),
            silence: Duration::from_secs(config.socket_silence_seconds),
            player_sockets: config.player_sockets_max,
        }
    }
}

/// What the hub counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct HubMetrics {
    /// Bindings of players to sockets.
    pub(crate) bindings: Gauge,
    /// Notifications that were queued for a socket.
    pub(crate) queued: Counter,
    /// Sockets that were closed because their peers do not read.
    pub(crate) slow_readers: Counter,
}

/// A player of a namespace of a project, as the hub's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Player(Arc<str>);

/// Something that must happen to sockets of one node, this one or another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Send a frame to every socket of a player.
    Deliver {
        /// The player.
        player: Player,
        /// The frame.
        frame: String,
    },
    /// Send a frame to every socket of several players.
    DeliverAll {
        /// The players.
        players: Vec<Player>,
        /// The frame.
        frame: String,
    },
    /// Bind a socket to a player; see [`Hub::bind`].
    Bind {
        /// The socket.
        connection_id: String,
        /// The player.
        player: Player,
        /// Number of the binding.
        sequence: i64,
    },
    /// Take a socket's binding in the player's namespace back.
    Unbind {
        /// The socket.
        connection_id: String,
        /// The player.
        player: Player,
    },
    /// Close a socket.
    Disconnect {
        /// The socket.
        connection_id: String,
        /// Why.
        reason: Reason,
    },
}

impl Serialize for Player {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Player {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Player(String::deserialize(deserializer)?.into()))
    }
}

impl Player {
    pub(crate) fn new(owner: &str, namespace: &str, user: &str) -> Player {
        // Neither owner nor namespace can hold a line feed.
        Player([owner, namespace, user].join("\n").into())
    }

    /// The part that names the namespace.
    fn namespace(&self) -> &str {
        let mut feeds = self.0.match_indices('\n');
        let end = feeds.nth(1).map_or(self.0.len(), |(at, _)| at);
        &self.0[..end]
    }
}

/// All sockets of this node.
#[derive(Debug)]
pub(crate) struct Hub {
    node: String,
    limits: Limits,
    connections: Shards<Arc<str>, Arc<Connection>>,
    players: Shards<Player, Vec<Arc<Connection>>>,
    /// Takes the ids of bound sockets that have closed.
    closed: mpsc::UnboundedSender<Arc<str>>,
    metrics: HubMetrics,
}

impl Hub {
    /// A hub without sockets. What closes is told to the receiver.
    pub(crate) fn new(limits: Limits, metrics: HubMetrics) -> (Hub, mpsc::UnboundedReceiver<Arc<str>>) {
        let (closed, receiver) = mpsc::unbounded_channel();
        let mut node = Entropy::default().text();
        node.truncate(NODE_CHARS);
        let hub =
            Hub { node, limits, connections: Shards::default(), players: Shards::default(), closed, metrics };
        (hub, receiver)
    }

    /// Name of this node; another one after each start.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The node that a connection id names.
    pub(crate) fn node_of(connection_id: &str) -> &str {
        connection_id.split_once('.').map_or("", |(node, _)| node)
    }

    /// A socket has opened: its connection, and what is to be sent on it.
    pub(crate) fn open(&self) -> (Arc<Connection>, mpsc::UnboundedReceiver<Outgoing>) {
        let id: Arc<str> = format!("{}.{}", self.node, Entropy::default().text()).into();
        let (connection, queue) = Connection::new(Arc::clone(&id));
        let connection = Arc::new(connection);
        self.connections
            .with(&id, |connections| connections.insert(Arc::clone(&id), Arc::clone(&connection)));
        (connection, queue)
    }

    /// A socket has closed.
    pub(crate) fn close(&self, connection: &Arc<Connection>) {
        self.connections.with(&connection.id, |connections| connections.remove(&connection.id));
        self.release(connection);
    }

    /// A bound socket is no more: whoever keeps the sessions is told.
    fn gone(&self, connection_id: Arc<str>) {
        // The receiver lives as long as the server takes calls.
        let _ = self.closed.send(connection_id);
    }

    /// Whether a socket of this id is open here.
    pub(crate) fn has(&self, connection_id: &str) -> bool {
        self.get(connection_id).is_some()
    }

    fn get(&self, connection_id: &str) -> Option<Arc<Connection>> {
        self.connections.with(connection_id, |connections| connections.get(connection_id).map(Arc::clone))
    }

    /// Binds a socket to a player, instead of the one of this namespace that it was bound to. A binding of a lower
    /// `sequence` than the present one is old news.
    pub(crate) fn bind(&self, connection_id: &str, player: &Player, sequence: i64) {
        let bound = self.get(connection_id).is_some_and(|connection| {
            connection.bind(player, sequence, |former| {
                if let Some(former) = former {
                    self.leave(&former, &connection);
                }
                self.players.with(player, |players| {
                    players.entry(player.clone()).or_default().push(Arc::clone(&connection));
                });
                self.metrics.bindings.inc();
            })
        });
        if !bound {
            // It closed while the binding was on its way.
            self.gone(connection_id.into());
        }
    }

    /// Takes a socket's binding in the namespace of `player` back.
    pub(crate) fn unbind(&self, connection_id: &str, player: &Player) {
        if let Some(connection) = self.get(connection_id) {
            for former in connection.unbind(player) {
                self.leave(&former, &connection);
            }
        }
    }

    fn leave(&self, player: &Player, connection: &Arc<Connection>) {
        self.players.with(player, |players| {
            let Some(sockets) = players.get_mut(player) else { return };
            sockets.retain(|socket| !Arc::ptr_eq(socket, connection));
            if sockets.is_empty() {
                players.remove(player);
            }
        });
        self.metrics.bindings.dec();
    }

    /// Queues a frame for every socket of a player; answers the sockets.
    pub(crate) fn deliver(&self, player: &Player, frame: &Bytes) -> Vec<Arc<str>> {
        // Queued under the lock, so that all sockets of a player see one order.
        self.players.with(player, |players| {
            let Some(sockets) = players.get(player) else { return Vec::new() };
            let reached = sockets.iter().filter(|socket| self.push(socket, frame));
            reached.map(|socket| Arc::clone(&socket.id)).collect()
        })
    }

    /// Queues frames in this order for every socket of a player; says whether there is one that takes them.
    pub(crate) fn deliver_all<'a>(
        &self,
        player: &Player,
        frames: &(impl Iterator<Item = &'a Bytes> + Clone),
    ) -> bool {
        self.players.with(player, |players| {
            let Some(sockets) = players.get(player) else { return false };
            let mut reached = false;
            for socket in sockets {
                // All of them, also when one is refused: the socket then closes.
                reached |= frames.clone().filter(|frame| self.push(socket, frame)).count() > 0;
            }
            reached
        })
    }

    fn push(&self, socket: &Connection, frame: &Bytes) -> bool {
        match socket.push(frame, self.limits.queue_bytes) {
            connection::Pushed::Queued => {
                self.metrics.queued.inc();
                true
            }
            connection::Pushed::Overflow => {
                self.metrics.slow_readers.inc();
                tracing::debug!(connection_id = &*socket.id, "closing a socket whose peer does not read");
                false
            }
            connection::Pushed::Closed => false,
        }
    }

    /// Closes a socket of this node after what is queued for it. From now on it is nobody's: what is sent to its players
    /// does not reach it any more.
    pub(crate) fn disconnect(&self, connection_id: &str, reason: Reason) {
        if let Some(connection) = self.get(connection_id) {
            self.release(&connection);
            connection.end(reason);
        }
    }

    /// Takes all bindings of a socket back, for good.
    fn release(&self, connection: &Arc<Connection>) {
        let bindings = connection.take_bindings();
        for player in &bindings {
            self.leave(player, connection);
        }
        if !bindings.is_empty() {
            self.gone(Arc::clone(&connection.id));
        }
    }

    /// Does what a command says; answers the sockets that a frame reached.
    pub(crate) fn apply(&self, command: Command) -> Vec<Arc<str>> {
        match command {
            Command::Deliver { player, frame } => return self.deliver(&player, &frame.into()),
            Command::DeliverAll { players, frame } => {
                let frame = Bytes::from(frame);
                return players.iter().flat_map(|player| self.deliver(player, &frame)).collect();
            }
            Command::Bind { connection_id, player, sequence } => self.bind(&connection_id, &player, sequence),
            Command::Unbind { connection_id, player } => self.unbind(&connection_id, &player),
            Command::Disconnect { connection_id, reason } => self.disconnect(&connection_id, reason),
        }
        Vec::new()
    }

    /// Every binding of this node.
    pub(crate) fn bindings(&self) -> HashSet<(Arc<str>, Player)> {
        let mut bindings = HashSet::new();
        self.connections.each(|connection| {
            bindings
                .extend(connection.players().into_iter().map(|player| (Arc::clone(&connection.id), player)));
        });
        bindings
    }

    /// Closes every socket that a player is bound to.
    pub(crate) fn disconnect_bound(&self, reason: Reason) {
        let bound: BTreeSet<Arc<str>> =
            self.bindings().into_iter().map(|(connection_id, _)| connection_id).collect();
        for connection_id in bound {
            self.disconnect(&connection_id, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> (Hub, mpsc::UnboundedReceiver<Arc<str>>) {
        let config = Config { socket_queue_bytes_max: 1000, ..Config::new("unused") };
        Hub::new(Limits::new(&config), HubMetrics::default())
    }

    fn frames(queue: &mut mpsc::UnboundedReceiver<Outgoing>) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while let Ok(outgoing) = queue.try_recv() {
            if let Outgoing::Notification(frame) = outgoing {
                frames.push(frame);
            }
        }
        frames
    }

    #[test]
    fn a_frame_reaches_the_sockets_of_the_player() {
        let (hub, mut closed) = hub();
        let (alice, other) = (Player::new("o", "ns", "alice"), Player::new("o", "ns", "a\nlice"));
        let ((one, mut first), (two, mut second)) = (hub.open(), hub.open());
        hub.bind(&one.id, &alice, 1);
        hub.bind(&two.id, &alice, 2);
        let frame = Bytes::from_static(b"hello");
        assert_eq!(hub.deliver(&alice, &frame), [Arc::clone(&one.id), Arc::clone(&two.id)]);
        assert_eq!(hub.deliver(&other, &frame), []);
        assert_eq!((frames(&mut first).len(), frames(&mut second).len()), (1, 1));

        // A socket has one player in a namespace, and old news do not count.
        hub.bind(&one.id, &other, 4);
        hub.bind(&one.id, &alice, 3);
        hub.bind(&one.id, &Player::new("o", "elsewhere", "alice"), 5);
        assert_eq!(hub.deliver(&alice, &frame), [Arc::clone(&two.id)]);
        assert_eq!(hub.deliver(&other, &frame), [Arc::clone(&one.id)]);
        assert_eq!(hub.metrics.bindings.get(), 3);

        hub.unbind(&two.id, &alice);
        hub.close(&two);
        assert!(closed.try_recv().is_err(), "it was bound to nobody");
        hub.close(&one);
        assert_eq!(closed.try_recv().as_ref(), Ok(&one.id));
        assert_eq!(hub.deliver(&other, &frame), []);
        assert_eq!(hub.metrics.bindings.get(), 0);

        // What was bound too late is told again.
        hub.bind(&one.id, &alice, 6);
        assert_eq!(closed.try_recv().as_ref(), Ok(&one.id));
        assert_eq!(hub.deliver(&alice, &frame), []);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let (hub, _closed) = hub();
        let alice = Player::new("o", "ns", "alice");
        let (one, mut queue) = hub.open();
        hub.bind(&one.id, &alice, 1);
        let frame = Bytes::from(vec![b'x'; 300]);
        let taken = (0..10).filter(|_| !hub.deliver(&alice, &frame).is_empty()).count();
        assert_eq!((taken, frames(&mut queue).len()), (3, 3));
        assert_eq!(hub.metrics.slow_readers.get(), 1);
    }
}
