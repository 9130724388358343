//! Auth: access tokens, which say which player a call acts for (BEHAVIOUR section 4).

use crate::contract::{Declaration, Service, UnixMillis};
use crate::names::{GrnText, UserId};
use crate::{Model, Operation};

/// The service.
pub static SERVICE: Service = Service {
    name: "auth",
    segment: "auth",
    grn: "auth",
    script: "auth",
    action: "Gs2Auth",
    regional: true,
    doc: "Access tokens, which say which player a call acts for.",
    resources: &[("accessToken", "user:{userId}")],
};

/// Largest time offset in seconds, ten years (BEHAVIOUR A-07).
pub const TIME_OFFSET_MAX: i64 = 315_360_000;

/// A token for a player (BEHAVIOUR A-04).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TokenAnswer {
    /// The token.
    pub token: String,
    /// Player that the token stands for.
    pub user_id: UserId,
    /// When it expires, one hour after the call (BEHAVIOUR A-01).
    pub expire: UnixMillis,
}

/// Version of the service; some SDKs read `item`, Go reads `status`.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Version {
    /// Version.
    pub item: String,
    /// The same.
    pub status: String,
}

/// Issues an access token for any player without proof; for trusted servers only (BEHAVIOUR A-02).
///
/// A time offset token for this player sets the offset when `timeOffset` is left out.
#[derive(Debug, Operation)]
#[operation(POST "/login", name = "login", component = "accessToken", answer = TokenAnswer)]
pub struct Login {
    /// Player; need not exist anywhere.
    pub user_id: UserId,
    /// Seconds that the player is ahead of time, for testing what is to come (BEHAVIOUR A-07).
    #[field(0..=315360000)]
    pub time_offset: Option<i32>,
}

/// Issues an access token for a player whose account service signed `body` (BEHAVIOUR A-03).
///
/// `body` is a JSON object or base64 of one: `userId`, `ownerId` of this project, `timestamp` and `expire` in milliseconds. It
/// holds until `expire`, and for an hour after `timestamp` at most. `signature` is the HMAC-SHA256 of `body` as it was sent,
/// with the secret of the key, in hexadecimal (BEHAVIOUR A-05).
///
/// Fails with 400 for a key that does not exist or is not of this project (BEHAVIOUR K-04), with 401 `signature` when the
/// signature is another one, with 400 and everything that is wrong with a signed body, with 401 `ownerId` when it is for
/// another project, with 401 `expire` when it has expired.
#[derive(Debug, Operation)]
#[operation(POST "/login/signed", name = "loginBySignature", component = "accessToken", answer = TokenAnswer)]
pub struct LoginBySignature {
    /// GRN of the key; `grn:gs2:{region}:{ownerId}:key:default:key:default` when absent.
    pub key_id: Option<GrnText>,
    /// What was signed, at most 524,288 characters.
    #[field(1..=524288)]
    pub body: String,
    /// The signature: 64 hexadecimal digits.
    #[field(1..=1024)]
    pub signature: String,
}

/// Issues an access token with which one player acts as another, within the limits of a policy (BEHAVIOUR A-06).
#[derive(Debug, Operation)]
#[operation(POST "/federation", name = "federation", component = "accessToken", answer = TokenAnswer)]
pub struct Federation {
    /// Player who acts.
    pub original_user_id: UserId,
    /// Player that the token stands for.
    pub user_id: UserId,
    /// Policy document that limits the token, beside the caller's own policies; no further limit when absent.
    #[field(0..=524288)]
    pub policy_document: Option<String>,
    /// Seconds that the player is ahead of time.
    #[field(0..=315360000)]
    pub time_offset: Option<i32>,
}

/// Issues a token that lets `…ByUserId` calls for this player see a later time (BEHAVIOUR A-08).
#[derive(Debug, Operation)]
#[operation(POST "/timeoffset/token", name = "issueTimeOffsetTokenByUserId", component = "accessToken",
    answer = TokenAnswer)]
pub struct IssueTimeOffsetTokenByUserId {
    /// Player.
    pub user_id: UserId,
    /// Seconds ahead of time; 0 when absent.
    #[field(0..=315360000)]
    pub time_offset: Option<i32>,
}

/// Answers the version of the service.
#[derive(Debug, Operation)]
#[operation(GET "/system/version", name = "getServiceVersion", component = "accessToken", answer = Version)]
pub struct GetServiceVersion {}

/// Every operation of the service.
pub const OPERATIONS: &[&Declaration] = &[
    Login::DECLARATION,
    LoginBySignature::DECLARATION,
    Federation::DECLARATION,
    IssueTimeOffsetTokenByUserId::DECLARATION,
    GetServiceVersion::DECLARATION,
];
