//! The documents of master data: read whole, with all that is wrong and where.

use std::collections::BTreeMap;
use std::sync::Arc;

use hiroba_api::contract::{At, Field, Fields};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::grn::Project;
use serde_json::Value;

use super::{MODELS_MAX, MasterData, Models, model_id, refused, service};
use crate::error::Error;
use crate::json::values_at_most;

/// Characters of a document.
const SETTINGS_CHARS_MAX: usize = 5_242_880;
/// JSON values in a document, as in a request: a parsed value takes many times the bytes of its text.
const JSON_VALUES_MAX: usize = 100_000;
/// Bytes whose parsing is too much work for a task that serves calls.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// Uploaded content as a text.
pub(super) fn text<M: MasterData>(content: Vec<u8>) -> Result<Arc<str>, ApiError> {
    let text = String::from_utf8(content).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        refused::<M>("settings", "invalid", format!("the uploaded document is no UTF-8 at byte {place}"))
    });
    Ok(text?.into())
}

/// [`models`] away from the tasks that serve calls when the document is large.
pub(super) async fn parse<M: MasterData>(
    project: &Arc<Project>,
    namespace: &str,
    document: Arc<str>,
) -> Result<Result<Models<M>, ApiError>, Error> {
    if document.len() <= INLINE_BYTES_MAX {
        return Ok(models::<M>(project, namespace, &document));
    }
    let (project, namespace) = (Arc::clone(project), namespace.to_owned());
    let parse = tokio::task::spawn_blocking(move || models::<M>(&project, &namespace, &document));
    parse.await.map_err(|error| Error::internal("parsing master data", error))
}

/// The models of a document, by key.
///
/// Fails with 400 and one item for each thing that is wrong.
pub(super) fn models<M: MasterData>(
    project: &Project,
    namespace: &str,
    document: &str,
) -> Result<Models<M>, ApiError> {
    if document.len() > SETTINGS_CHARS_MAX {
        let count = document.chars().count();
        if count > SETTINGS_CHARS_MAX {
            let detail =
                format!("a document has at most {SETTINGS_CHARS_MAX} characters, this one has {count}");
            return Err(refused::<M>("settings", "tooLong", detail));
        }
    }
    if values_at_most(document.as_bytes(), JSON_VALUES_MAX) > JSON_VALUES_MAX {
        let detail = format!("a document holds at most {JSON_VALUES_MAX} JSON values");
        return Err(refused::<M>("settings", "tooMany", detail));
    }
    let mut members: Fields = serde_json::from_str(document).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = format!(
            "the document is no JSON object ({:?} error at line {line} column {column})",
            error.classify()
        );
        refused::<M>("settings", "invalid", detail)
    })?;

    let mut errors = Vec::new();
    version::<M>(members.get("version"), &mut errors);
    let elements = elements::<M>(members.remove(M::MODELS), &mut errors);
    let mut read: BTreeMap<M::Key, (usize, M::Model)> = BTreeMap::new();
    for (index, element) in elements.into_iter().enumerate() {
        let before = errors.len();
        if let Some(mut model) = model::<M>(element, &mut errors) {
            let key = M::key(&model);
            if let Some((first, _)) = read.get(&key) {
                let detail = format!("`{}` {key} stands in {}[{first}] already", M::KEY, M::MODELS);
                errors.push(ErrorItem::new(service::<M>().name, M::MODEL, M::KEY, "duplicate", detail));
            } else {
                M::complete(&mut model, model_id::<M>(project, namespace, &key));
                read.insert(key, (index, model));
            }
        }
        for error in &mut errors[before..] {
            error.detail = format!("{}[{index}]: {}", M::MODELS, error.detail);
        }
    }
    if errors.is_empty() {
        Ok(read.into_values().map(|(_, model)| model).collect())
    } else {
        Err(ApiError { status: Status::BadRequest, items: errors })
    }
}

fn version<M: MasterData>(version: Option<&Value>, errors: &mut Vec<ErrorItem>) {
    let (problem, but) = match version {
        Some(Value::String(version)) if version == M::VERSION => return,
        None | Some(Value::Null) => ("require", "is missing".to_owned()),
        Some(version) => {
            let shown: String = version.to_string().chars().take(40).collect();
            ("invalid", format!("is {shown}"))
        }
    };
    let detail = format!("`version` of the document must be \"{}\", but {but}", M::VERSION);
    errors.push(ErrorItem::new(service::<M>().name, M::CURRENT, "version", problem, detail));
}

