//! Master data: documents of models, of which one is in force in a namespace. What a service adds is a [`MasterData`].
//!
//! A document is checked whole before it comes into force. What was read of it is remembered, for hot paths.

mod document;

use std::any::Any;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;

use hiroba_api::contract::{Field, Service, UnixMillis};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::grn::Project;
use hiroba_api::namespace::NamespaceOperations;
use hiroba_api::script::GitHubCheckoutSetting;
use hiroba_store::{Tx, params};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

pub(crate) use document::document;
use document::{models, parse, text};

use super::distributor::Context;
use super::key::github::{check, checkout};
use super::namespaces;
use super::uploads::{self, Prepared, Purpose};
use crate::cx::Cx;
use crate::error::Error;
use crate::generation::{Generation, Stamp};

/// How long a document is kept that is not in force any more, for calls that see master data as it was.
pub(crate) const FORMER_MS: i64 = 24 * 3_600_000;
/// Models that a document may have, and drafts that a namespace may have (BEHAVIOUR CH-33).
pub(crate) const MODELS_MAX: usize = 1000;
/// Models that are remembered, of all namespaces together.
const CACHED_MODELS_MAX: u64 = 100_000;
/// What a remembered namespace takes beside its models, in models.
const NAMESPACE_WEIGHT: u64 = 10;
/// Namespaces that the cache expects; decides into how many parts it is divided.
const CACHED_EXPECTED: usize = 256;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The document in force.
        SELECT_SETTINGS = "SELECT settings FROM current_master
            WHERE owner_id = $1 AND service = $2 AND namespace_name = $3";
        /// A namespace's document in force unless it is the one of version `$4`; no row when there is no namespace.
        SELECT_NEWER = "SELECT master.version,
                CASE WHEN master.version = CAST($4 AS BIGINT) THEN NULL ELSE master.settings END
            FROM namespace LEFT JOIN current_master AS master ON master.owner_id = namespace.owner_id
                AND master.service = namespace.service AND master.namespace_name = namespace.name
            WHERE namespace.owner_id = $1 AND namespace.service = $2 AND namespace.name = $3";
        /// Puts a document into force.
        UPSERT_MASTER = "INSERT INTO current_master
                (owner_id, service, namespace_name, settings, updated_at, version)
            VALUES ($1, $2, $3, $4, $5, hiroba_next_revision())
            ON CONFLICT (owner_id, service, namespace_name) DO UPDATE SET settings = excluded.settings,
                updated_at = excluded.updated_at, version = excluded.version";
        /// Keeps the document in force, which another one is about to follow.
        INSERT_FORMER = "INSERT INTO former_master (owner_id, service, namespace_name, until, version, since, settings)
            SELECT owner_id, service, namespace_name, CAST($4 AS BIGINT), version, updated_at, settings FROM current_master
            WHERE owner_id = $1 AND service = $2 AND namespace_name = $3
            ON CONFLICT (owner_id, service, namespace_name, until, version) DO NOTHING";
        /// The document that was in force at a moment, when another one has followed it since.
        SELECT_FORMER = "SELECT since, settings FROM former_master
            WHERE owner_id = $1 AND service = $2 AND namespace_name = $3 AND until > $4 ORDER BY until, version LIMIT 1";
        /// Since when the document in force is so.
        SELECT_SINCE = "SELECT updated_at FROM current_master
            WHERE owner_id = $1 AND service = $2 AND namespace_name = $3";
        /// Forgets some former documents.
        DELETE_EXPIRED_FORMER = "DELETE FROM former_master WHERE (owner_id, service, namespace_name, until, version) IN (
            SELECT owner_id, service, namespace_name, until, version FROM former_master WHERE until <= $1 LIMIT $2)";
        /// Forgets the former documents of a namespace.
        DELETE_FORMER = "DELETE FROM former_master WHERE owner_id = $1 AND service = $2 AND namespace_name = $3";
        /// Removes the document of a namespace.
        DELETE_MASTER = "DELETE FROM current_master WHERE owner_id = $1 AND service = $2 AND namespace_name = $3";
    }
}

