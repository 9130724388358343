//! Distributor models: those in force, and the drafts from which a document of master data is made.

use std::sync::Arc;

use hiroba_api::contract::{Item, Items, Page, UnixMillis};
use hiroba_api::distributor::{
    CreateDistributorModelMaster, DeleteDistributorModelMaster, DescribeDistributorModelMasters,
    DescribeDistributorModels, DistributorModel, DistributorModelMaster, GetDistributorModel,
    GetDistributorModelMaster, Namespaces, SERVICE, UpdateDistributorModelMaster,
};
use hiroba_api::error::ApiError;
use hiroba_api::names::{Description, EntityName, GrnText, NamespaceName};
use hiroba_store::{Row, StoreError, Tx, params};
use serde_json::{Value, json};

use super::master::Models;
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::masters::{self, MODELS_MAX, model_id};
use crate::services::{namespaces, page};

/// Component of the drafts.
const DRAFT: &str = "distributorModelMaster";
/// Drafts that are read at once; the list of each may be long.
const CHUNK: i64 = 8;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Some drafts whose names begin with a prefix: at least `$4`, below `$5`.
        SELECT_DRAFTS = "SELECT name, description, metadata, inbox_namespace_id, white_list_target_ids, created_at,
                updated_at, revision FROM distributor_model_master
            WHERE owner_id = $1 AND namespace_name = $2 AND name > $3 AND name >= $4 AND name < $5
            ORDER BY name LIMIT $6";
        /// One draft.
        SELECT_DRAFT = "SELECT name, description, metadata, inbox_namespace_id, white_list_target_ids, created_at,
                updated_at, revision FROM distributor_model_master
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// How many drafts a namespace has.
        COUNT_DRAFTS = "SELECT COUNT(*) FROM distributor_model_master WHERE owner_id = $1 AND namespace_name = $2";
        /// Adds a draft unless there is one of its name.
        INSERT_DRAFT = "INSERT INTO distributor_model_master (owner_id, namespace_name, name, description, metadata,
                inbox_namespace_id, white_list_target_ids, created_at, updated_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 1) ON CONFLICT (owner_id, namespace_name, name) DO NOTHING";
        /// Replaces a draft.
        UPDATE_DRAFT = "UPDATE distributor_model_master SET description = $4, metadata = $5, inbox_namespace_id = $6,
                white_list_target_ids = $7, updated_at = $8, revision = revision + 1
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, description, metadata, inbox_namespace_id, white_list_target_ids, created_at, updated_at,
                revision";
        /// Removes a draft.
        DELETE_DRAFT = "DELETE FROM distributor_model_master WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, description, metadata, inbox_namespace_id, white_list_target_ids, created_at, updated_at,
                revision";
        /// Removes all drafts of a namespace.
        DELETE_ALL = "DELETE FROM distributor_model_master WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.call(describe_distributor_models);
    registry.call(get_distributor_model);
    registry.read(describe_distributor_model_masters);
    registry.write(create_distributor_model_master);
    registry.read(get_distributor_model_master);
    registry.write(update_distributor_model_master);
    registry.write(delete_distributor_model_master);
}

async fn describe_distributor_models(
    cx: Arc<Cx>,
    request: Arc<DescribeDistributorModels>,
) -> Result<Items<DistributorModel>, Error> {
    let models = masters::current::<Models>(&cx, &request.namespace_name).await?;
    Ok(Items { items: models.map(|models| models.to_vec()).unwrap_or_default() })
}

async fn get_distributor_model(
    cx: Arc<Cx>,
    request: Arc<GetDistributorModel>,
) -> Result<Item<DistributorModel>, Error> {
    let user = cx.user.as_deref();
    Ok(Item { item: current(&cx, &request.namespace_name, &request.distributor_name, user).await? })
}

/// A model in force, as a player sees it.
///
/// Fails with 404 `distributorModel`, with 404 `namespace`.
pub(super) async fn current(
    cx: &Arc<Cx>,
    namespace: &NamespaceName,
    name: &EntityName,
    user: Option<&str>,
) -> Result<DistributorModel, Error> {
    let models = masters::current_for::<Models>(cx, namespace, user).await?;
    let models = models.as_deref().map(Vec::as_slice).unwrap_or_default();
    match models.binary_search_by(|model| model.name.as_str().cmp(name.as_str())) {
        Ok(place) => Ok(models[place].clone()),
        Err(_) => {
            let detail = format!("the master data in force in namespace `{namespace}` has no model `{name}`");
            Err(ApiError::not_found(SERVICE.name, "distributorModel", detail).into())
        }
    }
}

struct Stored {
    name: String,
    description: Option<String>,
    metadata: Option<String>,
    inbox_namespace_id: Option<String>,
    white_list_target_ids: Option<String>,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            name: row.text(0)?,
            description: row.opt_text(1)?,
            metadata: row.opt_text(2)?,
            inbox_namespace_id: row.opt_text(3)?,
            white_list_target_ids: row.opt_text(4)?,
            created_at: row.int(5)?,
            updated_at: row.int(6)?,
            revision: row.int(7)?,
        })
    }

    fn white_list(&self) -> Option<Vec<String>> {
        self.white_list_target_ids.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    fn bytes(&self) -> usize {
        let texts = [&self.description, &self.metadata, &self.white_list_target_ids];
        texts.into_iter().flatten().map(String::len).sum::<usize>() + self.name.len()
    }

    fn model(self, cx: &Cx, namespace: &str) -> DistributorModelMaster {
        DistributorModelMaster {
            distributor_model_id: model_id::<Models>(&cx.project, namespace, &self.name),
            white_list_target_ids: self
                .white_list()
                .map(|ids| ids.into_iter().map(GrnText::trusted).collect()),
            name: EntityName::trusted(self.name),
            description: self.description.map(Description::trusted),
            metadata: self.metadata,
            inbox_namespace_id: self.inbox_namespace_id.map(GrnText::trusted),
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
            revision: self.revision,
        }
    }
}

