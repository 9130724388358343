//! Repeatable random numbers: a failed test prints the seed that repeats it.

use std::hash::{BuildHasher, RandomState};

/// Names the variable that repeats a run.
pub const SEED: &str = "HIROBA_TEST_SEED";

/// A generator of repeatable numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From the variable `HIROBA_TEST_SEED`, or a new seed. Prints it: the test runner shows it when the test fails.
    pub fn new() -> Random {
        let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("{SEED}={seed}");
        Random(seed)
    }

    /// A generator with a sequence of its own that the seed of this one determines, for a task of the test.
    pub fn fork(&mut self) -> Random {
        Random(self.word())
    }

    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.word() % end
    }

    /// An index of a list of this length.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// That many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.word() as u8).collect()
    }
}

impl Default for Random {
    fn default() -> Self {
        Random::new()
    }
}
