//! The namespace operations of every service that has namespaces: one set of handlers, one table.

use std::any::Any;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::Arc;

use hiroba_api::contract::{Fields, Item, Operation, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::names::{NamePrefix, PageLimit, PageToken};
use hiroba_api::namespace::{NamespaceOperations, Status, read_namespace};
use hiroba_store::{Row, StoreError, Tx, params};
use quick_cache::sync::Cache;
use serde_json::Value;

use super::{SERVICE_VERSION, page};
use crate::cx::{Cx, found};
use crate::error::Error;
use crate::generation::{Generation, Stamp};
use crate::pipeline::Core;
use crate::registry::Registry;
use crate::vault::reseal::{SealedRows, rows};
use crate::vault::{Vault, context};

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of namespaces whose names begin with a prefix: at least `$4`, below `$5`.
        SELECT_NAMESPACES = "SELECT name, description, settings, created_at, updated_at, revision FROM namespace
            WHERE owner_id = $1 AND service = $2 AND name > $3 AND name >= $4 AND name < $5 ORDER BY name LIMIT $6";
        /// All namespaces of a service.
        SELECT_ALL_NAMESPACES = "SELECT name, description, settings, created_at, updated_at, revision FROM namespace
            WHERE owner_id = $1 AND service = $2 ORDER BY name";
        /// One namespace.
        SELECT_NAMESPACE = "SELECT name, description, settings, created_at, updated_at, revision FROM namespace
            WHERE owner_id = $1 AND service = $2 AND name = $3";
        /// Adds a namespace unless there is one of this name.
        INSERT_NAMESPACE = "INSERT INTO namespace
                (owner_id, service, name, description, settings, created_at, updated_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $6, 1) ON CONFLICT (owner_id, service, name) DO NOTHING";
        /// Replaces the settings of a namespace.
        UPDATE_NAMESPACE = "UPDATE namespace SET description = $4, settings = $5, updated_at = $6, revision = revision + 1
            WHERE owner_id = $1 AND service = $2 AND name = $3
            RETURNING name, description, settings, created_at, updated_at, revision";
        /// Settings of a service's namespaces behind one, those of all owners.
        SELECT_SETTINGS = "SELECT owner_id, name, settings FROM namespace
            WHERE service = $1 AND (owner_id, name) > ($2, $3) ORDER BY owner_id, name LIMIT $4";
        /// Replaces settings that are still these.
        REPLACE_SETTINGS = "UPDATE namespace SET settings = $5
            WHERE owner_id = $1 AND service = $2 AND name = $3 AND settings = $4";
        /// Removes a namespace.
        DELETE_NAMESPACE = "DELETE FROM namespace WHERE owner_id = $1 AND service = $2 AND name = $3
            RETURNING name, description, settings, created_at, updated_at, revision";
    }
}

/// What the master key knows secret settings as.
const SECRET: &str = "namespace setting";
/// Namespaces whose settings are remembered.
const CACHED_MAX: usize = 1000;

/// The settings of namespaces that hot paths ask for again and again.
#[derive(Debug)]
pub(crate) struct NamespaceCache {
    generation: Generation,
    loaded: Cache<String, Arc<Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    /// The service's namespace model; `None` when there is no such namespace.
    namespace: Option<Arc<dyn Any + Send + Sync>>,
    stamp: Stamp,
}

impl Default for NamespaceCache {
    fn default() -> Self {
        NamespaceCache { generation: Generation::default(), loaded: Cache::new(CACHED_MAX) }
    }
}

impl NamespaceCache {
    fn forget(&self) {
        self.generation.change();
    }
}

/// The namespace of this name, remembered or read. With several nodes on one database it may be a second old.
///
/// Fails with 404 `namespace` when there is none of this name (BEHAVIOUR E-08).
pub(crate) async fn cached<S: NamespaceData>(cx: &Arc<Cx>, name: &str) -> Result<Arc<S::Namespace>, Error> {
    let namespace = match remembered::<S>(cx, name) {
        Some(remembered) => remembered,
        None => {
            let cache = &cx.core.namespaces;
            let stamp = cache.generation.stamp();
            let (reading, owned) = (Arc::clone(cx), name.to_owned());
            let namespace = cx.read(move |tx| read::<S>(tx, &reading, &owned)).await?.map(Arc::new);
            let kept = namespace.clone().map(|namespace| namespace as Arc<dyn Any + Send + Sync>);
            cache.loaded.insert(key::<S>(cx, name), Arc::new(Loaded { namespace: kept, stamp }));
            namespace
        }
    };
    found(Ok::<_, Error>(namespace), S::SERVICE, "namespace", name)
}

