//! The master key: what lets a copy of the database alone read no secret. It lives outside of the database and seals what
//! lies in it; `docs/security.md` says what that protects from.
//!
//! What is sealed names the key that sealed it, so that a key can be replaced: the first key of the file seals, the others
//! only open, and [`reseal`] brings everything under the first.
//!
//! Nonces are drawn from the system, not from the call's entropy: a transaction that runs twice may seal another value the
//! second time, and two values must never share a nonce.

pub(crate) mod reseal;
mod unlock;

use std::path::PathBuf;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;

pub(crate) use unlock::unlock;

use crate::entropy::random_bytes;
use crate::error::Error;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of the tag behind what is sealed.
const TAG_BYTES: usize = 16;
/// How a [`Vault`] seals; the first byte of everything that it sealed.
const VERSION: u8 = 1;
/// Bytes that name a key.
const ID_BYTES: usize = 4;
/// Bytes that are the same for everything that one key sealed.
const HEAD_BYTES: usize = 1 + ID_BYTES;
/// The least that something sealed has. No secret that lay in clear was as long: see [`Vault::is_sealed`].
const SEALED_BYTES_MIN: usize = HEAD_BYTES + NONCE_LEN + TAG_BYTES;
/// What a sealed text begins with.
const TEXT_PREFIX: &str = "hiroba:sealed:";

/// A key that seals: AES-256-GCM. With random nonces one key is good for 2³² values.
pub(crate) struct SealingKey(LessSafeKey);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealingKey")
    }
}

impl SealingKey {
    /// The key of these bytes.
    pub(crate) fn new(bytes: &[u8; KEY_BYTES]) -> SealingKey {
        // It fails for another length only.
        #[allow(clippy::expect_used, reason = "the length is that of the algorithm")]
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("a key of 32 bytes");
        SealingKey(LessSafeKey::new(key))
    }

    /// A key for another use of a secret that is one already.
    pub(crate) fn derived(secret: &[u8], label: &[u8]) -> SealingKey {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), label);
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(tag.as_ref());
        let key = SealingKey::new(&bytes);
        bytes.fill(0);
        key
    }

    /// Seals a value: nonce, ciphertext, tag. Only the same `aad` opens it.
    ///
    /// Fails with [`Error::Internal`] when the value is too long for the algorithm (64 GiB).
    pub(crate) fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_behind(&[], aad, plain)
    }

    /// As [`seal`](SealingKey::seal), behind bytes that are not sealed.
    fn seal_behind(&self, head: &[u8], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&random_bytes()[..NONCE_LEN]);
        let mut sealed = Vec::with_capacity(head.len() + NONCE_LEN + plain.len() + TAG_BYTES);
        sealed.extend_from_slice(head);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (nonce, body) = (Nonce::assume_unique_for_key(nonce), head.len() + NONCE_LEN);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut sealed[body..]);
        let tag = tag.map_err(|_| Error::Internal("a value is too long to be sealed".to_owned()))?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The value that was sealed with this `aad`.
    ///
    /// Fails with [`Error::Internal`] when it was sealed under another key or `aad`, or was changed.
    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let changed =
            || Error::Internal("a sealed value was changed, moved, or is of another key".to_owned());
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(changed)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::from(aad), &mut body).map_err(|_| changed())?.len();
        body.truncate(plain);
        Ok(body)
    }
}

/// One of the keys of the file.
#[derive(Debug)]
struct MasterKey {
    /// Names the key in what it seals, and in messages: says nothing of the key.
    id: [u8; ID_BYTES],
    key: SealingKey,
}

impl MasterKey {
    fn new(bytes: &[u8; KEY_BYTES]) -> MasterKey {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"hiroba master key id");
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&tag.as_ref()[..ID_BYTES]);
        MasterKey { id, key: SealingKey::new(bytes) }
    }
}

/// Where the master key came from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// `--master-key` or `HIROBA_MASTER_KEY`.
    Setting,
    /// A file.
    File(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Setting => formatter.write_str("the setting HIROBA_MASTER_KEY (--master-key)"),
            Source::File(path) => write!(formatter, "the file {}", path.display()),
        }
    }
}

/// Seals and opens under the master key.
#[derive(Debug)]
pub(crate) struct Vault {
    /// The current key, then those that only open. Their ids differ.
    keys: Vec<MasterKey>,
    source: Source,
}

