//! The committed documents against what the table says, and the OpenAPI document against the rules of its format.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its helpers")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hiroba_api::reference::documents;
use serde_json::Value;

#[test]
fn the_committed_documents_are_current() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/api");
    let documents = documents(&hiroba_api::table());
    for document in &documents {
        let committed = std::fs::read_to_string(folder.join(&document.name)).unwrap_or_default();
        assert!(
            committed == document.text,
            "docs/api/{} is not what the table says; `cargo xtask docs` rewrites it",
            document.name
        );
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            documents.iter().any(|document| name == *document.name),
            "docs/api/{} belongs to nothing in the table; `cargo xtask docs` removes it",
            name.display()
        );
    }
}

#[test]
fn equal_tables_make_equal_documents() {
    assert_eq!(documents(&hiroba_api::table()), documents(&hiroba_api::table()));
}

/// The document as tools read it: from its text.
fn openapi() -> Value {
    let documents = documents(&hiroba_api::table());
    let document = documents.iter().find(|document| document.name == "openapi.json").unwrap();
    serde_json::from_str(&document.text).unwrap()
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    })
}

/// The thing that a reference leads to.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("references stay in the document");
            document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

#[test]
fn every_reference_resolves_and_every_component_is_used() {
    fn collect<'d>(value: &'d Value, references: &mut BTreeSet<&'d str>) {
        match value {
            Value::Object(members) => {
                references.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| collect(member, references));
            }
            Value::Array(elements) => elements.iter().for_each(|element| collect(element, references)),
            _ => {}
        }
    }
    let document = openapi();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in &references {
        let pointer = reference.strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for section in ["schemas", "parameters", "responses", "headers"] {
        for name in document["components"][section].as_object().unwrap().keys() {
            let reference = format!("#/components/{section}/{name}");
            assert!(references.contains(reference.as_str()), "nothing uses {reference}");
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            assert!(name.bytes().all(allowed), "{name} is no name of a component");
        }
    }
}

#[test]
fn every_operation_is_there_once() {
    let document = openapi();
    let mut ids: BTreeMap<&str, String> = BTreeMap::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        let twin = ids.insert(id, format!("{method} {path}"));
        assert_eq!(twin, None, "{id}");
    }
    let table = hiroba_api::table();
    for row in table.rows() {
        let id = format!("{}.{}", row.declaration.service.name, row.name);
        assert!(ids.remove(id.as_str()).is_some(), "{id} is missing");
    }
    assert!(ids.is_empty(), "{ids:?}");
}

#[test]
fn path_parameters_are_those_of_the_path() {
    let document = openapi();
    for (path, method, operation) in operations(&document) {
        let mut expected: Vec<&str> = path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')))
            .collect();
        let mut seen = BTreeSet::new();
        let mut declared = Vec::new();
        for parameter in operation["parameters"].as_array().unwrap() {
            let parameter = resolve(&document, parameter);
            let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
            assert!(seen.insert((name, place)), "{method} {path}: {name} is there twice");
            assert!(parameter["schema"].is_object(), "{method} {path}: {name} has no schema");
            if place == "path" {
                assert_eq!(parameter["required"], true, "{method} {path}: {name}");
                declared.push(name);
            }
        }
        expected.sort_unstable();
        declared.sort_unstable();
        assert_eq!(declared, expected, "{method} {path}");
        assert!(!path.contains('*'), "{path} is no path of OpenAPI");
    }
}

#[test]
fn operations_have_what_the_format_asks_for() {
    let document = openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let tags: Vec<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        for tag in operation["tags"].as_array().unwrap() {
            assert!(tags.contains(&tag.as_str().unwrap()), "{at}: {tag}");
        }
        for status in ["200", "400", "401", "404", "409", "500", "503"] {
            let response = resolve(&document, &operation["responses"][status]);
            assert!(response["description"].is_string(), "{at}: {status}");
            assert!(response["content"]["application/json"]["schema"].is_object(), "{at}: {status}");
        }
        let is_sent = operation["requestBody"].is_object();
        assert!(!is_sent || ["post", "put"].contains(&method.as_str()), "{at} has a body");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{at}");
        let words = ["access", "policyAction", "script", "websocket"];
        for word in words {
            assert!(!operation["x-gs2"][word].is_null(), "{at}: x-gs2 lacks {word}");
        }
    }
}

#[test]
fn objects_require_what_they_have() {
    fn check(value: &Value) {
        if let (Some(required), Some(properties)) =
            (value["required"].as_array(), value["properties"].as_object())
        {
            for name in required {
                assert!(properties.contains_key(name.as_str().unwrap()), "{name} is required but unknown");
            }
        }
        match value {
            Value::Object(members) => members.values().for_each(check),
            Value::Array(elements) => elements.iter().for_each(check),
            _ => {}
        }
    }
    check(&openapi());
}

/// Models of one name in one service share a schema, so they have to be one model.
#[test]
fn a_name_is_one_model() {
    let table = hiroba_api::table();
    for service in hiroba_api::SERVICES {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for row in table.rows().iter().filter(|row| row.declaration.service.name == service.name) {
            for model in hiroba_api::reference::models(std::iter::once(row)) {
                let form = format!("{:?}", model.fields);
                let first = known.entry(model.name.clone()).or_insert_with(|| form.clone());
                assert_eq!(*first, form, "{}.{}", service.name, model.name);
            }
        }
    }
}
