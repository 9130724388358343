//! Master data of Chat: uploads, documents in force and drafts (BEHAVIOUR CH-32 … CH-34).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hiroba_testkit::api::{ACCESS_TOKEN, Api, DRY_RUN, int, text};
use hiroba_testkit::http::{Connection, Request, Response};
use hiroba_testkit::{Database, Engine, Socket, TestServer, eventually, on_both_engines, within};
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;
/// Bytes of an upload.
const BYTES_MAX: usize = 8 << 20;
const UPLOADS: &str = "SELECT COUNT(*) FROM upload";

const BAD_TOKEN: &str = "chat.currentModelMaster.uploadToken.error.invalid";
const NOTHING_UPLOADED: &str = "chat.currentModelMaster.uploadToken.error.require";
const NO_MASTER: &str = "chat.currentModelMaster.currentModelMaster.error.notFound";
const NO_MODEL: &str = "chat.categoryModel.categoryModel.error.notFound";
const NO_DRAFT: &str = "chat.categoryModelMaster.categoryModelMaster.error.notFound";
const NO_NAMESPACE: &str = "chat.namespace.namespace.error.notFound";

async fn start(database: &Database) -> (TestServer, Api) {
    let server = TestServer::start_manual(database).await;
    let api = server.api().await;
    for namespace in ["ns", "other"] {
        chat(&api, "POST", "/", json!({ "name": namespace })).await.ok();
    }
    (server, api)
}

async fn chat(api: &Api, method: &str, path: &str, json: Value) -> Response {
    api.call("chat", method, path, json).await
}

/// A document with these categories and whether they refuse players.
fn document(categories: &[(i32, bool)]) -> String {
    let element = |(category, rejects): &(i32, bool)| {
        let rejects = if *rejects { "Enabled" } else { "Disabled" };
        json!({ "category": category, "rejectAccessTokenPost": rejects })
    };
    let models: Vec<Value> = categories.iter().map(element).collect();
    json!({ "version": "2020-04-30", "categoryModels": models }).to_string()
}

async fn activate(api: &Api, namespace: &str, settings: &str) -> Response {
    chat(api, "PUT", &format!("/{namespace}/master"), json!({ "settings": settings })).await
}

async fn activate_upload(api: &Api, namespace: &str, token: &str) -> Response {
    let json = json!({ "mode": "preUpload", "uploadToken": token });
    chat(api, "PUT", &format!("/{namespace}/master"), json).await
}

/// Token and path of a prepared upload.
async fn prepare(api: &Api, namespace: &str) -> (String, String) {
    let answer = chat(api, "POST", &format!("/{namespace}/master"), json!({})).await.ok();
    let url = text(&answer, "uploadUrl");
    assert!(url.starts_with("http://127.0.0.1/"), "{url}");
    (text(&answer, "uploadToken").to_owned(), url["http://127.0.0.1".len()..].to_owned())
}

fn put(path: &str, content: impl Into<Vec<u8>>) -> Request {
    Request::new("PUT", path).header("Content-Type", "application/json").body(content)
}

/// Uploads without any token of a caller.
async fn upload(server: &TestServer, path: &str, content: impl Into<Vec<u8>>) -> Response {
    let mut connection = Connection::open(server.address()).await;
    let answer = within("the answer to an upload", connection.exchange(&put(path, content).bytes())).await;
    answer.expect("an upload is answered")
}

/// Category numbers in force.
async fn categories(api: &Api, namespace: &str) -> Vec<i64> {
    let answer = chat(api, "GET", &format!("/{namespace}/model"), Value::Null).await.ok();
    let items = answer["items"].as_array().expect("a list has items");
    items.iter().map(|item| int(item, "category")).collect()
}

