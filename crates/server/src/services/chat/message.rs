//! Messages: `/chat/{namespaceName}/room/{roomName}/message…` (BEHAVIOUR CH-20 … CH-44).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hiroba_api::chat::{
    DeleteMessage, DescribeLatestMessages, DescribeLatestMessagesByUserId, DescribeMessages,
    DescribeMessagesByUserId, GetMessage, GetMessageByUserId, Message, MessageMetadata, MessageName,
    Namespace, Namespaces, Post, RoomName, SERVICE,
};
use hiroba_api::contract::{Item, Items, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::names::{NamespaceName, PageLimit, PageToken, UserId};
use hiroba_store::{Row, StoreError, Tx, params};
use serde_json::{Value, json};

use super::access::{self, Guest, Room};
use super::name::{self, Tag};
use super::{delivery, hooks, master, room};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::{Answered, Registry, Steps};
use crate::services::{namespaces, page};
use crate::vault::SealingKey;

pub(super) const DAY_MS: i64 = 24 * 3_600_000;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The next time in a room as it is remembered, which no other message has; no row when the room has changed.
        UPDATE_STATE = "UPDATE chat_room_state SET
                last_message_at = CASE WHEN last_message_at >= $3 THEN last_message_at + 1 ELSE $3 END,
                sweep_at = CASE WHEN sweep_at < $4 THEN sweep_at ELSE $4 END
            WHERE room_id = $1 AND room_revision = $2
            RETURNING last_message_at, subscriptions";
        /// Adds a message.
        INSERT_MESSAGE = "INSERT INTO chat_message (room_id, created_at, tag, user_id, category, metadata, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        /// The oldest messages from a time on.
        SELECT_MESSAGES = "SELECT created_at, tag, user_id, category, metadata FROM chat_message
            WHERE room_id = $1 AND created_at >= $2 AND expires_at > $3 ORDER BY created_at LIMIT $4";
        /// The oldest messages of a category from a time on.
        SELECT_MESSAGES_OF = "SELECT created_at, tag, user_id, category, metadata FROM chat_message
            WHERE room_id = $1 AND created_at >= $2 AND expires_at > $3 AND category = $5
            ORDER BY created_at LIMIT $4";
        /// The newest messages before a time.
        SELECT_LATEST = "SELECT created_at, tag, user_id, category, metadata FROM chat_message
            WHERE room_id = $1 AND created_at < $2 AND expires_at > $3 ORDER BY created_at DESC LIMIT $4";
        /// The newest messages of a category before a time.
        SELECT_LATEST_OF = "SELECT created_at, tag, user_id, category, metadata FROM chat_message
            WHERE room_id = $1 AND created_at < $2 AND expires_at > $3 AND category = $5
            ORDER BY created_at DESC LIMIT $4";
        /// One message.
        SELECT_MESSAGE = "SELECT created_at, tag, user_id, category, metadata FROM chat_message
            WHERE room_id = $1 AND created_at = $2 AND tag = $3 AND expires_at > $4";
        /// Removes a message of a player.
        DELETE_MESSAGE = "DELETE FROM chat_message
            WHERE room_id = $1 AND created_at = $2 AND tag = $3 AND expires_at > $4 AND user_id = $5
            RETURNING created_at, tag, user_id, category, metadata";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.call(describe_messages);
    registry.call(describe_messages_by_user_id);
    registry.call(describe_latest_messages);
    registry.call(describe_latest_messages_by_user_id);
    registry.steps(post);
    registry.call(get_message);
    registry.call(get_message_by_user_id);
    registry.steps(delete_message);
}

/// A message as its row holds it.
pub(super) struct Stored {
    pub(super) created_at: i64,
    pub(super) tag: Tag,
    pub(super) user_id: String,
    pub(super) category: i64,
    /// The text under the room's key.
    pub(super) sealed: Vec<u8>,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            created_at: row.int(0)?,
            // A tag of another length opens no text.
            tag: row.blob(1)?.try_into().unwrap_or_default(),
            user_id: row.text(2)?,
            category: row.int(3)?,
            sealed: row.blob(4)?,
        })
    }

    fn model(self, cx: &Cx, namespace: &str, room: &Room) -> Result<Message, Error> {
        self.opened(cx, (namespace, &room.stored), &room.key)
    }

    pub(super) fn opened(
        self,
        cx: &Cx,
        place: (&str, &room::Stored),
        key: &SealingKey,
    ) -> Result<Message, Error> {
        let text = key.open(&binding(place.1.room_id, &self.tag), &self.sealed)?;
        let text = String::from_utf8(text).map_err(|error| Error::internal("reading a message", error))?;
        // The reader of the request keeps the category within the protocol's `int`.
        let category = i32::try_from(self.category).unwrap_or_default();
        let (user, text) = (UserId::trusted(self.user_id), MessageMetadata::trusted(text));
        Ok(message(cx, place, (self.created_at, &self.tag), user, category, text))
    }
}

