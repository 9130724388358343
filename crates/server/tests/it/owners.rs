//! Several owners (projects) in one database: their tokens and data never mix (BEHAVIOUR A-10, N-15).

use hiroba_testkit::api::{ACCESS_TOKEN, Api, DUPLICATION_AVOIDER, TIME_OFFSET_TOKEN, int, text};
use hiroba_testkit::{Database, Engine, TestServer, eventually, on_both_engines, run};
use serde_json::{Value, json};

/// A server of another owner on the same database, with a credential and a data folder of its own. The embedded store
/// is in the data folder, which is then the same one.
fn second(database: &Database) -> hiroba_testkit::server::Builder {
    let folder = match database.engine() {
        Engine::Sqlite => "data",
        Engine::Postgres => "second",
    };
    TestServer::builder(database).manual_clock().config(|config| {
        config.data_dir = database.data_folder(folder);
        config.owner_id = "second".to_owned();
        config.client_id = Some("second-client".to_owned());
        config.client_secret = Some("second-secret".to_owned());
    })
}

/// Both owners, each logged in, at one server.
async fn both(database: &Database) -> (TestServer, Api, Api) {
    let first = TestServer::start_manual(database).await;
    let (client_id, client_secret) = first.credential();
    first.stop().await;
    let server = second(database).start().await;
    let one = Api::login(server.address(), &client_id, &client_secret).await;
    let two = server.api().await;
    (server, one, two)
}

