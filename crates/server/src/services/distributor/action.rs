//! Actions: operations as parts of transactions (BEHAVIOUR DT-01 … DT-04).

use std::collections::HashMap;
use std::sync::Arc;

use hiroba_api::contract::{Credentials, Fields, Row, RowId, Table};
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

impl Ready {
    /// Its request as JSON text.
    pub(super) fn request(&self) -> String {
        Value::Object(self.fields.clone()).to_string()
    }
}

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
            (row.name.ends_with("ByUserId") || row.action == INVOKE_SCRIPT)
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
/// A value never is more than a value: it is written into the texts of the JSON text, also into those of a JSON text within a text,
/// such as the arguments of a script. Outside of texts only a number or a truth value takes a placeholder's place.
pub(super) fn replaced(request: &str, user: Option<&str>, values: &Values) -> String {
    if !request.contains("#{") {
        return request.to_owned();
    }
    let value = |name: &str| if name == "userId" { user } else { values.get(name).map(String::as_str) };
    in_json(request, &value).unwrap_or_else(|| request.to_owned())
}

/// Replaces within a JSON text; `None` when it is none.
fn in_json<'v>(text: &str, value: &impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut json: Value = serde_json::from_str(&bare(text, value)).ok()?;
    in_texts(&mut json, value);
    Some(json.to_string())
}

/// Replaces within every text of a JSON value.
fn in_texts<'v>(json: &mut Value, value: &impl Fn(&str) -> Option<&'v str>) {
    match json {
        Value::String(text) if text.contains("#{") => {
            if text.trim_start().starts_with(['{', '[']) {
                // What is no JSON yet must not become JSON by a value.
                if let Some(inner) = in_json(text, value) {
                    *text = inner;
                }
            } else {
                *text = spliced(text, |_, name| value(name).map(str::to_owned));
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| in_texts(element, value)),
        Value::Object(members) => members.values_mut().for_each(|member| in_texts(member, value)),
        _ => {}
    }
}

/// Replaces placeholders that stand outside of the texts of a JSON text.
fn bare<'v>(json: &str, value: &impl Fn(&str) -> Option<&'v str>) -> String {
    let (mut in_text, mut escaped, mut seen) = (false, false, 0);
    spliced(json, |place, name| {
        for byte in &json.as_bytes()[seen..place] {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = in_text,
                b'"' => in_text = !in_text,
                _ => {}
            }
        }
        seen = place;
        let alone = serde_json::from_str::<Value>(value(name).filter(|_| !in_text)?).ok()?;
        (alone.is_number() || alone.is_boolean()).then(|| alone.to_string())
    })
}

/// A text with its placeholders, of which each is told by its place and name, replaced by what they are to be.
fn spliced(text: &str, mut value: impl FnMut(usize, &str) -> Option<String>) -> String {
    let (mut spliced, mut rest) = (String::with_capacity(text.len()), 0);
    while let Some(found) = text[rest..].find("#{") {
        let place = rest + found;
        let name = text[place + 2..].split_once('}').map(|(name, _)| name);
        spliced.push_str(&text[rest..place]);
        match name.and_then(|name| Some((value(place, name)?, place + name.len() + 3))) {
            Some((value, end)) => {
                spliced.push_str(&value);
                rest = end;
            }
            None => {
                spliced.push_str("#{");
                rest = place + 2;
            }
        }
    }
    spliced.push_str(&text[rest..]);
    spliced
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
    let result = invoked["result"].as_str().unwrap_or_default();
    let mut items: Vec<ErrorItem> = serde_json::from_str(result).unwrap_or_default();
    for item in &mut items {
        // A script says with `fail` what it likes, and no more.
        if item.code.is_empty() {
            "script.script.failed".clone_into(&mut item.code);
        }
        if item.detail.is_empty() {
            item.detail = format!("the script failed with status {code}: {}", item.message);
        }
    }
    if items.is_empty() {
        let detail = format!("the script failed with status {code}: {result}");
        items.push(ErrorItem::new("script", "script", "script", "failed", detail));
    }
    Err(ApiError { status, items })
}

/// The placeholders of an expression's own actions were replaced with those of the whole: their values are not looked for
/// placeholders again.
fn origin_for(row: &Row, origin: Origin) -> Origin {
    let is_expression = row.declaration.component == "expression";
    Origin { context_stack: origin.context_stack.filter(|_| !is_expression), ..origin }
}

/// Calls an action inside of a running transaction. When it fails, what it had written is taken back.
pub(super) fn within(tx: &mut Tx<'_>, core: &Core, ready: Ready, origin: Origin) -> Result<Outcome, Error> {
    let pipeline = core.road.get().ok_or(StoreError::Closed)?;
    let row = core.table.row(ready.row);
    let (credentials, origin) = (Credentials::default(), origin_for(row, origin));
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
    let origin = origin_for(row, origin);
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
        [
            ("count", "10"),
            ("name", "a\"b\\"),
            ("evil", "1,\"userId\":\"other\""),
            ("inner", "x\",\"admin\":true,\"y\":\""),
            ("other", "#{count}"),
            ("userId", "x"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    /// BEHAVIOUR DT-03.
    #[test]
    fn placeholders_get_their_values() {
        let replaced = |request| replaced(request, Some("u-1"), &values());
        assert_eq!(replaced(r##"{"userId":"#{userId}"}"##), r#"{"userId":"u-1"}"#);
        assert_eq!(replaced(r##"{"a":"<#{count}#{count}>"}"##), r#"{"a":"<1010>"}"#);
        assert_eq!(replaced(r##"{"a":#{count},"b":["#{count}",#{count}]}"##), r#"{"a":10,"b":["10",10]}"#);
        assert_eq!(replaced(r##"{"a":"{\"n\":#{count}}"}"##), r#"{"a":"{\"n\":10}"}"#);
        // Once: a value is not looked for placeholders.
        assert_eq!(replaced(r##"{"a":"#{other}"}"##), r##"{"a":"#{count}"}"##);
        // Unknown ones, and what only looks like one, stay; and what is no JSON.
        for request in [
            r##"{"a":"#{unknown} #count} # #{"}"##,
            r##"{"a":#{name}}"##,
            r##"{"a":"\"#"}"##,
            r##"{"#{count}":1}"##,
            "#{",
            "#",
            "",
        ] {
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
        assert_eq!(read, serde_json::json!({ "a": "\"1,\"userId\":\"other\"" }));
        for request in
            [r##"{"args":"{\"n\":#{evil}}"}"##, r##"{"args":"{\"n\":#{evil},\"m\":\"#{name}\"}"}"##]
        {
            assert_eq!(replaced(request), request);
        }
        // In a JSON text within a text, at any depth.
        let deepest = serde_json::json!({ "name": "#{inner}" }).to_string();
        let deeper = serde_json::json!([{ "args": deepest }]).to_string();
        let read: Value =
            serde_json::from_str(&replaced(&serde_json::json!({ "jobs": deeper }).to_string())).unwrap();
        let deeper: Value = serde_json::from_str(read["jobs"].as_str().unwrap()).unwrap();
        let deepest: Value = serde_json::from_str(deeper[0]["args"].as_str().unwrap()).unwrap();
        assert_eq!(deepest, serde_json::json!({ "name": "x\",\"admin\":true,\"y\":\"" }));
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
        for action in [
            "Gs2JobQueue:CreateNamespace",
            "Gs2Script:DebugInvoke",
            "Gs2Auth:IssueTimeOffsetTokenByUserId",
            "Gs2Distributor:RunTransaction",
        ] {
            assert!(!actions.contains_key(action), "{action}");
        }
    }
}
