//! Secrets of keys and keys of GitHub are in clear nowhere in the database, and come under a new master key (K-01, K-03).

use hiroba_testkit::api::{DUPLICATION_AVOIDER, text};
use hiroba_testkit::database::{Found, MASTER_KEY};
use hiroba_testkit::{Database, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{create, decrypt, encrypt, key};

const OTHER_KEY: &str = "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf";
const TOKEN: &str = "github_pat_that_nobody_may_read";

async fn nothing_in_clear(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await.with(DUPLICATION_AVOIDER, "once");
    key(&api, "POST", "/", json!({ "name": "default", "description": "plain words" })).await.ok();
    create(&api, "default", "default").await;
    let kept = json!({ "name": "hub", "apiKey": TOKEN, "encryptionKeyName": "default" });
    let made = key(&api, "POST", "/default/github", kept.clone()).await.item();
    let changed = key(&api, "PUT", "/default/github/hub", kept).await.item();
    let got = key(&api, "GET", "/default/github/hub", Value::Null).await.item();
    let page = key(&api, "GET", "/default/github", Value::Null).await.ok();
    for answer in [&made, &changed, &got, &page["items"][0]] {
        assert_eq!(text(answer, "apiKey"), "********", "K-03");
        assert!(!answer.to_string().contains(TOKEN), "{answer}");
    }
    let sealed = encrypt(&api, "/default/key/default", "a text that only the caller keeps").await;
    let secret = server.app().signing_secret(None).await.unwrap();
    let bytes = data_encoding::HEXLOWER.decode(secret.as_bytes()).unwrap();
    assert_eq!(bytes.len(), 32);
    for answer in [&made, &page] {
        assert!(!answer.to_string().contains(&secret));
    }
    let look = || {
        let found = Found::in_database(&database);
        assert!(found.has("plain words"), "the search finds what lies in clear");
        for wanted in [TOKEN, &secret, "a text that only the caller keeps", &sealed] {
            assert!(!found.has(wanted), "{wanted}");
        }
        assert!(!found.has(&bytes) && !found.has(data_encoding::BASE64.encode(&bytes)));
    };
    block_in_place(look);
    let server = server.restart().await;
    block_in_place(look);
    assert_eq!(server.app().signing_secret(None).await.unwrap(), secret);
    server.stop().await;
}

/// A new master key seals the secrets of keys, and the old one can go: more keys than one batch has.
async fn a_new_master_key_seals_them(database: Database) {
    let with_keys = |keys: String| {
        TestServer::builder(&database)
            .manual_clock()
            .config(move |config| config.master_key = Some(keys.into()))
    };
    let server = with_keys(MASTER_KEY.to_owned()).start().await;
    let api = server.api().await;
    key(&api, "POST", "/", json!({ "name": "ns" })).await.ok();
    for number in 0..120 {
        create(&api, "ns", &format!("key-{number}")).await;
    }
    let sealed = encrypt(&api, "/ns/key/key-119", "plain").await;
    let id = "grn:gs2:{region}:{ownerId}:key:ns:key:key-7";
    let secret = server.app().signing_secret(Some(id)).await.unwrap();
    server.stop().await;

    let server = with_keys(format!("{OTHER_KEY},{MASTER_KEY}")).start().await;
    let others = "SELECT COUNT(*) FROM key_key WHERE substr(secret, 2, 4)
        <> (SELECT substr(value, 2, 4) FROM server_setting WHERE name = 'master_key_check')";
    let none = async || (server.count(others).await == 0).then_some(());
    eventually("the secrets to be sealed", none).await;
    server.stop().await;

    let server = with_keys(OTHER_KEY.to_owned()).start().await;
    let api = server.api().await;
    assert_eq!(decrypt(&api, "/ns/key/key-119", &sealed).await, "plain");
    assert_eq!(server.app().signing_secret(Some(id)).await.unwrap(), secret);
    server.stop().await;
}

on_both_engines! {
    nothing_in_clear
    a_new_master_key_seals_them
}
