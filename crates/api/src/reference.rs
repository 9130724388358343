//! Reference pages in Markdown, from the table: one for each service and an index. `cargo xtask docs` writes them to
//! `docs/api`, a test compares.

mod page;
mod request;

pub use request::{
    ACCESS_TOKEN, CLIENT_ID, DRY_RUN, DUPLICATION_AVOIDER, Header, Model, OPTIONAL_ACCESS_TOKEN, Place,
    REQUEST_ID, RequestField, TIME_OFFSET_TOKEN, answer_fields, first_sentence, full_path, headers, limits,
    models, request_fields, snake_case,
};

use crate::contract::{Service, Table};
use crate::openapi;

/// A derived file of `docs/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Name of the file.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// First line of every page.
const WRITTEN_BY: &str = "<!-- Written by `cargo xtask docs`; changes here are lost. -->\n\n";

/// All files of `docs/api`: the index, a page for each service that has operations, the OpenAPI document.
pub fn documents(table: &Table) -> Vec<Document> {
    let has_rows =
        |service: &Service| table.rows().iter().any(|row| row.declaration.service.name == service.name);
    let services: Vec<&Service> =
        crate::SERVICES.iter().copied().filter(|service| has_rows(service)).collect();
    let mut documents = vec![Document { name: "README.md".to_owned(), text: index(table, &services) }];
    for service in services {
        let text = format!("{WRITTEN_BY}{}", page::page(table, service));
        documents.push(Document { name: file_name(service), text });
    }
    let text = openapi::pretty(&openapi::document(table));
    documents.push(Document { name: "openapi.json".to_owned(), text });
    documents
}

fn file_name(service: &Service) -> String {
    format!("{}.md", service.segment)
}

/// Name of a service for people: `Gs2JobQueue` → `JobQueue`.
fn title(service: &Service) -> &'static str {
    service.action.strip_prefix("Gs2").unwrap_or(service.action)
}

fn index(table: &Table, services: &[&Service]) -> String {
    let mut text = format!("{WRITTEN_BY}# API reference\n\n");
    text.push_str("| Service | Operations | What it is for |\n| --- | ---: | --- |\n");
    for service in services {
        let count = table.rows().iter().filter(|row| row.declaration.service.name == service.name).count();
        let (title, file) = (title(service), file_name(service));
        text.push_str(&format!("| [{title}]({file}) | {count} | {} |\n", page::cell(service.doc)));
    }
    text.push_str(SHARED);
    text.push_str("\n| Header | Socket member | Where | Meaning |\n| --- | --- | --- | --- |\n");
    let every: [(Header, &str); 6] = [
        (ACCESS_TOKEN, "operations with access “player”; optional in those that say so"),
        (DUPLICATION_AVOIDER, "operations that say so"),
        (TIME_OFFSET_TOKEN, "operations that say so"),
        (DRY_RUN, "every operation that changes something"),
        (REQUEST_ID, "every operation"),
        (CLIENT_ID, "every operation"),
    ];
    for (header, place) in every {
        let doc = page::cell(header.doc);
        text.push_str(&format!("| `{}` | `{}` | {place} | {doc} |\n", header.name, header.socket));
    }
    text
}

/// What holds for every operation.
const SHARED: &str = r#"
[openapi.json](openapi.json) describes the same operations for tools. Numbers such as L-04 refer to
[BEHAVIOUR.md](../../protocol/BEHAVIOUR.md).

## What all operations share

- **REST.** `{method} {server}/{service}{path}`. GET and DELETE carry their fields in the query string, POST and PUT in
  a JSON object. A path parameter is percent-encoded; a slash in the last parameter of Lock may stay as it is.
- **WebSocket.** `ws://{server}/` takes one JSON object per text frame: the fields of the request at the top level,
  path parameters included, and `x_gs2` with `service`, `component`, `function` and a `requestId`, which the answer
  repeats: `{"requestId": …, "status": …, "body": …}`. Many calls may run at once; answers come in the order of
  completion. A frame without `requestId` is a notification.
- **Who calls.** Access “project” needs the project token of `identifier.login` (`Authorization: Bearer …`,
  `xGs2ProjectToken`) and a security policy that permits the policy action; “player” also needs the player's access
  token of `auth.login`; “anonymous” needs neither.
- **Fields.** Numbers and truth values may arrive as text. `null` is the same as absent, at every depth. Lengths are
  counted in characters. Members that an operation does not know are ignored.
- **Refusals.** Status 400, 401, 404, 409, 500 or 503 with `{"message": "[…]"}`: a JSON array as text, whose items have
  `component`, `message` (`{service}.{model}.{member}.error.{type}`), `code` and `detail`. All wrong fields of a request
  are listed, in field order. After 409 and 503 the call can be repeated.
- **Lists.** `nextPageToken` is absent on the last page; otherwise it is the `pageToken` of the next call.
- **Times** are milliseconds since 1970 in UTC; periods say their unit.

## Headers
"#;
