//! Messages: `/chat/{namespaceName}/room/{roomName}/message…`.

use super::{RoomName, RoomPassword, SERVICE};
use crate::contract::{Item, Items, Page, UnixMillis};
use crate::names::{NamespaceName, PageLimit, PageToken, UserId, text_type};
use crate::{Model, Operation};

text_type! {
    /// Name of a message: the UUID that the server gives it, at most 36 characters (BEHAVIOUR CH-30).
    MessageName, 1..=36, |_| Ok(())
}
text_type! {
    /// Text of a message, 1 to 1,024 characters (BEHAVIOUR CH-30, E-04).
    MessageMetadata, 1..=1024, |_| Ok(())
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Message {
    /// GRN of the message.
    pub message_id: String,
    /// Room in which it was posted.
    pub room_name: RoomName,
    /// Name: a UUID that the server gives.
    pub name: MessageName,
    /// Player who posted it.
    pub user_id: UserId,
    /// What kind of message it is, as the game numbers them.
    #[field(0..=2147483645)]
    pub category: i32,
    /// The text.
    pub metadata: MessageMetadata,
    /// When it was posted; no two messages of a room have the same time (BEHAVIOUR CH-36).
    pub created_at: UnixMillis,
    /// 1: messages do not change.
    pub revision: i64,
}

/// Lists the messages of a room from a time on, oldest first: go on from the last one's `createdAt` + 1 until a page is empty
/// (BEHAVIOUR CH-35, CH-37).
///
/// Fails with 404 `room`, with 400 `room.allowUserIds.notInclude` when `whiteListUserIds` does not hold the player of the
/// access token, or there is none (CH-21, CH-23), with 400 `room.password.require` or `room.password.invalid` (CH-22), in
/// this order (CH-20); with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room/{roomName}/message", name = "describeMessages", component = "message",
    maybe_player, answer = Items<Message>)]
pub struct DescribeMessages {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Password of the room; not looked at when it has none.
    pub password: Option<RoomPassword>,
    /// Only messages of this category.
    #[field(0..=2147483645)]
    pub category: Option<i32>,
    /// Time of the first message; the oldest one when absent.
    pub start_at: Option<UnixMillis>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Lists the messages of a room from a time on for a player, oldest first. Needs the password too (BEHAVIOUR CH-10, CH-35).
///
/// Fails like `describeMessages`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room/{roomName}/message/get", name = "describeMessagesByUserId",
    component = "message", answer = Items<Message>)]
pub struct DescribeMessagesByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Password of the room; not looked at when it has none.
    pub password: Option<RoomPassword>,
    /// Only messages of this category.
    #[field(0..=2147483645)]
    pub category: Option<i32>,
    /// Player who reads.
    pub user_id: UserId,
    /// Time of the first message; the oldest one when absent.
    pub start_at: Option<UnixMillis>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Lists the newest messages of a room, the oldest of them first; the page token leads to older ones (BEHAVIOUR CH-38).
///
/// Fails like `describeMessages`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room/{roomName}/message/latest", name = "describeLatestMessages",
    component = "message", maybe_player, answer = Page<Message>)]
pub struct DescribeLatestMessages {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Password of the room; not looked at when it has none.
    pub password: Option<RoomPassword>,
    /// Only messages of this category.
    #[field(0..=2147483645)]
    pub category: Option<i32>,
    /// Before which messages the page ends.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Lists the newest messages of a room for a player, the oldest of them first. Needs the password too (BEHAVIOUR CH-10,
/// CH-38).
///
/// Fails like `describeMessages`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room/{roomName}/message/latest/get", name = "describeLatestMessagesByUserId",
    component = "message", answer = Page<Message>)]
pub struct DescribeLatestMessagesByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Password of the room; not looked at when it has none.
    pub password: Option<RoomPassword>,
    /// Only messages of this category.
    #[field(0..=2147483645)]
    pub category: Option<i32>,
    /// Player who reads.
    pub user_id: UserId,
    /// Before which messages the page ends.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Posts a message in the player's name (BEHAVIOUR CH-31).
///
/// Subscribers are told after the answer (CH-54). Fails like `describeMessages`; with 400 `message.category.invalid` when an
/// access token is used and the category's model has `rejectAccessTokenPost` (CH-32); with 400 when the namespace's script does
/// not permit it (CH-72).
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/room/{roomName}/message/user/{userId}", name = "post", component = "message",
    me = "/{namespaceName}/room/{roomName}/message", answer = Item<Message>)]
pub struct Post {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// What kind of message it is; 0 when absent.
    #[field(0..=2147483645, default = 0)]
    pub category: i32,
    /// The text.
    pub metadata: MessageMetadata,
    /// Password of the room; not looked at when it has none.
    pub password: Option<RoomPassword>,
}

/// Gets a message.
///
/// Fails like `describeMessages`, and with 404 `message`, also when it has expired (BEHAVIOUR CH-42).
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room/{roomName}/message/{messageName}", name = "getMessage",
    component = "message", maybe_player, answer = Item<Message>)]
pub struct GetMessage {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Name of the message.
    pub message_name: MessageName,
    /// Password of the room; not looked at when it has none.
    pub password: Option<RoomPassword>,
}

/// Gets a message for a player. Needs the password too (BEHAVIOUR CH-10).
///
/// Fails like `getMessage`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room/{roomName}/message/{messageName}/get", name = "getMessageByUserId",
    component = "message", answer = Item<Message>)]
pub struct GetMessageByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Name of the message.
    pub message_name: MessageName,
    /// Password of the room; not looked at when it has none.
    pub password: Option<RoomPassword>,
    /// Player who reads.
    pub user_id: UserId,
}

/// Removes a message; an operator's call, which needs no password (BEHAVIOUR CH-43).
///
/// The text of a room with a password is not answered: `metadata` is empty then (CH-10). Fails with 404 `message`, also when
/// somebody else than `userId` posted it, with 404 `room`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/room/{roomName}/message/{messageName}", name = "deleteMessage",
    component = "message", once, answer = Item<Message>)]
pub struct DeleteMessage {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Player who posted it.
    pub user_id: UserId,
    /// Name of the message.
    pub message_name: MessageName,
}
