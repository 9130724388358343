//! Users of the project's API: `/identifier/user…`.

use super::{SERVICE, Version};
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{Description, EntityName, PageLimit, PageToken};
use crate::{Model, Operation};

/// A user of the project's API, which owns credentials and has policies attached.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct User {
    /// GRN of the user.
    pub user_id: String,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// Lists the users by name, ascending.
#[derive(Debug, Operation)]
#[operation(GET "/user", name = "describeUsers", component = "user", answer = Page<User>)]
pub struct DescribeUsers {
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates a user, who has no credential and no permission yet.
///
/// Fails with 400 `exists`.
#[derive(Debug, Operation)]
#[operation(POST "/user", name = "createUser", component = "user", answer = Item<User>)]
pub struct CreateUser {
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
}

/// Replaces the description of a user.
///
/// Fails with 404 `user`.
#[derive(Debug, Operation)]
#[operation(PUT "/user/{userName}", name = "updateUser", component = "user", answer = Item<User>)]
pub struct UpdateUser {
    /// Name of the user.
    pub user_name: EntityName,
    /// Description.
    pub description: Option<Description>,
}

/// Gets a user.
///
/// Fails with 404 `user`.
#[derive(Debug, Operation)]
#[operation(GET "/user/{userName}", name = "getUser", component = "user", answer = Item<User>)]
pub struct GetUser {
    /// Name of the user.
    pub user_name: EntityName,
}

/// Deletes a user with credentials, password and attached policies; its tokens stop working at once.
///
/// Fails with 404 `user`.
#[derive(Debug, Operation)]
#[operation(DELETE "/user/{userName}", name = "deleteUser", component = "user", answer = Item<User>)]
pub struct DeleteUser {
    /// Name of the user.
    pub user_name: EntityName,
}

/// Answers the version of the service (BEHAVIOUR N-16).
#[derive(Debug, Operation)]
#[operation(GET "/system/version", name = "getServiceVersion", component = "identifier", answer = Version)]
pub struct GetServiceVersion {}