fn message(
    cx: &Cx,
    (namespace, room): (&str, &room::Stored),
    (created_at, tag): (i64, &Tag),
    user_id: UserId,
    category: i32,
    metadata: MessageMetadata,
) -> Message {
    let (room_name, name) = (room.name.clone(), name::name(created_at, tag));
    Message {
        message_id: cx.grn(&SERVICE, &format!("{namespace}:room:{room_name}:message:{name}")),
        room_name,
        name: MessageName::trusted(name),
        user_id,
        category,
        metadata,
        created_at: UnixMillis(created_at),
        revision: 1,
    }
}

/// What a sealed text is bound to, so that it cannot be passed off as another message.
pub(super) fn binding(room_id: i64, tag: &Tag) -> [u8; 18] {
    let mut binding = [0; 18];
    binding[..8].copy_from_slice(&room_id.to_be_bytes());
    binding[8..].copy_from_slice(tag);
    binding
}

fn models(cx: &Cx, namespace: &str, room: &Room, stored: Vec<Stored>) -> Result<Vec<Message>, Error> {
    stored.into_iter().map(|stored| stored.model(cx, namespace, room)).collect()
}

async fn describe_messages(cx: Arc<Cx>, request: Arc<DescribeMessages>) -> Result<Items<Message>, Error> {
    let place = (&request.namespace_name, &request.room_name);
    let guest = Guest { user: cx.user.as_ref(), password: request.password.as_ref() };
    let from = request.start_at.map_or(0, |start_at| start_at.0);
    list(&cx, place, guest, (from, request.category, request.limit)).await
}

async fn describe_messages_by_user_id(
    cx: Arc<Cx>,
    request: Arc<DescribeMessagesByUserId>,
) -> Result<Items<Message>, Error> {
    let place = (&request.namespace_name, &request.room_name);
    let guest = Guest { user: Some(&request.user_id), password: request.password.as_ref() };
    let from = request.start_at.map_or(0, |start_at| start_at.0);
    list(&cx, place, guest, (from, request.category, request.limit)).await
}

/// Messages from a time on, oldest first (BEHAVIOUR CH-35, CH-37).
async fn list(
    cx: &Arc<Cx>,
    place: (&NamespaceName, &RoomName),
    guest: Guest<'_>,
    (from, category, limit): (i64, Option<i32>, PageLimit),
) -> Result<Items<Message>, Error> {
    let seen = cx.seen().0;
    let rows = limit.get() as i64;
    let select = move |tx: &mut Tx<'_>, room: &Room| {
        let params = params![room.stored.room_id, from, seen, rows];
        Ok(match category {
            None => tx.query(sql::SELECT_MESSAGES, params, Stored::read)?,
            Some(category) => {
                let params = [params, params![i64::from(category)]].concat();
                tx.query(sql::SELECT_MESSAGES_OF, &params, Stored::read)?
            }
        })
    };
    let (room, stored) = access::read(cx, place, guest, select).await?;
    Ok(Items { items: models(cx, place.0, &room, stored)? })
}

async fn describe_latest_messages(
    cx: Arc<Cx>,
    request: Arc<DescribeLatestMessages>,
) -> Result<Page<Message>, Error> {
    let place = (&request.namespace_name, &request.room_name);
    let guest = Guest { user: cx.user.as_ref(), password: request.password.as_ref() };
    let page = (request.page_token.as_ref(), request.category, request.limit);
    latest(&cx, place, guest, page).await
}

async fn describe_latest_messages_by_user_id(
    cx: Arc<Cx>,
    request: Arc<DescribeLatestMessagesByUserId>,
) -> Result<Page<Message>, Error> {
    let place = (&request.namespace_name, &request.room_name);
    let guest = Guest { user: Some(&request.user_id), password: request.password.as_ref() };
    let page = (request.page_token.as_ref(), request.category, request.limit);
    latest(&cx, place, guest, page).await
}

