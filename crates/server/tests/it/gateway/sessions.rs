//! Which sockets a player has (BEHAVIOUR G-01 … G-15).

use hiroba_testkit::api::{ACCESS_TOKEN, Api, DRY_RUN, int, text};
use hiroba_testkit::process::Builder;
use hiroba_testkit::socket::Event;
use hiroba_testkit::{Database, Gateway, Socket, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};
use tokio::task::block_in_place;

const SESSION: (&str, &str, &str) = ("gateway", "webSocketSession", "setUserId");
const BY_USER: (&str, &str, &str) = ("gateway", "webSocketSession", "setUserIdByUserId");

async fn start(database: &Database) -> (TestServer, Gateway) {
    let server = TestServer::start_manual(database).await;
    let gateway = Gateway::create(&server.api().await, "ns").await;
    (server, gateway)
}

fn ids(sessions: &[Value]) -> Vec<&str> {
    sessions.iter().map(|session| text(session, "connectionId")).collect()
}

/// The ids in the order of a list.
fn sorted<'a>(ids: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let mut ids: Vec<&str> = ids.into_iter().map(String::as_str).collect();
    ids.sort_unstable();
    ids
}

/// The close frame that ends a socket.
async fn closed(socket: &mut Socket) -> (u16, String) {
    match socket.next().await {
        Event::Close(code, reason) => (code, reason),
        other => panic!("waited for the close frame and got {other:?}"),
    }
}

/// G-01, G-02, G-10, G-11, G-13: a session is there after the call, with all its members, and by every getter.
async fn a_session_begins_with_the_call(database: Database) {
    let (server, gateway) = start(&database).await;
    let api = gateway.api();
    let mut socket = Socket::open(server.address()).await;
    assert!(gateway.sessions("alice").await.is_empty());
    let fields = json!({
        "namespaceName": "ns", "sessionId": "s1", "xGs2ProjectToken": api.project_token(),
        "xGs2AccessToken": api.player_token("alice").await,
    });
    let item = socket.call(SESSION, fields.clone()).await.item();
    let id = text(&item, "connectionId").to_owned();
    let expected = json!({
        "webSocketSessionId": format!("grn:gs2:ap-northeast-1:hiroba:gateway:ns:user:alice:session:{id}"),
        "connectionId": id, "namespaceName": "ns", "userId": "alice", "sessionId": "s1",
        "createdAt": server.now(), "updatedAt": server.now(), "revision": 1,
    });
    assert_eq!(item, expected);
    assert!((1..=128).contains(&id.len()));
    assert_eq!(gateway.sessions("alice").await, std::slice::from_ref(&expected));
    let me = Gateway::of(&api.with(ACCESS_TOKEN, &api.player_token("alice").await), "ns");
    assert_eq!(me.sessions("me").await, std::slice::from_ref(&expected));

    // The getters of old SDKs.
    assert_eq!(gateway.call("GET", &format!("/session/{id}"), Value::Null).await.item(), expected);
    assert_eq!(
        gateway.call("GET", &format!("/session?connectionId={id}"), Value::Null).await.item(),
        expected
    );
    let fields = json!({ "namespaceName": "ns", "xGs2ProjectToken": api.project_token() });
    let own = socket.call(("gateway", "webSocketSession", "getWebSocketSession"), fields).await;
    assert_eq!(own.item(), expected);
    let missing = gateway.call("GET", "/session/nobody", Value::Null).await;
    missing.refused(404, "webSocketSession", "gateway.webSocketSession.webSocketSession.error.notFound");

    // Again: the same session, made again.
    server.advance(1000);
    let again = gateway.bind(&mut socket, "alice", json!({})).await.item();
    assert_eq!((int(&again, "createdAt"), int(&again, "updatedAt")), (server.now() - 1000, server.now()));
    assert_eq!((int(&again, "revision"), &again["sessionId"]), (2, &Value::Null));
    socket.close().await;
    server.stop().await;
}

