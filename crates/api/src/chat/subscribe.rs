//! Subscriptions: `/chat/{namespaceName}/user/{userId}/room…/subscribe`.

use super::{RoomName, SERVICE};
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{NamespaceName, PageLimit, PageToken, UserId, text_type};
use crate::{Model, Operation};

text_type! {
    /// Beginning of the names of rooms to list, at most 128 characters (BEHAVIOUR CH-59).
    RoomNamePrefix, 0..=128, |_| Ok(())
}

/// A category of messages that a subscriber is told of.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct NotificationType {
    /// The category.
    #[field(0..=2147483646, default = 0)]
    pub category: i32,
    /// Whether the player's device is told when no socket is; the namespace's setting must allow it too (BEHAVIOUR CH-57).
    #[field(default = 0)]
    pub enable_transfer_mobile_push_notification: bool,
}

/// A player's subscription to a room.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Subscribe {
    /// GRN of the subscription.
    pub subscribe_id: String,
    /// The player.
    pub user_id: UserId,
    /// The room.
    pub room_name: RoomName,
    /// Categories of which the player is told; all when empty (BEHAVIOUR CH-51).
    #[field(0..=100)]
    pub notification_types: Vec<NotificationType>,
    /// When the player subscribed.
    pub created_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// Lists a player's subscriptions by name of the room, ascending (BEHAVIOUR CH-59).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/room/subscribe", name = "describeSubscribes",
    component = "subscribe", answer = Page<Subscribe>)]
pub struct DescribeSubscribes {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only rooms whose names begin so.
    pub room_name_prefix: Option<RoomNamePrefix>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Lists the subscriptions to a room by id of the player, ascending (BEHAVIOUR CH-59).
///
/// Fails with 404 `room`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room/{roomName}/subscribe", name = "describeSubscribesByRoomName",
    component = "subscribe", answer = Page<Subscribe>)]
pub struct DescribeSubscribesByRoomName {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Has a player told of new messages in a room, or of other categories than before (BEHAVIOUR CH-50 … CH-52).
///
/// Needs no password, since nobody is told the text (CH-24, CH-55). Fails with 400 when the namespace's script does not permit it
/// (CH-72), with 404 `room`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/{userId}/room/{roomName}/subscribe", name = "subscribe",
    component = "subscribe", answer = Item<Subscribe>)]
pub struct SubscribeRoom {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Categories of which the player is told; all when absent or empty.
    #[field(0..=100)]
    pub notification_types: Option<Vec<NotificationType>>,
}

/// Gets a player's subscription to a room.
///
/// Fails with 404 `subscribe`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/room/{roomName}/subscribe", name = "getSubscribe",
    component = "subscribe", answer = Item<Subscribe>)]
pub struct GetSubscribe {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
}

/// Replaces the categories of which a subscriber is told (BEHAVIOUR CH-53).
///
/// Fails with 404 `subscribe`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/{userId}/room/{roomName}/subscribe/notification",
    name = "updateNotificationType", component = "subscribe", answer = Item<Subscribe>)]
pub struct UpdateNotificationType {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Categories of which the player is told; all when absent or empty.
    #[field(0..=100)]
    pub notification_types: Option<Vec<NotificationType>>,
}

/// Ends a player's subscription to a room, and answers it (BEHAVIOUR CH-53).
///
/// Fails with 400 when the namespace's script does not permit it (CH-72), with 404 `subscribe`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/user/{userId}/room/{roomName}/subscribe", name = "unsubscribe",
    component = "subscribe", answer = Item<Subscribe>)]
pub struct Unsubscribe {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
}
