//! Credentials and their guards: `/identifier/user/{userName}/identifier…`.

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::identifier::{
    AttachGuard, CreateIdentifier, DeleteIdentifier, DescribeAttachedGuards, DescribeIdentifiers,
    DetachGuard, GetIdentifier, Guards, Identifier, NewIdentifier, SERVICE,
};
use hiroba_api::names::{ClientId, EntityName, GrnText};
use hiroba_store::{Row, StoreError, Tx, params};

use super::{secret_hash, user};
use crate::cx::{Cx, found};
use crate::error::Error;
use crate::registry::Registry;
use crate::services::page;

/// Most guards of one credential.
const GUARDS_MAX: usize = 10;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of a user's credentials.
        SELECT_CREDENTIALS = "SELECT client_id, user_name, created_at, guards FROM identifier_credential
            WHERE owner_id = $1 AND user_name = $2 AND client_id > $3 ORDER BY client_id LIMIT $4";
        /// One credential.
        SELECT_CREDENTIAL = "SELECT client_id, user_name, created_at, guards FROM identifier_credential
            WHERE owner_id = $1 AND user_name = $2 AND client_id = $3";
        /// Adds a credential.
        INSERT_CREDENTIAL = "INSERT INTO identifier_credential
            (client_id, owner_id, user_name, secret_hash, guards, created_at) VALUES ($1, $2, $3, $4, '[]', $5)";
        /// Removes a credential.
        DELETE_CREDENTIAL = "DELETE FROM identifier_credential
            WHERE owner_id = $1 AND user_name = $2 AND client_id = $3";
        /// Replaces the guards of a credential.
        UPDATE_GUARDS = "UPDATE identifier_credential SET guards = $4
            WHERE owner_id = $1 AND user_name = $2 AND client_id = $3";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_identifiers);
    registry.write(create_identifier);
    registry.read(get_identifier);
    registry.write(delete_identifier);
    registry.read(describe_attached_guards);
    registry.write(attach_guard);
    registry.write(detach_guard);
}

fn read(row: &Row<'_>) -> Result<(Identifier, String), StoreError> {
    let identifier = Identifier {
        client_id: ClientId::trusted(row.text(0)?),
        user_name: EntityName::trusted(row.text(1)?),
        created_at: UnixMillis(row.int(2)?),
        revision: 1,
    };
    Ok((identifier, row.text(3)?))
}

/// The credential and its guards.
fn select(
    tx: &mut Tx<'_>,
    cx: &Cx,
    user_name: &EntityName,
    client_id: &ClientId,
) -> Result<(Identifier, Vec<GrnText>), Error> {
    user::require(tx, cx, user_name)?;
    let params = params![cx.owner(), user_name.as_str(), client_id.as_str()];
    let row = tx.query_opt(sql::SELECT_CREDENTIAL, params, read);
    let (identifier, guards) = found(row, &SERVICE, "identifier", client_id)?;
    let guards: Vec<String> = serde_json::from_str(&guards)
        .map_err(|error| Error::internal("reading the guards of a credential", error))?;
    Ok((identifier, guards.into_iter().map(GrnText::trusted).collect()))
}

fn describe_identifiers(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeIdentifiers,
) -> Result<Page<Identifier>, Error> {
    user::require(tx, cx, &request.user_name)?;
    let after = page::after(request.page_token.as_ref());
    let params = params![cx.owner(), request.user_name.as_str(), after, page::rows(request.limit)];
    let identifiers = tx.query(sql::SELECT_CREDENTIALS, params, |row| Ok(read(row)?.0))?;
    Ok(page::page(identifiers, request.limit, |identifier| &identifier.client_id))
}

fn create_identifier(tx: &mut Tx<'_>, cx: &Cx, request: &CreateIdentifier) -> Result<NewIdentifier, Error> {
    user::require(tx, cx, &request.user_name)?;
    let client_id = cx.entropy.text();
    let client_secret = cx.entropy.text();
    let hash = secret_hash(&client_secret);
    let params = params![&client_id, cx.owner(), request.user_name.as_str(), &hash, cx.now.0];
    tx.execute(sql::INSERT_CREDENTIAL, params)?;
    let item = Identifier {
        client_id: ClientId::trusted(client_id),
        user_name: request.user_name.clone(),
        created_at: cx.now,
        revision: 1,
    };
    Ok(NewIdentifier { item, client_secret })
}

fn get_identifier(tx: &mut Tx<'_>, cx: &Cx, request: &GetIdentifier) -> Result<Item<Identifier>, Error> {
    Ok(Item { item: select(tx, cx, &request.user_name, &request.client_id)?.0 })
}

fn delete_identifier(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteIdentifier,
) -> Result<Item<Identifier>, Error> {
    let (item, _) = select(tx, cx, &request.user_name, &request.client_id)?;
    let params = params![cx.owner(), request.user_name.as_str(), request.client_id.as_str()];
    tx.execute(sql::DELETE_CREDENTIAL, params)?;
    cx.permissions_changed(tx);
    Ok(Item { item })
}

fn describe_attached_guards(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeAttachedGuards,
) -> Result<Guards, Error> {
    Ok(Guards { items: select(tx, cx, &request.user_name, &request.client_id)?.1 })
}

fn attach_guard(tx: &mut Tx<'_>, cx: &Cx, request: &AttachGuard) -> Result<Guards, Error> {
    let (_, mut guards) = select(tx, cx, &request.user_name, &request.client_id)?;
    if !guards.contains(&request.guard_namespace_id) {
        guards.push(request.guard_namespace_id.clone());
    }
    if guards.len() > GUARDS_MAX {
        let detail = format!("a credential has at most {GUARDS_MAX} guards");
        return Err(
            ApiError::bad_request(SERVICE.name, "identifier", "guardNamespaceId", "tooMany", detail).into()
        );
    }
    update_guards(tx, cx, &request.user_name, &request.client_id, guards)
}

fn detach_guard(tx: &mut Tx<'_>, cx: &Cx, request: &DetachGuard) -> Result<Guards, Error> {
    let (_, mut guards) = select(tx, cx, &request.user_name, &request.client_id)?;
    let before = guards.len();
    guards.retain(|guard| *guard != request.guard_namespace_id);
    if guards.len() == before {
        return Err(ApiError::not_found(
            SERVICE.name,
            "guard",
            "the guard is not attached to the credential",
        )
        .into());
    }
    update_guards(tx, cx, &request.user_name, &request.client_id, guards)
}

fn update_guards(
    tx: &mut Tx<'_>,
    cx: &Cx,
    user_name: &EntityName,
    client_id: &ClientId,
    items: Vec<GrnText>,
) -> Result<Guards, Error> {
    let text = serde_json::to_string(&items).map_err(|error| Error::internal("writing guards", error))?;
    tx.execute(sql::UPDATE_GUARDS, params![cx.owner(), user_name.as_str(), client_id.as_str(), &text])?;
    Ok(Guards { items })
}
