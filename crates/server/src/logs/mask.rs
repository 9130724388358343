//! Keeps secrets out of logs (BEHAVIOUR LG-11): the values of members with certain names, also in the JSON texts that stand
//! inside of JSON texts.

use std::collections::BTreeSet;

use hiroba_api::contract::{FieldInfo, Kind, Table};
use hiroba_api::log::MASK;
use hiroba_api::reference;
use serde_json::Value;

/// What no declaration says to be secret, or what texts from outside hold: a second line of defence.
const NAMES: &[&str] = &[
    "Authorization",
    "access_token",
    "accessToken",
    "apiKey",
    "apiToken",
    "authorization",
    "awsSecretAccessKey",
    "awsSessionToken",
    "challengeToken",
    "clientSecret",
    "client_secret",
    "firebaseSecret",
    "firebaseToken",
    "gcpCredentialJson",
    "masterKey",
    "newPassword",
    "oldPassword",
    "otp",
    "passcode",
    "password",
    "privateKey",
    "private_key",
    "projectToken",
    "secret",
    "secretAccessKey",
    "secretKey",
    "signature",
    "timeOffsetToken",
    "token",
    "uploadToken",
    "uploadUrl",
    "xGs2AccessToken",
    "xGs2ProjectToken",
];
/// What Key encrypts, and what it answers of it.
const KEY_SERVICE: &str = "key";
const KEY_DATA: &str = "data";
/// JSON texts inside of each other that are looked into.
const DEPTH_MAX: u8 = 16;

/// The names whose values are secret.
#[derive(Debug)]
pub(crate) struct Mask {
    names: BTreeSet<&'static str>,
    /// Which ends and lengths they have, so that most other names are told apart at once.
    seen: [bool; 256],
}

impl Mask {
    /// Those that the declarations say, and [`NAMES`].
    pub(crate) fn new(table: &Table) -> Mask {
        let mut names: BTreeSet<&'static str> = NAMES.iter().copied().collect();
        for row in table.rows() {
            let request = reference::request_fields(row).into_iter().map(|field| field.info);
            collect(&request.collect::<Vec<_>>(), &mut names);
            collect(&reference::answer_fields(row), &mut names);
        }
        // Secret with Key only: elsewhere it is any data.
        names.remove(KEY_DATA);
        let mut seen = [false; 256];
        for name in names.iter().chain([&KEY_DATA]) {
            seen[usize::from(slot(name.as_bytes()))] = true;
        }
        Mask { names, seen }
    }

    /// The text without the secrets in it. A text that holds none stays as it is.
    pub(crate) fn text(&self, service: &str, text: String) -> String {
        if !self.may_hold_secrets(service, &text) {
            return text;
        }
        match serde_json::from_str::<Value>(&text) {
            Ok(mut value) => {
                self.value(service, &mut value, 0);
                value.to_string()
            }
            Err(_) => text,
        }
    }

    fn is_secret(&self, service: &str, name: &str) -> bool {
        self.names.contains(name) || (service == KEY_SERVICE && name == KEY_DATA)
    }

    /// Whether a member has a secret name, however deep in texts inside of texts.
    fn may_hold_secrets(&self, service: &str, text: &str) -> bool {
        let bytes = text.as_bytes();
        memchr::memchr_iter(b':', bytes).any(|colon| {
            let before = bytes[..colon].trim_ascii_end();
            // Each level of nesting puts a backslash before the quotation mark.
            let Some(before) = before.strip_suffix(b"\"") else { return false };
            let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
            let before = &before[..before.len() - slashes];
            let letters =
                before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
            let name = &before[before.len() - letters..];
            self.seen[usize::from(slot(name))]
                && std::str::from_utf8(name).is_ok_and(|name| self.is_secret(service, name))
        })
    }

    fn value(&self, service: &str, value: &mut Value, depth: u8) {
        match value {
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    if self.is_secret(service, name) {
                        if !member.is_null() {
                            *member = MASK.into();
                        }
                    } else {
                        self.value(service, member, depth);
                    }
                }
            }
            Value::Array(elements) => {
                elements.iter_mut().for_each(|element| self.value(service, element, depth));
            }
            Value::String(text) if depth < DEPTH_MAX && text.trim_start().starts_with(['{', '[']) => {
                if self.may_hold_secrets(service, text)
                    && let Ok(mut inner) = serde_json::from_str::<Value>(text)
                {
                    self.value(service, &mut inner, depth + 1);
                    *text = inner.to_string();
                }
            }
            _ => {}
        }
    }
}

/// Where a name is noted in [`Mask::seen`].
fn slot(name: &[u8]) -> u8 {
    let last = name.last().copied().unwrap_or_default();
    (name.len() as u8).wrapping_mul(31) ^ last
}

fn collect(infos: &[FieldInfo], names: &mut BTreeSet<&'static str>) {
    for info in infos {
        if info.shape.secret {
            names.insert(info.name);
        }
        let mut kind = &info.shape.kind;
        while let Kind::List(element) = kind {
            kind = &element.kind;
        }
        if let Kind::Model { fields, .. } = kind {
            collect(fields, names);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(service: &str, value: &Value) -> Value {
        let text = Mask::new(&hiroba_api::table()).text(service, value.to_string());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn lg11_secrets_are_masked_wherever_they_stand() {
        let inner = json!({ "password": "a \"b\"", "n": [{ "signature": "s" }] });
        let middle = json!({ "body": inner.to_string(), "token": 5 });
        let outer =
            json!({ "args": middle.to_string(), "firebaseSecret": { "private_key": "k" }, "password": null });
        let got = masked("chat", &outer);
        let middle: Value = serde_json::from_str(got["args"].as_str().unwrap()).unwrap();
        let inner: Value = serde_json::from_str(middle["body"].as_str().unwrap()).unwrap();
        assert_eq!(inner, json!({ "password": MASK, "n": [{ "signature": MASK }] }));
        assert_eq!(
            (&middle["token"], &got["firebaseSecret"], &got["password"]),
            (&json!(MASK), &json!(MASK), &Value::Null)
        );
        let spaced = json!({ "args": "{ \"password\" : \"x\" }" });
        assert_eq!(masked("chat", &spaced)["args"], "{\"password\":\"***\"}");
    }

    #[test]
    fn what_is_declared_secret_is_masked() {
        let mask = Mask::new(&hiroba_api::table());
        for name in ["firebaseSecret", "gcpCredentialJson", "awsSecretAccessKey", "password"] {
            assert!(mask.names.contains(name), "{name}");
        }
        // Whether or not the list above has them.
        let mut declared = BTreeSet::new();
        for row in hiroba_api::table().rows() {
            let request = reference::request_fields(row).into_iter().map(|field| field.info);
            collect(&request.collect::<Vec<_>>(), &mut declared);
        }
        assert!(declared.contains("firebaseSecret") && declared.contains("password"), "{declared:?}");
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        let mask = Mask::new(&hiroba_api::table());
        for text in [
            r#"{"b":1, "a": "password", "pageToken":"x","nextPageToken":"y"}"#,
            r#"{"propertyId":"password:x","args":"no json \"data\": {"}"#,
            "no JSON at all, password: x",
            "",
            ":\":",
        ] {
            assert_eq!(mask.text("lock", text.to_owned()), text);
        }
        let data = json!({ "data": "plain" });
        assert_eq!((masked("key", &data), masked("chat", &data)), (json!({ "data": MASK }), data));
    }
}
