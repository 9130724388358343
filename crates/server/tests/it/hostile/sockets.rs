//! Sockets whose frames are wrong, too many, or never whole (BEHAVIOUR T-20, T-27 … T-29).

use hiroba_testkit::frames::{BINARY, CLOSE, CONTINUATION, End, PING, RawSocket, TEXT, frame, head};
use hiroba_testkit::{Database, Gateway, Random, Socket, TestServer, eventually, on_both_engines, within};
use serde_json::{Value, json};

use super::{server, still_answers};

const MESSAGE_MAX: usize = 8 << 20;

/// Sends frames on a socket of their own and waits for its end.
async fn end(server: &TestServer, what: &str, bytes: &[u8]) -> End {
    let mut socket = RawSocket::open(server.address()).await;
    socket.send(bytes).await;
    within(what, socket.end()).await
}

/// Waits until no socket is open any more.
async fn all_closed(api: &hiroba_testkit::Api) {
    let none = async || (api.clone().metric("hiroba_sockets").await == 0.0).then_some(());
    eventually("the sockets to be closed", none).await;
}

/// Frames that break RFC 6455 end the socket.
async fn broken_frames(database: Database) {
    let (server, api) = server(&database).await;
    let unmasked = [&[0x81, 2][..], b"{}"].concat();
    let fragment = |opcode, fin, text: &str| frame(fin, opcode, text.as_bytes());
    let two = |one: Vec<u8>, other: Vec<u8>| [one, other].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("unmasked", unmasked),
        ("a reserved bit", [&[0xc1, 0x82, 0, 0, 0, 0][..], b"{}"].concat()),
        ("an unknown opcode", frame(true, 3, b"{}")),
        ("an unknown control opcode", frame(true, 11, b"")),
        ("a ping in parts", frame(false, PING, b"x")),
        ("a long ping", frame(true, PING, &[b'x'; 126])),
        ("a continuation of nothing", frame(true, CONTINUATION, b"{}")),
        ("a text within a text", two(fragment(TEXT, false, "{"), fragment(TEXT, true, "}"))),
        ("a close frame of one byte", frame(true, CLOSE, b"x")),
        ("a close code that is none", frame(true, CLOSE, &999_u16.to_be_bytes())),
        ("a close reason that is no text", frame(true, CLOSE, b"\x03\xe8\xff")),
        ("a text that is no UTF-8", frame(true, TEXT, b"{\"a\":\"\xff\"}")),
        ("half a character in a part", two(frame(false, TEXT, b"\"\xe3"), frame(true, CONTINUATION, b"\""))),
        ("a surrogate", frame(true, TEXT, b"\"\xed\xa0\x80\"")),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in &cases {
        end(&server, what, bytes).await;
    }
    let mut random = Random::new();
    for round in 0..30 {
        let length = 64 << random.below(8);
        let mut bytes = random.bytes(length);
        // A short frame without mask, so that nobody waits for the rest of a long one.
        bytes[1] &= 0x1f;
        end(&server, &format!("garbage {round}: {:?}", &bytes[..20]), &bytes).await;
    }
    all_closed(&api).await;
    still_answers(&server).await;
    server.stop().await;
}

/// T-29: what is no JSON object in a text frame closes the socket with 1003.
async fn not_understood(database: Database) {
    let (server, api) = server(&database).await;
    let nested = format!("{{\"x\":{}", "[".repeat(50_000));
    let wide = format!("{{\"x\":[{}0]}}", "0,".repeat(100_001));
    for text in [
        "no json",
        "[]",
        "null",
        "1",
        "\"{}\"",
        "{",
        "{}{}",
        "{\"a\":\"\\ud800\"}",
        "\u{feff}{}",
        " ",
        &nested,
        &wide,
    ] {
        let what = &text[..text.len().min(20)];
        assert_eq!(
            end(&server, what, &frame(true, TEXT, text.as_bytes())).await,
            End::Closed(1003),
            "{what}"
        );
    }
    for bytes in [&b"{}"[..], b"", b"\0\x01\x02"] {
        assert_eq!(end(&server, "binary", &frame(true, BINARY, bytes)).await, End::Closed(1003));
    }
    all_closed(&api).await;
    still_answers(&server).await;
    server.stop().await;
}

fn envelope(length: usize) -> String {
    let begin = r#"{"x_gs2":{"service":"lock","component":"namespace","function":"getServiceVersion","requestId":"1"},"x":""#;
    format!("{begin}{}\"}}", "x".repeat(length - begin.len() - 2))
}

