//! What a key does: signs, and encrypts. Other services name a key by its GRN (BEHAVIOUR, DT-15, K-04).

use aws_lc_rs::hmac;
use hiroba_api::error::ApiError;
use hiroba_api::grn::{Grn, Project};
use hiroba_api::key::SERVICE;
use hiroba_store::{Tx, params};

use super::secret::sql;
use crate::cx::Cx;
use crate::error::Error;
use crate::vault::{SealingKey, Vault, context};

/// GRN of the key that is meant where none is named (BEHAVIOUR A-03).
pub(crate) const DEFAULT_KEY: &str = "grn:gs2:{region}:{ownerId}:key:default:key:default";

/// What secrets of keys are sealed as.
pub(super) const PURPOSE: &str = "key.secret";
/// Bytes with which a key signs, and as many with which it encrypts: two uses, two secrets, so that what one of them gives
/// away by its results says nothing of the other.
const HALF_BYTES: usize = 32;
/// Bytes of a secret.
pub(super) const SECRET_BYTES: usize = 2 * HALF_BYTES;

/// The bytes of a key's secret; overwritten when they are given up.
pub(super) struct SecretBytes(pub(super) [u8; SECRET_BYTES]);

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.fill(0);
    }
}

/// The secret of a key, ready for use.
pub(crate) struct KeySecret {
    signing: hmac::Key,
    encrypting: SealingKey,
    /// Owner, namespace and name of the key: what it encrypts is bound to them.
    place: [String; 3],
}

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeySecret").field("place", &self.place).finish_non_exhaustive()
    }
}

impl KeySecret {
    fn new(bytes: &SecretBytes, place: [String; 3]) -> KeySecret {
        let (signing, encrypting) = bytes.0.split_at(HALF_BYTES);
        let mut half = [0; HALF_BYTES];
        half.copy_from_slice(encrypting);
        let encrypting = SealingKey::new(&half);
        half.fill(0);
        KeySecret { signing: hmac::Key::new(hmac::HMAC_SHA256, signing), encrypting, place }
    }

    /// The signature of a text: HMAC-SHA256 in 64 lower-case hexadecimal digits (BEHAVIOUR A-05, DT-15).
    pub(crate) fn sign(&self, text: &str) -> String {
        data_encoding::HEXLOWER.encode(hmac::sign(&self.signing, text.as_bytes()).as_ref())
    }

    /// Whether this is the signature of the text; compared in constant time.
    pub(crate) fn verify(&self, text: &str, signature: &str) -> bool {
        let tag = data_encoding::HEXLOWER_PERMISSIVE.decode(signature.as_bytes());
        tag.is_ok_and(|tag| hmac::verify(&self.signing, text.as_bytes(), &tag).is_ok())
    }

    fn aad(&self, purpose: &str, name: &str) -> Vec<u8> {
        let [owner, namespace, key] = &self.place;
        context(&[purpose, owner, namespace, key, name])
    }

    /// Encrypts a value (BEHAVIOUR K-02). Only the same key opens it, with the same purpose and name.
    pub(super) fn encrypt(&self, purpose: &str, name: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.encrypting.seal(&self.aad(purpose, name), plain)
    }

    /// What [`encrypt`](KeySecret::encrypt) encrypted; `None` for anything else.
    pub(super) fn decrypt(&self, purpose: &str, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.encrypting.open(&self.aad(purpose, name), sealed).ok()
    }
}

/// Namespace and name in the GRN of something of this service: `kind` is `key` or `github`. `{region}` and `{ownerId}` stand
/// for the project's own (BEHAVIOUR N-06).
///
/// Fails with a sentence that says what is wrong with the GRN.
pub(super) fn place(project: &Project, grn: &str, kind: &str) -> Result<(String, String), String> {
    let expanded = project.expand(grn);
    let form = format!("grn:gs2:{{region}}:{{ownerId}}:key:{{namespaceName}}:{kind}:{{name}}");
    let Some(parsed) = Grn::parse(&expanded).filter(|parsed| parsed.service == SERVICE.grn) else {
        return Err(format!("it must have the form `{form}`"));
    };
    let parts: Vec<&str> = parsed.rest.split(':').collect();
    let [namespace, named, name] = parts[..] else { return Err(format!("it must have the form `{form}`")) };
    if named != kind || namespace.is_empty() || name.is_empty() {
        return Err(format!("it must have the form `{form}`"));
    }
    if (parsed.region, parsed.owner) != (project.region.as_str(), project.owner.as_str()) {
        let Project { region, owner } = project;
        return Err(format!("it must name something of this project, `grn:gs2:{region}:{owner}:key:…`"));
    }
    Ok((namespace.to_owned(), name.to_owned()))
}

/// The secret of the key with this GRN, or of the default key when none is given (BEHAVIOUR A-03).
///
/// Fails with 400 `{service}.{model}.keyId.error.invalid` for a GRN of another form, owner or region, and with 400
/// `…notFound` when there is no such key or no more (BEHAVIOUR K-04).
pub(crate) fn secret(
    tx: &mut Tx<'_>,
    cx: &Cx,
    asking: (&str, &str),
    key_id: Option<&str>,
) -> Result<KeySecret, Error> {
    let (bytes, place) = bytes(tx, &cx.core.vault, &cx.project, asking, key_id)?;
    Ok(KeySecret::new(&bytes, place))
}

/// The secret with which a key signs, in hexadecimal, for the operator only: who has it signs as the server does.
///
/// Fails as [`secret`] does.
pub(crate) fn export(
    tx: &mut Tx<'_>,
    vault: &Vault,
    project: &Project,
    key_id: Option<&str>,
) -> Result<String, Error> {
    let (bytes, _) = bytes(tx, vault, project, (SERVICE.name, "key"), key_id)?;
    Ok(data_encoding::HEXLOWER.encode(&bytes.0[..HALF_BYTES]))
}

