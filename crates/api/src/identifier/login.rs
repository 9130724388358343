//! Logins, which answer a project token: `/identifier/projectToken/login…`.

use super::SERVICE;
use crate::contract::Item;
use crate::names::EntityName;
use crate::{Model, Operation};

/// A project token in the form of OAuth (BEHAVIOUR I-03).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct LoginAnswer {
    /// The project token.
    #[field(wire = "access_token")]
    pub access_token: String,
    /// `Bearer`.
    #[field(wire = "token_type")]
    pub token_type: String,
    /// Seconds until the token expires.
    #[field(wire = "expires_in")]
    pub expires_in: i32,
    /// Owner id of the project.
    #[field(wire = "owner_id")]
    pub owner_id: String,
}

/// A project token.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ProjectToken {
    /// The token.
    pub token: String,
}

/// Answers a project token for a credential (BEHAVIOUR I-03 … I-05).
///
/// Fails with 401 `identifier` when there is no such pair of client id and secret.
#[derive(Debug, Operation)]
#[operation(POST "/projectToken/login", name = "login", component = "projectToken", answer = LoginAnswer, anonymous)]
pub struct Login {
    /// Client id of the credential.
    #[field(wire = "client_id", alias = "clientId", 1..=256)]
    pub client_id: String,
    /// Secret of the credential.
    #[field(wire = "client_secret", alias = "clientSecret", 1..=100)]
    pub client_secret: String,
}

/// Answers a project token for a user with a password (BEHAVIOUR I-07).
///
/// The user is looked for in the project of the call's project token, without one in the server's own project. Fails
/// with 401 `password` when user, password or one-time password are wrong.
#[derive(Debug, Operation)]
#[operation(POST "/projectToken/login/user", name = "loginByUser", component = "projectToken",
    answer = Item<ProjectToken>, anonymous)]
pub struct LoginByUser {
    /// Name of the user.
    pub user_name: EntityName,
    /// Password of the user.
    #[field(1..=1024)]
    pub password: String,
    /// One-time password when the second factor is on.
    #[field(0..=64)]
    pub otp: Option<String>,
}
