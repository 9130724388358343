//! The socket: many calls at once, notifications, closing by either side.

use futures_util::{SinkExt, StreamExt};
use hiroba_api::gateway;
use hiroba_api::lock::DescribeNamespaces;
use hiroba_api::names::{PageLimit, UserId};
use hiroba_client::{Client, ClientError, Missed, Notification};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{TestServer, lock, namespace, unlock};

fn list() -> DescribeNamespaces {
    DescribeNamespaces { name_prefix: None, page_token: None, limit: PageLimit::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_get_their_own_answers() {
    let server = TestServer::start().await;
    let socket = server.client.socket().await.unwrap();
    // More than the server works on at once.
    let calls = (0..600).map(|index| {
        let user = format!("user-{index}");
        let for_user = socket.for_user(UserId::trusted(user.clone()));
        let property = format!("property-{index}");
        tokio::spawn(async move {
            let taken = for_user.call(&lock(&property, "t")).await.unwrap().item;
            assert_eq!((taken.user_id.as_str(), taken.property_id.as_str()), (user.as_str(), &*property));
            for_user.call(&unlock(&property, "t")).await.unwrap();
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

/// A player's socket gets what is sent to the player (BEHAVIOUR G-02, G-30, G-31).
#[tokio::test(flavor = "multi_thread")]
async fn a_player_is_told() {
    let server = TestServer::start().await;
    let create = gateway::CreateNamespace {
        name: namespace(),
        description: None,
        transaction_setting: None,
        transaction_setting_v2: None,
        firebase_secret: None,
        firebase_project_id: None,
        log_setting: None,
    };
    server.client.call(&create).await.unwrap();
    let socket = server.client.socket().await.unwrap();
    let mut notifications = socket.notifications();
    let bind = gateway::SetUserId {
        namespace_name: namespace(),
        allow_concurrent_access: false,
        session_id: None,
        force: false,
        connection_id: None,
    };
    let player = socket.as_player(server.access_token("alice").await);
    let session = player.call(&bind).await.unwrap().item;
    let send = gateway::SendNotification {
        namespace_name: namespace(),
        subject: "hello".to_owned(),
        payload: "welcome".to_owned(),
        enable_transfer_mobile_notification: false,
        sound: None,
        mobile_notification_messages: None,
    };
    // Over REST, and over the socket itself.
    let alice = UserId::trusted("alice");
    for sent in [
        server.client.for_user(alice.clone()).call(&send).await.unwrap(),
        socket.for_user(alice).call(&send).await.unwrap(),
    ] {
        assert_eq!(sent.send_connection_ids, std::slice::from_ref(&session.connection_id));
        let told = notifications.next().await.unwrap().unwrap();
        assert_eq!((told.subject.as_str(), told.payload.as_str()), ("hello", "welcome"));
        assert_eq!(told.issuer, "grn:gs2:ap-northeast-1:hiroba:gateway:game");
    }
    let disconnect = gateway::DisconnectByUserId { namespace_name: namespace() };
    let closed = server.client.for_user(UserId::trusted("alice")).call(&disconnect).await.unwrap();
    assert_eq!(closed.items, [session]);
    assert_eq!(socket.closed().await.code, 4001);
    assert_eq!(notifications.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_socket_stays_closed() {
    let server = TestServer::start().await;
    let socket = server.client.socket().await.unwrap();
    let mut notifications = socket.notifications();
    socket.call(&list()).await.unwrap();
    socket.close().await;
    assert_eq!(socket.closed().await.code, 1000);
    assert!(matches!(socket.call(&list()).await, Err(ClientError::Closed(reason)) if reason.code == 1000));
    assert_eq!(notifications.next().await, None);
    assert_eq!(socket.notifications().next().await, None);
    socket.close().await;
    // The client is not the socket.
    server.client.call(&list()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_why_it_closes() {
    let mut server = TestServer::start().await;
    let socket = server.client.socket().await.unwrap();
    socket.call(&list()).await.unwrap();
    server.stop().await;
    let reason = socket.closed().await;
    assert_eq!((reason.code, reason.text.as_str()), (1001, "the server is stopping"));
}

/// One connection of a server that does what the test says.
async fn scripted() -> (Client, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    (Client::builder(url).project_token("token").build().unwrap(), listener)
}

async fn accept(listener: TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    tokio_tungstenite::accept_async(stream).await.unwrap()
}

async fn send(stream: &mut WebSocketStream<TcpStream>, frame: Value) {
    stream.send(Message::text(frame.to_string())).await.unwrap();
}

fn notification(number: usize) -> Notification {
    let (issuer, subject) = ("somebody".to_owned(), "Gs2Chat:Post".to_owned());
    Notification { issuer, subject, payload: number.to_string() }
}

fn notification_frame(number: usize) -> Value {
    let Notification { issuer, subject, payload } = notification(number);
    json!({ "type": "notification", "body": { "issuer": issuer, "subject": subject, "payload": payload } })
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_without_a_request_are_notifications() {
    let (client, listener) = scripted().await;
    let serving = tokio::spawn(async move {
        let mut stream = accept(listener).await;
        let call = stream.next().await.unwrap().unwrap().into_text().unwrap();
        let call: Value = serde_json::from_str(&call).unwrap();
        send(&mut stream, notification_frame(1)).await;
        // Frames that are nobody's change nothing.
        for stray in [json!([]), json!({ "requestId": "x", "status": 200 }), json!({ "requestId": "77" })] {
            send(&mut stream, stray).await;
        }
        let id = call["x_gs2"]["requestId"].clone();
        send(&mut stream, json!({ "requestId": id, "status": 200, "body": { "items": [] } })).await;
        send(&mut stream, notification_frame(2)).await;
        (call, stream)
    });
    let socket = client.socket().await.unwrap();
    let (mut one, mut two) = (socket.notifications(), socket.notifications());
    assert!(socket.call(&list()).await.unwrap().items.is_empty());
    for receiver in [&mut one, &mut two] {
        assert_eq!(receiver.next().await, Some(Ok(notification(1))));
        assert_eq!(receiver.next().await, Some(Ok(notification(2))));
    }
    let (call, _stream) = serving.await.unwrap();
    assert_eq!(
        call,
        json!({
            "limit": 30,
            "x_gs2": {
                "service": "lock",
                "component": "namespace",
                "function": "describeNamespaces",
                "contentType": "application/json",
                "requestId": "1",
            },
            "xGs2ProjectToken": "token",
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_learns_what_it_missed() {
    let (client, listener) = scripted().await;
    let serving = tokio::spawn(async move {
        let mut stream = accept(listener).await;
        let _call = stream.next().await;
        for number in 0..1500 {
            send(&mut stream, notification_frame(number)).await;
        }
        send(&mut stream, json!({ "requestId": "1", "status": 200, "body": { "items": [] } })).await;
        stream
    });
    let socket = client.socket().await.unwrap();
    let mut notifications = socket.notifications();
    // The answer comes although nobody reads the notifications before it.
    socket.call(&list()).await.unwrap();
    assert_eq!(notifications.next().await, Some(Err(Missed(1500 - 1024))));
    assert_eq!(notifications.next().await, Some(Ok(notification(1500 - 1024))));
    drop(serving.await.unwrap());
    assert_eq!(socket.closed().await.code, 1006);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_end_with_the_connection() {
    let (client, listener) = scripted().await;
    tokio::spawn(async move {
        let mut stream = accept(listener).await;
        let _call = stream.next().await;
    });
    let socket = client.socket().await.unwrap();
    let ended = socket.call(&list()).await;
    assert!(matches!(&ended, Err(ClientError::Closed(reason)) if reason.code == 1006), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_handle_closes_the_socket() {
    let (client, listener) = scripted().await;
    let serving = tokio::spawn(async move {
        let mut stream = accept(listener).await;
        stream.next().await
    });
    let socket = client.socket().await.unwrap();
    let for_user = socket.for_user(UserId::trusted("alice"));
    drop(socket);
    assert!(!serving.is_finished());
    drop(for_user);
    let frame = serving.await.unwrap().unwrap().unwrap();
    assert!(matches!(frame, Message::Close(Some(frame)) if u16::from(frame.code) == 1000));
}
