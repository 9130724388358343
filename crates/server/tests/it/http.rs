//! Habits of HTTP/1.1 clients: kept-alive and pipelined requests, `Expect: 100-continue`, chunks, and how a connection
//! ends (BEHAVIOUR T-06, T-11).

use hiroba_testkit::api::text;
use hiroba_testkit::http::{Connection, Request};
use hiroba_testkit::{Database, TestServer, on_both_engines, within};
use serde_json::json;

/// Requests that are sent without waiting are answered in their order, good and bad ones.
async fn pipelined_requests_are_answered_in_order(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    let json = json!({ "transactionId": "t" });
    let properties = ["a", "b/c", "%ff", "d", "a"];
    let requests = properties.map(|property| mutexes.request("POST", property, "/lock", &json).bytes());
    let mut connection = Connection::open(server.address()).await;
    connection.send(&requests.concat()).await.unwrap();
    for (property, count) in [("a", 1), ("b/c", 1), ("", 0), ("d", 1), ("a", 2)] {
        let answer = within("an answer", connection.receive()).await.unwrap().unwrap();
        if property.is_empty() {
            assert_eq!((answer.status, answer.refusals().len()), (400, 1));
            continue;
        }
        let item = answer.item();
        assert_eq!((text(&item, "propertyId"), item["referenceCount"].as_i64()), (property, Some(count)));
    }
    server.stop().await;
}

/// A client that asks first is told to go on, and is answered like any other.
async fn a_client_may_ask_before_it_sends(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let json = json!({ "transactionId": "t" });
    let request =
        api.mutexes("ns", "alice").request("POST", "p", "/lock", &json).header("Expect", "100-continue");
    let mut connection = Connection::open(server.address()).await;
    connection.send(&request.head()).await.unwrap();
    let interim = within("the interim answer", connection.line()).await.unwrap();
    assert_eq!(interim, "HTTP/1.1 100 Continue");
    connection.send(&request.body).await.unwrap();
    within("the answer", connection.receive()).await.unwrap().unwrap().item();
    server.stop().await;
}

/// A connection is kept unless somebody says otherwise; HTTP/1.0 is spoken to those who know nothing newer.
async fn a_connection_ends_when_it_is_asked_to(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let mut connection = Connection::open(server.address()).await;
    for number in 0..50 {
        let answer =
            within("an answer", connection.request(&api.request("lock", "GET", "/", &json!(null)))).await;
        let answer = answer.unwrap().unwrap_or_else(|| panic!("the connection ended after {number} calls"));
        assert_eq!(answer.header("connection"), None);
        answer.ok();
    }
    let last = api.request("lock", "GET", "/", &json!(null)).header("Connection", "close");
    within("an answer", connection.request(&last)).await.unwrap().unwrap().ok();
    assert_eq!(within("the end", connection.receive()).await.unwrap(), None);

    let mut old = Connection::open(server.address()).await;
    old.send(b"GET /healthz HTTP/1.0\r\n\r\n").await.unwrap();
    let answer = within("an answer", old.receive()).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    assert_eq!(within("the end", old.receive()).await.unwrap(), None);
    server.stop().await;
}

/// T-06: a body may come in chunks of any size, compressed or not, and so does nothing at all.
async fn a_body_may_come_in_chunks(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    let json = json!({ "transactionId": "t" }).to_string();
    for size in [1, 2, 7, 1000] {
        let chunks: Vec<u8> = json
            .as_bytes()
            .chunks(size)
            .flat_map(|chunk| [format!("{:X}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
            .chain(*b"0\r\n\r\n")
            .collect();
        let request =
            mutexes.request("POST", "p", "/lock", &json!(null)).header("Transfer-Encoding", "chunked");
        let mut connection = Connection::open(server.address()).await;
        let answer = within("an answer", connection.request(&request.clone().body(chunks))).await;
        answer.unwrap().unwrap().item();
        let nothing =
            within("an answer", connection.request(&request.body("0\r\n\r\n"))).await.unwrap().unwrap();
        nothing.refused(400, "mutex", "lock.mutex.transactionId.error.require");
    }
    server.stop().await;
}

/// Methods beside the four: no operation has them, and a HEAD is answered without a body.
async fn other_methods_name_nothing(database: Database) {
    let server = TestServer::start(&database).await;
    let mut connection = Connection::open(server.address()).await;
    for method in ["PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        for path in ["/", "/lock", "/healthz", "/lock/ns/user/me/mutex/p/lock"] {
            let answer = within("an answer", connection.request(&Request::new(method, path))).await;
            let answer = answer.unwrap().unwrap();
            answer.refused(404, "operation", "server.operation.operation.error.notFound");
        }
    }
    let head = Request::new("HEAD", "/lock").header("Connection", "close");
    connection.send(&head.bytes()).await.unwrap();
    let answer = String::from_utf8(within("the end", connection.drain()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    server.stop().await;
}

on_both_engines! {
    pipelined_requests_are_answered_in_order
    a_client_may_ask_before_it_sends
    a_connection_ends_when_it_is_asked_to
    a_body_may_come_in_chunks
    other_methods_name_nothing
}
