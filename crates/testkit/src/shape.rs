//! The shape that every refusal has (BEHAVIOUR E-01 … E-05), checked without the server's own types.

use serde_json::Value;

/// Statuses of the protocol beside 200 (BEHAVIOUR E-05).
const STATUSES: [u16; 9] = [400, 401, 402, 404, 409, 500, 502, 503, 504];

/// Error types of the protocol (BEHAVIOUR E-04, E-11).
const TYPES: [&str; 13] = [
    "require",
    "invalid",
    "tooLong",
    "tooShort",
    "tooMany",
    "tooFew",
    "exists",
    "duplicate",
    "notFound",
    "notInclude",
    "notMatch",
    "failed",
    "notAuthorized",
];

/// One item of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Model in question.
    pub component: String,
    /// `{service}.{model}.{member}.error.{type}`.
    pub message: String,
    /// Stable code.
    pub code: String,
}

/// The items of a refusal, or what is wrong with its shape.
pub fn refusals(status: u16, body: &[u8]) -> Result<Vec<Refusal>, String> {
    if !STATUSES.contains(&status) {
        return Err(format!("status {status} is none of the protocol"));
    }
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let message = body.get("message").and_then(Value::as_str);
    let message = message.ok_or_else(|| format!("no text `message` in {body}"))?;
    let items: Value =
        serde_json::from_str(message).map_err(|error| format!("`message` is no JSON text: {error}"))?;
    let items = items.as_array().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| format!("`message` is no list with items: {message}"))?;
    items.iter().map(refusal).collect()
}

fn refusal(item: &Value) -> Result<Refusal, String> {
    let text = |name: &str| {
        let text = item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| format!("no text `{name}` in {item}"))
    };
    let refusal = Refusal { component: text("component")?, message: text("message")?, code: text("code")? };
    let words: Vec<&str> = refusal.message.split('.').collect();
    match words.as_slice() {
        [_service, _model, _member, "error", kind] if TYPES.contains(kind) => Ok(refusal),
        _ => Err(format!("`{}` is no message of the protocol", refusal.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let good = r#"{"message":"[{\"component\":\"mutex\",\"message\":\"lock.mutex.mutex.error.notFound\",\"code\":\"c\"}]"}"#;
        assert_eq!(refusals(404, good.as_bytes()).unwrap()[0].component, "mutex");
        assert!(refusals(405, good.as_bytes()).is_err());
        for wrong in [
            "",
            "null",
            "{}",
            r#"{"message":[]}"#,
            r#"{"message":"[]"}"#,
            r#"{"message":"no"}"#,
            r#"{"message":"[{\"component\":\"mutex\",\"message\":\"lock.mutex.mutex.error.notFound\"}]"}"#,
            r#"{"message":"[{\"component\":\"mutex\",\"message\":\"lock.mutex.mutex.notFound\",\"code\":\"c\"}]"}"#,
        ] {
            assert!(refusals(400, wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
