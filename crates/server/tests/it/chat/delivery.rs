//! Telling subscribers of posts, on sockets (BEHAVIOUR CH-50 … CH-56, CH-58).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hiroba_testkit::api::{DRY_RUN, DUPLICATION_AVOIDER, int, text};
use hiroba_testkit::chat::{notice, told};
use hiroba_testkit::http::Response;
use hiroba_testkit::{Chat, Database, Gateway, Player, TestServer, on_both_engines};
use serde_json::{Value, json};

use super::NO_SUBSCRIPTION;

/// The Chat namespace `ns`, which tells through the Gateway namespace `gateway`.
async fn start(database: &Database) -> (TestServer, Gateway, Chat) {
    let server = TestServer::start(database).await;
    let api = server.api().await;
    let gateway = Gateway::create(&api, "gateway").await;
    let chat = Chat::create_with(&api, "ns", Chat::tells("gateway")).await;
    (server, gateway, chat)
}

/// Waits until somebody who is told last of all was told of this post: what others get, they have then.
async fn all_told(last: &mut Player, posted: &Value) {
    while told(last).await["createdAt"] != posted["createdAt"] {}
}

/// Nothing more has come to these players.
async fn nothing_more(chat: &Chat, players: &mut [&mut Player]) {
    for player in players {
        assert_eq!(player.socket.subjects(chat.api().project_token()).await, Vec::<String>::new());
    }
}

/// CH-36, CH-54, CH-56: however many post at once, each subscriber is told of each post once, in the order of `createdAt`,
/// on each of their sockets, also of their own posts; what is said holds no text.
async fn in_order(database: Database) {
    let (server, gateway, chat) = start(&database).await;
    chat.room("square", json!({})).await;
    for user in ["alice", "user-0", "user-7"] {
        chat.subscribe("square", user, &[]).await;
    }
    let mut players = Vec::new();
    for user in ["alice", "alice", "user-0", "user-7"] {
        players.push(gateway.player(&server, user).await);
    }
    let mut stranger = gateway.player(&server, "stranger").await;
    let posters = (0..8).map(|poster| {
        let chat = chat.clone();
        tokio::spawn(async move {
            let mut posted = Vec::new();
            for number in 0..25 {
                posted
                    .push(chat.post("square", &format!("user-{poster}"), &format!("secret {number}")).await);
            }
            posted
        })
    });
    let mut posted: Vec<Value> = join_all(posters).await.into_iter().flat_map(Result::unwrap).collect();
    posted.sort_by_key(|message| int(message, "createdAt"));
    for player in &mut players {
        for message in &posted {
            let frame = player.socket.notification().await;
            let payload: Value = serde_json::from_str(text(&frame["body"], "payload")).unwrap();
            assert_eq!(payload, notice("ns", message));
            let issuer = text(&frame["body"], "issuer");
            assert_eq!(issuer, "grn:gs2:ap-northeast-1:hiroba:chat:ns");
            assert!(!frame.to_string().contains("secret"), "CH-55");
        }
    }
    let mut rest: Vec<&mut Player> = players.iter_mut().chain([&mut stranger]).collect();
    nothing_more(&chat, &mut rest).await;
    drop((players, stranger));
    server.stop().await;
}

