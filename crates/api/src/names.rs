//! Names and other texts with limits. A limit is written once, in its type (BEHAVIOUR N-01, N-02).

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::contract::{At, Field, Kind, Shape};
use crate::error::ErrorItem;

/// Declares a text type: `Name: min..=max, check`. With `secret` before the name the text stays out of logs.
macro_rules! text_type {
    ($(#[$doc:meta])* secret $name:ident, $min:literal..=$max:literal, $check:expr) => {
        $crate::names::text_type!(@type true, $(#[$doc])* $name, $min..=$max, $check);

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Whoever reads it in a log could use it.
                formatter.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $min:literal..=$max:literal, $check:expr) => {
        $crate::names::text_type!(@type false, $(#[$doc])* #[derive(Debug)] $name, $min..=$max, $check);

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
    (@type $secret:literal, $(#[$attribute:meta])* $name:ident, $min:literal..=$max:literal, $check:expr) => {
        $(#[$attribute])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Smallest length in characters.
            pub const MIN: i64 = $min;
            /// Largest length in characters.
            pub const MAX: i64 = $max;

            /// Takes a text that keeps the limits; fails with a sentence that names the one it breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, String> {
                let at = $crate::contract::At { service: "", model: "", member: stringify!($name), range: None };
                let mut errors = Vec::new();
                let read = <Self as $crate::contract::Field>::read(serde_json::Value::String(text.into()), &at, &mut errors);
                read.ok_or_else(|| errors.pop().map(|error| error.detail).unwrap_or_default())
            }

            /// Takes a text that is known to keep the limits, such as one from the store.
            pub fn trusted(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $crate::contract::Field for $name {
            fn shape() -> $crate::contract::Shape {
                use $crate::contract::{Kind, Shape};
                Shape { range: Some(($min, $max)), secret: $secret, ..Shape::of(Kind::String) }
            }

            fn read(
                value: serde_json::Value,
                at: &$crate::contract::At<'_>,
                errors: &mut Vec<$crate::error::ErrorItem>,
            ) -> Option<Self> {
                let at = $crate::contract::At { range: at.range.or(Some(($min, $max))), ..*at };
                let text = <String as $crate::contract::Field>::read(value, &at, errors)?;
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(&text) {
                    Ok(()) => Some(Self(text)),
                    Err(expected) => {
                        errors.push(at.error("invalid", format!("`{}` {expected}", at.member)));
                        None
                    }
                }
            }
        }
    };
}

pub(crate) use text_type;

fn anything(_text: &str) -> Result<(), &'static str> {
    Ok(())
}

/// The characters of names (BEHAVIOUR N-01).
pub(crate) fn name_characters(text: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.bytes().all(allowed) { Ok(()) } else { Err("may hold only letters, digits, `-`, `_` and `.`") }
}

text_type! {
    /// Name of a namespace: letters, digits, `-`, `_`, `.`, at most 128 (BEHAVIOUR N-01).
    NamespaceName, 1..=128, name_characters
}
text_type! {
    /// Name of an entity such as an Identifier user or a policy; same rule as namespaces (BEHAVIOUR N-01).
    EntityName, 1..=128, name_characters
}
text_type! {
    /// Id of a player, at most 128 characters (BEHAVIOUR N-02).
    UserId, 1..=128, anything
}
text_type! {
    /// Description, at most 1,024 characters (BEHAVIOUR N-02).
    Description, 0..=1024, anything
}
text_type! {
    /// Resource name (GRN) in a setting, at most 1,024 characters (BEHAVIOUR N-02).
    GrnText, 1..=1024, anything
}
text_type! {
    /// Client id of a credential, at most 256 characters.
    ClientId, 1..=256, anything
}
text_type! {
    /// Beginning of the names to list, at most 64 characters (BEHAVIOUR N-08).
    NamePrefix, 0..=64, anything
}
text_type! {
    /// Where a page starts, as an earlier page said; at most 1,024 characters (BEHAVIOUR N-07).
    PageToken, 0..=1024, anything
}

impl PageToken {
    /// The token that resumes a list behind the row with this key.
    ///
    /// The key itself is the token, since the longest keys fill all of the 1,024 characters; only a key that a query
    /// string would take for an absent value is marked.
    pub fn after(key: &str) -> PageToken {
        let looks_absent = key.trim_start_matches('~') == "null";
        PageToken(if looks_absent { format!("~{key}") } else { key.to_owned() })
    }

    /// The key behind which the page starts.
    pub fn key(&self) -> &str {
        match self.0.strip_prefix('~') {
            Some(rest) if rest.trim_start_matches('~') == "null" => rest,
            _ => &self.0,
        }
    }
}

/// Number of elements on a page: 1 to 1,000, 30 when absent (BEHAVIOUR N-07).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit(i32);

impl PageLimit {
    /// The number of elements.
    pub fn get(self) -> usize {
        // Read as 1 to 1,000.
        self.0 as usize
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        PageLimit(30)
    }
}

impl TryFrom<i32> for PageLimit {
    type Error = &'static str;

    fn try_from(limit: i32) -> Result<PageLimit, &'static str> {
        if (1..=1000).contains(&limit) { Ok(PageLimit(limit)) } else { Err("a page has 1 to 1,000 elements") }
    }
}

impl Serialize for PageLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(self.0)
    }
}

impl Field for PageLimit {
    fn shape() -> Shape {
        let default = Some("30".to_owned());
        Shape { optional: true, range: Some((1, 1000)), default, ..Shape::of(Kind::Int) }
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let at = At { range: Some((1, 1000)), ..*at };
        i32::read(value, &at, errors).map(PageLimit)
    }

    fn absent() -> Option<Self> {
        Some(PageLimit::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Field>(text: &str, problem: Option<&str>) {
        let at = At { service: "lock", model: "namespace", member: "name", range: None };
        let mut errors = Vec::new();
        let read = T::read(Value::String(text.to_owned()), &at, &mut errors);
        let found =
            errors.first().map(|error| error.message.rsplit('.').next().unwrap_or_default().to_owned());
        assert_eq!(found.as_deref(), problem, "{text:?}");
        assert_eq!(read.is_some(), problem.is_none());
    }

    #[test]
    fn limits_count_characters() {
        check::<NamespaceName>(&"a".repeat(128), None);
        check::<NamespaceName>(&"a".repeat(129), Some("tooLong"));
        check::<NamespaceName>("", Some("require"));
        check::<NamespaceName>("a b", Some("invalid"));
        check::<NamespaceName>("あ", Some("invalid"));
        check::<UserId>(&"𠮷".repeat(128), None);
        check::<UserId>(&"𠮷".repeat(129), Some("tooLong"));
        check::<UserId>("a\0b", Some("invalid"));
        check::<Description>("", None);
        check::<Description>(&"あ".repeat(1024), None);
        check::<Description>(&"あ".repeat(1025), Some("tooLong"));
    }

    #[test]
    fn a_page_token_keeps_every_key() {
        let longest = "𠮷".repeat(1024);
        for key in ["a", "null", "~null", "~~null", "~", "nullx", longest.as_str()] {
            let token = PageToken::after(key);
            assert_eq!(token.key(), key);
            assert!(token.as_str() != "null" && token.chars().count() <= 1024);
        }
    }
}
