//! Passwords and their second factor: `/identifier/user/{userName}/password…` and `…/mfa…`.

use std::sync::Arc;

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::identifier::{
    ChallengeMfa, CreatePassword, DeletePassword, DescribePasswords, DisableMfa, EnableMfa, GetPassword,
    MfaAnswer, Password, SERVICE, TwoFactorAuthenticationSetting,
};
use hiroba_api::names::EntityName;
use hiroba_store::{Row, StoreError, Tx, params};

use super::secrets::{otp_step, otp_uri, password_hash};
use super::{user, user_grn};
use crate::cx::{Cx, found};
use crate::error::Error;
use crate::pipeline::Core;
use crate::registry::Registry;
use crate::services::page;
use crate::vault::reseal::{SealedRows, rows};
use crate::vault::{Vault, context};

/// What the master key knows the shared secrets of second factors as.
const SECRET: &str = "second factor secret";
/// The second factor waits for a first right passcode.
const VERIFYING: &str = "Verifying";
/// The second factor is asked for.
pub(super) const ENABLED: &str = "Enable";

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The password of a user.
        SELECT_PASSWORD = "SELECT user_name, hash, mfa_status, mfa_secret, mfa_step, created_at, revision
            FROM identifier_password WHERE owner_id = $1 AND user_name = $2";
        /// Adds a password unless there is one.
        INSERT_PASSWORD = "INSERT INTO identifier_password
                (owner_id, user_name, hash, mfa_status, mfa_secret, mfa_step, created_at, revision)
            VALUES ($1, $2, $3, NULL, NULL, 0, $4, 1) ON CONFLICT (owner_id, user_name) DO NOTHING";
        /// Changes the state of the second factor.
        UPDATE_MFA = "UPDATE identifier_password
            SET mfa_status = $3, mfa_secret = $4, mfa_step = $5, revision = revision + 1
            WHERE owner_id = $1 AND user_name = $2";
        /// The shared secrets behind a user, those of all owners.
        SELECT_SECRETS = "SELECT owner_id, user_name, mfa_secret FROM identifier_password
            WHERE (owner_id, user_name) > ($1, $2) AND mfa_secret IS NOT NULL
            ORDER BY owner_id, user_name LIMIT $3";
        /// Replaces a shared secret that is still this one.
        REPLACE_SECRET = "UPDATE identifier_password SET mfa_secret = $4
            WHERE owner_id = $1 AND user_name = $2 AND mfa_secret = $3";
        /// Remembers the last one-time password that was used.
        UPDATE_MFA_STEP = "UPDATE identifier_password SET mfa_step = $3
            WHERE owner_id = $1 AND user_name = $2 AND mfa_step < $3";
        /// Removes a password.
        DELETE_PASSWORD = "DELETE FROM identifier_password WHERE owner_id = $1 AND user_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.call(create_password);
    registry.read(get_password);
    registry.read(describe_passwords);
    registry.write(enable_mfa);
    registry.write(challenge_mfa);
    registry.write(disable_mfa);
    registry.write(delete_password);
}

/// A password as its row holds it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) user_name: String,
    pub(super) hash: String,
    pub(super) mfa_status: Option<String>,
    /// The shared secret, sealed; in clear when a former version wrote it and no pass has come by yet.
    mfa_secret: Option<Vec<u8>>,
    pub(super) mfa_step: i64,
    pub(super) created_at: i64,
    revision: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            user_name: row.text(0)?,
            hash: row.text(1)?,
            mfa_status: row.opt_text(2)?,
            mfa_secret: row.opt_blob(3)?,
            mfa_step: row.int(4)?,
            created_at: row.int(5)?,
            revision: row.int(6)?,
        })
    }

    /// The shared secret of the second factor.
    pub(super) fn secret(&self, vault: &Vault, owner: &str) -> Result<Option<Vec<u8>>, Error> {
        let context = context(&[owner, &self.user_name]);
        let kept = self.mfa_secret.clone();
        kept.map(|kept| vault.open_or_clear(SECRET, &context, kept)).transpose()
    }

    fn model(self, cx: &Cx) -> Password {
        let grn = user_grn(cx, &self.user_name);
        Password {
            password_id: grn.clone(),
            user_id: grn,
            user_name: EntityName::trusted(self.user_name),
            enable_two_factor_authentication: if self.mfa_status.is_some() { "RFC6238" } else { "Disable" }
                .to_owned(),
            two_factor_authentication_setting: self
                .mfa_status
                .map(|status| TwoFactorAuthenticationSetting { status }),
            created_at: UnixMillis(self.created_at),
            revision: self.revision,
        }
    }
}

/// The password of this user, if there are such a user and password.
pub(super) fn find(tx: &mut Tx<'_>, owner: &str, user_name: &str) -> Result<Option<Stored>, Error> {
    Ok(tx.query_opt(sql::SELECT_PASSWORD, params![owner, user_name], Stored::read)?)
}

/// Uses up the one-time password of this step; false when it or a later one was used before.
pub(super) fn use_step(tx: &mut Tx<'_>, owner: &str, user_name: &str, step: i64) -> Result<bool, Error> {
    Ok(tx.execute(sql::UPDATE_MFA_STEP, params![owner, user_name, step])? == 1)
}

fn seal(cx: &Cx, user_name: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
    cx.core.vault.seal(SECRET, &context(&[cx.owner(), user_name]), secret)
}

/// The shared secrets, for sealing them anew.
struct Secrets;

impl SealedRows for Secrets {
    const WHAT: &'static str = "shared secrets of second factors";
    type Key = (String, String);
    type Value = Vec<u8>;

