//! Which policies a user has: `/identifier/user/{userName}/securityPolicy…`.

use hiroba_api::error::ApiError;
use hiroba_api::grn::{Grn, SYSTEM_OWNER};
use hiroba_api::identifier::{
    AttachSecurityPolicy, DetachSecurityPolicy, GetHasSecurityPolicy, POLICIES_MAX, SERVICE, SecurityPolicies,
};
use hiroba_api::policy::CommonPolicy;
use hiroba_store::{Tx, params};

use super::{security_policy, user};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The policies of a user in the order in which they were attached.
        SELECT_ATTACHMENTS = "SELECT policy_owner, policy_name FROM identifier_attachment
            WHERE owner_id = $1 AND user_name = $2 ORDER BY position";
        /// Attaches a policy unless it is attached.
        INSERT_ATTACHMENT = "INSERT INTO identifier_attachment (owner_id, user_name, policy_owner, policy_name, position)
            VALUES ($1, $2, $3, $4, hiroba_next_revision())
            ON CONFLICT (owner_id, user_name, policy_owner, policy_name) DO NOTHING";
        /// Detaches a policy.
        DELETE_ATTACHMENT = "DELETE FROM identifier_attachment
            WHERE owner_id = $1 AND user_name = $2 AND policy_owner = $3 AND policy_name = $4";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(get_has_security_policy);
    registry.write(attach_security_policy);
    registry.write(detach_security_policy);
}

fn get_has_security_policy(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetHasSecurityPolicy,
) -> Result<SecurityPolicies, Error> {
    user::require(tx, cx, &request.user_name)?;
    policies(tx, cx, &request.user_name)
}

fn attach_security_policy(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &AttachSecurityPolicy,
) -> Result<SecurityPolicies, Error> {
    user::require(tx, cx, &request.user_name)?;
    let (owner, name) = policy_name(cx, &request.security_policy_id)?;
    if owner == SYSTEM_OWNER {
        CommonPolicy::named(name).ok_or_else(|| unknown(&request.security_policy_id))?;
    } else {
        security_policy::select(tx, cx, name)?;
    }
    let params = params![cx.owner(), request.user_name.as_str(), owner, name];
    tx.execute(sql::INSERT_ATTACHMENT, params)?;
    let policies = policies(tx, cx, &request.user_name)?;
    if policies.items.len() > POLICIES_MAX {
        let detail = format!("a user has at most {POLICIES_MAX} policies; put their statements into one");
        let error = ApiError::bad_request(
            SERVICE.name,
            "attachSecurityPolicy",
            "securityPolicyIds",
            "tooMany",
            detail,
        );
        return Err(error.into());
    }
    cx.permissions_changed(tx);
    Ok(policies)
}

fn detach_security_policy(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DetachSecurityPolicy,
) -> Result<SecurityPolicies, Error> {
    user::require(tx, cx, &request.user_name)?;
    let (owner, name) = policy_name(cx, &request.security_policy_id)?;
    let params = params![cx.owner(), request.user_name.as_str(), owner, name];
    if tx.execute(sql::DELETE_ATTACHMENT, params)? == 0 {
        return Err(unknown(&request.security_policy_id));
    }
    cx.permissions_changed(tx);
    policies(tx, cx, &request.user_name)
}

/// Owner and name of the policy with this GRN: one of this project's or a built-in one.
fn policy_name<'g>(cx: &Cx, grn: &'g str) -> Result<(&'g str, &'g str), Error> {
    let parsed = Grn::parse(grn).filter(|grn| grn.service == SERVICE.grn);
    let parsed = parsed.filter(|grn| grn.owner == SYSTEM_OWNER || grn.owner == cx.owner());
    let name = parsed.and_then(|grn| Some((grn.owner, grn.rest.strip_prefix("securityPolicy:")?)));
    name.ok_or_else(|| unknown(grn))
}

fn unknown(grn: &str) -> Error {
    let detail = format!("there is no such policy here, or it is not attached: `{grn}`");
    ApiError::not_found(SERVICE.name, "securityPolicy", detail).into()
}

fn policies(tx: &mut Tx<'_>, cx: &Cx, user: &str) -> Result<SecurityPolicies, Error> {
    let names =
        tx.query(sql::SELECT_ATTACHMENTS, params![cx.owner(), user], |row| Ok((row.text(0)?, row.text(1)?)))?;
    let mut items = Vec::with_capacity(names.len());
    for (owner, name) in names {
        if owner == SYSTEM_OWNER {
            // A built-in policy of a newer version may be unknown to this one.
            items.extend(CommonPolicy::named(&name).map(security_policy::common));
        } else {
            items.push(security_policy::select(tx, cx, &name)?);
        }
    }
    Ok(SecurityPolicies { items })
}