/// What the Python SDK does: prepare, PUT, update with the token; a token works once and only where it belongs.
async fn an_upload_comes_into_force(database: Database) {
    let (server, api) = start(&database).await;
    let settings = format!("\n{}  ", document(&[(7, true), (3, false)]));

    let (token, path) = prepare(&api, "ns").await;
    activate_upload(&api, "ns", &token).await.refused(400, "currentModelMaster", NOTHING_UPLOADED);
    let answer = upload(&server, &path, document(&[(1, false)])).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(upload(&server, &path, "no JSON").await.status, 200);
    let broken = activate_upload(&api, "ns", &token).await;
    broken.refused(400, "currentModelMaster", "chat.currentModelMaster.settings.error.invalid");
    assert_eq!(upload(&server, &path, b"{\xff".to_vec()).await.status, 200);
    let broken = activate_upload(&api, "ns", &token).await;
    broken.refused(400, "currentModelMaster", "chat.currentModelMaster.settings.error.invalid");
    // What was refused can be replaced, and the last one counts.
    assert_eq!(upload(&server, &path, settings.clone()).await.status, 200);

    activate_upload(&api, "other", &token).await.refused(400, "currentModelMaster", BAD_TOKEN);
    activate_upload(&api, "nowhere", &token).await.refused(404, "namespace", NO_NAMESPACE);
    assert!(categories(&api, "ns").await.is_empty());
    let dry = api.with(DRY_RUN, "true");
    activate_upload(&dry, "ns", &token).await.item();
    assert!(categories(&api, "ns").await.is_empty());

    let item = activate_upload(&api, "ns", &token).await.item();
    assert_eq!(text(&item, "settings"), settings);
    assert_eq!(text(&item, "namespaceId"), "grn:gs2:ap-northeast-1:hiroba:chat:ns");
    assert_eq!(chat(&api, "GET", "/ns/master", Value::Null).await.item(), item);
    assert_eq!(categories(&api, "ns").await, [3, 7]);
    assert!(categories(&api, "other").await.is_empty());

    // A compressed one too; what the document does not say has its default.
    let (zipped, path_of_zipped) = prepare(&api, "other").await;
    let small = r#"{"version":"2020-04-30","categoryModels":[{"category":1}]}"#;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(small.as_bytes()).unwrap();
    let request = put(&path_of_zipped, encoder.finish().unwrap()).header("Content-Encoding", "gzip");
    assert_eq!(api.send(&request).await.status, 200);
    let item = activate_upload(&api, "other", &zipped).await.item();
    assert_eq!(text(&item, "settings"), small);
    let model = chat(&api, "GET", "/other/model/1", Value::Null).await.item();
    assert_eq!(text(&model, "rejectAccessTokenPost"), "Disabled");

    activate_upload(&api, "ns", &token).await.refused(400, "currentModelMaster", BAD_TOKEN);
    let used = "server.upload.upload.error.notFound";
    upload(&server, &path, settings.clone()).await.refused(404, "upload", used);
    assert_eq!(server.count(UPLOADS).await, 0);
    server.stop().await;
}

