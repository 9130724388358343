//! Rooms: `/chat/{namespaceName}/room…` (BEHAVIOUR CH-01 … CH-09).

use std::sync::Arc;

use hiroba_api::chat::{
    CreateRoom, CreateRoomFromBackend, DeleteRoom, DeleteRoomFromBackend, DescribeRooms, GetRoom, Namespace,
    Namespaces, Room, RoomMetadata, RoomName, RoomPassword, SERVICE, UpdateRoom, UpdateRoomFromBackend,
};
use hiroba_api::contract::{Item, Operation, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::names::{NamespaceName, UserId};
use hiroba_store::{Row, StoreError, Tx, params};
use serde_json::{Value, json};

use super::{access, hooks};
use crate::cx::Cx;
use crate::entropy::{random_bytes, uuid};
use crate::error::Error;
use crate::pipeline::Core;
use crate::registry::{Answered, Registry, Steps};
use crate::services::identifier::password_hash;
use crate::services::{namespaces, page};
use crate::vault::reseal::{self, SealedRows};
use crate::vault::{self, SealingKey, Vault};

/// What room keys are sealed as.
const KEY_PURPOSE: &str = "chat.room";
/// Rooms that are read at once; together they may be large.
const CHUNK: i64 = 64;
/// A time after all others: nothing is to be swept.
pub(super) const NEVER: i64 = i64::MAX;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of rooms whose names begin with a prefix: at least `$4`, below `$5`.
        SELECT_ROOMS = "SELECT name, room_id, user_id, metadata, password_hash, white_list, room_key, created_at,
                updated_at, revision
            FROM chat_room
            WHERE owner_id = $1 AND namespace_name = $2 AND name > $3 AND name >= $4 AND name < $5
            ORDER BY name LIMIT $6";
        /// One room.
        SELECT_ROOM = "SELECT name, room_id, user_id, metadata, password_hash, white_list, room_key, created_at,
                updated_at, revision
            FROM chat_room WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// The number of a room.
        SELECT_ROOM_ID = "SELECT room_id FROM chat_room WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// Adds a room unless there is one of this name.
        INSERT_ROOM = "INSERT INTO chat_room (owner_id, namespace_name, name, room_id, user_id, metadata, password_hash,
                white_list, room_key, created_at, updated_at, revision)
            VALUES ($1, $2, $3, hiroba_next_revision(), $4, $5, $6, $7, $8, $9, $9, 1)
            ON CONFLICT (owner_id, namespace_name, name) DO NOTHING
            RETURNING room_id";
        /// Adds what changes with each post into a new room.
        INSERT_STATE = "INSERT INTO chat_room_state (room_id, room_revision, last_message_at, subscriptions, sweep_at)
            VALUES ($1, 1, 0, 0, $2)";
        /// Replaces what is set of a room.
        UPDATE_ROOM = "UPDATE chat_room SET metadata = $4, password_hash = $5, white_list = $6, updated_at = $7,
                revision = revision + 1
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, room_id, user_id, metadata, password_hash, white_list, room_key, created_at, updated_at,
                revision";
        /// What is remembered of a room holds no more.
        UPDATE_REVISION = "UPDATE chat_room_state SET room_revision = $2 WHERE room_id = $1";
        /// Removes a room.
        DELETE_ROOM = "DELETE FROM chat_room WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// Removes what changes with each post into a room: from now on nobody posts, reads or is told.
        DELETE_STATE = "DELETE FROM chat_room_state WHERE room_id = $1";
        /// Leaves what belonged to a room to the sweeper.
        INSERT_ENDED = "INSERT INTO chat_ended_room (room_id) VALUES ($1)";
        /// Leaves what belonged to all rooms of a namespace to the sweeper.
        INSERT_ALL_ENDED = "INSERT INTO chat_ended_room (room_id)
            SELECT room_id FROM chat_room WHERE owner_id = $1 AND namespace_name = $2";
        /// Removes what changes with each post into the rooms of a namespace.
        DELETE_ALL_STATES = "DELETE FROM chat_room_state WHERE room_id IN (
            SELECT room_id FROM chat_room WHERE owner_id = $1 AND namespace_name = $2)";
        /// Removes all rooms of a namespace.
        DELETE_ALL = "DELETE FROM chat_room WHERE owner_id = $1 AND namespace_name = $2";
        /// Some rooms behind one, with their keys.
        SELECT_KEYS = "SELECT owner_id, namespace_name, name, room_key FROM chat_room
            WHERE (owner_id, namespace_name, name) > ($1, $2, $3)
            ORDER BY owner_id, namespace_name, name LIMIT $4";
        /// Replaces the key of a room by the same under another master key.
        UPDATE_KEY = "UPDATE chat_room SET room_key = $5
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3 AND room_key = $4";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_rooms);
    registry.read(get_room);
    registry.steps(create_room);
    registry.steps(create_room_from_backend);
    registry.steps(update_room);
    registry.steps(update_room_from_backend);
    registry.steps(delete_room);
    registry.steps(delete_room_from_backend);
}

