//! What JSON texts from outside are checked for before they are parsed, and models that the server itself wrote.

use hiroba_api::contract::{At, Field, Service};
use serde_json::Value;

use crate::error::Error;

/// Reads a model of a service that the server itself wrote.
pub(crate) fn stored<F: Field>(service: &Service, model: &'static str, value: Value) -> Result<F, Error> {
    let at = At { service: service.name, model, member: model, range: None };
    let mut errors = Vec::new();
    let read = F::read(value, &at, &mut errors);
    read.ok_or_else(|| Error::Internal(format!("a stored {model} breaks its own limits: {errors:?}")))
}

/// An upper bound of the values in a JSON text: one more than its commas, brackets and braces outside of texts. Zero for a
/// text that is too short for more than `max`, which is not looked at.
///
/// A parsed value takes many times the bytes of its text, so that bytes alone bound no memory.
pub(crate) fn values_at_most(bytes: &[u8], max: usize) -> usize {
    if bytes.len() < max {
        return 0;
    }
    let mut values = 1;
    let mut in_text = false;
    let mut escaped = false;
    for byte in bytes {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b',' | b'[' | b'{') => values += 1,
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_texts() {
        let text = "a,[{\\\"".repeat(30_000);
        assert_eq!(values_at_most(format!("{{\"x\":\"{text}\"}}").as_bytes(), 100_000), 2);
        let list = format!("{{\"x\":[{}]}}", vec!["0"; 60_000].join(","));
        assert_eq!(values_at_most(list.as_bytes(), 100_000), 60_002);
        assert_eq!(values_at_most(b"[1,2,3]", 100_000), 0);
    }
}