/// T-28: 8 MiB in a message, in one frame or many; more is 1009.
async fn sizes(database: Database) {
    let (server, api) = server(&database).await;
    let mut socket = RawSocket::open(server.address()).await;
    let greatest = envelope(MESSAGE_MAX);
    let expected = |text: String| {
        let frame: Value = serde_json::from_str(&text).unwrap();
        // Nobody has logged in.
        assert_eq!((&frame["requestId"], &frame["status"]), (&json!("1"), &json!(401)), "{frame}");
    };
    socket.send(&frame(true, TEXT, greatest.as_bytes())).await;
    expected(socket.text().await);
    for part in [1 << 20, 65_536] {
        for (number, bytes) in greatest.as_bytes().chunks(part).enumerate() {
            let opcode = if number == 0 { TEXT } else { CONTINUATION };
            socket.send(&frame((number + 1) * part >= MESSAGE_MAX, opcode, bytes)).await;
        }
        expected(socket.text().await);
    }
    // Byte by byte, with a ping after each.
    for (number, byte) in envelope(300).bytes().enumerate() {
        socket.send(&frame(number == 299, if number == 0 { TEXT } else { CONTINUATION }, &[byte])).await;
        socket.send(&frame(true, PING, b"ping")).await;
    }
    expected(socket.text().await);

    // The head announces it: nobody waits for the rest.
    for length in [MESSAGE_MAX + 1, 1 << 40, usize::MAX >> 1] {
        assert_eq!(end(&server, "too long", &head(true, TEXT, length)).await, End::Closed(1009), "{length}");
    }
    let first = frame(false, TEXT, &vec![b' '; MESSAGE_MAX]);
    let parts = [first, frame(false, CONTINUATION, b" ")].concat();
    assert_eq!(end(&server, "too long in parts", &parts).await, End::Closed(1009));
    drop(socket);
    all_closed(&api).await;
    still_answers(&server).await;
    server.stop().await;
}

/// Frames that break off, with an end of the stream or without any.
async fn truncated(database: Database) {
    let (server, api) = server(&database).await;
    let whole = frame(true, TEXT, envelope(4000).as_bytes());
    let mut open = Vec::new();
    for length in [1, 2, 5, 8, 100, whole.len() - 1] {
        let mut socket = RawSocket::open(server.address()).await;
        socket.send(&whole[..length]).await;
        open.push(socket);
    }
    let all = async || (api.metric("hiroba_sockets").await == 6.0).then_some(());
    eventually("the sockets to be counted", all).await;
    drop(open);
    all_closed(&api).await;
    still_answers(&server).await;
    server.stop().await;
}

/// T-27: pings are answered, however many.
async fn many_pings(database: Database) {
    let (server, _) = server(&database).await;
    let mut socket = RawSocket::open(server.address()).await;
    let pings = frame(true, PING, b"ping").repeat(100);
    for _ in 0..50 {
        socket.send(&pings).await;
        // A server may answer only the last of several pings (RFC 6455, 5.5.3).
        let (opcode, payload) = within("a pong", socket.frame()).await.expect("the socket goes on");
        assert_eq!((opcode, payload.as_slice()), (10, &b"ping"[..]));
    }
    socket.send(&frame(true, TEXT, envelope(300).as_bytes())).await;
    let answer = socket.text().await;
    assert!(answer.contains("\"requestId\":\"1\""), "{answer}");
    drop(socket);
    still_answers(&server).await;
    server.stop().await;
}

/// Far more calls than are let in at once, before any answer is read: each is answered once.
async fn many_calls_unread(database: Database) {
    const CALLS: u64 = 2000;
    let (server, api) = server(&database).await;
    let mut socket = Socket::open(server.address()).await;
    let mut expected = std::collections::BTreeSet::new();
    for number in 0..CALLS {
        let fields = json!({
            "xGs2ProjectToken": api.project_token(),
            "namespaceName": "ns",
            "userId": "alice",
            "propertyId": format!("p{}", number % 7),
            "transactionId": format!("t{}", number % 3),
        });
        let function = if number % 2 == 0 { "lockByUserId" } else { "getMutexByUserId" };
        expected.insert(socket.start(("lock", "mutex", function), fields).await);
    }
    for id in expected {
        let (status, body) = socket.answer(&id).await;
        assert!([200, 404, 409].contains(&status), "{status} {body}");
    }
    socket.close().await;
    still_answers(&server).await;
    server.stop().await;
}

/// Peers that vanish while their calls run.
async fn vanished(database: Database) {
    let (server, api) = server(&database).await;
    for _ in 0..20 {
        let mut socket = Socket::open(server.address()).await;
        for number in 0..20 {
            let fields = json!({
                "xGs2ProjectToken": api.project_token(),
                "namespaceName": "ns",
                "userId": "alice",
                "propertyId": format!("p{number}"),
                "transactionId": "t",
            });
            socket.start(("lock", "mutex", "lockByUserId"), fields).await;
        }
        drop(socket);
    }
    all_closed(&api).await;
    still_answers(&server).await;
    server.stop().await;
}

/// A peer that ends its side without a close frame: that is the end of the socket and of its session.
async fn half_closed(database: Database) {
    let (server, api) = server(&database).await;
    let gateway = Gateway::create(&api, "ns").await;
    let mut socket = RawSocket::open(server.address()).await;
    let call = |id: &str, function: &str| {
        let x_gs2 = json!({ "service": "gateway", "component": "webSocketSession", "function": function, "requestId": id });
        let fields = gateway.fields("alice", json!({ "x_gs2": x_gs2 }));
        frame(true, TEXT, fields.to_string().as_bytes())
    };
    socket.send(&call("1", "setUserIdByUserId")).await;
    assert!(socket.text().await.contains("connectionId"));
    socket.send(&call("2", "describeWebSocketSessionsByUserId")).await;
    socket.end_sending().await;
    assert_eq!(socket.end().await, End::Dropped);
    let ended = async || gateway.sessions("alice").await.is_empty().then_some(());
    eventually("the session's end", ended).await;
    still_answers(&server).await;
    server.stop().await;
}

on_both_engines! {
    half_closed
    broken_frames
    not_understood
    sizes
    truncated
    many_pings
    many_calls_unread
    vanished
}
