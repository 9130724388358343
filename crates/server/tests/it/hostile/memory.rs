//! Large input from many at once: the server's memory stays bounded, however much they send.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use hiroba_testkit::deadline::within_time;
use hiroba_testkit::frames::{CONTINUATION, PING, RawSocket, TEXT, frame, head};
use hiroba_testkit::http::{Connection, Request};
use hiroba_testkit::limits::memory_kib;
use hiroba_testkit::process::Builder;
use hiroba_testkit::{Database, Process, Socket, on_both_engines};
use serde_json::{Value, json};
use tokio::task::block_in_place;

/// Bodies at once: three times as many as the server has places for large ones.
const BODIES: usize = 24;
/// Messages at once.
const MESSAGES: usize = 100;
/// Resident memory of the server at most, at any time.
const MEMORY_MAX_KIB: u64 = 500 << 10;
/// Time after which the server shows that it will not read the rest of a message.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for all bodies together on a slow machine.
const TIME: Duration = Duration::from_secs(60);

fn start(database: &Database) -> Process {
    block_in_place(|| Builder::new(env!("CARGO_BIN_EXE_hiroba"), database, "data").start())
}

/// Fails the test when the server ever had more memory than it may, and when it does not answer any more.
async fn check(server: Process, what: &str) {
    let most = memory_kib(server.pid(), "VmHWM");
    println!("{what}: {most} KiB at most");
    let api = server.api().await;
    api.create_namespace("alive").await;
    api.mutexes("alive", "alice").lock("p", "t").await.item();
    block_in_place(|| server.stop());
    assert!(most < MEMORY_MAX_KIB, "{what}: {most} KiB");
}

/// Bodies of the greatest sizes, plain and compressed, from nobody in particular.
async fn large_bodies(database: Database) {
    let server = start(&database);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&vec![b' '; 24 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    let values = format!("{{\"x\":[{}]}}", vec!["{\"a\":\"b\"}"; 49_000].join(","));
    let post = Request::new("POST", "/lock/ns/user/alice/mutex/p/lock");
    let requests = [
        post.clone().header("Content-Encoding", "gzip").body(bomb),
        post.clone().body(vec![b' '; 8 << 20]),
        post.body(values),
    ];
    let calls = (0..BODIES).map(|caller| {
        let request = requests[caller % requests.len()].bytes();
        let address = server.address();
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            let answer = within_time(TIME, "an answer", connection.exchange(&request)).await;
            answer.map(|answer| (answer.status, answer.refusals().len()))
        })
    });
    for answer in join_all(calls).await {
        let answer = answer.unwrap();
        assert!(matches!(answer, Some((400 | 401, _))), "{answer:?}");
    }
    check(server, "large bodies").await;
}

/// Messages of the greatest size on many sockets at once, none of which is ever whole.
async fn large_messages(database: Database) {
    let mut message = head(true, TEXT, 8 << 20);
    message.resize(8 << 20, b' ');
    never_whole(&database, "large messages", message).await;
}

/// The same in small parts with pings in between, so that the parts do not look like one message.
async fn large_messages_in_parts(database: Database) {
    let part = vec![b' '; 200 << 10];
    let ping = frame(true, PING, b"");
    let mut message = frame(false, TEXT, &part);
    for _ in 0..39 {
        message.extend_from_slice(&ping);
        message.extend(frame(false, CONTINUATION, &part));
    }
    never_whole(&database, "large messages in parts", message).await;
}

/// Those who send half of something large and no more do not keep others from sending something large.
async fn half_messages_keep_nobody_waiting(database: Database) {
    let server = start(&database);
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mut half = head(true, TEXT, 8 << 20);
    half.resize(1 << 20, b' ');
    let mut sockets = Vec::new();
    for _ in 0..BODIES {
        let mut socket = RawSocket::open(server.address()).await;
        let _ = tokio::time::timeout(Duration::from_millis(200), socket.send(&half)).await;
        sockets.push(socket);
    }
    let body = format!(r#"{{"transactionId":"t","padding":"{}"}}"#, "x".repeat(1 << 20));
    let request = api.request("lock", "POST", "/ns/user/alice/mutex/p/lock", &Value::Null).body(body);
    let mut connection = Connection::open(server.address()).await;
    let answer = within_time(TIME, "an answer", connection.exchange(&request.bytes())).await;
    answer.expect("an answer").item();
    drop(sockets);
    check(server, "half messages").await;
}

/// Sends the beginning of a message on many sockets at once.
async fn never_whole(database: &Database, what: &str, message: Vec<u8>) {
    let server = start(database);
    let message = Arc::new(message);
    let sockets = (0..MESSAGES).map(|_| {
        let (address, message) = (server.address(), Arc::clone(&message));
        tokio::spawn(async move {
            let mut socket = RawSocket::open(address).await;
            // A server that will not hold so much stops reading or closes the socket.
            let _ = tokio::time::timeout(PATIENCE, socket.send(&message)).await;
            socket
        })
    });
    let sockets: Vec<_> = join_all(sockets).await.into_iter().map(Result::unwrap).collect();
    // Others are served meanwhile, also on sockets.
    let api = server.api().await;
    api.call("lock", "GET", "/", Value::Null).await.ok();
    let mut socket = Socket::open(server.address()).await;
    let fields = json!({ "xGs2ProjectToken": api.project_token() });
    socket.call(("lock", "namespace", "describeNamespaces"), fields).await.ok();
    drop(sockets);
    socket.close().await;
    check(server, what).await;
}

on_both_engines! {
    large_bodies
    large_messages
    large_messages_in_parts
    half_messages_keep_nobody_waiting
}
