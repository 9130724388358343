//! Path and query of a REST call, from the declaration's path and the flat object.
//!
//! Two traps are avoided by encoding more than necessary, since servers of the protocol look at a path before they
//! decode it: a value that is a word of the paths themselves (a player called `me`, a property called `null`), and a
//! value with `.` or `..` between slashes, which URL libraries would resolve like a folder.

use std::collections::HashSet;
use std::sync::LazyLock;

use hiroba_api::contract::Fields;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::error::ClientError;

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Words that stand in paths themselves, and `null`, which stands for a missing value.
static WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let table = hiroba_api::table();
    let segments = table.rows().iter().flat_map(|row| row.path.split('/'));
    let words = segments.filter(|segment| !segment.is_empty() && !segment.starts_with('{'));
    words.chain(["null"]).map(str::to_owned).collect()
});

/// Fills the parameters of a declared path and takes their fields out of `fields`.
pub(crate) fn fill(template: &str, fields: &mut Fields) -> Result<String, ClientError> {
    let mut path = String::with_capacity(template.len() + 64);
    for segment in template.split('/').skip(1) {
        path.push('/');
        let Some(name) = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) else {
            path.push_str(segment);
            continue;
        };
        let (name, keeps_slashes) = name.strip_prefix('*').map_or((name, false), |name| (name, true));
        let value = fields.remove(name).and_then(|value| scalar(&value)).unwrap_or_default();
        path.push_str(&encode(name, &value, keeps_slashes)?);
    }
    Ok(path)
}

/// The fields as a query string with its `?`; nothing when there are none.
pub(crate) fn query(fields: &Fields) -> Result<String, ClientError> {
    let mut query = String::new();
    for (name, value) in fields {
        let unsendable = |reason| ClientError::Unsendable { field: name.clone(), reason };
        let Some(text) = scalar(value) else {
            return Err(unsendable("a query string holds no lists and objects"));
        };
        if text == "null" {
            return Err(unsendable("in a query string `null` means that there is no value; use the socket"));
        }
        query.push(if query.is_empty() { '?' } else { '&' });
        query.extend(utf8_percent_encode(name, ENCODED));
        query.push('=');
        query.extend(utf8_percent_encode(&text, ENCODED));
    }
    Ok(query)
}

/// The text of a value in a URL.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn encode(name: &str, value: &str, keeps_slashes: bool) -> Result<String, ClientError> {
    let unsendable = |reason| ClientError::Unsendable { field: name.to_owned(), reason };
    if value.is_empty() {
        return Err(unsendable("a path parameter must not be empty"));
    }
    if is_dots(value) {
        return Err(unsendable("`.` and `..` mean folders in a URL; use the socket"));
    }
    if WORDS.contains(value) {
        // Its first letter in hexadecimal: the same value, but not the same word.
        let mut rest = value.chars();
        let first = rest.next().map(|letter| format!("%{:02X}", u32::from(letter))).unwrap_or_default();
        return Ok(first + rest.as_str());
    }
    if !keeps_slashes || value.split('/').any(is_dots) {
        return Ok(utf8_percent_encode(value, ENCODED).to_string());
    }
    let segments = value.split('/').map(|segment| utf8_percent_encode(segment, ENCODED).to_string());
    Ok(segments.collect::<Vec<String>>().join("/"))
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: &Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    fn check(value: &str, expected: Option<&str>) {
        let mut fields = fields(&json!({ "userId": "u", "propertyId": value, "ttl": 1 }));
        let filled = fill("/user/{userId}/mutex/{*propertyId}/lock", &mut fields);
        let expected = expected.map(|property| format!("/user/u/mutex/{property}/lock"));
        assert_eq!(filled.ok(), expected, "{value:?}");
        if expected.is_some() {
            assert_eq!(fields.keys().collect::<Vec<_>>(), ["ttl"]);
        }
    }

    #[test]
    fn parameters_are_encoded() {
        check("a-b_c.d~e", Some("a-b_c.d~e"));
        check("a b?c#d%20e+f", Some("a%20b%3Fc%23d%2520e%2Bf"));
        check("あ\\\n", Some("%E3%81%82%5C%0A"));
        check("a/b//c", Some("a/b//c"));
        check("/a/", Some("/a/"));
        check("a/../b", Some("a%2F..%2Fb"));
        check("a/./b", Some("a%2F.%2Fb"));
        check("a/%2e%2e/b", Some("a/%252e%252e/b"));
        check("...", Some("..."));
        check("null", Some("%6Eull"));
        check("lock", Some("%6Cock"));
        check("a/lock", Some("a/lock"));
        for unsendable in ["", ".", ".."] {
            check(unsendable, None);
        }
    }

    #[test]
    fn a_player_is_never_the_word_me() {
        let mut fields = fields(&json!({ "userId": "me", "propertyId": "p" }));
        assert_eq!(fill("/{userId}/{*propertyId}", &mut fields).unwrap(), "/%6De/p");
    }

    #[test]
    fn slashes_of_other_parameters_are_encoded() {
        let mut fields = fields(&json!({ "userId": "a/b" }));
        assert_eq!(fill("/user/{userId}", &mut fields).unwrap(), "/user/a%2Fb");
    }

    #[test]
    fn queries() {
        let text = query(&fields(&json!({ "a": "x y&z", "b": 3, "c": true }))).unwrap();
        assert_eq!(text, "?a=x%20y%26z&b=3&c=true");
        assert_eq!(query(&Fields::new()).unwrap(), "");
        assert!(query(&fields(&json!({ "a": "null" }))).is_err());
        assert!(query(&fields(&json!({ "a": [1] }))).is_err());
    }
}
