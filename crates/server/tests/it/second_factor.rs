//! Passwords with a time-based one-time password as second factor (BEHAVIOUR I-01, I-07).

use hiroba_testkit::api::{Api, text};
use hiroba_testkit::http::Response;
use hiroba_testkit::secrets::{one_time_password, otp_secret};
use hiroba_testkit::{Database, TestServer, on_both_engines};
use serde_json::{Value, json};

const STEP_MS: i64 = 30_000;

/// Makes a user with a password and a second factor that is on; answers the shared secret.
pub(crate) async fn enable(server: &TestServer, api: &Api, user: &str, password: &str) -> Vec<u8> {
    api.call("identifier", "POST", "/user", json!({ "name": user })).await.ok();
    let path = format!("/user/{user}");
    let password = json!({ "password": password });
    api.call("identifier", "POST", &format!("{path}/password"), password).await.ok();
    let answer = api.call("identifier", "POST", &format!("{path}/mfa"), json!({})).await.ok();
    let secret = otp_secret(text(&answer, "challengeToken"));
    let passcode = json!({ "passcode": one_time_password(&secret, server.now()) });
    api.call("identifier", "POST", &format!("{path}/mfa/challenge"), passcode).await.ok();
    secret
}

async fn login(api: &Api, password: &str, otp: Option<&str>) -> Response {
    let mut json = json!({ "userName": "user", "password": password });
    if let Some(otp) = otp {
        json["otp"] = otp.into();
    }
    api.call("identifier", "POST", "/projectToken/login/user", json).await
}

/// From the password alone to the second factor and back.
async fn step_by_step(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let call = |method: &'static str, path: &'static str, json: Value| {
        let api = api.clone();
        async move { api.call("identifier", method, &format!("/user/user{path}"), json).await }
    };
    api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
    call("POST", "/mfa", json!({})).await.refused(
        404,
        "password",
        "identifier.password.password.error.notFound",
    );
    let password = call("POST", "/password", json!({ "password": "right" })).await.item();
    assert_eq!(text(&password, "enableTwoFactorAuthentication"), "Disable");
    let wrong_login = "identifier.password.password.error.invalid";
    login(&api, "right", None).await.item();
    login(&api, "wrong", None).await.refused(401, "password", wrong_login);

    let no_secret = call("POST", "/mfa/challenge", json!({ "passcode": "000000" })).await;
    no_secret.refused(400, "password", "identifier.password.twoFactorAuthenticationSetting.error.require");
    let old = call("POST", "/mfa", json!({})).await.ok();
    let answer = call("POST", "/mfa", json!({})).await.ok();
    let secret = otp_secret(text(&answer, "challengeToken"));
    assert_ne!(otp_secret(text(&old, "challengeToken")), secret, "each enabling makes another secret");
    let setting = |item: &Value| text(&item["twoFactorAuthenticationSetting"], "status").to_owned();
    assert_eq!(setting(&answer["item"]), "Verifying");
    login(&api, "right", None).await.item();

    let now = one_time_password(&secret, server.now());
    let wrong = if now == "123456" { "654321" } else { "123456" };
    for passcode in [wrong, "abc", "１２３４５６"] {
        let answer = call("POST", "/mfa/challenge", json!({ "passcode": passcode })).await;
        answer.refused(400, "password", "identifier.password.passcode.error.invalid");
    }
    login(&api, "right", None).await.item();
    let item = call("POST", "/mfa/challenge", json!({ "passcode": now })).await.item();
    assert_eq!(setting(&item), "Enable");
    assert_eq!(setting(&call("GET", "/password/entity", Value::Null).await.item()), "Enable");
    let exists = call("POST", "/mfa", json!({})).await;
    exists.refused(400, "password", "identifier.password.enableTwoFactorAuthentication.error.exists");

    login(&api, "right", None).await.refused(401, "password", "identifier.password.otp.error.require");
    login(&api, "right", Some("")).await.refused(401, "password", "identifier.password.otp.error.require");
    login(&api, "right", Some(wrong)).await.refused(401, "password", "identifier.password.otp.error.invalid");
    login(&api, "right", Some(&now)).await.refused(401, "password", "identifier.password.otp.error.invalid");

    server.advance(STEP_MS);
    let next = one_time_password(&secret, server.now());
    login(&api, "wrong", Some(&next)).await.refused(401, "password", wrong_login);
    login(&api, "right", Some(&next)).await.item();
    login(&api, "right", Some(&next)).await.refused(401, "password", "identifier.password.otp.error.invalid");

    call("DELETE", "/mfa", Value::Null).await.item();
    login(&api, "right", None).await.item();
    server.stop().await;
}

/// A clock may be one step off, either way, and no passcode works twice, nor an earlier one after a later one.
async fn a_clock_may_be_one_step_off(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let secret = enable(&server, &api, "user", "right").await;
    let start = server.now();
    for (advance, step, works) in [
        (10, 8, false),
        (0, 12, false),
        (0, 9, true),
        (0, 11, true),
        (0, 10, false),
        (0, 11, false),
        (1, 12, true),
        (3, 15, true),
    ] {
        server.advance(advance * STEP_MS);
        let otp = one_time_password(&secret, start + step * STEP_MS);
        let answer = login(&api, "right", Some(&otp)).await;
        assert_eq!(answer.status, if works { 200 } else { 401 }, "step {step}: {}", answer.text());
    }
    server.stop().await;
}

/// Many logins at once with one passcode: one gets in.
async fn a_passcode_works_once_however_fast(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let secret = enable(&server, &api, "user", "right").await;
    server.advance(STEP_MS);
    let otp = one_time_password(&secret, server.now());
    let calls = (0..6).map(|_| {
        let (api, otp) = (api.clone(), otp.clone());
        async move { login(&api, "right", Some(&otp)).await.status }
    });
    let mut statuses = futures_util::future::join_all(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401, 401, 401]);
    server.stop().await;
}

/// The token of a password ends with the password.
async fn a_deleted_password_takes_its_tokens_along(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
    let policy =
        json!({ "securityPolicyId": "grn:gs2::system:identifier:securityPolicy:AdministratorAccess" });
    api.call("identifier", "POST", "/user/user/securityPolicy", policy).await.ok();
    let set = || api.call("identifier", "POST", "/user/user/password", json!({ "password": "right" }));
    set().await.ok();
    let token = login(&api, "right", None).await.item();
    let user = Api::with_project_token(server.address(), text(&token, "token"));
    user.create_namespace("ns").await;

    api.call("identifier", "DELETE", "/user/user/password/entity", Value::Null).await.ok();
    let refused = user.call("lock", "GET", "/ns", Value::Null).await;
    refused.refused(401, "projectToken", "lock.projectToken.projectToken.error.invalid");
    login(&api, "right", None).await.refused(401, "password", "identifier.password.password.error.invalid");
    // The same password again is another one.
    server.advance(1);
    set().await.ok();
    let refused = user.call("lock", "GET", "/ns", Value::Null).await;
    refused.refused(401, "projectToken", "lock.projectToken.projectToken.error.invalid");
    server.stop().await;
}

on_both_engines! {
    step_by_step
    a_clock_may_be_one_step_off
    a_passcode_works_once_however_fast
    a_deleted_password_takes_its_tokens_along
}
