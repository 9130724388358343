//! The document as text. A JSON map sorts its members by name, which reads badly; the words of OpenAPI have an order
//! that people expect, and everything else stays sorted.

use std::fmt::Write;

use serde_json::Value;

/// Members that go first, in this order; all others follow, by name.
const FIRST: &[&str] = &[
    "openapi",
    "info",
    "servers",
    "security",
    "tags",
    "paths",
    "components",
    "title",
    "version",
    "$ref",
    "operationId",
    "summary",
    "name",
    "in",
    "type",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "default",
    "description",
    "x-gs2",
    "parameters",
    "requestBody",
    "responses",
    "required",
    "properties",
];

/// The value as indented JSON text with the members in reading order and a line break at the end.
pub fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, 0, true);
    text.push('\n');
    text
}

/// `words` says whether the members are words of OpenAPI; names of paths, models and fields stay sorted.
fn write_value(text: &mut String, value: &Value, depth: usize, words: bool) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            if words {
                // A stable sort keeps the others by name.
                members.sort_by_key(|(name, _)| rank(name));
            }
            text.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                separate(text, index, depth + 1);
                write_scalar(text, &Value::String(name.clone()));
                text.push_str(": ");
                let names = words && matches!(name.as_str(), "properties" | "schemas" | "paths");
                write_value(text, value, depth + 1, !names);
            }
            indent(text, depth);
            text.push('}');
        }
        Value::Array(elements)
            if elements.iter().any(|element| element.is_object() || element.is_array()) =>
        {
            text.push('[');
            for (index, element) in elements.iter().enumerate() {
                separate(text, index, depth + 1);
                write_value(text, element, depth + 1, words);
            }
            indent(text, depth);
            text.push(']');
        }
        scalar => write_scalar(text, scalar),
    }
}

fn rank(name: &str) -> usize {
    FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len())
}

fn separate(text: &mut String, index: usize, depth: usize) {
    if index > 0 {
        text.push(',');
    }
    indent(text, depth);
}

fn indent(text: &mut String, depth: usize) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
}

fn write_scalar(text: &mut String, value: &Value) {
    // Writing to a text cannot fail.
    let _ = write!(text, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_in_reading_order_and_names_sorted() {
        let value = json!({
            "paths": { "/type": { "get": { "responses": {}, "operationId": "a" } }, "/a": 1 },
            "openapi": "3.1.0",
            "list": ["b", 1],
            "properties": { "type": { "maximum": 2, "type": "integer" }, "name": true },
        });
        let expected = r#"{
  "openapi": "3.1.0",
  "paths": {
    "/a": 1,
    "/type": {
      "get": {
        "operationId": "a",
        "responses": {}
      }
    }
  },
  "properties": {
    "name": true,
    "type": {
      "type": "integer",
      "maximum": 2
    }
  },
  "list": ["b",1]
}
"#;
        assert_eq!(pretty(&value), expected);
        assert_eq!(serde_json::from_str::<Value>(&pretty(&value)).unwrap(), value);
    }
}