/// Everything has one name at both owners, and each sees its own.
async fn data_is_apart(database: Database) {
    let (server, one, two) = both(&database).await;
    for (api, owner) in [(&one, "hiroba"), (&two, "second")] {
        api.create_namespace("ns").await;
        let namespace = api.call("lock", "GET", "/ns", Value::Null).await.item();
        assert_eq!(text(&namespace, "namespaceId"), format!("grn:gs2:ap-northeast-1:{owner}:lock:ns"));
        api.call("identifier", "POST", "/user", json!({ "name": "user", "description": owner })).await.ok();
    }
    let (mine, yours) = (one.mutexes("ns", "alice"), two.mutexes("ns", "alice"));
    mine.lock("p", "t1").await.item();
    yours.get("p").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    assert_eq!(int(&yours.lock("p", "t2").await.item(), "referenceCount"), 1);
    assert_eq!(text(&mine.get("p").await.item(), "transactionId"), "t1");
    assert_eq!(mine.list().await, ["p"]);

    // The kept answers of one owner are not the other's.
    for (api, transaction) in [(&one, "t1"), (&two, "t2")] {
        let keyed = api.with(DUPLICATION_AVOIDER, "key").mutexes("ns", "alice");
        assert_eq!(int(&keyed.lock("p", transaction).await.item(), "referenceCount"), 2);
    }

    two.call("identifier", "DELETE", "/user/user", Value::Null).await.ok();
    let user = one.call("identifier", "GET", "/user/user", Value::Null).await.item();
    assert_eq!(
        (text(&user, "description"), text(&user, "userId")),
        ("hiroba", "grn:gs2::hiroba:identifier:user:user")
    );
    two.call("lock", "DELETE", "/ns", Value::Null).await.ok();
    assert_eq!(int(&mine.get("p").await.item(), "referenceCount"), 2);
    let page = two.call("lock", "GET", "/", Value::Null).await.ok();
    assert_eq!(page["items"], json!([]));

    // A policy of the other owner cannot be attached.
    let policy = json!({ "name": "own", "policy": r#"{"Statements":[]}"# });
    let policy = two.call("identifier", "POST", "/securityPolicy", policy).await.item();
    let attach = json!({ "securityPolicyId": text(&policy, "securityPolicyId") });
    let refused = one.call("identifier", "POST", "/user/administrator/securityPolicy", attach).await;
    refused.refused(404, "securityPolicy", "identifier.securityPolicy.securityPolicy.error.notFound");
    server.stop().await;
}

/// A-10: a player's token of one owner is worth nothing at the other, nor is a time offset token.
async fn tokens_are_apart(database: Database) {
    let (server, one, two) = both(&database).await;
    for api in [&one, &two] {
        api.create_namespace("ns").await;
    }
    let player = one.player_token("alice").await;
    let offset = one.time_offset_token("alice", 9).await;
    let foreign = two.with(ACCESS_TOKEN, &player).mutexes("ns", "me").lock("p", "t").await;
    foreign.refused(401, "accessToken", "lock.accessToken.accessToken.error.invalid");
    let foreign = two.with(TIME_OFFSET_TOKEN, &offset).mutexes("ns", "alice").lock("p", "t").await;
    foreign.refused(401, "timeOffsetToken", "lock.timeOffsetToken.timeOffsetToken.error.invalid");
    one.with(ACCESS_TOKEN, &player).mutexes("ns", "me").lock("p", "t").await.item();
    one.with(TIME_OFFSET_TOKEN, &offset).mutexes("ns", "alice").lock("p", "t").await.item();
    assert_eq!(server.count("SELECT COUNT(*) FROM lock_mutex WHERE owner_id = 'second'").await, 0);
    server.stop().await;
}

/// A password is looked for in the project of the call's token, without one in the server's own.
async fn a_password_is_of_one_owner(database: Database) {
    let (server, one, two) = both(&database).await;
    for (api, password) in [(&one, "first"), (&two, "second")] {
        api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
        let password = json!({ "password": password });
        api.call("identifier", "POST", "/user/user/password", password).await.ok();
    }
    let anonymous = Api::anonymous(server.address());
    for (api, right, wrong) in
        [(&one, "first", "second"), (&two, "second", "first"), (&anonymous, "second", "first")]
    {
        let login = |password: &str| {
            let json = json!({ "userName": "user", "password": password });
            let api = api.clone();
            async move { api.call("identifier", "POST", "/projectToken/login/user", json).await }
        };
        login(right).await.item();
        login(wrong).await.refused(401, "password", "identifier.password.password.error.invalid");
    }
    server.stop().await;
}

/// A folder can serve one owner after the other; each keeps the credential of its first start.
async fn a_folder_keeps_each_owners_credential(database: Database) {
    let builder = |owner: &str| {
        let owner = owner.to_owned();
        TestServer::builder(&database).config(move |config| config.owner_id = owner)
    };
    let mut credentials = Vec::new();
    for owner in ["hiroba", "second", "third", "hiroba", "second"] {
        let server = builder(owner).start().await;
        let (client_id, client_secret) = server.credential();
        Api::login(server.address(), &client_id, &client_secret).await;
        credentials.push((client_id, client_secret));
        server.stop().await;
    }
    let [hiroba, second, third, again @ ..] = &credentials[..] else { unreachable!("five starts") };
    assert_eq!(again, [hiroba.clone(), second.clone()]);
    assert!(third != hiroba && third != second && hiroba != second);
}

on_both_engines! {
    a_folder_keeps_each_owners_credential
    data_is_apart
    tokens_are_apart
    a_password_is_of_one_owner
}

/// Two nodes on one database, each with its own owner: both serve both, and know of changed permissions soon.
async fn two_nodes(database: Database) {
    let first = TestServer::start_manual(&database).await;
    let other = second(&database).start().await;
    let api = first.api().await;
    api.create_namespace("ns").await;
    let there = api.at(other.address());
    let item = there.mutexes("ns", "alice").lock("p", "t").await.item();
    assert_eq!(text(&item, "mutexId"), "grn:gs2:ap-northeast-1:hiroba:lock:ns:user:alice:property:p");
    let conflict = api.mutexes("ns", "alice").lock("p", "t2").await;
    conflict.refused(409, "mutex", "lock.mutex.transactionId.error.notMatch");
    let own = other.api().await;
    own.mutexes("ns", "alice").lock("p", "t").await.refused(
        404,
        "namespace",
        "lock.namespace.namespace.error.notFound",
    );

    api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
    let made = api.call("identifier", "POST", "/user/user/identifier", json!({})).await.ok();
    let client_id = text(&made["item"], "clientId").to_owned();
    let policy =
        json!({ "securityPolicyId": "grn:gs2::system:identifier:securityPolicy:AdministratorAccess" });
    api.call("identifier", "POST", "/user/user/securityPolicy", policy).await.ok();
    let user = Api::login(other.address(), &client_id, text(&made, "clientSecret")).await;
    user.mutexes("ns", "alice").get("p").await.item();
    let path = format!("/user/user/identifier/{client_id}");
    api.call("identifier", "DELETE", &path, Value::Null).await.ok();
    let refused = async || {
        let answer = user.mutexes("ns", "alice").get("p").await;
        (answer.status == 401).then_some(())
    };
    eventually("the other node to know that the credential is gone", refused).await;
    other.stop().await;
    first.stop().await;
}

#[test]
fn two_nodes_share_a_database() {
    run(Engine::Postgres, two_nodes);
}