/// Under which a namespace is remembered.
fn key<S: NamespaceData>(cx: &Cx, name: &str) -> String {
    [S::SERVICE.name, cx.owner(), name].join("\n")
}

/// The namespace of this name if it is remembered: `None` inside when it is remembered that there is none.
pub(crate) fn remembered<S: NamespaceData>(cx: &Cx, name: &str) -> Option<Option<Arc<S::Namespace>>> {
    let cache = &cx.core.namespaces;
    let loaded = cache.loaded.get(&key::<S>(cx, name))?;
    let fresh = cache.generation.is_fresh(&loaded.stamp, cx.core.store.engine());
    fresh.then(|| loaded.namespace.clone().and_then(|namespace| namespace.downcast().ok()))
}

/// The namespace of this name, if there is one.
pub(crate) fn read<S: NamespaceData>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    name: &str,
) -> Result<Option<S::Namespace>, Error> {
    let params = params![cx.owner(), S::SERVICE.name, name];
    let stored = tx.query_opt(sql::SELECT_NAMESPACE, params, Stored::read)?;
    stored.map(|stored| stored.model::<S>(cx)).transpose()
}

/// All namespaces of a service.
pub(crate) fn read_all<S: NamespaceData>(tx: &mut Tx<'_>, cx: &Cx) -> Result<Vec<S::Namespace>, Error> {
    let stored = tx.query(sql::SELECT_ALL_NAMESPACES, params![cx.owner(), S::SERVICE.name], Stored::read)?;
    stored.into_iter().map(|stored| stored.model::<S>(cx)).collect()
}

/// The next call must see what this transaction changes.
fn changed(tx: &mut Tx<'_>, cx: &Cx) {
    let core = Arc::clone(&cx.core);
    tx.on_commit(move || core.namespaces.forget());
}

/// From the commit on calls are recorded as these settings say; `None` when the namespace is gone.
fn logged<S: NamespaceOperations>(tx: &mut Tx<'_>, cx: &Cx, name: &str, settings: Option<Fields>) {
    let (core, owner, name) = (Arc::clone(&cx.core), cx.owner().to_owned(), name.to_owned());
    tx.on_commit(move || core.logs.settings.set(S::SERVICE, &owner, &name, settings.as_ref()));
}

/// What of the settings says where calls are recorded.
fn log_setting(fields: &Fields) -> Fields {
    fields
        .iter()
        .filter(|(name, _)| *name == "logSetting")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A service whose namespaces are kept here.
pub(crate) trait NamespaceData: NamespaceOperations {
    /// Settings that the store has sealed, by their names on the wire. All are texts.
    const SECRETS: &'static [&'static str] = &[];

    /// Removes everything that the namespace holds (BEHAVIOUR N-14).
    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error>;

    /// The settings of a namespace were changed to these.
    fn updated(_tx: &mut Tx<'_>, _cx: &Cx, _namespace: &Self::Namespace) {}
}

/// A namespace as its row holds it.
struct Stored {
    name: String,
    description: Option<String>,
    settings: String,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            name: row.text(0)?,
            description: row.opt_text(1)?,
            settings: row.text(2)?,
            created_at: row.int(3)?,
            updated_at: row.int(4)?,
            revision: row.int(5)?,
        })
    }

    fn model<S: NamespaceData>(self, cx: &Cx) -> Result<S::Namespace, Error> {
        let mut fields: Fields = serde_json::from_str(&self.settings).map_err(|error| {
            Error::internal(&format!("reading settings of namespace {}", self.name), error)
        })?;
        for name in S::SECRETS {
            if let Some(Value::String(kept)) = fields.get_mut(*name) {
                *kept = cx.core.vault.open_text(
                    SECRET,
                    &secret_context::<S>(cx.owner(), &self.name, name),
                    kept,
                )?;
            }
        }
        fields.insert("namespaceId".to_owned(), Value::String(cx.grn(S::SERVICE, &self.name)));
        fields.insert("name".to_owned(), Value::String(self.name));
        fields.insert("description".to_owned(), self.description.into());
        fields.insert("createdAt".to_owned(), self.created_at.into());
        fields.insert("updatedAt".to_owned(), self.updated_at.into());
        fields.insert("revision".to_owned(), self.revision.into());
        read_namespace(S::SERVICE, fields)
            .map_err(|errors| Error::Internal(format!("stored namespace breaks its own limits: {errors:?}")))
    }
}

