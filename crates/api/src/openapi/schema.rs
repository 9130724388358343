//! JSON Schemas of fields, models and answers.

use serde_json::{Map, Value, json};

use crate::contract::{FieldInfo, Kind, Row};

/// Name of a model's schema. Services have models of the same name, such as `Namespace`.
pub(super) fn schema_name(service: &str, model: &str) -> String {
    format!("{service}.{model}")
}

/// A schema with its documentation.
pub(super) fn described(mut schema: Value, doc: &str) -> Value {
    if !doc.is_empty() {
        schema["description"] = doc.replace('\n', " ").into();
    }
    schema
}

/// The schema of a value of this kind within `range`.
fn kind_schema(service: &str, kind: &Kind, range: Option<(i64, i64)>) -> Value {
    let mut schema = match kind {
        Kind::String => json!({ "type": "string" }),
        Kind::Int => json!({ "type": "integer", "format": "int32" }),
        Kind::Long => json!({ "type": "integer", "format": "int64" }),
        Kind::Double => json!({ "type": "number", "format": "double" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Any => json!({}),
        Kind::List(element) => {
            json!({ "type": "array", "items": kind_schema(service, &element.kind, element.range) })
        }
        Kind::Model { name, .. } => {
            return json!({ "$ref": format!("#/components/schemas/{}", schema_name(service, name)) });
        }
    };
    let Some((min, max)) = range else { return schema };
    let (min_word, max_word) = match kind {
        Kind::String => ("minLength", "maxLength"),
        Kind::List(_) => ("minItems", "maxItems"),
        _ => ("minimum", "maximum"),
    };
    // Lengths begin at 0 anyway, and the last 64-bit number is said by the format: many readers would round it.
    if min != 0 || min_word == "minimum" {
        schema[min_word] = min.into();
    }
    if max != i64::MAX {
        schema[max_word] = max.into();
    }
    schema
}

/// The schema of a field that cannot be `null`, such as a path parameter; a default is said.
pub(super) fn required_schema(service: &str, info: &FieldInfo) -> Value {
    let mut schema = kind_schema(service, &info.shape.kind, info.shape.range);
    if let Some(default) = &info.shape.default {
        schema["default"] = match info.shape.kind {
            Kind::String => default.as_str().into(),
            // Declared defaults of other kinds have a JSON form.
            _ => serde_json::from_str(default).unwrap_or(Value::Null),
        };
    }
    schema
}

/// The schema of a field; `null` stands for an absent one.
fn field_schema(service: &str, info: &FieldInfo) -> Value {
    let mut schema = required_schema(service, info);
    if info.shape.optional {
        schema = match schema.get("type").cloned() {
            Some(kind) => {
                schema["type"] = json!([kind, "null"]);
                schema
            }
            None if schema.get("$ref").is_some() => json!({ "anyOf": [schema, { "type": "null" }] }),
            None => schema,
        };
    }
    described(schema, info.doc)
}

/// The schema of an object with these fields.
pub(super) fn object_schema(service: &str, doc: &str, fields: &[FieldInfo]) -> Value {
    let required: Vec<&str> =
        fields.iter().filter(|info| !info.shape.optional).map(|info| info.name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|info| (info.name.to_owned(), field_schema(service, info))).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    described(schema, doc)
}

/// The answer's object when the declaration gives it a name of its own. The general shapes around a model (`Item`,
/// `Page`, `Empty`) have no documentation, since each use means another thing.
pub(super) fn named_answer(row: &Row) -> Option<(String, &'static str, Vec<FieldInfo>)> {
    match (row.declaration.answer)().kind {
        Kind::Model { name, doc, fields } if !doc.is_empty() => Some((name, doc, fields)),
        _ => None,
    }
}

/// The schema of the whole answer.
pub(super) fn answer_schema(row: &Row) -> Value {
    let service = row.declaration.service.name;
    match (row.declaration.answer)().kind {
        Kind::Model { fields, doc: "", .. } => object_schema(service, "", &fields),
        kind => kind_schema(service, &kind, None),
    }
}
