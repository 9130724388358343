//! What a script failed with.

use std::fmt;

use serde_json::Value;

/// The greatest length of a message in characters; what is longer is cut.
const MESSAGE_CHARS_MAX: usize = 65_536;

/// A script that failed, with the status and the text that its caller sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status, as of an HTTP answer.
    pub status: u16,
    /// What went wrong, or the errors as JSON array text where the script said so.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Failure {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
            message.truncate(end);
        }
        Failure { status, message }
    }

    /// The JSON array text that stands as the result of a failed run: `[{"component":"script","message":…}]`. A
    /// message that is such a text already is passed as it is.
    pub fn result(&self) -> String {
        if is_errors(&self.message) {
            return self.message.clone();
        }
        serde_json::json!([{ "component": "script", "message": self.message }]).to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status)
    }
}

impl std::error::Error for Failure {}

/// Whether `text` is a JSON array of one object or more that each have a text `message`.
fn is_errors(text: &str) -> bool {
    if !text.trim_start().starts_with('[') {
        return false;
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(errors)) => {
            !errors.is_empty()
                && errors.iter().all(|error| error.get("message").is_some_and(Value::is_string))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j62_result_is_an_array_text_and_an_array_text_is_kept() {
        let check = |message: &str, expected: &str| {
            assert_eq!(Failure::new(400, message).result(), expected);
        };
        check("no \"luck\"", r#"[{"component":"script","message":"no \"luck\""}]"#);
        check(r#"[{"component":"a","message":"b"}]"#, r#"[{"component":"a","message":"b"}]"#);
        check("[]", r#"[{"component":"script","message":"[]"}]"#);
        check("[1]", r#"[{"component":"script","message":"[1]"}]"#);
        check("[oops", r#"[{"component":"script","message":"[oops"}]"#);
    }

    #[test]
    fn j63_a_message_is_cut_at_its_greatest_length() {
        assert_eq!(Failure::new(400, "é".repeat(70_000)).message.chars().count(), 65_536);
    }
}
