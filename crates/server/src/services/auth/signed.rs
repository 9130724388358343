//! What `loginBySignature` reads of a signed body (BEHAVIOUR ).

use hiroba_api::auth::SERVICE;
use hiroba_api::contract::{At, Field, Fields, UnixMillis};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::names::UserId;
use serde_json::Value;

use super::COMPONENT;
use crate::pipeline::LIFETIME_MS;

/// Milliseconds that the clock of whoever signed may be ahead of ours.
const AHEAD_MS: i64 = 300_000;

/// The player of a signed body that holds now.
///
/// The same key may sign other things, transactions above all (BEHAVIOUR DT-12, DT-13). They name a player and a project too, but
/// no `expire`, without which nothing signs in.
///
/// Fails with 400 and everything that is wrong with the body; with 401 `ownerId` when it is for another project; with 401
/// `expire` when it has expired, which it has an hour after its `timestamp` at the latest, or comes from the future.
pub(super) fn user(body: &str, owner: &str, now: UnixMillis) -> Result<UserId, ApiError> {
    let mut fields = object(body).ok_or_else(|| {
        let detail = "`body` must be a JSON object, or base64 of one, with `userId`, `ownerId`, `timestamp` and `expire`";
        ApiError::bad_request(SERVICE.name, COMPONENT, "body", "invalid", detail)
    })?;
    let mut errors = Vec::new();
    let user = member::<UserId>(&mut fields, "userId", &mut errors);
    let signed_for = member::<String>(&mut fields, "ownerId", &mut errors);
    let timestamp = member::<i64>(&mut fields, "timestamp", &mut errors);
    let expire = member::<i64>(&mut fields, "expire", &mut errors);
    let (Some(user), Some(signed_for), Some(timestamp), Some(expire)) = (user, signed_for, timestamp, expire)
    else {
        return Err(ApiError { status: Status::BadRequest, items: errors });
    };
    let refuse = |member: &str, detail: String| {
        Err(ApiError::unauthorized(SERVICE.name, COMPONENT, member, "invalid", detail))
    };
    if signed_for != owner {
        return refuse("ownerId", "the signed body is for another project".to_owned());
    }
    if timestamp > now.0.saturating_add(AHEAD_MS) {
        let seconds = AHEAD_MS / 1000;
        return refuse(
            "timestamp",
            format!("`timestamp` of the signed body is more than {seconds} seconds ahead of now"),
        );
    }
    let end = expire.min(timestamp.saturating_add(LIFETIME_MS));
    if now.0 >= end {
        let detail = "the signed body has expired: it holds until `expire`, and an hour after `timestamp` at most, both in \
                      milliseconds; have a new one signed";
        return refuse("expire", detail.to_owned());
    }
    Ok(user)
}

/// The object that a body is, as it stands or in base64.
fn object(body: &str) -> Option<Fields> {
    let plain = |text: &[u8]| serde_json::from_slice::<Fields>(text).ok();
    plain(body.as_bytes()).or_else(|| plain(&data_encoding::BASE64.decode(body.trim().as_bytes()).ok()?))
}

fn member<T: Field>(fields: &mut Fields, name: &str, errors: &mut Vec<ErrorItem>) -> Option<T> {
    let at = At { service: SERVICE.name, model: COMPONENT, member: name, range: None };
    match fields.remove(name) {
        None | Some(Value::Null) => {
            errors.push(at.error("require", format!("the signed body lacks `{name}`")));
            None
        }
        Some(value) => T::read(value, &at, errors),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn check(body: &str) -> Result<String, Vec<String>> {
        let read = user(body, "me", UnixMillis(NOW));
        read.map(UserId::into_string).map_err(|error| {
            let items = error.items.into_iter().map(|item| item.code.replace("accessToken.", ""));
            items.map(|code| format!("{} {code}", error.status.code())).collect()
        })
    }

    fn body(timestamp: i64, expire: i64) -> Value {
        json!({ "userId": "alice", "ownerId": "me", "timestamp": timestamp, "expire": expire })
    }

    #[test]
    fn objects_and_base64_of_them() {
        let text = body(NOW, NOW + 1).to_string();
        assert_eq!(check(&text), Ok("alice".to_owned()));
        assert_eq!(check(&data_encoding::BASE64.encode(text.as_bytes())), Ok("alice".to_owned()));
        let texts = json!({ "userId": "alice", "ownerId": "me", "timestamp": NOW.to_string(), "expire":
            (NOW + 1).to_string(), "more": 1 });
        assert_eq!(check(&texts.to_string()), Ok("alice".to_owned()));
        for wrong in ["", "body", "[]", "\"text\"", "null", "{", "W10=", "e30"] {
            assert_eq!(check(wrong), Err(vec!["400 body.invalid".to_owned()]), "{wrong}");
        }
        let all = ["userId", "ownerId", "timestamp", "expire"].map(|name| format!("400 {name}.require"));
        assert_eq!(check("{}"), Err(all.to_vec()));
        // What a sheet of a transaction has.
        let sheet = json!({ "userId": "alice", "ownerId": "me", "timestamp": NOW, "transactionId": "t" });
        assert_eq!(check(&sheet.to_string()), Err(vec!["400 expire.require".to_owned()]));
        let wrong = json!({ "userId": "", "ownerId": 1, "timestamp": "soon", "expire": 1.5 }).to_string();
        let wrong = check(&wrong).unwrap_err();
        assert_eq!(
            wrong,
            ["400 userId.require", "400 ownerId.invalid", "400 timestamp.invalid", "400 expire.invalid"]
        );
    }

    #[test]
    fn an_hour_at_most() {
        const HOUR: i64 = LIFETIME_MS;
        let at =
            |timestamp, expire| check(&body(timestamp, expire).to_string()).map_err(|items| items.concat());
        let late = Err("401 expire.invalid".to_owned());
        let alice = Ok("alice".to_owned());
        assert_eq!(at(NOW - HOUR + 1, NOW + 1), alice);
        assert_eq!(at(NOW - HOUR, NOW + 1), late);
        assert_eq!(at(NOW, NOW), late);
        assert_eq!(at(NOW - HOUR, i64::MAX), late);
        assert_eq!(at(NOW + AHEAD_MS, i64::MAX), alice);
        assert_eq!(at(NOW + AHEAD_MS + 1, i64::MAX), Err("401 timestamp.invalid".to_owned()));
        assert_eq!(at(i64::MIN, i64::MAX), late);
        let foreign = json!({ "userId": "a", "ownerId": "you", "timestamp": NOW, "expire": NOW + 1 });
        assert_eq!(check(&foreign.to_string()), Err(vec!["401 ownerId.invalid".to_owned()]));
    }
}
