//! Permissions change at once, for callers who are logged in already (BEHAVIOUR I-01, I-08 … I-14, E-15).

use hiroba_testkit::api::{ACCESS_TOKEN, Api, text};
use hiroba_testkit::http::Response;
use hiroba_testkit::{Database, Socket, TestServer, on_both_engines};
use serde_json::{Value, json};

const ADMINISTRATOR: &str = "grn:gs2::system:identifier:securityPolicy:AdministratorAccess";

/// A user with a credential and no permission; answers the user's caller and client id.
async fn user(server: &TestServer, api: &Api, name: &str) -> (Api, String) {
    api.call("identifier", "POST", "/user", json!({ "name": name })).await.ok();
    let made = api.call("identifier", "POST", &format!("/user/{name}/identifier"), json!({})).await.ok();
    let client_id = text(&made["item"], "clientId").to_owned();
    let caller = Api::login(server.address(), &client_id, text(&made, "clientSecret")).await;
    (caller, client_id)
}

fn document(statements: &Value) -> String {
    json!({ "Version": "2016-04-01", "Statements": statements }).to_string()
}

fn allow(actions: &[&str]) -> Value {
    json!({ "Effect": "Allow", "Actions": actions, "Resources": ["*"] })
}

#[track_caller]
fn not_authorized(answer: &Response) {
    let first = &answer.refusals()[0];
    assert_eq!((answer.status, first.component.as_str()), (401, "mutex"), "{}", answer.text());
    assert!(first.message.ends_with(".error.notAuthorized"), "{}", first.message);
}

#[track_caller]
fn unknown(answer: &Response) {
    let first = &answer.refusals()[0];
    assert_eq!((answer.status, first.component.as_str()), (401, "projectToken"), "{}", answer.text());
}

/// I-11, I-14: attach, detach, replace and delete; the very next call knows.
async fn changes_take_effect_at_once(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let (caller, _) = user(&server, &api, "user").await;
    let mutexes = caller.mutexes("ns", "alice");
    let mut socket = Socket::open(server.address()).await;
    let over_socket = json!({
        "xGs2ProjectToken": caller.project_token(),
        "namespaceName": "ns",
        "userId": "alice",
        "propertyId": "s",
        "transactionId": "t",
    });
    let identifier = |method: &'static str, path: String, json: Value| {
        let api = api.clone();
        async move { api.call("identifier", method, &path, json).await.ok() }
    };
    let attach = |grn: &str| {
        identifier("POST", "/user/user/securityPolicy".to_owned(), json!({ "securityPolicyId": grn }))
    };
    let detach = |grn: &str| identifier("DELETE", format!("/user/user/securityPolicy/{grn}"), Value::Null);
    let replace =
        |policy: String| identifier("PUT", "/securityPolicy/own".to_owned(), json!({ "policy": policy }));

    for _ in 0..5 {
        not_authorized(&mutexes.lock("p", "t").await);
        attach(ADMINISTRATOR).await;
        mutexes.lock("p", "t").await.item();
        socket.call(("lock", "mutex", "lockByUserId"), over_socket.clone()).await.item();
        detach(ADMINISTRATOR).await;
        not_authorized(&socket.call(("lock", "mutex", "lockByUserId"), over_socket.clone()).await);
    }

    let own = json!({ "name": "own", "policy": document(&json!([allow(&["Gs2Lock:GetMutex*"])])) });
    let own = identifier("POST", "/securityPolicy".to_owned(), own).await;
    let grn = text(&own["item"], "securityPolicyId").to_owned();
    attach(&grn).await;
    mutexes.get("p").await.item();
    not_authorized(&mutexes.lock("p", "t").await);
    replace(document(&json!([allow(&["*"])]))).await;
    mutexes.lock("p", "t").await.item();
    // I-11: a deny wins, whatever allows.
    attach(ADMINISTRATOR).await;
    let deny = json!({ "Effect": "Deny", "Actions": ["Gs2Lock:LockByUserId"], "Resources": ["*"] });
    replace(document(&json!([allow(&["*"]), deny]))).await;
    not_authorized(&mutexes.lock("p", "t").await);
    mutexes.get("p").await.item();
    identifier("DELETE", "/securityPolicy/own".to_owned(), Value::Null).await;
    mutexes.lock("p", "t").await.item();
    socket.close().await;
    server.stop().await;
}

