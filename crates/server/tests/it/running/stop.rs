//! SIGTERM: no new calls, those that run are answered, sockets get a reason, and the program exits with 0.

use hiroba_testkit::http::{Connection, Request};
use hiroba_testkit::socket::Event;
use hiroba_testkit::{Database, Process, Socket, eventually, on_both_engines, within};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::start;

/// Waits until the server takes no connections any more, which is when it has begun to stop.
async fn stopping(server: &Process) {
    let address = server.address();
    let refused = async || Connection::try_open(address).await.is_err().then_some(());
    eventually("the server to take no connections", refused).await;
}

async fn what_runs_is_finished(database: Database) {
    let mut server = start(&database);
    let api = server.api().await;
    api.create_namespace("ns").await;
    api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
    let mut idle = Connection::open(server.address()).await;
    idle.request(&Request::new("GET", "/healthz")).await.unwrap().unwrap();
    let mut socket = Socket::open(server.address()).await;
    let mut busy = Socket::open(server.address()).await;

    // A call that runs: its body is half there.
    let json = json!({ "transactionId": "t" });
    let request = api.request("lock", "POST", "/ns/user/alice/mutex/p/lock", &json).bytes();
    let (one, other) = request.split_at(request.len() - 5);
    let mut half = Connection::open(server.address()).await;
    half.send(one).await.unwrap();
    // Calls that run on a socket: hashing a password takes a while.
    let password = json!({
        "xGs2ProjectToken": api.project_token(),
        "userName": "user",
        "password": "password",
    });
    let id = busy.start(("identifier", "password", "createPassword"), password).await;
    let lock = json!({
        "xGs2ProjectToken": api.project_token(),
        "namespaceName": "ns",
        "userId": "alice",
        "propertyId": "q",
        "transactionId": "t",
    });
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(busy.start(("lock", "mutex", "lockByUserId"), lock.clone()).await);
    }
    // The first answer says that the server has read them, or is about to.
    busy.answer(&ids[19]).await;

    server.terminate();
    stopping(&server).await;
    assert_eq!(within("the end of an idle connection", idle.receive()).await.ok().flatten(), None);
    assert_eq!(socket.next().await, Event::Close(1001, "the server is stopping".to_owned()));
    half.send(other).await.unwrap();
    let answer = within("the answer to a call that ran", half.receive()).await.unwrap().unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
    let item = answer.item();
    assert_eq!(item["propertyId"], "p");
    assert_eq!(within("the end of the connection", half.receive()).await.ok().flatten(), None);
    for id in ids.iter().take(19).chain([&id]) {
        let (status, body) = busy.answer(id).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(busy.next().await, Event::Close(1001, "the server is stopping".to_owned()));
    drop((socket, busy));
    let (status, _) = block_in_place(|| server.ended());
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(!server.log().contains("panicked"), "{}", server.log());
    assert!(!server.log().contains("WARN") && !server.log().contains("ERROR"), "{}", server.log());

    // What was answered is there.
    let again = start(&database);
    let api = api.at(again.address());
    api.mutexes("ns", "alice").get("p").await.item();
    let twenty = api.mutexes("ns", "alice").get("q").await.item();
    assert_eq!(twenty["referenceCount"], 20);
    api.call("identifier", "GET", "/user/user/password/entity", Value::Null).await.item();
    block_in_place(|| again.stop());
}

/// Many callers at work: each call is answered or was not begun, and the program still ends.
async fn under_load(database: Database) {
    let mut server = start(&database);
    let api = server.api().await;
    api.create_namespace("ns").await;
    let callers = (0..16).map(|caller| {
        let mutexes = api.mutexes("ns", &format!("user-{caller}"));
        tokio::spawn(async move {
            let request = mutexes.request("POST", "p", "/lock", &json!({ "transactionId": "t" }));
            let mut answered = 0;
            while let Ok(Some(answer)) = mutexes.api().try_send(&request).await {
                answered = answer.item()["referenceCount"].as_i64().unwrap();
            }
            answered
        })
    });
    let callers: Vec<_> = callers.collect();
    let busy = async || {
        (api.metric("hiroba_call_seconds_count{service=\"lock\",method=\"lockByUserId\"}").await > 200.0)
            .then_some(())
    };
    eventually("the callers to be at work", busy).await;
    server.terminate();
    let mut answered = Vec::new();
    for caller in callers {
        answered.push(within("a caller to see the end", caller).await.unwrap());
    }
    let (status, _) = block_in_place(|| server.ended());
    assert_eq!(status.code(), Some(0), "{}", server.log());

    let again = start(&database);
    let api = api.at(again.address());
    for (caller, answered) in answered.into_iter().enumerate() {
        let item = api.mutexes("ns", &format!("user-{caller}")).get("p").await.item();
        let count = item["referenceCount"].as_i64().unwrap();
        // One call may have been made whose answer found the connection closed.
        assert!(count == answered || count == answered + 1, "{count} locks, {answered} answered");
    }
    block_in_place(|| again.stop());
}

on_both_engines! {
    what_runs_is_finished
    under_load
}