/// G-03: over REST the socket has to be named; one that is not open is none.
async fn rest_names_the_socket(database: Database) {
    let (server, gateway) = start(&database).await;
    let mut player = gateway.player(&server, "alice").await;
    let path = "/session/user/bob/user";
    let none = gateway.call("POST", path, json!({})).await;
    none.refused(400, "webSocketSession", "gateway.webSocketSession.connectionId.error.require");
    let wrong = gateway.call("POST", path, json!({ "connectionId": "nobody" })).await;
    wrong.refused(404, "webSocketSession", "gateway.webSocketSession.webSocketSession.error.notFound");
    let bound = gateway.call("POST", path, json!({ "connectionId": player.connection_id })).await.item();
    assert_eq!(text(&bound, "connectionId"), player.connection_id);
    assert!(gateway.sessions("alice").await.is_empty(), "the namespace's binding is replaced");
    gateway.send("bob", "hello").await;
    assert_eq!(player.socket.notification().await["body"]["subject"], "hello");
    player.socket.close().await;
    server.stop().await;
}

/// G-07, G-08: exactly the codes that the SDKs' login flows swallow or report.
async fn refusals(database: Database) {
    let (server, gateway) = start(&database).await;
    let mut socket = Socket::open(server.address()).await;
    let token = gateway.api().project_token();
    let fields = |namespace: &str, access: &str| json!({ "namespaceName": namespace, "xGs2ProjectToken": token, "xGs2AccessToken": access });
    let alice = gateway.api().player_token("alice").await;
    let missing = socket.call(SESSION, fields("missing", &alice)).await;
    missing.refused(404, "namespace", "gateway.namespace.namespace.error.notFound");
    let forged = socket.call(SESSION, fields("ns", "forged")).await;
    forged.refused(401, "accessToken", "gateway.accessToken.accessToken.error.invalid");
    socket.call(SESSION, fields("ns", &alice)).await.item();

    // G-12: the binding outlives the token that made it.
    server.advance(2 * 3_600_000);
    let gateway = Gateway::of(&server.api().await, "ns");
    let expired = fields("ns", &alice);
    let project = gateway.api().project_token();
    let expired = json!({ "namespaceName": "ns", "xGs2ProjectToken": project, "xGs2AccessToken": expired["xGs2AccessToken"] });
    let expired = socket.call(SESSION, expired).await;
    expired.refused(401, "accessToken", "gateway.accessToken.accessToken.error.invalid");
    assert_eq!(gateway.sessions("alice").await.len(), 1);
    gateway.send("alice", "still").await;
    assert_eq!(socket.notification().await["body"]["subject"], "still");
    socket.close().await;
    server.stop().await;
}

/// G-04 … G-06: concurrent access, taking a session over, and force.
async fn concurrent_access(database: Database) {
    let (server, gateway) = start(&database).await;
    let mut first = gateway.player_with(&server, "alice", json!({ "sessionId": "s1" })).await;
    let mut second = gateway.player(&server, "alice").await;
    let both = sorted([&first.connection_id, &second.connection_id]);
    assert_eq!(ids(&gateway.sessions("alice").await), both);

    // Alone, or not at all.
    let alone = |fields: Value| {
        let mut alone = json!({ "allowConcurrentAccess": false });
        alone.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        alone
    };
    let mut third = Socket::open(server.address()).await;
    for fields in
        [json!({}), json!({ "sessionId": "s2" }), json!({ "sessionId": "s1" }), json!({ "force": null })]
    {
        let refused = gateway.bind(&mut third, "alice", alone(fields)).await;
        refused.refused(409, "webSocketSession", "gateway.webSocketSession.userId.error.duplicate");
    }
    assert_eq!(ids(&gateway.sessions("alice").await), both, "a refused call changes nothing");

    // A dry run neither binds nor closes.
    let dry = gateway.fields("alice", alone(json!({ "force": true, "xGs2DryRun": true })));
    third.call(BY_USER, dry).await.item();
    assert_eq!(ids(&gateway.sessions("alice").await), both);

    // The SDKs send truth values as text, too.
    let forced = gateway.bind(
        &mut third,
        "alice",
        json!({ "allowConcurrentAccess": "False", "force": "true", "sessionId": "s3" }),
    );
    let forced = forced.await.item();
    for socket in [&mut first.socket, &mut second.socket] {
        assert_eq!(closed(socket).await, (4002, "replaced by new session".to_owned()));
    }
    assert_eq!(ids(&gateway.sessions("alice").await), [text(&forced, "connectionId")]);

    // The same client comes back; its old socket may not have noticed yet.
    let mut fourth = Socket::open(server.address()).await;
    gateway.bind(&mut fourth, "alice", alone(json!({ "sessionId": "s3" }))).await.item();
    assert_eq!(closed(&mut third).await.0, 4002);
    // The socket itself is no other one, and players do not meet.
    gateway.bind(&mut fourth, "alice", alone(json!({}))).await.item();
    let mut bob = gateway.player_with(&server, "bob", alone(json!({}))).await;
    assert_eq!(gateway.sessions("alice").await.len(), 1);
    fourth.close().await;
    bob.socket.subjects(gateway.api().project_token()).await;
    bob.socket.close().await;
    server.stop().await;
}

