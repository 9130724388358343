//! Files of GitHub, from a stand-in on loopback that keeps what it gets (BEHAVIOUR K-03, SC-01, CH-34).

use hiroba_testkit::api::{Api, DRY_RUN, int, text};
use hiroba_testkit::http::Response;
use hiroba_testkit::{Database, Socket, StandIn, TestServer, on_both_engines};
use serde_json::{Value, json};

use super::{create, key};

const TOKEN: &str = "github_pat_0815";
const KEY_ID: &str = "grn:gs2:ap-northeast-1:hiroba:key:ns:github:hub";
const SCRIPT: &str = "result = {sum = args.a + 1}";
const DOCUMENT: &str = r#"{"version":"2020-04-30","categoryModels":[{"category":3}]}"#;

/// A server that asks a stand-in, with a key of GitHub and a namespace in each service that fetches.
async fn start(database: &Database) -> (TestServer, Api, StandIn) {
    let stand_in = StandIn::start(200, SCRIPT).await;
    stand_in.answer_as("application/vnd.github.raw+json; charset=utf-8");
    let url = stand_in.url();
    let builder = TestServer::builder(database).manual_clock();
    let server = builder.config(move |config| config.github_url = url).start().await;
    let api = server.api().await;
    for service in ["key", "script", "chat"] {
        api.call(service, "POST", "/", json!({ "name": "ns" })).await.ok();
    }
    create(&api, "ns", "sealer").await;
    let kept = json!({ "name": "hub", "apiKey": TOKEN, "encryptionKeyName": "sealer" });
    let made = key(&api, "POST", "/ns/github", kept).await.item();
    assert_eq!(text(&made, "apiKeyId"), KEY_ID);
    (server, api, stand_in)
}

fn setting() -> Value {
    json!({ "apiKeyId": KEY_ID, "repositoryName": "them/game", "sourcePath": "lua/start.lua",
        "referenceType": "branch", "branchName": "main" })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut setting = setting();
    setting[name] = value.into();
    setting
}

async fn fetch_script(api: &Api, name: &str, setting: Value) -> Response {
    let json = json!({ "name": name, "checkoutSetting": setting });
    api.call("script", "POST", "/ns/script/from_git_hub", json).await
}

async fn refetch_script(api: &Api, name: &str, setting: Value) -> Response {
    let json = json!({ "checkoutSetting": setting });
    api.call("script", "PUT", &format!("/ns/script/{name}/from_git_hub"), json).await
}

/// SC-01: what stands in the repository is what is stored, asked for with the key, at a commit, a branch or a tag.
async fn scripts_come_from_a_repository(database: Database) {
    let (server, api, stand_in) = start(&database).await;
    let made = fetch_script(&api, "s", setting()).await.item();
    assert_eq!((text(&made, "script"), int(&made, "revision")), (SCRIPT, 1));
    let invoke = json!({ "scriptId": text(&made, "scriptId"), "args": "{\"a\":1}" });
    let ran = api.call("script", "POST", "/invoke", invoke.clone()).await.ok();
    assert_eq!(text(&ran, "result"), "{\"sum\":2}");

    stand_in.answer_from_now_on(200, "result = {sum = 7}");
    let commit = json!({ "apiKeyId": "grn:gs2:{region}:{ownerId}:key:ns:github:hub", "repositoryName": "them/game",
        "sourcePath": "/a b/x.lua", "referenceType": "commit_hash", "commitHash": "0123abc", "branchName": "" });
    let changed = refetch_script(&api, "s", commit).await.item();
    assert_eq!((text(&changed, "script"), int(&changed, "revision")), ("result = {sum = 7}", 2));
    let ran = api.call("script", "POST", "/invoke", invoke).await.ok();
    assert_eq!(text(&ran, "result"), "{\"sum\":7}");
    // The former name of the member, over the socket.
    let old = json!({ "gitHubApiKeyId": KEY_ID, "repositoryName": "them/game", "sourcePath": "x.lua",
        "referenceType": "tag", "tagName": "v1" });
    let mut socket = Socket::open(server.address()).await;
    let fields = json!({ "namespaceName": "ns", "name": "t", "checkoutSetting": old, "disableStringNumberToNumber": true,
        "description": "d", "xGs2ProjectToken": api.project_token() });
    let made = socket.call(("script", "script", "createScriptFromGitHub"), fields).await.item();
    assert_eq!((text(&made, "description"), &made["disableStringNumberToNumber"]), ("d", &json!(true)));
    socket.close().await;

    let requests = stand_in.received();
    let targets: Vec<&str> = requests.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            "/repos/them/game/contents/lua/start.lua?ref=refs%2Fheads%2Fmain",
            "/repos/them/game/contents/a%20b/x.lua?ref=0123abc",
            "/repos/them/game/contents/x.lua?ref=refs%2Ftags%2Fv1",
        ]
    );
    for request in &requests {
        assert_eq!(request.header("authorization"), format!("Bearer {TOKEN}"));
        assert_eq!(request.header("accept"), "application/vnd.github.raw+json");
        assert!(request.header("user-agent").starts_with("hiroba/"));
        assert_eq!((request.method.as_str(), request.header("x-github-api-version")), ("GET", "2022-11-28"));
    }

    // T-14: a dry run asks, and stores nothing.
    let dry = api.with(DRY_RUN, "true");
    fetch_script(&dry, "u", setting()).await.item();
    api.call("script", "GET", "/ns/script/u", Value::Null).await.refused(
        404,
        "script",
        "script.script.script.error.notFound",
    );
    // What is in vain is not asked for.
    let before = stand_in.received().len();
    fetch_script(&api, "s", setting()).await.refused(400, "script", "script.script.name.error.exists");
    let absent = refetch_script(&api, "absent", setting()).await;
    absent.refused(404, "script", "script.script.script.error.notFound");
    let json = json!({ "name": "s", "checkoutSetting": setting() });
    let nowhere = api.call("script", "POST", "/nowhere/script/from_git_hub", json).await;
    nowhere.refused(404, "namespace", "script.namespace.namespace.error.notFound");
    assert_eq!(stand_in.received().len(), before);
    server.stop().await;
}

