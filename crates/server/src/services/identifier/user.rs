//! Users: `/identifier/user…`.

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::identifier::{CreateUser, DeleteUser, DescribeUsers, GetUser, SERVICE, UpdateUser, User};
use hiroba_api::names::{Description, EntityName};
use hiroba_store::{Row, StoreError, Tx, params};

use super::user_grn;
use crate::cx::{Cx, found};
use crate::error::Error;
use crate::registry::Registry;
use crate::services::page;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of users.
        SELECT_USERS = "SELECT name, description, created_at, updated_at, revision FROM identifier_user
            WHERE owner_id = $1 AND name > $2 ORDER BY name LIMIT $3";
        /// One user.
        SELECT_USER = "SELECT name, description, created_at, updated_at, revision FROM identifier_user
            WHERE owner_id = $1 AND name = $2";
        /// Adds a user unless there is one of this name.
        INSERT_USER = "INSERT INTO identifier_user (owner_id, name, description, created_at, updated_at, revision)
            VALUES ($1, $2, $3, $4, $4, 1) ON CONFLICT (owner_id, name) DO NOTHING";
        /// Replaces the description of a user.
        UPDATE_USER = "UPDATE identifier_user SET description = $3, updated_at = $4, revision = revision + 1
            WHERE owner_id = $1 AND name = $2 RETURNING name, description, created_at, updated_at, revision";
        /// Removes a user.
        DELETE_USER = "DELETE FROM identifier_user WHERE owner_id = $1 AND name = $2
            RETURNING name, description, created_at, updated_at, revision";
        /// Removes the credentials of a user.
        DELETE_CREDENTIALS = "DELETE FROM identifier_credential WHERE owner_id = $1 AND user_name = $2";
        /// Removes the password of a user.
        DELETE_PASSWORD = "DELETE FROM identifier_password WHERE owner_id = $1 AND user_name = $2";
        /// Detaches all policies from a user.
        DELETE_ATTACHMENTS = "DELETE FROM identifier_attachment WHERE owner_id = $1 AND user_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_users);
    registry.write(create_user);
    registry.write(update_user);
    registry.read(get_user);
    registry.write(delete_user);
}

/// Fails with 404 `user` when there is none of this name.
pub(super) fn require(tx: &mut Tx<'_>, cx: &Cx, name: &str) -> Result<(), Error> {
    let row = tx.query_opt(sql::SELECT_USER, params![cx.owner(), name], |row| row.text(0));
    found(row, &SERVICE, "user", name).map(|_| ())
}

/// Reads a row; the GRN is filled in by [`user`].
fn read(row: &Row<'_>) -> Result<User, StoreError> {
    Ok(User {
        user_id: String::new(),
        name: EntityName::trusted(row.text(0)?),
        description: row.opt_text(1)?.map(Description::trusted),
        created_at: UnixMillis(row.int(2)?),
        updated_at: UnixMillis(row.int(3)?),
        revision: row.int(4)?,
    })
}

fn user(cx: &Cx, user: User) -> User {
    User { user_id: user_grn(cx, &user.name), ..user }
}

fn describe_users(tx: &mut Tx<'_>, cx: &Cx, request: &DescribeUsers) -> Result<Page<User>, Error> {
    let params = params![cx.owner(), page::after(request.page_token.as_ref()), page::rows(request.limit)];
    let users = tx.query(sql::SELECT_USERS, params, |row| Ok(user(cx, read(row)?)))?;
    Ok(page::page(users, request.limit, |user| &user.name))
}

fn create_user(tx: &mut Tx<'_>, cx: &Cx, request: &CreateUser) -> Result<Item<User>, Error> {
    let params = params![cx.owner(), request.name.as_str(), request.description.as_deref(), cx.now.0];
    if tx.execute(sql::INSERT_USER, params)? == 0 {
        return Err(ApiError::exists(SERVICE.name, "user", &request.name).into());
    }
    let created = User {
        user_id: user_grn(cx, &request.name),
        name: request.name.clone(),
        description: request.description.clone(),
        created_at: cx.now,
        updated_at: cx.now,
        revision: 1,
    };
    Ok(Item { item: created })
}

fn update_user(tx: &mut Tx<'_>, cx: &Cx, request: &UpdateUser) -> Result<Item<User>, Error> {
    let params = params![cx.owner(), request.user_name.as_str(), request.description.as_deref(), cx.now.0];
    let row = tx.query_opt(sql::UPDATE_USER, params, read);
    Ok(Item { item: user(cx, found(row, &SERVICE, "user", &request.user_name)?) })
}

fn get_user(tx: &mut Tx<'_>, cx: &Cx, request: &GetUser) -> Result<Item<User>, Error> {
    let row = tx.query_opt(sql::SELECT_USER, params![cx.owner(), request.user_name.as_str()], read);
    Ok(Item { item: user(cx, found(row, &SERVICE, "user", &request.user_name)?) })
}

fn delete_user(tx: &mut Tx<'_>, cx: &Cx, request: &DeleteUser) -> Result<Item<User>, Error> {
    let params = params![cx.owner(), request.user_name.as_str()];
    let deleted = found(tx.query_opt(sql::DELETE_USER, params, read), &SERVICE, "user", &request.user_name)?;
    tx.execute(sql::DELETE_CREDENTIALS, params)?;
    tx.execute(sql::DELETE_PASSWORD, params)?;
    tx.execute(sql::DELETE_ATTACHMENTS, params)?;
    cx.permissions_changed(tx);
    Ok(Item { item: user(cx, deleted) })
}
