//! What Chat holds of a player (BEHAVIOUR U-07): rooms that they created, subscriptions, and messages that they posted.
//!
//! Neither rooms nor messages have an index of players, which every post would have to keep: they are looked through, some at a
//! time.

use std::collections::HashMap;

use hiroba_api::chat::{Message, Namespaces, Room, SERVICE, Subscribe};
use hiroba_api::contract::Fields;
use hiroba_store::{Row, StoreError, Tx, params};
use serde_json::{Value, json};

use super::message::{self, DAY_MS, binding, lock_name};
use super::room::{self, NEVER};
use super::{name, subscribe};
use crate::cx::Cx;
use crate::error::Error;
use crate::services::identifier::is_password_hash;
use crate::services::user_data::{Chunk, Cleaned, Line, Model, Place, Taken, UserDataModels, read_line};
use crate::vault::SealingKey;

/// Rooms that are read at once; together they may be large.
const ROOMS: i64 = 16;
/// Subscriptions that are read at once.
const SUBSCRIBES: i64 = 64;
/// Rooms of whichever players that one transaction looks for messages in.
const ROOMS_LOOKED_AT: i64 = 64;
/// Messages of whichever players that one transaction looks at.
const MESSAGES_LOOKED_AT: i64 = 2_000;
/// How far ahead of the clock the time of a message may be: a room with more posts than milliseconds runs ahead.
const AHEAD_MS: i64 = 3_600_000;
/// Longest that a message is kept, in days (BEHAVIOUR CH-40).
const LIFETIME_DAYS_MAX: i64 = 30;

/// Hash of a room's password; no member of the protocol's model.
const PASSWORD_HASH: &str = "passwordHash";
/// When a message vanishes; no member of the protocol's model.
const EXPIRES_AT: &str = "expiresAt";

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Some rooms of a player.
        SELECT_ROOMS = "SELECT name, room_id, user_id, metadata, password_hash, white_list, room_key, created_at,
                updated_at, revision
            FROM chat_room WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND name > $4
            ORDER BY name LIMIT $5";
        /// Some rooms of whichever players, from one on.
        SELECT_ALL_ROOMS = "SELECT name, room_id, user_id, metadata, password_hash, white_list, room_key, created_at,
                updated_at, revision
            FROM chat_room WHERE owner_id = $1 AND namespace_name = $2 AND name >= $3 ORDER BY name LIMIT $4";
        /// Adds a room unless there is one of this name.
        INSERT_ROOM = "INSERT INTO chat_room (owner_id, namespace_name, name, room_id, user_id, metadata, password_hash,
                white_list, room_key, created_at, updated_at, revision)
            VALUES ($1, $2, $3, hiroba_next_revision(), $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (owner_id, namespace_name, name) DO NOTHING
            RETURNING room_id";
        /// Adds what changes with each post into a room that is as old as its revision says.
        INSERT_STATE = "INSERT INTO chat_room_state (room_id, room_revision, last_message_at, subscriptions, sweep_at)
            VALUES ($1, $2, 0, 0, $3)";
        /// Some subscriptions of a player.
        SELECT_SUBSCRIBES = "SELECT user_id, room_name, notification_types, created_at, revision FROM chat_subscribe s
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND room_name > $4
              AND EXISTS (SELECT 1 FROM chat_room_state t WHERE t.room_id = s.room_id)
            ORDER BY room_name LIMIT $5";
        /// Rooms of some subscriptions of a player.
        SELECT_SUBSCRIBED = "SELECT room_id FROM chat_subscribe
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 ORDER BY room_name, room_id LIMIT $4";
        /// Adds a subscription unless there is one.
        INSERT_SUBSCRIBE = "INSERT INTO chat_subscribe (room_id, user_id, owner_id, namespace_name, room_name,
                notification_types, created_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (room_id, user_id) DO NOTHING";
        /// Some messages of a room behind a time; the text only of those of a player.
        SELECT_MESSAGES = "SELECT created_at, tag, user_id, category, CASE WHEN user_id = $3 THEN metadata END, expires_at
            FROM chat_message WHERE room_id = $1 AND created_at > $2 ORDER BY created_at LIMIT $4";
        /// The time of the message so many behind a time.
        SELECT_MESSAGES_END = "SELECT created_at FROM chat_message WHERE room_id = $1 AND created_at > $2
            ORDER BY created_at LIMIT 1 OFFSET $3";
        /// Removes a player's messages between two times.
        DELETE_MESSAGES = "DELETE FROM chat_message
            WHERE room_id = $1 AND created_at > $2 AND created_at <= $3 AND user_id = $4";
        /// Adds a message unless its time is taken.
        INSERT_MESSAGE = "INSERT INTO chat_message (room_id, created_at, tag, user_id, category, metadata, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (room_id, created_at) DO NOTHING";
        /// What tells the message of a time from others.
        SELECT_TAG = "SELECT tag FROM chat_message WHERE room_id = $1 AND created_at = $2";
        /// The room has messages up to a time, and one that expires.
        UPDATE_STATE = "UPDATE chat_room_state SET
                last_message_at = CASE WHEN last_message_at > $2 THEN last_message_at ELSE $2 END,
                sweep_at = CASE WHEN sweep_at < $3 THEN sweep_at ELSE $3 END
            WHERE room_id = $1";
    }
}