/// A room as its row holds it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) name: RoomName,
    pub(super) room_id: i64,
    pub(super) user_id: Option<UserId>,
    metadata: Option<RoomMetadata>,
    pub(super) password_hash: Option<String>,
    pub(super) white_list: Vec<UserId>,
    key: Vec<u8>,
    created_at: i64,
    updated_at: i64,
    pub(super) revision: i64,
}

impl Stored {
    pub(super) fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            name: RoomName::trusted(row.text(0)?),
            room_id: row.int(1)?,
            user_id: row.opt_text(2)?.map(UserId::trusted),
            metadata: row.opt_text(3)?.map(RoomMetadata::trusted),
            password_hash: row.opt_text(4)?,
            white_list: white_list(row.text_ref(5)?),
            key: row.blob(6)?,
            created_at: row.int(7)?,
            updated_at: row.int(8)?,
            revision: row.int(9)?,
        })
    }

    pub(super) fn model(&self, cx: &Cx, namespace: &str) -> Room {
        Room {
            room_id: cx.grn(&SERVICE, &format!("{namespace}:room:{}", self.name)),
            name: self.name.clone(),
            user_id: self.user_id.clone(),
            metadata: self.metadata.clone(),
            // Only its hash is known.
            password: None,
            white_list_user_ids: self.white_list.clone(),
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
            revision: self.revision,
        }
    }

    /// Refuses who acts as somebody else than the creator (BEHAVIOUR CH-06).
    fn check_owner(&self, acting: Option<&UserId>) -> Result<(), Error> {
        match acting {
            Some(user) if self.user_id.as_ref() != Some(user) => {
                let detail =
                    format!("player `{user}` did not create room `{}`; only its creator may", self.name);
                Err(access::not_included(detail))
            }
            _ => Ok(()),
        }
    }
}

/// The players of a stored list; what is no list holds nobody who could be let in.
fn white_list(text: &str) -> Vec<UserId> {
    serde_json::from_str::<Vec<String>>(text).unwrap_or_default().into_iter().map(UserId::trusted).collect()
}

/// The room of this name.
///
/// Fails with 404 `room`, or `namespace` when even that is missing (BEHAVIOUR E-08).
pub(super) fn require(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &NamespaceName,
    name: &RoomName,
) -> Result<Stored, Error> {
    let params = params![cx.owner(), namespace.as_str(), name.as_str()];
    match tx.query_opt(sql::SELECT_ROOM, params, Stored::read)? {
        Some(stored) => Ok(stored),
        None => missing(tx, cx, namespace, name),
    }
}

/// The number of the room of this name; fails like [`require`].
pub(super) fn require_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &NamespaceName,
    name: &RoomName,
) -> Result<i64, Error> {
    let params = params![cx.owner(), namespace.as_str(), name.as_str()];
    match tx.query_opt(sql::SELECT_ROOM_ID, params, |row| row.int(0))? {
        Some(room_id) => Ok(room_id),
        None => missing(tx, cx, namespace, name),
    }
}

fn missing<T>(tx: &mut Tx<'_>, cx: &Cx, namespace: &NamespaceName, name: &RoomName) -> Result<T, Error> {
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    Err(ApiError::not_found(SERVICE.name, "room", format!("there is no room `{name}`")).into())
}

/// What the key of a room is bound to.
fn key_context(owner: &str, namespace: &str, name: &str) -> Vec<u8> {
    vault::context(&[owner, namespace, name])
}

/// The key of a room's messages.
pub(super) fn open_key(cx: &Cx, namespace: &str, stored: &Stored) -> Result<SealingKey, Error> {
    let context = key_context(cx.owner(), namespace, &stored.name);
    let key = cx.core.vault.open(KEY_PURPOSE, &context, &stored.key)?;
    let key: [u8; 32] =
        key.try_into().map_err(|_| Error::Internal(format!("the key of room {} is damaged", stored.name)))?;
    Ok(SealingKey::new(&key))
}

