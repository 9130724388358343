//! Names of messages: UUIDs of version 7, whose first 48 bits are the time of creation. That time is unique in the room, so a
//! message is found by its name without an index of names.

use crate::entropy::hyphenated;

/// The bits of a name behind the time.
pub(super) type Tag = [u8; 10];

/// The bits behind the time of a new name.
pub(super) fn tag(random: [u8; 32]) -> Tag {
    let mut tag: Tag = std::array::from_fn(|index| random[index]);
    tag[0] = 0x70 | (tag[0] & 0x0f);
    tag[2] = 0x80 | (tag[2] & 0x3f);
    tag
}

/// The name of a message.
pub(super) fn name(created_at: i64, tag: &Tag) -> String {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&created_at.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(tag);
    hyphenated(bytes)
}

/// Time of creation and the bits behind it of a message's name; `None` for a text that is no name of a message.
pub(super) fn parse(text: &str) -> Option<(i64, Tag)> {
    let digits: String = text.split('-').collect();
    let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
    let (time, tag) = bytes.split_at_checked(6)?;
    let created_at = time.iter().fold(0, |time, byte| time << 8 | i64::from(*byte));
    let tag = tag.try_into().ok()?;
    (name(created_at, &tag) == text).then_some((created_at, tag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_a_uuid_that_holds_its_time(time in 0..32_503_680_000_000_i64, random: [u8; 32]) {
            let tag = tag(random);
            let name = name(time, &tag);
            prop_assert_eq!(name.len(), 36);
            prop_assert_eq!(name.as_bytes()[14], b'7');
            prop_assert!(matches!(name.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
            prop_assert_eq!(parse(&name), Some((time, tag)));
            prop_assert_eq!(parse(&name.to_uppercase()), None);
        }

        #[test]
        fn other_texts_are_no_names(text: String) {
            prop_assert_eq!(parse(&text), None);
        }
    }
}