/// CH-50, CH-51, CH-53: what a player gets depends on the categories that they had subscribed to when it was posted.
async fn categories(database: Database) {
    let (server, gateway, chat) = start(&database).await;
    chat.room("square", json!({})).await;
    // The last one's id is behind all others.
    let users = ["a-none", "b-one", "c-two", "d-all", "e-default", "z-last"];
    let mut players = Vec::new();
    for user in users {
        players.push(gateway.player(&server, user).await);
    }
    chat.subscribe("square", "b-one", &[1]).await;
    chat.subscribe("square", "c-two", &[1, 2]).await;
    chat.subscribe("square", "d-all", &[]).await;
    let default = json!({ "notificationTypes": [{}] });
    let item = chat.call("POST", "/user/e-default/room/square/subscribe", default).await.item();
    assert_eq!(int(&item["notificationTypes"][0], "category"), 0);
    chat.subscribe("square", "z-last", &[]).await;
    let post = async |category: i64| -> Value {
        let fields = json!({ "metadata": "x", "category": category });
        chat.post_with("square", "poster", fields).await.item()
    };
    for (category, expected) in [
        (0, vec!["d-all", "e-default"]),
        (1, vec!["b-one", "c-two", "d-all"]),
        (2, vec!["c-two", "d-all"]),
        (2_147_483_645, vec!["d-all"]),
    ] {
        let posted = post(category).await;
        all_told(players.last_mut().unwrap(), &posted).await;
        for (user, player) in users.iter().zip(&mut players) {
            if expected.contains(user) {
                assert_eq!(told(player).await, notice("ns", &posted), "{user} of category {category}");
            }
            nothing_more(&chat, &mut [player]).await;
        }
    }

    // What is posted after a change follows it. What was posted before is told first: telling comes after the answer, and
    // goes by the subscriptions of that moment.
    let path = "/user/b-one/room/square/subscribe/notification";
    let update =
        async |types: Value| chat.call("POST", path, json!({ "notificationTypes": types })).await.item();
    for round in 0..10 {
        chat.subscribe("square", "b-one", &[3]).await;
        post(1).await;
        expect(&mut players, post(3).await).await;
        let item = update(json!([{ "category": 1 }])).await;
        assert_eq!(int(&item["notificationTypes"][0], "category"), 1);
        post(3).await;
        expect(&mut players, post(1).await).await;
        update(json!([])).await;
        expect(&mut players, post(4).await).await;
        let removed = chat.unsubscribe("square", "b-one").await.item();
        assert_eq!((text(&removed, "userId"), text(&removed, "roomName")), ("b-one", "square"), "{round}");
        post(1).await;
        all_told(players.last_mut().unwrap(), &post(3).await).await;
    }
    nothing_more(&chat, &mut [&mut players[1]]).await;
    chat.unsubscribe("square", "b-one").await.refused(404, "subscribe", NO_SUBSCRIPTION);
    drop(players);
    server.stop().await;
}

/// Waits until everybody was told of this post; the second player was told of nothing before.
async fn expect(players: &mut [Player], posted: Value) {
    assert_eq!(told(&mut players[1]).await, notice("ns", &posted));
    all_told(players.last_mut().unwrap(), &posted).await;
}

/// CH-53: nothing that is posted after the answer to `unsubscribe` is told, whoever posts meanwhile.
async fn nothing_after_unsubscribing(database: Database) {
    let (server, gateway, chat) = start(&database).await;
    chat.room("square", json!({})).await;
    let mut alice = gateway.player(&server, "alice").await;
    let mut last = gateway.player(&server, "z-last").await;
    chat.subscribe("square", "z-last", &[]).await;
    for _ in 0..30 {
        chat.subscribe("square", "alice", &[]).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let posters = (0..3).map(|poster| {
            let (chat, stopped) = (chat.clone(), stopped.clone());
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    chat.post("square", &format!("user-{poster}"), "x").await;
                }
            })
        });
        let posters: Vec<_> = posters.collect();
        told(&mut alice).await;
        let before = chat.post("square", "poster", "before").await;
        chat.unsubscribe("square", "alice").await.item();
        let after = chat.post("square", "poster", "after").await;
        stop.send(true).unwrap();
        for poster in posters {
            poster.await.unwrap();
        }
        let end = chat.post("square", "poster", "end").await;
        all_told(&mut last, &end).await;
        let mut seen = vec![told(&mut alice).await];
        while seen.last().unwrap()["createdAt"] != before["createdAt"] {
            seen.push(told(&mut alice).await);
        }
        // What others posted between the two was told or not.
        let frames = alice.socket.subjects(chat.api().project_token()).await.len();
        let between = chat.messages("square", "reader", "").await;
        let between = between.iter().map(|message| int(message, "createdAt"));
        let span = int(&before, "createdAt") + 1..int(&after, "createdAt");
        let between = between.filter(|at| span.contains(at)).count();
        assert!(frames <= between, "{frames} of {between} posts between the two");
    }
    drop((alice, last));
    server.stop().await;
}

