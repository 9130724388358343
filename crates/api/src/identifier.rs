//! Identifier: who may use the project's API, with what credentials and policies; not for players (BEHAVIOUR section 3).

mod attachment;
mod credential;
mod login;
mod password;
mod security_policy;
mod user;

pub use attachment::*;
pub use credential::*;
pub use login::*;
pub use password::*;
pub use security_policy::*;
pub use user::*;

pub use crate::auth::Version;
use crate::contract::{Declaration, Operation, Service};

/// The service.
pub static SERVICE: Service = Service {
    name: "identifier",
    segment: "identifier",
    grn: "identifier",
    script: "identifier",
    action: "Gs2Identifier",
    regional: false,
    doc: "Who may use the project's API, with what credentials and policies.",
    resources: &[
        ("user", "user:{userName}"),
        ("identifier", "user:{userName}"),
        ("password", "user:{userName}"),
        ("attachSecurityPolicy", "user:{userName}"),
        ("securityPolicy", "securityPolicy:{securityPolicyName}"),
    ],
};

/// Every operation of the service.
pub const OPERATIONS: &[&Declaration] = &[
    DescribeUsers::DECLARATION,
    CreateUser::DECLARATION,
    UpdateUser::DECLARATION,
    GetUser::DECLARATION,
    DeleteUser::DECLARATION,
    DescribeSecurityPolicies::DECLARATION,
    DescribeCommonSecurityPolicies::DECLARATION,
    CreateSecurityPolicy::DECLARATION,
    UpdateSecurityPolicy::DECLARATION,
    GetSecurityPolicy::DECLARATION,
    DeleteSecurityPolicy::DECLARATION,
    DescribeIdentifiers::DECLARATION,
    CreateIdentifier::DECLARATION,
    GetIdentifier::DECLARATION,
    DeleteIdentifier::DECLARATION,
    DescribeAttachedGuards::DECLARATION,
    AttachGuard::DECLARATION,
    DetachGuard::DECLARATION,
    GetServiceVersion::DECLARATION,
    CreatePassword::DECLARATION,
    GetPassword::DECLARATION,
    DescribePasswords::DECLARATION,
    EnableMfa::DECLARATION,
    ChallengeMfa::DECLARATION,
    DisableMfa::DECLARATION,
    DeletePassword::DECLARATION,
    GetHasSecurityPolicy::DECLARATION,
    AttachSecurityPolicy::DECLARATION,
    DetachSecurityPolicy::DECLARATION,
    Login::DECLARATION,
    LoginByUser::DECLARATION,
];
