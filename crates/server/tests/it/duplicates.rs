//! The duplication avoider: a repeated call gets the first answer and has no second effect (BEHAVIOUR X-01 … X-03,
//! L-17).

use futures_util::future::join_all;
use hiroba_testkit::api::{ACCESS_TOKEN, Api, DUPLICATION_AVOIDER, int};
use hiroba_testkit::{Database, Socket, TestServer, on_both_engines};
use serde_json::json;

const HOUR_MS: i64 = 3_600_000;
const KEPT: &str = "SELECT COUNT(*) FROM duplication_answer";

async fn login(server: &TestServer) -> Api {
    // A project token lives for one hour, which these tests leave behind.
    server.api().await
}

/// L-17, X-02, X-03: the same answer for 24 hours, byte for byte, also after a restart; then it is forgotten.
async fn an_answer_is_kept_for_a_day(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = login(&server).await;
    api.create_namespace("ns").await;
    let twice = api.with(DUPLICATION_AVOIDER, "once").mutexes("ns", "alice");
    let first = twice.lock_for("p", "t", 360_000).await;
    assert_eq!(int(&first.item(), "referenceCount"), 1);

    server.advance(HOUR_MS / 2);
    assert_eq!(twice.lock_for("p", "t", 360_000).await.body, first.body);
    let server = server.restart().await;
    server.advance(24 * HOUR_MS - HOUR_MS / 2 - 1);
    let api = login(&server).await;
    server.sweep().await;
    let again = api.with(DUPLICATION_AVOIDER, "once").mutexes("ns", "alice");
    assert_eq!(again.lock_for("p", "t", 360_000).await.body, first.body);
    assert_eq!(int(&api.mutexes("ns", "alice").get("p").await.item(), "referenceCount"), 1);
    assert_eq!(server.count(KEPT).await, 1);

    server.advance(1);
    assert_eq!(int(&again.lock_for("p", "t", 360_000).await.item(), "referenceCount"), 2, "forgotten");
    server.advance(24 * HOUR_MS);
    server.sweep().await;
    assert_eq!(server.count(KEPT).await, 0);
    server.stop().await;
}

/// the key is owner, service, method, user and avoider; another request under one key is a 409.
async fn the_key_has_five_parts(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let keyed = api.with(DUPLICATION_AVOIDER, "key");
    let (alice, bob) = (keyed.mutexes("ns", "alice"), keyed.mutexes("ns", "bob"));
    alice.lock("p", "t").await.item();
    let other = alice.lock("p", "t2").await;
    other.refused(409, "duplicationAvoider", "lock.duplicationAvoider.duplicationAvoider.error.notMatch");
    let other = alice.lock_for("p", "t", 60).await;
    other.refused(409, "duplicationAvoider", "lock.duplicationAvoider.duplicationAvoider.error.notMatch");
    // Another user, another method, the other variant of the method.
    assert_eq!(int(&bob.lock("p", "t").await.item(), "referenceCount"), 1);
    assert_eq!(int(&alice.unlock("p", "t").await.item(), "referenceCount"), 0);
    let me = keyed.with(ACCESS_TOKEN, &api.player_token("alice").await).mutexes("ns", "me");
    assert_eq!(int(&me.lock("p", "t").await.item(), "referenceCount"), 1);
    // The kept answers are still the old ones.
    assert_eq!(int(&alice.lock("p", "t").await.item(), "referenceCount"), 1);
    assert_eq!(int(&alice.unlock("p", "t").await.item(), "referenceCount"), 0);
    assert_eq!(int(&alice.get("p").await.item(), "referenceCount"), 1, "reading ignores the avoider");
    server.stop().await;
}

/// only a 200 is kept; a refused call may be repeated with the same avoider.
async fn refusals_are_not_kept(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    mutexes.lock("p", "holder").await.item();
    let keyed = api.with(DUPLICATION_AVOIDER, "key").mutexes("ns", "alice");
    keyed.lock("p", "t").await.refused(409, "mutex", "lock.mutex.transactionId.error.notMatch");
    mutexes.unlock("p", "holder").await.item();
    assert_eq!(int(&keyed.lock("p", "t").await.item(), "referenceCount"), 1);
    // namespaces are made without it.
    let keyed = api.with(DUPLICATION_AVOIDER, "key");
    keyed.create_namespace("ns2").await;
    let again = keyed.call("lock", "POST", "/", json!({ "name": "ns2" })).await;
    again.refused(400, "namespace", "lock.namespace.name.error.exists");
    for (count, expected) in [(128, 200), (129, 400)] {
        let long = api.with(DUPLICATION_AVOIDER, &"k".repeat(count)).mutexes("ns", "alice");
        assert_eq!(long.lock("q", "t").await.status, expected, "{count} characters");
    }
    server.stop().await;
}

/// calls at the same time with one avoider have one effect. Each gets the answer, or 409 while the first runs.
async fn concurrent_duplicates_have_one_effect(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    for round in 0..8 {
        let user = format!("user-{round}");
        let calls = (0..12).map(|_| {
            let mutexes = api.with(DUPLICATION_AVOIDER, "same").mutexes("ns", &user);
            async move { mutexes.lock("p", "t").await }
        });
        let answers = join_all(calls).await;
        let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!(!done.is_empty());
        assert!(done.iter().all(|answer| answer.body == done[0].body), "{answers:?}");
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!((refused.status, refused.refusals().len()), (409, 1), "{}", refused.text());
        }
        let item = api.mutexes("ns", &user).get("p").await.item();
        assert_eq!(int(&item, "referenceCount"), 1);
    }
    assert_eq!(server.count(KEPT).await, 8);
    server.stop().await;
}

/// The socket and REST share the kept answers (T-21).
async fn transports_share_the_answers(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let first = api.with(DUPLICATION_AVOIDER, "key").mutexes("ns", "alice").lock("p", "t").await.ok();
    let mut socket = Socket::open(server.address()).await;
    for name in ["xGs2DuplicationAvoider", "duplicationAvoider"] {
        let mut fields = json!({
            "xGs2ProjectToken": api.project_token(),
            "namespaceName": "ns",
            "userId": "alice",
            "propertyId": "p",
            "transactionId": "t",
        });
        fields[name] = "key".into();
        assert_eq!(socket.call(("lock", "mutex", "lockByUserId"), fields).await.ok(), first, "{name}");
    }
    assert_eq!(int(&api.mutexes("ns", "alice").get("p").await.item(), "referenceCount"), 1);
    socket.close().await;
    server.stop().await;
}

on_both_engines! {
    an_answer_is_kept_for_a_day
    the_key_has_five_parts
    refusals_are_not_kept
    concurrent_duplicates_have_one_effect
    transports_share_the_answers
}