/// Unknown and expired tokens, contents that are too large, other methods.
async fn uploads_are_bounded(database: Database) {
    let (server, api) = start(&database).await;
    let unknown = "server.upload.upload.error.notFound";
    upload(&server, "/~upload/", "x").await.refused(404, "upload", unknown);
    upload(&server, "/~upload/nothing", "x").await.refused(404, "upload", unknown);
    let (token, path) = prepare(&api, "ns").await;
    upload(&server, &format!("{path}x"), "x").await.refused(404, "upload", unknown);
    for method in ["GET", "POST", "DELETE"] {
        let answer = api.send(&Request::new(method, &path)).await;
        answer.refused(400, "upload", "server.upload.method.error.invalid");
    }

    let too_large = upload(&server, &path, vec![b' '; BYTES_MAX + 1]).await;
    assert_eq!(too_large.status, 413);
    let error: Value = serde_json::from_slice(&too_large.body).expect("a refusal is JSON");
    assert!(text(&error, "message").contains("server.upload.content.error.tooLong"), "{error}");
    let mut chunked = put(&path, Vec::new()).header("Transfer-Encoding", "chunked").bytes();
    for _ in 0..=BYTES_MAX >> 20 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.resize(chunked.len() + (1 << 20), b' ');
        chunked.extend_from_slice(b"\r\n");
    }
    let mut connection = Connection::open(server.address()).await;
    let answer = within("the answer to chunks", connection.exchange(&chunked)).await;
    assert!(answer.is_none_or(|answer| answer.status == 413));

    // The largest upload, which is a document of too many characters.
    assert_eq!(upload(&server, &path, vec![b' '; BYTES_MAX]).await.status, 200);
    let too_long = activate_upload(&api, "ns", &token).await;
    too_long.refused(400, "currentModelMaster", "chat.currentModelMaster.settings.error.tooLong");
    // Characters count, not bytes.
    let padded = |character: &str, count| {
        let models = document(&[]);
        format!("{{\"padding\":\"{}\",{}", character.repeat(count), &models[1..])
    };
    assert_eq!(upload(&server, &path, padded("é", 4_000_000)).await.status, 200);
    activate_upload(&api, "ns", &token).await.item();

    let (token, path) = prepare(&api, "ns").await;
    let values = format!("{{\"x\":[{}]}}", vec!["0"; 200_000].join(","));
    assert_eq!(upload(&server, &path, values).await.status, 200);
    let too_many = activate_upload(&api, "ns", &token).await;
    too_many.refused(400, "currentModelMaster", "chat.currentModelMaster.settings.error.tooMany");

    assert_eq!(upload(&server, &path, document(&[(1, true)])).await.status, 200);
    server.advance(HOUR_MS - 1);
    server.sweep().await;
    assert_eq!(server.count(UPLOADS).await, 1);
    assert_eq!(upload(&server, &path, document(&[(2, true)])).await.status, 200);
    server.advance(1);
    let api = server.api().await;
    upload(&server, &path, "x").await.refused(404, "upload", unknown);
    activate_upload(&api, "ns", &token).await.refused(400, "currentModelMaster", BAD_TOKEN);
    server.sweep().await;
    assert_eq!(server.count(UPLOADS).await, 0);
    server.stop().await;
}

/// The URL of an upload is one that the caller reaches, over both transports.
async fn upload_urls_are_reachable(database: Database) {
    let (server, api) = start(&database).await;
    let url = async |api: &Api, headers: &[(&str, &str)]| {
        let mut request = api.request("chat", "POST", "/ns/master", &json!({}));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        text(&api.send(&request).await.ok(), "uploadUrl").to_owned()
    };
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("Host", "game.example:8080")], "http://game.example:8080/~upload/"),
        (&[("Host", "game.example"), ("X-Forwarded-Proto", "https")], "https://game.example/~upload/"),
        (&[("Host", "[::1]:80"), ("X-Forwarded-Proto", "gopher")], "http://[::1]:80/~upload/"),
        (&[("Host", "a/b")], &format!("{}/~upload/", server.url())),
    ];
    for (headers, beginning) in cases {
        let url = url(&api, headers).await;
        assert!(url.starts_with(beginning), "{url} for {headers:?}");
    }
    let mut socket = Socket::open(server.address()).await;
    let fields = json!({ "xGs2ProjectToken": api.project_token(), "namespaceName": "ns" });
    let function = ("chat", "currentModelMaster", "preUpdateCurrentModelMaster");
    let answer = socket.call(function, fields).await.ok();
    assert!(text(&answer, "uploadUrl").starts_with("http://127.0.0.1/~upload/"), "{answer}");
    server.stop().await;

    let public = Some("https://public.example/game".to_owned());
    let server = TestServer::builder(&database).manual_clock().config(|config| config.public_url = public);
    let server = server.start().await;
    let url = url(&server.api().await, &[("Host", "inside")]).await;
    assert!(url.starts_with("https://public.example/game/~upload/"), "{url}");
    server.stop().await;
}