/// What a service says of its master data.
pub(crate) trait MasterData: 'static {
    /// Namespaces of the service.
    type Namespaces: NamespaceOperations;
    /// A model as callers see it, once it is in force.
    type Model: Field + Send + Sync + 'static;
    /// What tells the models of a document apart, and orders them.
    type Key: Ord + Display;

    /// Version of the documents.
    const VERSION: &'static str;
    /// Name of a model: `categoryModel`.
    const MODEL: &'static str;
    /// Member of the document that holds the models: `categoryModels`.
    const MODELS: &'static str;
    /// Member of a model that holds its key: `category`.
    const KEY: &'static str;
    /// Member of a model that holds its GRN, which the document does not say: `categoryModelId`.
    const ID: &'static str;
    /// Name of the document as a model: `currentModelMaster`.
    const CURRENT: &'static str;
    /// Operation that prepares an upload of a document.
    const PRE_UPDATE: &'static str;
    /// Operation that puts a document into force.
    const UPDATE: &'static str;

    /// A model's key.
    fn key(model: &Self::Model) -> Self::Key;

    /// Gives a model its GRN, and what it has when the document says nothing.
    fn complete(model: &mut Self::Model, id: String);
}

/// The models of a document, by key.
pub(crate) type Models<M> = Vec<<M as MasterData>::Model>;

fn service<M: MasterData>() -> &'static Service {
    M::Namespaces::SERVICE
}

/// GRN of a model, draft or in force.
pub(crate) fn model_id<M: MasterData>(project: &Project, namespace: &str, key: &impl Display) -> String {
    project.grn(service::<M>(), &format!("{namespace}:model:{key}"))
}

fn purpose<M: MasterData>(namespace: &str) -> Purpose {
    Purpose {
        service: service::<M>(),
        model: M::CURRENT,
        prepared_by: M::PRE_UPDATE,
        name: format!("master/{namespace}"),
    }
}

/// What is remembered of the documents in force.
#[derive(Debug)]
pub(crate) struct MasterCache {
    generation: Generation,
    loaded: Cache<Place, Arc<Loaded>, ByModels>,
}

/// Where a document is in force.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    service: &'static str,
    owner: String,
    namespace: String,
}

/// A [`Place`] to look up; hashed like one.
#[derive(Hash)]
struct PlaceRef<'a> {
    service: &'static str,
    owner: &'a str,
    namespace: &'a str,
}

impl Equivalent<Place> for PlaceRef<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.service == place.service && self.owner == place.owner && self.namespace == place.namespace
    }
}

#[derive(Debug)]
struct Loaded {
    /// The [`Models`] of the service; `None` when no document is in force.
    models: Option<Arc<dyn Any + Send + Sync>>,
    version: Option<i64>,
    weight: u64,
    stamp: Stamp,
}

impl Loaded {
    fn models<M: MasterData>(&self) -> Option<Arc<Models<M>>> {
        self.models.clone().and_then(|models| models.downcast().ok())
    }
}

#[derive(Debug, Clone)]
struct ByModels;

impl Weighter<Place, Arc<Loaded>> for ByModels {
    fn weight(&self, _: &Place, loaded: &Arc<Loaded>) -> u64 {
        loaded.weight
    }
}

impl Default for MasterCache {
    fn default() -> Self {
        let loaded = Cache::with_weighter(CACHED_EXPECTED, CACHED_MODELS_MAX, ByModels);
        MasterCache { generation: Generation::default(), loaded }
    }
}

/// The models in force in a namespace, by key, remembered or read; `None` before a first document. With several nodes on one
/// database they may be a second old.
///
/// Fails with 404 `namespace` when they have to be read and there is no such namespace (BEHAVIOUR E-08).
pub(crate) async fn current<M: MasterData>(
    cx: &Arc<Cx>,
    namespace: &str,
) -> Result<Option<Arc<Models<M>>>, Error> {
    current_for::<M>(cx, namespace, cx.user.as_deref()).await
}

/// As [`current`], for a player whom the request names beside its path.
pub(crate) async fn current_for<M: MasterData>(
    cx: &Arc<Cx>,
    namespace: &str,
    user: Option<&str>,
) -> Result<Option<Arc<Models<M>>>, Error> {
    if let Some(moment) = Context::of(cx).frozen_at(user) {
        return former::<M>(cx, namespace, moment).await;
    }
    let cache = &cx.core.masters;
    let place = PlaceRef { service: service::<M>().name, owner: cx.owner(), namespace };
    let known = cache.loaded.get(&place);
    match known {
        Some(known) if cache.generation.is_fresh(&known.stamp, cx.core.store.engine()) => {
            Ok(known.models::<M>())
        }
        known => read::<M>(cx, namespace, known).await,
    }
}

