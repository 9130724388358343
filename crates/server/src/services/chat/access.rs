//! Who may read and post in a room (BEHAVIOUR CH-10, CH-20 … CH-23), and what is remembered of rooms so that posting reads
//! nothing.
//!
//! **Invariant:** what is remembered of a room decides nothing by itself: the transaction that it lets in checks that the room
//! still has the revision that is remembered.

use std::collections::HashSet;
use std::sync::Arc;

use aws_lc_rs::hmac;
use hiroba_api::chat::{RoomName, RoomPassword, SERVICE};
use hiroba_api::error::ApiError;
use hiroba_api::names::{NamespaceName, UserId};
use hiroba_store::{Engine, Tx, params};
use quick_cache::sync::Cache;

use super::room::{self, Stored};
use crate::cx::Cx;
use crate::entropy::random_bytes;
use crate::error::Error;
use crate::services::identifier::password_matches;
use crate::vault::SealingKey;

/// Bytes that remembered rooms may take together.
const ROOMS_BYTES_MAX: u64 = 32 << 20;
/// Bytes of a remembered room beside its list of players.
const ROOM_BYTES: usize = 1024;
/// Passwords that are remembered as right.
const PASSWORDS_MAX: usize = 50_000;
/// How often a call finds that its room was changed meanwhile before it gives up.
const CHANGES_MAX: u32 = 16;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The revision of a room that exists.
        SELECT_REVISION = "SELECT room_revision FROM chat_room_state WHERE room_id = $1";
    }
}

/// A room as it is remembered.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) stored: Stored,
    /// The key of the messages.
    pub(super) key: SealingKey,
    /// Players who may read and post; everybody when empty.
    guests: HashSet<UserId>,
}

/// Turns for posting, each for many rooms.
const TURNS: usize = 256;

/// What is remembered of rooms.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// On PostgreSQL the posts of this node into a room are made one after the other: at the same time they would be in
    /// conflict, and tell subscribers in another order.
    turns: Vec<tokio::sync::Mutex<()>>,
    loaded: Cache<String, Arc<Room>, Weight>,
    /// Right passwords, as keyed hashes under a key that only this process knows. Argon2 takes tens of milliseconds, which a
    /// room can afford once for each password, not for each post.
    verified: Cache<[u8; 32], ()>,
    key: hmac::Key,
}

#[derive(Debug, Clone)]
struct Weight;

impl quick_cache::Weighter<String, Arc<Room>> for Weight {
    fn weight(&self, _: &String, room: &Arc<Room>) -> u64 {
        let guests: usize = room.guests.iter().map(|guest| guest.len() + 64).sum();
        (ROOM_BYTES + guests) as u64
    }
}

impl Default for Rooms {
    fn default() -> Self {
        let rooms_max = usize::try_from(ROOMS_BYTES_MAX).unwrap_or(usize::MAX) / ROOM_BYTES;
        Rooms {
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::default()).collect(),
            loaded: Cache::with_weighter(rooms_max, ROOMS_BYTES_MAX, Weight),
            verified: Cache::new(PASSWORDS_MAX),
            key: hmac::Key::new(hmac::HMAC_SHA256, &random_bytes()),
        }
    }
}

impl Rooms {
    /// The turn of a room, where posts at the same time are in each other's way.
    pub(super) async fn turn(&self, room_id: i64, engine: Engine) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let turn = usize::try_from(room_id).unwrap_or_default() % TURNS;
                Some(self.turns[turn].lock().await)
            }
        }
    }

    /// Under which a right password is remembered. Its room's hash has a salt, so a password that changed has another one.
    fn verified_key(&self, hash: &str, password: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.key, [hash, password].join("\n").as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }
}

/// The room of this name, remembered or read.
///
/// Fails with 404 `room`, or `namespace` when even that is missing (BEHAVIOUR CH-20, E-08).
async fn find(cx: &Arc<Cx>, namespace: &NamespaceName, name: &RoomName) -> Result<Arc<Room>, Error> {
    match cx.core.chat.rooms.loaded.get(&remembered_key(cx, namespace, name)) {
        Some(room) => Ok(room),
        None => read_anew(cx, namespace, name).await,
    }
}

/// The room of this name, read again because what was remembered of it does not hold any more.
async fn read_anew(cx: &Arc<Cx>, namespace: &NamespaceName, name: &RoomName) -> Result<Arc<Room>, Error> {
    let (reading, of, named) = (Arc::clone(cx), namespace.clone(), name.clone());
    let stored = cx.read(move |tx| room::require(tx, &reading, &of, &named)).await?;
    let key = room::open_key(cx, namespace, &stored)?;
    let guests = stored.white_list.iter().cloned().collect();
    let room = Arc::new(Room { stored, key, guests });
    cx.core.chat.rooms.loaded.insert(remembered_key(cx, namespace, name), Arc::clone(&room));
    Ok(room)
}

