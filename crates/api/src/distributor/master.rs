//! The document of master data in force: `/distributor/{namespaceName}/master…`.

use super::SERVICE;
use crate::chat::{PreparedUpload, UpdateMode, UploadToken};
use crate::contract::Item;
use crate::names::NamespaceName;
use crate::script::GitHubCheckoutSetting;
use crate::{Model, Operation};

/// A document of master data.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct CurrentDistributorMaster {
    /// GRN of the namespace.
    pub namespace_id: String,
    /// `{"version": "2019-03-01", "distributorModels": […]}`, at most 5,242,880 characters.
    #[field(0..=5242880)]
    pub settings: String,
}

/// Makes a document of the drafts; it is not in force yet.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/master/export", name = "exportMaster", component = "currentDistributorMaster",
    answer = Item<CurrentDistributorMaster>)]
pub struct ExportMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Gets the document in force.
///
/// Fails with 404 `currentDistributorMaster` when there never was one, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/master", name = "getCurrentDistributorMaster",
    component = "currentDistributorMaster", answer = Item<CurrentDistributorMaster>)]
pub struct GetCurrentDistributorMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Prepares the upload of a document.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/master", name = "preUpdateCurrentDistributorMaster",
    component = "currentDistributorMaster", answer = PreparedUpload)]
pub struct PreUpdateCurrentDistributorMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Puts a document into force, whole or not at all.
///
/// Fails with 400 and everything that is wrong with the document, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/master", name = "updateCurrentDistributorMaster",
    component = "currentDistributorMaster", answer = Item<CurrentDistributorMaster>)]
pub struct UpdateCurrentDistributorMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// `direct` when `settings` is the document, also when absent; `preUpload` when it was uploaded.
    pub mode: Option<UpdateMode>,
    /// The document.
    #[field(0..=5242880)]
    pub settings: Option<String>,
    /// The upload of `preUpdateCurrentDistributorMaster`.
    pub upload_token: Option<UploadToken>,
}

/// Puts a document into force that stands in a repository of GitHub.
///
/// Fails with 400 and everything that is wrong with the setting, the document or GitHub's answer, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/master/from_git_hub", name = "updateCurrentDistributorMasterFromGitHub",
    component = "currentDistributorMaster", answer = Item<CurrentDistributorMaster>)]
pub struct UpdateCurrentDistributorMasterFromGitHub {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the document stands.
    pub checkout_setting: GitHubCheckoutSetting,
}
