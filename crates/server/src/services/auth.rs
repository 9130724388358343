//! The Auth service: access tokens and time offset tokens (BEHAVIOUR section 4).

mod signed;

use std::sync::Arc;

use hiroba_api::auth::{
    Federation, GetServiceVersion, IssueTimeOffsetTokenByUserId, Login, LoginBySignature, SERVICE,
    TokenAnswer, Version,
};
use hiroba_api::contract::UnixMillis;
use hiroba_api::error::ApiError;
use hiroba_api::policy::PolicyDocument;
use hiroba_store::{Tx, params};

use super::SERVICE_VERSION;
use super::key::signing;
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::{Claims, Use};
use crate::registry::Registry;

/// Component of every operation.
const COMPONENT: &str = "accessToken";

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Keeps what an access token of a federation refers to.
        INSERT_FEDERATION = "INSERT INTO auth_federation
                (owner_id, federation_id, original_user_id, user_id, policy, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        /// Forgets federations whose tokens have expired, some at a time.
        DELETE_EXPIRED_FEDERATIONS = "DELETE FROM auth_federation WHERE (owner_id, federation_id) IN (
            SELECT owner_id, federation_id FROM auth_federation WHERE expires_at <= $1 LIMIT $2)";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.call(login);
    registry.call(login_by_signature);
    registry.write(federation);
    registry.call(issue_time_offset_token_by_user_id);
    registry.read(get_service_version);
}

/// Forgets some federations whose tokens have expired; says how many.
pub(crate) fn sweep(tx: &mut Tx<'_>, now: UnixMillis, count_max: i64) -> Result<u64, Error> {
    Ok(tx.execute(sql::DELETE_EXPIRED_FEDERATIONS, params![now.0, count_max])?)
}

async fn login(cx: Arc<Cx>, request: Arc<Login>) -> Result<TokenAnswer, Error> {
    let mut claims = Claims::new(Use::Access, cx.owner(), &request.user_id, cx.now);
    claims.time_offset = time_offset(&cx, request.time_offset);
    answer(&cx, &claims)
}

/// A body counts only when its signature does: what is wrong with it is told to nobody who cannot sign.
async fn login_by_signature(cx: Arc<Cx>, request: Arc<LoginBySignature>) -> Result<TokenAnswer, Error> {
    let (reading, key_id) = (Arc::clone(&cx), request.key_id.clone());
    let read =
        move |tx: &mut Tx<'_>| signing::secret(tx, &reading, (SERVICE.name, COMPONENT), key_id.as_deref());
    let key = cx.read(read).await?;
    if !key.verify(&request.body, &request.signature) {
        let detail =
            "`signature` must be the HMAC-SHA256 of `body` with the secret of the key, in hexadecimal";
        return Err(ApiError::unauthorized(SERVICE.name, COMPONENT, "signature", "invalid", detail).into());
    }
    let user = signed::user(&request.body, cx.owner(), cx.now)?;
    answer(&cx, &Claims::new(Use::Access, cx.owner(), &user, cx.now))
}

fn federation(tx: &mut Tx<'_>, cx: &Cx, request: &Federation) -> Result<TokenAnswer, Error> {
    if let Some(Err(wrong)) = request.policy_document.as_deref().map(PolicyDocument::parse) {
        return Err(ApiError::bad_request(SERVICE.name, COMPONENT, "policyDocument", "invalid", wrong).into());
    }
    let federation_id = cx.entropy.text();
    let mut claims = Claims::new(Use::Access, cx.owner(), &request.user_id, cx.now);
    claims.time_offset = time_offset(cx, request.time_offset);
    claims.federation_id = Some(federation_id.clone());
    let params = params![
        cx.owner(),
        &federation_id,
        request.original_user_id.as_str(),
        request.user_id.as_str(),
        request.policy_document.as_ref(),
        claims.expires_at
    ];
    tx.execute(sql::INSERT_FEDERATION, params)?;
    answer(cx, &claims)
}

async fn issue_time_offset_token_by_user_id(
    cx: Arc<Cx>,
    request: Arc<IssueTimeOffsetTokenByUserId>,
) -> Result<TokenAnswer, Error> {
    let mut claims = Claims::new(Use::TimeOffset, cx.owner(), &request.user_id, cx.now);
    claims.time_offset = time_offset(&cx, request.time_offset);
    answer(&cx, &claims)
}

fn get_service_version(_: &mut Tx<'_>, _: &Cx, _: &GetServiceVersion) -> Result<Version, Error> {
    Ok(Version { item: SERVICE_VERSION.to_owned(), status: SERVICE_VERSION.to_owned() })
}

/// The offset of the request, else the one of the call's time offset token.
fn time_offset(cx: &Cx, requested: Option<i32>) -> i32 {
    requested.or(cx.offset_token).unwrap_or(0)
}

fn answer(cx: &Cx, claims: &Claims) -> Result<TokenAnswer, Error> {
    Ok(TokenAnswer {
        token: cx.core.tokens.sign(claims)?,
        user_id: hiroba_api::names::UserId::trusted(claims.user.clone()),
        expire: UnixMillis(claims.expires_at),
    })
}