impl Vault {
    /// The keys of a text: 64 hexadecimal digits each, in lines or with commas between; the first one seals.
    ///
    /// Fails with a sentence that names the place, and never what stands there.
    pub(crate) fn parse(text: &str, source: Source) -> anyhow::Result<Vault> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            for part in line.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                let mut bytes = decode(part).ok_or_else(|| {
                    let digits = part.chars().count();
                    anyhow::anyhow!(
                        "{source}, line {line_number}: a master key has 64 hexadecimal digits; \
                         what stands there has {digits} characters or is something else"
                    )
                })?;
                let key = MasterKey::new(&bytes);
                bytes.fill(0);
                if keys.iter().any(|other| other.id == key.id) {
                    anyhow::bail!("{source}, line {line_number}: the master key stands there twice");
                }
                keys.push(key);
            }
        }
        anyhow::ensure!(!keys.is_empty(), "{source} holds no master key: 64 hexadecimal digits");
        Ok(Vault { keys, source })
    }

    /// Seals a value under the current key. `purpose` says what kind of value it is, `context` where it lies (see
    /// [`context`]): only both together open it, so that it cannot be moved to another row.
    ///
    /// Fails with [`Error::Internal`] when the value is too long for the algorithm.
    pub(crate) fn seal(&self, purpose: &str, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let MasterKey { id, key } = &self.keys[0];
        let mut head = [VERSION; HEAD_BYTES];
        head[1..].copy_from_slice(id);
        let sealed = key.seal_behind(&head, &aad(&head, purpose, context), plain);
        sealed.map_err(|error| Error::internal(&format!("sealing a {purpose}"), error))
    }

    /// The value that [`seal`](Vault::seal) sealed, under whichever of the keys.
    ///
    /// Fails with [`Error::Internal`] when it is under a key that is not there, was changed, or lay elsewhere.
    pub(crate) fn open(&self, purpose: &str, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let fault = |problem: &str| Error::Internal(format!("opening a sealed {purpose}: {problem}"));
        if !Vault::is_sealed(sealed) {
            return Err(fault("it is not what this version seals"));
        }
        let (head, body) = sealed.split_at(HEAD_BYTES);
        let name = data_encoding::HEXLOWER.encode(&head[1..]);
        let Some(MasterKey { key, .. }) = self.keys.iter().find(|key| key.id == head[1..]) else {
            return Err(fault(&format!(
                "it is under master key {name}, which {} does not hold",
                self.source
            )));
        };
        key.open(&aad(head, purpose, context), body).map_err(|_| {
            fault(&format!("it was changed or moved since it was sealed under master key {name}"))
        })
    }

    /// Whether a value is under the current key.
    pub(crate) fn is_current(&self, sealed: &[u8]) -> bool {
        Vault::is_sealed(sealed) && sealed[1..HEAD_BYTES] == self.keys[0].id
    }

    /// Whether a value is sealed at all. What lay in clear before there was a master key were secrets of 20 and 32 bytes,
    /// shorter than anything sealed.
    pub(crate) fn is_sealed(value: &[u8]) -> bool {
        value.len() >= SEALED_BYTES_MIN && value[0] == VERSION
    }

    /// A value as it is kept now: opened when it is sealed, else in clear from before there was a master key.
    ///
    /// Fails as [`open`](Vault::open) does.
    pub(crate) fn open_or_clear(
        &self,
        purpose: &str,
        context: &[u8],
        value: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        if Vault::is_sealed(&value) { self.open(purpose, context, &value) } else { Ok(value) }
    }

    /// What to keep in place of a value that is in clear or under an older key; `None` when it may stay.
    ///
    /// Fails as [`open`](Vault::open) does.
    pub(crate) fn renewed(
        &self,
        purpose: &str,
        context: &[u8],
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        if self.is_current(value) {
            return Ok(None);
        }
        let mut plain = self.open_or_clear(purpose, context, value.to_vec())?;
        let sealed = self.seal(purpose, context, &plain);
        plain.fill(0);
        sealed.map(Some)
    }

    /// [`seal`](Vault::seal) for a column of text.
    pub(crate) fn seal_text(&self, purpose: &str, context: &[u8], plain: &str) -> Result<String, Error> {
        Ok(to_text(&self.seal(purpose, context, plain.as_bytes())?))
    }

    /// The text that [`seal_text`](Vault::seal_text) sealed; a text without its prefix is in clear from before there was a
    /// master key, and is answered as it is.
    ///
    /// Fails as [`open`](Vault::open) does.
    pub(crate) fn open_text(&self, purpose: &str, context: &[u8], text: &str) -> Result<String, Error> {
        let sealed =
            from_text(text).map_err(|error| Error::internal(&format!("opening a {purpose}"), error))?;
        let Some(sealed) = sealed else { return Ok(text.to_owned()) };
        let plain = self.open(purpose, context, &sealed)?;
        String::from_utf8(plain).map_err(|_| Error::Internal(format!("a sealed {purpose} is no text")))
    }

    /// Whether a text is sealed under the current key.
    pub(crate) fn is_current_text(&self, text: &str) -> bool {
        from_text(text).is_ok_and(|sealed| sealed.is_some_and(|sealed| self.is_current(&sealed)))
    }

    /// Name of the current key; says nothing of the key.
    fn current_id(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.keys[0].id)
    }

    /// Whether there are keys that only open.
    fn has_older_keys(&self) -> bool {
        self.keys.len() > 1
    }
}

