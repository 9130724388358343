//! Keys, and encrypting with them: `/key/{namespaceName}/key…` (BEHAVIOUR K-01, K-02, K-04).

use std::sync::Arc;

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::key::{
    CreateKey, Data, Decrypt, DeleteKey, DescribeKeys, Encrypt, GetKey, Key, Namespaces, SERVICE, UpdateKey,
};
use hiroba_api::names::{Description, EntityName, NamespaceName};
use hiroba_store::{Row, StoreError, Tx, params};

use super::signing::{self, KeySecret, PURPOSE, SECRET_BYTES, SecretBytes};
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Core;
use crate::registry::Registry;
use crate::services::{namespaces, page};
use crate::vault::reseal::{self, SealedRows};
use crate::vault::{Vault, context};

/// What texts are encrypted as.
const DATA: &str = "data";
/// How this version encrypts a text; the first byte of the result.
const VERSION: u8 = 1;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of keys whose names begin with a prefix: at least `$4`, below `$5`.
        SELECT_KEYS = "SELECT name, description, created_at, updated_at, revision FROM key_key
            WHERE owner_id = $1 AND namespace_name = $2 AND name > $3 AND name >= $4 AND name < $5
            ORDER BY name LIMIT $6";
        /// One key.
        SELECT_KEY = "SELECT name, description, created_at, updated_at, revision FROM key_key
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// The secret of a key.
        SELECT_SECRET = "SELECT secret FROM key_key WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// Adds a key unless there is one of this name.
        INSERT_KEY = "INSERT INTO key_key
                (owner_id, namespace_name, name, description, secret, created_at, updated_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $6, 1) ON CONFLICT (owner_id, namespace_name, name) DO NOTHING";
        /// Replaces the description of a key.
        UPDATE_KEY = "UPDATE key_key SET description = $4, updated_at = $5, revision = revision + 1
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, description, created_at, updated_at, revision";
        /// Removes a key.
        DELETE_KEY = "DELETE FROM key_key WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, description, created_at, updated_at, revision";
        /// Removes all keys of a namespace.
        DELETE_ALL = "DELETE FROM key_key WHERE owner_id = $1 AND namespace_name = $2";
        /// Some secrets behind one.
        SELECT_SECRETS = "SELECT owner_id, namespace_name, name, secret FROM key_key
            WHERE (owner_id, namespace_name, name) > ($1, $2, $3)
            ORDER BY owner_id, namespace_name, name LIMIT $4";
        /// Replaces a secret by the same under another master key.
        UPDATE_SECRET = "UPDATE key_key SET secret = $5
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3 AND secret = $4";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_keys);
    registry.write(create_key);
    registry.write(update_key);
    registry.read(get_key);
    registry.write(delete_key);
    registry.call(encrypt);
    registry.call(decrypt);
}

struct Stored {
    name: String,
    description: Option<String>,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            name: row.text(0)?,
            description: row.opt_text(1)?,
            created_at: row.int(2)?,
            updated_at: row.int(3)?,
            revision: row.int(4)?,
        })
    }

    fn model(self, cx: &Cx, namespace: &str) -> Key {
        Key {
            key_id: cx.grn(&SERVICE, &format!("{namespace}:key:{}", self.name)),
            name: EntityName::trusted(self.name),
            description: self.description.map(Description::trusted),
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
            revision: self.revision,
        }
    }
}

/// What was found, or 404: `key`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found<T>(tx: &mut Tx<'_>, cx: &Cx, (namespace, name): (&str, &str), row: Option<T>) -> Result<T, Error> {
    namespaces::found_in::<Namespaces, _>(tx, cx, namespace, row, ("key", name))
}

/// The secret of a key.
///
/// Fails with 404 `key`, with 404 `namespace`.
pub(super) fn require(tx: &mut Tx<'_>, cx: &Cx, namespace: &str, name: &str) -> Result<KeySecret, Error> {
    let secret = signing::find(tx, cx, namespace, name)?;
    found(tx, cx, (namespace, name), secret)
}

fn describe_keys(tx: &mut Tx<'_>, cx: &Cx, request: &DescribeKeys) -> Result<Page<Key>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    // No character sorts above the last code point, so this bounds every name that begins with the prefix.
    let below = format!("{prefix}\u{10ffff}");
    let after = page::after(request.page_token.as_ref());
    let params = params![cx.owner(), namespace, after, prefix, &below, page::rows(request.limit)];
    let stored = tx.query(sql::SELECT_KEYS, params, Stored::read)?;
    let Page { items, next_page_token } = page::page(stored, request.limit, |stored| &stored.name);
    let items = items.into_iter().map(|stored| stored.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token })
}