/// Keys of rooms, for the change of the master key.
struct Keys;

impl SealedRows for Keys {
    const WHAT: &'static str = "keys of chat rooms";
    type Key = (String, String, String);
    type Value = Vec<u8>;

    fn select(
        tx: &mut Tx<'_>,
        (owner, namespace, name): &Self::Key,
        count: i64,
    ) -> Result<Vec<(Self::Key, Vec<u8>)>, Error> {
        let params = params![owner, namespace, name, count];
        Ok(tx.query(sql::SELECT_KEYS, params, |row| {
            Ok(((row.text(0)?, row.text(1)?, row.text(2)?), row.blob(3)?))
        })?)
    }

    fn renewed(
        vault: &Vault,
        (owner, namespace, name): &Self::Key,
        key: &Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Error> {
        vault.renewed(KEY_PURPOSE, &key_context(owner, namespace, name), key)
    }

    fn replace(
        tx: &mut Tx<'_>,
        (owner, namespace, name): &Self::Key,
        old: &Vec<u8>,
        new: &Vec<u8>,
    ) -> Result<u64, Error> {
        let params = params![owner, namespace, name, old.as_slice(), new.as_slice()];
        Ok(tx.execute(sql::UPDATE_KEY, params)?)
    }
}

/// Has the keys of rooms under the current master key; answers how many were not.
pub(crate) async fn reseal(core: &Core) -> Result<u64, Error> {
    reseal::rows::<Keys>(core).await
}

fn describe_rooms(tx: &mut Tx<'_>, cx: &Cx, request: &DescribeRooms) -> Result<Page<Room>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    // No character sorts above the last code point, so this bounds every name that begins with the prefix.
    let below = format!("{prefix}\u{10ffff}");
    let after = page::after(request.page_token.as_ref()).to_owned();
    let select = |after: &String, count| {
        let params = params![cx.owner(), namespace, after, prefix, &below, count];
        Ok(tx.query(sql::SELECT_ROOMS, params, Stored::read)?)
    };
    let bytes = |room: &Stored| room.white_list.iter().map(|user| user.len()).sum::<usize>() + 1024;
    let page = page::bounded(request.limit, after, CHUNK, select, |room| room.name.to_string(), bytes)?;
    let items = page.items.iter().map(|room| room.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token: page.next_page_token })
}

fn get_room(tx: &mut Tx<'_>, cx: &Cx, request: &GetRoom) -> Result<Item<Room>, Error> {
    let stored = require(tx, cx, &request.namespace_name, &request.room_name)?;
    Ok(Item { item: stored.model(cx, &request.namespace_name) })
}

/// What is set of a room.
#[derive(Debug, Clone)]
struct Settings {
    metadata: Option<RoomMetadata>,
    password: Option<RoomPassword>,
    white_list: Vec<UserId>,
}

impl Settings {
    fn new(
        metadata: Option<&RoomMetadata>,
        password: Option<&RoomPassword>,
        white_list: Option<&[UserId]>,
    ) -> Settings {
        Settings {
            metadata: metadata.cloned(),
            password: password.cloned(),
            white_list: white_list.unwrap_or_default().to_vec(),
        }
    }

    /// Hash of the password; an empty one is none.
    async fn password_hash(&self, cx: &Arc<Cx>) -> Result<Option<String>, Error> {
        match self.password.clone().filter(|password| !password.is_empty()) {
            Some(password) => {
                let salt = cx.entropy.bytes();
                Ok(Some(cx.core.hash(move || password_hash(&password, &salt)).await?))
            }
            None => Ok(None),
        }
    }

    fn white_list_text(&self) -> String {
        Value::from_iter(self.white_list.iter().map(|user| user.as_str())).to_string()
    }
}

/// What the scripts of rooms get (BEHAVIOUR CH-71).
fn hook_args(namespace: &Namespace, room: &Room) -> Value {
    json!({ "namespace": namespace, "room": room })
}

