//! Who calls and what they may do: project tokens to permissions, with a cache that a change of permissions empties.

use std::sync::Arc;

use hiroba_api::contract::Table;
use hiroba_api::grn::SYSTEM_OWNER;
use hiroba_api::policy::{CommonPolicy, Permissions, PolicyDocument};
use hiroba_store::{Store, Tx, params};
use quick_cache::sync::Cache;

use super::tokens::Claims;
use crate::error::Error;
use crate::generation::{Generation, Stamp};

/// Callers whose permissions are remembered.
const CACHED_MAX: usize = 10_000;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Whether a credential still exists.
        SELECT_CREDENTIAL_EXISTS = "SELECT created_at FROM identifier_credential
            WHERE client_id = $1 AND owner_id = $2 AND user_name = $3";
        /// Whether a password is still the one that logged in.
        SELECT_PASSWORD_CREATED_AT = "SELECT created_at FROM identifier_password WHERE owner_id = $1 AND user_name = $2";
        /// The policies of a user.
        SELECT_POLICIES = "SELECT a.policy_owner, a.policy_name, p.policy
            FROM identifier_attachment a
            LEFT JOIN identifier_policy p ON p.owner_id = a.policy_owner AND p.name = a.policy_name
            WHERE a.owner_id = $1 AND a.user_name = $2";
        /// A federation and the policy that limits it.
        SELECT_FEDERATION = "SELECT policy FROM auth_federation
            WHERE owner_id = $1 AND federation_id = $2";
    }
}

/// What the holder of a token may do.
#[derive(Debug)]
struct Grant {
    permissions: Option<Permissions>,
    stamp: Stamp,
}

/// Answers what callers may do.
#[derive(Debug)]
pub(crate) struct Access {
    table: Arc<Table>,
    generation: Generation,
    callers: Cache<String, Arc<Grant>>,
    /// Federations never change once they are made.
    federations: Cache<String, Arc<Option<Permissions>>>,
}

/// The caller of one call.
#[derive(Debug)]
pub(crate) struct Caller(Arc<Grant>);

impl Caller {
    pub(crate) fn permissions(&self) -> Option<&Permissions> {
        self.0.permissions.as_ref()
    }
}

impl Access {
    /// Permissions for the operations of `table`.
    pub(crate) fn new(table: Arc<Table>) -> Access {
        Access {
            table,
            generation: Generation::default(),
            callers: Cache::new(CACHED_MAX),
            federations: Cache::new(CACHED_MAX),
        }
    }

    /// Forgets the permissions of all callers.
    pub(crate) fn forget(&self) {
        self.generation.change();
    }

    /// The caller with this project token; without permissions when the user or credential behind it is gone.
    pub(crate) async fn caller(
        &self,
        store: &Store,
        token: &str,
        claims: &Arc<Claims>,
    ) -> Result<Caller, Error> {
        let fresh = |grant: &Arc<Grant>| self.generation.is_fresh(&grant.stamp, store.engine());
        if let Some(grant) = self.callers.get(token).filter(fresh) {
            return Ok(Caller(grant));
        }
        let stamp = self.generation.stamp();
        let claims = Arc::clone(claims);
        let documents = store.read(move |tx| select_documents(tx, &claims)).await?;
        let permissions = documents.map(|documents| Permissions::new(documents, &self.table));
        let grant = Arc::new(Grant { permissions, stamp });
        self.callers.insert(token.to_owned(), Arc::clone(&grant));
        Ok(Caller(grant))
    }

    /// What limits the access tokens of a federation; `None` inside when nothing does.
    pub(crate) async fn federation(
        &self,
        store: &Store,
        owner: &str,
        federation_id: &str,
    ) -> Result<Arc<Option<Permissions>>, Error> {
        if let Some(permissions) = self.federations.get(federation_id) {
            return Ok(permissions);
        }
        let (owner, id) = (owner.to_owned(), federation_id.to_owned());
        let policy = store
            .read(move |tx| {
                let params = params![&owner, &id];
                Ok::<_, Error>(tx.query_opt(sql::SELECT_FEDERATION, params, |row| row.opt_text(0))?)
            })
            .await?;
        let permissions = match policy {
            // The row is kept longer than the token; without it nothing is known to be permitted.
            None => Some(Permissions::new(Vec::new(), &self.table)),
            Some(None) => None,
            Some(Some(policy)) => {
                let document = PolicyDocument::parse(&policy);
                Some(Permissions::new(document.into_iter().collect(), &self.table))
            }
        };
        let permissions = Arc::new(permissions);
        self.federations.insert(federation_id.to_owned(), Arc::clone(&permissions));
        Ok(permissions)
    }
}

impl Access {
    /// What an Identifier user may do, read anew; nothing when there is no such user.
    pub(crate) fn of_user(&self, tx: &mut Tx<'_>, owner: &str, user: &str) -> Result<Permissions, Error> {
        Ok(Permissions::new(policies(tx, owner, user)?, &self.table))
    }
}

/// The policies of the token's user; `None` when what obtained the token is gone.
fn select_documents(tx: &mut Tx<'_>, claims: &Claims) -> Result<Option<Vec<PolicyDocument>>, Error> {
    let alive = match (&claims.client_id, claims.password_created_at) {
        (Some(client_id), _) => {
            let params = params![client_id, &claims.owner, &claims.user];
            tx.query_opt(sql::SELECT_CREDENTIAL_EXISTS, params, |row| row.int(0))?.is_some()
        }
        (None, Some(created_at)) => {
            let params = params![&claims.owner, &claims.user];
            tx.query_opt(sql::SELECT_PASSWORD_CREATED_AT, params, |row| row.int(0))? == Some(created_at)
        }
        (None, None) => false,
    };
    if !alive {
        return Ok(None);
    }
    policies(tx, &claims.owner, &claims.user).map(Some)
}

/// The policies of a user.
fn policies(tx: &mut Tx<'_>, owner: &str, user: &str) -> Result<Vec<PolicyDocument>, Error> {
    let policies = tx.query(sql::SELECT_POLICIES, params![owner, user], |row| {
        Ok((row.text(0)?, row.text(1)?, row.opt_text(2)?))
    })?;
    let texts = policies.into_iter().filter_map(|(owner, name, policy)| {
        if owner == SYSTEM_OWNER { CommonPolicy::named(&name).map(CommonPolicy::document) } else { policy }
    });
    // Documents were checked when they were written; one that cannot be read permits nothing.
    Ok(texts.filter_map(|text| PolicyDocument::parse(&text).ok()).collect())
}
