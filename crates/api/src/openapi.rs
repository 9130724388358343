//! OpenAPI 3.1 document, from the table. What OpenAPI has no words for (the socket's names, policy action, access,
//! script name) stands in `x-gs2` of each operation.

mod schema;
mod text;

use serde_json::{Map, Value, json};

pub use text::pretty;

use crate::contract::{Access, Row, Table, Variant};
use crate::reference::{self, Header, Place};
use schema::{answer_schema, described, object_schema, schema_name};

/// Statuses that every operation may answer beside 200, with the name of the shared response.
const ERRORS: &[(u16, &str, &str)] = &[
    (400, "BadRequest", "The request is wrong; every wrong field is listed, in field order."),
    (401, "Unauthorized", "A token is missing, unknown or expired, or no policy permits the call."),
    (
        404,
        "NotFound",
        "Something that the request names does not exist; `component` of the first item says what.",
    ),
    (409, "Conflict", "Somebody else was faster or holds what the call needs; it can be repeated."),
    (500, "Internal", "The server failed; its log says more under the request id."),
    (503, "Unavailable", "The server cannot take the call now; it can be repeated."),
];

/// The headers that operations share.
const HEADERS: &[Header] = &[
    reference::ACCESS_TOKEN,
    reference::OPTIONAL_ACCESS_TOKEN,
    reference::DUPLICATION_AVOIDER,
    reference::TIME_OFFSET_TOKEN,
    reference::DRY_RUN,
    reference::REQUEST_ID,
    reference::CLIENT_ID,
];

/// The document of all operations in `table`.
pub fn document(table: &Table) -> Value {
    let mut paths = Map::new();
    for row in table.rows() {
        let path = paths.entry(reference::full_path(row)).or_insert_with(|| json!({}));
        path[row.declaration.method.to_lowercase()] = operation(row);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hiroba",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Operations of the Hiroba server over REST. The same operations travel over the WebSocket \
                at `/`, under the names in `x-gs2`. A number or truth value may also arrive as text, an absent value as \
                `null`. Lengths are counted in characters.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{
            "url": "http://127.0.0.1:8080",
            "description": "A server with default settings on this machine.",
        }],
        "security": [{ "projectToken": [] }],
        "tags": crate::SERVICES.iter().map(|service| {
            json!({ "name": service.name, "description": service.doc })
        }).collect::<Vec<Value>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "projectToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Project token, the answer of `identifier.login`.",
                },
            },
            "parameters": HEADERS.iter().map(|header| (header_key(header), header_parameter(header)))
                .collect::<Map<String, Value>>(),
            "responses": ERRORS.iter().map(|(_, name, description)| {
                ((*name).to_owned(), response(description, &reference_to("schemas", "ErrorBody")))
            }).collect::<Map<String, Value>>(),
            "headers": {
                "RequestId": {
                    "description": "Id under which the server's log knows the call.",
                    "schema": { "type": "string" },
                },
            },
            "schemas": schemas(table),
        },
    })
}

fn reference_to(section: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{section}/{name}") })
}

/// `X-GS2-DRY-RUN` → `DryRun`.
fn header_key(header: &Header) -> String {
    if header == &reference::OPTIONAL_ACCESS_TOKEN {
        return "OptionalAccessToken".to_owned();
    }
    let mut letters = header.field.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn header_parameter(header: &Header) -> Value {
    let mut schema = json!({ "type": "string" });
    if let Some(max) = header.chars_max {
        schema["maxLength"] = max.into();
    }
    if header == &reference::DRY_RUN {
        schema = json!({ "type": "boolean", "default": false });
    }
    json!({
        "name": header.name,
        "in": "header",
        "required": header.required,
        "description": header.doc,
        "schema": schema,
    })
}

fn response(description: &str, schema: &Value) -> Value {
    json!({
        "description": description,
        "headers": { "X-GS2-REQUEST-ID": reference_to("headers", "RequestId") },
        "content": { "application/json": { "schema": schema } },
    })
}

fn operation(row: &Row) -> Value {
    let declaration = row.declaration;
    let service = declaration.service.name;
    let mut operation = json!({
        "operationId": format!("{service}.{}", row.name),
        "tags": [service],
        "summary": reference::first_sentence(declaration.doc),
        "description": description(row),
        "parameters": parameters(row),
        "responses": responses(row),
        "x-gs2": {
            "access": row.access.word(),
            "policyAction": row.action,
            "websocket": {
                "service": service,
                "component": declaration.component,
                "function": row.name,
            },
            "script": format!("{}.{}", declaration.service.script, reference::snake_case(&row.name)),
        },
    });
    if let Some(body) = request_body(row) {
        operation["requestBody"] = body;
    }
    if row.access == Access::Anonymous {
        operation["security"] = json!([{}, { "projectToken": [] }]);
    }
    operation
}

/// The documentation, a line for each paragraph, and which player the variant is about.
fn description(row: &Row) -> String {
    let mut paragraphs: Vec<String> =
        row.declaration.doc.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    match row.variant {
        Variant::Plain if row.declaration.maybe_player => {
            paragraphs.push("The player is the one of the access token, if there is one.".to_owned());
        }
        Variant::Plain => {}
        Variant::Me => paragraphs.push("The player is the one of the access token.".to_owned()),
        Variant::ByUser => paragraphs.push("The player is the one in the path.".to_owned()),
    }
    if row.path.contains("{*") {
        paragraphs.push("A slash in the last path parameter may arrive as it is.".to_owned());
    }
    paragraphs.join("\n\n")
}

fn parameters(row: &Row) -> Vec<Value> {
    let service = row.declaration.service.name;
    let fields = reference::request_fields(row);
    let mut parameters: Vec<Value> = Vec::new();
    // Path parameters in the order of the path, as people read it.
    for name in row.path_params() {
        let field = fields.iter().find(|field| field.info.name == name);
        // The derive refuses a path parameter without a field.
        let Some(field) = field else { continue };
        let schema = schema::required_schema(service, &field.info);
        parameters.push(parameter(name, "path", true, field.info.doc, &schema));
    }
    for field in fields.iter().filter(|field| field.place == Place::Query) {
        let info = &field.info;
        let schema = schema::required_schema(service, info);
        parameters.push(parameter(info.name, "query", !info.shape.optional, info.doc, &schema));
    }
    let headers = reference::headers(row);
    parameters.extend(headers.iter().map(|header| reference_to("parameters", &header_key(header))));
    parameters
}

fn parameter(name: &str, place: &str, required: bool, doc: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": place, "required": required, "description": doc, "schema": schema })
}

fn request_body(row: &Row) -> Option<Value> {
    let service = row.declaration.service.name;
    let fields: Vec<_> = reference::request_fields(row)
        .into_iter()
        .filter(|field| field.place == Place::Body)
        .map(|field| field.info)
        .collect();
    if fields.is_empty() {
        return None;
    }
    let required = fields.iter().any(|info| !info.shape.optional);
    let schema = object_schema(service, "", &fields);
    Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }))
}