/// The models that were in force at a moment of the last day.
async fn former<M: MasterData>(
    cx: &Arc<Cx>,
    namespace: &str,
    moment: i64,
) -> Result<Option<Arc<Models<M>>>, Error> {
    let (reading, name) = (Arc::clone(cx), namespace.to_owned());
    let select = move |tx: &mut Tx<'_>| {
        let cx = &reading;
        namespaces::require::<M::Namespaces>(tx, cx, &name)?;
        let params = params![cx.owner(), service::<M>().name, &name, moment];
        let former = tx.query_opt(sql::SELECT_FORMER, params, |row| Ok((row.int(0)?, row.text(1)?)))?;
        if former.is_some() {
            return Ok(former);
        }
        let params = params![cx.owner(), service::<M>().name, &name];
        let Some(since) = tx.query_opt(sql::SELECT_SINCE, params, |row| row.int(0))? else { return Ok(None) };
        let settings = tx.query_opt(sql::SELECT_SETTINGS, params, |row| row.text(0))?;
        Ok(settings.map(|settings| (since, settings)))
    };
    match cx.read(select).await? {
        Some((since, settings)) if since <= moment => {
            let models = parse::<M>(&cx.project, namespace, settings.into()).await?;
            let broken = |error| Error::Internal(format!("a stored document breaks its own limits: {error}"));
            models.map(|models| Some(Arc::new(models))).map_err(broken)
        }
        _ => Ok(None),
    }
}

/// Forgets some documents that nobody may ask for any more; says how many.
pub(crate) fn sweep(tx: &mut Tx<'_>, now: UnixMillis, count_max: i64) -> Result<u64, Error> {
    Ok(tx.execute(sql::DELETE_EXPIRED_FORMER, params![now.0 - FORMER_MS, count_max])?)
}

/// Reads the models in force and remembers them; what is `known` serves on when it is of the same version.
async fn read<M: MasterData>(
    cx: &Arc<Cx>,
    namespace: &str,
    known: Option<Arc<Loaded>>,
) -> Result<Option<Arc<Models<M>>>, Error> {
    let cache = &cx.core.masters;
    let stamp = cache.generation.stamp();
    let (reading, name) = (Arc::clone(cx), namespace.to_owned());
    let had = known.as_ref().and_then(|known| known.version);
    let select = move |tx: &mut Tx<'_>| {
        let params = params![reading.owner(), service::<M>().name, &name, had];
        let row = tx.query_opt(sql::SELECT_NEWER, params, |row| Ok((row.opt_int(0)?, row.opt_text(1)?)))?;
        if row.is_none() {
            namespaces::require::<M::Namespaces>(tx, &reading, &name)?;
        }
        Ok(row)
    };
    let (version, settings) = cx.read(select).await?.unwrap_or_default();
    let models = match (settings, known) {
        (Some(settings), _) => {
            let parsed = parse::<M>(&cx.project, namespace, settings.into()).await?;
            let broken = |error| Error::Internal(format!("a stored document breaks its own limits: {error}"));
            Some(Arc::new(parsed.map_err(broken)?))
        }
        (None, Some(known)) if version.is_some() => known.models::<M>(),
        (None, _) => None,
    };
    let place =
        Place { service: service::<M>().name, owner: cx.owner().to_owned(), namespace: namespace.to_owned() };
    let weight = NAMESPACE_WEIGHT + models.as_ref().map_or(0, |models| models.len() as u64);
    let kept = models.clone().map(|models| models as Arc<dyn Any + Send + Sync>);
    cache.loaded.insert(place, Arc::new(Loaded { models: kept, version, weight, stamp }));
    Ok(models)
}

/// The next call must see what this transaction changes.
fn changed(tx: &mut Tx<'_>, cx: &Cx) {
    let core = Arc::clone(&cx.core);
    tx.on_commit(move || core.masters.generation.change());
}

