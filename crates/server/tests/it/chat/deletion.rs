//! What goes with a room and with a namespace (BEHAVIOUR CH-09, CH-53, CH-59, N-14).

use futures_util::future::join_all;
use hiroba_testkit::chat::{notice, told};
use hiroba_testkit::{Chat, Database, Gateway, TestServer, on_both_engines};
use serde_json::{Value, json};

use super::{NO_ROOM, NO_SUBSCRIPTION};

const MESSAGES: &str = "SELECT COUNT(*) FROM chat_message";
const SUBSCRIPTIONS: &str = "SELECT COUNT(*) FROM chat_subscribe";
const REST: &str = "SELECT (SELECT COUNT(*) FROM chat_room) + (SELECT COUNT(*) FROM chat_room_state)
    + (SELECT COUNT(*) FROM chat_ended_room)";
const NO_NAMESPACE: &str = "chat.namespace.namespace.error.notFound";
/// More than are removed in one transaction.
const POSTS: usize = 600;

async fn fill(chat: &Chat, room: &str, posts: usize) {
    let posters = (0..8).map(|poster| {
        let (chat, room) = (chat.clone(), room.to_owned());
        async move {
            for _ in (poster..posts).step_by(8) {
                chat.post(&room, "alice", "x").await;
            }
        }
    });
    join_all(posters).await;
}

async fn subscription(chat: &Chat, user: &str, room: &str) -> hiroba_testkit::http::Response {
    chat.call("GET", &format!("/user/{user}/room/{room}/subscribe"), Value::Null).await
}

/// CH-09: a deleted room is gone at once for everybody, and from the disk after a sweep; one of its name is another one.
async fn a_room(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let gateway = Gateway::create(&api, "gateway").await;
    let chat = Chat::create_with(&api, "ns", Chat::tells("gateway")).await;
    for room in ["gone", "stays"] {
        chat.room(room, json!({})).await;
        for user in ["alice", "bob"] {
            chat.subscribe(room, user, &[]).await;
        }
    }
    fill(&chat, "gone", POSTS).await;
    fill(&chat, "stays", 3).await;
    chat.delete("gone").await.item();

    assert_eq!(chat.subscriptions("alice").await, ["stays"], "CH-59");
    let prefixed = chat.call("GET", "/user/bob/room/subscribe?roomNamePrefix=go", Value::Null).await.ok();
    assert_eq!(prefixed["items"], json!([]));
    chat.call("GET", "/room/gone/subscribe", Value::Null).await.refused(404, "room", NO_ROOM);
    subscription(&chat, "alice", "gone").await.refused(404, "subscribe", NO_SUBSCRIPTION);
    chat.unsubscribe("gone", "alice").await.refused(404, "subscribe", NO_SUBSCRIPTION);
    chat.list("gone", "alice", "").await.refused(404, "room", NO_ROOM);
    chat.latest("gone", "alice", "").await.refused(404, "room", NO_ROOM);
    chat.post_with("gone", "alice", json!({ "metadata": "x" })).await.refused(404, "room", NO_ROOM);
    chat.delete("gone").await.refused(404, "room", NO_ROOM);

    // Made again before anything was removed.
    chat.room("gone", json!({})).await;
    let (mut alice, mut bob) = (gateway.player(&server, "alice").await, gateway.player(&server, "bob").await);
    assert_eq!(chat.subscriptions("alice").await, ["stays"]);
    assert!(chat.subscribers("gone").await.is_empty());
    assert_eq!(chat.messages("gone", "alice", "").await, Vec::<Value>::new());
    chat.subscribe("gone", "bob", &[]).await;
    assert_eq!(chat.subscriptions("bob").await, ["gone", "stays"]);
    let posted = chat.post("gone", "alice", "y").await;
    assert_eq!(told(&mut bob).await, notice("ns", &posted));
    assert!(alice.socket.subjects(api.project_token()).await.is_empty());
    assert_eq!(chat.messages("gone", "alice", "").await, [posted]);

    server.sweep().await;
    assert_eq!(server.count(MESSAGES).await, 4);
    assert_eq!(server.count(SUBSCRIPTIONS).await, 3);
    assert_eq!(server.count(REST).await, 4);
    assert_eq!(chat.messages("stays", "alice", "").await.len(), 3);
    drop((alice, bob));
    server.stop().await;
}

