//! Whatever JSON arrives on a socket: it is answered with the same request id, or the socket is closed with 1003
//! (BEHAVIOUR T-21 … T-23, T-29).

use hiroba_testkit::socket::Event;
use hiroba_testkit::{Api, Database, Engine, Socket, TestServer};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::contract::runner;
use crate::requests;

const CASES: u32 = 600;

/// A request id: a text, or what is none. No fractions: their text may differ.
fn request_id() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => any::<String>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!(true)),
        1 => Just(json!(["a", { "b": null }])),
    ]
    .boxed()
}

fn word(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop_oneof![8 => select(words).prop_map(Value::from), 1 => requests::json()].boxed()
}

/// The envelope's own member: its parts, some of them missing or wrong, or anything.
fn x_gs2() -> BoxedStrategy<Value> {
    let part = |name: &'static str, value: BoxedStrategy<Value>| {
        prop_oneof![1 => Just(None), 9 => value.prop_map(move |value| Some((name.to_owned(), value)))].boxed()
    };
    let parts = vec![
        part("service", word(&["lock", "identifier", "auth", "job_queue", ""])),
        part("component", word(&["mutex", "namespace", "user", "projectToken", "accessToken"])),
        part(
            "function",
            word(&["lockByUserId", "getMutex", "login", "describeUsers", "getServiceVersion", "createUser"]),
        ),
        part("contentType", word(&["application/json", "text/plain"])),
        part("requestId", request_id()),
        part("private", requests::json()),
    ];
    let whole = parts.prop_map(|parts| Value::Object(parts.into_iter().flatten().collect()));
    prop_oneof![9 => whole, 1 => requests::json()].boxed()
}

/// A frame: an envelope with members, or any JSON.
fn frame(token: String) -> BoxedStrategy<Value> {
    let names = select(vec![
        "x_gs2",
        "xGs2ProjectToken",
        "xGs2AccessToken",
        "xGs2DryRun",
        "xGs2RequestId",
        "xGs2DuplicationAvoider",
        "accessToken",
        "timeOffsetToken",
        "namespaceName",
        "userId",
        "propertyId",
        "transactionId",
        "ttl",
        "name",
        "client_id",
        "client_secret",
        "limit",
        "pageToken",
        "contextStack",
    ]);
    let members = prop::collection::vec((names, requests::json()), 0..6);
    let envelope = (members, x_gs2(), any::<bool>()).prop_map(move |(members, x_gs2, logged_in)| {
        let mut object: Map<String, Value> =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        object.insert("x_gs2".to_owned(), x_gs2);
        if logged_in {
            object.insert("xGs2ProjectToken".to_owned(), token.clone().into());
        }
        Value::Object(object)
    });
    prop_oneof![9 => envelope, 1 => requests::json()].boxed()
}

async fn check(server: &TestServer, socket: &mut Socket, frame: &Value) -> Result<(), TestCaseError> {
    socket.send(frame.to_string()).await;
    let event = socket.next().await;
    if !frame.is_object() {
        let understood = matches!(event, Event::Close(1003, _));
        prop_assert!(understood, "{:?}", event);
        *socket = Socket::open(server.address()).await;
        return Ok(());
    }
    let Event::Frame(mut answer) = event else {
        *socket = Socket::open(server.address()).await;
        return Err(TestCaseError::fail(format!("{event:?}")));
    };
    let id = frame["x_gs2"].get("requestId").filter(|id| !id.is_null());
    prop_assert_eq!(answer.get("requestId"), id);
    let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default();
    let body = answer["body"].take();
    prop_assert!(body.is_object(), "{}", body);
    prop_assert_ne!(status, 500, "{}", body);
    if status != 200 {
        let refusals = hiroba_testkit::shape::refusals(status, body.to_string().as_bytes());
        prop_assert!(refusals.is_ok(), "{:?}", refusals);
    }
    Ok(())
}

fn any_frame_is_answered(engine: Engine) {
    let Some(database) = Database::new(engine) else { return };
    let runtime = hiroba_testkit::database::runtime();
    let server = runtime.block_on(TestServer::start(&database));
    let api: Api = runtime.block_on(server.api());
    runtime.block_on(api.create_namespace("ns"));
    let socket = std::cell::RefCell::new(runtime.block_on(Socket::open(server.address())));
    let property = |frame: Value| runtime.block_on(check(&server, &mut socket.borrow_mut(), &frame));
    let outcome = runner(CASES).run(&frame(api.project_token().to_owned()), property);
    outcome.unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async {
        drop(socket);
        server.stop().await;
    });
}

#[test]
fn any_frame_is_answered_on_sqlite() {
    any_frame_is_answered(Engine::Sqlite);
}

#[test]
fn any_frame_is_answered_on_postgres() {
    any_frame_is_answered(Engine::Postgres);
}