/// N-06, G-37: a setting that is disabled, one whose Gateway namespace does not exist, and none at all fail no post; a
/// namespace `default` serves those without a setting.
async fn settings(database: Database) {
    let (server, gateway, chat) = start(&database).await;
    let api = gateway.api();
    let mut alice = gateway.player(&server, "alice").await;
    chat.room("square", json!({})).await;
    chat.subscribe("square", "alice", &[]).await;
    let first = chat.post("square", "bob", "x").await;
    assert_eq!(told(&mut alice).await, notice("ns", &first));

    let tells = Chat::tells("gateway");
    let mut disabled = tells.clone();
    disabled["postNotification"]["enable"] = "Disabled".into();
    for setting in [
        disabled,
        Chat::tells("missing"),
        json!({ "postNotification": { "gatewayNamespaceId": "nonsense" } }),
    ] {
        chat.set(setting).await;
        chat.post("square", "bob", "lost").await;
    }
    chat.set(json!({})).await;
    chat.post("square", "bob", "lost too").await;
    chat.set(tells).await;
    let second = chat.post("square", "bob", "x").await;
    assert_eq!(told(&mut alice).await, notice("ns", &second));
    nothing_more(&chat, &mut [&mut alice]).await;

    // The players of another Gateway namespace are others.
    let other = Gateway::create(api, "other").await;
    let mut elsewhere = other.player(&server, "alice").await;
    chat.set(Chat::tells("other")).await;
    let third = chat.post("square", "bob", "x").await;
    assert_eq!(told(&mut elsewhere).await, notice("ns", &third));
    let default = Gateway::create(api, "default").await;
    let mut usual = default.player(&server, "alice").await;
    chat.set(json!({})).await;
    let fourth = chat.post("square", "bob", "x").await;
    assert_eq!(told(&mut usual).await, notice("ns", &fourth));
    nothing_more(&chat, &mut [&mut alice, &mut elsewhere, &mut usual]).await;
    drop((alice, elsewhere, usual));
    server.stop().await;
}

/// A player gets nothing of rooms that they have not subscribed to, and of those that they have what is posted there.
async fn rooms_apart(database: Database) {
    let (server, gateway, chat) = start(&database).await;
    let mut alice = gateway.player(&server, "alice").await;
    let mut last = gateway.player(&server, "z-last").await;
    for room in ["one", "two", "three"] {
        chat.room(room, json!({})).await;
        chat.subscribe(room, "z-last", &[]).await;
    }
    chat.subscribe("one", "alice", &[]).await;
    chat.subscribe("three", "alice", &[]).await;
    // CH-24: neither password nor list is asked for.
    chat.update("three", json!({ "password": "p", "whiteListUserIds": ["bob"] })).await;
    let mut expected = vec![Vec::new(), Vec::new()];
    for _ in 0..20 {
        expected[0].push(notice("ns", &chat.post("one", "bob", "x").await));
        chat.post("two", "bob", "x").await;
        let fields = json!({ "metadata": "x", "password": "p" });
        expected[1].push(notice("ns", &chat.post_with("three", "bob", fields).await.item()));
    }
    for _ in 0..60 {
        told(&mut last).await;
    }
    let mut seen = vec![Vec::new(), Vec::new()];
    for _ in 0..40 {
        let payload = told(&mut alice).await;
        seen[usize::from(payload["roomName"] == "three")].push(payload);
    }
    assert_eq!(seen, expected);
    nothing_more(&chat, &mut [&mut alice]).await;
    drop((alice, last));
    server.stop().await;
}

const SUBSCRIBERS: usize = 20_000;
const SOCKETS: usize = 50;
/// Subscribes as many players to the room `full` of one namespace; calls would take minutes.
const FILL: &str = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 19999)
    INSERT INTO chat_subscribe (room_id, user_id, owner_id, namespace_name, room_name, notification_types, created_at,
        revision)
    SELECT room_id, 'player-' || n, owner_id, namespace_name, name, '[]', 0, 1 FROM chat_room, numbers
    WHERE name = 'full'";
