//! Categories of messages: the models in force, and the drafts from which a document of master data is made (BEHAVIOUR
//! CH-33).

use std::sync::Arc;

use hiroba_api::chat::{
    CategoryModel, CategoryModelMaster, CreateCategoryModelMaster, DeleteCategoryModelMaster,
    DescribeCategoryModelMasters, DescribeCategoryModels, GetCategoryModel, GetCategoryModelMaster,
    Namespaces, SERVICE, UpdateCategoryModelMaster,
};
use hiroba_api::contract::{Item, Items, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::names::{Description, PageToken};
use hiroba_api::namespace::Enable;
use hiroba_store::{Row, StoreError, Tx, params};
use serde_json::{Value, json};

use super::master::Categories;
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::masters::{MODELS_MAX, current, model_id};
use crate::services::{namespaces, page};

/// Component of the drafts.
const DRAFT: &str = "categoryModelMaster";

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of drafts.
        SELECT_DRAFTS = "SELECT category, description, reject_access_token_post, created_at, updated_at, revision
            FROM chat_category_model_master
            WHERE owner_id = $1 AND namespace_name = $2 AND category > $3 ORDER BY category LIMIT $4";
        /// One draft.
        SELECT_DRAFT = "SELECT category, description, reject_access_token_post, created_at, updated_at, revision
            FROM chat_category_model_master WHERE owner_id = $1 AND namespace_name = $2 AND category = $3";
        /// How many drafts a namespace has.
        COUNT_DRAFTS = "SELECT COUNT(*) FROM chat_category_model_master WHERE owner_id = $1 AND namespace_name = $2";
        /// Adds a draft unless there is one of its category.
        INSERT_DRAFT = "INSERT INTO chat_category_model_master (owner_id, namespace_name, category, description,
                reject_access_token_post, created_at, updated_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $6, 1) ON CONFLICT (owner_id, namespace_name, category) DO NOTHING";
        /// Replaces a draft.
        UPDATE_DRAFT = "UPDATE chat_category_model_master
            SET description = $4, reject_access_token_post = $5, updated_at = $6, revision = revision + 1
            WHERE owner_id = $1 AND namespace_name = $2 AND category = $3
            RETURNING category, description, reject_access_token_post, created_at, updated_at, revision";
        /// Removes a draft.
        DELETE_DRAFT = "DELETE FROM chat_category_model_master
            WHERE owner_id = $1 AND namespace_name = $2 AND category = $3
            RETURNING category, description, reject_access_token_post, created_at, updated_at, revision";
        /// Removes all drafts of a namespace.
        DELETE_ALL = "DELETE FROM chat_category_model_master WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.call(describe_category_models);
    registry.call(get_category_model);
    registry.read(describe_category_model_masters);
    registry.write(create_category_model_master);
    registry.read(get_category_model_master);
    registry.write(update_category_model_master);
    registry.write(delete_category_model_master);
}

async fn describe_category_models(
    cx: Arc<Cx>,
    request: Arc<DescribeCategoryModels>,
) -> Result<Items<CategoryModel>, Error> {
    let models = current::<Categories>(&cx, &request.namespace_name).await?;
    Ok(Items { items: models.map(|models| models.to_vec()).unwrap_or_default() })
}

async fn get_category_model(
    cx: Arc<Cx>,
    request: Arc<GetCategoryModel>,
) -> Result<Item<CategoryModel>, Error> {
    let models = current::<Categories>(&cx, &request.namespace_name).await?;
    let models = models.as_deref().map(Vec::as_slice).unwrap_or_default();
    match models.binary_search_by_key(&request.category, |model| model.category) {
        Ok(place) => Ok(Item { item: models[place].clone() }),
        Err(_) => {
            let (category, namespace) = (request.category, &request.namespace_name);
            let detail =
                format!("the master data in force in namespace `{namespace}` has no category {category}");
            Err(ApiError::not_found(SERVICE.name, "categoryModel", detail).into())
        }
    }
}

struct Stored {
    category: i64,
    description: Option<String>,
    reject_access_token_post: String,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            category: row.int(0)?,
            description: row.opt_text(1)?,
            reject_access_token_post: row.text(2)?,
            created_at: row.int(3)?,
            updated_at: row.int(4)?,
            revision: row.int(5)?,
        })
    }

    fn model(self, cx: &Cx, namespace: &str) -> Result<CategoryModelMaster, Error> {
        let category = i32::try_from(self.category);
        Ok(CategoryModelMaster {
            category_model_id: model_id::<Categories>(&cx.project, namespace, &self.category),
            category: category.map_err(|error| Error::internal("reading a category", error))?,
            description: self.description.map(Description::trusted),
            reject_access_token_post: Some(Enable::trusted(self.reject_access_token_post)),
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
            revision: self.revision,
        })
    }
}

