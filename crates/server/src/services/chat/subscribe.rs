//! Subscriptions: `/chat/{namespaceName}/user/{userId}/room/{roomName}/subscribe…` (BEHAVIOUR CH-50 … CH-53, CH-59).

use std::sync::Arc;

use hiroba_api::chat::{
    DescribeSubscribes, DescribeSubscribesByRoomName, GetSubscribe, Namespace, Namespaces, NotificationType,
    RoomName, SERVICE, Subscribe, SubscribeRoom, Unsubscribe, UpdateNotificationType,
};
use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::names::{NamespaceName, UserId};
use hiroba_store::{Row, StoreError, Tx, params};
use serde_json::{Value, json};

use super::{hooks, room};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::{Answered, Registry, Steps};
use crate::services::{namespaces, page};

/// Subscriptions that are read at once; together they may be large.
const CHUNK: i64 = 64;

// A subscription counts while its room exists.
pub(crate) mod sql {
    hiroba_store::statements! {
        /// Subscribes a player, or replaces the categories.
        UPSERT_SUBSCRIBE = "INSERT INTO chat_subscribe (room_id, user_id, owner_id, namespace_name, room_name,
                notification_types, created_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 1)
            ON CONFLICT (room_id, user_id) DO UPDATE SET notification_types = excluded.notification_types,
                revision = chat_subscribe.revision + 1
            RETURNING user_id, room_name, notification_types, created_at, revision";
        /// Replaces the categories of a subscription.
        UPDATE_TYPES = "UPDATE chat_subscribe SET notification_types = $3, revision = revision + 1
            WHERE room_id = $1 AND user_id = $2
            RETURNING user_id, room_name, notification_types, created_at, revision";
        /// A subscription.
        SELECT_SUBSCRIBE = "SELECT user_id, room_name, notification_types, created_at, revision FROM chat_subscribe
            WHERE room_id = $1 AND user_id = $2";
        /// Removes a subscription.
        DELETE_SUBSCRIBE = "DELETE FROM chat_subscribe WHERE room_id = $1 AND user_id = $2";
        /// Says that the subscriptions of a room have changed.
        UPDATE_STATE = "UPDATE chat_room_state SET subscriptions = subscriptions + 1 WHERE room_id = $1";
        /// Some subscriptions of a player to rooms whose names begin with a prefix: at least `$5`, below `$6`.
        SELECT_OF_USER = "SELECT user_id, room_name, notification_types, created_at, revision FROM chat_subscribe s
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3
              AND room_name > $4 AND room_name >= $5 AND room_name < $6
              AND EXISTS (SELECT 1 FROM chat_room_state t WHERE t.room_id = s.room_id)
            ORDER BY room_name LIMIT $7";
        /// Some subscriptions to a room.
        SELECT_OF_ROOM = "SELECT user_id, room_name, notification_types, created_at, revision FROM chat_subscribe
            WHERE room_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_subscribes);
    registry.read(describe_subscribes_by_room_name);
    registry.steps(subscribe);
    registry.read(get_subscribe);
    registry.write(update_notification_type);
    registry.steps(unsubscribe);
}

/// A subscription as its row holds it.
pub(super) struct Stored {
    user_id: String,
    room_name: String,
    types: String,
    created_at: i64,
    revision: i64,
}

impl Stored {
    pub(super) fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            user_id: row.text(0)?,
            room_name: row.text(1)?,
            types: row.text(2)?,
            created_at: row.int(3)?,
            revision: row.int(4)?,
        })
    }

    pub(super) fn model(self, cx: &Cx, namespace: &str) -> Subscribe {
        let Stored { user_id, room_name, types, created_at, revision } = self;
        Subscribe {
            subscribe_id: subscribe_id(cx, namespace, &user_id, &room_name),
            user_id: UserId::trusted(user_id),
            room_name: RoomName::trusted(room_name),
            notification_types: super::notification_types(&types),
            created_at: UnixMillis(created_at),
            revision,
        }
    }
}

fn subscribe_id(cx: &Cx, namespace: &str, user: &str, room: &str) -> String {
    cx.grn(&SERVICE, &format!("{namespace}:user:{user}:subscribe:{room}"))
}

