//! The duplication avoider (BEHAVIOUR X-01 … X-03): the first answer of a call is kept in the call's own transaction, and
//! a repeated call gets it instead of being done again.

use std::collections::HashSet;

use hiroba_api::contract::{Fields, Row, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_store::{Tx, params};
use parking_lot::Mutex;
use serde_json::Value;

use crate::cx::Cx;
use crate::error::Error;
use crate::vault::{self, SealingKey};

/// What the key of kept answers is derived with.
const KEY_LABEL: &[u8] = b"hiroba kept answers";
/// Bytes of the hash of a request.
const HASH_BYTES: usize = 32;

/// How long an answer is kept (BEHAVIOUR X-03).
const KEPT_MS: i64 = 24 * 3_600_000;

/// The column of a request's hash: the hash lies with the answer.
const NO_HASH: &[u8] = &[];

pub(crate) mod sql {
    hiroba_store::statements! {
        /// The answer kept under a key.
        SELECT_ANSWER = "SELECT request_hash, answer FROM duplication_answer
            WHERE owner_id = $1 AND service = $2 AND method = $3 AND user_id = $4 AND avoider = $5
              AND expires_at > $6";
        /// Keeps an answer, unless another one is kept.
        INSERT_ANSWER = "INSERT INTO duplication_answer
                (owner_id, service, method, user_id, avoider, request_hash, answer, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (owner_id, service, method, user_id, avoider) DO UPDATE
            SET request_hash = excluded.request_hash, answer = excluded.answer, expires_at = excluded.expires_at
            WHERE duplication_answer.expires_at <= $9";
        /// Forgets expired answers, some at a time.
        DELETE_EXPIRED_ANSWERS = "DELETE FROM duplication_answer WHERE (owner_id, service, method, user_id, avoider) IN (
            SELECT owner_id, service, method, user_id, avoider FROM duplication_answer
            WHERE expires_at <= $1 LIMIT $2)";
        /// Forgets one answer.
        DELETE_ANSWER = "DELETE FROM duplication_answer
            WHERE owner_id = $1 AND service = $2 AND method = $3 AND user_id = $4 AND avoider = $5";
    }
}

/// Seals the answers that are kept, and with each the hash of its request: both may tell what players wrote. It is derived
/// from the key that signs tokens, so that a new master key has none of them sealed anew.
#[derive(Debug)]
pub(crate) struct KeptKey(SealingKey);

impl KeptKey {
    /// The key that belongs to this signing key.
    pub(crate) fn new(signing_key: &[u8]) -> KeptKey {
        KeptKey(SealingKey::derived(signing_key, KEY_LABEL))
    }

    fn seal(&self, context: &[u8], hash: &[u8], answer: &str) -> Result<String, Error> {
        let sealed = self.0.seal(context, &[hash, answer.as_bytes()].concat())?;
        Ok(vault::to_text(&sealed))
    }

    /// Hash and answer; `None` when this was kept in clear by a former version.
    fn open(&self, context: &[u8], kept: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
        let Some(sealed) = vault::from_text(kept)? else { return Ok(None) };
        let mut hash = self.0.open(context, &sealed)?;
        let answer = hash.split_off(HASH_BYTES.min(hash.len()));
        let answer = String::from_utf8(answer);
        Ok(Some((
            hash,
            answer.map_err(|error| Error::internal("reading a kept answer", error.utf8_error()))?,
        )))
    }
}

/// A call that must not be done twice.
#[derive(Debug)]
pub(crate) struct Avoider {
    service: &'static str,
    method: String,
    key: String,
    /// Player that the request names where its path names none.
    named_user: Option<String>,
    request_hash: Vec<u8>,
    kept_ms: i64,
}

impl Avoider {
    pub(crate) fn new(row: &Row, key: String, request: &Fields) -> Avoider {
        // A map keeps its keys sorted: equal requests have equal texts.
        let text = serde_json::to_string(request).unwrap_or_default();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Avoider {
            service: row.declaration.service.name,
            method: row.name.clone(),
            key,
            named_user: request.get("userId").and_then(Value::as_str).map(str::to_owned),
            request_hash: hash.as_ref().to_vec(),
            kept_ms: KEPT_MS,
        }
    }

    /// Keeps the answer for another time than usual.
    pub(super) fn kept_for(self, kept_ms: i64) -> Avoider {
        Avoider { kept_ms, ..self }
    }

    /// The player whose keys these are.
    fn user<'a>(&'a self, cx: &'a Cx) -> &'a str {
        cx.user.as_deref().or(self.named_user.as_deref()).unwrap_or_default()
    }

    /// Where its answer is kept.
    fn context(&self, cx: &Cx) -> Vec<u8> {
        vault::context(&[cx.owner(), self.service, &self.method, self.user(cx), &self.key])
    }

    /// Name of the call, the same for a repeated one.
    pub(super) fn name(&self, cx: &Cx) -> String {
        [cx.owner(), "answer", self.service, &self.method, self.user(cx), &self.key].join("\n")
    }

    /// The answer of an earlier call with this key.
    ///
    /// Fails with 409 when the earlier call had another request.
    pub(crate) fn answer(&self, tx: &mut Tx<'_>, cx: &Cx) -> Result<Option<String>, Error> {
        tx.lock_row(&self.name(cx));
        let kept = tx.query_opt(
            sql::SELECT_ANSWER,
            params![cx.owner(), self.service, &self.method, self.user(cx), &self.key, cx.now.0],
            |row| Ok((row.blob(0)?, row.text(1)?)),
        )?;
        let kept = match kept {
            Some((hash, answer)) => {
                Some(cx.core.kept.open(&self.context(cx), &answer)?.unwrap_or((hash, answer)))
            }
            None => None,
        };
        match kept {
            None => Ok(None),
            Some((hash, answer)) if hash == self.request_hash => Ok(Some(answer)),
            Some(_) => {
                let detail = "this duplication avoider was used with another request in the last 24 hours; \
                              make a new one for each new request";
                Err(ApiError::conflict(
                    self.service,
                    "duplicationAvoider",
                    "duplicationAvoider",
                    "notMatch",
                    detail,
                )
                .into())
            }
        }
    }

    /// Keeps the answer of this call.
    ///
    /// Fails with [`Error::Twin`] when a call with this key has its answer by now.
    pub(crate) fn keep(&self, tx: &mut Tx<'_>, cx: &Cx, answer: &str) -> Result<(), Error> {
        let expires_at = cx.now.0 + self.kept_ms;
        let sealed = cx.core.kept.seal(&self.context(cx), &self.request_hash, answer)?;
        let kept = tx.execute(
            sql::INSERT_ANSWER,
            params![
                cx.owner(),
                self.service,
                &self.method,
                self.user(cx),
                &self.key,
                NO_HASH,
                &sealed,
                expires_at,
                cx.now.0
            ],
        )?;
        if kept == 1 { Ok(()) } else { Err(Error::Twin) }
    }
}

/// Calls with an avoider whose answer is not kept by the transaction that makes it, while they run.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashSet<String>>);

/// One such call; it has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct RunningCall<'a> {
    running: &'a Running,
    name: String,
}

impl Running {
    /// Begins a call.
    ///
    /// Fails with 409 while the first call with this avoider runs (BEHAVIOUR X-03).
    pub(crate) fn begin(&self, avoider: &Avoider, cx: &Cx) -> Result<RunningCall<'_>, Error> {
        let name = avoider.name(cx);
        if !self.0.lock().insert(name.clone()) {
            let detail = "the first call with this duplication avoider still runs; repeat it";
            let (service, model) = (avoider.service, "duplicationAvoider");
            return Err(ApiError::conflict(service, model, model, "duplicate", detail).into());
        }
        Ok(RunningCall { running: self, name })
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        self.running.0.lock().remove(&self.name);
    }
}

/// Forgets some expired answers; says how many.
pub(crate) fn sweep(tx: &mut Tx<'_>, now: UnixMillis, count_max: i64) -> Result<u64, Error> {
    Ok(tx.execute(sql::DELETE_EXPIRED_ANSWERS, params![now.0, count_max])?)
}
