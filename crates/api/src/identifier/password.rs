//! Passwords and their second factor: `/identifier/user/{userName}/password…` and `…/mfa…`.

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{EntityName, PageLimit, PageToken};
use crate::{Model, Operation};

/// State of the second factor.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TwoFactorAuthenticationSetting {
    /// `Verifying` until the first passcode was right, then `Enable`.
    pub status: String,
}

/// The password of a user, without the password.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Password {
    /// GRN of the user.
    pub password_id: String,
    /// GRN of the user.
    pub user_id: String,
    /// Name of the user.
    pub user_name: EntityName,
    /// `RFC6238` (time-based one-time passwords) or `Disable`.
    pub enable_two_factor_authentication: String,
    /// Absent while the second factor is off.
    pub two_factor_authentication_setting: Option<TwoFactorAuthenticationSetting>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// A password whose second factor waits for the first passcode.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct MfaAnswer {
    /// The password.
    pub item: Password,
    /// `otpauth://` URI with the shared secret, to be shown as a QR code; it is shown only here.
    pub challenge_token: String,
}

/// Sets the password of a user; it is kept as an argon2id hash.
///
/// Fails with 400 `exists` when the user has one, with 404 `user`.
#[derive(Debug, Operation)]
#[operation(POST "/user/{userName}/password", name = "createPassword", component = "password",
    answer = Item<Password>)]
pub struct CreatePassword {
    /// Name of the user.
    pub user_name: EntityName,
    /// The password.
    #[field(1..=1024)]
    pub password: String,
}

/// Gets the state of a user's password.
///
/// Fails with 404 `password`, with 404 `user`.
#[derive(Debug, Operation)]
#[operation(GET "/user/{userName}/password/entity", name = "getPassword", component = "password",
    answer = Item<Password>)]
pub struct GetPassword {
    /// Name of the user.
    pub user_name: EntityName,
}

/// Lists the passwords of a user: none or one. Old SDKs only.
///
/// Fails with 404 `user`.
#[derive(Debug, Operation)]
#[operation(GET "/user/{userName}/password", name = "describePasswords", component = "password",
    answer = Page<Password>)]
pub struct DescribePasswords {
    /// Name of the user.
    pub user_name: EntityName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Makes a shared secret for time-based one-time passwords (RFC 6238: SHA-1, 6 digits, 30 s). The second factor is
/// asked for only after `challengeMfa`.
///
/// Fails with 404 `password`, with 404 `user`, with 400 `exists` when the second factor is on.
#[derive(Debug, Operation)]
#[operation(POST "/user/{userName}/mfa", name = "enableMfa", component = "password", answer = MfaAnswer)]
pub struct EnableMfa {
    /// Name of the user.
    pub user_name: EntityName,
}

/// Turns the second factor on with a first right passcode.
///
/// Fails with 400 `invalid` when the passcode is wrong, with 400 `require` without `enableMfa`, with 404 `password`,
/// with 404 `user`.
#[derive(Debug, Operation)]
#[operation(POST "/user/{userName}/mfa/challenge", name = "challengeMfa", component = "password",
    answer = Item<Password>)]
pub struct ChallengeMfa {
    /// Name of the user.
    pub user_name: EntityName,
    /// Six digits.
    #[field(1..=64)]
    pub passcode: String,
}

/// Turns the second factor off and forgets the shared secret.
///
/// Fails with 404 `password`, with 404 `user`.
#[derive(Debug, Operation)]
#[operation(DELETE "/user/{userName}/mfa", name = "disableMfa", component = "password", answer = Item<Password>)]
pub struct DisableMfa {
    /// Name of the user.
    pub user_name: EntityName,
}

/// Deletes the password of a user, who can then log in only with credentials.
///
/// Fails with 404 `password`, with 404 `user`.
#[derive(Debug, Operation)]
#[operation(DELETE "/user/{userName}/password/entity", name = "deletePassword", component = "password",
    answer = Item<Password>)]
pub struct DeletePassword {
    /// Name of the user.
    pub user_name: EntityName,
}