/// A lost credential is deleted: its tokens stop at once, and so does the login.
async fn a_deleted_credential_is_worth_nothing(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let (lost, client_id) = user(&server, &api, "user").await;
    let policy = json!({ "securityPolicyId": ADMINISTRATOR });
    api.call("identifier", "POST", "/user/user/securityPolicy", policy).await.ok();
    let kept = api.call("identifier", "POST", "/user/user/identifier", json!({})).await.ok();
    let kept_id = text(&kept["item"], "clientId");
    let kept = Api::login(server.address(), kept_id, text(&kept, "clientSecret")).await;
    let player = lost.player_token("alice").await;
    lost.mutexes("ns", "alice").lock("p", "t").await.item();
    kept.mutexes("ns", "alice").get("p").await.item();

    let path = format!("/user/user/identifier/{client_id}");
    api.call("identifier", "DELETE", &path, Value::Null).await.ok();
    unknown(&lost.mutexes("ns", "alice").get("p").await);
    unknown(&lost.with(ACCESS_TOKEN, &player).mutexes("ns", "me").get("p").await);
    let again = Api::anonymous(server.address()).try_login(&client_id, "anything").await;
    again.refused(401, "identifier", "identifier.identifier.clientSecret.error.invalid");
    // The other credential of the user, and the player's token in other hands, go on.
    kept.mutexes("ns", "alice").get("p").await.item();
    kept.with(ACCESS_TOKEN, &player).mutexes("ns", "me").get("p").await.item();

    api.call("identifier", "DELETE", "/user/user", Value::Null).await.ok();
    unknown(&kept.mutexes("ns", "alice").get("p").await);
    // A new user of the old name is another one.
    api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
    let policy = json!({ "securityPolicyId": ADMINISTRATOR });
    api.call("identifier", "POST", "/user/user/securityPolicy", policy).await.ok();
    unknown(&kept.mutexes("ns", "alice").get("p").await);
    server.stop().await;
}

/// the policy of a federation limits its token, whatever the caller may do.
async fn a_federation_is_limited_by_its_policy(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let federate = |policy: Option<String>| {
        let mut json = json!({ "originalUserId": "alice", "userId": "bob" });
        if let Some(policy) = policy {
            json["policyDocument"] = policy.into();
        }
        let api = api.clone();
        async move {
            let answer = api.call("auth", "POST", "/federation", json).await.ok();
            api.with(ACCESS_TOKEN, text(&answer, "token")).mutexes("ns", "me")
        }
    };
    let free = federate(None).await;
    free.lock("p", "t").await.item();
    let limited = federate(Some(document(&json!([allow(&["Gs2Lock:GetMutex"])])))).await;
    assert_eq!(text(&limited.get("p").await.item(), "userId"), "bob");
    not_authorized(&limited.lock("q", "t").await);
    not_authorized(&limited.unlock("p", "t").await);
    let by_resource = json!({
        "Effect": "Allow",
        "Actions": ["Gs2Lock:*"],
        "Resources": ["grn:gs2:ap-northeast-1:hiroba:lock:ns:user:bob:property:q*"],
    });
    let limited = federate(Some(document(&json!([by_resource])))).await;
    limited.lock("q1", "t").await.item();
    not_authorized(&limited.lock("p", "t").await);
    // The limits outlive a sweep and a restart for as long as the token.
    server.advance(3_599_999);
    server.sweep().await;
    assert_eq!(server.count("SELECT COUNT(*) FROM auth_federation").await, 3);
    server.advance(1);
    server.sweep().await;
    assert_eq!(server.count("SELECT COUNT(*) FROM auth_federation").await, 0);
    server.stop().await;
}

on_both_engines! {
    changes_take_effect_at_once
    a_deleted_credential_is_worth_nothing
    a_federation_is_limited_by_its_policy
}
