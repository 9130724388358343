//! The master data in force.

use std::sync::Arc;

use hiroba_api::chat::PreparedUpload;
use hiroba_api::contract::Item;
use hiroba_api::distributor::{
    CurrentDistributorMaster, DistributorModel, ExportMaster, GetCurrentDistributorMaster, Namespaces,
    PreUpdateCurrentDistributorMaster, SERVICE, UpdateCurrentDistributorMaster,
    UpdateCurrentDistributorMasterFromGitHub,
};
use hiroba_store::Tx;

use super::model;
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::masters::{self, Given, MasterData};
use crate::services::namespaces;

/// Distributor models as master data.
pub(super) struct Models;

impl MasterData for Models {
    type Namespaces = Namespaces;
    type Model = DistributorModel;
    type Key = String;

    const VERSION: &'static str = "2019-03-01";
    const MODEL: &'static str = "distributorModel";
    const MODELS: &'static str = "distributorModels";
    const KEY: &'static str = "name";
    const ID: &'static str = "distributorModelId";
    const CURRENT: &'static str = "currentDistributorMaster";
    const PRE_UPDATE: &'static str = "preUpdateCurrentDistributorMaster";
    const UPDATE: &'static str = "updateCurrentDistributorMaster";

    fn key(model: &DistributorModel) -> String {
        model.name.to_string()
    }

    fn complete(model: &mut DistributorModel, id: String) {
        model.distributor_model_id = id;
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(export_master);
    registry.read(get_current_distributor_master);
    registry.write(pre_update_current_distributor_master);
    registry.call(update_current_distributor_master);
    registry.call(update_current_distributor_master_from_git_hub);
}

fn answer(cx: &Cx, namespace: &str, settings: String) -> Item<CurrentDistributorMaster> {
    Item { item: CurrentDistributorMaster { namespace_id: cx.grn(&SERVICE, namespace), settings } }
}

fn export_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &ExportMaster,
) -> Result<Item<CurrentDistributorMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let drafts = model::drafts(tx, cx, namespace)?;
    Ok(answer(cx, namespace, masters::document::<Models>(drafts)))
}

fn get_current_distributor_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetCurrentDistributorMaster,
) -> Result<Item<CurrentDistributorMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    Ok(answer(cx, namespace, masters::settings::<Models>(tx, cx, namespace)?))
}

fn pre_update_current_distributor_master(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &PreUpdateCurrentDistributorMaster,
) -> Result<PreparedUpload, Error> {
    let prepared = masters::pre_update::<Models>(tx, cx, &request.namespace_name)?;
    Ok(PreparedUpload { upload_token: prepared.token, upload_url: prepared.url })
}

async fn update_current_distributor_master(
    cx: Arc<Cx>,
    request: Arc<UpdateCurrentDistributorMaster>,
) -> Result<Item<CurrentDistributorMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    let given = Given {
        mode: request.mode.as_deref(),
        settings: request.settings.as_deref(),
        upload_token: request.upload_token.as_deref(),
    };
    let settings = masters::update::<Models>(&cx, namespace, given).await?;
    Ok(answer(&cx, namespace, settings))
}

async fn update_current_distributor_master_from_git_hub(
    cx: Arc<Cx>,
    request: Arc<UpdateCurrentDistributorMasterFromGitHub>,
) -> Result<Item<CurrentDistributorMaster>, Error> {
    let namespace = request.namespace_name.as_str();
    let settings = masters::from_git_hub::<Models>(&cx, namespace, &request.checkout_setting).await?;
    Ok(answer(&cx, namespace, settings))
}

/// Removes the document of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    masters::delete_all::<Models>(tx, cx, namespace)
}
