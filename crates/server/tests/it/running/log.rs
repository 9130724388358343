//! The log says what happened, under request ids, and never a secret.

use hiroba_testkit::api::{ACCESS_TOKEN, Api, DUPLICATION_AVOIDER, TIME_OFFSET_TOKEN, text};
use hiroba_testkit::http::Request;
use hiroba_testkit::secrets::{one_time_password, otp_secret};
use hiroba_testkit::{Database, Engine, Socket, on_both_engines};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::program;

/// Calls that carry every kind of secret, right and wrong, on both transports; answers the secrets.
async fn use_every_secret(server: &hiroba_testkit::Process) -> Vec<String> {
    let (client_id, client_secret) = server.credential();
    let anonymous = Api::anonymous(server.address());
    let api = Api::login(server.address(), &client_id, &client_secret).await;
    let mut secrets = vec![client_secret.clone(), api.project_token().to_owned()];
    let mut secret = |name: &str| {
        let secret = format!("secret-{name}-{}", secrets.len());
        secrets.push(secret.clone());
        secret
    };
    // Logins that are wrong in every way.
    anonymous.try_login(&client_id, &secret("wrong")).await.refusals();
    anonymous.try_login("nobody", &secret("nobody")).await.refusals();
    anonymous.try_login(&client_id, &secret("long").repeat(20)).await.refusals();
    let login = |json: Value| anonymous.request("identifier", "POST", "/projectToken/login", &json);
    let twice = json!({ "client_id": client_id, "client_secret": secret("twice") }).to_string();
    for json in [
        json!({ "client_id": client_id, "client_secret": [secret("list")] }),
        json!({ "client_id": client_id, "client_secret": { "x": secret("object") } }),
        json!({ "client_secret": secret("alone") }),
        // An object that was made a text once too often.
        json!(twice),
        json!([secret("in-a-list")]),
    ] {
        anonymous.send(&login(json)).await.refusals();
    }
    let broken = format!("{{\"client_secret\":\"{}\"", secret("broken"));
    anonymous.send(&login(Value::Null).body(broken)).await.refusals();
    let query = format!("/identifier/projectToken/login?client_id=x&client_secret={}", secret("query"));
    anonymous.send(&Request::new("POST", &query)).await.refusals();
    anonymous.send(&Request::new("GET", &query)).await.refusals();

    // Passwords, one-time passwords and their secret.
    let (password, wrong) = (secret("password"), secret("wrong-password"));
    api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
    api.call("identifier", "POST", "/user/user/password", json!({ "password": password })).await.ok();
    let enabled = api.call("identifier", "POST", "/user/user/mfa", json!({})).await.ok();
    let uri = text(&enabled, "challengeToken");
    let now = "/user/user/mfa/challenge";
    let shared = otp_secret(uri);
    let made = api.call("identifier", "GET", "/user/user", Value::Null).await.item();
    let otp = one_time_password(&shared, made["createdAt"].as_i64().unwrap());
    api.call("identifier", "POST", now, json!({ "passcode": otp })).await;
    for password in [&password, &wrong] {
        let json = json!({ "userName": "user", "password": password, "otp": "000000" });
        anonymous.call("identifier", "POST", "/projectToken/login/user", json).await;
    }
    let made = api.call("identifier", "POST", "/user/user/identifier", json!({})).await.ok();

    // Tokens, right and forged, in headers and envelopes.
    let (player, offset) = (api.player_token("alice").await, api.time_offset_token("alice", 1).await);
    let federated = api
        .call("auth", "POST", "/federation", json!({ "originalUserId": "a", "userId": "alice" }))
        .await
        .ok();
    let forged = secret("forged");
    api.create_namespace("ns").await;
    for token in [player.as_str(), text(&federated, "token"), &forged] {
        let api = api.with(ACCESS_TOKEN, token).with(DUPLICATION_AVOIDER, token.get(..100).unwrap_or(token));
        api.mutexes("ns", "me").lock("p", "t").await;
        api.with(TIME_OFFSET_TOKEN, &offset).mutexes("ns", "alice").lock("p", "t").await;
        api.with(TIME_OFFSET_TOKEN, token).mutexes("ns", "bob").lock("p", "t").await;
        api.mutexes("none", "me").lock("p", "t").await;
        Api::with_project_token(server.address(), token).mutexes("ns", "bob").lock("p", "t").await.refusals();
    }
    let mut socket = Socket::open(server.address()).await;
    let login = json!({ "client_id": client_id, "client_secret": client_secret });
    socket.call(("identifier", "projectToken", "login"), login).await.ok();
    for token in [api.project_token(), &forged] {
        let fields = json!({ "xGs2ProjectToken": token, "xGs2AccessToken": player, "namespaceName": "ns", "propertyId": "p" });
        socket.call(("lock", "mutex", "getMutex"), fields.clone()).await;
        socket.call(("lock", "mutex", "nothing"), fields).await.refusals();
    }
    socket.send(json!([api.project_token()]).to_string()).await;
    socket.next().await;

    secrets.extend([
        player,
        offset,
        text(&federated, "token").to_owned(),
        text(&made, "clientSecret").to_owned(),
    ]);
    secrets.push(data_encoding::BASE32_NOPAD.encode(&shared));
    secrets.push(hiroba_testkit::database::MASTER_KEY.to_owned());
    secrets
}

