//! Requests that are no HTTP, or hardly.

use std::time::Duration;

use hiroba_testkit::http::{Connection, Request, upgrade_request};
use hiroba_testkit::{Database, Random, TestServer, on_both_engines, within};

use super::{refused_or_closed, server, still_answers};

/// Time after which the server is told that nothing more will come.
const PATIENCE: Duration = Duration::from_millis(300);

/// Sends bytes on a connection of their own and looks at what comes back.
async fn check(server: &TestServer, what: &str, bytes: &[u8]) {
    let mut connection = Connection::open(server.address()).await;
    let answer = match tokio::time::timeout(PATIENCE, connection.exchange(bytes)).await {
        Ok(answer) => answer,
        // The server waits for the rest, and learns that it will not come.
        Err(_) => {
            let _ = connection.finish_sending().await;
            within(what, connection.receive()).await.ok().flatten()
        }
    };
    refused_or_closed(what, answer.as_ref());
}

/// Random bytes, of any length.
async fn garbage(database: Database) {
    let (server, _) = server(&database).await;
    let mut random = Random::new();
    for round in 0..60 {
        let length = 1 << random.below(15);
        let mut bytes = random.bytes(length);
        // Some look like a request for a while.
        match round % 3 {
            0 => {}
            1 => bytes.splice(..0, *b"GET /lock HTTP/1.1\r\n").for_each(drop),
            _ => bytes.splice(..0, *b"POST /lock HTTP/1.1\r\nContent-Length: 99\r\n\r\n").for_each(drop),
        }
        check(&server, &format!("round {round}: {:?}", &bytes[..bytes.len().min(80)]), &bytes).await;
    }
    still_answers(&server).await;
    server.stop().await;
}

/// Requests that break a rule of HTTP.
async fn broken_requests(database: Database) {
    let (server, _) = server(&database).await;
    let post = |headers: &str, body: &str| format!("POST /lock HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}");
    let cases: Vec<(&str, String)> = vec![
        ("no version", "GET /lock\r\n\r\n".into()),
        ("an old version", "GET /lock HTTP/0.9\r\n\r\n".into()),
        ("a new version", "GET /lock HTTP/9.9\r\n\r\n".into()),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".into()),
        ("TLS", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".into()),
        ("a space too many", "GET  /lock HTTP/1.1\r\n\r\n".into()),
        ("a space in the path", "GET /lock/a b HTTP/1.1\r\n\r\n".into()),
        ("no path", "GET HTTP/1.1\r\n\r\n".into()),
        ("a relative path", "GET lock HTTP/1.1\r\n\r\n".into()),
        ("an authority", "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("an asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("an unknown method", "BREW /lock HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a method in lower case", "get /lock HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a method that is none", "G@T /lock HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        ("a long method", format!("{} /lock HTTP/1.1\r\nHost: x\r\n\r\n", "A".repeat(9000))),
        ("only line ends", "\r\n".repeat(2000)),
        ("a header without colon", post("nothing\r\n", "")),
        ("a header without name", post(": nothing\r\n", "")),
        ("a space in a name", post("a b: c\r\n", "")),
        ("NUL in a header", post("a: b\0c\r\n", "")),
        ("a folded header", post("a: b\r\n c\r\n", "")),
        ("a bare line feed in a header", post("a: b\rc\r\n", "")),
        ("no length", post("Content-Length:\r\n", "{}")),
        ("a negative length", post("Content-Length: -1\r\n", "{}")),
        ("a length in words", post("Content-Length: two\r\n", "{}")),
        ("a huge length", post("Content-Length: 99999999999999999999\r\n", "{}")),
        ("the greatest length", post("Content-Length: 18446744073709551615\r\n", "{}")),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}")),
        ("length and chunks", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        ("an unknown encoding", post("Transfer-Encoding: secret\r\n", "{}")),
        ("chunks last but one", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n")),
        ("a chunk size in words", post("Transfer-Encoding: chunked\r\n", "two\r\n{}\r\n0\r\n\r\n")),
        (
            "a huge chunk size",
            post("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"),
        ),
        ("a wrong chunk size", post("Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n")),
        ("chunks that break off", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n")),
        (
            "a long chunk extension",
            post("Transfer-Encoding: chunked\r\n", &format!("2;{}\r\n{{}}\r\n", "a".repeat(90_000))),
        ),
        (
            "many trailers",
            post("Transfer-Encoding: chunked\r\n", &format!("0\r\n{}\r\n", "a: b\r\n".repeat(9000))),
        ),
        ("a body that breaks off", post("Content-Length: 100\r\n", "{\"name\":")),
        ("a head that breaks off", "POST /lock HTTP/1.1\r\nHost".into()),
    ];
    for (what, request) in &cases {
        check(&server, what, request.as_bytes()).await;
    }
    still_answers(&server).await;
    server.stop().await;
}

/// Heads without measure.
async fn floods(database: Database) {
    let (server, _) = server(&database).await;
    let head = "GET /lock HTTP/1.1\r\nHost: x\r\n";
    let many = |count: usize| (0..count).map(|number| format!("h{number}: v\r\n")).collect::<String>();
    let cases = [
        ("a thousand headers", format!("{head}{}\r\n", many(1000))),
        ("a hundred thousand headers", format!("{head}{}\r\n", many(100_000))),
        ("headers without end", format!("{head}{}", many(200_000))),
        ("a long header", format!("{head}a: {}\r\n\r\n", "b".repeat(4 << 20))),
        ("a long name", format!("{head}{}: b\r\n\r\n", "a".repeat(1 << 20))),
        ("a header of 64 KiB twice", format!("{head}a: {}\r\nb: {0}\r\n\r\n", "b".repeat(64 << 10))),
        ("a long path", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(4 << 20))),
        ("a long query", format!("GET /lock?{} HTTP/1.1\r\nHost: x\r\n\r\n", "a=b&".repeat(1 << 20))),
    ];
    for (what, request) in &cases {
        check(&server, what, request.as_bytes()).await;
    }
    for length in [65_534, 65_535, 65_536, 65_537, 100_000] {
        let target = format!("/{}", "a".repeat(length - 1));
        let mut connection = Connection::open(server.address()).await;
        let answer = connection.request(&Request::new("GET", &target)).await.unwrap();
        refused_or_closed(&format!("a URL of {length} bytes"), answer.as_ref());
    }
    still_answers(&server).await;
    server.stop().await;
}

/// Upgrades that are none.
async fn broken_upgrades(database: Database) {
    let (server, _) = server(&database).await;
    let without = |name: &str| {
        let mut request = upgrade_request("/");
        request.headers.retain(|(given, _)| given != name);
        request
    };
    let with = |name: &str, value: &str| without(name).header(name, value);
    let mut post = upgrade_request("/");
    post.method = "POST".to_owned();
    let cases = [
        ("no connection header", without("Connection")),
        ("no key", without("Sec-WebSocket-Key")),
        ("no version", without("Sec-WebSocket-Version")),
        ("an old version", with("Sec-WebSocket-Version", "8")),
        ("another protocol", with("Upgrade", "h2c")),
        ("another connection", with("Connection", "close")),
        ("another method", post),
        ("another path", upgrade_request("/v3")),
        ("a service's path", upgrade_request("/lock")),
    ];
    for (what, request) in cases {
        check(&server, what, &request.bytes()).await;
    }
    still_answers(&server).await;
    server.stop().await;
}

on_both_engines! {
    garbage
    broken_requests
    floods
    broken_upgrades
}