impl UserDataModels for Namespaces {
    const MODELS: &'static [Model] = &[
        Model {
            name: "room",
            hidden: &[PASSWORD_HASH],
            read: read_rooms,
            clean: clean_rooms,
            check: |_, line| check_room(line).map(|_| ()),
            import: import_rooms,
        },
        Model {
            name: "subscribe",
            hidden: &[],
            read: read_subscribes,
            clean: clean_subscribes,
            check: |_, line| check_subscribe(line).map(|_| ()),
            import: import_subscribes,
        },
        Model {
            name: "message",
            hidden: &[EXPIRES_AT],
            read: read_messages,
            clean: clean_messages,
            check: |cx, line| check_message(cx, line).map(|_| ()),
            import: import_messages,
        },
    ];
}

/// Lines are checked before they are taken in.
fn checked<T>(checked: Result<T, String>) -> Result<T, Error> {
    checked.map_err(|problem| Error::internal("taking user data in", problem))
}

fn read_rooms(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Chunk, Error> {
    let params = params![cx.owner(), at.namespace, at.user.as_str(), after, ROOMS];
    let rooms = tx.query(sql::SELECT_ROOMS, params, room::Stored::read)?;
    let line = |stored: &room::Stored| {
        let mut model = json!(stored.model(cx, at.namespace));
        if let Some(hash) = &stored.password_hash {
            model[PASSWORD_HASH] = hash.as_str().into();
        }
        Line { after: stored.name.to_string(), text: model.to_string() }
    };
    let next = rooms.last().filter(|_| rooms.len() as i64 == ROOMS).map(|last| last.name.to_string());
    Ok(Chunk { lines: rooms.iter().map(line).collect(), next })
}

/// Removes rooms as deleteRoom does, with all that others posted there (BEHAVIOUR CH-09).
fn clean_rooms(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Cleaned, Error> {
    let params = params![cx.owner(), at.namespace, at.user.as_str(), after, ROOMS];
    let rooms = tx.query(sql::SELECT_ROOMS, params, room::Stored::read)?;
    for stored in &rooms {
        room::remove(tx, cx, at.namespace, stored)?;
    }
    let next = rooms.last().filter(|_| rooms.len() as i64 == ROOMS).map(|last| last.name.to_string());
    Ok(Cleaned { removed: rooms.len() as u64, next })
}

/// A room and the hash of its password.
fn check_room(line: &Fields) -> Result<(Room, Option<String>), String> {
    let room: Room = read_line(&SERVICE, "room", line)?;
    if room.password.as_ref().is_some_and(|password| !password.is_empty()) {
        return Err("`password` must be absent: a dump holds a hash of it in `passwordHash`".to_owned());
    }
    if room.revision < 1 {
        return Err("`revision` must be at least 1".to_owned());
    }
    let hash = match line.get(PASSWORD_HASH) {
        None | Some(Value::Null) => None,
        Some(Value::String(hash)) if is_password_hash(hash) => Some(hash.clone()),
        Some(_) => return Err("`passwordHash` is no hash that this server makes of passwords".to_owned()),
    };
    Ok((room, hash))
}

fn import_rooms(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, lines: &[Fields]) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::with_capacity(lines.len());
    for line in lines {
        let (model, hash) = checked(check_room(line))?;
        let key = room::new_key(cx, at.namespace, &model.name)?;
        let white_list =
            Value::from_iter(model.white_list_user_ids.iter().map(|user| user.as_str())).to_string();
        let params = params![
            cx.owner(),
            at.namespace,
            model.name.as_str(),
            at.user.as_str(),
            model.metadata.as_deref(),
            hash.as_ref(),
            &white_list,
            key.as_slice(),
            model.created_at.0,
            model.updated_at.0,
            model.revision
        ];
        taken.push(match tx.query_opt(sql::INSERT_ROOM, params, |row| row.int(0))? {
            Some(room_id) => {
                tx.execute(sql::INSERT_STATE, params![room_id, model.revision, NEVER])?;
                Taken::Added
            }
            None => {
                let params = params![cx.owner(), at.namespace, model.name.as_str()];
                let there = tx.query_opt(room::sql::SELECT_ROOM, params, room::Stored::read)?;
                match there.and_then(|there| there.user_id) {
                    Some(owner) if owner == *at.user => Taken::There,
                    _ => Taken::Left(format!(
                        "there is a room `{}` that the player did not create",
                        model.name
                    )),
                }
            }
        });
    }
    Ok(taken)
}

fn read_subscribes(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Chunk, Error> {
    let params = params![cx.owner(), at.namespace, at.user.as_str(), after, SUBSCRIBES];
    let stored = tx.query(sql::SELECT_SUBSCRIBES, params, subscribe::Stored::read)?;
    let full = stored.len() as i64 == SUBSCRIBES;
    let lines: Vec<Line> = stored
        .into_iter()
        .map(|stored| {
            let model = stored.model(cx, at.namespace);
            Line { after: model.room_name.to_string(), text: json!(model).to_string() }
        })
        .collect();
    let next = lines.last().filter(|_| full).map(|last| last.after.clone());
    Ok(Chunk { lines, next })
}

fn clean_subscribes(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, _: &str) -> Result<Cleaned, Error> {
    let params = params![cx.owner(), at.namespace, at.user.as_str(), SUBSCRIBES];
    let rooms = tx.query(sql::SELECT_SUBSCRIBED, params, |row| row.int(0))?;
    for room_id in &rooms {
        tx.execute(subscribe::sql::DELETE_SUBSCRIBE, params![*room_id, at.user.as_str()])?;
        subscribe::changed(tx, *room_id)?;
    }
    Ok(Cleaned { removed: rooms.len() as u64, next: (rooms.len() as i64 == SUBSCRIBES).then(String::new) })
}

fn check_subscribe(line: &Fields) -> Result<Subscribe, String> {
    let model: Subscribe = read_line(&SERVICE, "subscribe", line)?;
    if model.revision < 1 { Err("`revision` must be at least 1".to_owned()) } else { Ok(model) }
}

fn no_room(name: &str) -> Taken {
    Taken::Left(format!("there is no room `{name}`"))
}

fn import_subscribes(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, lines: &[Fields]) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::with_capacity(lines.len());
    for line in lines {
        let model = checked(check_subscribe(line))?;
        let (name, user) = (model.room_name.as_str(), at.user.as_str());
        let params = params![cx.owner(), at.namespace, name];
        let Some(room_id) = tx.query_opt(room::sql::SELECT_ROOM_ID, params, |row| row.int(0))? else {
            taken.push(no_room(name));
            continue;
        };
        let types = subscribe::types_text(&model.notification_types);
        let params = params![
            room_id,
            user,
            cx.owner(),
            at.namespace,
            name,
            &types,
            model.created_at.0,
            model.revision
        ];
        taken.push(if tx.execute(sql::INSERT_SUBSCRIBE, params)? == 1 {
            subscribe::changed(tx, room_id)?;
            Taken::Added
        } else {
            Taken::There
        });
    }
    Ok(taken)
}

/// Where looking for messages goes on: behind this time in this room. The empty text is before everything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    room: String,
    time: i64,
}

