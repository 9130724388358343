//! Texts that are none, or hardly: invalid UTF-8, lone surrogates, U+0000, in path, query, headers, body and frames.

use hiroba_testkit::api::{ACCESS_TOKEN, DRY_RUN, DUPLICATION_AVOIDER, TIME_OFFSET_TOKEN, text};
use hiroba_testkit::http::{Connection, Request};
use hiroba_testkit::{Database, Socket, on_both_engines, within};
use serde_json::{Value, json};

use super::{refused_or_closed, server, still_answers};

/// Percent-encoded parts of the path (T-10): what is no UTF-8 or holds U+0000 is refused, the rest is a name.
async fn in_the_path(database: Database) {
    let (server, api) = server(&database).await;
    for wrong in ["%ff", "%c0%af", "%ed%a0%80", "%f5%80%80%80", "%e3%81", "%80", "a%00b", "%00"] {
        let mutexes = api.mutexes("ns", wrong);
        let answer = mutexes.lock("p", "t").await;
        assert_eq!((answer.status, answer.refusals().len()), (400, 1), "{wrong}: {}", answer.text());
        let answer = api.mutexes("ns", "alice").lock(wrong, "t").await;
        assert_eq!((answer.status, answer.refusals().len()), (400, 1), "{wrong}: {}", answer.text());
        let answer = api.call("lock", "GET", &format!("/{wrong}/status"), Value::Null).await;
        assert_eq!((answer.status, answer.refusals().len()), (400, 1), "{wrong}: {}", answer.text());
        let answer = api.call(wrong, "GET", "/", Value::Null).await;
        assert_eq!((answer.status, answer.refusals().len()), (404, 1), "{wrong}: {}", answer.text());
    }
    for (given, property) in [
        ("%", "%"),
        ("%zz", "%zz"),
        ("%4", "%4"),
        ("%2525", "%25"),
        ("..", ".."),
        ("a/../b", "a/../b"),
        ("a//b", "a//b"),
        ("%2f", "/"),
        ("a%0d%0ab", "a\r\nb"),
        ("%F0%A0%AE%B7", "𠮷"),
        ("𠮷", "𠮷"),
        ("%ef%bf%bf", "\u{ffff}"),
        ("%ef%bf%bd", "\u{fffd}"),
        ("%7f", "\u{7f}"),
        ("null%20", "null "),
        ("';DROP%20TABLE%20lock_mutex;--", "';DROP TABLE lock_mutex;--"),
    ] {
        let mutexes = api.mutexes("ns", "alice");
        let item = mutexes.lock(given, "t").await.item();
        assert_eq!(text(&item, "propertyId"), property);
        assert_eq!(text(&mutexes.get(given).await.item(), "propertyId"), property);
        assert!(
            mutexes.list().await.iter().any(|listed| listed == property),
            "{property:?} is not in the list"
        );
        mutexes.unlock(given, "t").await.item();
    }
    // Bytes that are no UTF-8 without being encoded.
    for target in [&b"/lock/\xff/status"[..], b"/lock/ns?x=\xff", b"/\xed\xa0\x80"] {
        let mut bytes = b"GET ".to_vec();
        bytes.extend_from_slice(target);
        bytes.extend_from_slice(b" HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut connection = Connection::open(server.address()).await;
        let answer = within("an answer", connection.exchange(&bytes)).await;
        refused_or_closed(&format!("{target:?}"), answer.as_ref());
    }
    still_answers(&server).await;
    server.stop().await;
}

/// Names and values of the query.
async fn in_the_query(database: Database) {
    let (server, api) = server(&database).await;
    for wrong in ["%ff", "%ed%a0%80", "%c0%80", "a%00b", "%00"] {
        for name in ["namePrefix", "pageToken"] {
            let answer = api.call("lock", "GET", &format!("/?{name}={wrong}"), Value::Null).await;
            assert_eq!(
                (answer.status, answer.refusals().len()),
                (400, 1),
                "{name} {wrong}: {}",
                answer.text()
            );
        }
        // A member that nobody knows does no harm (T-13), whatever its name.
        let answer = api.call("lock", "GET", &format!("/?{wrong}=1"), Value::Null).await;
        assert!([200, 400].contains(&answer.status), "{}", answer.text());
    }
    for (query, status) in [
        ("", 200),
        ("&&&&", 200),
        ("=", 200),
        ("=&=", 200),
        ("limit=", 200),
        ("limit=null", 200),
        ("limit=1&limit=2", 200),
        ("limit=%31", 200),
        ("limit=0", 400),
        ("limit=1001", 400),
        ("limit=ten", 400),
        ("limit=99999999999999999999", 400),
        ("limit[]=1", 200),
        ("pageToken=%ef%bf%bd", 200),
        ("namePrefix=%25", 200),
        ("namePrefix=_", 200),
        ("?limit=1", 200),
    ] {
        let answer = api.call("lock", "GET", &format!("/?{query}"), Value::Null).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
    let many = "a=b&".repeat(10_000);
    api.call("lock", "GET", &format!("/?{many}"), Value::Null).await.ok();
    still_answers(&server).await;
    server.stop().await;
}

/// Texts in the JSON of a body and of a frame.
async fn in_json(database: Database) {
    let (server, api) = server(&database).await;
    let mut socket = Socket::open(server.address()).await;
    for (wrong, over_socket) in [
        (&br#"{"transactionId":"\ud800"}"#[..], true),
        (br#"{"transactionId":"\udc00\ud800"}"#, true),
        (br#"{"transactionId":"\ud800x"}"#, true),
        (br#"{"transactionId":"\ud800\u0041"}"#, true),
        (br#"{"\udfff":1,"transactionId":"t"}"#, true),
        (br#"{"x":[{"y":"\ud83d"}],"transactionId":"t"}"#, true),
        (b"{\"transactionId\":\"\xff\"}", false),
        (b"{\"transactionId\":\"\xed\xa0\x80\"}", false),
        (b"{\"x\":\"\xc0\x80\",\"transactionId\":\"t\"}", false),
    ] {
        let request = api.request("lock", "POST", "/ns/user/alice/mutex/p/lock", &Value::Null);
        let answer = api.send(&request.body(wrong)).await;
        answer.refused(400, "request", "lock.request.body.error.invalid");
        if over_socket {
            socket.send(String::from_utf8(wrong.to_vec()).unwrap()).await;
            let event = socket.next().await;
            assert!(matches!(event, hiroba_testkit::socket::Event::Close(1003, _)), "{event:?}");
            socket = Socket::open(server.address()).await;
        }
    }
    // U+0000 is refused by every text, on both transports, before the engine sees it.
    let call = ("lock", "mutex", "lockByUserId");
    let fields = json!({
        "xGs2ProjectToken": api.project_token(),
        "namespaceName": "ns",
        "userId": "alice",
        "propertyId": "p",
        "transactionId": "t",
    });
    for member in ["namespaceName", "userId", "propertyId", "transactionId"] {
        for value in ["\0", "a\0", "\0a", "a\0b"] {
            let mut fields = fields.clone();
            fields[member] = value.into();
            let answer = socket.call(call, fields).await;
            assert_eq!((answer.status, answer.refusals().len()), (400, 1), "{member} {value:?}");
        }
    }
    for (member, expected) in [
        ("xGs2ProjectToken", Err((401, "projectToken", "lock.projectToken.projectToken.error.invalid"))),
        (
            "timeOffsetToken",
            Err((401, "timeOffsetToken", "lock.timeOffsetToken.timeOffsetToken.error.invalid")),
        ),
        (
            "xGs2DuplicationAvoider",
            Err((400, "duplicationAvoider", "lock.duplicationAvoider.duplicationAvoider.error.invalid")),
        ),
        ("xGs2RequestId", Ok(())),
        ("xGs2DryRun", Ok(())),
    ] {
        let mut fields = fields.clone();
        fields[member] = "a\0b".into();
        let answer = socket.call(call, fields).await;
        match expected {
            Ok(()) => drop(answer.item()),
            Err((status, component, message)) => answer.refused(status, component, message),
        }
    }
    // Everything else that is a text stays what it is.
    for value in
        ["\u{1}", "\u{ffff}", "\u{10ffff}", "\u{202e}abc", "e\u{301}", "\u{e9}", "𠮷", " ", "\\", "\"", "%00"]
    {
        let mut fields = fields.clone();
        fields["transactionId"] = value.into();
        fields["propertyId"] = value.into();
        let item = socket.call(call, fields.clone()).await.item();
        assert_eq!((text(&item, "transactionId"), text(&item, "propertyId")), (value, value));
        let item = socket.call(("lock", "mutex", "getMutexByUserId"), fields).await.item();
        assert_eq!(text(&item, "transactionId"), value);
    }
    // Texts that look alike are not alike.
    for value in ["e\u{301}", "\u{e9}"] {
        let mut fields = fields.clone();
        fields["propertyId"] = value.into();
        fields["transactionId"] = "x".into();
        socket.call(call, fields).await.refused(409, "mutex", "lock.mutex.transactionId.error.notMatch");
    }
    socket.close().await;
    still_answers(&server).await;
    server.stop().await;
}

/// Headers may hold any byte but line ends and NUL.
async fn in_headers(database: Database) {
    let (server, api) = server(&database).await;
    let names = [
        "Authorization",
        ACCESS_TOKEN,
        TIME_OFFSET_TOKEN,
        DUPLICATION_AVOIDER,
        DRY_RUN,
        "X-GS2-REQUEST-ID",
        "X-GS2-CLIENT-ID",
        "Content-Type",
        "Content-Encoding",
        "Accept-Encoding",
        "Host",
    ];
    for name in names {
        for value in [&b"\xff"[..], b"\xed\xa0\x80", b"\x80\x81", "𠮷".as_bytes(), b"\t", b"", &[b'x'; 5000]]
        {
            let request =
                api.request("lock", "POST", "/ns/user/me/mutex/p/lock", &json!({ "transactionId": "t" }));
            let plain = Request { headers: Vec::new(), ..request.clone() };
            let mut bytes = format!("POST {} HTTP/1.1\r\n", plain.target).into_bytes();
            for (given, value) in request.headers.iter().filter(|(given, _)| given != name) {
                bytes.extend_from_slice(format!("{given}: {value}\r\n").as_bytes());
            }
            bytes.extend_from_slice(format!("Content-Length: {}\r\n{name}: ", plain.body.len()).as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n\r\n");
            bytes.extend_from_slice(&plain.body);
            let mut connection = Connection::open(server.address()).await;
            let what = format!("{name}: {value:?}");
            let answer = within(&what, connection.exchange(&bytes)).await;
            refused_or_closed(&what, answer.as_ref());
        }
    }
    still_answers(&server).await;
    server.stop().await;
}

/// Every field of every operation of Lock with every wrong type (E-09).
async fn in_types(database: Database) {
    let (server, api) = server(&database).await;
    let lock = |json: Value| {
        let api = api.clone();
        async move { api.call("lock", "POST", "/ns/user/alice/mutex/p/lock", json).await }
    };
    let wrong = [json!(1), json!(1.5), json!(true), json!([]), json!(["t"]), json!({}), json!({ "t": "t" })];
    for value in &wrong {
        let answer = lock(json!({ "transactionId": value })).await;
        answer.refused(400, "mutex", "lock.mutex.transactionId.error.invalid");
    }
    let wrong =
        ["", "x", "1.5", "1e3", "0x10", "９", "9223372036854775808", "-1", "0", "--1"].map(Value::from);
    for value in
        wrong.into_iter().chain([json!(1.5), json!(true), json!([]), json!([60]), json!({}), json!(1e300)])
    {
        let answer = lock(json!({ "transactionId": "t", "ttl": value })).await;
        answer.refused(400, "mutex", "lock.mutex.ttl.error.invalid");
    }
    // What the SDKs send instead of a number is one (`core.json`, numbersAndBools).
    for value in [json!("60"), json!(60.0), json!(null), json!("9223372036854775807")] {
        lock(json!({ "transactionId": "t", "ttl": value })).await.item();
    }
    // E-14: everything that is wrong is told at once, in field order.
    let answer = api.call("lock", "POST", "/null/user/null/mutex/null/lock", json!({ "ttl": "x" })).await;
    let messages: Vec<_> = answer.refusals().into_iter().map(|refusal| refusal.message).collect();
    let expected = [
        "lock.mutex.namespaceName.error.require",
        "lock.mutex.userId.error.require",
        "lock.mutex.propertyId.error.require",
        "lock.mutex.transactionId.error.require",
        "lock.mutex.ttl.error.invalid",
    ];
    assert_eq!((answer.status, messages), (400, expected.map(str::to_owned).to_vec()));
    still_answers(&server).await;
    server.stop().await;
}

on_both_engines! {
    in_the_path
    in_the_query
    in_json
    in_headers
    in_types
}
