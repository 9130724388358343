//! The master data in force (BEHAVIOUR CH-32 … CH-34).

use std::sync::Arc;

use hiroba_api::chat::{
    CategoryModel, CurrentModelMaster, ExportMaster, GetCurrentModelMaster, Namespaces,
    PreUpdateCurrentModelMaster, PreparedUpload, SERVICE, UpdateCurrentModelMaster,
    UpdateCurrentModelMasterFromGitHub,
};
use hiroba_api::contract::Item;
use hiroba_api::namespace::Enable;
use hiroba_store::Tx;

use super::category;
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::masters::{self, Given, MasterData};
use crate::services::namespaces;

/// Categories of messages as master data.
pub(super) struct Categories;

impl MasterData for Categories {
    type Namespaces = Namespaces;
    type Model = CategoryModel;
    type Key = i32;

    const VERSION: &'static str = "2020-04-30";
    const MODEL: &'static str = "categoryModel";
    const MODELS: &'static str = "categoryModels";
    const KEY: &'static str = "category";
    const ID: &'static str = "categoryModelId";
    const CURRENT: &'static str = "currentModelMaster";
    const PRE_UPDATE: &'static str = "preUpdateCurrentModelMaster";
    const UPDATE: &'static str = "updateCurrentModelMaster";

    fn key(model: &CategoryModel) -> i32 {
        model.category
    }

    fn complete(model: &mut CategoryModel, id: String) {
        model.category_model_id = id;
        model.reject_access_token_post.get_or_insert_with(|| Enable::trusted(category::reject(None)));
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(export_master);
    registry.read(get_current_model_master);
    registry.write(pre_update_current_model_master);
    registry.call(update_current_model_master);
    registry.call(update_current_model_master_from_git_hub);
}

/// Whether only a server may post messages of this category, no player (BEHAVIOUR CH-32).
///
/// Reads nothing while the master data of the namespace is remembered. Fails with 404 `namespace` when it has to be read and
/// there is no such namespace.
pub(crate) async fn rejects_player(cx: &Arc<Cx>, namespace: &str, category: i32) -> Result<bool, Error> {
    let Some(models) = masters::current::<Categories>(cx, namespace).await? else { return Ok(false) };
    let place = models.binary_search_by_key(&category, |model| model.category);
    Ok(place.is_ok_and(|place| models[place].reject_access_token_post.as_deref() == Some("Enabled")))
}

fn answer(cx: &Cx, namespace: &str, settings: String) -> Item<CurrentModelMaster> {
    Item { item: CurrentModelMaster { namespace_id: cx.grn(&SERVICE, namespace), settings } }
}

fn export_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &ExportMaster,
) -> Result<Item<CurrentModelMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let drafts = category::drafts(tx, cx, namespace)?;
    Ok(answer(cx, namespace, masters::document::<Categories>(drafts)))
}

fn get_current_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetCurrentModelMaster,
) -> Result<Item<CurrentModelMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    Ok(answer(cx, namespace, masters::settings::<Categories>(tx, cx, namespace)?))
}

fn pre_update_current_model_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &PreUpdateCurrentModelMaster,
) -> Result<PreparedUpload, Error> {
    let prepared = masters::pre_update::<Categories>(tx, cx, &request.namespace_name)?;
    Ok(PreparedUpload { upload_token: prepared.token, upload_url: prepared.url })
}

async fn update_current_model_master(
    cx: Arc<Cx>,
    request: Arc<UpdateCurrentModelMaster>,
) -> Result<Item<CurrentModelMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    let given = Given {
        mode: request.mode.as_deref(),
        settings: request.settings.as_deref(),
        upload_token: request.upload_token.as_deref(),
    };
    let settings = masters::update::<Categories>(&cx, namespace, given).await?;
    Ok(answer(&cx, namespace, settings))
}

async fn update_current_model_master_from_git_hub(
    cx: Arc<Cx>,
    request: Arc<UpdateCurrentModelMasterFromGitHub>,
) -> Result<Item<CurrentModelMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    let settings = masters::from_git_hub::<Categories>(&cx, namespace, &request.checkout_setting).await?;
    Ok(answer(&cx, namespace, settings))
}

/// Removes the master data of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    masters::delete_all::<Categories>(tx, cx, namespace)
}
