//! Maps keyed by where a statement's text lies, so that finding a prepared statement does not read the text.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Prepared statements that a connection keeps at most. The server has some hundreds; past the limit all are
/// dropped, which is cheaper than keeping order on every use.
pub(crate) const STATEMENTS_MAX: usize = 2_048;

/// A map by address and length.
pub(crate) type AddressMap<V> = HashMap<(usize, usize), V, BuildHasherDefault<AddressHasher>>;

/// The key of a text. A `'static` text never moves or changes, so that its place names it. Two copies of one text
/// are two keys, which is harmless.
pub(crate) fn address(text: &'static str) -> (usize, usize) {
    (text.as_ptr().addr(), text.len())
}

/// Mixes an address and a length. They come from the program's own constants, so that nobody can choose them to
/// collide.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize((*byte).into());
        }
    }

    fn write_usize(&mut self, value: usize) {
        // The table takes its bucket from the low bits and its tag from the high ones; a folded product stirs both.
        let product = u128::from(self.0 ^ value as u64 ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}