/// The newest messages, oldest first; the token leads to older ones (BEHAVIOUR CH-38).
async fn latest(
    cx: &Arc<Cx>,
    place: (&NamespaceName, &RoomName),
    guest: Guest<'_>,
    (token, category, limit): (Option<&PageToken>, Option<i32>, PageLimit),
) -> Result<Page<Message>, Error> {
    let before = match token.filter(|token| !token.is_empty()) {
        None => i64::MAX,
        Some(token) => token.key().parse().map_err(|_| {
            let detail = "`pageToken` must be the `nextPageToken` of an earlier page of this list";
            ApiError::bad_request(SERVICE.name, "message", "pageToken", "invalid", detail)
        })?,
    };
    let seen = cx.seen().0;
    let select = move |tx: &mut Tx<'_>, room: &Room| {
        let params = params![room.stored.room_id, before, seen, page::rows(limit)];
        Ok(match category {
            None => tx.query(sql::SELECT_LATEST, params, Stored::read)?,
            Some(category) => {
                let params = [params, params![i64::from(category)]].concat();
                tx.query(sql::SELECT_LATEST_OF, &params, Stored::read)?
            }
        })
    };
    let (room, mut stored) = access::read(cx, place, guest, select).await?;
    let more = stored.len() > limit.get();
    stored.truncate(limit.get());
    let oldest = stored.last().filter(|_| more);
    let next_page_token = oldest.map(|oldest| PageToken::after(&oldest.created_at.to_string()));
    stored.reverse();
    Ok(Page { items: models(cx, place.0, &room, stored)?, next_page_token })
}

async fn get_message(cx: Arc<Cx>, request: Arc<GetMessage>) -> Result<Item<Message>, Error> {
    let place = (&request.namespace_name, &request.room_name);
    let guest = Guest { user: cx.user.as_ref(), password: request.password.as_ref() };
    get(&cx, place, guest, &request.message_name).await
}

async fn get_message_by_user_id(
    cx: Arc<Cx>,
    request: Arc<GetMessageByUserId>,
) -> Result<Item<Message>, Error> {
    let place = (&request.namespace_name, &request.room_name);
    let guest = Guest { user: Some(&request.user_id), password: request.password.as_ref() };
    get(&cx, place, guest, &request.message_name).await
}

async fn get(
    cx: &Arc<Cx>,
    place: (&NamespaceName, &RoomName),
    guest: Guest<'_>,
    message: &MessageName,
) -> Result<Item<Message>, Error> {
    let (named, seen) = (name::parse(message), cx.seen().0);
    let select = move |tx: &mut Tx<'_>, room: &Room| {
        let Some((created_at, tag)) = named else { return Ok(None) };
        let params = params![room.stored.room_id, created_at, tag.as_slice(), seen];
        Ok(tx.query_opt(sql::SELECT_MESSAGE, params, Stored::read)?)
    };
    let (room, stored) = access::read(cx, place, guest, select).await?;
    let stored = stored.ok_or_else(|| no_message(message))?;
    Ok(Item { item: stored.model(cx, place.0, &room)? })
}

fn no_message(message: &str) -> Error {
    let detail = format!("there is no message `{message}` in the room; it may have expired");
    ApiError::not_found(SERVICE.name, "message", detail).into()
}

/// What the scripts of messages get (BEHAVIOUR CH-71).
fn hook_args(namespace: &Namespace, room: &hiroba_api::chat::Room, message: &Value) -> Value {
    json!({ "namespace": namespace, "room": room, "message": message })
}

async fn post(steps: Steps<Post>) -> Result<Answered, Error> {
    if let Some(answered) = steps.asked_before().await? {
        return Ok(answered);
    }
    let (cx, request) = (&steps.cx, steps.request());
    let namespace = namespaces::cached::<Namespaces>(cx, &request.namespace_name).await?;
    let place = (&request.namespace_name, &request.room_name);
    // Asked once, however often the room changes meanwhile: the script may have effects.
    let permitted = AtomicBool::new(false);
    let (steps, namespace, permitted) = (&steps, &namespace, &permitted);
    let attempt = |room: Arc<Room>| async move {
        let guest = Guest { user: cx.user.as_ref(), password: request.password.as_ref() };
        access::check(cx, &room, guest).await?;
        if !permitted.load(Ordering::Relaxed) {
            permit(steps, namespace, &room).await?;
            permitted.store(true, Ordering::Relaxed);
        }
        write(steps, namespace, &room).await
    };
    access::with_room(cx, place, attempt).await
}

