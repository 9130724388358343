//! How secrets are kept and checked: hashes only, compared in constant time.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};

use crate::error::Error;

/// Seconds that one time-based one-time password stands for (RFC 6238).
const STEP_MS: i64 = 30_000;
/// Steps that a clock may be off, either way.
const STEPS_OFF: i64 = 1;

/// Memory in KiB, passes and lanes of argon2id: the recommendation of RFC 9106 for constrained servers, scaled as OWASP
/// advises (19 MiB, 2 passes).
const ARGON2_COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Hash of a client secret. Secrets are random, 160 bits, so that a plain hash cannot be searched.
pub(crate) fn secret_hash(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}

/// Whether a client secret has this hash.
pub(super) fn secret_matches(secret: &str, hash: &[u8]) -> bool {
    verify_slices_are_equal(&secret_hash(secret), hash).is_ok()
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let (memory, passes, lanes) = ARGON2_COST;
    let params = Params::new(memory, passes, lanes, None)
        .map_err(|error| Error::internal("setting up argon2", error))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hash of a password, with its salt and cost. Takes tens of milliseconds.
pub(crate) fn password_hash(password: &str, salt: &[u8; 32]) -> Result<String, Error> {
    let salt =
        SaltString::encode_b64(&salt[..16]).map_err(|error| Error::internal("encoding a salt", error))?;
    let hash = argon2()?.hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| Error::internal("hashing a password", error))?.to_string())
}

/// Whether a password has this hash. Takes tens of milliseconds.
pub(crate) fn password_matches(password: &str, hash: &str) -> Result<bool, Error> {
    let hash = PasswordHash::new(hash).map_err(|error| Error::internal("reading a password hash", error))?;
    Ok(argon2()?.verify_password(password.as_bytes(), &hash).is_ok())
}

/// Whether a text is a hash that [`password_hash`] can have made: comparing with another one might cost any amount of memory.
pub(crate) fn is_password_hash(text: &str) -> bool {
    let (memory, passes, lanes) = ARGON2_COST;
    let cost = format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$");
    text.len() <= 128 && text.starts_with(&cost) && PasswordHash::new(text).is_ok()
}

/// The time step whose one-time password this is, if it is one of now and later than `used`.
pub(super) fn otp_step(secret: &[u8], otp: &str, now_ms: i64, used: i64) -> Option<i64> {
    let current = now_ms / STEP_MS;
    let mut found = None;
    // Every step is tried, so that the time taken says nothing.
    for step in current - STEPS_OFF..=current + STEPS_OFF {
        let right = verify_slices_are_equal(otp_at(secret, step).as_bytes(), otp.trim().as_bytes()).is_ok();
        if right && step > used {
            found = Some(step);
        }
    }
    found
}

/// RFC 4226 with six digits.
fn otp_at(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0xf);
    let word: [u8; 4] = std::array::from_fn(|index| tag[offset + index]);
    let number = u32::from_be_bytes(word) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// `otpauth://` URI for authenticator apps.
pub(super) fn otp_uri(owner: &str, user: &str, secret: &[u8]) -> String {
    let secret = data_encoding::BASE32_NOPAD.encode(secret);
    format!("otpauth://totp/{owner}:{user}?secret={secret}&issuer={owner}&algorithm=SHA1&digits=6&period=30")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_passwords_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (seconds, otp) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(otp_at(secret, seconds / 30), otp);
            assert_eq!(otp_step(secret, otp, seconds * 1000, 0), Some(seconds / 30));
            assert_eq!(otp_step(secret, otp, seconds * 1000, seconds / 30), None, "used before");
            assert_eq!(otp_step(secret, otp, seconds * 1000 + 90_000, 0), None, "too late");
        }
    }

    #[test]
    fn password_hashes() {
        let hash = password_hash("pass", &[7; 32]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(password_matches("pass", &hash).unwrap());
        assert!(!password_matches("Pass", &hash).unwrap());
    }
}
