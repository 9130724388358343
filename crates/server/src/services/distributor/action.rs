//! Actions: operations as parts of transactions (BEHAVIOUR DT-01 … DT-04).

use std::collections::HashMap;
use std::sync::Arc;

use hiroba_api::contract::{Credentials, Fields, Row, RowId, Table, Variant};
use hiroba_api::distributor::SERVICE;
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::names::UserId;
use hiroba_store::{StoreError, Tx};
use serde_json::Value;

use super::context::Values;
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::{Core, Origin};

/// The action whose answer says by `code` what became of it.
const INVOKE_SCRIPT: &str = "Gs2Script:InvokeScript";

/// What an action is to a transaction (BEHAVIOUR DT-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A condition; it changes nothing.
    Verify,
    /// What the player loses.
    Consume,
    /// What the player gains.
    Acquire,
}

/// The operations that may be actions.
#[derive(Debug)]
pub(super) struct Actions(HashMap<String, RowId>);

impl Actions {
    /// Every operation that names its player: JobQueue, Script and Distributor say which of theirs the official service has, and
    /// nobody is kept from the others. Identifier and Auth have none, since their answers hold secrets.
    pub(super) fn new(table: &Table) -> Actions {
        let names_player = |row: &&Row| {
            let by_user = row.variant == Variant::ByUser || row.name.ends_with("ByUserId");
            (by_user || row.action == INVOKE_SCRIPT)
                && !matches!(row.declaration.service.name, "identifier" | "auth")
        };
        Actions(table.rows().iter().filter(names_player).map(|row| (row.action.clone(), row.id)).collect())
    }
}

/// An action that can be called.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    row: RowId,
    fields: Fields,
}

fn refuse(member: &str, detail: String) -> ApiError {
    ApiError::bad_request(SERVICE.name, "transaction", member, "invalid", detail)
}

/// The operation that an action of this name is.
pub(super) fn row<'c>(core: &'c Core, role: Role, action: &str) -> Result<&'c Row, ApiError> {
    let shown: String = action.chars().take(128).collect();
    let row = core.distributor.actions.0.get(action).ok_or_else(|| {
        let detail = format!(
            "there is no action `{shown}`; an action is an operation that names its player, such as \
             `Gs2JobQueue:PushByUserId`"
        );
        refuse("action", detail)
    })?;
    let row = core.table.row(*row);
    // An expression is a condition as far as what it is made of are conditions.
    if role == Role::Verify && row.writes() && row.declaration.component != "expression" {
        let detail = format!("`{shown}` changes something, so that it cannot be a verify action");
        return Err(refuse("action", detail));
    }
    Ok(row)
}

/// Reads an action whose placeholders are replaced already; the acting player is who it is for when it does not say.
pub(super) fn ready(
    core: &Core,
    role: Role,
    (action, request): (&str, &str),
    user: Option<&str>,
) -> Result<Ready, ApiError> {
    let row = row(core, role, action)?;
    let mut fields: Fields = serde_json::from_str(request).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = format!("the request of `{action}` is no JSON object (line {line} column {column})");
        refuse("request", detail)
    })?;
    if let (Some(user), None | Some(Value::Null)) = (user, fields.get("userId")) {
        fields.insert("userId".to_owned(), user.into());
    }
    Ok(Ready { row: row.id, fields })
}

/// The player whom a request names.
pub(super) fn named_user(ready: &Ready) -> Option<UserId> {
    ready.fields.get("userId").and_then(Value::as_str).map(UserId::trusted)
}