fn remembered_key(cx: &Cx, namespace: &str, name: &str) -> String {
    // Neither owner nor namespace can hold a line feed.
    [cx.owner(), namespace, name].join("\n")
}

/// Whether a remembered room is still as it is remembered.
pub(super) fn is_current(tx: &mut Tx<'_>, room: &Room) -> Result<bool, Error> {
    let revision = tx.query_opt(sql::SELECT_REVISION, params![room.stored.room_id], |row| row.int(0))?;
    Ok(revision == Some(room.stored.revision))
}

/// Who wants to enter a room.
#[derive(Clone, Copy)]
pub(super) struct Guest<'a> {
    /// The player; `None` for a call without an access token.
    pub(super) user: Option<&'a UserId>,
    /// What they give as the room's password.
    pub(super) password: Option<&'a RoomPassword>,
}

/// Lets somebody into a room as it is remembered. A refusal, too, must rest on what the room is: fails with [`Error::Stale`]
/// instead when that has changed.
pub(super) async fn check(cx: &Arc<Cx>, room: &Arc<Room>, guest: Guest<'_>) -> Result<(), Error> {
    match admit(cx, room, guest).await {
        Err(Error::Refused(refusal)) => {
            let reading = Arc::clone(room);
            match cx.read(move |tx| is_current(tx, &reading)).await? {
                true => Err(Error::Refused(refusal)),
                false => Err(Error::Stale),
            }
        }
        admitted => admitted,
    }
}

async fn admit(cx: &Arc<Cx>, room: &Room, Guest { user, password }: Guest<'_>) -> Result<(), Error> {
    // The owner is no exception (BEHAVIOUR CH-21).
    if !room.guests.is_empty() && !user.is_some_and(|user| room.guests.contains(user)) {
        let detail = match user {
            Some(user) => format!("`whiteListUserIds` of the room does not hold player `{user}`"),
            None => {
                "the room is for the players in its `whiteListUserIds`: send an access token or a user id"
                    .to_owned()
            }
        };
        return Err(not_included(detail));
    }
    let Some(hash) = &room.stored.password_hash else { return Ok(()) };
    let refuse = |problem, detail| {
        Err(ApiError::bad_request(SERVICE.name, "room", "password", problem, detail).into())
    };
    let Some(password) = password.filter(|password| !password.is_empty()) else {
        return refuse("require", "the room has a password: send it as `password`");
    };
    let key = cx.core.chat.rooms.verified_key(hash, password);
    if cx.core.chat.rooms.verified.get(&key).is_some() {
        return Ok(());
    }
    let (core, given, hash) = (Arc::clone(&cx.core), password.clone(), hash.clone());
    let verify = move || {
        let verified = &core.chat.rooms.verified;
        // Many come with a new password at once, and wait for each other here.
        if verified.get(&key).is_some() {
            return Ok(true);
        }
        let right = password_matches(&given, &hash)?;
        if right {
            verified.insert(key, ());
        }
        Ok(right)
    };
    match cx.core.hash(verify).await? {
        true => Ok(()),
        false => refuse("invalid", "this is not the password of the room"),
    }
}

/// 400 with the code of the protocol for those who are not meant (BEHAVIOUR CH-02, CH-06, CH-21).
pub(super) fn not_included(detail: impl Into<String>) -> Error {
    ApiError::bad_request(SERVICE.name, "room", "allowUserIds", "notInclude", detail).into()
}

/// Does something with a room. `attempt` gets what is remembered of it and fails with [`Error::Stale`] when that does not hold
/// any more; then it is done again with what holds now.
pub(super) async fn with_room<T, F>(
    cx: &Arc<Cx>,
    (namespace, name): (&NamespaceName, &RoomName),
    attempt: impl Fn(Arc<Room>) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut room = find(cx, namespace, name).await?;
    for _ in 0..CHANGES_MAX {
        match attempt(room).await {
            Err(Error::Stale) => room = read_anew(cx, namespace, name).await?,
            answer => return answer,
        }
    }
    let detail = "the room is changing all the time; try again";
    Err(ApiError::conflict(SERVICE.name, "room", "revision", "conflict", detail).into())
}

/// Reads from a room that the caller may enter.
pub(super) async fn read<T: Send + 'static>(
    cx: &Arc<Cx>,
    place: (&NamespaceName, &RoomName),
    guest: Guest<'_>,
    select: impl Fn(&mut Tx<'_>, &Room) -> Result<T, Error> + Send + Sync + 'static,
) -> Result<(Arc<Room>, T), Error> {
    let select = Arc::new(select);
    let attempt = |room: Arc<Room>| {
        let (reading, select) = (Arc::clone(&room), Arc::clone(&select));
        async move {
            check(cx, &room, guest).await?;
            let read = move |tx: &mut Tx<'_>| {
                if is_current(tx, &reading)? { select(tx, &reading) } else { Err(Error::Stale) }
            };
            Ok((room, cx.read(read).await?))
        }
    };
    with_room(cx, place, attempt).await
}