/// CH-34: a fetched document is checked whole, as every other one.
async fn master_data_comes_from_a_repository(database: Database) {
    let (server, api, stand_in) = start(&database).await;
    let update = async |namespace: &str| {
        let json = json!({ "checkoutSetting": setting() });
        api.call("chat", "PUT", &format!("/{namespace}/master/from_git_hub"), json).await
    };
    stand_in.answer_from_now_on(200, DOCUMENT);
    assert_eq!(text(&update("ns").await.item(), "settings"), DOCUMENT);
    let model = api.call("chat", "GET", "/ns/model/3", Value::Null).await.item();
    assert_eq!(int(&model, "category"), 3);
    stand_in.answer_from_now_on(200, "{}");
    update("ns").await.refused(400, "currentModelMaster", "chat.currentModelMaster.version.error.require");
    let current = api.call("chat", "GET", "/ns/master", Value::Null).await.item();
    assert_eq!(text(&current, "settings"), DOCUMENT);
    update("nowhere").await.refused(404, "namespace", "chat.namespace.namespace.error.notFound");
    stand_in.answer_next(404, r#"{"message":"Not Found"}"#);
    let missing = "chat.gitHubCheckoutSetting.sourcePath.error.notFound";
    update("ns").await.refused(404, "gitHubCheckoutSetting", missing);
    server.stop().await;
}

/// E-14: everything that is wrong with a setting at once, and nobody is asked.
async fn wrong_settings_are_refused(database: Database) {
    let (server, api, stand_in) = start(&database).await;
    let refused = async |setting: Value| -> Vec<String> {
        let answer = fetch_script(&api, "s", setting).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        let members = answer.refusals().into_iter().map(|refusal| refusal.message);
        members
            .map(|message| message.replace("script.gitHubCheckoutSetting.", "").replace("error.", ""))
            .collect()
    };
    let all =
        json!({ "apiKeyId": "hub", "repositoryName": "game", "sourcePath": "../x", "referenceType": "tag" });
    assert_eq!(
        refused(all).await,
        ["apiKeyId.invalid", "repositoryName.invalid", "sourcePath.invalid", "tagName.require"]
    );
    assert_eq!(
        refused(json!({})).await,
        ["repositoryName.require", "sourcePath.require", "referenceType.require"]
    );
    let mut without = setting();
    without.as_object_mut().unwrap().remove("apiKeyId");
    assert_eq!(refused(without).await, ["apiKeyId.require"]);
    for (name, wrong) in [
        ("apiKeyId", "grn:gs2:ap-northeast-1:hiroba:key:ns:key:sealer"),
        ("apiKeyId", "grn:gs2:ap-northeast-1:somebody:key:ns:github:hub"),
        ("repositoryName", "a/b/c"),
        ("repositoryName", "a/.."),
        ("repositoryName", "a/b?x"),
        ("repositoryName", "あ/b"),
        ("sourcePath", "a//b"),
        ("sourcePath", "a/./b"),
        ("sourcePath", "/"),
        ("sourcePath", "a\\b"),
        ("referenceType", "head"),
    ] {
        assert_eq!(refused(with(name, wrong)).await, [format!("{name}.invalid")], "{wrong}");
    }
    assert_eq!(refused(with("branchName", "")).await, ["branchName.require"]);
    let mut commit = with("referenceType", "commit_hash");
    assert_eq!(refused(commit.clone()).await, ["commitHash.require"]);
    commit["commitHash"] = "main".into();
    assert_eq!(refused(commit).await, ["commitHash.invalid"]);
    let unknown = with("apiKeyId", format!("{KEY_ID}x"));
    assert_eq!(refused(unknown).await, ["apiKeyId.notFound"]);
    assert!(stand_in.received().is_empty());
    server.stop().await;
}

/// What GitHub refuses, and what is no text, is told with what to do; nothing is stored, and the key is in no message.
async fn what_github_refuses(database: Database) {
    let (server, api, stand_in) = start(&database).await;
    let answer = |status, body: &str| stand_in.answer_next(status, body);
    let words = format!("{{\"message\":\"Bad credentials {TOKEN}\"}}");
    let long = "é".repeat(5_242_881);
    for (given, body, status, problem, detail) in [
        (401, words.as_str(), 400, "apiKeyId.error.notAuthorized", "Bad credentials …"),
        (403, words.as_str(), 400, "apiKeyId.error.notAuthorized", "refused by GitHub"),
        (429, "", 402, "apiKeyId.error.failed", "ask again later"),
        (404, "{}", 404, "sourcePath.error.notFound", "`lua/start.lua` of `them/game` at branch `main`"),
        (500, "", 502, "sourcePath.error.failed", "500"),
        // The stand-in's redirects lead to another server.
        (302, "", 502, "sourcePath.error.failed", "another server"),
        (200, "", 400, "sourcePath.error.invalid", "is empty"),
        (200, "a\0b", 400, "sourcePath.error.invalid", "U+0000"),
        (200, long.as_str(), 400, "sourcePath.error.tooLong", "5242880 characters"),
    ] {
        answer(given, body);
        let refused = fetch_script(&api, "s", setting()).await;
        refused.refused(status, "gitHubCheckoutSetting", &format!("script.gitHubCheckoutSetting.{problem}"));
        assert!(refused.text().contains(detail), "{}", refused.text());
        assert!(!refused.text().contains(TOKEN), "{}", refused.text());
    }
    stand_in.answer_as("application/json; charset=utf-8");
    let folder = fetch_script(&api, "s", setting()).await;
    folder.refused(400, "gitHubCheckoutSetting", "script.gitHubCheckoutSetting.sourcePath.error.invalid");
    assert_eq!(server.count("SELECT COUNT(*) FROM script_script").await, 0);
    // The longest file there may be.
    stand_in.answer_as("text/plain");
    stand_in.answer_next(200, &long[2..]);
    fetch_script(&api, "long", setting()).await.item();
    server.stop().await;
}

/// K-03, K-04: a kept key needs the key that encrypts it, now and later.
async fn a_kept_key_goes_with_its_key(database: Database) {
    let (server, api, stand_in) = start(&database).await;
    let kept =
        |encryption_key: &str| json!({ "name": "two", "apiKey": "x", "encryptionKeyName": encryption_key });
    let absent = key(&api, "POST", "/ns/github", kept("absent")).await;
    absent.refused(404, "key", "key.key.key.error.notFound");
    key(&api, "PUT", "/ns/github/hub", kept("absent")).await.refused(
        404,
        "key",
        "key.key.key.error.notFound",
    );
    let nowhere = key(&api, "POST", "/nowhere/github", kept("sealer")).await;
    nowhere.refused(404, "namespace", "key.namespace.namespace.error.notFound");
    for method in ["GET", "PUT", "DELETE"] {
        let absent = key(&api, method, "/ns/github/absent", kept("sealer")).await;
        absent.refused(404, "gitHubApiKey", "key.gitHubApiKey.gitHubApiKey.error.notFound");
    }
    let mut mask = kept("sealer");
    mask["apiKey"] = "********".into();
    for wrong in [mask.clone(), json!({ "name": "x", "apiKey": "a b", "encryptionKeyName": "sealer" })] {
        let refused = key(&api, "POST", "/ns/github", wrong).await;
        refused.refused(400, "gitHubApiKey", "key.gitHubApiKey.apiKey.error.invalid");
    }
    let twice = json!({ "name": "hub", "apiKey": "x", "encryptionKeyName": "sealer" });
    let twice = key(&api, "POST", "/ns/github", twice).await;
    twice.refused(400, "gitHubApiKey", "key.gitHubApiKey.name.error.exists");

    key(&api, "DELETE", "/ns/key/sealer", Value::Null).await.item();
    let gone = "script.gitHubCheckoutSetting.apiKeyId.error.failed";
    fetch_script(&api, "s", setting()).await.refused(400, "gitHubCheckoutSetting", gone);
    // One of the same name has another secret.
    create(&api, "ns", "sealer").await;
    fetch_script(&api, "s", setting()).await.refused(400, "gitHubCheckoutSetting", gone);
    assert!(stand_in.received().is_empty());
    let renewed = key(&api, "PUT", "/ns/github/hub", kept("sealer")).await.item();
    assert_eq!((int(&renewed, "revision"), text(&renewed, "encryptionKeyName")), (2, "sealer"));
    fetch_script(&api, "s", setting()).await.item();
    assert_eq!(stand_in.received()[0].header("authorization"), "Bearer x");
    key(&api, "DELETE", "/ns/github/hub", Value::Null).await.item();
    let unknown = "script.gitHubCheckoutSetting.apiKeyId.error.notFound";
    fetch_script(&api, "t", setting()).await.refused(400, "gitHubCheckoutSetting", unknown);
    server.stop().await;
}

on_both_engines! {
    scripts_come_from_a_repository
    master_data_comes_from_a_repository
    wrong_settings_are_refused
    what_github_refuses
    a_kept_key_goes_with_its_key
}