/// Even at its most talkative the log holds no client secret, no password and no token.
async fn secrets_are_never_logged(database: Database) {
    for json in ["false", "true"] {
        let folder = format!("data-{json}");
        let builder = hiroba_testkit::process::Builder::new(env!("CARGO_BIN_EXE_hiroba"), &database, &folder);
        let builder = builder.env("HIROBA_LOG", "trace").env("HIROBA_LOG_JSON", json);
        let owner = format!("owner-{json}");
        let server = block_in_place(|| builder.env("HIROBA_OWNER_ID", &owner).start());
        let secrets = use_every_secret(&server).await;
        server.terminate();
        let mut server = server;
        let (status, printed) = block_in_place(|| server.ended());
        assert!(status.success());
        let log = server.log();
        assert!(log.len() > 5000 && log.contains("lockByUserId"), "the log is not talkative: {log}");
        let told: Vec<_> = secrets.iter().filter(|secret| log.contains(secret.as_str())).collect();
        let lines: Vec<_> =
            log.lines().filter(|line| told.iter().any(|secret| line.contains(secret.as_str()))).collect();
        assert!(told.is_empty(), "{told:?} in {lines:#?}");
        // Standard output has the new credential, which is its only place, and nothing else.
        let printed = printed.concat();
        let told: Vec<_> =
            secrets.iter().skip(1).filter(|secret| printed.contains(secret.as_str())).collect();
        assert!(told.is_empty(), "{told:?} in {printed}");
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// A call can be found in the log by the request id of its answer, or by the one that the caller chose.
async fn calls_are_logged_by_their_request_id(database: Database) {
    let server = block_in_place(|| program(&database).env("HIROBA_LOG", "hiroba_server=debug").start());
    let api = server.api().await;
    api.create_namespace("ns").await;
    let own = api.mutexes("ns", "alice").get("p").await;
    let own = own.header("x-gs2-request-id").unwrap().to_owned();
    let chosen = api.with("X-GS2-REQUEST-ID", "chosen-id").mutexes("ns", "alice").get("p").await;
    assert_eq!(chosen.header("x-gs2-request-id"), Some("chosen-id"));
    let mut server = server;
    server.terminate();
    block_in_place(|| server.ended());
    let log = server.log();
    for id in [own.as_str(), "chosen-id"] {
        let line = log.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("{id} in {log}"));
        assert!(line.contains("getMutexByUserId") && line.contains("404"), "{line}");
    }
}

on_both_engines! {
    secrets_are_never_logged
    calls_are_logged_by_their_request_id
}

/// A database that cannot be reached is named without its password.
#[test]
fn the_password_of_a_database_is_not_told() {
    let database = Database::new(Engine::Sqlite).unwrap();
    for url in [
        "postgres://user:secret-password@127.0.0.1:1/database",
        "postgres://user:secret-password@127.0.0.1:1/database?sslmode=nonsense",
        "postgres://user:secret-password@127.0.0.1:port/database",
        "mysql://user:secret-password@127.0.0.1/database",
    ] {
        let builder = program(&database).env("HIROBA_DATABASE_URL", url).env("HIROBA_LOG", "trace");
        let (status, printed, logged) = builder.run_to_end();
        assert!(!status.success(), "{printed}");
        assert!(!logged.contains("secret-password") && !printed.contains("secret-password"), "{logged}");
        assert!(!logged.contains("panicked"), "{logged}");
    }
}