/// Replaces the placeholders of a request: `#{userId}` and those that have a value; others stay as they are (BEHAVIOUR DT-03).
///
/// Within a JSON text a value is written as part of that text; elsewhere only a number or a truth value takes a placeholder's
/// place, so that no value can add members to the request.
pub(super) fn replaced(request: &str, user: Option<&str>, values: &Values) -> String {
    let mut replaced = String::with_capacity(request.len());
    let (mut rest, mut in_text) = (request, false);
    while let Some(place) = rest.find(['"', '\\', '#']) {
        replaced.push_str(&rest[..place]);
        let (mark, after) = rest[place..].split_at(1);
        rest = after;
        if mark == "\\" {
            // Whatever is escaped is no mark.
            let length = rest.chars().next().map_or(0, char::len_utf8);
            replaced.push_str(mark);
            replaced.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        if mark == "\"" {
            in_text = !in_text;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            let value = if name == "userId" { user } else { values.get(name).map(String::as_str) };
            if let Some(value) = value.and_then(|value| written(value, in_text)) {
                replaced.push_str(&value);
                rest = after;
                continue;
            }
        }
        replaced.push_str(mark);
    }
    replaced.push_str(rest);
    replaced
}

/// A value as it stands in a JSON text, or by itself.
fn written(value: &str, in_text: bool) -> Option<String> {
    if in_text {
        let quoted = Value::from(value).to_string();
        return Some(quoted[1..quoted.len() - 1].to_owned());
    }
    let alone = serde_json::from_str::<Value>(value).ok()?;
    (alone.is_number() || alone.is_boolean()).then(|| alone.to_string())
}

/// What became of an action.
pub(super) type Outcome = Result<String, ApiError>;

/// Status of an outcome (BEHAVIOUR DT-17).
pub(super) fn code(outcome: &Outcome) -> i32 {
    outcome.as_ref().map_or_else(|error| i32::from(error.status.code()), |_| 200)
}

/// JSON text of an outcome: the answer, or the list of errors.
pub(super) fn text(outcome: &Outcome) -> String {
    match outcome {
        Ok(answer) => answer.clone(),
        // Strings alone always have a JSON text.
        Err(error) => serde_json::to_string(&error.items).unwrap_or_else(|_| "[]".to_owned()),
    }
}

/// A script that failed is an action that failed.
fn judged(row: &Row, answer: Outcome) -> Outcome {
    let answer = answer?;
    if row.action != INVOKE_SCRIPT {
        return Ok(answer);
    }
    let invoked: Value = serde_json::from_str(&answer).unwrap_or_default();
    let code = invoked["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
    if (200..300).contains(&code) {
        return Ok(answer);
    }
    let status = Status::from_code(code).unwrap_or(match code {
        400..=499 => Status::BadRequest,
        _ => Status::Internal,
    });
    let items = invoked["result"].as_str().and_then(|text| serde_json::from_str::<Vec<ErrorItem>>(text).ok());
    let detail = format!("the script failed: {}", invoked["result"].as_str().unwrap_or_default());
    let failed = || vec![ErrorItem::new("script", "script", "script", "failed", detail)];
    Err(ApiError { status, items: items.filter(|items| !items.is_empty()).unwrap_or_else(failed) })
}

/// Calls an action inside of a running transaction. When it fails, what it had written is taken back.
pub(super) fn within(tx: &mut Tx<'_>, core: &Core, ready: Ready, origin: Origin) -> Result<Outcome, Error> {
    let pipeline = core.road.get().ok_or(StoreError::Closed)?;
    let row = core.table.row(ready.row);
    let credentials = Credentials::default();
    // A script that fails has its calls taken back with it.
    let made = tx.part(|tx| {
        let answer = pipeline.call_within(tx, row, ready.fields, credentials, origin)?;
        Ok(judged(row, answer)?)
    });
    match made {
        Ok(answer) => Ok(Ok(answer)),
        Err(Error::Refused(error)) => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

/// Calls an action that takes effect by itself.
pub(super) async fn apart(core: &Arc<Core>, ready: Ready, origin: Origin) -> Result<Outcome, Error> {
    let pipeline = core.road.get().ok_or(StoreError::Closed)?;
    let row = core.table.row(ready.row);
    let answer = pipeline.call_inside(row, ready.fields, Credentials::default(), origin).await;
    Ok(judged(row, answer))
}

/// GRN of what an action is about, as far as its request names it.
pub(super) fn target(cx: &Cx, ready: &Ready) -> String {
    crate::pipeline::resource_of(cx, cx.core.table.row(ready.row), ready.fields.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        [("count", "10"), ("name", "a\"b\\"), ("evil", "1,\"userId\":\"other\""), ("userId", "x")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    /// BEHAVIOUR DT-03.
    #[test]
    fn placeholders_get_their_values() {
        let replaced = |request| replaced(request, Some("u-1"), &values());
        assert_eq!(replaced(r##"{"userId":"#{userId}"}"##), r#"{"userId":"u-1"}"#);
        assert_eq!(replaced(r##"{"a":"<#{count}#{count}>"}"##), r#"{"a":"<1010>"}"#);
        assert_eq!(replaced(r##"{"a":#{count}}"##), r#"{"a":10}"#);
        // Unknown ones, and what only looks like one, stay.
        for request in
            [r##"{"a":"#{unknown} #count} # #{"}"##, r##"{"a":#{name}}"##, r##"{"a":"\"#"}"##, "#", ""]
        {
            assert_eq!(replaced(request), request);
        }
        assert_eq!(super::replaced(r##"{"a":"#{userId}"}"##, None, &values()), r##"{"a":"#{userId}"}"##);
    }

    /// BEHAVIOUR DT-03: a value is never more than the value.
    #[test]
    fn values_do_not_break_out() {
        let replaced = |request| replaced(request, Some("u"), &values());
        assert_eq!(replaced(r##"{"a":"#{name}"}"##), r#"{"a":"a\"b\\"}"#);
        assert_eq!(replaced(r##"{"a":#{evil}}"##), r##"{"a":#{evil}}"##);
        let read: Value = serde_json::from_str(&replaced(r##"{"a":"\"#{evil}"}"##)).unwrap();
        assert_eq!(read["a"], "\"1,\"userId\":\"other\"");
        assert_eq!(read.as_object().unwrap().len(), 1);
    }

    #[test]
    fn actions_name_their_player() {
        let table = hiroba_api::table();
        let actions = Actions::new(&table).0;
        for action in [
            "Gs2JobQueue:PushByUserId",
            "Gs2JobQueue:DeleteJobByUserId",
            "Gs2Script:InvokeScript",
            "Gs2Distributor:IfExpressionByUserId",
            "Gs2Distributor:AndExpressionByUserId",
            "Gs2Distributor:OrExpressionByUserId",
            "Gs2Lock:LockByUserId",
        ] {
            assert!(actions.contains_key(action), "{action}");
        }
        for action in
            ["Gs2JobQueue:CreateNamespace", "Gs2Script:DebugInvoke", "Gs2Auth:IssueTimeOffsetTokenByUserId"]
        {
            assert!(!actions.contains_key(action), "{action}");
        }
    }
}
