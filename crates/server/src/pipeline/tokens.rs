//! Signed tokens: project tokens, access tokens and time offset tokens (BEHAVIOUR I-04, A-01, A-08).

use std::sync::Arc;

use hiroba_api::contract::UnixMillis;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Lifetime of every token: one hour (BEHAVIOUR, I-04).
pub(crate) const LIFETIME_MS: i64 = 3_600_000;

/// Verified tokens that are remembered, so that a caller's next call costs a look-up instead of a signature.
const CACHED_MAX: usize = 20_000;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Use {
    /// A caller of the project's API.
    #[serde(rename = "p")]
    Project,
    /// A player.
    #[serde(rename = "a")]
    Access,
    /// A later time for one player.
    #[serde(rename = "t")]
    TimeOffset,
}

/// What a token says. Names are short: an access token has to fit into 1,024 characters (BEHAVIOUR N-02).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// What the token is for.
    #[serde(rename = "t")]
    pub token_use: Use,
    /// Owner of the project.
    #[serde(rename = "o")]
    pub owner: String,
    /// Identifier user of a project token, player of the others.
    #[serde(rename = "u")]
    pub user: String,
    /// When it expires, in milliseconds.
    #[serde(rename = "e")]
    pub expires_at: i64,
    /// Client id of the credential that obtained a project token.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// When the password was made that obtained a project token.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub password_created_at: Option<i64>,
    /// Seconds ahead of time.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    pub time_offset: i32,
    /// The federation that an access token comes from.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub federation_id: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl Claims {
    /// Claims of a token that is issued now.
    pub(crate) fn new(token_use: Use, owner: &str, user: &str, now: UnixMillis) -> Claims {
        Claims {
            token_use,
            owner: owner.to_owned(),
            user: user.to_owned(),
            expires_at: now.0 + LIFETIME_MS,
            client_id: None,
            password_created_at: None,
            time_offset: 0,
            federation_id: None,
        }
    }
}

/// Signs and verifies tokens.
pub(crate) struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    verified: Cache<String, Arc<Claims>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens under this key.
    pub(crate) fn new(key: &[u8]) -> Tokens {
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is checked here, against the context's clock.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Tokens {
            signing: EncodingKey::from_secret(key),
            verifying: DecodingKey::from_secret(key),
            validation,
            verified: Cache::new(CACHED_MAX),
        }
    }

    /// Signs a token.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let header = Header::new(Algorithm::HS256);
        jsonwebtoken::encode(&header, claims, &self.signing)
            .map_err(|error| Error::internal("signing a token", error))
    }

    /// The claims of a token that this server signed for this use and that has not expired; `None` for any other text.
    pub(crate) fn verify(&self, token: &str, token_use: Use, now: UnixMillis) -> Option<Arc<Claims>> {
        let claims = match self.verified.get(token) {
            Some(claims) => claims,
            None => {
                let claims =
                    jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation).ok()?.claims;
                let claims = Arc::new(claims);
                self.verified.insert(token.to_owned(), Arc::clone(&claims));
                claims
            }
        };
        (claims.token_use == token_use && now.0 < claims.expires_at).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_unexpired_tokens_of_the_use_count() {
        let tokens = Tokens::new(b"key");
        let now = UnixMillis(1_000);
        let token = tokens.sign(&Claims::new(Use::Access, "o", "u", now)).unwrap();
        for _cached in [false, true] {
            assert_eq!(tokens.verify(&token, Use::Access, now).unwrap().user, "u");
            assert_eq!(tokens.verify(&token, Use::Project, now), None);
            assert_eq!(tokens.verify(&token, Use::Access, UnixMillis(now.0 + LIFETIME_MS)), None);
            assert_eq!(Tokens::new(b"other").verify(&token, Use::Access, now), None);
        }
        let mut forged = token.clone();
        forged.pop();
        assert_eq!(tokens.verify(&forged, Use::Access, now), None);
        assert_eq!(tokens.verify("eyJhbGciOiJub25lIn0.e30.", Use::Access, now), None);
    }

    #[test]
    fn the_longest_access_token_fits_the_header() {
        let mut claims =
            Claims::new(Use::Access, &"o".repeat(36), &"𠮷".repeat(128), UnixMillis(1_800_000_000_000));
        claims.time_offset = 315_360_000;
        claims.federation_id = Some("x".repeat(32));
        let token = Tokens::new(b"key").sign(&claims).unwrap();
        assert!(token.len() <= 1024, "{} characters", token.len());
    }
}