fn describe_subscribes(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeSubscribes,
) -> Result<Page<Subscribe>, Error> {
    let (namespace, user) = (request.namespace_name.as_str(), cx.user()?);
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let prefix = request.room_name_prefix.as_deref().unwrap_or_default();
    // No character sorts above the last code point, so this bounds every name that begins with the prefix.
    let below = format!("{prefix}\u{10ffff}");
    let after = page::after(request.page_token.as_ref()).to_owned();
    let select = |after: &String, count| {
        let params = params![cx.owner(), namespace, user.as_str(), after, prefix, &below, count];
        Ok(tx.query(sql::SELECT_OF_USER, params, Stored::read)?)
    };
    let bytes = |stored: &Stored| stored.types.len();
    let page = page::bounded(request.limit, after, CHUNK, select, |stored| stored.room_name.clone(), bytes)?;
    let items = page.items.into_iter().map(|stored| stored.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token: page.next_page_token })
}

fn describe_subscribes_by_room_name(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeSubscribesByRoomName,
) -> Result<Page<Subscribe>, Error> {
    let namespace = &request.namespace_name;
    let room_id = room::require_id(tx, cx, namespace, &request.room_name)?;
    let after = page::after(request.page_token.as_ref()).to_owned();
    let select = |after: &String, count| {
        Ok(tx.query(sql::SELECT_OF_ROOM, params![room_id, after, count], Stored::read)?)
    };
    let bytes = |stored: &Stored| stored.types.len();
    let page = page::bounded(request.limit, after, CHUNK, select, |stored| stored.user_id.clone(), bytes)?;
    let items = page.items.into_iter().map(|stored| stored.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token: page.next_page_token })
}

/// The room's number and the player's subscription to it, or 404 `subscribe` (BEHAVIOUR CH-53).
fn require(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &NamespaceName,
    room: &RoomName,
) -> Result<(i64, Stored), Error> {
    let user = cx.user()?;
    let params = params![cx.owner(), namespace.as_str(), room.as_str()];
    let found = match tx.query_opt(room::sql::SELECT_ROOM_ID, params, |row| row.int(0))? {
        Some(room_id) => {
            let params = params![room_id, user.as_str()];
            tx.query_opt(sql::SELECT_SUBSCRIBE, params, Stored::read)?.map(|stored| (room_id, stored))
        }
        None => None,
    };
    match found {
        Some(found) => Ok(found),
        None => {
            namespaces::require::<Namespaces>(tx, cx, namespace)?;
            let detail = format!("player `{user}` has no subscription to room `{room}`");
            Err(ApiError::not_found(SERVICE.name, "subscribe", detail).into())
        }
    }
}

fn get_subscribe(tx: &mut Tx<'_>, cx: &Cx, request: &GetSubscribe) -> Result<Item<Subscribe>, Error> {
    let (_, stored) = require(tx, cx, &request.namespace_name, &request.room_name)?;
    Ok(Item { item: stored.model(cx, &request.namespace_name) })
}

/// What the scripts of subscriptions get (BEHAVIOUR CH-71).
fn hook_args(namespace: &Namespace, room: &Value, subscribe: &Subscribe) -> Value {
    json!({ "namespace": namespace, "room": room, "subscribe": subscribe })
}

/// The room of a subscription as scripts get it.
fn room_value(tx: &mut Tx<'_>, cx: &Cx, namespace: &NamespaceName, name: &RoomName) -> Result<Value, Error> {
    Ok(json!(room::require(tx, cx, namespace, name)?.model(cx, namespace)))
}

