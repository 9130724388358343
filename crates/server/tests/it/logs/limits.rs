//! What is dropped, what is removed, and how much a query looks at (BEHAVIOUR LG-06, LG-08, LG-12).

use hiroba_testkit::api::{DRY_RUN, DUPLICATION_AVOIDER, int, text};
use hiroba_testkit::{Database, TestServer, on_both_engines};
use serde_json::{Value, json};

use super::{Log, items, total};

const CHUNKS: &str = "SELECT COUNT(*) FROM log_chunk";
const DAY_MS: i64 = 86_400_000;

/// LG-12: when too much waits, entries are dropped and counted, and calls go on.
async fn too_much_is_dropped_and_counted(database: Database) {
    let server =
        TestServer::builder(&database).config(|config| config.log_queue_entries_max = 5).start().await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    let calls = (0..40).map(|number| {
        let mutexes = api.mutexes("ns", &format!("user-{number}"));
        async move { mutexes.lock("p", "t").await.item() }
    });
    futures_util::future::join_all(calls).await;
    let kept = log.entries("").await.len() as i64;
    let dropped = api.metric("hiroba_log_entries_dropped_total{reason=\"full\"}").await as i64;
    assert_eq!(kept + dropped, 40);
    assert!((1..=40).contains(&kept), "{kept}");
    assert_eq!(api.metric("hiroba_log_entries_total").await as i64, kept);
    server.stop().await;

    let nothing =
        TestServer::builder(&database).config(|config| config.log_queue_bytes_max = 0).start().await;
    let api = nothing.api().await;
    let log = Log { api: api.clone(), ..log };
    api.mutexes("ns", "later").lock("p", "t").await.item();
    assert!(log.entries("userId=later").await.is_empty());
    assert!((api.metric("hiroba_log_entries_dropped_total{reason=\"full\"}").await - 1.0).abs() < 0.5);
    nothing.stop().await;
}

/// LG-06: entries vanish when their retention ends, and so do their rows.
async fn old_entries_vanish(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.call("PUT", "", json!({ "logExpireDays": 2 })).await.item();
    log.logged("lock", "ns").await;
    let start = server.now();
    let all = format!("begin={}", start - DAY_MS);
    let mut api = api;
    for day in 0..4 {
        api.mutexes("ns", "a").lock(&format!("day-{day}"), "t").await.item();
        let log = Log { api: api.clone(), ..log.clone() };
        assert_eq!(log.entries(&all).await.len(), (day + 1).min(2 + usize::from(day > 1)), "day {day}");
        server.advance(DAY_MS);
        // Tokens do not live as long as logs.
        api = server.api().await;
    }
    let log = Log { api: api.clone(), ..log };
    assert_eq!(log.entries(&all).await.len(), 2);
    assert_eq!(server.count(CHUNKS).await, 4);
    server.sweep().await;
    assert_eq!(server.count(CHUNKS).await, 2);
    assert_eq!(log.entries(&all).await.len(), 2);
    // A longer retention brings nothing back that was removed.
    log.call("PUT", "", json!({ "logExpireDays": 3650 })).await.item();
    assert_eq!(log.entries(&all).await.len(), 2);
    log.call("PUT", "", json!({ "logExpireDays": 3651 })).await.refused(
        400,
        "namespace",
        "log.namespace.logExpireDays.error.invalid",
    );
    for kind in ["bigquery", "firehose", "other"] {
        log.call("PUT", "", json!({ "type": kind })).await.refused(
            400,
            "namespace",
            "log.namespace.type.error.invalid",
        );
    }
    server.stop().await;
}

/// N-14: with the namespace its logs are gone at once, and their rows with the next sweep.
async fn a_namespace_takes_its_logs_along(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    api.mutexes("ns", "a").lock("p", "t").await.item();
    let send = json!({ "tags": [], "payload": "x" });
    log.call("POST", "/ingame/log/user/a/send", send.clone()).await.item();
    log.call("POST", "/dashboard", json!({})).await.item();
    log.call("POST", "/insight", json!({})).await.item();
    log.call("POST", "/model/facet", json!({ "field": "service" })).await.item();
    assert_eq!(log.entries("").await.len(), 1);
    log.call("DELETE", "", Value::Null).await.item();
    log.call("POST", "/ingame/log/user/a/send", send).await.refused(
        404,
        "namespace",
        "log.namespace.namespace.error.notFound",
    );
    Log::create(&api, "logs").await;
    assert!(log.entries("").await.is_empty());
    for path in ["/dashboard", "/insight", "/model/facet"] {
        assert!(items(&log.call("GET", path, Value::Null).await.ok()).is_empty(), "{path}");
    }
    assert!(items(&log.call("POST", "/ingame/log", json!({})).await.ok()).is_empty());
    api.mutexes("ns", "b").lock("p", "t").await.item();
    assert_eq!(log.entries("").await.len(), 1);
    assert_eq!(server.count(CHUNKS).await, 3);
    server.sweep().await;
    assert_eq!(server.count(CHUNKS).await, 1);
    assert_eq!(server.count("SELECT COUNT(*) FROM log_ended").await, 0);
    assert_eq!(log.entries("").await.len(), 1);
    server.stop().await;
}