fn create_key(tx: &mut Tx<'_>, cx: &Cx, request: &CreateKey) -> Result<Item<Key>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.name.as_str());
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let mut bytes = SecretBytes([0; SECRET_BYTES]);
    for half in bytes.0.chunks_exact_mut(SECRET_BYTES / 2) {
        half.copy_from_slice(&cx.entropy.bytes());
    }
    let secret = cx.core.vault.seal(PURPOSE, &context(&[cx.owner(), namespace, name]), &bytes.0)?;
    let (description, now) = (request.description.as_deref(), cx.now.0);
    let params = params![cx.owner(), namespace, name, description, &secret, now];
    if tx.execute(sql::INSERT_KEY, params)? == 0 {
        return Err(ApiError::exists(SERVICE.name, "key", name).into());
    }
    let stored = Stored {
        name: name.to_owned(),
        description: description.map(str::to_owned),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    Ok(Item { item: stored.model(cx, namespace) })
}

fn update_key(tx: &mut Tx<'_>, cx: &Cx, request: &UpdateKey) -> Result<Item<Key>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.key_name.as_str());
    let params = params![cx.owner(), namespace, name, request.description.as_deref(), cx.now.0];
    let row = tx.query_opt(sql::UPDATE_KEY, params, Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

fn get_key(tx: &mut Tx<'_>, cx: &Cx, request: &GetKey) -> Result<Item<Key>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.key_name.as_str());
    let row = tx.query_opt(sql::SELECT_KEY, params![cx.owner(), namespace, name], Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

fn delete_key(tx: &mut Tx<'_>, cx: &Cx, request: &DeleteKey) -> Result<Item<Key>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.key_name.as_str());
    let row = tx.query_opt(sql::DELETE_KEY, params![cx.owner(), namespace, name], Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

/// The secret of a key, read in a transaction of its own: encrypting long texts is no work for the store's threads.
async fn read(cx: &Arc<Cx>, namespace: &NamespaceName, name: &EntityName) -> Result<KeySecret, Error> {
    let (reading, namespace, name) = (Arc::clone(cx), namespace.clone(), name.clone());
    cx.read(move |tx| require(tx, &reading, &namespace, &name)).await
}

async fn encrypt(cx: Arc<Cx>, request: Arc<Encrypt>) -> Result<Data, Error> {
    let key = read(&cx, &request.namespace_name, &request.key_name).await?;
    let sealed = key.encrypt(DATA, "", request.data.as_bytes())?;
    Ok(Data { data: data_encoding::BASE64.encode(&[&[VERSION], sealed.as_slice()].concat()) })
}

async fn decrypt(cx: Arc<Cx>, request: Arc<Decrypt>) -> Result<Data, Error> {
    let key = read(&cx, &request.namespace_name, &request.key_name).await?;
    match decrypted(&key, &request.data) {
        Some(data) => Ok(Data { data }),
        None => {
            let detail = format!(
                "`data` must be what `encrypt` answered for key `{}` of this namespace, unchanged; a key that was made \
                 anew under the name of a deleted one decrypts nothing of the former",
                request.key_name
            );
            Err(ApiError::bad_request(SERVICE.name, "key", "data", "invalid", detail).into())
        }
    }
}

/// The text that `encrypt` made this of; `None` for anything else.
fn decrypted(key: &KeySecret, data: &str) -> Option<String> {
    let sealed = data_encoding::BASE64.decode(data.as_bytes()).ok()?;
    let sealed = sealed.strip_prefix(&[VERSION])?;
    String::from_utf8(key.decrypt(DATA, "", sealed)?).ok()
}

/// Removes all keys of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    Ok(())
}

/// Secrets of keys, for the change of the master key.
struct Secrets;

impl SealedRows for Secrets {
    const WHAT: &'static str = "secrets of keys";
    type Key = (String, String, String);
    type Value = Vec<u8>;

    fn select(
        tx: &mut Tx<'_>,
        (owner, namespace, name): &Self::Key,
        count: i64,
    ) -> Result<Vec<(Self::Key, Vec<u8>)>, Error> {
        let read = |row: &Row<'_>| Ok(((row.text(0)?, row.text(1)?, row.text(2)?), row.blob(3)?));
        Ok(tx.query(sql::SELECT_SECRETS, params![owner, namespace, name, count], read)?)
    }

    fn renewed(
        vault: &Vault,
        (owner, namespace, name): &Self::Key,
        secret: &Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Error> {
        vault.renewed(PURPOSE, &context(&[owner, namespace, name]), secret)
    }

    fn replace(
        tx: &mut Tx<'_>,
        (owner, namespace, name): &Self::Key,
        old: &Vec<u8>,
        new: &Vec<u8>,
    ) -> Result<u64, Error> {
        let params = params![owner, namespace, name, old.as_slice(), new.as_slice()];
        Ok(tx.execute(sql::UPDATE_SECRET, params)?)
    }
}

/// Has the secrets of keys under the current master key; answers how many were not.
pub(crate) async fn reseal(core: &Core) -> Result<u64, Error> {
    reseal::rows::<Secrets>(core).await
}