async fn create_room(steps: Steps<CreateRoom>) -> Result<Answered, Error> {
    let request = steps.request();
    let settings = Settings::new(
        request.metadata.as_ref(),
        request.password.as_ref(),
        request.white_list_user_ids.as_deref(),
    );
    let (namespace, name) = (request.namespace_name.clone(), request.name.clone());
    let creator = steps.cx.user()?.clone();
    create(steps, (namespace, name), Some(creator), settings, true).await
}

async fn create_room_from_backend(steps: Steps<CreateRoomFromBackend>) -> Result<Answered, Error> {
    let request = steps.request();
    let settings = Settings::new(
        request.metadata.as_ref(),
        request.password.as_ref(),
        request.white_list_user_ids.as_deref(),
    );
    let (namespace, name) = (request.namespace_name.clone(), request.name.clone());
    let creator = request.user_id.clone();
    create(steps, (namespace, name), creator, settings, false).await
}

async fn create<O: Operation<Answer = Item<Room>>>(
    steps: Steps<O>,
    (namespace, name): (NamespaceName, Option<RoomName>),
    creator: Option<UserId>,
    settings: Settings,
    by_player: bool,
) -> Result<Answered, Error> {
    let cx = Arc::clone(&steps.cx);
    if let Some(answered) = steps.asked_before().await? {
        return Ok(answered);
    }
    let namespace = namespaces::cached::<Namespaces>(&cx, &namespace).await?;
    if by_player && !namespace.allow_create_room {
        let detail = "players create no rooms in this namespace (`allowCreateRoom`)";
        return Err(access::not_included(detail));
    }
    let name = name.unwrap_or_else(|| RoomName::trusted(uuid(cx.entropy.bytes())));
    let sealed = new_key(&cx, &namespace.name, &name)?;
    let stored = Stored {
        name,
        room_id: 0,
        user_id: creator,
        metadata: settings.metadata.clone(),
        password_hash: settings.password_hash(&cx).await?,
        white_list: settings.white_list.clone(),
        key: sealed,
        created_at: cx.now.0,
        updated_at: cx.now.0,
        revision: 1,
    };
    let room = stored.model(&cx, &namespace.name);
    let args = hooks::args(namespace.create_room_script.as_ref(), || hook_args(&namespace, &room));
    let hook = hooks::Hook::new("room", "createRoom", stored.user_id.as_ref(), args);
    hook.before(&cx, &namespace, namespace.create_room_script.as_ref()).await?;
    let white_list = settings.white_list_text();
    let create = move |tx: &mut Tx<'_>, cx: &Cx, _: &O| {
        namespaces::require::<Namespaces>(tx, cx, &namespace.name)?;
        let params = params![
            cx.owner(),
            namespace.name.as_str(),
            stored.name.as_str(),
            stored.user_id.as_deref(),
            stored.metadata.as_deref(),
            stored.password_hash.as_ref(),
            &white_list,
            stored.key.as_slice(),
            stored.created_at
        ];
        let Some(room_id) = tx.query_opt(sql::INSERT_ROOM, params, |row| row.int(0))? else {
            return Err(ApiError::exists(SERVICE.name, "room", &stored.name).into());
        };
        tx.execute(sql::INSERT_STATE, params![room_id, NEVER])?;
        hook.done(tx, cx, namespace.create_room_script.as_ref())?;
        Ok(Item { item: room.clone() })
    };
    steps.write(create).await
}

async fn update_room(steps: Steps<UpdateRoom>) -> Result<Answered, Error> {
    let request = steps.request();
    let settings = Settings::new(
        request.metadata.as_ref(),
        request.password.as_ref(),
        request.white_list_user_ids.as_deref(),
    );
    let place = (request.namespace_name.clone(), request.room_name.clone());
    let acting = steps.cx.user()?.clone();
    update(steps, place, Some(acting), settings).await
}

async fn update_room_from_backend(steps: Steps<UpdateRoomFromBackend>) -> Result<Answered, Error> {
    let request = steps.request();
    let settings = Settings::new(
        request.metadata.as_ref(),
        request.password.as_ref(),
        request.white_list_user_ids.as_deref(),
    );
    let place = (request.namespace_name.clone(), request.room_name.clone());
    let acting = request.user_id.clone();
    update(steps, place, acting, settings).await
}

