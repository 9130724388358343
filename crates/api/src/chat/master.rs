//! The document of master data in force: `/chat/{namespaceName}/master…` (BEHAVIOUR CH-33, CH-34).

use super::SERVICE;
use crate::contract::Item;
use crate::names::{NamespaceName, text_type};
use crate::script::GitHubCheckoutSetting;
use crate::{Model, Operation};

fn update_mode(text: &str) -> Result<(), &'static str> {
    if matches!(text, "direct" | "preUpload") { Ok(()) } else { Err("must be `direct` or `preUpload`") }
}

text_type! {
    /// How a document arrives: `direct` or `preUpload`.
    UpdateMode, 0..=128, update_mode
}
text_type! {
    /// Names an upload, at most 1,024 characters.
    UploadToken, 1..=1024, |_| Ok(())
}

/// A document of master data.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct CurrentModelMaster {
    /// GRN of the namespace.
    pub namespace_id: String,
    /// `{"version": "2020-04-30", "categoryModels": […]}`, at most 5,242,880 characters.
    #[field(0..=5242880)]
    pub settings: String,
}

/// Where a document can be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct PreparedUpload {
    /// Names the upload in `updateCurrentModelMaster`.
    pub upload_token: String,
    /// Takes the document with `PUT`, for an hour.
    pub upload_url: String,
}

/// Makes a document of the drafts; it is not in force yet.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/master/export", name = "exportMaster", component = "currentModelMaster",
    answer = Item<CurrentModelMaster>)]
pub struct ExportMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Gets the document in force.
///
/// Fails with 404 `currentModelMaster` when there never was one, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/master", name = "getCurrentModelMaster", component = "currentModelMaster",
    answer = Item<CurrentModelMaster>)]
pub struct GetCurrentModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Prepares the upload of a document.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/master", name = "preUpdateCurrentModelMaster",
    component = "currentModelMaster", answer = PreparedUpload)]
pub struct PreUpdateCurrentModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Puts a document into force, whole or not at all (BEHAVIOUR CH-34).
///
/// Fails with 400 and everything that is wrong with the document, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/master", name = "updateCurrentModelMaster", component = "currentModelMaster",
    answer = Item<CurrentModelMaster>)]
pub struct UpdateCurrentModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// `direct` when `settings` is the document, also when absent; `preUpload` when it was uploaded.
    pub mode: Option<UpdateMode>,
    /// The document.
    #[field(0..=5242880)]
    pub settings: Option<String>,
    /// The upload of `preUpdateCurrentModelMaster`.
    pub upload_token: Option<UploadToken>,
}

/// Puts a document into force that stands in a repository of GitHub.
///
/// GitHub is asked at once. Fails with 400 and everything that is wrong with the setting, the file or the document in it, with
/// 402 when GitHub asks to wait, with 404 when GitHub has no such file, with 404 `namespace`, with 502 or 504 when GitHub does
/// not answer.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/master/from_git_hub", name = "updateCurrentModelMasterFromGitHub",
    component = "currentModelMaster", answer = Item<CurrentModelMaster>)]
pub struct UpdateCurrentModelMasterFromGitHub {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the document stands.
    pub checkout_setting: GitHubCheckoutSetting,
}
