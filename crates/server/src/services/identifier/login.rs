//! Logins: `/identifier/projectToken/login…` (BEHAVIOUR I-03 … I-07).

use std::sync::Arc;

use hiroba_api::contract::Item;
use hiroba_api::error::ApiError;
use hiroba_api::identifier::{Login, LoginAnswer, LoginByUser, ProjectToken, SERVICE};
use hiroba_store::params;

use super::password::{self, ENABLED};
use super::secrets::{otp_step, password_matches, secret_matches};
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::{Claims, LIFETIME_MS, Use};
use crate::registry::Registry;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The hash of a credential's secret, and whose it is.
        SELECT_SECRET = "SELECT owner_id, user_name, secret_hash FROM identifier_credential WHERE client_id = $1";
    }
}

/// A hash that no password has, checked when there is no such user, so that the time taken does not say so.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn register(registry: &mut Registry) {
    registry.call(login);
    registry.call(login_by_user);
}

async fn login(cx: Arc<Cx>, request: Arc<Login>) -> Result<LoginAnswer, Error> {
    let client_id = request.client_id.clone();
    let select = move |tx: &mut hiroba_store::Tx<'_>| {
        let row = tx.query_opt(sql::SELECT_SECRET, params![&client_id], |row| {
            Ok((row.text(0)?, row.text(1)?, row.blob(2)?))
        })?;
        Ok(row)
    };
    let credential = cx.read(select).await?;
    // Without such a credential the comparison is made all the same, so that the time taken does not say so.
    let (owner, user, hash) = credential.unwrap_or_default();
    if !secret_matches(&request.client_secret, &hash) {
        let detail = "there is no such pair of client id and client secret";
        return Err(
            ApiError::unauthorized(SERVICE.name, "identifier", "clientSecret", "invalid", detail).into()
        );
    }
    let mut claims = Claims::new(Use::Project, &owner, &user, cx.now);
    claims.client_id = Some(request.client_id.clone());
    Ok(LoginAnswer {
        access_token: cx.core.tokens.sign(&claims)?,
        token_type: "Bearer".to_owned(),
        expires_in: (LIFETIME_MS / 1000) as i32,
        owner_id: owner,
    })
}

async fn login_by_user(cx: Arc<Cx>, request: Arc<LoginByUser>) -> Result<Item<ProjectToken>, Error> {
    let (owner, user) = (cx.owner().to_owned(), request.user_name.to_string());
    let stored = {
        let (owner, user) = (owner.clone(), user.clone());
        cx.read(move |tx| password::find(tx, &owner, &user)).await?
    };
    let hash = stored.as_ref().map_or(NOBODYS_HASH, |stored| &stored.hash).to_owned();
    let plain = request.password.clone();
    let right = cx.core.hash(move || password_matches(&plain, &hash)).await?;
    let Some(stored) = stored.filter(|_| right) else {
        return Err(wrong("password", "invalid", "user name or password are wrong"));
    };
    if stored.mfa_status.as_deref() == Some(ENABLED) {
        let Some(otp) = request.otp.as_deref().filter(|otp| !otp.is_empty()) else {
            return Err(wrong(
                "otp",
                "require",
                "the user's second factor is on: send a one-time password as `otp`",
            ));
        };
        let secret = stored.secret(&cx.core.vault, &owner)?.unwrap_or_default();
        let step = otp_step(&secret, otp, cx.now.0, stored.mfa_step);
        let fresh = match step {
            None => false,
            Some(step) => {
                let (owner, user) = (owner.clone(), user.clone());
                cx.write(move |tx| password::use_step(tx, &owner, &user, step)).await?
            }
        };
        if !fresh {
            return Err(wrong(
                "otp",
                "invalid",
                "the one-time password is wrong, too old or was used before",
            ));
        }
    }
    let mut claims = Claims::new(Use::Project, &owner, &user, cx.now);
    claims.password_created_at = Some(stored.created_at);
    Ok(Item { item: ProjectToken { token: cx.core.tokens.sign(&claims)? } })
}

fn wrong(member: &str, problem: &str, detail: &str) -> Error {
    ApiError::unauthorized(SERVICE.name, "password", member, problem, detail).into()
}
