//! Keys with which GitHub is asked: `/key/{namespaceName}/github…` (BEHAVIOUR K-03).

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{Description, EntityName, NamespaceName, PageLimit, PageToken, text_type};
use crate::{Model, Operation};

/// What stands in answers in place of a GitHub API key (BEHAVIOUR K-03).
pub const MASK: &str = "********";

fn api_key(text: &str) -> Result<(), &'static str> {
    if text == MASK {
        return Err("is the mask that answers show; send the key itself");
    }
    // It travels in a header.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("may hold only visible ASCII characters")
    }
}

text_type! {
    /// A token that GitHub issued: visible ASCII, at most 1,024 characters.
    secret ApiKeyText, 1..=1024, api_key
}

/// A kept key of GitHub (BEHAVIOUR K-03).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct GitHubApiKey {
    /// GRN of the kept key; settings such as `checkoutSetting` name it so.
    pub api_key_id: String,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// `********`: the key itself is never answered.
    pub api_key: String,
    /// Name of the key of the same namespace that encrypts it.
    pub encryption_key_name: EntityName,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// Lists the kept keys of a namespace by name, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/github", name = "describeGitHubApiKeys", component = "gitHubApiKey",
    answer = Page<GitHubApiKey>)]
pub struct DescribeGitHubApiKeys {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Keeps a key of GitHub, encrypted with a key of the same namespace (BEHAVIOUR K-03).
///
/// Fails with 400 `exists` when there is one of this name (BEHAVIOUR E-13), with 404 `key` when there is no such encryption
/// key, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/github", name = "createGitHubApiKey", component = "gitHubApiKey",
    answer = Item<GitHubApiKey>)]
pub struct CreateGitHubApiKey {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// The key that GitHub issued.
    pub api_key: ApiKeyText,
    /// Name of the key that encrypts it.
    pub encryption_key_name: EntityName,
}

/// Replaces a kept key; what is left out goes back to its default (BEHAVIOUR N-13).
///
/// Fails with 404 `gitHubApiKey`, with 404 `key` when there is no such encryption key, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/github/{apiKeyName}", name = "updateGitHubApiKey", component = "gitHubApiKey",
    answer = Item<GitHubApiKey>)]
pub struct UpdateGitHubApiKey {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the kept key.
    pub api_key_name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// The key that GitHub issued.
    pub api_key: ApiKeyText,
    /// Name of the key that encrypts it.
    pub encryption_key_name: EntityName,
}

/// Gets a kept key, without the key itself.
///
/// Fails with 404 `gitHubApiKey`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/github/{apiKeyName}", name = "getGitHubApiKey", component = "gitHubApiKey",
    answer = Item<GitHubApiKey>)]
pub struct GetGitHubApiKey {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the kept key.
    pub api_key_name: EntityName,
}

/// Forgets a kept key. GitHub knows it still: revoke it there.
///
/// Fails with 404 `gitHubApiKey`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/github/{apiKeyName}", name = "deleteGitHubApiKey", component = "gitHubApiKey",
    answer = Item<GitHubApiKey>)]
pub struct DeleteGitHubApiKey {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the kept key.
    pub api_key_name: EntityName,
}