impl Spot {
    fn read(text: &str) -> Result<Spot, Error> {
        // Names of rooms have no space.
        let (time, room) = text.split_once(' ').unwrap_or(("-1", ""));
        let time = time.parse().map_err(|error| Error::internal("reading a place in user data", error))?;
        Ok(Spot { room: room.to_owned(), time })
    }

    fn text(room: &str, time: i64) -> String {
        format!("{time} {room}")
    }
}

/// Goes through rooms from a spot on. `look` looks at messages of a room behind a time and answers how many it looked at, and
/// where to go on in the room if that is not its end. Answers where to go on.
fn walk(
    tx: &mut Tx<'_>,
    cx: &Cx,
    at: Place<'_>,
    after: &str,
    mut look: impl FnMut(&mut Tx<'_>, &room::Stored, i64) -> Result<(i64, Option<i64>), Error>,
) -> Result<Option<String>, Error> {
    let spot = Spot::read(after)?;
    let params = params![cx.owner(), at.namespace, &spot.room, ROOMS_LOOKED_AT];
    let rooms = tx.query(sql::SELECT_ALL_ROOMS, params, room::Stored::read)?;
    let mut looked_at = 0;
    for room in &rooms {
        let since = if *room.name == *spot.room { spot.time } else { -1 };
        if since == i64::MAX {
            continue;
        }
        if looked_at >= MESSAGES_LOOKED_AT {
            return Ok(Some(Spot::text(&room.name, since)));
        }
        let (count, rest) = look(tx, room, since)?;
        looked_at += count;
        if let Some(time) = rest {
            return Ok(Some(Spot::text(&room.name, time)));
        }
    }
    let full = rooms.len() as i64 == ROOMS_LOOKED_AT;
    Ok(rooms.last().filter(|_| full).map(|last| Spot::text(&last.name, i64::MAX)))
}

fn read_messages(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Chunk, Error> {
    let (user, now, mut lines) = (at.user.as_str(), cx.now.0, Vec::new());
    let next = walk(tx, cx, at, after, |tx, room, since| {
        let read = |row: &Row<'_>| -> Result<_, StoreError> {
            let (created_at, expires_at) = (row.int(0)?, row.int(5)?);
            let message = match row.opt_blob(4)? {
                Some(sealed) if expires_at > now => Some(message::Stored {
                    created_at,
                    // A tag of another length opens no text.
                    tag: row.blob(1)?.try_into().unwrap_or_default(),
                    user_id: row.text(2)?,
                    category: row.int(3)?,
                    sealed,
                }),
                _ => None,
            };
            Ok((created_at, expires_at, message))
        };
        let params = params![room.room_id, since, user, MESSAGES_LOOKED_AT];
        let rows = tx.query(sql::SELECT_MESSAGES, params, read)?;
        let count = rows.len() as i64;
        let rest = rows.last().filter(|_| count == MESSAGES_LOOKED_AT).map(|(time, ..)| *time);
        let mut key = None;
        for (time, expires_at, message) in rows {
            let Some(message) = message else { continue };
            let key = match &key {
                Some(key) => key,
                None => key.insert(room::open_key(cx, at.namespace, room)?),
            };
            let mut model = json!(message.opened(cx, (at.namespace, room), key)?);
            model[EXPIRES_AT] = expires_at.into();
            lines.push(Line { after: Spot::text(&room.name, time), text: model.to_string() });
        }
        Ok((count, rest))
    });
    Ok(Chunk { next: next?, lines })
}

fn clean_messages(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Cleaned, Error> {
    let mut removed = 0;
    let next = walk(tx, cx, at, after, |tx, room, since| {
        let params = params![room.room_id, since, MESSAGES_LOOKED_AT];
        // Who posts there now waits rather than being in conflict.
        tx.lock_row(&lock_name(room.room_id));
        let end = tx.query_opt(sql::SELECT_MESSAGES_END, params, |row| row.int(0))?;
        let params = params![room.room_id, since, end.unwrap_or(i64::MAX), at.user.as_str()];
        let deleted = tx.execute(sql::DELETE_MESSAGES, params)?;
        removed += deleted;
        // A room costs something also when nothing is in it.
        Ok((if end.is_some() { MESSAGES_LOOKED_AT } else { 1 }, end))
    });
    Ok(Cleaned { next: next?, removed })
}

/// A message, the rest of its name, and when it vanishes.
fn check_message(cx: &Cx, line: &Fields) -> Result<(Message, name::Tag, i64), String> {
    let message: Message = read_line(&SERVICE, "message", line)?;
    let named = name::parse(&message.name).filter(|(time, _)| *time == message.created_at.0);
    let (_, tag) = named.ok_or_else(|| {
        "`name` is none that this server gives a message that was posted at `createdAt`".to_owned()
    })?;
    if message.created_at.0 > cx.now.0.saturating_add(AHEAD_MS) {
        return Err("`createdAt` is in the future".to_owned());
    }
    let lifetime_max = message.created_at.0.saturating_add(LIFETIME_DAYS_MAX * DAY_MS);
    let expires_at = line.get(EXPIRES_AT).and_then(Value::as_i64);
    let expires_at = expires_at.filter(|at| (message.created_at.0..=lifetime_max).contains(at));
    let expires_at = expires_at.ok_or_else(|| {
        format!(
            "`expiresAt` must be a time at most {LIFETIME_DAYS_MAX} days behind `createdAt`, in milliseconds"
        )
    })?;
    Ok((message, tag, expires_at))
}

/// A room that messages go into.
struct Into {
    room_id: i64,
    key: SealingKey,
    /// The latest message, and the first that expires, of those that were added.
    last_at: i64,
    sweep_at: i64,
}

fn import_messages(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, lines: &[Fields]) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::with_capacity(lines.len());
    let mut rooms: HashMap<String, Option<Into>> = HashMap::new();
    for line in lines {
        let (model, tag, expires_at) = checked(check_message(cx, line))?;
        if expires_at <= cx.now.0 {
            taken.push(Taken::Left("it has expired".to_owned()));
            continue;
        }
        let name = model.room_name.as_str();
        if !rooms.contains_key(name) {
            let params = params![cx.owner(), at.namespace, name];
            let found = match tx.query_opt(room::sql::SELECT_ROOM, params, room::Stored::read)? {
                Some(stored) => {
                    tx.lock_row(&lock_name(stored.room_id));
                    let key = room::open_key(cx, at.namespace, &stored)?;
                    Some(Into { room_id: stored.room_id, key, last_at: 0, sweep_at: NEVER })
                }
                None => None,
            };
            rooms.insert(name.to_owned(), found);
        }
        let Some(Some(into)) = rooms.get_mut(name) else {
            taken.push(no_room(name));
            continue;
        };
        let sealed = into.key.seal(&binding(into.room_id, &tag), model.metadata.as_bytes())?;
        let params = params![
            into.room_id,
            model.created_at.0,
            tag.as_slice(),
            at.user.as_str(),
            model.category,
            sealed.as_slice(),
            expires_at
        ];
        if tx.execute(sql::INSERT_MESSAGE, params)? == 1 {
            into.last_at = into.last_at.max(model.created_at.0);
            into.sweep_at = into.sweep_at.min(expires_at);
            taken.push(Taken::Added);
            continue;
        }
        let there =
            tx.query_opt(sql::SELECT_TAG, params![into.room_id, model.created_at.0], |row| row.blob(0))?;
        taken.push(match there {
            Some(other) if other == tag => Taken::There,
            _ => Taken::Left(format!("another message of room `{name}` has its time")),
        });
    }
    for into in rooms.into_values().flatten().filter(|into| into.last_at > 0) {
        tx.execute(sql::UPDATE_STATE, params![into.room_id, into.last_at, into.sweep_at])?;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_go_round() {
        for (room, time) in [("a", 7), ("a-b_c.d", i64::MAX), ("", -1)] {
            let spot = Spot { room: room.to_owned(), time };
            assert_eq!(Spot::read(&Spot::text(room, time)).unwrap(), spot);
        }
        assert_eq!(Spot::read("").unwrap(), Spot { room: String::new(), time: -1 });
        assert!(Spot::read("x y").is_err());
    }
}
