//! Sockets that players are bound to, and notifications: `/gateway/{namespaceName}/session…`.

use super::SERVICE;
use crate::contract::{Empty, Item, Page, UnixMillis};
use crate::names::{NamespaceName, PageLimit, PageToken, UserId};
use crate::{Model, Operation};

/// A socket that a player is bound to. It lasts until the socket closes (BEHAVIOUR G-12).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct WebSocketSession {
    /// GRN of the session.
    pub web_socket_session_id: String,
    /// Socket; the server names it when it opens (BEHAVIOUR G-01).
    pub connection_id: String,
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Player.
    pub user_id: UserId,
    /// What the client calls its session, to take it over when it reconnects.
    #[field(0..=128)]
    pub session_id: Option<String>,
    /// When the player was bound.
    pub created_at: UnixMillis,
    /// When the binding was last made again.
    pub updated_at: UnixMillis,
    /// Grows with each binding of the socket, from 1.
    pub revision: i64,
}

/// Lists a player's sockets by connection id, ascending (BEHAVIOUR G-13).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/session/user/{userId}", name = "describeWebSocketSessions",
    component = "webSocketSession", answer = Page<WebSocketSession>)]
pub struct DescribeWebSocketSessions {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Binds a socket to a player, so that notifications reach it: the socket that the call arrives on, or the one named by
/// `connectionId` (BEHAVIOUR G-02, G-03).
///
/// A second call on a socket replaces its binding in this namespace (G-09). With `allowConcurrentAccess` false, fails with
/// 409 when the player has another socket, unless its `sessionId` is this one or `force` is true: then the other sockets
/// are closed with 4002 (G-04 … G-06). Fails with 400 when there is no socket, with 402 when the player has too many, with
/// 404 `namespace`, with 404 `webSocketSession` when `connectionId` names no open socket.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/session/user/{userId}/user", name = "setUserId", component = "webSocketSession",
    answer = Item<WebSocketSession>)]
pub struct SetUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Whether the player may have other sockets.
    #[field(default = 1)]
    pub allow_concurrent_access: bool,
    /// What the client calls its session: another socket of the same session is taken over.
    #[field(0..=128)]
    pub session_id: Option<String>,
    /// Whether other sockets are closed rather than in the way.
    #[field(default = 0)]
    pub force: bool,
    /// Socket to bind; the one that the call arrives on when absent.
    #[field(1..=128)]
    pub connection_id: Option<String>,
}

/// A text for the player's device in one language.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct MobileNotificationMessage {
    /// Language of the text, such as `ja` or `en-US`.
    #[field(0..=64)]
    pub locale: Option<String>,
    /// Title.
    #[field(0..=256)]
    pub title: Option<String>,
    /// Text.
    #[field(0..=1024)]
    pub message: Option<String>,
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Sent {
    /// `websocket` when at least one socket got it, `firebase` when it was forwarded to the player's device, else `none`
    /// (BEHAVIOUR G-34).
    pub protocol: String,
    /// The sockets that got it.
    pub send_connection_ids: Vec<String>,
}

/// Sends a notification to all sockets of a player (BEHAVIOUR G-30 … G-40).
///
/// A player without a socket is no error, and nothing is kept for later: the notification goes to the player's device when
/// that is wanted and the device is known, else nowhere. Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/session/user/{userId}/notification", name = "sendNotification",
    component = "webSocketSession", model = "sendNotificationEntry", by_user, answer = Sent)]
pub struct SendNotification {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// What it is about.
    #[field(1..=128)]
    pub subject: String,
    /// What the client gets, as it is.
    #[field(1..=1024)]
    pub payload: String,
    /// Whether the player's device gets it when no socket does.
    #[field(default = 0)]
    pub enable_transfer_mobile_notification: bool,
    /// Sound of the device's notification.
    #[field(0..=256)]
    pub sound: Option<String>,
    /// Texts for the device; the one in its language is taken. Without any the subject is the title and the payload the text.
    #[field(0..=64)]
    pub mobile_notification_messages: Option<Vec<MobileNotificationMessage>>,
}

/// Sockets that were closed.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Disconnected {
    /// Their sessions.
    pub items: Vec<WebSocketSession>,
}

/// Closes all sockets of a player with 4001 (BEHAVIOUR G-14).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/session/user/{userId}", name = "disconnectByUserId",
    component = "webSocketSession", answer = Disconnected)]
pub struct DisconnectByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Closes all sockets that are bound in the namespace with 4001 (BEHAVIOUR G-14).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/session", name = "disconnectAll", component = "webSocketSession", answer = Empty)]
pub struct DisconnectAll {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Gets the session of the socket that the call arrives on. Old SDKs only.
///
/// Fails with 404 `webSocketSession` when it is bound to nobody, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/session", name = "getWebSocketSession", component = "webSocketSession",
    answer = Item<WebSocketSession>)]
pub struct GetWebSocketSession {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Socket; the one that the call arrives on when absent.
    #[field(1..=128)]
    pub connection_id: Option<String>,
}

/// Gets the session of a socket. Old SDKs only.
///
/// Fails with 404 `webSocketSession` when it is bound to nobody, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/session/{connectionId}", name = "getWebSocketSessionByConnectionId",
    component = "webSocketSession", answer = Item<WebSocketSession>)]
pub struct GetWebSocketSessionByConnectionId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Socket.
    #[field(1..=128)]
    pub connection_id: String,
}