/// Registers the namespace operations of service `S`.
pub(crate) fn register<S: NamespaceData>(registry: &mut Registry) {
    registry.read::<S::Describe>(describe::<S>);
    registry.write::<S::Create>(create::<S>);
    registry.read::<S::GetStatus>(get_status::<S>);
    registry.read::<S::Get>(get::<S>);
    registry.write::<S::Update>(update::<S>);
    registry.write::<S::Delete>(delete::<S>);
    registry.read::<S::GetVersion>(get_version::<S>);
}

/// Fails with 404 `namespace` when there is none of this name (BEHAVIOUR E-08).
pub(crate) fn require<S: NamespaceOperations>(tx: &mut Tx<'_>, cx: &Cx, name: &str) -> Result<(), Error> {
    select::<S>(tx, cx, name).map(|_| ())
}

/// What was found in a namespace.
///
/// Fails with 404 of the model when there is nothing of this name, with 404 `namespace` when even that is missing
/// (BEHAVIOUR E-08).
pub(crate) fn found_in<S: NamespaceOperations, T>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
    row: Option<T>,
    (model, name): (&str, impl Display),
) -> Result<T, Error> {
    let Some(row) = row else {
        require::<S>(tx, cx, namespace)?;
        let detail = format!("there is no {model} `{name}` in namespace `{namespace}`");
        return Err(ApiError::not_found(S::SERVICE.name, model, detail).into());
    };
    Ok(row)
}

fn select<S: NamespaceOperations>(tx: &mut Tx<'_>, cx: &Cx, name: &str) -> Result<Stored, Error> {
    let row = tx.query_opt(sql::SELECT_NAMESPACE, params![cx.owner(), S::SERVICE.name, name], Stored::read);
    found(row, S::SERVICE, "namespace", name)
}

/// The request's fields; what is left after the known ones are the service's settings.
fn fields(request: &impl Operation) -> Fields {
    let mut fields = Fields::new();
    request.write(&mut fields);
    fields
}

fn take_text(fields: &mut Fields, name: &str) -> Option<String> {
    match fields.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Settings as the row of the namespace holds them: the secret ones sealed.
fn settings_text<S: NamespaceData>(cx: &Cx, name: &str, mut fields: Fields) -> Result<String, Error> {
    for secret in S::SECRETS {
        if let Some(Value::String(plain)) = fields.get_mut(*secret) {
            let context = secret_context::<S>(cx.owner(), name, secret);
            *plain = cx.core.vault.seal_text(SECRET, &context, plain)?;
        }
    }
    Ok(Value::Object(fields).to_string())
}

/// Where a secret setting lies.
fn secret_context<S: NamespaceData>(owner: &str, namespace: &str, setting: &str) -> Vec<u8> {
    context(&[owner, S::SERVICE.name, namespace, setting])
}

/// The settings of a service's namespaces, for sealing the secret ones anew.
struct Settings<S>(PhantomData<S>);

impl<S: NamespaceData + 'static> SealedRows for Settings<S> {
    const WHAT: &'static str = "settings of namespaces";
    type Key = (String, String);
    type Value = String;

    fn select(
        tx: &mut Tx<'_>,
        (owner, name): &Self::Key,
        count: i64,
    ) -> Result<Vec<(Self::Key, String)>, Error> {
        let read = |row: &Row<'_>| Ok(((row.text(0)?, row.text(1)?), row.text(2)?));
        Ok(tx.query(sql::SELECT_SETTINGS, params![S::SERVICE.name, owner, name, count], read)?)
    }

    fn renewed(vault: &Vault, (owner, name): &Self::Key, value: &String) -> Result<Option<String>, Error> {
        let fields: Result<Fields, _> = serde_json::from_str(value);
        let mut fields = fields.map_err(|error| Error::internal("reading settings", error))?;
        let mut is_changed = false;
        for secret in S::SECRETS {
            let Some(Value::String(kept)) = fields.get_mut(*secret) else { continue };
            if !vault.is_current_text(kept) {
                let context = secret_context::<S>(owner, name, secret);
                let plain = vault.open_text(SECRET, &context, kept)?;
                *kept = vault.seal_text(SECRET, &context, &plain)?;
                is_changed = true;
            }
        }
        Ok(is_changed.then(|| Value::Object(fields).to_string()))
    }

    fn replace(tx: &mut Tx<'_>, (owner, name): &Self::Key, old: &String, new: &String) -> Result<u64, Error> {
        Ok(tx.execute(sql::REPLACE_SETTINGS, params![owner, S::SERVICE.name, name, old, new])?)
    }
}

/// Seals the secret settings of a service's namespaces under the current master key.
pub(crate) async fn reseal<S: NamespaceData + 'static>(core: &Core) -> Result<u64, Error> {
    rows::<Settings<S>>(core).await
}