async fn update<O: Operation<Answer = Item<Room>>>(
    steps: Steps<O>,
    (namespace, name): (NamespaceName, RoomName),
    acting: Option<UserId>,
    settings: Settings,
) -> Result<Answered, Error> {
    let cx = Arc::clone(&steps.cx);
    if let Some(answered) = steps.asked_before().await? {
        return Ok(answered);
    }
    let password_hash = settings.password_hash(&cx).await?;
    let white_list = settings.white_list_text();
    let update = move |tx: &mut Tx<'_>, cx: &Cx, _: &O| {
        require(tx, cx, &namespace, &name)?.check_owner(acting.as_ref())?;
        let params = params![
            cx.owner(),
            namespace.as_str(),
            name.as_str(),
            settings.metadata.as_deref(),
            password_hash.as_ref(),
            &white_list,
            cx.now.0
        ];
        let stored = tx.query_opt(sql::UPDATE_ROOM, params, Stored::read)?;
        let stored = stored.ok_or_else(|| Error::Internal("a room went while it was changed".to_owned()))?;
        tx.execute(sql::UPDATE_REVISION, params![stored.room_id, stored.revision])?;
        Ok(Item { item: stored.model(cx, &namespace) })
    };
    steps.write(update).await
}

async fn delete_room(steps: Steps<DeleteRoom>) -> Result<Answered, Error> {
    let request = steps.request();
    let place = (request.namespace_name.clone(), request.room_name.clone());
    let acting = steps.cx.user()?.clone();
    delete(steps, place, Some(acting)).await
}

async fn delete_room_from_backend(steps: Steps<DeleteRoomFromBackend>) -> Result<Answered, Error> {
    let request = steps.request();
    let place = (request.namespace_name.clone(), request.room_name.clone());
    let acting = request.user_id.clone();
    delete(steps, place, acting).await
}

async fn delete<O: Operation<Answer = Item<Room>>>(
    steps: Steps<O>,
    (namespace, name): (NamespaceName, RoomName),
    acting: Option<UserId>,
) -> Result<Answered, Error> {
    let cx = Arc::clone(&steps.cx);
    if let Some(answered) = steps.asked_before().await? {
        return Ok(answered);
    }
    let namespace = namespaces::cached::<Namespaces>(&cx, &namespace).await?;
    if hooks::has_before(namespace.delete_room_script.as_ref()) {
        let (reading, of, named) = (Arc::clone(&cx), namespace.name.clone(), name.clone());
        let stored = cx.read(move |tx| require(tx, &reading, &of, &named)).await?;
        stored.check_owner(acting.as_ref())?;
        let args = hook_args(&namespace, &stored.model(&cx, &namespace.name));
        let hook = hooks::Hook::new("room", "deleteRoom", acting.as_ref(), args);
        hook.before(&cx, &namespace, namespace.delete_room_script.as_ref()).await?;
    }
    let delete = move |tx: &mut Tx<'_>, cx: &Cx, _: &O| {
        let stored = require(tx, cx, &namespace.name, &name)?;
        stored.check_owner(acting.as_ref())?;
        remove(tx, cx, &namespace.name, &stored)?;
        let room = stored.model(cx, &namespace.name);
        let args = hooks::args(namespace.delete_room_script.as_ref(), || hook_args(&namespace, &room));
        hooks::Hook::new("room", "deleteRoom", acting.as_ref(), args).done(
            tx,
            cx,
            namespace.delete_room_script.as_ref(),
        )?;
        Ok(Item { item: room })
    };
    steps.write(delete).await
}

/// Removes a room; what belongs to it is left to the sweeper, and nobody sees it any more.
pub(super) fn remove(tx: &mut Tx<'_>, cx: &Cx, namespace: &str, stored: &Stored) -> Result<(), Error> {
    tx.execute(sql::DELETE_ROOM, params![cx.owner(), namespace, stored.name.as_str()])?;
    tx.execute(sql::DELETE_STATE, params![stored.room_id])?;
    tx.execute(sql::INSERT_ENDED, params![stored.room_id])?;
    Ok(())
}

/// Key of a new room, as its row keeps it.
pub(super) fn new_key(cx: &Cx, namespace: &str, name: &str) -> Result<Vec<u8>, Error> {
    cx.core.vault.seal(KEY_PURPOSE, &key_context(cx.owner(), namespace, name), &random_bytes())
}

/// Removes all rooms of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    let params = params![cx.owner(), namespace];
    tx.execute(sql::INSERT_ALL_ENDED, params)?;
    tx.execute(sql::DELETE_ALL_STATES, params)?;
    tx.execute(sql::DELETE_ALL, params)?;
    Ok(())
}