/// Something sealed, for a column of text.
pub(crate) fn to_text(sealed: &[u8]) -> String {
    format!("{TEXT_PREFIX}{}", data_encoding::BASE64.encode(sealed))
}

/// What [`to_text`] made a text of; `None` for a text that is not sealed.
pub(crate) fn from_text(text: &str) -> Result<Option<Vec<u8>>, Error> {
    let Some(encoded) = text.strip_prefix(TEXT_PREFIX) else { return Ok(None) };
    let sealed = data_encoding::BASE64.decode(encoded.as_bytes());
    sealed.map(Some).map_err(|_| Error::Internal("a sealed text is damaged".to_owned()))
}

/// Where a value lies, made of the parts of its row's key: unambiguous whatever they hold.
pub(crate) fn context(parts: &[&str]) -> Vec<u8> {
    let mut context = Vec::new();
    parts.iter().for_each(|part| append(&mut context, part.as_bytes()));
    context
}

/// What a value is bound to beside its key.
fn aad(head: &[u8], purpose: &str, context: &[u8]) -> Vec<u8> {
    let mut aad = head.to_vec();
    append(&mut aad, purpose.as_bytes());
    append(&mut aad, context);
    aad
}

fn append(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
    bytes.extend_from_slice(part);
}

fn decode(digits: &str) -> Option<[u8; KEY_BYTES]> {
    let mut decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    let bytes = decoded.as_slice().try_into().ok();
    decoded.fill(0);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
    const SECOND: &str = "00000000000000000000000000000000000000000000000000000000000000bb";

    fn vault(text: &str) -> Vault {
        Vault::parse(text, Source::Setting).unwrap()
    }

    fn problem(result: Result<Vec<u8>, Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn what_is_sealed_opens_where_it_was_sealed_only() {
        let vault = vault(FIRST);
        let here = context(&["owner", "name"]);
        let sealed = vault.seal("secret", &here, b"plain").unwrap();
        assert_eq!(vault.open("secret", &here, &sealed).unwrap(), b"plain");
        assert_eq!(sealed.len(), SEALED_BYTES_MIN + 5);
        assert!(!sealed.windows(5).any(|window| window == b"plain"));
        assert_ne!(vault.seal("secret", &here, b"plain").unwrap(), sealed, "each has a nonce of its own");
        assert!(problem(vault.open("other", &here, &sealed)).contains("sealed other"));
        for elsewhere in
            [context(&["owner", "other"]), context(&["ownername"]), context(&["own", "ername"]), vec![]]
        {
            assert!(problem(vault.open("secret", &elsewhere, &sealed)).contains("changed or moved"));
        }
        // The border between purpose and context is bound too.
        assert!(vault.open("secre", &[b"t".as_slice(), &here].concat(), &sealed).is_err());
    }

    #[test]
    fn every_part_is_bound() {
        let vault = vault(FIRST);
        let sealed = vault.seal("secret", b"here", b"plain").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let problem = problem(vault.open("secret", b"here", &changed));
            assert!(!problem.contains("plain"), "{problem}");
            assert!(vault.open("secret", b"here", &sealed[..at]).is_err(), "{at} bytes");
        }
        assert!(vault.open("secret", b"here", &[sealed.as_slice(), b"x"].concat()).is_err());
    }

    #[test]
    fn an_older_key_opens_and_the_first_one_seals() {
        let (old, both, new) = (vault(FIRST), vault(&format!("{SECOND}\n{FIRST}\n")), vault(SECOND));
        let sealed = old.seal("secret", &[], b"plain").unwrap();
        assert!(old.is_current(&sealed) && !both.is_current(&sealed));
        assert_eq!(both.open("secret", &[], &sealed).unwrap(), b"plain");
        let problem = problem(new.open("secret", &[], &sealed));
        assert!(problem.contains(&old.current_id()) && problem.contains("HIROBA_MASTER_KEY"), "{problem}");
        let renewed = both.renewed("secret", &[], &sealed).unwrap().unwrap();
        assert_eq!(new.open("secret", &[], &renewed).unwrap(), b"plain");
        assert!(both.renewed("secret", &[], &renewed).unwrap().is_none());
        assert!(old.open("secret", &[], &renewed).is_err());
        // From before there was a master key.
        let renewed = new.renewed("secret", &[], b"clear").unwrap().unwrap();
        assert_eq!(new.open("secret", &[], &renewed).unwrap(), b"clear");
        assert_eq!(new.open_or_clear("secret", &[], vec![VERSION; 32]).unwrap(), [VERSION; 32]);
    }

    #[test]
    fn texts() {
        let vault = vault(FIRST);
        let sealed = vault.seal_text("secret", &[], "täxt").unwrap();
        assert!(sealed.starts_with(TEXT_PREFIX) && vault.is_current_text(&sealed));
        assert_eq!(vault.open_text("secret", &[], &sealed).unwrap(), "täxt");
        assert!(!vault.is_current_text("clear"));
        assert_eq!(vault.open_text("secret", &[], "clear").unwrap(), "clear");
        assert!(vault.open_text("secret", &[], &format!("{sealed}!")).is_err());
    }

    #[test]
    fn files() {
        let upper = SECOND.to_uppercase();
        for text in [
            FIRST.to_owned(),
            format!("{FIRST}\n{SECOND}\n"),
            format!("\r\n  {FIRST} \r\n\r\n{upper}\r\n"),
            format!("{FIRST},{SECOND}"),
            format!(" {FIRST} , {SECOND},\n"),
        ] {
            assert_eq!(vault(&text).current_id(), vault(FIRST).current_id(), "{text:?}");
        }
        let source = Source::File("/x/master.key".into());
        let secret = &FIRST[..60];
        for (text, sentence) in [
            (String::new(), "holds no master key"),
            ("\n,\n".to_owned(), "holds no master key"),
            (secret.to_owned(), "line 1"),
            (format!("{FIRST}\n{secret}wxyz"), "line 2"),
            (format!("{FIRST}0"), "65 characters"),
            (format!("{FIRST}00"), "line 1"),
            (format!("{SECOND}\n\n{FIRST} {FIRST}"), "line 3"),
            (format!("{SECOND}\n{FIRST}\n{SECOND}"), "line 3: the master key stands there twice"),
            ("ß".repeat(64), "line 1"),
        ] {
            let problem = Vault::parse(&text, source.clone()).unwrap_err().to_string();
            assert!(problem.contains(sentence) && problem.contains("/x/master.key"), "{text:?}: {problem}");
            assert!(!problem.contains("00000") && !problem.contains('ß'), "{problem}");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        let vault = vault(FIRST);
        let shown = format!("{vault:?}{:?}", SealingKey::new(&[0xaa; KEY_BYTES]));
        assert!(!shown.contains("aa, ") && !shown.contains("170") && !shown.contains("00aa"), "{shown}");
    }

    #[test]
    fn a_key_of_its_own() {
        let (key, other) = (SealingKey::new(&[7; KEY_BYTES]), SealingKey::new(&[8; KEY_BYTES]));
        let sealed = key.seal(b"aad", b"").unwrap();
        assert_eq!(sealed.len(), NONCE_LEN + TAG_BYTES);
        assert_eq!(key.open(b"aad", &sealed).unwrap(), b"");
        assert!(key.open(b"", &sealed).is_err() && other.open(b"aad", &sealed).is_err());
        assert!(key.open(b"aad", &[]).is_err());
        let derived = SealingKey::derived(b"secret", b"label");
        let sealed = derived.seal(&[], b"x").unwrap();
        assert_eq!(SealingKey::derived(b"secret", b"label").open(&[], &sealed).unwrap(), b"x");
        assert!(SealingKey::derived(b"secret", b"other").open(&[], &sealed).is_err());
    }

    proptest! {
        #[test]
        fn anything_goes_round(purpose in ".{0,20}", at in ".{0,20}", plain: Vec<u8>, other in ".{0,20}") {
            let vault = vault(FIRST);
            let sealed = vault.seal(&purpose, at.as_bytes(), &plain).unwrap();
            prop_assert!(Vault::is_sealed(&sealed));
            prop_assert_eq!(vault.open(&purpose, at.as_bytes(), &sealed).unwrap(), plain);
            prop_assert_eq!(vault.open(&purpose, other.as_bytes(), &sealed).is_ok(), other == at);
        }

        #[test]
        fn any_text_is_a_key_or_refused(text in "[0-9a-fxX, \\n]{0,200}") {
            if let Err(error) = Vault::parse(&text, Source::Setting) {
                let error = error.to_string();
                prop_assert!(error.contains("HIROBA_MASTER_KEY") && !error.contains('\n'), "{}", error);
            }
        }
    }
}
