//! Randomness of a call: drawn once from the system, then derived, so that a transaction that runs twice draws the same.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;

/// The randomness of one call.
#[derive(Debug, Default)]
pub(crate) struct Entropy {
    seed: OnceLock<hmac::Key>,
    draws: AtomicU64,
}

impl Entropy {
    /// Starts the sequence of draws over; called before each attempt of a transaction.
    pub(crate) fn restart(&self) {
        self.draws.store(0, Ordering::Relaxed);
    }

    /// The next 32 bytes; nobody can guess them.
    pub(crate) fn bytes(&self) -> [u8; 32] {
        let key = self.seed.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, &random_bytes()));
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        let tag = hmac::sign(key, &draw.to_be_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// A text of 32 letters and digits: 160 bits.
    pub(crate) fn text(&self) -> String {
        let bytes = self.bytes();
        data_encoding::BASE32_NOPAD.encode(&bytes[..20]).to_ascii_lowercase()
    }
}

/// 32 bytes from the system's generator.
pub(crate) fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    // The system's generator fails only where the kernel has none; there is no safe way on.
    #[allow(clippy::expect_used, reason = "a server without randomness must not issue tokens")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has a random generator");
    bytes
}

/// A request id in the form of a UUID, version 4 (BEHAVIOUR LG-05).
pub(crate) fn request_id() -> String {
    use std::cell::Cell;
    // Request ids need to be unique, not secret: one system draw a thread, then a counter mixed in.
    thread_local! {
        static STATE: Cell<(u64, u64)> = Cell::new(seed());
    }
    fn seed() -> (u64, u64) {
        let bytes = random_bytes();
        let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|index| bytes[at + index]));
        (word(0), word(8))
    }
    let (base, counter) = STATE.get();
    STATE.set((base, counter.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    let high = splitmix(base ^ counter);
    let low = splitmix(base.wrapping_add(counter));
    uuid_text(high, low)
}

/// A UUID, version 4, of random bytes.
pub(crate) fn uuid(bytes: [u8; 32]) -> String {
    let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|index| bytes[at + index]));
    uuid_text(word(0), word(8))
}

/// The text of a UUID, version 4, whose other 122 bits are those of the two halves.
pub(crate) fn uuid_text(high: u64, low: u64) -> String {
    let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    hyphenated(bytes)
}

/// The bytes of a UUID as its text.
pub(crate) fn hyphenated(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// The finaliser of SplitMix64: mixes the bits of a word, and can be taken back.
pub(crate) fn splitmix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_repeats_its_draws() {
        let entropy = Entropy::default();
        let first = (entropy.bytes(), entropy.text());
        entropy.restart();
        assert_eq!((entropy.bytes(), entropy.text()), first);
        assert_ne!(entropy.bytes(), first.0);
        assert_ne!(Entropy::default().bytes(), first.0);
    }

    #[test]
    fn request_ids_are_uuids_and_differ() {
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| request_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(id.len(), 36);
            assert_eq!(id.as_bytes()[14], b'4');
            assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        }
    }
}
