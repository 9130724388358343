//! What is said in rooms, and their passwords, are in clear nowhere in the database (BEHAVIOUR CH-10; `docs/security.md`).

use hiroba_testkit::api::{DUPLICATION_AVOIDER, int};
use hiroba_testkit::chat::{items, texts};
use hiroba_testkit::database::Found;
use hiroba_testkit::{Chat, Database, Gateway, TestServer, on_both_engines};
use serde_json::{Value, json};

use super::{PASSWORD_INVALID, PASSWORD_REQUIRED, refused_with};

const OPEN_TEXT: &str = "xylophone in the open room";
const SHUT_TEXT: &str = "zeppelin in the shut room";
const REPEATED_TEXT: &str = "quicksilver sent with an avoider";
const DELETED_TEXT: &str = "obsidian that was deleted";
const PASSWORD: &str = "marmalade-4711";
const LATER_PASSWORD: &str = "rhubarb-0815";

async fn nothing_in_clear(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let gateway = Gateway::create(&api, "gateway").await;
    let chat = Chat::create_with(&api, "ns", Chat::tells("gateway")).await;
    let once = Chat::of(&api.with(DUPLICATION_AVOIDER, "once"), "ns");
    chat.room("open", json!({ "metadata": "plain words" })).await;
    once.room("shut", json!({ "password": PASSWORD })).await;
    chat.subscribe("shut", "alice", &[]).await;
    let mut alice = gateway.player(&server, "alice").await;

    let shut = |metadata: &str| json!({ "metadata": metadata, "password": PASSWORD });
    chat.post("open", "alice", OPEN_TEXT).await;
    chat.post_with("shut", "alice", shut(SHUT_TEXT)).await.item();
    once.post_with("shut", "alice", shut(REPEATED_TEXT)).await.item();
    let deleted = chat.post_with("shut", "alice", shut(DELETED_TEXT)).await.item();
    let answer = chat.delete_message("shut", "alice", deleted["name"].as_str().unwrap()).await.item();
    assert!(!answer.to_string().contains(DELETED_TEXT), "CH-10: it needs no password");
    for _ in 0..3 {
        alice.socket.notification().await;
    }
    let query = format!("&password={PASSWORD}");
    assert_eq!(texts(&chat.messages("shut", "bob", &query).await), [SHUT_TEXT, REPEATED_TEXT]);

    // CH-07: the old messages follow the new rule.
    once.update("shut", json!({ "password": LATER_PASSWORD })).await;
    refused_with(&chat.list("shut", "bob", &query).await, PASSWORD_INVALID);
    let later = format!("&password={LATER_PASSWORD}");
    assert_eq!(texts(&chat.messages("shut", "bob", &later).await), [SHUT_TEXT, REPEATED_TEXT]);
    drop(alice);
    let secrets = [OPEN_TEXT, SHUT_TEXT, REPEATED_TEXT, DELETED_TEXT, PASSWORD, LATER_PASSWORD];
    let look = || {
        let found = Found::in_database(&database);
        assert!(found.has("plain words"), "the search finds what lies in clear");
        let clear: Vec<&str> = secrets.into_iter().filter(|secret| found.has(secret)).collect();
        assert_eq!(clear, Vec::<&str>::new(), "in clear in the database");
    };
    // With the newest pages in the write-ahead log, and then in the file.
    tokio::task::block_in_place(look);
    let server = server.restart().await;
    tokio::task::block_in_place(look);

    let chat = Chat::of(&server.api().await, "ns");
    assert_eq!(texts(&chat.messages("open", "bob", "").await), [OPEN_TEXT]);
    refused_with(&chat.list("shut", "bob", "").await, PASSWORD_REQUIRED);
    assert_eq!(texts(&chat.messages("shut", "bob", &later).await), [SHUT_TEXT, REPEATED_TEXT]);
    chat.update("shut", json!({})).await;
    assert_eq!(texts(&chat.messages("shut", "bob", "").await), [SHUT_TEXT, REPEATED_TEXT]);
    let all = chat.messages("shut", "bob", "").await;
    let name = all[0]["name"].as_str().unwrap();
    assert_eq!(chat.message("shut", "bob", name, "").await.item(), all[0]);
    chat.update("shut", json!({ "password": PASSWORD })).await;
    refused_with(&chat.message("shut", "bob", name, "").await, PASSWORD_REQUIRED);
    assert_eq!(chat.message("shut", "bob", name, &query).await.item(), all[0]);
    server.stop().await;
}

/// CH-08: no answer holds a password or what it could be found out from.
async fn no_answer_holds_a_password(database: Database) {
    let server = TestServer::start(&database).await;
    let chat = Chat::create(&server.api().await, "ns").await;
    let made = chat.room("shut", json!({ "password": PASSWORD })).await;
    let changed = chat.update("shut", json!({ "password": LATER_PASSWORD, "metadata": "m" })).await;
    assert_eq!(int(&changed, "revision"), 2);
    let got = chat.call("GET", "/room/shut", Value::Null).await.item();
    let page = chat.call("GET", "/room", Value::Null).await.ok();
    let deleted = chat.delete("shut").await.item();
    for room in [&made, &changed, &got, &items(&page)[0], &deleted] {
        let answer = room.to_string();
        for secret in [PASSWORD, LATER_PASSWORD, "argon2", "$v="] {
            assert!(!answer.contains(secret), "{answer}");
        }
    }
    server.stop().await;
}

on_both_engines! {
    nothing_in_clear
    no_answer_holds_a_password
}
