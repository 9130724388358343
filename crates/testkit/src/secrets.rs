//! Tokens that nobody issued, and one-time passwords as an authenticator app makes them.

use aws_lc_rs::hmac;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use serde_json::Value;

/// Makes a token in the form of the server's: signed with `key`, or not at all.
pub fn forge(header: &Value, claims: &Value, key: Option<&[u8]>) -> String {
    let encoded = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let signature = key.map(|key| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        BASE64URL_NOPAD.encode(hmac::sign(&key, text.as_bytes()).as_ref())
    });
    format!("{text}.{}", signature.unwrap_or_default())
}

/// Header, claims and signature of a token.
pub fn parts(token: &str) -> (Value, Value, String) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("no token: {token}") };
    let decoded =
        |part: &str| serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap();
    (decoded(header), decoded(claims), signature.to_owned())
}

/// The token with other claims and its old signature.
pub fn with_claims(token: &str, claims: &Value) -> String {
    let (header, _, signature) = parts(token);
    let unsigned = forge(&header, claims, None);
    format!("{unsigned}{signature}")
}

/// The secret in an `otpauth://` URI.
pub fn otp_secret(uri: &str) -> Vec<u8> {
    let secret = uri.split(['?', '&']).find_map(|part| part.strip_prefix("secret="));
    BASE32_NOPAD.decode(secret.expect("the URI has a secret").as_bytes()).unwrap()
}

/// The one-time password of a moment: RFC 6238 with SHA-1, six digits and 30 seconds.
pub fn one_time_password(secret: &[u8], now_ms: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &(now_ms / 30_000).to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0xf);
    let word = tag[offset..offset + 4].iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_passwords_of_the_rfc() {
        let secret = b"12345678901234567890";
        assert_eq!(one_time_password(secret, 59_000), "287082");
        assert_eq!(one_time_password(secret, 1_111_111_109_000), "081804");
    }

    #[test]
    fn tokens_come_apart() {
        let token = forge(&serde_json::json!({"alg": "HS256"}), &serde_json::json!({"u": "a"}), Some(b"key"));
        assert_eq!(parts(&token).1["u"], "a");
        let changed = with_claims(&token, &serde_json::json!({"u": "b"}));
        assert_eq!(parts(&changed).1["u"], "b");
        assert_eq!(parts(&changed).2, parts(&token).2);
    }
}