/// What was found, or 404: `distributorModelMaster`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, name): (&str, &str),
    row: Option<Stored>,
) -> Result<Item<DistributorModelMaster>, Error> {
    let stored = namespaces::found_in::<Namespaces, _>(tx, cx, namespace, row, (DRAFT, name))?;
    Ok(Item { item: stored.model(cx, namespace) })
}

fn describe_distributor_model_masters(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeDistributorModelMasters,
) -> Result<Page<DistributorModelMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    // No character sorts above the last code point, so this bounds every name that begins with the prefix.
    let below = format!("{prefix}\u{10ffff}");
    let after = page::after(request.page_token.as_ref()).to_owned();
    let select = |after: &String, count| {
        let params = params![cx.owner(), namespace, after, prefix, &below, count];
        Ok(tx.query(sql::SELECT_DRAFTS, params, Stored::read)?)
    };
    let page =
        page::bounded(request.limit, after, CHUNK, select, |stored| stored.name.clone(), Stored::bytes)?;
    let items = page.items.into_iter().map(|stored| stored.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token: page.next_page_token })
}

/// A list of GRNs as its column holds it.
fn list(ids: Option<&[GrnText]>) -> Option<String> {
    ids.map(|ids| Value::from_iter(ids.iter().map(GrnText::as_str)).to_string())
}

fn create_distributor_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &CreateDistributorModelMaster,
) -> Result<Item<DistributorModelMaster>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.name.as_str());
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let count = tx.query_opt(sql::COUNT_DRAFTS, params![cx.owner(), namespace], |row| row.int(0))?;
    if count.unwrap_or_default() >= MODELS_MAX as i64 {
        let detail = format!(
            "a namespace holds at most {MODELS_MAX} drafts, as many as a document of master data; delete one first"
        );
        return Err(ApiError::bad_request(SERVICE.name, DRAFT, DRAFT, "tooMany", detail).into());
    }
    let stored = Stored {
        name: name.to_owned(),
        description: request.description.as_deref().map(str::to_owned),
        metadata: request.metadata.clone(),
        inbox_namespace_id: request.inbox_namespace_id.as_deref().map(str::to_owned),
        white_list_target_ids: list(request.white_list_target_ids.as_deref()),
        created_at: cx.now.0,
        updated_at: cx.now.0,
        revision: 1,
    };
    let params = params![
        cx.owner(),
        namespace,
        name,
        stored.description.as_ref(),
        stored.metadata.as_ref(),
        stored.inbox_namespace_id.as_ref(),
        stored.white_list_target_ids.as_ref(),
        cx.now.0
    ];
    if tx.execute(sql::INSERT_DRAFT, params)? == 0 {
        return Err(ApiError::exists(SERVICE.name, DRAFT, name).into());
    }
    Ok(Item { item: stored.model(cx, namespace) })
}

fn get_distributor_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetDistributorModelMaster,
) -> Result<Item<DistributorModelMaster>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.distributor_name.as_str());
    let row = tx.query_opt(sql::SELECT_DRAFT, params![cx.owner(), namespace, name], Stored::read)?;
    found(tx, cx, (namespace, name), row)
}

fn update_distributor_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &UpdateDistributorModelMaster,
) -> Result<Item<DistributorModelMaster>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.distributor_name.as_str());
    let white_list = list(request.white_list_target_ids.as_deref());
    let params = params![
        cx.owner(),
        namespace,
        name,
        request.description.as_deref(),
        request.metadata.as_ref(),
        request.inbox_namespace_id.as_deref(),
        white_list.as_ref(),
        cx.now.0
    ];
    let row = tx.query_opt(sql::UPDATE_DRAFT, params, Stored::read)?;
    found(tx, cx, (namespace, name), row)
}

fn delete_distributor_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteDistributorModelMaster,
) -> Result<Item<DistributorModelMaster>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.distributor_name.as_str());
    let row = tx.query_opt(sql::DELETE_DRAFT, params![cx.owner(), namespace, name], Stored::read)?;
    found(tx, cx, (namespace, name), row)
}

/// The drafts of a namespace as a document has them, by name.
pub(super) fn drafts(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<Vec<Value>, Error> {
    let params = params![cx.owner(), namespace, "", "", "\u{10ffff}", MODELS_MAX as i64];
    let drafts = tx.query(sql::SELECT_DRAFTS, params, Stored::read)?;
    let element = |draft: Stored| {
        json!({
            "name": draft.name,
            "metadata": draft.metadata,
            "inboxNamespaceId": draft.inbox_namespace_id,
            "whiteListTargetIds": draft.white_list(),
        })
    };
    Ok(drafts.into_iter().map(element).collect())
}

/// Removes all drafts of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    Ok(())
}
