//! Stored scripts: `/script/{namespaceName}/script…`.

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{
    Description, EntityName, GrnText, NamePrefix, NamespaceName, PageLimit, PageToken, text_type,
};
use crate::{Model, Operation};

/// A stored script.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Script {
    /// GRN of the script; jobs, triggers and `invokeScript` name it so.
    pub script_id: String,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Lua source, at most 5,242,880 characters (BEHAVIOUR SC-01).
    #[field(1..=5242880)]
    pub script: String,
    /// Whether texts of digits in the arguments stay texts; otherwise they become numbers (BEHAVIOUR SC-02).
    pub disable_string_number_to_number: bool,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

fn reference_type(text: &str) -> Result<(), &'static str> {
    if matches!(text, "commit_hash" | "branch" | "tag") {
        Ok(())
    } else {
        Err("must be `commit_hash`, `branch` or `tag`")
    }
}

text_type! {
    /// What names a state of a repository: `commit_hash`, `branch` or `tag`.
    ReferenceType, 1..=128, reference_type
}

/// A text file of at most 5,242,880 characters in a repository of GitHub (BEHAVIOUR SC-01).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct GitHubCheckoutSetting {
    /// GRN of the key that the Key service keeps and with which GitHub is asked; required, under this or its former name.
    pub api_key_id: Option<GrnText>,
    /// Repository: `owner/name`.
    #[field(1..=1024)]
    pub repository_name: String,
    /// Path of the file within the repository.
    #[field(1..=1024)]
    pub source_path: String,
    /// Which of the three names below says the state: `commit_hash`, `branch` or `tag`.
    pub reference_type: ReferenceType,
    /// Commit, 7 to 64 hexadecimal digits; needed when the type is `commit_hash`.
    #[field(0..=1024)]
    pub commit_hash: Option<String>,
    /// Branch; needed when the type is `branch`.
    #[field(0..=1024)]
    pub branch_name: Option<String>,
    /// Tag; needed when the type is `tag`.
    #[field(0..=1024)]
    pub tag_name: Option<String>,
    /// Former name of `apiKeyId`, for old SDKs.
    pub git_hub_api_key_id: Option<GrnText>,
}

/// Lists the scripts of a namespace by name, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/script", name = "describeScripts", component = "script", answer = Page<Script>)]
pub struct DescribeScripts {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only names that begin so.
    pub name_prefix: Option<NamePrefix>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Stores a script.
///
/// Fails with 400 `exists` when there is one of this name (BEHAVIOUR E-13), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/script", name = "createScript", component = "script", answer = Item<Script>)]
pub struct CreateScript {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Lua source, at most 5,242,880 characters (BEHAVIOUR SC-01).
    #[field(1..=5242880)]
    pub script: String,
    /// Whether texts of digits in the arguments stay texts; otherwise they become numbers (BEHAVIOUR SC-02).
    #[field(default = 0)]
    pub disable_string_number_to_number: bool,
}

/// Stores a script that stands in a repository of GitHub (BEHAVIOUR SC-01).
///
/// GitHub is asked at once. Fails with 400 and everything that is wrong with the setting or the file, with 400 `exists` when
/// there is a script of this name, with 402 when GitHub asks to wait, with 404 when GitHub has no such file, with 404
/// `namespace`, with 502 or 504 when GitHub does not answer.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/script/from_git_hub", name = "createScriptFromGitHub", component = "script",
    answer = Item<Script>)]
pub struct CreateScriptFromGitHub {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Where the source stands.
    pub checkout_setting: GitHubCheckoutSetting,
    /// Whether texts of digits in the arguments stay texts; otherwise they become numbers (BEHAVIOUR SC-02).
    #[field(default = 0)]
    pub disable_string_number_to_number: bool,
}

/// Gets a script.
///
/// Fails with 404 `script`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/script/{scriptName}", name = "getScript", component = "script",
    answer = Item<Script>)]
pub struct GetScript {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the script.
    pub script_name: EntityName,
}

/// Replaces a script; what is left out goes back to its default (BEHAVIOUR N-13).
///
/// Fails with 404 `script`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/script/{scriptName}", name = "updateScript", component = "script",
    answer = Item<Script>)]
pub struct UpdateScript {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the script.
    pub script_name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Lua source, at most 5,242,880 characters (BEHAVIOUR SC-01).
    #[field(1..=5242880)]
    pub script: String,
    /// Whether texts of digits in the arguments stay texts; otherwise they become numbers (BEHAVIOUR SC-02).
    #[field(default = 0)]
    pub disable_string_number_to_number: bool,
}

/// Replaces a script with one that stands in a repository of GitHub (BEHAVIOUR SC-01); what is left out goes back to its
/// default (N-13).
///
/// GitHub is asked at once. Fails with 400 and everything that is wrong with the setting or the file, with 402 when GitHub asks
/// to wait, with 404 when GitHub has no such file, with 404 `script`, with 404 `namespace`, with 502 or 504 when GitHub does
/// not answer.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/script/{scriptName}/from_git_hub", name = "updateScriptFromGitHub",
    component = "script", answer = Item<Script>)]
pub struct UpdateScriptFromGitHub {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the script.
    pub script_name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Where the source stands.
    pub checkout_setting: GitHubCheckoutSetting,
    /// Whether texts of digits in the arguments stay texts; otherwise they become numbers (BEHAVIOUR SC-02).
    #[field(default = 0)]
    pub disable_string_number_to_number: bool,
}

/// Deletes a script. Jobs that name it fail from now on (BEHAVIOUR J-13, J-35).
///
/// Fails with 404 `script`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/script/{scriptName}", name = "deleteScript", component = "script",
    answer = Item<Script>)]
pub struct DeleteScript {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the script.
    pub script_name: EntityName,
}
