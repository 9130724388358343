//! Time offsets change what a call sees, and nothing else (BEHAVIOUR A-07 … A-09).

use hiroba_testkit::api::{ACCESS_TOKEN, Api, TIME_OFFSET_TOKEN, int, text};
use hiroba_testkit::{Database, Socket, TestServer, on_both_engines};
use serde_json::json;

/// The same caller whose calls for a player see a later time.
async fn ahead(api: &Api, user: &str, seconds: i64) -> Api {
    api.with(TIME_OFFSET_TOKEN, &api.time_offset_token(user, seconds).await)
}

/// only the call that carries the token sees the later time; stored times are real ones.
async fn only_the_call_sees_it(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    let item = mutexes.lock_for("p", "t1", 60).await.item();
    let until = int(&item, "ttlAt");

    for (seconds, held) in [(0, true), (59, true), (60, false), (3600, false), (315_360_000, false)] {
        let mutexes = ahead(&api, "alice", seconds).await.mutexes("ns", "alice");
        assert_eq!(mutexes.get("p").await.status, if held { 200 } else { 404 }, "{seconds} s ahead");
        assert_eq!(mutexes.list().await.len(), usize::from(held), "{seconds} s ahead");
        if !held {
            mutexes.unlock("p", "t1").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
            mutexes.delete("p").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
        }
    }
    let seen = mutexes.get("p").await.item();
    assert_eq!(int(&seen, "ttlAt"), until, "nobody changed it");
    assert_eq!(int(&seen, "createdAt"), server.now());
    server.stop().await;
}

/// A lock that is taken under an offset is held for calls with the same offset, and for those without.
async fn a_lock_taken_ahead_is_held_ahead(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let now = api.mutexes("ns", "alice");
    let later = ahead(&api, "alice", 7200).await.mutexes("ns", "alice");

    let item = later.lock_for("p", "t1", 60).await.item();
    assert_eq!(int(&item, "createdAt"), server.now(), "audit times are real");
    assert_eq!(int(&item, "ttlAt"), server.now() + 60_000);
    for mutexes in [&later, &now] {
        assert_eq!(text(&mutexes.get("p").await.item(), "transactionId"), "t1");
        mutexes.lock("p", "t2").await.refused(409, "mutex", "lock.mutex.transactionId.error.notMatch");
    }
    assert_eq!(int(&later.lock_for("p", "t1", 60).await.item(), "referenceCount"), 2);
    assert_eq!(int(&later.unlock("p", "t1").await.item(), "referenceCount"), 1);

    // Further ahead than the holder by more than the time that is left, it is over.
    let latest = ahead(&api, "alice", 7260).await.mutexes("ns", "alice");
    latest.get("p").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");

    // Its real time ends for everybody.
    server.advance(60_000);
    for mutexes in [&later, &now] {
        mutexes.get("p").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    }
    server.stop().await;
}

/// What has expired for a call is free for it: it takes the mutex, for everybody.
async fn a_call_ahead_takes_what_it_sees_free(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let now = api.mutexes("ns", "alice");
    let later = ahead(&api, "alice", 7200).await.mutexes("ns", "alice");
    let first = now.lock_for("p", "t1", 60).await.item();
    let second = later.lock_for("p", "t2", 60).await.item();
    assert_eq!(int(&second, "referenceCount"), 1);
    assert!(int(&second, "revision") > int(&first, "revision"));
    assert_eq!(text(&now.get("p").await.item(), "transactionId"), "t2");
    now.unlock("p", "t1").await.refused(400, "mutex", "lock.mutex.transactionId.error.notMatch");
    server.stop().await;
}

/// an access token has an offset of its own; the token for `…ByUserId` calls does not change it.
async fn an_access_token_brings_its_own(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    api.mutexes("ns", "alice").lock_for("p", "t1", 60).await.item();
    let login = |json| api.call("auth", "POST", "/login", json);

    let token = login(json!({ "userId": "alice", "timeOffset": 60 })).await.ok();
    // the offset does not lengthen the token's life.
    assert_eq!(int(&token, "expire"), server.now() + 3_600_000);
    let player = api.with(ACCESS_TOKEN, text(&token, "token"));
    player.mutexes("ns", "me").get("p").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    // The same over the socket.
    let mut socket = Socket::open(server.address()).await;
    let fields = json!({
        "xGs2ProjectToken": api.project_token(),
        "xGs2AccessToken": text(&token, "token"),
        "namespaceName": "ns",
        "propertyId": "p",
    });
    let answer = socket.call(("lock", "mutex", "getMutex"), fields).await;
    answer.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    socket.close().await;

    let present = api.with(ACCESS_TOKEN, &api.player_token("alice").await);
    let mixed = ahead(&present, "alice", 3600).await;
    assert_eq!(mixed.mutexes("ns", "me").get("p").await.status, 200, "`me` has the access token's time");

    // A login with the token gives its offset to the access token, unless the login says another.
    let login_ahead = ahead(&api, "alice", 60).await;
    let inherited = login_ahead.player_token("alice").await;
    let player = api.with(ACCESS_TOKEN, &inherited);
    player.mutexes("ns", "me").get("p").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    server.stop().await;
}

/// the token is bound to its player and lives one hour.
async fn the_token_is_of_one_player_and_one_hour(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let answer = api.call("auth", "POST", "/timeoffset/token", json!({ "userId": "alice", "timeOffset": 5 }));
    let answer = answer.await.ok();
    assert_eq!(int(&answer, "expire"), server.now() + 3_600_000);
    assert_eq!(text(&answer, "userId"), "alice");
    let api = api.with(TIME_OFFSET_TOKEN, text(&answer, "token"));
    let refused = "lock.timeOffsetToken.timeOffsetToken.error.invalid";

    api.mutexes("ns", "alice").lock("p", "t").await.item();
    api.mutexes("ns", "bob").lock("p", "t").await.refused(401, "timeOffsetToken", refused);
    server.advance(3_599_999);
    api.mutexes("ns", "alice").get("p").await.item();
    server.advance(1);
    let (client_id, client_secret) = server.credential();
    let token = Api::login(server.address(), &client_id, &client_secret).await;
    let again = token.with(TIME_OFFSET_TOKEN, text(&answer, "token"));
    again.mutexes("ns", "alice").get("p").await.refused(401, "timeOffsetToken", refused);

    let wrong = |seconds: i64| json!({ "userId": "alice", "timeOffset": seconds });
    for seconds in [-1, 315_360_001] {
        let answer = token.call("auth", "POST", "/timeoffset/token", wrong(seconds)).await;
        answer.refused(400, "accessToken", "auth.accessToken.timeOffset.error.invalid");
    }
    server.stop().await;
}

on_both_engines! {
    only_the_call_sees_it
    a_lock_taken_ahead_is_held_ahead
    a_call_ahead_takes_what_it_sees_free
    an_access_token_brings_its_own
    the_token_is_of_one_player_and_one_hour
}