/// The document in force, as it was given.
///
/// Fails with 404 for the document when there is none yet, with 404 `namespace`.
pub(crate) fn settings<M: MasterData>(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<String, Error> {
    let params = params![cx.owner(), service::<M>().name, namespace];
    if let Some(settings) = tx.query_opt(sql::SELECT_SETTINGS, params, |row| row.text(0))? {
        return Ok(settings);
    }
    namespaces::require::<M::Namespaces>(tx, cx, namespace)?;
    let detail =
        format!("no master data is in force in namespace `{namespace}` yet; {} puts some", M::UPDATE);
    Err(ApiError::not_found(service::<M>().name, M::CURRENT, detail).into())
}

/// Prepares the upload of a document.
///
/// Fails with 404 `namespace`.
pub(crate) fn pre_update<M: MasterData>(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
) -> Result<Prepared, Error> {
    namespaces::require::<M::Namespaces>(tx, cx, namespace)?;
    uploads::prepare(tx, cx, &purpose::<M>(namespace))
}

/// How a caller hands a document over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    /// `direct` or `preUpload`; follows from the others when absent.
    pub(crate) mode: Option<&'a str>,
    /// The document itself.
    pub(crate) settings: Option<&'a str>,
    /// Where it was uploaded.
    pub(crate) upload_token: Option<&'a str>,
}

/// Where a document comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    Settings(&'a str),
    Upload(&'a str),
}

impl<'a> Given<'a> {
    /// Where the document comes from, or what is wrong with what was given (BEHAVIOUR CH-34).
    fn source<M: MasterData>(self) -> Result<Source<'a>, ApiError> {
        let settings = self.settings.filter(|settings| !settings.is_empty());
        let token = self.upload_token.filter(|token| !token.is_empty());
        let item = |member: &str, problem: &str, detail: &str| {
            ErrorItem::new(service::<M>().name, M::CURRENT, member, problem, detail)
        };
        let refuse = |items| Err(ApiError { status: Status::BadRequest, items });
        let one_of = |problem: &str| {
            let detail =
                "send either `settings` with the document or `uploadToken` with the token of an upload";
            refuse(vec![item("settings", problem, detail), item("uploadToken", problem, detail)])
        };
        let mode = self.mode.filter(|mode| !mode.is_empty());
        if let Some(mode) = mode.filter(|mode| !matches!(*mode, "direct" | "preUpload")) {
            let shown: String = mode.chars().take(40).collect();
            let detail = format!("`mode` must be `direct` or `preUpload`, but is `{shown}`");
            return refuse(vec![item("mode", "invalid", &detail)]);
        }
        match (mode, settings, token) {
            (_, Some(_), Some(_)) => one_of("invalid"),
            (Some("preUpload"), _, None) => {
                let detail = "mode `preUpload` needs the `uploadToken` of an upload; a document in `settings` has mode \
                              `direct`";
                refuse(vec![item("uploadToken", "require", detail)])
            }
            (Some("direct"), None, _) => {
                let detail = "mode `direct` needs the document in `settings`; an upload has mode `preUpload`";
                refuse(vec![item("settings", "require", detail)])
            }
            (_, Some(settings), None) => Ok(Source::Settings(settings)),
            (_, None, Some(token)) => Ok(Source::Upload(token)),
            (_, None, None) => one_of("require"),
        }
    }
}