/// LG-09: what a player sends is on disk when it is answered, once for a duplication avoider, and not by a dry run.
async fn what_a_game_sends_is_kept(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    let player = api.with(hiroba_testkit::api::ACCESS_TOKEN, &api.player_token("alice").await);
    let fields = json!({
        "tags": [{ "key": "level", "value": "1" }, { "key": "kind", "value": "boss" }], "payload": "{\"password\":\"kept\"}",
    });
    let player = Log { api: player, ..log.clone() };
    let sent = player.call("POST", "/ingame/log/user/me/send", fields.clone()).await.item();
    assert_eq!((text(&sent, "userId"), &sent["tags"]), ("alice", &fields["tags"]));
    let once = Log { api: player.api.with(DUPLICATION_AVOIDER, "key"), ..log.clone() };
    let twice = [
        once.call("POST", "/ingame/log/user/me/send", fields.clone()).await.item(),
        once.call("POST", "/ingame/log/user/me/send", fields.clone()).await.item(),
    ];
    assert_eq!(twice[0], twice[1]);
    let dry = Log { api: player.api.with(DRY_RUN, "true"), ..log.clone() };
    dry.call("POST", "/ingame/log/user/me/send", fields.clone()).await.item();
    let other = json!({ "tags": [{ "key": "level", "value": "2" }], "payload": "" });
    log.call("POST", "/ingame/log/user/bob/send", other).await.item();

    let find = async |fields: Value| log.call("POST", "/ingame/log", fields).await.ok();
    let all = find(json!({})).await;
    assert_eq!((items(&all).len(), total(&all)), (3, 3), "{all}");
    let level = |value: &str| json!({ "key": "level", "value": value });
    let boss = json!({ "key": "kind", "value": "boss" });
    for (tags, user, count) in [
        (json!([level("1")]), None, 2),
        (json!([level("1"), boss]), None, 2),
        (json!([level("2"), boss]), None, 0),
        (json!([level("1")]), Some("bob"), 0),
        (json!([]), Some("bob"), 1),
    ] {
        let found = find(json!({ "tags": tags, "userId": user })).await;
        assert_eq!(items(&found).len(), count, "{tags} {user:?}");
    }
    let item = items(&find(json!({ "userId": "alice", "limit": 1 })).await).remove(0);
    assert_eq!((&item["tags"], &item["payload"]), (&fields["tags"], &fields["payload"]));
    // Old SDKs add under a category.
    let put = json!({ "loggingNamespaceId": log.id(), "logCategory": "quest", "payload": "done" });
    api.call("log", "POST", "/log/put", put).await.ok();
    let tags = json!([{ "key": "category", "value": "quest" }]);
    assert_eq!(text(&items(&find(json!({ "tags": tags })).await)[0], "payload"), "done");
    for id in ["logs", "grn:gs2:ap-northeast-1:other:log:logs", "grn:gs2:ap-northeast-1:hiroba:lock:logs"] {
        let put = json!({ "loggingNamespaceId": id, "logCategory": "quest", "payload": "" });
        let answer = api.call("log", "POST", "/log/put", put).await;
        answer.refused(400, "log", "log.log.loggingNamespaceId.error.invalid");
    }
    server.stop().await;
}

/// LG-07, LG-08: pages are newest first, hold each entry once, and say how many there are, whatever the chunks.
async fn pages_hold_every_entry_once(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    let start = server.now();
    for number in 0..60 {
        api.mutexes("ns", &format!("user-{}", number % 3)).get(&format!("p{number}")).await;
        // Several in one millisecond, several chunks.
        if number % 4 == 0 {
            server.advance(1);
        }
        if number % 10 == 0 {
            assert_eq!(log.entries("").await.len(), number + 1);
        }
    }
    for (filter, expected) in
        [("", 60), ("&userId=user-1", 20), ("&service=lock&method=getMutex", 60), ("&method=no", 0)]
    {
        for limit in [1, 7, 20, 1000] {
            let (mut token, mut ids, mut times) = (String::new(), Vec::new(), Vec::new());
            loop {
                let page = log.page(&format!("limit={limit}{filter}{token}")).await;
                assert_eq!(total(&page), expected, "{filter} by {limit}");
                let found = items(&page);
                assert!(found.len() <= limit);
                ids.extend(found.iter().map(|entry| text(entry, "requestId").to_owned()));
                times.extend(found.iter().map(|entry| int(entry, "timestamp")));
                match page["nextPageToken"].as_str() {
                    Some(next) => token = format!("&pageToken={next}"),
                    None => break,
                }
            }
            assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len() as i64, expected, "{filter} by {limit}");
        }
    }
    // Both ends are included; the last hour is what is meant without any.
    assert_eq!(log.entries(&format!("begin={start}&end={start}")).await.len(), 1);
    assert_eq!(log.entries(&format!("begin={}&end={}", start + 1, start + 2)).await.len(), 8);
    server.advance(3_600_000 - (server.now() - start));
    // Tokens live for an hour too.
    let log = Log { api: server.api().await, ..log };
    assert_eq!(log.entries("").await.len(), 60);
    server.advance(1);
    assert_eq!(log.entries("").await.len(), 59);
    assert_eq!(log.entries(&format!("end={}", start + 1)).await.len(), 5);
    assert_eq!(log.entries(&format!("begin={start}&longTerm=true")).await.len(), 60);
    let wrong = log.call("GET", "/log/access?begin=5&end=4", Value::Null).await;
    wrong.refused(400, "accessLog", "log.accessLog.begin.error.invalid");
    for token in ["x", "1.2.3", "1.2.3.-4", "1.2.3.4.5"] {
        let wrong = log.call("GET", &format!("/log/access?pageToken={token}"), Value::Null).await;
        wrong.refused(400, "accessLog", "log.accessLog.pageToken.error.invalid");
    }
    server.stop().await;
}

on_both_engines! {
    too_much_is_dropped_and_counted
    old_entries_vanish
    a_namespace_takes_its_logs_along
    what_a_game_sends_is_kept
    pages_hold_every_entry_once
}