/// Fails unless the category and the namespace's script permit the message.
async fn permit(steps: &Steps<Post>, namespace: &Namespace, room: &Room) -> Result<(), Error> {
    let (cx, request) = (&steps.cx, steps.request());
    if cx.by_player && master::rejects_player(cx, &request.namespace_name, request.category).await? {
        let detail = format!(
            "players do not post in category {}: its model has `rejectAccessTokenPost`; use postByUserId",
            request.category
        );
        return Err(ApiError::bad_request(SERVICE.name, "message", "category", "invalid", detail).into());
    }
    let setting = namespace.post_message_script.as_ref();
    if hooks::has_before(setting) {
        // It has no name yet, since that holds the time at which it is stored.
        let message = json!({
            "roomName": request.room_name,
            "userId": cx.user()?,
            "category": request.category,
            "metadata": request.metadata,
            "createdAt": cx.now,
        });
        let args = hook_args(namespace, &room.stored.model(cx, &request.namespace_name), &message);
        hooks::Hook::new("message", "post", cx.user.as_ref(), args).before(cx, namespace, setting).await?;
    }
    Ok(())
}

/// Stores the message if the room is as it is remembered.
async fn write(steps: &Steps<Post>, namespace: &Arc<Namespace>, room: &Arc<Room>) -> Result<Answered, Error> {
    let request = steps.request();
    let tag = name::tag(steps.cx.entropy.bytes());
    let sealed = room.key.seal(&binding(room.stored.room_id, &tag), request.metadata.as_bytes())?;
    let lifetime = i64::from(namespace.message_life_time_days) * DAY_MS;
    let core = Arc::clone(&steps.cx.core);
    let _turn = core.chat.rooms.turn(room.stored.room_id, core.store.engine()).await;
    let (namespace, room) = (Arc::clone(namespace), Arc::clone(room));
    let post = move |tx: &mut Tx<'_>, cx: &Cx, request: &Post| {
        let (room_id, user) = (room.stored.room_id, cx.user()?);
        tx.lock_row(&lock_name(room_id));
        let params = params![room_id, room.stored.revision, cx.now.0, cx.now.0 + lifetime];
        let next = tx.query_opt(sql::UPDATE_STATE, params, |row| Ok((row.int(0)?, row.int(1)?)))?;
        let Some((created_at, subscriptions)) = next else { return Err(Error::Stale) };
        let params = params![
            room_id,
            created_at,
            tag.as_slice(),
            user.as_str(),
            i64::from(request.category),
            sealed.as_slice(),
            created_at + lifetime
        ];
        tx.execute(sql::INSERT_MESSAGE, params)?;
        let (place, text) = ((&*namespace.name, &room.stored), request.metadata.clone());
        let message = message(cx, place, (created_at, &tag), user.clone(), request.category, text);
        if let Some(setting) = &namespace.post_message_script {
            let args = hook_args(&namespace, &room.stored.model(cx, &namespace.name), &json!(message));
            hooks::Hook::new("message", "post", cx.user.as_ref(), args).done(tx, cx, Some(setting))?;
        }
        if subscriptions > 0 {
            delivery::posted(tx, cx, &namespace, room_id, &message, subscriptions);
        }
        Ok(Item { item: message })
    };
    steps.write(post).await
}

/// Under which those who post in a room queue for it.
pub(super) fn lock_name(room_id: i64) -> String {
    format!("chat.room\n{room_id}")
}

/// Removes a message; an operator's call, which needs no password and so answers no text of a room that has one (BEHAVIOUR
/// CH-43, CH-10).
async fn delete_message(steps: Steps<DeleteMessage>) -> Result<Answered, Error> {
    if let Some(answered) = steps.asked_before().await? {
        return Ok(answered);
    }
    let (cx, request) = (&steps.cx, steps.request());
    let place = (&request.namespace_name, &request.room_name);
    let steps = &steps;
    let attempt = |inside: Arc<Room>| async move {
        let delete = move |tx: &mut Tx<'_>, cx: &Cx, request: &DeleteMessage| {
            let room = &inside;
            if !access::is_current(tx, room)? {
                return Err(Error::Stale);
            }
            let deleted = match name::parse(&request.message_name) {
                Some((created_at, tag)) => {
                    let user = request.user_id.as_str();
                    let params = params![room.stored.room_id, created_at, tag.as_slice(), cx.seen().0, user];
                    tx.query_opt(sql::DELETE_MESSAGE, params, Stored::read)?
                }
                None => None,
            };
            let deleted = deleted.ok_or_else(|| no_message(&request.message_name))?;
            let mut message = deleted.model(cx, &request.namespace_name, room)?;
            if room.stored.password_hash.is_some() {
                message.metadata = MessageMetadata::trusted("");
            }
            Ok(Item { item: message })
        };
        steps.write(delete).await
    };
    access::with_room(cx, place, attempt).await
}
