//! Bodies that are too large, too deep, broken, or bombs (BEHAVIOUR T-06, T-13, E-01).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hiroba_testkit::api::Api;
use hiroba_testkit::http::{Connection, Request, Response};
use hiroba_testkit::{Database, on_both_engines, within};

use super::{refused_or_closed, server, still_answers};

const WIRE_MAX: usize = 8 << 20;
const DECOMPRESSED_MAX: usize = 24 << 20;
const VALUES_MAX: usize = 100_000;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A lock's body of exactly that many bytes; the rest is a member that nobody knows (T-13).
fn padded(length: usize) -> Vec<u8> {
    let body = br#"{"transactionId":"t","padding":""}"#;
    let mut padded = body[..body.len() - 2].to_vec();
    padded.resize(length - 2, b'x');
    padded.extend_from_slice(b"\"}");
    padded
}

fn lock(api: &Api, body: Vec<u8>) -> Request {
    api.request("lock", "POST", "/ns/user/alice/mutex/p/lock", &serde_json::Value::Null).body(body)
}

async fn answer(server: &hiroba_testkit::TestServer, what: &str, request: &Request) -> Option<Response> {
    let mut connection = Connection::open(server.address()).await;
    within(what, connection.exchange(&request.bytes())).await
}

/// What a case must lead to: 200, or a refusal of the body with this problem.
#[track_caller]
fn check(what: &str, answer: Option<Response>, expected: Result<(), &str>) {
    let answer = answer.unwrap_or_else(|| panic!("{what}: the connection was closed"));
    match expected {
        Ok(()) => drop(answer.item()),
        Err(problem) => {
            let first = &answer.refusals()[0];
            let message = format!("lock.request.body.error.{problem}");
            assert_eq!((answer.status, first.message.as_str()), (400, message.as_str()), "{what}");
        }
    }
}