fn bytes(
    tx: &mut Tx<'_>,
    vault: &Vault,
    project: &Project,
    (service, model): (&str, &str),
    key_id: Option<&str>,
) -> Result<(SecretBytes, [String; 3]), Error> {
    let refuse = |problem: &str, detail: String| {
        Error::from(ApiError::bad_request(service, model, "keyId", problem, detail))
    };
    let named = place(project, key_id.unwrap_or(DEFAULT_KEY), "key");
    let (namespace, name) = named.map_err(|wrong| refuse("invalid", format!("`keyId`: {wrong}")))?;
    let owner = project.owner.clone();
    match read(tx, vault, [&owner, &namespace, &name])? {
        Some(bytes) => Ok((bytes, [owner, namespace, name])),
        None => {
            let detail =
                format!("there is no key `{name}` in the Key namespace `{namespace}`; createKey makes one");
            Err(refuse("notFound", detail))
        }
    }
}

/// Bytes of the secret of a key, if there is one.
fn read(tx: &mut Tx<'_>, vault: &Vault, place: [&str; 3]) -> Result<Option<SecretBytes>, Error> {
    let [owner, namespace, name] = place;
    let row = tx.query_opt(sql::SELECT_SECRET, params![owner, namespace, name], |row| row.blob(0))?;
    let Some(sealed) = row else { return Ok(None) };
    let mut plain = vault.open(PURPOSE, &context(&place), &sealed)?;
    let bytes = <[u8; SECRET_BYTES]>::try_from(plain.as_slice());
    plain.fill(0);
    let bytes = bytes.map_err(|_| Error::Internal(format!("the secret of key {name} is damaged")))?;
    Ok(Some(SecretBytes(bytes)))
}

/// The secret of a key of this project, if there is one.
pub(super) fn find(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
    name: &str,
) -> Result<Option<KeySecret>, Error> {
    let bytes = read(tx, &cx.core.vault, [cx.owner(), namespace, name])?;
    let place = || [cx.owner().to_owned(), namespace.to_owned(), name.to_owned()];
    Ok(bytes.map(|bytes| KeySecret::new(&bytes, place())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8, name: &str) -> KeySecret {
        let place = ["owner", "ns", name].map(str::to_owned);
        KeySecret::new(&SecretBytes([byte; SECRET_BYTES]), place)
    }

    #[test]
    fn signatures_are_hmac_sha256() {
        // RFC 4231, test case 1, has a key of 20 bytes; HMAC fills it up with zeros.
        let mut bytes = [0; SECRET_BYTES];
        bytes[..20].fill(0x0b);
        let place = ["o", "n", "k"].map(str::to_owned);
        let signature = KeySecret::new(&SecretBytes(bytes), place).sign("Hi There");
        assert_eq!(signature, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn only_the_signature_of_the_text_counts() {
        let (one, other) = (key(1, "a"), key(2, "a"));
        let signature = one.sign("text");
        assert!(one.verify("text", &signature) && one.verify("text", &signature.to_uppercase()));
        assert!(!one.verify("text ", &signature) && !other.verify("text", &signature));
        for wrong in ["", "00", "signature", &signature[1..], &format!("{signature}00"), "あ"] {
            assert!(!one.verify("text", wrong), "{wrong}");
        }
    }

    #[test]
    fn what_is_encrypted_is_bound_to_key_purpose_and_name() {
        let sealed = key(1, "a").encrypt("data", "", b"plain").unwrap();
        assert_eq!(key(1, "a").decrypt("data", "", &sealed).unwrap(), b"plain");
        assert!(key(2, "a").decrypt("data", "", &sealed).is_none());
        assert!(key(1, "b").decrypt("data", "", &sealed).is_none());
        assert!(key(1, "a").decrypt("other", "", &sealed).is_none());
        assert!(key(1, "a").decrypt("data", "x", &sealed).is_none());
        let shown = format!("{:?}", key(1, "a"));
        assert!(!shown.contains("01") && !shown.contains("[1"), "{shown}");
    }

    #[test]
    fn grns() {
        let project = Project { region: "eu".to_owned(), owner: "me".to_owned() };
        let named = |grn: &str| place(&project, grn, "key");
        let both = ("ns".to_owned(), "k.1".to_owned());
        assert_eq!(named("grn:gs2:eu:me:key:ns:key:k.1"), Ok(both.clone()));
        assert_eq!(named("grn:gs2:{region}:{ownerId}:key:ns:key:k.1"), Ok(both.clone()));
        assert_eq!(place(&project, "grn:gs2:eu:me:key:ns:github:k.1", "github"), Ok(both));
        assert_eq!(named(DEFAULT_KEY).unwrap().0, "default");
        for wrong in [
            "",
            "k",
            "grn:gs2:eu:me:key:ns",
            "grn:gs2:eu:me:key:ns:github:k",
            "grn:gs2:eu:me:lock:ns:key:k",
            "grn:gs2:eu:me:key::key:k",
            "grn:gs2:eu:me:key:ns:key:",
            "grn:gs2:eu:me:key:ns:key:k:x",
        ] {
            assert!(named(wrong).unwrap_err().contains("form"), "{wrong}");
        }
        for foreign in
            ["grn:gs2:us:me:key:ns:key:k", "grn:gs2:eu:you:key:ns:key:k", "grn:gs2::me:key:ns:key:k"]
        {
            assert!(named(foreign).unwrap_err().contains("of this project"), "{foreign}");
        }
    }
}