    fn select(
        tx: &mut Tx<'_>,
        (owner, user): &Self::Key,
        count: i64,
    ) -> Result<Vec<(Self::Key, Vec<u8>)>, Error> {
        let read = |row: &Row<'_>| Ok(((row.text(0)?, row.text(1)?), row.blob(2)?));
        Ok(tx.query(sql::SELECT_SECRETS, params![owner, user, count], read)?)
    }

    fn renewed(vault: &Vault, (owner, user): &Self::Key, value: &Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        vault.renewed(SECRET, &context(&[owner, user]), value)
    }

    fn replace(
        tx: &mut Tx<'_>,
        (owner, user): &Self::Key,
        old: &Vec<u8>,
        new: &Vec<u8>,
    ) -> Result<u64, Error> {
        Ok(tx.execute(sql::REPLACE_SECRET, params![owner, user, old, new])?)
    }
}

/// Seals the shared secrets under the current master key.
pub(super) async fn reseal(core: &Core) -> Result<u64, Error> {
    rows::<Secrets>(core).await
}

fn select(tx: &mut Tx<'_>, cx: &Cx, user_name: &EntityName) -> Result<Stored, Error> {
    user::require(tx, cx, user_name)?;
    let row = tx.query_opt(sql::SELECT_PASSWORD, params![cx.owner(), user_name.as_str()], Stored::read);
    found(row, &SERVICE, "password", user_name)
}

async fn create_password(cx: Arc<Cx>, request: Arc<CreatePassword>) -> Result<Item<Password>, Error> {
    let salt = cx.entropy.bytes();
    let plain = request.password.clone();
    let hash = cx.core.hash(move || password_hash(&plain, &salt)).await?;
    let context = Arc::clone(&cx);
    let create = move |tx: &mut Tx<'_>| {
        let (cx, user_name) = (&context, &request.user_name);
        user::require(tx, cx, user_name)?;
        let params = params![cx.owner(), user_name.as_str(), &hash, cx.now.0];
        if tx.execute(sql::INSERT_PASSWORD, params)? == 0 {
            let detail = "the user has a password already; delete it first to set another one";
            return Err(ApiError::bad_request(SERVICE.name, "password", "password", "exists", detail).into());
        }
        Ok(Item { item: select(tx, cx, user_name)?.model(cx) })
    };
    cx.write(create).await
}

fn get_password(tx: &mut Tx<'_>, cx: &Cx, request: &GetPassword) -> Result<Item<Password>, Error> {
    Ok(Item { item: select(tx, cx, &request.user_name)?.model(cx) })
}

fn describe_passwords(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribePasswords,
) -> Result<Page<Password>, Error> {
    user::require(tx, cx, &request.user_name)?;
    let after = page::after(request.page_token.as_ref());
    let stored = find(tx, cx.owner(), &request.user_name)?.filter(|stored| stored.user_name.as_str() > after);
    Ok(Page { items: stored.into_iter().map(|stored| stored.model(cx)).collect(), next_page_token: None })
}

fn enable_mfa(tx: &mut Tx<'_>, cx: &Cx, request: &EnableMfa) -> Result<MfaAnswer, Error> {
    let stored = select(tx, cx, &request.user_name)?;
    if stored.mfa_status.as_deref() == Some(ENABLED) {
        let detail = "the second factor is on already; disable it first to make another secret";
        let member = "enableTwoFactorAuthentication";
        return Err(ApiError::bad_request(SERVICE.name, "password", member, "exists", detail).into());
    }
    let secret = &cx.entropy.bytes()[..20];
    let sealed = seal(cx, &request.user_name, secret)?;
    let params = params![cx.owner(), request.user_name.as_str(), VERIFYING, &sealed, 0];
    tx.execute(sql::UPDATE_MFA, params)?;
    let item = select(tx, cx, &request.user_name)?.model(cx);
    Ok(MfaAnswer { item, challenge_token: otp_uri(cx.owner(), &request.user_name, secret) })
}

fn challenge_mfa(tx: &mut Tx<'_>, cx: &Cx, request: &ChallengeMfa) -> Result<Item<Password>, Error> {
    let stored = select(tx, cx, &request.user_name)?;
    let Some(secret) = stored.secret(&cx.core.vault, cx.owner())? else {
        let detail = "there is no secret to prove yet; call enableMfa first";
        let member = "twoFactorAuthenticationSetting";
        return Err(ApiError::bad_request(SERVICE.name, "password", member, "require", detail).into());
    };
    let Some(step) = otp_step(&secret, &request.passcode, cx.now.0, stored.mfa_step) else {
        let detail = "the passcode is wrong, too old or was used before";
        return Err(ApiError::bad_request(SERVICE.name, "password", "passcode", "invalid", detail).into());
    };
    let sealed = seal(cx, &request.user_name, &secret)?;
    let params = params![cx.owner(), request.user_name.as_str(), ENABLED, &sealed, step];
    tx.execute(sql::UPDATE_MFA, params)?;
    Ok(Item { item: select(tx, cx, &request.user_name)?.model(cx) })
}

fn disable_mfa(tx: &mut Tx<'_>, cx: &Cx, request: &DisableMfa) -> Result<Item<Password>, Error> {
    select(tx, cx, &request.user_name)?;
    let params = params![cx.owner(), request.user_name.as_str(), None::<&str>, None::<&[u8]>, 0];
    tx.execute(sql::UPDATE_MFA, params)?;
    Ok(Item { item: select(tx, cx, &request.user_name)?.model(cx) })
}

fn delete_password(tx: &mut Tx<'_>, cx: &Cx, request: &DeletePassword) -> Result<Item<Password>, Error> {
    let stored = select(tx, cx, &request.user_name)?;
    tx.execute(sql::DELETE_PASSWORD, params![cx.owner(), request.user_name.as_str()])?;
    cx.permissions_changed(tx);
    Ok(Item { item: stored.model(cx) })
}
