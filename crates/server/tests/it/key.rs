//! Key: what keys encrypt and sign, and where their secrets are (BEHAVIOUR section 11).

mod github;
mod secrecy;
mod sign_in;

use hiroba_testkit::api::{Api, int, text};
use hiroba_testkit::http::Response;
use hiroba_testkit::{Database, Socket, TestServer, on_both_engines};
use serde_json::{Value, json};

const NO_NAMESPACE: &str = "key.namespace.namespace.error.notFound";
const NO_KEY: &str = "key.key.key.error.notFound";
const NOT_ENCRYPTED: &str = "key.key.data.error.invalid";

/// A server with a Key namespace of this name.
async fn start(database: &Database) -> (TestServer, Api) {
    let server = TestServer::start_manual(database).await;
    let api = server.api().await;
    key(&api, "POST", "/", json!({ "name": "ns" })).await.ok();
    (server, api)
}

async fn key(api: &Api, method: &str, path: &str, json: Value) -> Response {
    api.call("key", method, path, json).await
}

async fn create(api: &Api, namespace: &str, name: &str) -> Value {
    key(api, "POST", &format!("/{namespace}/key"), json!({ "name": name })).await.item()
}

async fn cipher(api: &Api, what: &str, path: &str, data: &str) -> Response {
    key(api, "POST", &format!("{path}/{what}"), json!({ "data": data })).await
}

async fn encrypt(api: &Api, path: &str, data: &str) -> String {
    text(&cipher(api, "encrypt", path, data).await.ok(), "data").to_owned()
}

async fn decrypt(api: &Api, path: &str, data: &str) -> String {
    text(&cipher(api, "decrypt", path, data).await.ok(), "data").to_owned()
}

/// K-01: what is answered of a key, and that its secret is not.
async fn keys_are_kept(database: Database) {
    let (server, api) = start(&database).await;
    let made = key(&api, "POST", "/ns/key", json!({ "name": "a", "description": "d" })).await.item();
    let members: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(members, ["createdAt", "description", "keyId", "name", "revision", "updatedAt"]);
    assert_eq!(text(&made, "keyId"), "grn:gs2:ap-northeast-1:hiroba:key:ns:key:a");
    assert_eq!((int(&made, "revision"), int(&made, "createdAt")), (1, server.now()));
    let again = key(&api, "POST", "/ns/key", json!({ "name": "a" })).await;
    again.refused(400, "key", "key.key.name.error.exists");

    let sealed = encrypt(&api, "/ns/key/a", "kept").await;
    server.advance(5);
    let changed = key(&api, "PUT", "/ns/key/a", json!({})).await.item();
    assert_eq!((int(&changed, "revision"), changed.get("description").is_none()), (2, true), "N-13");
    assert_eq!(int(&changed, "updatedAt"), int(&made, "createdAt") + 5);
    assert_eq!(key(&api, "GET", "/ns/key/a", Value::Null).await.item(), changed);
    assert_eq!(decrypt(&api, "/ns/key/a", &sealed).await, "kept", "the secret is still the same");

    create(&api, "ns", "ab").await;
    create(&api, "ns", "b").await;
    let names = async |query: &str| {
        let page = key(&api, "GET", &format!("/ns/key{query}"), Value::Null).await.ok();
        let names = page["items"].as_array().unwrap().iter().map(|item| text(item, "name").to_owned());
        (names.collect::<Vec<_>>(), page["nextPageToken"].as_str().map(str::to_owned))
    };
    assert_eq!(names("").await.0, ["a", "ab", "b"]);
    assert_eq!(names("?namePrefix=a&limit=1").await, (vec!["a".to_owned()], Some("a".to_owned())));
    assert_eq!(names("?namePrefix=a&limit=1&pageToken=a").await, (vec!["ab".to_owned()], None));

    for (method, path) in
        [("GET", "/x/key/a"), ("PUT", "/x/key/a"), ("DELETE", "/x/key/a"), ("GET", "/x/key")]
    {
        key(&api, method, path, json!({})).await.refused(404, "namespace", NO_NAMESPACE);
    }
    for (method, path) in [("GET", "/ns/key/x"), ("PUT", "/ns/key/x"), ("DELETE", "/ns/key/x")] {
        key(&api, method, path, json!({})).await.refused(404, "key", NO_KEY);
    }
    server.stop().await;
}

