//! Names of jobs: UUIDs, version 4 (BEHAVIOUR J-04), that hold the job's place in the queue among random bits. A job is
//! found by its name without an index that every push and every run would have to keep.

use crate::entropy::{splitmix, uuid_text};

/// Bits of a UUID before its variant that are free.
const SEQUENCE_BITS: u32 = 60;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;
/// Bits of a UUID behind its variant.
const RANDOM_MASK: u64 = (1 << 62) - 1;

/// The name of the job at this place. `random` tells it from names that somebody made up.
pub(super) fn name(sequence: i64, random: [u8; 8]) -> String {
    let random = u64::from_be_bytes(random) & RANDOM_MASK;
    // Mixed, so that names say nothing about how many jobs there are.
    let place = (sequence.cast_unsigned() ^ splitmix(random)) & SEQUENCE_MASK;
    uuid_text((place >> 12) << 16 | (place & 0xfff), random)
}

/// The place of the job of this name, if it is a name that [`name`] can have made. Whether there is such a job, and whether
/// this is its name, only the store knows.
pub(super) fn sequence(name: &str) -> Option<i64> {
    let dashes = |(index, byte): (usize, u8)| (byte == b'-') == matches!(index, 8 | 13 | 18 | 23);
    if name.len() != 36 || !name.bytes().enumerate().all(dashes) {
        return None;
    }
    let digits: String = name.chars().filter(|letter| *letter != '-').collect();
    let bits = u128::from_str_radix(&digits, 16).ok()?;
    let [high, low] = [bits >> 64, bits & u128::from(u64::MAX)].map(|half| half as u64);
    let place = (high >> 16) << 12 | (high & 0xfff);
    i64::try_from((place ^ splitmix(low & RANDOM_MASK)) & SEQUENCE_MASK).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_is_a_uuid_and_holds_the_place(place in 0..1_i64 << SEQUENCE_BITS, random: [u8; 8]) {
            let name = name(place, random);
            prop_assert_eq!(sequence(&name), Some(place));
            prop_assert_eq!(name.len(), 36);
            prop_assert_eq!(name.as_bytes()[14], b'4');
            prop_assert!(matches!(name.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        }

        #[test]
        fn other_texts_are_harmless(text in ".{0,40}") {
            sequence(&text);
        }
    }

    #[test]
    fn places_cannot_be_read_off() {
        let names = [1, 2, 3].map(|place| name(place, [place as u8; 8]));
        assert!(names.iter().all(|name| !name.starts_with("0000")), "{names:?}");
        assert_eq!(sequence("job-0001"), None);
    }
}
