//! Mutexes: `/lock/{namespaceName}/user/{userId}/mutex…` (BEHAVIOUR L-01 … L-17).
//!
//! Invariant: a row is a mutex that somebody holds or that expired and waits for the sweeper. Revisions come from one
//! ever-growing number of the store, so that a mutex's never go back although free mutexes have no row.

use std::borrow::Cow;

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::lock::{
    DeleteMutexByUserId, DescribeMutexes, GetMutex, Lock, Mutex, Namespaces, SERVICE, Unlock,
};
use hiroba_api::names::UserId;
use hiroba_store::{Engine, Row, StoreError, Tx, params};

use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::{namespaces, page};

/// Seconds that a mutex is held when the caller says nothing (BEHAVIOUR L-09).
const TTL_DEFAULT_S: i64 = 3600;

/// A property of more bytes than this is kept under a shortened key: PostgreSQL cannot index the longest ones.
const KEY_BYTES_MAX: usize = 512;
/// Bytes of the property in a shortened key. With the hash it is longer than [`KEY_BYTES_MAX`], so that no property is
/// the key of another.
const KEY_PREFIX_BYTES: usize = 449;

// A mutex has expired for a call when its time is over, or when the call is so far ahead of the holder's call that it
// would be over. `$…` are the real time and the time that the call sees.
pub(crate) mod sql {
    hiroba_store::statements! {
        /// Takes a free mutex or deepens a held one; no row when there is no namespace or another transaction holds it.
        UPSERT_MUTEX = "INSERT INTO lock_mutex (owner_id, namespace_name, user_id, property_key, property_id,
                transaction_id, reference_count, created_at, ttl_at, time_offset, revision)
            SELECT owner_id, name, CAST($4 AS text), CAST($5 AS text), CAST($6 AS text), CAST($7 AS text), 1,
                CAST($8 AS BIGINT), CAST($9 AS BIGINT), CAST($10 AS BIGINT), hiroba_next_revision()
            FROM namespace WHERE owner_id = $1 AND service = $2 AND name = $3
            ON CONFLICT (owner_id, namespace_name, user_id, property_key) DO UPDATE SET
                transaction_id = excluded.transaction_id,
                reference_count = CASE
                    WHEN lock_mutex.ttl_at <= $8 OR lock_mutex.ttl_at + lock_mutex.time_offset <= $11
                    THEN 1 ELSE lock_mutex.reference_count + 1 END,
                created_at = CASE
                    WHEN lock_mutex.ttl_at <= $8 OR lock_mutex.ttl_at + lock_mutex.time_offset <= $11
                    THEN excluded.created_at ELSE lock_mutex.created_at END,
                time_offset = CASE
                    WHEN lock_mutex.ttl_at <= $8 OR lock_mutex.ttl_at + lock_mutex.time_offset <= $11
                    THEN excluded.time_offset ELSE lock_mutex.time_offset END,
                ttl_at = CASE
                    WHEN lock_mutex.ttl_at <= $8 OR lock_mutex.ttl_at + lock_mutex.time_offset <= $11
                        OR lock_mutex.ttl_at < excluded.ttl_at
                    THEN excluded.ttl_at ELSE lock_mutex.ttl_at END,
                revision = excluded.revision
            WHERE lock_mutex.ttl_at <= $8 OR lock_mutex.ttl_at + lock_mutex.time_offset <= $11
                OR lock_mutex.transaction_id = excluded.transaction_id
            RETURNING transaction_id, reference_count, created_at, ttl_at, revision";
        /// Gives a mutex that was just taken its number, now that nobody else can take it before.
        UPDATE_REVISION = "UPDATE lock_mutex SET revision = hiroba_next_revision()
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND property_key = $4
            RETURNING transaction_id, reference_count, created_at, ttl_at, revision";
        /// Frees a mutex that its transaction took once.
        DELETE_LAST_REFERENCE = "DELETE FROM lock_mutex
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND property_key = $4
              AND transaction_id = $5 AND reference_count = 1 AND ttl_at > $6 AND ttl_at + time_offset > $7
            RETURNING transaction_id, 0, created_at, ttl_at, revision";
        /// Takes one reference off a mutex that its transaction took several times.
        UPDATE_REFERENCE_COUNT = "UPDATE lock_mutex
            SET reference_count = reference_count - 1, revision = hiroba_next_revision()
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND property_key = $4
            RETURNING transaction_id, reference_count, created_at, ttl_at, revision";
        /// A mutex that has not expired.
        SELECT_MUTEX = "SELECT transaction_id, reference_count, created_at, ttl_at, revision FROM lock_mutex
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND property_key = $4
              AND ttl_at > $5 AND ttl_at + time_offset > $6";
        /// A page of a player's mutexes that have not expired.
        SELECT_MUTEXES = "SELECT transaction_id, reference_count, created_at, ttl_at, revision, property_key, property_id
            FROM lock_mutex
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND property_key > $4
              AND ttl_at > $5 AND ttl_at + time_offset > $6
            ORDER BY property_key LIMIT $7";
        /// Removes a mutex, expired or not.
        DELETE_MUTEX = "DELETE FROM lock_mutex
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND property_key = $4";
        /// Removes all mutexes of a namespace.
        DELETE_ALL = "DELETE FROM lock_mutex WHERE owner_id = $1 AND namespace_name = $2";
        /// Some mutexes behind a key, for the sweeper.
        SELECT_KEYS = "SELECT owner_id, namespace_name, user_id, property_key, ttl_at FROM lock_mutex
            WHERE (owner_id, namespace_name, user_id, property_key) > ($1, $2, $3, $4)
            ORDER BY owner_id, namespace_name, user_id, property_key LIMIT $5";
        /// Removes a mutex if it has expired.
        DELETE_EXPIRED = "DELETE FROM lock_mutex
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND property_key = $4 AND ttl_at <= $5";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.write(lock);
    registry.write(unlock);
    registry.read(get_mutex);
    registry.write(delete_mutex_by_user_id);
    registry.read(describe_mutexes);
}