/// Checks a document whole and puts it into force; answers it as it was given.
///
/// Fails with 400 for what was given, with 400 and one item for each thing that is wrong with the document, with 404
/// `namespace`. On failure nothing has changed, and an upload can be used again.
pub(crate) async fn update<M: MasterData>(
    cx: &Arc<Cx>,
    namespace: &str,
    given: Given<'_>,
) -> Result<String, Error> {
    let (settings, token) = match given.source::<M>()? {
        Source::Settings(settings) => (Some(Arc::<str>::from(settings)), None),
        Source::Upload(token) => (None, Some(token.to_owned())),
    };
    // Parsing takes long, so it happens outside of the transaction that stores.
    let (looking, name, uploaded) = (Arc::clone(cx), namespace.to_owned(), token.clone());
    let look = move |tx: &mut Tx<'_>| {
        namespaces::require::<M::Namespaces>(tx, &looking, &name)?;
        let token = uploaded.as_deref();
        token.map(|token| uploads::look(tx, &looking, &purpose::<M>(&name), token)).transpose()
    };
    let settings = match (settings, cx.read(look).await?) {
        (Some(settings), _) => settings,
        (None, content) => text::<M>(content.unwrap_or_default())?,
    };
    parse::<M>(&cx.project, namespace, Arc::clone(&settings)).await??;

    let (storing, name) = (Arc::clone(cx), namespace.to_owned());
    let store = move |tx: &mut Tx<'_>| {
        let cx = &storing;
        namespaces::require::<M::Namespaces>(tx, cx, &name)?;
        let mut settings = Arc::clone(&settings);
        if let Some(token) = &token {
            let content = uploads::take(tx, cx, &purpose::<M>(&name), token)?;
            if content != settings.as_bytes() {
                // Somebody was quick enough to replace it meanwhile.
                settings = text::<M>(content)?;
                models::<M>(&cx.project, &name, &settings)?;
            }
        }
        tx.execute(sql::INSERT_FORMER, params![cx.owner(), service::<M>().name, &name, cx.now.0])?;
        let params = params![cx.owner(), service::<M>().name, &name, settings.as_ref(), cx.now.0];
        tx.execute(sql::UPSERT_MASTER, params)?;
        changed(tx, cx);
        Ok(settings)
    };
    Ok(cx.write(store).await?.to_string())
}

fn refused<M: MasterData>(member: &str, problem: &str, detail: String) -> ApiError {
    ApiError::bad_request(service::<M>().name, M::CURRENT, member, problem, detail)
}

/// Fetches a document from GitHub, checks it whole and puts it into force; answers it as it stood there.
///
/// Fails with 404 `namespace`, as [`checkout`] and as [`update`].
pub(crate) async fn from_git_hub<M: MasterData>(
    cx: &Arc<Cx>,
    namespace: &str,
    setting: &GitHubCheckoutSetting,
) -> Result<String, Error> {
    check(cx, service::<M>().name, setting)?;
    let (looking, name) = (Arc::clone(cx), namespace.to_owned());
    cx.read(move |tx| namespaces::require::<M::Namespaces>(tx, &looking, &name)).await?;
    let settings = checkout(cx, service::<M>().name, setting).await?;
    let given = Given { mode: None, settings: Some(&settings), upload_token: None };
    update::<M>(cx, namespace, given).await
}

/// Removes the document of a namespace, and what was uploaded for it.
pub(crate) fn delete_all<M: MasterData>(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_MASTER, params![cx.owner(), service::<M>().name, namespace])?;
    tx.execute(sql::DELETE_FORMER, params![cx.owner(), service::<M>().name, namespace])?;
    uploads::delete_all(tx, cx, &purpose::<M>(namespace))?;
    changed(tx, cx);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::document::tests::Things;
    use super::*;

    #[test]
    fn a_document_comes_from_one_place() {
        let source = |mode, settings, upload_token| {
            let given = Given { mode, settings, upload_token };
            given.source::<Things>().map_err(|error| {
                error
                    .items
                    .into_iter()
                    .map(|item| item.code.replace("currentThingMaster.", ""))
                    .collect::<Vec<_>>()
            })
        };
        let (settings, token) = (Some("s"), Some("t"));
        for mode in [None, Some(""), Some("direct")] {
            assert_eq!(source(mode, settings, None), Ok(Source::Settings("s")));
        }
        for mode in [None, Some("preUpload")] {
            assert_eq!(source(mode, Some(""), token), Ok(Source::Upload("t")));
        }
        for mode in [None, Some("direct"), Some("preUpload")] {
            let both = vec!["settings.invalid".to_owned(), "uploadToken.invalid".to_owned()];
            assert_eq!(source(mode, settings, token), Err(both));
        }
        let none = vec!["settings.require".to_owned(), "uploadToken.require".to_owned()];
        assert_eq!(source(None, None, Some("")), Err(none));
        for (mode, settings, token, wrong) in [
            ("direct", None, token, "settings.require"),
            ("direct", None, None, "settings.require"),
            ("preUpload", settings, None, "uploadToken.require"),
            ("preUpload", None, None, "uploadToken.require"),
            ("other", settings, None, "mode.invalid"),
        ] {
            assert_eq!(source(Some(mode), settings, token), Err(vec![wrong.to_owned()]));
        }
    }
}
