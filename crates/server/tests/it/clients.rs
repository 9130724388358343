//! Clients that take their time: each has some for the head, for the body, for reading and for silence, and no more
//! (BEHAVIOUR T-27). All of them at once, since the longest of these times is 90 seconds; the test runner begins with
//! the first name, so that all others run meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hiroba_server::config::Config;
use hiroba_testkit::api::Api;
use hiroba_testkit::deadline::within_time;
use hiroba_testkit::frames::{End, RawSocket, TEXT, frame};
use hiroba_testkit::http::{Connection, Request};
use hiroba_testkit::{Database, Engine, TestServer, eventually};
use serde_json::{Value, json};

use crate::hostile::still_answers;

const HEAD: Duration = Duration::from_secs(15);
const BODY: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(90);
/// A write that gets nowhere for 30 seconds, after one that the system's buffers took.
const READING: Duration = Duration::from_secs(30);
/// How much later than its time something may end on a busy machine.
const LATE: Duration = Duration::from_secs(20);
/// How much earlier: the server may see a connection some time before the busy test does.
const EARLY: Duration = Duration::from_secs(5);

/// Sends a byte now and then.
async fn drip(connection: &mut Connection, byte: &[u8]) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        if connection.send(byte).await.is_err() {
            return;
        }
    }
}

/// Waits for the end, which must come when this time is over: neither sooner nor much later.
async fn ends_after<T>(time: Duration, what: &'static str, end: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let value = within_time(time + LATE, what, end).await;
    let took = started.elapsed();
    assert!(took > time - EARLY, "{what}: ended after {took:?} already");
    println!("{what}: ended after {took:?}");
    value
}

async fn nothing_sent(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    ends_after(HEAD, "nothing sent", connection.drain()).await;
}

