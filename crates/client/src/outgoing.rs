//! A call before a transport has it: the operation in one of its variants, the flat object, what travels beside it.

use std::borrow::Cow;

use hiroba_api::Operation;
use hiroba_api::contract::{Access, At, Declaration, Field, Fields, Variant};
use serde_json::{Value, json};

use crate::error::ClientError;

/// A call before a transport has it.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) declaration: &'static Declaration,
    pub(crate) variant: Variant,
    /// All request fields, the player of a `…ByUserId` call included.
    pub(crate) fields: Fields,
    pub(crate) beside: Beside,
}

/// What travels beside the request fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    pub(crate) access_token: Option<String>,
    pub(crate) duplication_avoider: Option<String>,
    pub(crate) time_offset_token: Option<String>,
    pub(crate) dry_run: bool,
    pub(crate) request_id: Option<String>,
}

impl Outgoing {
    pub(crate) fn new<O: Operation>(request: &O, variant: Variant) -> Outgoing {
        let mut fields = Fields::new();
        request.write(&mut fields);
        Outgoing { declaration: O::DECLARATION, variant, fields, beside: Beside::default() }
    }

    /// Whether the call can be made without a project token.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.access() == Access::Anonymous
    }

    fn access(&self) -> Access {
        match (self.declaration.anonymous, self.variant) {
            (true, _) => Access::Anonymous,
            (false, Variant::Me) => Access::Player,
            (false, _) => Access::Project,
        }
    }

    /// Path below the service, parameters in braces.
    pub(crate) fn path(&self) -> Cow<'static, str> {
        self.declaration.path_of(self.variant)
    }

    /// Name of the operation in this variant.
    pub(crate) fn function(&self) -> Cow<'static, str> {
        self.declaration.name_of(self.variant)
    }

    /// The call as a socket message (BEHAVIOUR T-21).
    pub(crate) fn message(&self, id: u64, client_id: Option<&str>, project_token: Option<&str>) -> String {
        let mut message = self.fields.clone();
        message.insert(
            "x_gs2".to_owned(),
            json!({
                "service": self.declaration.service.name,
                "component": self.declaration.component,
                "function": self.function(),
                "contentType": "application/json",
                "requestId": id.to_string(),
            }),
        );
        let beside = &self.beside;
        let texts = [
            ("xGs2ClientId", client_id),
            ("xGs2ProjectToken", project_token),
            ("xGs2AccessToken", beside.access_token.as_deref()),
            ("xGs2DuplicationAvoider", beside.duplication_avoider.as_deref()),
            ("timeOffsetToken", beside.time_offset_token.as_deref()),
            ("xGs2RequestId", beside.request_id.as_deref()),
            ("xGs2DryRun", beside.dry_run.then_some("true")),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                message.insert(name.to_owned(), text.into());
            }
        }
        Value::Object(message).to_string()
    }
}

/// Reads the answer of `O`.
pub(crate) fn answer<O: Operation>(value: Value) -> Result<O::Answer, ClientError> {
    let declaration = O::DECLARATION;
    let at =
        At { service: declaration.service.name, model: declaration.component, member: "result", range: None };
    let mut errors = Vec::new();
    match O::Answer::read(value, &at, &mut errors) {
        Some(answer) if errors.is_empty() => Ok(answer),
        _ => {
            let details: Vec<String> = errors.into_iter().map(|item| item.detail).collect();
            Err(ClientError::Answer { status: 200, detail: details.join("; ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and paths of the variants follow the server's table.
    #[test]
    fn variants_are_those_of_the_table() {
        for row in hiroba_api::table().rows() {
            let outgoing = Outgoing {
                declaration: row.declaration,
                variant: row.variant,
                fields: Fields::new(),
                beside: Beside::default(),
            };
            assert_eq!(outgoing.function(), row.name);
            assert_eq!(outgoing.path(), row.path);
            assert_eq!(outgoing.access(), row.access);
        }
    }
}
