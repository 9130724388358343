//! Distributor models: `/distributor/{namespaceName}/distributor…` in force, `/distributor/{namespaceName}/master/distributor…`
//! as drafts.

use super::SERVICE;
use crate::contract::{Item, Items, Page, UnixMillis};
use crate::names::{Description, EntityName, GrnText, NamePrefix, NamespaceName, PageLimit, PageToken};
use crate::{Model, Operation};

/// What `distribute` may give.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct DistributorModel {
    /// GRN of the model.
    pub distributor_model_id: String,
    /// Name.
    pub name: EntityName,
    /// Anything that belongs to it.
    #[field(0..=2048)]
    pub metadata: Option<String>,
    /// GRN of the inbox that takes what does not fit.
    pub inbox_namespace_id: Option<GrnText>,
    /// GRNs of what may be given, whole or their beginning up to a `:`; everything when the list is absent or empty.
    #[field(0..=1000)]
    pub white_list_target_ids: Option<Vec<GrnText>>,
}

/// A draft of a distributor model. Drafts do nothing until a document made of them is in force.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct DistributorModelMaster {
    /// GRN of the model.
    pub distributor_model_id: String,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Anything that belongs to it.
    #[field(0..=2048)]
    pub metadata: Option<String>,
    /// GRN of the inbox that takes what does not fit.
    pub inbox_namespace_id: Option<GrnText>,
    /// GRNs of what may be given.
    #[field(0..=1000)]
    pub white_list_target_ids: Option<Vec<GrnText>>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// Lists the distributor models in force, by name.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/distributor", name = "describeDistributorModels", component = "distributorModel",
    answer = Items<DistributorModel>)]
pub struct DescribeDistributorModels {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Gets a distributor model in force.
///
/// Fails with 404 `distributorModel`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/distributor/{distributorName}", name = "getDistributorModel",
    component = "distributorModel", answer = Item<DistributorModel>)]
pub struct GetDistributorModel {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the model.
    pub distributor_name: EntityName,
}

/// Lists the drafts by name, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/master/distributor", name = "describeDistributorModelMasters",
    component = "distributorModelMaster", answer = Page<DistributorModelMaster>)]
pub struct DescribeDistributorModelMasters {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only names that begin so.
    pub name_prefix: Option<NamePrefix>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates a draft.
///
/// Fails with 400 `exists` when there is one of this name (BEHAVIOUR E-13), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/master/distributor", name = "createDistributorModelMaster",
    component = "distributorModelMaster", answer = Item<DistributorModelMaster>)]
pub struct CreateDistributorModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Anything that belongs to it.
    #[field(0..=2048)]
    pub metadata: Option<String>,
    /// GRN of the inbox that takes what does not fit.
    pub inbox_namespace_id: Option<GrnText>,
    /// GRNs of what may be given.
    #[field(0..=1000)]
    pub white_list_target_ids: Option<Vec<GrnText>>,
}

/// Gets a draft.
///
/// Fails with 404 `distributorModelMaster`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/master/distributor/{distributorName}", name = "getDistributorModelMaster",
    component = "distributorModelMaster", answer = Item<DistributorModelMaster>)]
pub struct GetDistributorModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the draft.
    pub distributor_name: EntityName,
}

/// Replaces a draft; what is left out goes back to its default (BEHAVIOUR N-13).
///
/// Fails with 404 `distributorModelMaster`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/master/distributor/{distributorName}", name = "updateDistributorModelMaster",
    component = "distributorModelMaster", answer = Item<DistributorModelMaster>)]
pub struct UpdateDistributorModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the draft.
    pub distributor_name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Anything that belongs to it.
    #[field(0..=2048)]
    pub metadata: Option<String>,
    /// GRN of the inbox that takes what does not fit.
    pub inbox_namespace_id: Option<GrnText>,
    /// GRNs of what may be given.
    #[field(0..=1000)]
    pub white_list_target_ids: Option<Vec<GrnText>>,
}

/// Deletes a draft; the document in force stays as it is.
///
/// Fails with 404 `distributorModelMaster`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/master/distributor/{distributorName}", name = "deleteDistributorModelMaster",
    component = "distributorModelMaster", answer = Item<DistributorModelMaster>)]
pub struct DeleteDistributorModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the draft.
    pub distributor_name: EntityName,
}