fn responses(row: &Row) -> Value {
    let schema = answer_schema(row);
    let mut responses = Map::new();
    responses.insert("200".to_owned(), response("The result.", &schema));
    for (status, name, _) in ERRORS {
        responses.insert(status.to_string(), reference_to("responses", name));
    }
    responses.into()
}

fn schemas(table: &Table) -> Map<String, Value> {
    let mut schemas = Map::new();
    for row in table.rows() {
        let service = row.declaration.service.name;
        for model in reference::models(std::iter::once(row)) {
            let schema = object_schema(service, model.doc, &model.fields);
            schemas.insert(schema_name(service, &model.name), schema);
        }
        if let Some((name, doc, fields)) = schema::named_answer(row) {
            schemas.insert(schema_name(service, &name), object_schema(service, doc, &fields));
        }
    }
    schemas.insert("ErrorBody".to_owned(), error_body());
    schemas.insert("ErrorItem".to_owned(), error_item());
    schemas
}

/// The error body: a JSON array in text form (BEHAVIOUR E-01).
fn error_body() -> Value {
    json!({
        "type": "object",
        "description": "Why a call was refused.",
        "required": ["message"],
        "properties": {
            "message": {
                "type": "string",
                "description": "The items as JSON text.",
                "contentMediaType": "application/json",
                "contentSchema": { "type": "array", "items": reference_to("schemas", "ErrorItem"), "minItems": 1 },
            },
        },
    })
}

fn error_item() -> Value {
    let text = |doc: &str| described(json!({ "type": "string" }), doc);
    json!({
        "type": "object",
        "description": "One thing that is wrong with a request.",
        "required": ["component", "message", "code"],
        "properties": {
            "component": text("Model in question; of a 404 the model that is missing."),
            "message": text("`{service}.{model}.{member}.error.{type}`."),
            "code": text("Stable code, such as `mutex.transactionId.notMatch`."),
            "detail": text("What is wrong in words, with the limit, and what to do about it."),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operation() {
        let document = document(&crate::table());
        let lock = &document["paths"]["/lock/{namespaceName}/user/{userId}/mutex/{propertyId}/lock"]["post"];
        assert_eq!(lock["operationId"], "lock.lockByUserId");
        assert_eq!(lock["x-gs2"]["policyAction"], "Gs2Lock:LockByUserId");
        assert_eq!(lock["x-gs2"]["script"], "lock.lock_by_user_id");
        let body = &lock["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["required"], json!(["transactionId"]));
        assert_eq!(
            body["properties"]["ttl"],
            json!({
                "type": ["integer", "null"],
                "format": "int64",
                "minimum": 1,
                "description": "Seconds until the mutex frees itself; one hour when absent (BEHAVIOUR L-09).",
            })
        );
        assert_eq!(
            lock["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["item"],
            json!({ "$ref": "#/components/schemas/lock.Mutex" })
        );
        let me = &document["paths"]["/lock/{namespaceName}/user/me/mutex/{propertyId}/lock"]["post"];
        assert_eq!(me["parameters"][2], reference_to("parameters", "AccessToken"));
    }
}