/// What is wrong with a call and with a document; each time nothing changes.
async fn a_document_is_refused_whole(database: Database) {
    let (server, api) = start(&database).await;
    let before = document(&[(5, true)]);
    activate(&api, "ns", &before).await.item();
    let messages = async |json: Value| -> Vec<String> {
        let answer = chat(&api, "PUT", "/ns/master", json).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        answer.refusals().into_iter().map(|refusal| refusal.message).collect()
    };
    let current = |rest: &str| format!("chat.currentModelMaster.{rest}");
    let one_of = |problem: &str| {
        vec![current(&format!("settings.error.{problem}")), current(&format!("uploadToken.error.{problem}"))]
    };
    assert_eq!(messages(json!({})).await, one_of("require"));
    assert_eq!(messages(json!({ "settings": before, "uploadToken": "t" })).await, one_of("invalid"));
    let unknown_mode = json!({ "mode": "later", "settings": before });
    assert_eq!(messages(unknown_mode).await, [current("mode.error.invalid")]);
    let direct = json!({ "mode": "direct", "uploadToken": "t" });
    assert_eq!(messages(direct).await, [current("settings.error.require")]);
    let pre_upload = json!({ "mode": "preUpload", "settings": before });
    assert_eq!(messages(pre_upload).await, [current("uploadToken.error.require")]);

    let settings = |document: Value| json!({ "settings": document.to_string() });
    for wrong in ["[]", "no JSON", "{", "\u{feff}{}", "null", "{} {}"] {
        let messages = messages(json!({ "settings": wrong })).await;
        assert_eq!(messages, [current("settings.error.invalid")], "{wrong}");
    }
    assert_eq!(
        messages(settings(json!({}))).await,
        [current("version.error.require"), current("categoryModels.error.require")]
    );
    let many: Vec<Value> = (0..1001).map(|category| json!({ "category": category })).collect();
    assert_eq!(
        messages(settings(json!({ "version": "2019-01-01", "categoryModels": many }))).await,
        [current("version.error.invalid"), current("categoryModels.error.tooMany")]
    );
    let models = json!([
        { "category": -1, "rejectAccessTokenPost": "Perhaps" },
        { "category": 4 },
        {},
        "no object",
        { "category": "4", "rejectAccessTokenPost": "Enabled" },
        { "category": 2_147_483_646 },
    ]);
    let model = |rest: &str| format!("chat.categoryModel.{rest}");
    assert_eq!(
        messages(settings(json!({ "version": 1, "categoryModels": models }))).await,
        [
            current("version.error.invalid"),
            model("category.error.invalid"),
            model("rejectAccessTokenPost.error.invalid"),
            model("category.error.require"),
            current("categoryModels.error.invalid"),
            model("category.error.duplicate"),
            model("category.error.invalid"),
        ]
    );
    assert_eq!(text(&chat(&api, "GET", "/ns/master", Value::Null).await.item(), "settings"), before);
    assert_eq!(categories(&api, "ns").await, [5]);
    server.stop().await;
}