fn elements<M: MasterData>(elements: Option<Value>, errors: &mut Vec<ErrorItem>) -> Vec<Value> {
    let member = M::MODELS;
    let (problem, detail) = match elements {
        Some(Value::Array(elements)) if elements.len() <= MODELS_MAX => return elements,
        Some(Value::Array(elements)) => {
            let count = elements.len();
            ("tooMany", format!("`{member}` must have at most {MODELS_MAX} elements, but has {count}"))
        }
        None | Some(Value::Null) => ("require", format!("`{member}` is required; it may be an empty list")),
        Some(_) => ("invalid", format!("`{member}` must be a list")),
    };
    errors.push(ErrorItem::new(service::<M>().name, M::CURRENT, member, problem, detail));
    Vec::new()
}

fn model<M: MasterData>(mut element: Value, errors: &mut Vec<ErrorItem>) -> Option<M::Model> {
    if let Value::Object(members) = &mut element {
        // Its own is made when the key is known.
        members.insert(M::ID.to_owned(), Value::String("grn".to_owned()));
    }
    let at = At { service: service::<M>().name, model: M::CURRENT, member: M::MODELS, range: None };
    M::Model::read(element, &at, errors)
}

/// The document of these models, each without its GRN.
pub(crate) fn document<M: MasterData>(models: Vec<Value>) -> String {
    let (version, member) = (Value::from(M::VERSION), Value::from(M::MODELS));
    format!("{{\"version\":{version},{member}:{}}}", Value::from(models))
}

#[cfg(test)]
pub(super) mod tests {
    use hiroba_api::Model;
    use hiroba_api::names::EntityName;

    use super::*;

    /// What a service with master data has.
    #[derive(Debug, Clone, PartialEq, Model)]
    pub(in crate::services::masters) struct Thing {
        thing_id: String,
        name: EntityName,
        #[field(1..=9)]
        size: i32,
    }

    pub(in crate::services::masters) struct Things;

    impl MasterData for Things {
        type Namespaces = hiroba_api::lock::Namespaces;
        type Model = Thing;
        type Key = String;

        const VERSION: &'static str = "2020-04-30";
        const MODEL: &'static str = "thing";
        const MODELS: &'static str = "things";
        const KEY: &'static str = "name";
        const ID: &'static str = "thingId";
        const CURRENT: &'static str = "currentThingMaster";
        const PRE_UPDATE: &'static str = "preUpdateCurrentThingMaster";
        const UPDATE: &'static str = "updateCurrentThingMaster";

        fn key(model: &Thing) -> String {
            model.name.as_str().to_owned()
        }

        fn complete(model: &mut Thing, id: String) {
            model.thing_id = id;
        }
    }

    fn read(document: &str) -> Result<Vec<Thing>, Vec<String>> {
        let project = Project { region: "r".to_owned(), owner: "o".to_owned() };
        let wrong = |error: ApiError| {
            let text = |item: ErrorItem| format!("{}: {}", item.code, item.detail);
            error.items.into_iter().map(text).collect()
        };
        models::<Things>(&project, "ns", document).map_err(wrong)
    }

    #[test]
    fn a_document_is_read_by_key() {
        let models = vec![
            serde_json::json!({ "name": "b", "size": 2, "thingId": 1, "later": [] }),
            serde_json::json!({ "name": "a", "size": "1" }),
        ];
        let things = read(&document::<Things>(models)).unwrap();
        let seen: Vec<_> = things.iter().map(|thing| (thing.name.as_str(), thing.size)).collect();
        assert_eq!(seen, [("a", 1), ("b", 2)]);
        assert_eq!(things[1].thing_id, "grn:gs2:r:o:lock:ns:model:b");
        assert!(read(&document::<Things>(Vec::new())).unwrap().is_empty());
    }

    #[test]
    fn everything_wrong_is_said_and_where() {
        let elements =
            r#"[{"name":"a b","size":0},7,{"name":"a","size":1},{"size":1},{"name":"a","size":2}]"#;
        assert_eq!(
            read(&format!(r#"{{"things":{elements}}}"#)).unwrap_err(),
            [
                "currentThingMaster.version.require: `version` of the document must be \"2020-04-30\", but is missing",
                "thing.name.invalid: things[0]: `name` may hold only letters, digits, `-`, `_` and `.`",
                "thing.size.invalid: things[0]: `size` must be an integer from 1 to 9, but is 0",
                "currentThingMaster.things.invalid: things[1]: `things` must be an object",
                "thing.name.require: things[3]: `name` is required",
                "thing.name.duplicate: things[4]: `name` a stands in things[2] already",
            ]
        );
        let long = "x".repeat(SETTINGS_CHARS_MAX + 1);
        assert!(read(&long).unwrap_err()[0].starts_with("currentThingMaster.settings.tooLong"));
        let wide = format!("[{}]", vec!["{}"; JSON_VALUES_MAX].join(","));
        assert!(read(&wide).unwrap_err()[0].starts_with("currentThingMaster.settings.tooMany"));
    }
}
