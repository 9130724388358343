//! A dry run answers what would be and persists nothing (BEHAVIOUR T-14).

use hiroba_testkit::api::{DRY_RUN, DUPLICATION_AVOIDER, int, text};
use hiroba_testkit::{Database, Socket, TestServer, on_both_engines};
use serde_json::{Value, json};

const ROWS: [&str; 8] = [
    "SELECT COUNT(*) FROM namespace",
    "SELECT COUNT(*) FROM lock_mutex",
    "SELECT COUNT(*) FROM duplication_answer",
    "SELECT COUNT(*) FROM identifier_user",
    "SELECT COUNT(*) FROM identifier_credential",
    "SELECT COUNT(*) FROM identifier_password",
    "SELECT COUNT(*) FROM identifier_policy",
    "SELECT COUNT(*) FROM auth_federation",
];

async fn rows(server: &TestServer) -> Vec<i64> {
    let mut rows = Vec::new();
    for statement in ROWS {
        rows.push(server.count(statement).await);
    }
    rows
}

/// Every kind of write is answered and none of them is there afterwards.
async fn nothing_is_persisted(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    mutexes.lock("held", "t").await.item();
    api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
    let before = rows(&server).await;

    for flag in ["true", "True"] {
        let dry = api.with(DRY_RUN, flag).with(DUPLICATION_AVOIDER, "key");
        let dry_mutexes = dry.mutexes("ns", "alice");
        let locked = dry_mutexes.lock("free", "t").await.item();
        assert_eq!((text(&locked, "transactionId"), int(&locked, "referenceCount")), ("t", 1));
        assert_eq!(int(&dry_mutexes.lock("held", "t").await.item(), "referenceCount"), 2);
        assert_eq!(int(&dry_mutexes.unlock("held", "t").await.item(), "referenceCount"), 0);
        dry_mutexes.delete("held").await.item();
        let policy = r#"{"Version":"2016-04-01","Statements":[]}"#;
        for (service, method, path, json) in [
            ("lock", "POST", "/", json!({ "name": "new" })),
            ("lock", "PUT", "/ns", json!({ "description": "changed" })),
            ("lock", "DELETE", "/ns", Value::Null),
            ("identifier", "POST", "/user", json!({ "name": "new" })),
            ("identifier", "POST", "/user/user/identifier", json!({})),
            ("identifier", "POST", "/user/user/password", json!({ "password": "secret" })),
            ("identifier", "POST", "/securityPolicy", json!({ "name": "new", "policy": policy })),
            ("identifier", "DELETE", "/user/user", Value::Null),
            ("auth", "POST", "/federation", json!({ "originalUserId": "alice", "userId": "bob" })),
        ] {
            dry.call(service, method, path, json).await.ok();
        }
    }
    assert_eq!(rows(&server).await, before);
    let held = mutexes.get("held").await.item();
    assert_eq!(int(&held, "referenceCount"), 1);
    let namespace = api.call("lock", "GET", "/ns", Value::Null).await.item();
    assert!(namespace.get("description").is_none_or(Value::is_null), "{namespace}");
    server.stop().await;
}

/// It refuses what the call would refuse, and permissions hold for it.
async fn it_is_refused_as_the_call_would_be(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    api.mutexes("ns", "alice").lock("p", "t1").await.item();
    let dry = api.with(DRY_RUN, "true");
    let mutexes = dry.mutexes("ns", "alice");
    mutexes.lock("p", "t2").await.refused(409, "mutex", "lock.mutex.transactionId.error.notMatch");
    mutexes.unlock("p", "t2").await.refused(400, "mutex", "lock.mutex.transactionId.error.notMatch");
    let missing = dry.mutexes("none", "alice").lock("p", "t").await;
    missing.refused(404, "namespace", "lock.namespace.namespace.error.notFound");
    let exists = dry.call("lock", "POST", "/", json!({ "name": "ns" })).await;
    exists.refused(400, "namespace", "lock.namespace.name.error.exists");
    // Anything else in the header is no dry run.
    api.with(DRY_RUN, "false").mutexes("ns", "alice").unlock("p", "t1").await.item();
    assert_eq!(server.count("SELECT COUNT(*) FROM lock_mutex").await, 0);
    server.stop().await;
}

/// The socket says it in the envelope.
async fn the_socket_has_it_too(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mut socket = Socket::open(server.address()).await;
    for (flag, rows) in [(json!(true), 0), (json!("true"), 0), (json!("True"), 0), (json!("false"), 1)] {
        let fields = json!({
            "xGs2ProjectToken": api.project_token(),
            "xGs2DryRun": flag,
            "namespaceName": "ns",
            "userId": "alice",
            "propertyId": "p",
            "transactionId": "t",
        });
        let item = socket.call(("lock", "mutex", "lockByUserId"), fields).await.item();
        assert_eq!(int(&item, "referenceCount"), 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM lock_mutex").await, rows, "{flag}");
    }
    socket.close().await;
    server.stop().await;
}

/// A one-time password is not used up, so a login that is not meant must not be of use either: its token is refused
/// or the password cannot be used again. Here: the dry run leaves the password usable once.
async fn a_dry_login_does_not_use_up_a_passcode(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let secret = crate::second_factor::enable(&server, &api, "user", "password").await;
    server.advance(60_000);
    let otp = hiroba_testkit::secrets::one_time_password(&secret, server.now());
    let login = json!({ "userName": "user", "password": "password", "otp": otp });
    let path = "/projectToken/login/user";
    api.with(DRY_RUN, "true").call("identifier", "POST", path, login.clone()).await.ok();
    api.call("identifier", "POST", path, login.clone()).await.ok();
    let again = api.call("identifier", "POST", path, login).await;
    again.refused(401, "password", "identifier.password.otp.error.invalid");
    server.stop().await;
}

on_both_engines! {
    nothing_is_persisted
    it_is_refused_as_the_call_would_be
    the_socket_has_it_too
    a_dry_login_does_not_use_up_a_passcode
}
