//! Signing in with a signed body (BEHAVIOUR A-03 … A-05, K-04).

use aws_lc_rs::hmac;
use hiroba_testkit::api::{ACCESS_TOKEN, Api, int, text};
use hiroba_testkit::http::Response;
use hiroba_testkit::{Database, Engine, Socket, TestServer, on_both_engines};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{create, key, start};
use crate::running::program;

const HOUR_MS: i64 = 3_600_000;
const BAD_SIGNATURE: &str = "auth.accessToken.signature.error.invalid";
const NO_KEY: &str = "auth.accessToken.keyId.error.notFound";
const BAD_KEY: &str = "auth.accessToken.keyId.error.invalid";

/// What an account service does with the secret that the operator gave it.
fn sign(secret: &str, body: &str) -> String {
    let bytes = data_encoding::HEXLOWER.decode(secret.as_bytes()).unwrap();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), body.as_bytes());
    data_encoding::HEXLOWER.encode(tag.as_ref())
}

fn body(server: &TestServer) -> Value {
    json!({ "userId": "alice", "ownerId": "hiroba", "timestamp": server.now(), "expire": server.now() + HOUR_MS })
}

async fn sign_in(api: &Api, key_id: Option<&str>, body: &str, signature: &str) -> Response {
    let json = json!({ "keyId": key_id, "body": body, "signature": signature });
    api.call("auth", "POST", "/login/signed", json).await
}

/// with the default key and a named one, the body as it is and in base64, over both transports.
async fn a_signed_body_signs_in(database: Database) {
    let (server, api) = start(&database).await;
    let default = json!({ "name": "default" });
    key(&api, "POST", "/", default).await.ok();
    create(&api, "default", "default").await;
    api.create_namespace("locks").await;
    let named = text(&create(&api, "ns", "signer").await, "keyId").to_owned();
    let text_body = body(&server).to_string();
    let base64 = data_encoding::BASE64.encode(text_body.as_bytes());
    let placeholder = "grn:gs2:{region}:{ownerId}:key:ns:key:signer";
    for (number, key_id) in [None, Some(named.as_str()), Some(placeholder)].into_iter().enumerate() {
        let secret = server.app().signing_secret(key_id).await.unwrap();
        for body in [&text_body, &base64] {
            let signature = sign(&secret, body);
            let answer = sign_in(&api, key_id, body, &signature).await.ok();
            let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
            assert_eq!(members, ["expire", "token", "userId"], "A-04");
            assert_eq!((text(&answer, "userId"), int(&answer, "expire")), ("alice", server.now() + HOUR_MS));
            let player = api.with(ACCESS_TOKEN, text(&answer, "token"));
            player.mutexes("locks", "me").lock(&format!("{number}{signature}"), "t").await.item();

            let mut socket = Socket::open(server.address()).await;
            let fields = json!({ "xGs2ProjectToken": api.project_token(), "keyId": key_id, "body": body,
                "signature": signature.to_uppercase() });
            let answer = socket.call(("auth", "accessToken", "loginBySignature"), fields).await.ok();
            assert_eq!(text(&answer, "userId"), "alice");
            socket.close().await;
        }
    }
    server.stop().await;
}

