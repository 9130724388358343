//! Rooms: `/chat/{namespaceName}/room…`.

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{NamePrefix, NamespaceName, PageLimit, PageToken, UserId, name_characters, text_type};
use crate::{Model, Operation};

text_type! {
    /// Name of a room: letters, digits, `-`, `_`, `.`, at most 128; a UUID where nobody chooses one (BEHAVIOUR N-01, CH-03).
    RoomName, 1..=128, name_characters
}
text_type! {
    /// What a game keeps with a room, at most 1,024 characters (BEHAVIOUR CH-03).
    RoomMetadata, 0..=1024, |_| Ok(())
}
text_type! {
    /// Password of a room, at most 128 characters; the empty text is none (BEHAVIOUR CH-03).
    secret RoomPassword, 0..=128, |_| Ok(())
}

/// A room. It has no members: whoever knows its name, and its password if it has one, reads and posts, unless
/// `whiteListUserIds` says who may (BEHAVIOUR CH-01).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Room {
    /// GRN of the room.
    pub room_id: String,
    /// Name.
    pub name: RoomName,
    /// Player who created it; absent for a room of the game itself (BEHAVIOUR CH-04).
    pub user_id: Option<UserId>,
    /// What the game keeps with it.
    pub metadata: Option<RoomMetadata>,
    /// Never answered: the server keeps only a hash of it (BEHAVIOUR CH-08).
    pub password: Option<RoomPassword>,
    /// Players who may read and post; everybody when empty (BEHAVIOUR CH-21).
    #[field(0..=1000)]
    pub white_list_user_ids: Vec<UserId>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed; posting does not change it.
    pub updated_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// Lists the rooms by name, ascending. Needs no password (BEHAVIOUR CH-08).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room", name = "describeRooms", component = "room", answer = Page<Room>)]
pub struct DescribeRooms {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only names that begin so.
    pub name_prefix: Option<NamePrefix>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates a room of the player's (BEHAVIOUR CH-02, CH-03).
///
/// Fails with 400 `room.allowUserIds.notInclude` when the namespace's `allowCreateRoom` is false, with 400 `exists` when there
/// is a room of this name (CH-05), with 400 when the namespace's script does not permit it (CH-72), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/room/user", name = "createRoom", component = "room", player,
    answer = Item<Room>)]
pub struct CreateRoom {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room; a UUID when absent.
    pub name: Option<RoomName>,
    /// What the game keeps with it.
    pub metadata: Option<RoomMetadata>,
    /// Password; none when absent or empty.
    pub password: Option<RoomPassword>,
    /// Players who may read and post; everybody when absent or empty. The creator is no exception (BEHAVIOUR CH-21).
    #[field(0..=1000)]
    pub white_list_user_ids: Option<Vec<UserId>>,
}

/// Creates a room for the game or in a player's name, whatever `allowCreateRoom` says (BEHAVIOUR CH-04).
///
/// Fails with 400 `exists` when there is a room of this name (CH-05), with 400 when the namespace's script does not permit it
/// (CH-72), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/room", name = "createRoomFromBackend", component = "room", once,
    answer = Item<Room>)]
pub struct CreateRoomFromBackend {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room; a UUID when absent.
    pub name: Option<RoomName>,
    /// Player who becomes its creator; nobody when absent.
    pub user_id: Option<UserId>,
    /// What the game keeps with it.
    pub metadata: Option<RoomMetadata>,
    /// Password; none when absent or empty.
    pub password: Option<RoomPassword>,
    /// Players who may read and post; everybody when absent or empty.
    #[field(0..=1000)]
    pub white_list_user_ids: Option<Vec<UserId>>,
}

/// Gets a room. Needs no password (BEHAVIOUR CH-08).
///
/// Fails with 404 `room`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/room/{roomName}", name = "getRoom", component = "room", answer = Item<Room>)]
pub struct GetRoom {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
}

/// Replaces what is set of the player's own room; what is left out is removed, the password too (BEHAVIOUR CH-06, CH-07).
///
/// Messages that were posted before stay readable under the new rule. Fails with 400 `room.allowUserIds.notInclude` when
/// somebody else created it, with 404 `room`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/room/{roomName}/user", name = "updateRoom", component = "room", player,
    answer = Item<Room>)]
pub struct UpdateRoom {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// What the game keeps with it.
    pub metadata: Option<RoomMetadata>,
    /// Password; none when absent or empty.
    pub password: Option<RoomPassword>,
    /// Players who may read and post; everybody when absent or empty.
    #[field(0..=1000)]
    pub white_list_user_ids: Option<Vec<UserId>>,
}

/// Replaces what is set of a room; what is left out is removed, the password too (BEHAVIOUR CH-06, CH-07).
///
/// Fails with 400 `room.allowUserIds.notInclude` when `userId` is given and did not create it, with 404 `room`, with 404
/// `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/room/{roomName}", name = "updateRoomFromBackend", component = "room", once,
    answer = Item<Room>)]
pub struct UpdateRoomFromBackend {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// What the game keeps with it.
    pub metadata: Option<RoomMetadata>,
    /// Password; none when absent or empty.
    pub password: Option<RoomPassword>,
    /// Players who may read and post; everybody when absent or empty.
    #[field(0..=1000)]
    pub white_list_user_ids: Option<Vec<UserId>>,
    /// Player who must have created the room; not looked at when absent.
    pub user_id: Option<UserId>,
}

/// Deletes the player's own room with its messages and subscriptions (BEHAVIOUR CH-06, CH-09).
///
/// Fails with 400 `room.allowUserIds.notInclude` when somebody else created it, with 400 when the namespace's script does not
/// permit it (CH-72), with 404 `room`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/room/{roomName}/user", name = "deleteRoom", component = "room", player,
    answer = Item<Room>)]
pub struct DeleteRoom {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
}

/// Deletes a room with its messages and subscriptions (BEHAVIOUR CH-06, CH-09).
///
/// Fails with 400 `room.allowUserIds.notInclude` when `userId` is given and did not create it, with 400 when the namespace's
/// script does not permit it (CH-72), with 404 `room`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/room/{roomName}", name = "deleteRoomFromBackend", component = "room", once,
    answer = Item<Room>)]
pub struct DeleteRoomFromBackend {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the room.
    pub room_name: RoomName,
    /// Player who must have created the room; not looked at when absent.
    pub user_id: Option<UserId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stays_out_of_logs() {
        let request = UpdateRoom {
            namespace_name: NamespaceName::trusted("n"),
            room_name: RoomName::trusted("r"),
            metadata: None,
            password: Some(RoomPassword::trusted("hidden")),
            white_list_user_ids: None,
        };
        assert!(!format!("{request:?}").contains("hidden"));
    }
}