fn describe<S: NamespaceData>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &S::Describe,
) -> Result<Page<S::Namespace>, Error> {
    let mut fields = fields(request);
    let prefix = NamePrefix::trusted(take_text(&mut fields, "namePrefix").unwrap_or_default());
    let token = take_text(&mut fields, "pageToken").map(PageToken::trusted);
    let limit = fields.remove("limit").and_then(|limit| i32::try_from(limit.as_i64()?).ok());
    let limit = limit.and_then(|limit| PageLimit::try_from(limit).ok()).unwrap_or_default();
    // No character sorts above the last code point, so this bounds every name that begins with the prefix.
    let below = format!("{prefix}\u{10ffff}");
    let params = params![
        cx.owner(),
        S::SERVICE.name,
        page::after(token.as_ref()),
        prefix.as_str(),
        &below,
        page::rows(limit)
    ];
    let stored = tx.query(sql::SELECT_NAMESPACES, params, Stored::read)?;
    let Page { items, next_page_token } = page::page(stored, limit, |stored| &stored.name);
    let items = items.into_iter().map(|stored| stored.model::<S>(cx)).collect::<Result<_, _>>()?;
    Ok(Page { items, next_page_token })
}

fn create<S: NamespaceData>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &S::Create,
) -> Result<Item<S::Namespace>, Error> {
    let mut fields = fields(request);
    let name = take_text(&mut fields, "name").unwrap_or_default();
    let description = take_text(&mut fields, "description");
    let UnixMillis(now) = cx.now;
    let log_setting = log_setting(&fields);
    let settings = settings_text::<S>(cx, &name, fields)?;
    let params = params![cx.owner(), S::SERVICE.name, &name, description.as_ref(), &settings, now];
    if tx.execute(sql::INSERT_NAMESPACE, params)? == 0 {
        return Err(ApiError::exists(S::SERVICE.name, "namespace", &name).into());
    }
    changed(tx, cx);
    logged::<S>(tx, cx, &name, Some(log_setting));
    let stored = Stored { name, description, settings, created_at: now, updated_at: now, revision: 1 };
    Ok(Item { item: stored.model::<S>(cx)? })
}

fn get_status<S: NamespaceData>(tx: &mut Tx<'_>, cx: &Cx, request: &S::GetStatus) -> Result<Status, Error> {
    require::<S>(tx, cx, &namespace_name(request))?;
    Ok(Status { status: "ACTIVE".to_owned() })
}

fn get<S: NamespaceData>(tx: &mut Tx<'_>, cx: &Cx, request: &S::Get) -> Result<Item<S::Namespace>, Error> {
    Ok(Item { item: select::<S>(tx, cx, &namespace_name(request))?.model::<S>(cx)? })
}

fn update<S: NamespaceData>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &S::Update,
) -> Result<Item<S::Namespace>, Error> {
    let mut fields = fields(request);
    let name = take_text(&mut fields, "namespaceName").unwrap_or_default();
    let description = take_text(&mut fields, "description");
    let log_setting = log_setting(&fields);
    let settings = settings_text::<S>(cx, &name, fields)?;
    let params = params![cx.owner(), S::SERVICE.name, &name, description.as_ref(), &settings, cx.now.0];
    let row = tx.query_opt(sql::UPDATE_NAMESPACE, params, Stored::read);
    let item = found(row, S::SERVICE, "namespace", &name)?.model::<S>(cx)?;
    changed(tx, cx);
    logged::<S>(tx, cx, &name, Some(log_setting));
    S::updated(tx, cx, &item);
    Ok(Item { item })
}

fn delete<S: NamespaceData>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &S::Delete,
) -> Result<Item<S::Namespace>, Error> {
    let name = namespace_name(request);
    let row = tx.query_opt(sql::DELETE_NAMESPACE, params![cx.owner(), S::SERVICE.name, &name], Stored::read);
    let stored = found(row, S::SERVICE, "namespace", &name)?;
    S::delete_data(tx, cx, &name)?;
    changed(tx, cx);
    logged::<S>(tx, cx, &name, None);
    Ok(Item { item: stored.model::<S>(cx)? })
}

fn get_version<S: NamespaceData>(_: &mut Tx<'_>, _: &Cx, _: &S::GetVersion) -> Result<Item<String>, Error> {
    Ok(Item { item: SERVICE_VERSION.to_owned() })
}

fn namespace_name(request: &impl Operation) -> String {
    take_text(&mut fields(request), "namespaceName").unwrap_or_default()
}