const COUNT: &str = "UPDATE chat_room_state SET subscriptions = 20000
    WHERE room_id IN (SELECT room_id FROM chat_room WHERE name = 'full')";

/// The middle one of some posts' times.
async fn post_time(chat: &Chat, room: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..9 {
        let begun = Instant::now();
        chat.post(room, "poster", "x").await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// CH-58: a post into a room with very many subscribers is answered as quickly as any other, and reaches all who are there.
async fn many_subscribers(database: Database) {
    let (server, _, chat) = start(&database).await;
    for room in ["empty", "full"] {
        chat.room(room, json!({})).await;
    }
    server.stop().await;
    let fill = database.change(|tx| {
        tx.execute(FILL, &[])?;
        tx.execute(COUNT, &[])?;
        Ok(())
    });
    fill.await;
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let (gateway, chat) = (Gateway::of(&api, "gateway"), Chat::of(&api, "ns"));
    let mut players = Vec::new();
    for number in (0..SUBSCRIBERS).step_by(SUBSCRIBERS / SOCKETS) {
        players.push(gateway.player(&server, &format!("player-{number}")).await);
    }
    assert_eq!(players.len(), SOCKETS);

    let (empty, full) = (post_time(&chat, "empty").await, post_time(&chat, "full").await);
    println!("a post takes {empty:?} without subscribers and {full:?} with {SUBSCRIBERS}");
    assert!(full < Duration::from_secs(1), "{full:?}");
    // Many at once are answered meanwhile, and told in order.
    let more = (0..20).map(|_| {
        let chat = chat.clone();
        tokio::spawn(async move { chat.post("full", "poster", "x").await })
    });
    join_all(more).await.into_iter().for_each(|posted| drop(posted.unwrap()));
    let posted = chat.messages("full", "reader", "").await;
    assert_eq!(posted.len(), 29);
    for player in &mut players {
        for message in &posted {
            assert_eq!(told(player).await, notice("ns", message));
        }
    }
    let mut rest: Vec<&mut Player> = players.iter_mut().collect();
    nothing_more(&chat, &mut rest).await;

    // One who leaves gets nothing any more, and the others still do.
    chat.unsubscribe("full", "player-0").await.item();
    let posted = chat.post("full", "poster", "x").await;
    for player in &mut players[1..] {
        assert_eq!(told(player).await, notice("ns", &posted));
    }
    nothing_more(&chat, &mut [&mut players[0]]).await;
    drop(players);
    server.stop().await;
}

/// X-01, T-14: what is posted once is told once, and a dry run tells nothing.
async fn once(database: Database) {
    let (server, gateway, chat) = start(&database).await;
    let mut alice = gateway.player(&server, "alice").await;
    chat.room("square", json!({})).await;
    chat.subscribe("square", "alice", &[]).await;
    let dry = Chat::of(&chat.api().with(DRY_RUN, "true"), "ns");
    dry.post("square", "bob", "dry").await;
    let avoiding = Chat::of(&chat.api().with(DUPLICATION_AVOIDER, "once"), "ns");
    let post = || avoiding.post_with("square", "bob", json!({ "metadata": "x" }));
    let first = post().await.item();
    assert_eq!(post().await.item(), first);
    let twins = (0..8).map(|_| {
        let chat = Chat::of(&chat.api().with(DUPLICATION_AVOIDER, "at once"), "ns");
        async move { chat.post_with("square", "bob", json!({ "metadata": "y" })).await }
    });
    let twins = join_all(twins).await;
    let answers: Vec<Value> =
        twins.iter().filter(|answer| answer.status == 200).map(Response::item).collect();
    assert!(!answers.is_empty() && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let end = chat.post("square", "bob", "end").await;
    for message in [&first, &answers[0], &end] {
        assert_eq!(told(&mut alice).await, notice("ns", message));
    }
    nothing_more(&chat, &mut [&mut alice]).await;
    assert_eq!(chat.messages("square", "reader", "").await, [first, answers[0].clone(), end]);
    drop(alice);
    server.stop().await;
}

on_both_engines! {
    in_order
    categories
    nothing_after_unsubscribing
    settings
    rooms_apart
    many_subscribers
    once
}