/// G-04, G-05 under contention: of many sockets that want to be alone, one is.
async fn one_is_alone(database: Database) {
    let (server, gateway) = start(&database).await;
    let binds = (0..16).map(|_| {
        let gateway = gateway.clone();
        let address = server.address();
        tokio::spawn(async move {
            let mut socket = Socket::open(address).await;
            let bound = gateway.bind(&mut socket, "alice", json!({ "allowConcurrentAccess": false })).await;
            (socket, bound.status)
        })
    });
    let mut bound = 0;
    let mut sockets = Vec::new();
    for bind in binds.collect::<Vec<_>>() {
        let (socket, status) = bind.await.unwrap();
        assert!(matches!(status, 200 | 409), "{status}");
        bound += usize::from(status == 200);
        sockets.push(socket);
    }
    assert_eq!((bound, gateway.sessions("alice").await.len()), (1, 1));
    drop(sockets);
    server.stop().await;
}

/// G-09: a second call replaces the binding in its namespace and leaves those in others.
async fn a_socket_has_one_player_a_namespace(database: Database) {
    let (server, gateway) = start(&database).await;
    let elsewhere = Gateway::create(gateway.api(), "elsewhere").await;
    let mut player = gateway.player(&server, "alice").await;
    elsewhere.bind(&mut player.socket, "alice", json!({})).await.item();
    let bob = gateway.bind(&mut player.socket, "bob", json!({})).await.item();
    assert_eq!((text(&bob, "userId"), text(&bob, "connectionId")), ("bob", player.connection_id.as_str()));
    assert!(gateway.sessions("alice").await.is_empty());
    assert_eq!(elsewhere.sessions("alice").await.len(), 1);
    gateway.send("alice", "wrong").await;
    gateway.send("bob", "one").await;
    elsewhere.send("alice", "two").await;
    assert_eq!(player.socket.subjects(gateway.api().project_token()).await, ["one", "two"]);
    player.socket.close().await;
    server.stop().await;
}

/// G-12: a session ends with its socket, however that ends.
async fn a_session_ends_with_its_socket(database: Database) {
    let (server, gateway) = start(&database).await;
    let orderly = gateway.player(&server, "alice").await;
    let broken = gateway.player(&server, "alice").await;
    let stays = gateway.player(&server, "alice").await;
    orderly.socket.close().await;
    drop(broken);
    let left = async || {
        let sessions = gateway.sessions("alice").await;
        (ids(&sessions) == [stays.connection_id.as_str()]).then_some(())
    };
    eventually("the end of two sessions", left).await;
    assert_eq!(gateway.send("alice", "x").await["sendConnectionIds"], json!([stays.connection_id]));
    drop(stays);
    eventually("the end of the last one", async || gateway.sessions("alice").await.is_empty().then_some(()))
        .await;
    server.stop().await;
}

/// G-14, G-15: closing a player's sockets, or all of a namespace.
async fn disconnecting(database: Database) {
    let (server, gateway) = start(&database).await;
    let elsewhere = Gateway::create(gateway.api(), "elsewhere").await;
    let mut first = gateway.player(&server, "alice").await;
    let mut second = gateway.player(&server, "alice").await;
    let mut bob = gateway.player(&server, "bob").await;
    let mut other = elsewhere.player(&server, "alice").await;
    // What was sent before arrives before the end.
    gateway.send("alice", "last").await;
    let closed_items = gateway.call("DELETE", "/session/user/alice", Value::Null).await.ok();
    let items = closed_items["items"].as_array().unwrap();
    assert_eq!(ids(items), sorted([&first.connection_id, &second.connection_id]));
    for player in [&mut first, &mut second] {
        assert_eq!(player.socket.notification().await["body"]["subject"], "last");
        assert_eq!(closed(&mut player.socket).await, (4001, "disconnected by administrator".to_owned()));
    }
    assert!(gateway.sessions("alice").await.is_empty());
    let none = gateway.call("DELETE", "/session/user/alice", Value::Null).await.ok();
    assert_eq!(none["items"], json!([]));

    let dry = Gateway::of(&gateway.api().with(DRY_RUN, "true"), "ns");
    dry.call("DELETE", "/session", Value::Null).await.ok();
    assert_eq!(gateway.sessions("bob").await.len(), 1);
    assert_eq!(gateway.call("DELETE", "/session", Value::Null).await.ok(), json!({}));
    assert_eq!(closed(&mut bob.socket).await.0, 4001);
    assert_eq!(elsewhere.sessions("alice").await.len(), 1);
    let token = gateway.api().project_token();
    assert_eq!(other.socket.subjects(token).await, Vec::<String>::new());
    for path in ["/session", "/session/user/alice"] {
        let missing = gateway.api().call("gateway", "DELETE", &format!("/missing{path}"), Value::Null).await;
        missing.refused(404, "namespace", "gateway.namespace.namespace.error.notFound");
    }
    other.socket.close().await;
    server.stop().await;
}

