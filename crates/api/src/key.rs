//! Key: keys with which the server encrypts and signs, and the keys of GitHub that it keeps under them (BEHAVIOUR section 11).

mod git_hub;
mod secret;

pub use git_hub::*;
pub use secret::*;

use crate::contract::{Declaration, Operation, Service};
use crate::namespace::LogSetting;

/// The service.
pub static SERVICE: Service = Service {
    name: "key",
    segment: "key",
    grn: "key",
    script: "key",
    action: "Gs2Key",
    regional: true,
    doc: "Keys that encrypt and sign and never leave the server, and the keys with which GitHub is asked.",
    resources: &[
        ("namespace", "{namespaceName}"),
        ("key", "{namespaceName}:key:{keyName}"),
        ("gitHubApiKey", "{namespaceName}:github:{apiKeyName}"),
    ],
};

crate::namespace_operations! {
    settings {
        /// Where the calls are logged.
        pub log_setting: Option<LogSetting>,
    }
}

/// Every operation of the service.
pub const OPERATIONS: &[&Declaration] = &[
    DescribeNamespaces::DECLARATION,
    CreateNamespace::DECLARATION,
    GetNamespaceStatus::DECLARATION,
    GetNamespace::DECLARATION,
    UpdateNamespace::DECLARATION,
    DeleteNamespace::DECLARATION,
    GetServiceVersion::DECLARATION,
    DescribeKeys::DECLARATION,
    CreateKey::DECLARATION,
    UpdateKey::DECLARATION,
    GetKey::DECLARATION,
    DeleteKey::DECLARATION,
    Encrypt::DECLARATION,
    Decrypt::DECLARATION,
    DescribeGitHubApiKeys::DECLARATION,
    CreateGitHubApiKey::DECLARATION,
    UpdateGitHubApiKey::DECLARATION,
    GetGitHubApiKey::DECLARATION,
    DeleteGitHubApiKey::DECLARATION,
];
