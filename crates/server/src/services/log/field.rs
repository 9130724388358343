//! The fields of entries, as queries name them.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;

use crate::logs::{Entry, Term};

/// A field that every entry of a call may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Service,
    Method,
    User,
    Namespace,
    Id,
    Source,
    Trace,
    Status,
    StatusCode,
    Duration,
    Timestamp,
    /// A member of the request, under names and places in lists.
    Request(Vec<String>),
    /// A member of the answer.
    Result(Vec<String>),
}

/// The fields that have one name.
const FIELDS: [(&str, Field); 11] = [
    ("service", Field::Service),
    ("method", Field::Method),
    ("userId", Field::User),
    ("namespaceName", Field::Namespace),
    ("requestId", Field::Id),
    ("sourceRequestId", Field::Source),
    ("traceId", Field::Trace),
    ("status", Field::Status),
    ("statusCode", Field::StatusCode),
    ("duration", Field::Duration),
    ("timestamp", Field::Timestamp),
];

/// How to name a field, for messages.
pub(super) const NAMES: &str = "`service`, `method`, `userId`, `namespaceName`, `requestId`, `sourceRequestId`, \
    `traceId`, `status`, `statusCode`, `duration`, `timestamp`, `request.{name}` or `result.{name}`";

impl Field {
    /// The field of this name.
    pub(super) fn parse(name: &str) -> Option<Field> {
        if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
            return Some(field.clone());
        }
        let (text, path) = name.split_once('.')?;
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return None;
        }
        match text {
            "request" => Some(Field::Request(path)),
            "result" => Some(Field::Result(path)),
            _ => None,
        }
    }

    /// What a chunk must hold for an entry whose field is this text.
    pub(super) fn term(&self, text: &str) -> Option<u64> {
        let term = match self {
            Field::Service => Term::Service(text),
            Field::Method => Term::Method(text),
            Field::User => Term::User(text),
            Field::Id => Term::Id(text),
            Field::Trace => Term::Trace(text),
            _ => return None,
        };
        Some(term.hash())
    }
}

/// An entry whose fields are asked for.
pub(super) struct Fields<'e, 'a> {
    pub(super) entry: &'e Entry<'a>,
    request: OnceCell<Value>,
    result: OnceCell<Value>,
}

impl<'e, 'a> Fields<'e, 'a> {
    pub(super) fn new(entry: &'e Entry<'a>) -> Fields<'e, 'a> {
        Fields { entry, request: OnceCell::new(), result: OnceCell::new() }
    }

    /// The text of a field, if the entry has it. Lists and objects are their JSON texts.
    pub(super) fn text(&self, field: &Field) -> Option<Cow<'_, str>> {
        let entry = self.entry;
        let text = match field {
            Field::Service => entry.service,
            Field::Method => entry.method,
            Field::User => entry.user,
            Field::Namespace => entry.namespace,
            Field::Id => entry.id,
            Field::Source => entry.source,
            Field::Trace => entry.trace(),
            Field::Status => status(entry),
            Field::StatusCode => return Some(entry.status.to_string().into()),
            Field::Duration => return Some(entry.duration.to_string().into()),
            Field::Timestamp => return Some(entry.at.to_string().into()),
            Field::Request(path) => return member(&self.request, entry.request, path),
            Field::Result(path) => return member(&self.result, entry.result, path),
        };
        (!text.is_empty()).then_some(Cow::Borrowed(text))
    }

    /// The number that a field is, if it is one.
    pub(super) fn number(&self, field: &Field) -> Option<f64> {
        match field {
            Field::StatusCode => Some(self.entry.status.into()),
            Field::Duration => Some(self.entry.duration as f64),
            Field::Timestamp => Some(self.entry.at as f64),
            _ => self.text(field)?.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        }
    }
}

/// `ok`, or `error` for a call that was refused or failed.
pub(super) fn status(entry: &Entry<'_>) -> &'static str {
    if entry.status == 200 { "ok" } else { "error" }
}

fn member<'v>(parsed: &'v OnceCell<Value>, text: &str, path: &[String]) -> Option<Cow<'v, str>> {
    // A text that was cut has no members.
    let mut value = parsed.get_or_init(|| serde_json::from_str(text).unwrap_or_default());
    for name in path {
        value = match value {
            Value::Array(elements) => elements.get(name.parse::<usize>().ok()?)?,
            _ => value.get(name)?,
        };
    }
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.as_str().into()),
        other => Some(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_an_entry() {
        let entry = Entry {
            status: 404,
            duration: 7,
            id: "id",
            request: r#"{"a":{"b":[1,"x",{"c":true}]},"n":2.5,"z":null}"#,
            ..Entry::default()
        };
        let fields = Fields::new(&entry);
        let text = |name: &str| fields.text(&Field::parse(name).unwrap()).map(Cow::into_owned);
        for (name, expected) in [
            ("status", Some("error")),
            ("statusCode", Some("404")),
            ("duration", Some("7")),
            ("traceId", Some("id")),
            ("service", None),
            ("request.a.b.0", Some("1")),
            ("request.a.b.1", Some("x")),
            ("request.a.b.2.c", Some("true")),
            ("request.a.b.9", None),
            ("request.z", None),
            ("request.a.b.2", Some(r#"{"c":true}"#)),
            ("result.a", None),
        ] {
            assert_eq!(text(name).as_deref(), expected, "{name}");
        }
        assert_eq!(fields.number(&Field::parse("request.n").unwrap()), Some(2.5));
        assert_eq!(fields.number(&Field::parse("requestId").unwrap()), None);
        for wrong in ["", "nothing", "request", "request.", "request..a", "user.x"] {
            assert_eq!(Field::parse(wrong), None, "{wrong}");
        }
    }
}