/// N-14: a deleted namespace leaves nothing behind, neither for a namespace of its name nor, after a sweep, on the disk.
async fn a_namespace(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let (chat, other) = (Chat::create(&api, "ns").await, Chat::create(&api, "other").await);
    for chat in [&chat, &other] {
        for room in ["one", "two"] {
            chat.room(room, json!({})).await;
            chat.subscribe(room, "alice", &[]).await;
            fill(chat, room, 5).await;
        }
    }
    chat.call("DELETE", "", Value::Null).await.ok();
    chat.call("GET", "/user/alice/room/subscribe", Value::Null).await.refused(404, "namespace", NO_NAMESPACE);
    chat.list("one", "alice", "").await.refused(404, "namespace", NO_NAMESPACE);
    chat.post_with("one", "alice", json!({ "metadata": "x" })).await.refused(404, "namespace", NO_NAMESPACE);
    subscription(&chat, "alice", "one").await.refused(404, "namespace", NO_NAMESPACE);

    let chat = Chat::create(&api, "ns").await;
    assert!(chat.subscriptions("alice").await.is_empty());
    chat.list("one", "alice", "").await.refused(404, "room", NO_ROOM);
    chat.room("one", json!({})).await;
    assert!(chat.subscribers("one").await.is_empty());
    assert_eq!(chat.messages("one", "alice", "").await, Vec::<Value>::new());
    server.sweep().await;
    assert_eq!(server.count(MESSAGES).await, 10);
    assert_eq!(server.count(SUBSCRIPTIONS).await, 2);
    assert_eq!(server.count(REST).await, 6);
    assert_eq!(other.subscriptions("alice").await, ["one", "two"]);
    assert_eq!(other.messages("two", "alice", "").await.len(), 5);
    server.stop().await;
}

/// Rooms that are deleted and made again while players post and subscribe: nothing of a room is left in the next one, and
/// nothing without a room.
async fn while_others_post(database: Database) {
    let server = TestServer::start(&database).await;
    let chat = Chat::create(&server.api().await, "ns").await;
    chat.room("square", json!({})).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let players = (0..6).map(|player| {
        let (chat, stopped) = (chat.clone(), stopped.clone());
        tokio::spawn(async move {
            let (user, mut there) = (format!("user-{player}"), 0);
            while !*stopped.borrow() {
                let path = format!("/user/{user}/room/square/subscribe");
                let subscribed = chat.call("POST", &path, json!({})).await;
                let posted = chat.post_with("square", &user, json!({ "metadata": "x" })).await;
                for answer in [subscribed, posted] {
                    match answer.status {
                        200 => there += 1,
                        503 => {}
                        _ => answer.refused(404, "room", NO_ROOM),
                    }
                }
            }
            there
        })
    });
    let players: Vec<_> = players.collect();
    for _ in 0..15 {
        let answer = chat.delete("square").await;
        if answer.status == 503 {
            continue;
        }
        answer.item();
        chat.room("square", json!({})).await;
    }
    stop.send(true).unwrap();
    for player in players {
        assert!(player.await.unwrap() > 0);
    }
    let (messages, subscribers) =
        (chat.messages("square", "reader", "").await, chat.subscribers("square").await);
    server.sweep().await;
    assert_eq!(server.count(MESSAGES).await, messages.len() as i64);
    assert_eq!(server.count(SUBSCRIPTIONS).await, subscribers.len() as i64);
    assert_eq!(server.count(REST).await, 2);
    chat.delete("square").await.item();
    server.sweep().await;
    for table in [MESSAGES, SUBSCRIPTIONS, REST] {
        assert_eq!(server.count(table).await, 0, "{table}");
    }
    server.stop().await;
}

on_both_engines! {
    a_room
    a_namespace
    while_others_post
}