fn lock(tx: &mut Tx<'_>, cx: &Cx, request: &Lock) -> Result<Item<Mutex>, Error> {
    let user = cx.user()?;
    let key = property_key(&request.property_id);
    tx.lock_row(&row_name(cx, &request.namespace_name, user, &key));
    let ttl_ms = request.ttl.unwrap_or(TTL_DEFAULT_S).saturating_mul(1000);
    let ttl_at = cx.now.0.saturating_add(ttl_ms).min(UnixMillis::MAX.0);
    let long_property = matches!(key, Cow::Owned(_)).then_some(&request.property_id);
    let params = params![
        cx.owner(),
        SERVICE.name,
        request.namespace_name.as_str(),
        user.as_str(),
        key.as_ref(),
        long_property,
        &request.transaction_id,
        cx.now.0,
        ttl_at,
        cx.time_offset,
        cx.seen().0
    ];
    let mut taken = tx.query_opt(sql::UPSERT_MUTEX, params, Held::read)?;
    if taken.is_some() && cx.core.store.engine() == Engine::Postgres {
        // PostgreSQL draws the number of a row before it waits for those who have the place: who got it meanwhile has a larger
        // one, and fencing numbers must grow with every grant.
        let row = params![cx.owner(), request.namespace_name.as_str(), user.as_str(), key.as_ref()];
        taken = tx.query_opt(sql::UPDATE_REVISION, row, Held::read)?;
    }
    match taken {
        Some(held) => Ok(held.item(cx, &request.namespace_name, user, &request.property_id)),
        None => {
            namespaces::require::<Namespaces>(tx, cx, &request.namespace_name)?;
            let detail = "another transaction holds the mutex; try again when it is free";
            Err(ApiError::conflict(SERVICE.name, "mutex", "transactionId", "notMatch", detail).into())
        }
    }
}

