//! Uploads: a call prepares one and answers a token and a URL, somebody puts the content there, and a later call takes it by
//! the token. Who holds the URL needs no other permission, so the token is kept as a hash only.

use hiroba_api::contract::{Service, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_store::{Tx, params};

use super::identifier::secret_hash;
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Core;

/// Path below which content is put: the token follows. No namespace begins with `~`, so that no service has this path,
/// whether host or path names it.
pub(crate) const PATH: &str = "/~upload/";

/// Time from the preparation to the last moment at which the content can be taken: one hour.
const LIFETIME_MS: i64 = 3_600_000;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Expects content.
        INSERT_UPLOAD = "INSERT INTO upload (token_hash, owner_id, purpose, expires_at, content)
            VALUES ($1, $2, $3, $4, NULL)";
        /// Whether content is expected under a token.
        SELECT_EXPECTED = "SELECT 1 FROM upload WHERE token_hash = $1 AND expires_at > $2";
        /// Keeps content, in the place of what came before.
        UPDATE_CONTENT = "UPDATE upload SET content = $3 WHERE token_hash = $1 AND expires_at > $2";
        /// The content under a token of this owner and purpose.
        SELECT_CONTENT = "SELECT content FROM upload
            WHERE token_hash = $1 AND owner_id = $2 AND purpose = $3 AND expires_at > $4";
        /// Takes the content under a token of this owner and purpose.
        DELETE_UPLOAD = "DELETE FROM upload
            WHERE token_hash = $1 AND owner_id = $2 AND purpose = $3 AND expires_at > $4 RETURNING content";
        /// Forgets everything for a purpose.
        DELETE_PURPOSE = "DELETE FROM upload WHERE owner_id = $1 AND purpose = $2";
        /// Forgets what has expired, some at a time.
        DELETE_EXPIRED = "DELETE FROM upload WHERE token_hash IN (
            SELECT token_hash FROM upload WHERE expires_at <= $1 LIMIT $2)";
    }
}

/// Where content is expected.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Names the content for the call that takes it; 160 random bits.
    pub(crate) token: String,
    /// Absolute URL that the content is PUT to.
    pub(crate) url: String,
}

/// What an upload is for: only the call that says the same of the same owner can take it.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    /// The service that takes it.
    pub(crate) service: &'static Service,
    /// Model that its refusals name.
    pub(crate) model: &'static str,
    /// Operation that prepares it, for refusals.
    pub(crate) prepared_by: &'static str,
    /// Tells it from the others of the service: `master/{namespace}`.
    pub(crate) name: String,
}

impl Purpose {
    fn key(&self) -> String {
        [self.service.name, "/", &self.name].concat()
    }

    /// The refusal of a token.
    fn refused(&self, problem: &str, what: &str) -> Error {
        let detail = format!(
            "{what}; call {} first, PUT the content to the `uploadUrl` that it answers, and send its `uploadToken` \
             within an hour",
            self.prepared_by
        );
        ApiError::bad_request(self.service.name, self.model, "uploadToken", problem, detail).into()
    }
}

/// Makes a place for content.
pub(crate) fn prepare(tx: &mut Tx<'_>, cx: &Cx, purpose: &Purpose) -> Result<Prepared, Error> {
    let token = cx.entropy.text();
    let expires_at = cx.now.0.saturating_add(LIFETIME_MS);
    let (hash, purpose) = (secret_hash(&token), purpose.key());
    tx.execute(sql::INSERT_UPLOAD, params![&hash, cx.owner(), &purpose, expires_at])?;
    let url = cx.url(&[PATH, &token].concat());
    Ok(Prepared { token, url })
}

/// Whether content is expected under a token: asked before a body is read.
pub(crate) async fn is_expected(core: &Core, token: &str) -> Result<bool, Error> {
    let (hash, now) = (secret_hash(token), core.clock.now());
    let select = move |tx: &mut Tx<'_>| {
        Ok(tx.query_opt(sql::SELECT_EXPECTED, params![&hash, now.0], |row| row.int(0))?.is_some())
    };
    core.store.read(select).await
}

/// Keeps the content for the call that takes it, in the place of what was uploaded before; false when none is expected under
/// the token.
pub(crate) async fn put(core: &Core, token: &str, content: Vec<u8>) -> Result<bool, Error> {
    let (hash, now) = (secret_hash(token), core.clock.now());
    let update =
        move |tx: &mut Tx<'_>| Ok(tx.execute(sql::UPDATE_CONTENT, params![&hash, now.0, &content])? == 1);
    core.store.write(update).await
}

/// The content that was uploaded, which stays.
///
/// Fails like [`take`].
pub(crate) fn look(tx: &mut Tx<'_>, cx: &Cx, purpose: &Purpose, token: &str) -> Result<Vec<u8>, Error> {
    content(tx, sql::SELECT_CONTENT, cx, purpose, token)
}

/// The content that was uploaded; it is gone with the transaction's commit.
///
/// Fails with 400 `uploadToken` `invalid` when the token is unknown, expired, used, or of another purpose or owner, and with
/// `require` when nothing was uploaded under it.
pub(crate) fn take(tx: &mut Tx<'_>, cx: &Cx, purpose: &Purpose, token: &str) -> Result<Vec<u8>, Error> {
    content(tx, sql::DELETE_UPLOAD, cx, purpose, token)
}

fn content(
    tx: &mut Tx<'_>,
    statement: &'static str,
    cx: &Cx,
    purpose: &Purpose,
    token: &str,
) -> Result<Vec<u8>, Error> {
    let (hash, key) = (secret_hash(token), purpose.key());
    let params = params![&hash, cx.owner(), &key, cx.now.0];
    match tx.query_opt(statement, params, |row| row.opt_blob(0))? {
        Some(Some(content)) => Ok(content),
        Some(None) => Err(purpose.refused("require", "nothing has been uploaded under `uploadToken`")),
        None => {
            let what = "`uploadToken` is unknown here, was used, or has expired";
            Err(purpose.refused("invalid", what))
        }
    }
}

/// Forgets everything that was prepared for a purpose.
pub(crate) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, purpose: &Purpose) -> Result<(), Error> {
    tx.execute(sql::DELETE_PURPOSE, params![cx.owner(), &purpose.key()])?;
    Ok(())
}

/// Forgets some uploads that nobody can take any more; says how many.
pub(crate) fn sweep(tx: &mut Tx<'_>, now: UnixMillis, count_max: i64) -> Result<u64, Error> {
    Ok(tx.execute(sql::DELETE_EXPIRED, params![now.0, count_max])?)
}
