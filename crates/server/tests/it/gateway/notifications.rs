//! Telling players things (BEHAVIOUR G-30 … G-40).

use std::time::Duration;

use futures_util::future::join_all;
use hiroba_testkit::api::{Api, DRY_RUN, DUPLICATION_AVOIDER};
use hiroba_testkit::frames::RawSocket;
use hiroba_testkit::http::Connection;
use hiroba_testkit::{Database, Gateway, Socket, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};

/// Sockets on one server, where the system allows as many.
const SOCKETS: usize = 5000;
/// Files that this process needs for everything else.
const OTHER_FILES: usize = 2000;

async fn start(database: &Database) -> (TestServer, Gateway) {
    let server = TestServer::start(database).await;
    let gateway = Gateway::create(&server.api().await, "ns").await;
    (server, gateway)
}

/// G-30 … G-36, T-24: every socket of the player gets the frame as the SDKs read it; nobody else gets any.
async fn all_sockets_of_the_player(database: Database) {
    let (server, gateway) = start(&database).await;
    let elsewhere = Gateway::create(gateway.api(), "elsewhere").await;
    let mut players = Vec::new();
    for _ in 0..3 {
        players.push(gateway.player(&server, "alice").await);
    }
    let mut others = vec![gateway.player(&server, "alic").await, elsewhere.player(&server, "alice").await];
    let payload = r#"{"a":"\u0000 \" あ 𠮷"}"#;
    let sent =
        gateway.send_with("alice", json!({ "subject": "Gs2Test:Event", "payload": payload })).await.ok();
    let mut ids: Vec<&str> =
        sent["sendConnectionIds"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    ids.sort_unstable();
    let mut expected: Vec<&str> = players.iter().map(|player| player.connection_id.as_str()).collect();
    expected.sort_unstable();
    assert_eq!((ids, &sent["protocol"]), (expected, &json!("websocket")));
    let frame = json!({
        "type": "notification",
        "body": {
            "issuer": "grn:gs2:ap-northeast-1:hiroba:gateway:ns", "subject": "Gs2Test:Event", "payload": payload,
        },
    });
    for player in &mut players {
        assert_eq!(player.socket.notification().await, frame);
    }
    let token = gateway.api().project_token();
    for player in others.iter_mut().chain(&mut players) {
        assert_eq!(player.socket.subjects(token).await, Vec::<String>::new());
    }
    drop((players, others));
    server.stop().await;
}

/// G-34, G-35: an absent player is no error, and nothing waits for them.
async fn nobody_there(database: Database) {
    let (server, gateway) = start(&database).await;
    let none = json!({ "protocol": "none", "sendConnectionIds": [] });
    assert_eq!(gateway.send("alice", "lost").await, none);
    let mut alice = gateway.player(&server, "alice").await;
    gateway.send("alice", "found").await;
    assert_eq!(alice.socket.subjects(gateway.api().project_token()).await, ["found"]);
    let missing = json!({ "subject": "s", "payload": "p" });
    let missing =
        gateway.api().call("gateway", "POST", "/missing/session/user/alice/notification", missing).await;
    missing.refused(404, "namespace", "gateway.namespace.namespace.error.notFound");
    // A namespace that was missing a moment ago is there at once.
    let missing = Gateway::create(gateway.api(), "missing").await;
    assert_eq!(missing.send("alice", "x").await, none);
    alice.socket.close().await;
    server.stop().await;
}

/// G-38: each socket sees what one caller sends in the order of the calls.
async fn in_order(database: Database) {
    let (server, gateway) = start(&database).await;
    let mut players = vec![gateway.player(&server, "alice").await, gateway.player(&server, "alice").await];
    let callers = ["a", "b", "c"].map(|caller| {
        let gateway = gateway.clone();
        async move {
            for number in 0..200 {
                gateway.send("alice", &format!("{caller}{number}")).await;
            }
        }
    });
    join_all(callers).await;
    let token = gateway.api().project_token();
    let mut seen = Vec::new();
    for player in &mut players {
        let subjects = player.socket.subjects(token).await;
        for caller in ["a", "b", "c"] {
            let own: Vec<&String> = subjects.iter().filter(|subject| subject.starts_with(caller)).collect();
            let expected: Vec<String> = (0..200).map(|number| format!("{caller}{number}")).collect();
            assert_eq!(own, expected.iter().collect::<Vec<_>>());
        }
        seen.push(subjects);
    }
    assert_eq!(seen[0], seen[1], "all sockets of a player see one order");
    drop(players);
    server.stop().await;
}

/// T-14, X-01 … X-03: a dry run sends nothing, and a repeated call sends once.
async fn dry_and_repeated(database: Database) {
    let (server, gateway) = start(&database).await;
    let mut alice = gateway.player(&server, "alice").await;
    let token = gateway.api().project_token().to_owned();
    let reached = json!({ "protocol": "websocket", "sendConnectionIds": [alice.connection_id] });
    let dry = Gateway::of(&gateway.api().with(DRY_RUN, "true"), "ns");
    assert_eq!(dry.send("alice", "dry").await, reached);
    let once = Gateway::of(&gateway.api().with(DUPLICATION_AVOIDER, "once"), "ns");
    assert_eq!(once.send("alice", "one").await, reached);
    assert_eq!(once.send("alice", "one").await, reached);
    let other = once.send_with("alice", json!({ "subject": "two", "payload": "p" })).await;
    other.refused(409, "duplicationAvoider", "gateway.duplicationAvoider.duplicationAvoider.error.notMatch");
    assert_eq!(alice.socket.subjects(&token).await, ["one"]);

    // At once: one sends, the others get its answer or are told to repeat.
    let calls = (0..16).map(|_| {
        let gateway = Gateway::of(&gateway.api().with(DUPLICATION_AVOIDER, "at once"), "ns");
        async move { gateway.send_with("alice", json!({ "subject": "three", "payload": "p" })).await }
    });
    for answer in join_all(calls).await {
        match answer.status {
            200 => assert_eq!(answer.ok(), reached),
            _ => {
                let message = "gateway.duplicationAvoider.duplicationAvoider.error.duplicate";
                answer.refused(409, "duplicationAvoider", message);
            }
        }
    }
    assert_eq!(alice.socket.subjects(&token).await, ["three"]);
    alice.socket.close().await;
    server.stop().await;
}

/// What services tell players through their settings arrives as `sendNotification`'s does; a namespace that does not
/// exist costs nothing but a warning (G-37, V-04).
async fn from_services(database: Database) {
    let (server, gateway) = start(&database).await;
    let mut alice = gateway.player(&server, "alice").await;
    for number in 0..50 {
        server.app().notify("ns", "alice", &format!("s{number}"), "{}").await.unwrap();
    }
    server.app().notify("missing", "alice", "lost", "{}").await.unwrap();
    let expected: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
    assert_eq!(alice.socket.subjects(gateway.api().project_token()).await, expected);
    alice.socket.close().await;
    server.stop().await;
}

/// A socket whose peer does not read is closed, and nobody else waits for it.
async fn a_slow_reader(database: Database) {
    let queue = 256 << 10;
    let server =
        TestServer::builder(&database).config(|config| config.socket_queue_bytes_max = queue).start().await;
    let gateway = Gateway::create(&server.api().await, "ns").await;
    let mut slow = RawSocket::open(server.address()).await;
    let fields = gateway.fields("alice", json!({
        "x_gs2": { "service": "gateway", "component": "webSocketSession", "function": "setUserIdByUserId", "requestId": "1" },
    }));
    slow.send(&hiroba_testkit::frames::frame(
        true,
        hiroba_testkit::frames::TEXT,
        fields.to_string().as_bytes(),
    ))
    .await;
    slow.text().await;
    let mut quick = gateway.player(&server, "alice").await;
    let payload = "x".repeat(1024);
    let mut sent = 0;
    // The system's buffers take some megabytes first.
    let cut_off = loop {
        let answers =
            (0..64).map(|_| gateway.send_with("alice", json!({ "subject": "s", "payload": payload })));
        let reached = join_all(answers)
            .await
            .into_iter()
            .map(|answer| answer.ok()["sendConnectionIds"].as_array().unwrap().len());
        let reached: Vec<usize> = reached.collect();
        sent += reached.len();
        for _ in 0..reached.len() {
            quick.socket.notification().await;
        }
        if reached.contains(&1) {
            break true;
        }
        if sent > 50_000 {
            break false;
        }
    };
    assert!(cut_off, "{sent} notifications were queued for a peer that does not read");
    let alone = async || (gateway.sessions("alice").await.len() == 1).then_some(());
    eventually("the slow reader's session to end", alone).await;
    assert!(gateway.api().metric("hiroba_slow_readers_total").await >= 1.0);
    drop((slow, quick));
    server.stop().await;
}

/// Five thousand sockets on one server: each gets its own notification, and all get a common one.
async fn five_thousand_sockets(database: Database) {
    let _turn = hiroba_testkit::limits::many_files().await;
    // Both ends of each are in this process.
    let files = usize::try_from(hiroba_testkit::limits::raise_open_files()).unwrap();
    let most = SOCKETS.min(files.saturating_sub(OTHER_FILES) / 2);
    println!("{most} sockets");
    let server =
        TestServer::builder(&database).config(move |config| config.player_sockets_max = most).start().await;
    let gateway = Gateway::create(&server.api().await, "ns").await;
    let groups = (0..8).map(|group| {
        let (gateway, address) = (gateway.clone(), server.address());
        tokio::spawn(async move {
            let mut sockets = Vec::new();
            for number in (group..most).step_by(8) {
                let mut socket = Socket::open_on(Connection::open(address).await, "/").await;
                let user = format!("player-{number}");
                gateway.bind(&mut socket, &user, json!({})).await.item();
                sockets.push((user, socket));
            }
            sockets
        })
    });
    let groups = join_all(groups).await;
    let mut sockets: Vec<(String, Socket)> = groups.into_iter().flat_map(Result::unwrap).collect();
    let gateways: Vec<Gateway> = (0..16).map(|_| Gateway::of(&gateway.api().clone(), "ns")).collect();
    let calls = gateways.iter().enumerate().map(|(lane, gateway)| {
        let users: Vec<String> =
            sockets.iter().skip(lane).step_by(16).map(|(user, _)| user.clone()).collect();
        async move {
            for user in users {
                let sent = gateway.send(&user, &user).await;
                assert_eq!(sent["sendConnectionIds"].as_array().unwrap().len(), 1, "{user}");
            }
        }
    });
    join_all(calls).await;
    for (user, socket) in &mut sockets {
        assert_eq!(socket.notification().await["body"]["subject"], user.as_str());
    }
    let common = Gateway::create(gateway.api(), "common").await;
    for (_, socket) in &mut sockets {
        common.bind(socket, "all", json!({})).await.item();
    }
    let sent = common.send("all", "everybody").await;
    assert_eq!(sent["sendConnectionIds"].as_array().unwrap().len(), most);
    for (_, socket) in &mut sockets {
        assert_eq!(socket.notification().await["body"]["subject"], "everybody");
    }
    drop(sockets);
    let none = async || (gateway.api().clone().metric("hiroba_bindings").await == 0.0).then_some(());
    tokio::time::timeout(Duration::from_secs(60), eventually("all bindings to end", none)).await.unwrap();
    server.stop().await;
}

/// A caller who may not send does not.
async fn permissions(database: Database) {
    let (server, gateway) = start(&database).await;
    let api = gateway.api();
    api.call("identifier", "POST", "/user", json!({ "name": "reader" })).await.ok();
    let made = api.call("identifier", "POST", "/user/reader/identifier", json!({})).await.ok();
    let (id, secret) = (made["item"]["clientId"].as_str().unwrap(), made["clientSecret"].as_str().unwrap());
    let reader = Gateway::of(&Api::login(server.address(), id, secret).await, "ns");
    let refused = reader.send_with("alice", json!({ "subject": "s", "payload": "p" })).await;
    refused.refused(401, "webSocketSession", "gateway.webSocketSession.sendNotification.error.notAuthorized");
    server.stop().await;
}

on_both_engines! {
    five_thousand_sockets
    all_sockets_of_the_player
    nobody_there
    in_order
    dry_and_repeated
    from_services
    a_slow_reader
    permissions
}