fn unlock(tx: &mut Tx<'_>, cx: &Cx, request: &Unlock) -> Result<Item<Mutex>, Error> {
    let user = cx.user()?;
    let key = property_key(&request.property_id);
    tx.lock_row(&row_name(cx, &request.namespace_name, user, &key));
    let row = params![cx.owner(), request.namespace_name.as_str(), user.as_str(), key.as_ref()];
    let params = [row, params![&request.transaction_id, cx.now.0, cx.seen().0]].concat();
    let held = match tx.query_opt(sql::DELETE_LAST_REFERENCE, &params, Held::read)? {
        Some(held) => held,
        None => {
            let held = select(tx, cx, &request.namespace_name, user, &key)?;
            if held.transaction_id != request.transaction_id {
                let detail = "another transaction holds the mutex; only its holder can unlock it";
                return Err(ApiError::bad_request(
                    SERVICE.name,
                    "mutex",
                    "transactionId",
                    "notMatch",
                    detail,
                )
                .into());
            }
            let row = tx.query_opt(sql::UPDATE_REFERENCE_COUNT, row, Held::read)?;
            row.ok_or_else(|| Error::Internal("a mutex vanished within a transaction".to_owned()))?
        }
    };
    Ok(held.item(cx, &request.namespace_name, user, &request.property_id))
}

fn get_mutex(tx: &mut Tx<'_>, cx: &Cx, request: &GetMutex) -> Result<Item<Mutex>, Error> {
    let user = cx.user()?;
    let held = select(tx, cx, &request.namespace_name, user, &property_key(&request.property_id))?;
    Ok(held.item(cx, &request.namespace_name, user, &request.property_id))
}

fn delete_mutex_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteMutexByUserId,
) -> Result<Item<Mutex>, Error> {
    let user = cx.user()?;
    let key = property_key(&request.property_id);
    tx.lock_row(&row_name(cx, &request.namespace_name, user, &key));
    let held = select(tx, cx, &request.namespace_name, user, &key)?;
    let params = params![cx.owner(), request.namespace_name.as_str(), user.as_str(), key.as_ref()];
    tx.execute(sql::DELETE_MUTEX, params)?;
    Ok(held.item(cx, &request.namespace_name, user, &request.property_id))
}

fn describe_mutexes(tx: &mut Tx<'_>, cx: &Cx, request: &DescribeMutexes) -> Result<Page<Mutex>, Error> {
    let user = cx.user()?;
    namespaces::require::<Namespaces>(tx, cx, &request.namespace_name)?;
    let params = params![
        cx.owner(),
        request.namespace_name.as_str(),
        user.as_str(),
        page::after(request.page_token.as_ref()),
        cx.now.0,
        cx.seen().0,
        page::rows(request.limit)
    ];
    let rows = tx.query(sql::SELECT_MUTEXES, params, |row| {
        let (held, key) = (Held::read(row)?, row.text(5)?);
        let property = row.opt_text(6)?.unwrap_or_else(|| key.clone());
        Ok((key, held.item(cx, &request.namespace_name, user, &property).item))
    })?;
    let Page { items, next_page_token } = page::page(rows, request.limit, |(key, _)| key);
    Ok(Page { items: items.into_iter().map(|(_, mutex)| mutex).collect(), next_page_token })
}

/// Removes all mutexes of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    Ok(())
}

/// A mutex's place in the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Key([String; 4]);

/// Reads up to `count` mutexes behind `after` and answers where it got to, `None` at the end, with those that have
/// expired.
pub(crate) fn find_expired(
    tx: &mut Tx<'_>,
    after: &Key,
    count: i64,
    now: UnixMillis,
) -> Result<(Option<Key>, Vec<Key>), Error> {
    let [owner, namespace, user, property] = &after.0;
    let rows = tx.query(sql::SELECT_KEYS, params![owner, namespace, user, property, count], |row| {
        Ok((Key([row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?]), row.int(4)?))
    })?;
    let full = rows.len() as i64 == count;
    let last = rows.last().filter(|_| full).map(|(key, _)| key.clone());
    let expired = rows.into_iter().filter(|(_, ttl_at)| *ttl_at <= now.0).map(|(key, _)| key).collect();
    Ok((last, expired))
}