/// Before the first document, and the namespace itself missing.
async fn nothing_is_in_force_at_first(database: Database) {
    let (server, api) = start(&database).await;
    chat(&api, "GET", "/ns/master", Value::Null).await.refused(404, "currentModelMaster", NO_MASTER);
    assert!(categories(&api, "ns").await.is_empty());
    chat(&api, "GET", "/ns/model/0", Value::Null).await.refused(404, "categoryModel", NO_MODEL);
    let exported = chat(&api, "GET", "/ns/master/export", Value::Null).await.item();
    assert_eq!(text(&exported, "settings"), r#"{"version":"2020-04-30","categoryModels":[]}"#);
    for (method, path) in [
        ("GET", "/nowhere/master"),
        ("POST", "/nowhere/master"),
        ("GET", "/nowhere/master/export"),
        ("GET", "/nowhere/model"),
        ("GET", "/nowhere/model/1"),
        ("GET", "/nowhere/master/model"),
        ("GET", "/nowhere/master/model/1"),
        ("PUT", "/nowhere/master/model/1"),
        ("DELETE", "/nowhere/master/model/1"),
    ] {
        chat(&api, method, path, Value::Null).await.refused(404, "namespace", NO_NAMESPACE);
    }
    let create = chat(&api, "POST", "/nowhere/master/model", json!({ "category": 1 })).await;
    create.refused(404, "namespace", NO_NAMESPACE);
    activate(&api, "nowhere", &document(&[])).await.refused(404, "namespace", NO_NAMESPACE);
    server.stop().await;
}

/// Drafts: their life, their pages, and their way into force.
async fn drafts_become_current(database: Database) {
    let (server, api) = start(&database).await;
    let drafts = "/ns/master/model";
    let created = chat(&api, "POST", drafts, json!({ "category": 10, "description": "ten" })).await.item();
    assert_eq!(
        created,
        json!({
            "categoryModelId": "grn:gs2:ap-northeast-1:hiroba:chat:ns:model:10",
            "category": 10,
            "description": "ten",
            "rejectAccessTokenPost": "Disabled",
            "createdAt": server.now(),
            "updatedAt": server.now(),
            "revision": 1,
        })
    );
    let again = chat(&api, "POST", drafts, json!({ "category": 10 })).await;
    again.refused(400, "categoryModelMaster", "chat.categoryModelMaster.name.error.exists");
    for (category, rejects) in [(2, "Enabled"), (2_147_483_645, "Disabled"), (9, "Enabled")] {
        let json = json!({ "category": category, "rejectAccessTokenPost": rejects });
        chat(&api, "POST", drafts, json).await.item();
    }
    let mut pages = Vec::new();
    let mut token = String::new();
    loop {
        let page = chat(&api, "GET", &format!("{drafts}?limit=3&pageToken={token}"), Value::Null).await.ok();
        let items = page["items"].as_array().expect("a page has items").clone();
        pages.push(items.iter().map(|item| int(item, "category")).collect::<Vec<_>>());
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, [vec![2, 9, 10], vec![2_147_483_645]]);
    let wrong = chat(&api, "GET", &format!("{drafts}?pageToken=x"), Value::Null).await;
    wrong.refused(400, "categoryModelMaster", "chat.categoryModelMaster.pageToken.error.invalid");

    server.advance(5);
    // N-13: what is left out goes back to its default.
    let updated = chat(&api, "PUT", &format!("{drafts}/2"), json!({ "description": "two" })).await.item();
    assert_eq!(text(&updated, "rejectAccessTokenPost"), "Disabled");
    assert_eq!(int(&updated, "updatedAt") - int(&updated, "createdAt"), 5);
    assert_eq!(int(&updated, "revision"), 2);
    assert_eq!(chat(&api, "GET", &format!("{drafts}/2"), Value::Null).await.item(), updated);
    assert_eq!(chat(&api, "DELETE", &format!("{drafts}/2"), Value::Null).await.item(), updated);
    for (method, json) in [("GET", Value::Null), ("PUT", json!({})), ("DELETE", Value::Null)] {
        let gone = chat(&api, method, &format!("{drafts}/2"), json).await;
        gone.refused(404, "categoryModelMaster", NO_DRAFT);
    }
    assert!(categories(&api, "ns").await.is_empty(), "drafts are not in force");

    let exported = chat(&api, "GET", "/ns/master/export", Value::Null).await.item();
    chat(&api, "GET", "/ns/master", Value::Null).await.refused(404, "currentModelMaster", NO_MASTER);
    assert_eq!(activate(&api, "ns", text(&exported, "settings")).await.item(), exported);
    assert_eq!(categories(&api, "ns").await, [9, 10, 2_147_483_645]);
    let model = chat(&api, "GET", "/ns/model/9", Value::Null).await.item();
    assert_eq!(
        model,
        json!({
            "categoryModelId": "grn:gs2:ap-northeast-1:hiroba:chat:ns:model:9",
            "category": 9,
            "rejectAccessTokenPost": "Enabled",
        })
    );
    chat(&api, "GET", "/ns/model/2", Value::Null).await.refused(404, "categoryModel", NO_MODEL);
    // Another document leaves the drafts as they are, and the other way round.
    activate(&api, "ns", &document(&[(1, true)])).await.item();
    assert_eq!(chat(&api, "GET", "/ns/master/export", Value::Null).await.item(), exported);
    chat(&api, "DELETE", &format!("{drafts}/9"), Value::Null).await.item();
    assert_eq!(categories(&api, "ns").await, [1]);
    server.stop().await;
}

/// CH-32: the next call sees what came into force; only posts of players are refused, and only of that category.
async fn a_category_is_closed_to_players(database: Database) {
    let (server, api) = start(&database).await;
    let room = chat(&api, "POST", "/ns/room", json!({ "name": "room", "userId": "alice" })).await;
    room.item();
    let player = api.with(ACCESS_TOKEN, &api.player_token("alice").await);
    let post = async |category: i32| {
        let json = json!({ "category": category, "metadata": "hello" });
        chat(&player, "POST", "/ns/room/room/message", json).await
    };
    let closed = "chat.message.category.error.invalid";
    post(7).await.item();
    for round in 0..3 {
        activate(&api, "ns", &document(&[(7, true), (8, false)])).await.item();
        let refused = post(7).await;
        assert_eq!(refused.status, 400, "round {round}: {}", refused.text());
        assert_eq!(refused.refusals()[0].message, closed);
        post(8).await.item();
        post(9).await.item();
        let json = json!({ "category": 7, "metadata": "hello" });
        chat(&api, "POST", "/ns/room/room/message/user/alice", json).await.item();
        activate(&api, "ns", &document(&[(7, false)])).await.item();
        post(7).await.item();
    }
    server.stop().await;
}

/// N-14: master data, drafts and uploads go with their namespace, and one of its name starts afresh.
async fn a_namespace_takes_its_masters_along(database: Database) {
    let (server, api) = start(&database).await;
    for namespace in ["ns", "other"] {
        activate(&api, namespace, &document(&[(7, true)])).await.item();
        let json = json!({ "category": 7 });
        chat(&api, "POST", &format!("/{namespace}/master/model"), json).await.item();
        assert_eq!(categories(&api, namespace).await, [7]);
    }
    let (token, path) = prepare(&api, "ns").await;
    let (_, other) = prepare(&api, "other").await;
    assert_eq!(upload(&server, &path, document(&[(1, true)])).await.status, 200);
    chat(&api, "DELETE", "/ns", Value::Null).await.item();
    chat(&api, "GET", "/ns/model", Value::Null).await.refused(404, "namespace", NO_NAMESPACE);
    assert_eq!(upload(&server, &path, "x").await.status, 404);
    assert_eq!(upload(&server, &other, "x").await.status, 200);

    chat(&api, "POST", "/", json!({ "name": "ns" })).await.ok();
    assert!(categories(&api, "ns").await.is_empty());
    chat(&api, "GET", "/ns/master", Value::Null).await.refused(404, "currentModelMaster", NO_MASTER);
    chat(&api, "GET", "/ns/master/model/7", Value::Null).await.refused(404, "categoryModelMaster", NO_DRAFT);
    activate_upload(&api, "ns", &token).await.refused(400, "currentModelMaster", BAD_TOKEN);
    assert_eq!(categories(&api, "other").await, [7]);
    for table in
        ["SELECT COUNT(*) FROM current_master", "SELECT COUNT(*) FROM chat_category_model_master", UPLOADS]
    {
        assert_eq!(server.count(table).await, 1, "{table}");
    }
    server.stop().await;
}

/// Every node sees what another one put into force, and takes what was uploaded to another one.
async fn nodes_agree(database: Database) {
    let nodes = TestServer::nodes(&database).await;
    let first = nodes[0].api().await;
    let last = first.at(nodes[nodes.len() - 1].address());
    chat(&first, "POST", "/", json!({ "name": "ns" })).await.ok();
    assert!(categories(&last, "ns").await.is_empty());
    for category in 1..4 {
        let (token, path) = prepare(&first, "ns").await;
        let answer = upload(&nodes[nodes.len() - 1], &path, document(&[(category, true)])).await;
        assert_eq!(answer.status, 200);
        activate_upload(&first, "ns", &token).await.item();
        assert_eq!(categories(&first, "ns").await, [i64::from(category)]);
        let seen = async || (categories(&last, "ns").await == [i64::from(category)]).then_some(());
        eventually("the other node's view", seen).await;
    }
    if database.engine() == Engine::Postgres {
        // What did not change is looked at again and stays.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        assert_eq!(categories(&last, "ns").await, [3]);
    }
    for node in nodes {
        node.stop().await;
    }
}

on_both_engines! {
    an_upload_comes_into_force
    uploads_are_bounded
    upload_urls_are_reachable
    a_document_is_refused_whole
    nothing_is_in_force_at_first
    drafts_become_current
    a_category_is_closed_to_players
    a_namespace_takes_its_masters_along
    nodes_agree
}
