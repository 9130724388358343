//! Security policies: `/identifier/securityPolicy…`.

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{Description, EntityName, PageLimit, PageToken};
use crate::{Model, Operation};

/// A policy: what whoever it is attached to may do.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct SecurityPolicy {
    /// GRN of the policy.
    pub security_policy_id: String,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// The policy document, as it was given (BEHAVIOUR I-08).
    pub policy: String,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
}

/// Lists the project's own policies by name, ascending.
#[derive(Debug, Operation)]
#[operation(GET "/securityPolicy", name = "describeSecurityPolicies", component = "securityPolicy",
    answer = Page<SecurityPolicy>)]
pub struct DescribeSecurityPolicies {
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Lists the built-in policies by name, ascending (BEHAVIOUR I-12).
#[derive(Debug, Operation)]
#[operation(GET "/securityPolicy/common", name = "describeCommonSecurityPolicies", component = "securityPolicy",
    answer = Page<SecurityPolicy>)]
pub struct DescribeCommonSecurityPolicies {
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates a policy.
///
/// Fails with 400 `exists`, with 400 `invalid` when the document is none.
#[derive(Debug, Operation)]
#[operation(POST "/securityPolicy", name = "createSecurityPolicy", component = "securityPolicy",
    answer = Item<SecurityPolicy>)]
pub struct CreateSecurityPolicy {
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Policy document (BEHAVIOUR I-08 … I-10).
    #[field(1..=524288)]
    pub policy: String,
}

/// Replaces description and document of a policy; it takes effect at once.
///
/// Fails with 404 `securityPolicy`, with 400 `invalid` when the document is none.
#[derive(Debug, Operation)]
#[operation(PUT "/securityPolicy/{securityPolicyName}", name = "updateSecurityPolicy", component = "securityPolicy",
    answer = Item<SecurityPolicy>)]
pub struct UpdateSecurityPolicy {
    /// Name of the policy.
    pub security_policy_name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// Policy document.
    #[field(1..=524288)]
    pub policy: String,
}

/// Gets one of the project's own policies.
///
/// Fails with 404 `securityPolicy`.
#[derive(Debug, Operation)]
#[operation(GET "/securityPolicy/{securityPolicyName}", name = "getSecurityPolicy", component = "securityPolicy",
    answer = Item<SecurityPolicy>)]
pub struct GetSecurityPolicy {
    /// Name of the policy.
    pub security_policy_name: EntityName,
}

/// Deletes a policy and detaches it from every user.
///
/// Fails with 404 `securityPolicy`.
#[derive(Debug, Operation)]
#[operation(DELETE "/securityPolicy/{securityPolicyName}", name = "deleteSecurityPolicy",
    component = "securityPolicy", answer = Item<SecurityPolicy>)]
pub struct DeleteSecurityPolicy {
    /// Name of the policy.
    pub security_policy_name: EntityName,
}
