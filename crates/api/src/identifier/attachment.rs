//! Which policies a user has: `/identifier/user/{userName}/securityPolicy…`.

use super::{SERVICE, SecurityPolicy};
use crate::names::{EntityName, GrnText};
use crate::{Model, Operation};

/// Most policies that one user can have (BEHAVIOUR I-01).
pub const POLICIES_MAX: usize = 10;

/// The policies of a user.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct SecurityPolicies {
    /// In the order in which they were attached.
    pub items: Vec<SecurityPolicy>,
}

/// Answers the policies of a user (BEHAVIOUR I-14).
///
/// Fails with 404 `user`.
#[derive(Debug, Operation)]
#[operation(GET "/user/{userName}/securityPolicy", name = "getHasSecurityPolicy", component = "attachSecurityPolicy",
    answer = SecurityPolicies)]
pub struct GetHasSecurityPolicy {
    /// Name of the user.
    pub user_name: EntityName,
}

/// Attaches a policy to a user; twice is once. Answers all policies of the user.
///
/// Fails with 404 `user`, with 404 `securityPolicy`, with 400 `tooMany` above 10 policies.
#[derive(Debug, Operation)]
#[operation(POST "/user/{userName}/securityPolicy", name = "attachSecurityPolicy", component = "attachSecurityPolicy",
    answer = SecurityPolicies)]
pub struct AttachSecurityPolicy {
    /// Name of the user.
    pub user_name: EntityName,
    /// GRN of the policy, the project's own or a built-in one.
    pub security_policy_id: GrnText,
}

/// Detaches a policy from a user. Answers the remaining policies.
///
/// Fails with 404 `user`, with 404 `securityPolicy` when it was not attached.
#[derive(Debug, Operation)]
#[operation(DELETE "/user/{userName}/securityPolicy/{securityPolicyId}", name = "detachSecurityPolicy",
    component = "attachSecurityPolicy", answer = SecurityPolicies)]
pub struct DetachSecurityPolicy {
    /// Name of the user.
    pub user_name: EntityName,
    /// GRN of the policy.
    pub security_policy_id: GrnText,
}