/// What was found, or 404: `categoryModelMaster`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, category): (&str, i32),
    row: Option<Stored>,
) -> Result<Item<CategoryModelMaster>, Error> {
    let stored = namespaces::found_in::<Namespaces, _>(tx, cx, namespace, row, (DRAFT, category))?;
    Ok(Item { item: stored.model(cx, namespace)? })
}

/// The category behind which a page starts.
fn after(token: Option<&PageToken>) -> Result<i64, Error> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(-1) };
    token.key().parse().map_err(|_| {
        let detail = "`pageToken` must be the `nextPageToken` of an earlier page of this list";
        ApiError::bad_request(SERVICE.name, DRAFT, "pageToken", "invalid", detail).into()
    })
}

fn describe_category_model_masters(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeCategoryModelMasters,
) -> Result<Page<CategoryModelMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let after = after(request.page_token.as_ref())?;
    let select = |after: &i64, count| {
        Ok(tx.query(sql::SELECT_DRAFTS, params![cx.owner(), namespace, *after, count], Stored::read)?)
    };
    let bytes = |stored: &Stored| stored.description.as_ref().map_or(0, String::len);
    let rows = page::rows(request.limit);
    let page = page::bounded(request.limit, after, rows, select, |stored| stored.category, bytes)?;
    let items = page.items.into_iter().map(|stored| stored.model(cx, namespace)).collect::<Result<_, _>>()?;
    Ok(Page { items, next_page_token: page.next_page_token })
}

fn create_category_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &CreateCategoryModelMaster,
) -> Result<Item<CategoryModelMaster>, Error> {
    let (namespace, category) = (request.namespace_name.as_str(), request.category);
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let count = tx.query_opt(sql::COUNT_DRAFTS, params![cx.owner(), namespace], |row| row.int(0))?;
    if count.unwrap_or_default() >= MODELS_MAX as i64 {
        let detail = format!(
            "a namespace holds at most {MODELS_MAX} drafts, as many as a document of master data; delete one first"
        );
        return Err(ApiError::bad_request(SERVICE.name, DRAFT, DRAFT, "tooMany", detail).into());
    }
    let stored = Stored {
        category: category.into(),
        description: request.description.as_deref().map(str::to_owned),
        reject_access_token_post: reject(request.reject_access_token_post.as_deref()).to_owned(),
        created_at: cx.now.0,
        updated_at: cx.now.0,
        revision: 1,
    };
    let (description, reject) = (stored.description.as_ref(), &stored.reject_access_token_post);
    let params = params![cx.owner(), namespace, category, description, reject, cx.now.0];
    if tx.execute(sql::INSERT_DRAFT, params)? == 0 {
        return Err(ApiError::exists(SERVICE.name, DRAFT, &category.to_string()).into());
    }
    Ok(Item { item: stored.model(cx, namespace)? })
}

/// Posts of players are let through unless something else is said (BEHAVIOUR CH-32).
pub(super) fn reject(given: Option<&str>) -> &str {
    given.unwrap_or("Disabled")
}

fn get_category_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetCategoryModelMaster,
) -> Result<Item<CategoryModelMaster>, Error> {
    let (namespace, category) = (request.namespace_name.as_str(), request.category);
    let row = tx.query_opt(sql::SELECT_DRAFT, params![cx.owner(), namespace, category], Stored::read)?;
    found(tx, cx, (namespace, category), row)
}

fn update_category_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &UpdateCategoryModelMaster,
) -> Result<Item<CategoryModelMaster>, Error> {
    let (namespace, category) = (request.namespace_name.as_str(), request.category);
    let description = request.description.as_deref();
    let reject = reject(request.reject_access_token_post.as_deref());
    let params = params![cx.owner(), namespace, category, description, reject, cx.now.0];
    let row = tx.query_opt(sql::UPDATE_DRAFT, params, Stored::read)?;
    found(tx, cx, (namespace, category), row)
}

fn delete_category_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteCategoryModelMaster,
) -> Result<Item<CategoryModelMaster>, Error> {
    let (namespace, category) = (request.namespace_name.as_str(), request.category);
    let row = tx.query_opt(sql::DELETE_DRAFT, params![cx.owner(), namespace, category], Stored::read)?;
    found(tx, cx, (namespace, category), row)
}

/// The drafts of a namespace as a document has them, by category.
pub(super) fn drafts(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<Vec<Value>, Error> {
    let params = params![cx.owner(), namespace, -1, MODELS_MAX as i64];
    let drafts = tx.query(sql::SELECT_DRAFTS, params, Stored::read)?;
    let element = |draft: Stored| json!({ "category": draft.category, "rejectAccessTokenPost": draft.reject_access_token_post });
    Ok(drafts.into_iter().map(element).collect())
}

/// Removes all drafts of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    Ok(())
}