/// K-02: what one key encrypted only that key decrypts, over both transports.
async fn only_the_same_key_decrypts(database: Database) {
    let (server, api) = start(&database).await;
    key(&api, "POST", "/", json!({ "name": "other" })).await.ok();
    for (namespace, name) in [("ns", "a"), ("ns", "b"), ("other", "a")] {
        create(&api, namespace, name).await;
    }
    let long = "𠮷xé".repeat(174_762);
    for plain in ["t", "two words", "null", &long] {
        let sealed = encrypt(&api, "/ns/key/a", plain).await;
        assert_ne!(sealed, encrypt(&api, "/ns/key/a", plain).await);
        assert_eq!(decrypt(&api, "/ns/key/a", &sealed).await, plain);
    }
    let sealed = encrypt(&api, "/ns/key/a", "plain").await;
    for path in ["/ns/key/b", "/other/key/a"] {
        cipher(&api, "decrypt", path, &sealed).await.refused(400, "key", NOT_ENCRYPTED);
    }
    let bytes = data_encoding::BASE64.decode(sealed.as_bytes()).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        let changed = data_encoding::BASE64.encode(&changed);
        cipher(&api, "decrypt", "/ns/key/a", &changed).await.refused(400, "key", NOT_ENCRYPTED);
    }
    for wrong in ["x", "AQ==", "あ", &sealed[4..], &format!("{sealed}AAAA"), &format!(" {sealed}")] {
        cipher(&api, "decrypt", "/ns/key/a", wrong).await.refused(400, "key", NOT_ENCRYPTED);
    }
    cipher(&api, "encrypt", "/ns/key/x", "t").await.refused(404, "key", NO_KEY);
    cipher(&api, "decrypt", "/x/key/a", "t").await.refused(404, "namespace", NO_NAMESPACE);
    cipher(&api, "encrypt", "/ns/key/a", "").await.refused(400, "key", "key.key.data.error.require");
    let too_long = cipher(&api, "encrypt", "/ns/key/a", &format!("{long}xxx")).await;
    too_long.refused(400, "key", "key.key.data.error.tooLong");

    let mut socket = Socket::open(server.address()).await;
    let fields = json!({ "namespaceName": "ns", "keyName": "a", "data": sealed,
        "xGs2ProjectToken": api.project_token() });
    let answer = socket.call(("key", "key", "decrypt"), fields).await.ok();
    assert_eq!(text(&answer, "data"), "plain");
    socket.close().await;

    // K-04: a new key of this name is another one.
    key(&api, "DELETE", "/ns/key/a", Value::Null).await.item();
    cipher(&api, "decrypt", "/ns/key/a", &sealed).await.refused(404, "key", NO_KEY);
    create(&api, "ns", "a").await;
    cipher(&api, "decrypt", "/ns/key/a", &sealed).await.refused(400, "key", NOT_ENCRYPTED);
    server.stop().await;
}

/// N-14: nothing is left of a namespace, and one of the same name has none of it.
async fn a_namespace_takes_its_keys_along(database: Database) {
    let (server, api) = start(&database).await;
    create(&api, "ns", "a").await;
    let kept = json!({ "name": "hub", "apiKey": "token", "encryptionKeyName": "a" });
    key(&api, "POST", "/ns/github", kept).await.item();
    key(&api, "DELETE", "/ns", Value::Null).await.item();
    assert_eq!(server.count("SELECT COUNT(*) FROM key_key").await, 0);
    assert_eq!(server.count("SELECT COUNT(*) FROM key_git_hub_api_key").await, 0);
    key(&api, "POST", "/", json!({ "name": "ns" })).await.ok();
    key(&api, "GET", "/ns/key/a", Value::Null).await.refused(404, "key", NO_KEY);
    server.stop().await;
}

on_both_engines! {
    keys_are_kept
    only_the_same_key_decrypts
    a_namespace_takes_its_keys_along
}
