//! Security policies: `/identifier/securityPolicy…`.

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::grn::{Project, SYSTEM_OWNER};
use hiroba_api::identifier::{
    CreateSecurityPolicy, DeleteSecurityPolicy, DescribeCommonSecurityPolicies, DescribeSecurityPolicies,
    GetSecurityPolicy, SERVICE, SecurityPolicy, UpdateSecurityPolicy,
};
use hiroba_api::names::{Description, EntityName};
use hiroba_api::policy::{COMMON_POLICIES, CommonPolicy, PolicyDocument};
use hiroba_store::{Row, StoreError, Tx, params};

use crate::cx::{Cx, found};
use crate::error::Error;
use crate::registry::Registry;
use crate::services::page;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of policies.
        SELECT_POLICIES = "SELECT name, description, policy, created_at, updated_at FROM identifier_policy
            WHERE owner_id = $1 AND name > $2 ORDER BY name LIMIT $3";
        /// One policy.
        SELECT_POLICY = "SELECT name, description, policy, created_at, updated_at FROM identifier_policy
            WHERE owner_id = $1 AND name = $2";
        /// Adds a policy unless there is one of this name.
        INSERT_POLICY = "INSERT INTO identifier_policy (owner_id, name, description, policy, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (owner_id, name) DO NOTHING";
        /// Replaces a policy.
        UPDATE_POLICY = "UPDATE identifier_policy SET description = $3, policy = $4, updated_at = $5
            WHERE owner_id = $1 AND name = $2 RETURNING name, description, policy, created_at, updated_at";
        /// Removes a policy.
        DELETE_POLICY = "DELETE FROM identifier_policy WHERE owner_id = $1 AND name = $2
            RETURNING name, description, policy, created_at, updated_at";
        /// Detaches a policy from everybody.
        DELETE_ATTACHMENTS = "DELETE FROM identifier_attachment
            WHERE owner_id = $1 AND policy_owner = $1 AND policy_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_security_policies);
    registry.read(describe_common_security_policies);
    registry.write(create_security_policy);
    registry.write(update_security_policy);
    registry.read(get_security_policy);
    registry.write(delete_security_policy);
}

/// GRN of a policy of this owner.
pub(super) fn policy_grn(owner: &str, name: &str) -> String {
    let project = Project { region: String::new(), owner: owner.to_owned() };
    project.grn(&SERVICE, &format!("securityPolicy:{name}"))
}

/// A built-in policy as a model. It is as old as time: nobody made it.
pub(super) fn common(policy: &CommonPolicy) -> SecurityPolicy {
    SecurityPolicy {
        security_policy_id: policy_grn(SYSTEM_OWNER, policy.name),
        name: EntityName::trusted(policy.name),
        description: Some(Description::trusted(policy.description)),
        policy: policy.document(),
        created_at: UnixMillis(0),
        updated_at: UnixMillis(0),
    }
}

fn read(cx: &Cx, row: &Row<'_>) -> Result<SecurityPolicy, StoreError> {
    let name = row.text(0)?;
    Ok(SecurityPolicy {
        security_policy_id: policy_grn(cx.owner(), &name),
        name: EntityName::trusted(name),
        description: row.opt_text(1)?.map(Description::trusted),
        policy: row.text(2)?,
        created_at: UnixMillis(row.int(3)?),
        updated_at: UnixMillis(row.int(4)?),
    })
}

/// The project's own policy of this name.
pub(super) fn select(tx: &mut Tx<'_>, cx: &Cx, name: &str) -> Result<SecurityPolicy, Error> {
    let row = tx.query_opt(sql::SELECT_POLICY, params![cx.owner(), name], |row| read(cx, row));
    found(row, &SERVICE, "securityPolicy", name)
}

fn check_document(policy: &str) -> Result<(), Error> {
    let wrong = PolicyDocument::parse(policy).err();
    wrong.map_or(Ok(()), |wrong| {
        Err(ApiError::bad_request(SERVICE.name, "securityPolicy", "policy", "invalid", wrong).into())
    })
}

fn describe_security_policies(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeSecurityPolicies,
) -> Result<Page<SecurityPolicy>, Error> {
    let params = params![cx.owner(), page::after(request.page_token.as_ref()), page::rows(request.limit)];
    let policies = tx.query(sql::SELECT_POLICIES, params, |row| read(cx, row))?;
    Ok(page::page(policies, request.limit, |policy| &policy.name))
}

fn describe_common_security_policies(
    _: &mut Tx<'_>,
    _: &Cx,
    request: &DescribeCommonSecurityPolicies,
) -> Result<Page<SecurityPolicy>, Error> {
    let after = page::after(request.page_token.as_ref());
    let policies = COMMON_POLICIES.iter().filter(|policy| policy.name > after).map(common).collect();
    Ok(page::page(policies, request.limit, |policy| &policy.name))
}

fn create_security_policy(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &CreateSecurityPolicy,
) -> Result<Item<SecurityPolicy>, Error> {
    check_document(&request.policy)?;
    let params =
        params![cx.owner(), request.name.as_str(), request.description.as_deref(), &request.policy, cx.now.0];
    if tx.execute(sql::INSERT_POLICY, params)? == 0 {
        return Err(ApiError::exists(SERVICE.name, "securityPolicy", &request.name).into());
    }
    Ok(Item { item: select(tx, cx, &request.name)? })
}

fn update_security_policy(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &UpdateSecurityPolicy,
) -> Result<Item<SecurityPolicy>, Error> {
    check_document(&request.policy)?;
    let name = &request.security_policy_name;
    let params =
        params![cx.owner(), name.as_str(), request.description.as_deref(), &request.policy, cx.now.0];
    let row = tx.query_opt(sql::UPDATE_POLICY, params, |row| read(cx, row));
    let updated = found(row, &SERVICE, "securityPolicy", name)?;
    cx.permissions_changed(tx);
    Ok(Item { item: updated })
}

fn get_security_policy(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetSecurityPolicy,
) -> Result<Item<SecurityPolicy>, Error> {
    Ok(Item { item: select(tx, cx, &request.security_policy_name)? })
}

fn delete_security_policy(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteSecurityPolicy,
) -> Result<Item<SecurityPolicy>, Error> {
    let name = &request.security_policy_name;
    let params = params![cx.owner(), name.as_str()];
    let row = tx.query_opt(sql::DELETE_POLICY, params, |row| read(cx, row));
    let deleted = found(row, &SERVICE, "securityPolicy", name)?;
    tx.execute(sql::DELETE_ATTACHMENTS, params)?;
    cx.permissions_changed(tx);
    Ok(Item { item: deleted })
}