/// N-14: a namespace that is deleted takes its bindings along, not the sockets.
async fn deleting_the_namespace(database: Database) {
    let (server, gateway) = start(&database).await;
    let mut player = gateway.player(&server, "alice").await;
    gateway.call("DELETE", "", Value::Null).await.ok();
    let gateway = Gateway::create(gateway.api(), "ns").await;
    assert!(gateway.sessions("alice").await.is_empty());
    assert_eq!(gateway.send("alice", "x").await, json!({ "protocol": "none", "sendConnectionIds": [] }));
    gateway.bind(&mut player.socket, "alice", json!({})).await.item();
    gateway.send("alice", "y").await;
    assert_eq!(player.socket.subjects(gateway.api().project_token()).await, ["y"]);
    player.socket.close().await;
    server.stop().await;
}

/// N-07: pages of a player's sessions; and how many there may be.
async fn pages_and_the_most(database: Database) {
    let server = TestServer::builder(&database).config(|config| config.player_sockets_max = 5).start().await;
    let gateway = Gateway::create(&server.api().await, "ns").await;
    let mut players = Vec::new();
    for _ in 0..5 {
        players.push(gateway.player(&server, "alice").await);
    }
    let all = sorted(players.iter().map(|player| &player.connection_id));
    let mut paged = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let path = format!("/session/user/alice{query}");
        let page = gateway.call("GET", &path, Value::Null).await.ok();
        paged.extend(ids(page["items"].as_array().unwrap()).into_iter().map(str::to_owned));
        let Some(token) = page["nextPageToken"].as_str() else { break };
        query = format!("?limit=2&pageToken={token}");
    }
    assert_eq!(paged, all);
    let mut sixth = Socket::open(server.address()).await;
    let refused = gateway.bind(&mut sixth, "alice", json!({})).await;
    refused.refused(402, "webSocketSession", "gateway.webSocketSession.userId.error.tooMany");
    // One of the five may bind again, and another player may.
    gateway.bind(&mut players[0].socket, "alice", json!({})).await.item();
    gateway.bind(&mut sixth, "bob", json!({})).await.item();
    drop((players, sixth));
    server.stop().await;
}

/// G-12: what a killed server leaves is gone when the next one serves; on PostgreSQL when its lease has ended.
async fn a_killed_server_leaves_no_session(database: Database) {
    let start = || block_in_place(|| Builder::new(env!("CARGO_BIN_EXE_hiroba"), &database, "data").start());
    let server = start();
    let api = server.api().await;
    let gateway = Gateway::create(&api, "ns").await;
    let mut socket = Socket::open(server.address()).await;
    gateway.bind(&mut socket, "alice", json!({})).await.item();
    let (client_id, client_secret) = server.credential();
    block_in_place(|| server.kill());

    let server = start();
    let api = Api::login(server.address(), &client_id, &client_secret).await;
    let gateway = Gateway::of(&api, "ns");
    let gone = async || gateway.sessions("alice").await.is_empty().then_some(());
    eventually("the end of the killed server's session", gone).await;
    let mut socket = Socket::open(server.address()).await;
    gateway.bind(&mut socket, "alice", json!({ "allowConcurrentAccess": false })).await.item();
    drop(socket);
    block_in_place(|| server.stop());
}

on_both_engines! {
    a_session_begins_with_the_call
    rest_names_the_socket
    refusals
    concurrent_access
    one_is_alone
    a_socket_has_one_player_a_namespace
    a_session_ends_with_its_socket
    disconnecting
    deleting_the_namespace
    pages_and_the_most
    a_killed_server_leaves_no_session
}