/// Removes those of these mutexes that have expired; says how many.
pub(crate) fn delete_expired(tx: &mut Tx<'_>, keys: &[Key], now: UnixMillis) -> Result<u64, Error> {
    let mut deleted = 0;
    for Key([owner, namespace, user, property]) in keys {
        deleted += tx.execute(sql::DELETE_EXPIRED, params![owner, namespace, user, property, now.0])?;
    }
    Ok(deleted)
}

/// What a row says of a mutex beside its key.
struct Held {
    transaction_id: String,
    reference_count: i64,
    created_at: i64,
    ttl_at: i64,
    revision: i64,
}

impl Held {
    fn read(row: &Row<'_>) -> Result<Held, StoreError> {
        Ok(Held {
            transaction_id: row.text(0)?,
            reference_count: row.int(1)?,
            created_at: row.int(2)?,
            ttl_at: row.int(3)?,
            revision: row.int(4)?,
        })
    }

    fn item(self, cx: &Cx, namespace: &str, user: &UserId, property: &str) -> Item<Mutex> {
        let mutex = Mutex {
            mutex_id: cx.grn(&SERVICE, &format!("{namespace}:user:{user}:property:{property}")),
            user_id: user.clone(),
            property_id: property.to_owned(),
            transaction_id: self.transaction_id,
            reference_count: Some(i32::try_from(self.reference_count).unwrap_or(i32::MAX)),
            created_at: UnixMillis(self.created_at),
            ttl_at: Some(UnixMillis(self.ttl_at)),
            revision: self.revision,
        };
        Item { item: mutex }
    }
}

/// The mutex as the call sees it. Fails with 404 `mutex`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn select(tx: &mut Tx<'_>, cx: &Cx, namespace: &str, user: &UserId, key: &str) -> Result<Held, Error> {
    let params = params![cx.owner(), namespace, user.as_str(), key, cx.now.0, cx.seen().0];
    match tx.query_opt(sql::SELECT_MUTEX, params, Held::read)? {
        Some(held) => Ok(held),
        None => {
            namespaces::require::<Namespaces>(tx, cx, namespace)?;
            Err(ApiError::not_found(SERVICE.name, "mutex", "nobody holds the mutex, or its time is over")
                .into())
        }
    }
}

/// Name under which engines with concurrent writers queue the calls on one mutex.
fn row_name(cx: &Cx, namespace: &str, user: &str, key: &str) -> String {
    [cx.owner(), "lock", namespace, user, key].join("\n")
}

/// The property as the table's key: itself, or a beginning of it and a hash.
fn property_key(property: &str) -> Cow<'_, str> {
    if property.len() <= KEY_BYTES_MAX {
        return Cow::Borrowed(property);
    }
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, property.as_bytes());
    let mut end = KEY_PREFIX_BYTES;
    while !property.is_char_boundary(end) {
        end += 1;
    }
    Cow::Owned(format!("{}{}", &property[..end], data_encoding::HEXLOWER.encode(hash.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_long_properties_are_no_properties() {
        for unit in ["a", "é", "あ", "𠮷"] {
            for count in [1, 127, 128, 129, 512, 513, 1024] {
                let property = unit.repeat(count);
                let key = property_key(&property);
                if property.len() <= KEY_BYTES_MAX {
                    assert_eq!(key, property);
                } else {
                    assert!((KEY_BYTES_MAX + 1..=KEY_BYTES_MAX + 4).contains(&key.len()), "{}", key.len());
                }
            }
        }
        assert_ne!(
            property_key(&format!("{}1", "a".repeat(600))),
            property_key(&format!("{}2", "a".repeat(600)))
        );
    }
}