/// Sizes at their edges, on the wire and after decompression.
async fn sizes(database: Database) {
    let (server, api) = server(&database).await;
    let zip = |body: &[u8]| lock(&api, gzip(body)).header("Content-Encoding", "gzip");
    let chunked = |body: &[u8]| {
        let mut chunks = Vec::new();
        for chunk in body.chunks(60_000) {
            chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        lock(&api, chunks).header("Transfer-Encoding", "chunked")
    };
    let zeros = vec![0; 200 << 20];
    let values = |count: usize| {
        // The object, the transaction and the list are values as well.
        let list = vec!["0"; count - 3].join(",");
        format!(r#"{{"transactionId":"t","x":[{list}]}}"#).into_bytes()
    };
    let cases = [
        ("the greatest body", lock(&api, padded(WIRE_MAX)), Ok(())),
        ("the greatest chunked body", chunked(&padded(WIRE_MAX)), Ok(())),
        ("the greatest decompressed body", zip(&padded(DECOMPRESSED_MAX)), Ok(())),
        ("one byte too many, decompressed", zip(&padded(DECOMPRESSED_MAX + 1)), Err("tooLong")),
        ("a bomb", zip(&zeros), Err("tooLong")),
        ("a bomb in a bomb", zip(&gzip(&zeros)), Err("invalid")),
        ("as many values as may be", lock(&api, values(VALUES_MAX)), Ok(())),
        ("too many values", lock(&api, values(VALUES_MAX + 3)), Err("tooMany")),
        ("too many values, compressed", zip(&values(1_000_000)), Err("tooMany")),
        (
            "many empty lists",
            zip(&format!("[{}]", vec!["[]"; 3_000_000].join(",")).into_bytes()),
            Err("tooMany"),
        ),
    ];
    for (what, request, expected) in cases {
        check(what, answer(&server, what, &request).await, expected);
    }
    // The server need not read what is too long to its end.
    for (what, request) in [
        ("one byte too many", lock(&api, padded(WIRE_MAX + 1))),
        ("one byte too many in chunks", chunked(&padded(WIRE_MAX + 1))),
        ("far too many", lock(&api, padded(WIRE_MAX * 8))),
        ("far too many in chunks", chunked(&padded(WIRE_MAX * 8))),
        ("far too many, not announced", lock(&api, Vec::new()).header("Content-Length", "1099511627776")),
    ] {
        let mut request = request;
        if request.body.is_empty() {
            request.body = padded(WIRE_MAX * 2);
        }
        let answer = answer(&server, what, &request).await;
        if let Some(answer) = &answer {
            answer.refused(400, "request", "lock.request.body.error.tooLong");
        }
    }
    still_answers(&server).await;
    server.stop().await;
}

/// Texts that are no JSON object.
async fn no_objects(database: Database) {
    let (server, api) = server(&database).await;
    let deep = |open: &str, close: &str, depth: usize| {
        format!("{{\"transactionId\":\"t\",\"x\":{}0{}}}", open.repeat(depth), close.repeat(depth))
            .into_bytes()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a list", b"[]".to_vec()),
        ("a text", br#""transactionId""#.to_vec()),
        ("a number", b"1".to_vec()),
        ("null", b"null".to_vec()),
        ("a half", br#"{"transactionId":"t""#.to_vec()),
        ("one and a half", br#"{"transactionId":"t"}{"#.to_vec()),
        ("no quotes", b"{transactionId:1}".to_vec()),
        ("NaN", br#"{"transactionId":"t","ttl":NaN}"#.to_vec()),
        ("a number without end", format!("{{\"ttl\":{}}}", "9".repeat(400)).into_bytes()),
        ("an exponent without measure", br#"{"ttl":1e999}"#.to_vec()),
        ("lists, deep", deep("[", "]", 1_000)),
        ("lists, very deep", deep("[", "]", 90_000)),
        ("objects, deep", deep("{\"a\":", "}", 90_000)),
        ("lists without end", "[".repeat(90_000).into_bytes()),
        ("a byte order mark", "\u{feff}{}".into()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("UTF-32", b"{\0\0\0}\0\0\0".to_vec()),
        ("NUL", b"\0".to_vec()),
        ("NUL behind", b"{}\0".to_vec()),
        ("a control character in a text", b"{\"transactionId\":\"\x01\"}".to_vec()),
        ("form data", b"transactionId=t".to_vec()),
        ("gzip that is not announced", gzip(br#"{"transactionId":"t"}"#)),
    ];
    for (what, body) in cases {
        check(what, answer(&server, what, &lock(&api, body)).await, Err("invalid"));
    }
    // Nothing is an empty object; so is white space only when it is one.
    let request = lock(&api, Vec::new());
    answer(&server, "nothing", &request).await.unwrap().refused(
        400,
        "mutex",
        "lock.mutex.transactionId.error.require",
    );
    check("white space", answer(&server, "white space", &lock(&api, b" \n".to_vec())).await, Err("invalid"));
    still_answers(&server).await;
    server.stop().await;
}

/// Compressed bodies that are broken.
async fn broken_gzip(database: Database) {
    let (server, api) = server(&database).await;
    let whole = gzip(&padded(5000));
    let change = |at: usize| {
        let mut bytes = whole.clone();
        let at = if at < 100 { at } else { bytes.len() - (at - 99) };
        bytes[at] ^= 0x55;
        bytes
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no gzip", br#"{"transactionId":"t"}"#.to_vec()),
        ("another magic number", change(0)),
        ("another method", change(2)),
        ("another checksum", change(105)),
        ("another length", change(101)),
        ("other contents", change(40)),
        ("the head alone", whole[..10].to_vec()),
        ("a half", whole[..whole.len() / 2].to_vec()),
        ("all but the last byte", whole[..whole.len() - 1].to_vec()),
        ("zlib", b"\x78\x9c\xab\x56\x2a\x29\x4a\xcc\x2b\x4e\x4c\x2e\xc9\xcc\xcf\xf3\x4c\x51\xb2\x52\x2a\x51\xaa\x05\0".to_vec()),
        ("compressed twice", gzip(&whole)),
        ("nothing compressed", Vec::from(&b"\x1f\x8b"[..])),
    ];
    for (what, body) in cases {
        for name in ["gzip", "GZIP"] {
            let request = lock(&api, body.clone()).header("Content-Encoding", name);
            check(what, answer(&server, what, &request).await, Err("invalid"));
        }
    }
    for encoding in ["br", "deflate", "gzip, gzip", "identity, gzip", "zstd"] {
        let request = lock(&api, whole.clone()).header("Content-Encoding", encoding);
        check(encoding, answer(&server, encoding, &request).await, Err("invalid"));
    }
    let request = lock(&api, whole).header("Content-Encoding", "gzip");
    check("as it was", answer(&server, "as it was", &request).await, Ok(()));
    still_answers(&server).await;
    server.stop().await;
}

/// Bodies that break off: the connection ends before the announced length.
async fn truncated(database: Database) {
    let (server, api) = server(&database).await;
    let body = br#"{"transactionId":"t"}"#.to_vec();
    for encoding in ["identity", "gzip"] {
        let body = if encoding == "gzip" { gzip(&body) } else { body.clone() };
        let request = lock(&api, body).header("Content-Encoding", encoding).bytes();
        for missing in [1, 2, 10, 20] {
            let what = format!("{missing} bytes of {encoding} missing");
            let mut connection = Connection::open(server.address()).await;
            connection.send(&request[..request.len() - missing]).await.unwrap();
            connection.finish_sending().await.unwrap();
            let answer = within(&what, connection.receive()).await.ok().flatten();
            refused_or_closed(&what, answer.as_ref());
        }
    }
    assert_eq!(server.count("SELECT COUNT(*) FROM lock_mutex").await, 0, "none of them was done");
    still_answers(&server).await;
    server.stop().await;
}

on_both_engines! {
    sizes
    no_objects
    broken_gzip
    truncated
}