async fn subscribe(steps: Steps<SubscribeRoom>) -> Result<Answered, Error> {
    if let Some(answered) = steps.asked_before().await? {
        return Ok(answered);
    }
    let (cx, request) = (&steps.cx, steps.request());
    let namespace = namespaces::cached::<Namespaces>(cx, &request.namespace_name).await?;
    let types = request.notification_types.clone().unwrap_or_default();
    if hooks::has_before(namespace.subscribe_room_script.as_ref()) {
        let (reading, of, named) =
            (Arc::clone(cx), request.namespace_name.clone(), request.room_name.clone());
        let room = cx.read(move |tx| room_value(tx, &reading, &of, &named)).await?;
        let subscribe = Subscribe {
            subscribe_id: subscribe_id(cx, &namespace.name, cx.user()?, &request.room_name),
            user_id: cx.user()?.clone(),
            room_name: request.room_name.clone(),
            notification_types: types.clone(),
            created_at: cx.now,
            revision: 1,
        };
        let hook = hooks::Hook::new(
            "subscribe",
            "subscribe",
            cx.user.as_ref(),
            hook_args(&namespace, &room, &subscribe),
        );
        hook.before(cx, &namespace, namespace.subscribe_room_script.as_ref()).await?;
    }
    let types = types_text(&types);
    let subscribe = move |tx: &mut Tx<'_>, cx: &Cx, request: &SubscribeRoom| {
        let (of, name, user) = (&request.namespace_name, &request.room_name, cx.user()?);
        let room_id = room::require_id(tx, cx, of, name)?;
        let params =
            params![room_id, user.as_str(), cx.owner(), of.as_str(), name.as_str(), &types, cx.now.0];
        let stored = tx.query_opt(sql::UPSERT_SUBSCRIBE, params, Stored::read)?;
        let stored = stored.ok_or_else(|| Error::Internal("a subscription left no row".to_owned()))?;
        changed(tx, room_id)?;
        let item = stored.model(cx, of);
        if let Some(setting) = &namespace.subscribe_room_script {
            let args = hook_args(&namespace, &room_value(tx, cx, of, name)?, &item);
            hooks::Hook::new("subscribe", "subscribe", cx.user.as_ref(), args).done(tx, cx, Some(setting))?;
        }
        Ok(Item { item })
    };
    steps.write(subscribe).await
}

pub(super) fn types_text(types: &[NotificationType]) -> String {
    json!(types).to_string()
}

/// Whoever remembers the subscriptions of a room reads them again.
pub(super) fn changed(tx: &mut Tx<'_>, room_id: i64) -> Result<(), Error> {
    tx.lock_row(&super::message::lock_name(room_id));
    tx.execute(sql::UPDATE_STATE, params![room_id])?;
    Ok(())
}

fn update_notification_type(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &UpdateNotificationType,
) -> Result<Item<Subscribe>, Error> {
    let (room_id, _) = require(tx, cx, &request.namespace_name, &request.room_name)?;
    let types = types_text(request.notification_types.as_deref().unwrap_or_default());
    let params = params![room_id, cx.user()?.as_str(), &types];
    let stored = tx.query_opt(sql::UPDATE_TYPES, params, Stored::read)?;
    let stored =
        stored.ok_or_else(|| Error::Internal("a subscription went while it was changed".to_owned()))?;
    changed(tx, room_id)?;
    Ok(Item { item: stored.model(cx, &request.namespace_name) })
}

async fn unsubscribe(steps: Steps<Unsubscribe>) -> Result<Answered, Error> {
    if let Some(answered) = steps.asked_before().await? {
        return Ok(answered);
    }
    let (cx, request) = (&steps.cx, steps.request());
    let namespace = namespaces::cached::<Namespaces>(cx, &request.namespace_name).await?;
    if hooks::has_before(namespace.unsubscribe_room_script.as_ref()) {
        let (reading, of, named) =
            (Arc::clone(cx), request.namespace_name.clone(), request.room_name.clone());
        let found = cx.read(move |tx| {
            let (_, stored) = require(tx, &reading, &of, &named)?;
            Ok((room_value(tx, &reading, &of, &named)?, stored.model(&reading, &of)))
        });
        let (room, subscribe) = found.await?;
        let args = hook_args(&namespace, &room, &subscribe);
        let hook = hooks::Hook::new("subscribe", "unsubscribe", cx.user.as_ref(), args);
        hook.before(cx, &namespace, namespace.unsubscribe_room_script.as_ref()).await?;
    }
    let unsubscribe = move |tx: &mut Tx<'_>, cx: &Cx, request: &Unsubscribe| {
        let (of, name) = (&request.namespace_name, &request.room_name);
        let (room_id, stored) = require(tx, cx, of, name)?;
        tx.execute(sql::DELETE_SUBSCRIBE, params![room_id, cx.user()?.as_str()])?;
        changed(tx, room_id)?;
        let item = stored.model(cx, of);
        if let Some(setting) = &namespace.unsubscribe_room_script {
            let args = hook_args(&namespace, &room_value(tx, cx, of, name)?, &item);
            hooks::Hook::new("subscribe", "unsubscribe", cx.user.as_ref(), args).done(
                tx,
                cx,
                Some(setting),
            )?;
        }
        Ok(Item { item })
    };
    steps.write(unsubscribe).await
}
