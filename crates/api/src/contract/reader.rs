//! The run-time reader: flat object in, request or *all* errors out (BEHAVIOUR E-14).
//!
//! It is ours because serde and the validation crates stop at the first wrong field, and the protocol answers with all
//! of them. The SDKs' habits (`core.json`: numbers as text, `True`, `null` at every depth) are taken here and nowhere
//! else.

use std::sync::Arc;

use serde_json::Value;

use super::{At, Field, Fields, Operation, Row, Spec, Subject, Variant};
use crate::error::{ApiError, ErrorItem, Status};
use crate::names::UserId;

/// Longest access token and time offset token that is looked at, in characters (BEHAVIOUR N-02).
pub const TOKEN_CHARS_MAX: usize = 1024;

/// Field that names a socket.
const CONNECTION_ID: &str = "connectionId";

/// Longest duplication avoider, in characters.
pub const AVOIDER_CHARS_MAX: usize = 128;

/// What a transport found beside the request fields.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Bearer token of the project (`Authorization`, `xGs2ProjectToken`).
    pub project_token: Option<String>,
    /// Player's token (`X-GS2-ACCESS-TOKEN`, `xGs2AccessToken`).
    pub access_token: Option<String>,
    /// Token that shifts what a `…ByUserId` call sees (`X-GS2-TIME-OFFSET-TOKEN`).
    pub time_offset_token: Option<String>,
    /// Idempotency key (`X-GS2-DUPLICATION-AVOIDER`, BEHAVIOUR X-01).
    pub duplication_avoider: Option<String>,
    /// Evaluate, do not persist (`X-GS2-DRY-RUN`, BEHAVIOUR T-14).
    pub dry_run: bool,
    /// Caller's request id (`X-GS2-REQUEST-ID`).
    pub request_id: Option<String>,
    /// Socket that the call arrived on (BEHAVIOUR G-02).
    pub connection_id: Option<Arc<str>>,
    /// URL under which the caller reaches the server, such as `https://example.com`, as far as the transport can tell.
    pub base_url: Option<Arc<str>>,
}

/// A request that passed the reader.
#[derive(Debug)]
pub struct Decoded<O> {
    /// The request.
    pub request: O,
    /// The player it is about.
    pub subject: Subject,
}

/// Reads the request of operation `O` in the variant of `row`.
///
/// Fails with 400 and one item for each wrong field, in field order.
pub fn decode<O: Operation>(
    row: &Row,
    fields: Fields,
    credentials: &Credentials,
) -> Result<Decoded<O>, ApiError> {
    let mut errors = Vec::new();
    let mut reader = Reader {
        service: row.declaration.service.name,
        model: row.declaration.model,
        fields,
        errors: &mut errors,
        call: Some((row, credentials)),
        subject: Subject::None,
    };
    let request = O::read(&mut reader);
    let subject = std::mem::replace(&mut reader.subject, Subject::None);
    match request {
        Some(request) if errors.is_empty() => Ok(Decoded { request, subject }),
        _ => Err(ApiError { status: Status::BadRequest, items: errors }),
    }
}

/// Reads the fields of one object and collects what is wrong with them.
#[derive(Debug)]
pub struct Reader<'a> {
    service: &'a str,
    model: &'a str,
    fields: Fields,
    errors: &'a mut Vec<ErrorItem>,
    /// Absent in nested objects.
    call: Option<(&'a Row, &'a Credentials)>,
    subject: Subject,
}

impl<'a> Reader<'a> {
    /// A reader of the object `value` that stands at `at`; its members belong to `model`.
    pub fn nested(
        value: Value,
        model: &'a str,
        at: &'a At<'_>,
        errors: &'a mut Vec<ErrorItem>,
    ) -> Option<Reader<'a>> {
        let Value::Object(fields) = value else {
            errors.push(at.error("invalid", format!("`{}` must be an object", at.member)));
            return None;
        };
        Some(Reader { service: at.service, model, fields, errors, call: None, subject: Subject::None })
    }

    /// Reads one field. `None` means that it is wrong and an error was collected.
    pub fn field<T: Field>(&mut self, spec: &Spec) -> Option<T> {
        let mut value = self.fields.remove(spec.name);
        if let (None | Some(Value::Null), Some(alias)) = (&value, spec.alias) {
            value = self.fields.remove(alias);
        }
        // Messages use camelCase where the wire does not (`client_id`, BEHAVIOUR E-10).
        let member = spec.alias.unwrap_or(spec.name);
        let at = At { service: self.service, model: self.model, member, range: spec.range };
        match value {
            None | Some(Value::Null) => {
                if let (CONNECTION_ID, Some(id), Some(_)) = (spec.name, self.connection_id(), T::absent()) {
                    return T::read(Value::String(id.to_string()), &at, self.errors);
                }
                if let Some(value) = spec.default.and_then(T::from_default) {
                    return Some(value);
                }
                let absent = T::absent();
                if absent.is_none() {
                    self.errors.push(at.error("require", format!("`{member}` is required")));
                }
                absent
            }
            Some(value) => T::read(value, &at, self.errors),
        }
    }

    /// Reads whom the call is about: the user in the path, or that there is an access token.
    ///
    /// The derive calls it where the path names the player, so that errors come in field order.
    pub fn subject(&mut self) {
        let Some((row, credentials)) = self.call else { return };
        match row.variant {
            Variant::Plain if row.declaration.maybe_player => {
                let token = credentials.access_token.as_deref().filter(|token| !token.is_empty());
                self.token("accessToken", token, false);
                if token.is_some() {
                    self.subject = Subject::Token;
                }
            }
            Variant::Plain => {}
            Variant::Me => {
                let token = credentials.access_token.as_deref();
                self.token("accessToken", token, true);
                self.subject = Subject::Token;
            }
            Variant::ByUser => {
                let spec = Spec { name: "userId", alias: None, range: None, default: None, doc: "" };
                if let Some(user) = self.field::<UserId>(&spec) {
                    self.subject = Subject::User(user);
                }
                self.token("timeOffsetToken", credentials.time_offset_token.as_deref(), false);
            }
        }
    }

    /// The socket that the call arrived on: what an absent `connectionId` means (BEHAVIOUR G-02).
    fn connection_id(&self) -> Option<&Arc<str>> {
        self.call.and_then(|(_, credentials)| credentials.connection_id.as_ref())
    }

    fn token(&mut self, name: &str, token: Option<&str>, required: bool) {
        match token {
            None if required => {
                let detail = "the call acts for a player: send the player's access token".to_owned();
                self.errors.push(ErrorItem::new(self.service, name, name, "require", detail));
            }
            Some(token) if token.len() > TOKEN_CHARS_MAX && token.chars().count() > TOKEN_CHARS_MAX => {
                let detail = format!("`{name}` must have at most {TOKEN_CHARS_MAX} characters");
                self.errors.push(ErrorItem::new(self.service, name, name, "tooLong", detail));
            }
            _ => {}
        }
    }
}