async fn half_a_head(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    connection.send(b"GET /lock HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    ends_after(HEAD, "half a head", connection.drain()).await;
}

async fn a_dripping_head(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    connection.send(b"GET /lock HTTP/1.1\r\nX: ").await.unwrap();
    // The end shows itself as a write that fails, one byte after the close.
    ends_after(HEAD, "a dripping head", drip(&mut connection, b"x")).await;
}

async fn idle_after_a_call(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    connection.request(&Request::new("GET", "/healthz")).await.unwrap().unwrap();
    ends_after(HEAD, "idle after a call", connection.drain()).await;
}

fn announced(api: &Api) -> Vec<u8> {
    let request = api.request("lock", "POST", "/ns/user/alice/mutex/p/lock", &Value::Null);
    request.header("Content-Length", "1000").head()
}

async fn no_body(api: Api, address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    connection.send(&announced(&api)).await.unwrap();
    let answer = ends_after(BODY, "no body", connection.receive()).await.unwrap().unwrap();
    answer.refused(504, "request", "lock.request.body.error.failed");
}

async fn a_dripping_body(api: Api, address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    connection.send(&announced(&api)).await.unwrap();
    let mut drops = 0;
    let answer = async {
        loop {
            connection.send(b" ").await.unwrap();
            drops += 1;
            let second = tokio::time::timeout(Duration::from_secs(1), connection.receive()).await;
            if let Ok(answer) = second {
                return answer.unwrap().unwrap();
            }
        }
    };
    let answer = ends_after(BODY, "a dripping body", answer).await;
    answer.refused(504, "request", "lock.request.body.error.failed");
    assert!(drops > 10, "{drops} bytes");
}

async fn half_a_chunk(api: Api, address: SocketAddr) {
    let request = api.request("lock", "POST", "/ns/user/alice/mutex/p/lock", &Value::Null);
    let request = request.header("Transfer-Encoding", "chunked").header("Content-Encoding", "gzip");
    let mut connection = Connection::open(address).await;
    connection.send(&[&request.head()[..], b"ff\r\n\x1f\x8b"].concat()).await.unwrap();
    let answer = ends_after(BODY, "half a chunk", connection.receive()).await.unwrap().unwrap();
    answer.refused(504, "request", "lock.request.body.error.failed");
}

async fn no_handshake(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    ends_after(HANDSHAKE, "no handshake", connection.drain()).await;
}

/// Half of a client hello, and no more.
async fn half_a_handshake(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    connection.send(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await.unwrap();
    ends_after(HANDSHAKE, "half a handshake", connection.drain()).await;
}

/// T-27: pings are sent meanwhile, and answered by nobody.
async fn a_silent_socket(address: SocketAddr) {
    let mut socket = RawSocket::open(address).await;
    let end = async {
        let (mut pings, mut code) = (0, None);
        while let Some((opcode, payload)) = socket.frame().await {
            match (opcode, payload.as_slice()) {
                (9, _) => pings += 1,
                (8, [high, low, ..]) => code = Some(u16::from_be_bytes([*high, *low])),
                other => panic!("{other:?}"),
            }
        }
        (pings, code)
    };
    let (pings, code) = ends_after(SILENCE, "a silent socket", end).await;
    assert_eq!(code, Some(1001));
    assert!((2..=4).contains(&pings), "{pings} pings");
}

/// A frame that never becomes whole is silence.
async fn half_a_frame(address: SocketAddr) {
    let mut socket = RawSocket::open(address).await;
    socket.send(&frame(true, TEXT, b"{\"x_gs2\":{}}")[..9]).await;
    let end = ends_after(SILENCE, "half a frame", socket.end()).await;
    assert_eq!(end, End::Closed(1001));
}

/// Makes a policy whose document is as long as may be, so that answers fill every buffer.
async fn large_answer(api: &Api) {
    let policy = format!("{{\"Statements\":[]{}}}", " ".repeat(500_000));
    api.call("identifier", "POST", "/securityPolicy", json!({ "name": "large", "policy": policy }))
        .await
        .ok();
}

/// Far more answers than the buffers take, none of which is read.
async fn a_caller_that_does_not_read(api: Api, address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    let request = api.request("identifier", "GET", "/securityPolicy/large", &Value::Null).bytes();
    connection.send(&request.repeat(64)).await.unwrap();
    let taken = async || (api.metric("hiroba_connections").await == 2.0).then_some(());
    eventually("the connection to be counted", taken).await;
    // The one that asks for the metrics is left.
    ends_after(READING, "a caller that does not read", falls_to(&api, "hiroba_connections", 1.0)).await;
    within_time(LATE, "the end of what was sent", connection.drain()).await;
}

/// Waits until a gauge has fallen to this value.
async fn falls_to(api: &Api, gauge: &str, value: f64) {
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while api.metric(gauge).await > value {
        looks.tick().await;
    }
}

async fn a_socket_that_does_not_read(api: Api, address: SocketAddr) {
    let mut socket = RawSocket::open(address).await;
    let call = json!({
        "xGs2ProjectToken": api.project_token(),
        "securityPolicyName": "large",
        "x_gs2": { "service": "identifier", "component": "securityPolicy", "function": "getSecurityPolicy", "requestId": "1" },
    });
    for _ in 0..64 {
        socket.send(&frame(true, TEXT, call.to_string().as_bytes())).await;
    }
    ends_after(READING, "a socket that does not read", falls_to(&api, "hiroba_sockets", 0.0)).await;
    within_time(LATE, "the end of what was sent", socket.end()).await;
}

#[test]
fn each_has_its_time_and_no_more() {
    hiroba_testkit::run(Engine::Sqlite, on_both);
}

/// Both engines at the same time: the waiting is long.
async fn on_both(sqlite: Database) {
    let other = tokio::task::block_in_place(|| Database::new(Engine::Postgres));
    let postgres = async {
        if let Some(database) = &other {
            Box::pin(all(database)).await;
        }
    };
    tokio::join!(Box::pin(all(&sqlite)), Box::pin(postgres));
    tokio::task::block_in_place(|| drop(other));
}

async fn all(database: &Database) {
    let server = TestServer::start(database).await;
    // Servers that are only about connections need no store of their own kind.
    let other = Database::new(Engine::Sqlite).unwrap();
    let start_other = |folder: &str, tls: bool| {
        let folder = other.data_folder(folder);
        let change = move |config: &mut Config| (config.data_dir, config.tls_dev) = (folder, tls);
        TestServer::builder(&other).config(change).start()
    };
    let tls = start_other("tls", true).await;
    let unread = [start_other("unread", false).await, start_other("unread-socket", false).await];
    let api = server.api().await;
    api.create_namespace("ns").await;
    let readers = [unread[0].api().await, unread[1].api().await];
    for reader in &readers {
        large_answer(reader).await;
    }
    let [caller, reader] = readers;
    let (plain, secure) = (server.address(), tls.address());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(nothing_sent(plain));
    tasks.spawn(half_a_head(plain));
    tasks.spawn(a_dripping_head(plain));
    tasks.spawn(idle_after_a_call(plain));
    tasks.spawn(no_body(api.clone(), plain));
    tasks.spawn(a_dripping_body(api.clone(), plain));
    tasks.spawn(half_a_chunk(api.clone(), plain));
    tasks.spawn(no_handshake(secure));
    tasks.spawn(half_a_handshake(secure));
    tasks.spawn(a_silent_socket(plain));
    tasks.spawn(half_a_frame(plain));
    tasks.spawn(a_caller_that_does_not_read(caller, unread[0].address()));
    tasks.spawn(a_socket_that_does_not_read(reader, unread[1].address()));
    // All of them are waited for, so that one does not hide another.
    let mut failed = 0;
    while let Some(ended) = tasks.join_next().await {
        failed += u32::from(ended.is_err());
    }
    assert_eq!(failed, 0, "cases failed; their messages are above");
    still_answers(&server).await;
    for server in unread.into_iter().chain([tls, server]) {
        server.stop().await;
    }
}