/// K-04: everything that is not just this is refused.
async fn anything_else_is_refused(database: Database) {
    let (server, api) = start(&database).await;
    let key_id = text(&create(&api, "ns", "signer").await, "keyId").to_owned();
    let other = text(&create(&api, "ns", "other").await, "keyId").to_owned();
    let key_id = Some(key_id.as_str());
    let secret = server.app().signing_secret(key_id).await.unwrap();
    let valid = body(&server);
    let text_body = valid.to_string();
    let signature = sign(&secret, &text_body);
    sign_in(&api, key_id, &text_body, &signature).await.ok();

    for wrong in [
        "signature",
        &signature[1..],
        &format!("{signature}0"),
        &format!("{signature}00"),
        &sign(&"00".repeat(32), &text_body),
    ] {
        sign_in(&api, key_id, &text_body, wrong).await.refused(401, "accessToken", BAD_SIGNATURE);
    }
    let changed = text_body.replace("alice", "bob");
    sign_in(&api, key_id, &changed, &signature).await.refused(401, "accessToken", BAD_SIGNATURE);
    sign_in(&api, Some(&other), &text_body, &signature).await.refused(401, "accessToken", BAD_SIGNATURE);
    // Nothing is told about a body that is not signed.
    sign_in(&api, key_id, "{}", &signature).await.refused(401, "accessToken", BAD_SIGNATURE);

    let refused = async |body: &str, status, message: &str| {
        let message = format!("auth.accessToken.{message}");
        let answer = sign_in(&api, key_id, body, &sign(&secret, body)).await;
        answer.refused(status, "accessToken", &message);
    };
    refused("body", 400, "body.error.invalid").await;
    refused("{}", 400, "userId.error.require").await;
    let with = |name: &str, value: Value| {
        let mut body = valid.clone();
        body[name] = value;
        body.to_string()
    };
    refused(&with("userId", json!("a".repeat(129))), 400, "userId.error.tooLong").await;
    refused(&with("ownerId", json!("somebody")), 401, "ownerId.error.invalid").await;
    refused(&with("expire", json!(server.now())), 401, "expire.error.invalid").await;
    refused(&with("timestamp", json!(server.now() - HOUR_MS)), 401, "expire.error.invalid").await;
    refused(&with("timestamp", json!(server.now() + HOUR_MS)), 401, "timestamp.error.invalid").await;

    // an hour, to the millisecond.
    let later = with("expire", json!(server.now() + 10 * HOUR_MS));
    for (milliseconds, alive) in [(HOUR_MS - 1, true), (1, false)] {
        server.advance(milliseconds);
        let answer = sign_in(&server.api().await, key_id, &later, &sign(&secret, &later)).await;
        match alive {
            true => drop(answer.ok()),
            false => answer.refused(401, "accessToken", "auth.accessToken.expire.error.invalid"),
        }
    }

    let api = server.api().await;
    sign_in(&api, None, &text_body, &signature).await.refused(400, "accessToken", NO_KEY);
    for wrong in [
        "k",
        "grn:gs2:ap-northeast-1:hiroba:lock:ns",
        "grn:gs2:ap-northeast-1:hiroba:key:ns:github:signer",
        "grn:gs2:ap-northeast-1:somebody:key:ns:key:signer",
        "grn:gs2:us-east-1:hiroba:key:ns:key:signer",
    ] {
        sign_in(&api, Some(wrong), &text_body, &signature).await.refused(400, "accessToken", BAD_KEY);
    }
    // K-04: with the key its signatures are gone, also when there is one of the same name.
    let fresh = body(&server).to_string();
    let signature = sign(&secret, &fresh);
    sign_in(&api, key_id, &fresh, &signature).await.ok();
    key(&api, "DELETE", "/ns/key/signer", Value::Null).await.item();
    sign_in(&api, key_id, &fresh, &signature).await.refused(400, "accessToken", NO_KEY);
    create(&api, "ns", "signer").await;
    sign_in(&api, key_id, &fresh, &signature).await.refused(401, "accessToken", BAD_SIGNATURE);
    server.stop().await;
}

/// The operator's way to the secret: the program prints it, of the key that was named.
async fn the_program_prints_the_secret(database: Database) {
    let (server, api) = start(&database).await;
    let key_id = text(&create(&api, "ns", "signer").await, "keyId").to_owned();
    let secret = server.app().signing_secret(Some(&key_id)).await.unwrap();
    let run = |argument: Option<&str>| {
        let builder = program(&database).command_named("signing-secret");
        let builder = argument.iter().fold(builder, |builder, argument| builder.arg(argument));
        block_in_place(|| builder.run_to_end())
    };
    let named = format!("--key-id={key_id}");
    let (status, printed, logged) = run(Some(&named));
    if database.engine() == Engine::Sqlite {
        assert!(!status.success() && logged.contains("in use"), "{logged}");
        server.stop().await;
        assert_eq!(run(Some(&named)).1, format!("{secret}\n"));
    } else {
        assert!(status.success(), "{logged}");
        assert_eq!(printed, format!("{secret}\n"));
        server.stop().await;
    }
    let (status, printed, logged) = run(None);
    assert!(
        !status.success() && printed.is_empty() && logged.contains("there is no key `default`"),
        "{logged}"
    );
    let (status, _, logged) = run(Some("--key-id=key"));
    assert!(!status.success() && logged.contains("form"), "{logged}");
}

on_both_engines! {
    a_signed_body_signs_in
    anything_else_is_refused
    the_program_prints_the_secret
}
