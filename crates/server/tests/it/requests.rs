//! Whatever JSON is sent to whatever operation, over REST or a socket: the answer has the protocol's shape, and none is a
//! 500 (BEHAVIOUR E-01 … E-05).

use hiroba_api::contract::{FieldInfo, Kind, Row};
use hiroba_testkit::api::{ACCESS_TOKEN, Api, DRY_RUN, DUPLICATION_AVOIDER, TIME_OFFSET_TOKEN};
use hiroba_testkit::http::{Request, Response};
use hiroba_testkit::{Database, Engine, Socket, TestServer};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::contract::runner;

const CASES: u32 = 700;

/// Texts that mean something to the server, or nearly.
const TEXTS: &[&str] = &[
    "ns",
    "other",
    "alice",
    "me",
    "user",
    "nobody",
    "policy",
    "null",
    "",
    " ",
    "p",
    "a/b",
    "t",
    "true",
    "True",
    "0",
    "60",
    "-1",
    "9223372036854775807",
    "9223372036854775808",
    "1e3",
    "..",
    "%",
    "%00",
    "\0",
    "\u{fffd}",
    "\u{10ffff}",
    "𠮷",
    "~null",
    "grn:gs2::system:identifier:securityPolicy:ApplicationAccess",
    "grn:gs2::hiroba:identifier:securityPolicy:policy",
    "grn:gs2:::identifier:securityPolicy:",
    "grn:gs2",
    "{\"Version\":\"2016-04-01\",\"Statements\":[]}",
    "{\"Statements\":[{\"Effect\":\"Allow\",\"Actions\":[\"*\"]}]}",
    "{\"Statements\":0}",
    "[]",
    "{}",
    "000000",
];

fn text() -> BoxedStrategy<String> {
    let long =
        (select(vec!["a", "あ", "𠮷", "\u{1}"]), 60..1100_usize).prop_map(|(unit, count)| unit.repeat(count));
    prop_oneof![6 => select(TEXTS).prop_map(str::to_owned), 2 => any::<String>(), 1 => long].boxed()
}

/// Any JSON value, mostly a small one.
pub(crate) fn json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3..70_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let branch = |inner: BoxedStrategy<Value>| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        let object = prop::collection::vec((text(), inner), 0..4);
        prop_oneof![list, object.prop_map(|members| Value::Object(members.into_iter().collect()))]
    };
    leaf.prop_recursive(3, 16, 4, move |inner| branch(inner.boxed())).boxed()
}

/// Texts that a field of this name would take, most of which name something that is there.
fn named(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "namespaceName" => &["ns", "ns", "other"],
        "userName" => &["user", "user", "nobody"],
        "securityPolicyName" => &["policy", "none"],
        "name" => &["ns", "user", "policy", "new", "other"],
        "propertyId" => &["p", "q", "a/b"],
        "transactionId" => &["t", "u"],
        "securityPolicyId" => &[
            "grn:gs2::system:identifier:securityPolicy:ApplicationAccess",
            "grn:gs2::hiroba:identifier:securityPolicy:policy",
            "grn:gs2::hiroba:identifier:securityPolicy:none",
        ],
        "policy" | "policyDocument" => &["{\"Statements\":[]}", "{}"],
        "password" => &["password", "wrong"],
        "passcode" | "otp" => &["000000"],
        _ => return None,
    })
}

/// A value for a field: one that names something, one of its kind, or anything.
fn value(info: &FieldInfo) -> BoxedStrategy<Option<Value>> {
    let fitting = match &info.shape.kind {
        Kind::Int | Kind::Long => (-2..2000_i64).prop_map(Value::from).boxed(),
        Kind::Model { fields, .. } => object(fields).prop_map(Value::Object).boxed(),
        _ => text().prop_map(Value::from).boxed(),
    };
    let named = named(info.name).map(|texts| select(texts).prop_map(Value::from).boxed());
    let named = named.unwrap_or_else(|| fitting.clone());
    prop_oneof![1 => Just(None), 12 => named.prop_map(Some), 2 => fitting.prop_map(Some), 1 => json().prop_map(Some)]
        .boxed()
}

fn object(infos: &[FieldInfo]) -> BoxedStrategy<Map<String, Value>> {
    let members: Vec<_> = infos
        .iter()
        .map(|info| {
            let name = info.name.to_owned();
            value(info).prop_map(move |value| Some((name.clone(), value?)))
        })
        .collect();
    members.prop_map(|members| members.into_iter().flatten().collect()).boxed()
}

/// A call of some operation, with whatever in its fields and headers.
#[derive(Debug, Clone)]
struct Call {
    row: usize,
    fields: Map<String, Value>,
    more: Map<String, Value>,
    user: String,
    /// Header or envelope member, and which of the known tokens or texts.
    extras: Vec<(usize, usize)>,
}

fn call(table: &hiroba_api::contract::Table) -> BoxedStrategy<Call> {
    let rows: Vec<_> = table.rows().iter().map(|row| object(&(row.declaration.fields)())).collect();
    let row = (0..rows.len()).prop_flat_map(move |row| (Just(row), rows[row].clone()));
    let more = prop_oneof![3 => Just(Map::new()), 1 => prop::collection::vec((text(), json()), 0..3)
        .prop_map(|members| members.into_iter().collect())];
    let extras = prop::collection::vec((0..EXTRAS.len(), 0..6_usize), 0..3);
    let user = prop_oneof![4 => select(vec!["alice", "bob"]).prop_map(str::to_owned), 1 => text()];
    (row, more, user, extras)
        .prop_map(|((row, fields), more, user, extras)| Call { row, fields, more, user, extras })
        .boxed()
}

/// Header and envelope member.
const EXTRAS: [(&str, &str); 4] = [
    (ACCESS_TOKEN, "xGs2AccessToken"),
    (TIME_OFFSET_TOKEN, "timeOffsetToken"),
    (DUPLICATION_AVOIDER, "xGs2DuplicationAvoider"),
    (DRY_RUN, "xGs2DryRun"),
];

struct Caller {
    api: Api,
    texts: [String; 6],
}

impl Caller {
    fn extras<'c>(&'c self, row: &Row, call: &'c Call) -> Vec<(usize, &'c str)> {
        let mut extras: Vec<_> =
            call.extras.iter().map(|(name, text)| (*name, self.texts[*text].as_str())).collect();
        // Most calls for a player should get past the token.
        if row.path.contains("/me/") && !call.user.len().is_multiple_of(4) {
            extras.push((0, &self.texts[0]));
        }
        extras
    }

    fn rest(&self, row: &Row, call: &Call) -> Request {
        let mut path = String::new();
        for segment in row.path.split('/').skip(1) {
            let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let part = match name.map(|name| name.trim_start_matches('*')) {
                None => segment.to_owned(),
                Some("userId") => encode(&call.user),
                Some(name) => match call.fields.get(name) {
                    Some(Value::String(text)) => encode(text),
                    Some(other) => encode(&other.to_string()),
                    None => "null".to_owned(),
                },
            };
            path.push('/');
            path.push_str(&part);
        }
        let mut fields = call.more.clone();
        fields.extend(call.fields.clone());
        let mut json = Value::Null;
        if ["POST", "PUT"].contains(&row.declaration.method) {
            json = Value::Object(fields);
        } else {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let query: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(&text(value))))
                .collect();
            path = format!("{path}?{}", query.join("&"));
        }
        let mut api = self.api.clone();
        for (extra, text) in self.extras(row, call) {
            api = api.with(EXTRAS[extra].0, text);
        }
        api.request(row.declaration.service.segment, row.declaration.method, &path, &json)
    }

    fn envelope(&self, row: &Row, call: &Call) -> Value {
        let mut fields = call.more.clone();
        fields.extend(call.fields.clone());
        fields.insert("userId".to_owned(), call.user.clone().into());
        fields.insert("xGs2ProjectToken".to_owned(), self.api.project_token().into());
        for (extra, text) in self.extras(row, call) {
            fields.insert(EXTRAS[extra].1.to_owned(), text.into());
        }
        Value::Object(fields)
    }
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn shape(transport: &str, row: &Row, answer: &Response) -> Result<(), TestCaseError> {
    let what = format!("{transport} {}: {} {}", row.name, answer.status, answer.text());
    if answer.status == 200 {
        let object = serde_json::from_slice::<Map<String, Value>>(&answer.body);
        prop_assert!(object.is_ok(), "{}", what);
        return Ok(());
    }
    prop_assert_ne!(answer.status, 500, "{}", what);
    let refusals = hiroba_testkit::shape::refusals(answer.status, &answer.body);
    prop_assert!(refusals.is_ok(), "{}: {:?}", what, refusals);
    Ok(())
}

async fn caller(server: &TestServer) -> Caller {
    let api = server.api().await;
    api.create_namespace("ns").await;
    api.call("identifier", "POST", "/user", json!({ "name": "user" })).await.ok();
    let policy = json!({ "name": "policy", "policy": "{\"Statements\":[]}" });
    api.call("identifier", "POST", "/securityPolicy", policy).await.ok();
    let texts = [
        api.player_token("alice").await,
        api.time_offset_token("alice", 7200).await,
        api.project_token().to_owned(),
        "true".to_owned(),
        "key".to_owned(),
        "x".repeat(1025),
    ];
    Caller { api, texts }
}

fn any_request_gets_an_answer(engine: Engine) {
    let Some(database) = Database::new(engine) else { return };
    let runtime = hiroba_testkit::database::runtime();
    let server = runtime.block_on(TestServer::start(&database));
    let caller = runtime.block_on(caller(&server));
    let socket = tokio::sync::Mutex::new(runtime.block_on(Socket::open(server.address())));
    let table = hiroba_api::table();
    let mut statuses = std::collections::BTreeMap::new();
    let seen = std::cell::RefCell::new(&mut statuses);
    let property = |call: Call| {
        let row = &table.rows()[call.row];
        let answer = runtime.block_on(caller.api.send(&caller.rest(row, &call)));
        *seen.borrow_mut().entry(answer.status).or_insert(0) += 1;
        shape("REST", row, &answer)?;
        let function = (row.declaration.service.name, row.declaration.component, row.name.as_str());
        let envelope = caller.envelope(row, &call);
        let answer = runtime.block_on(async { socket.lock().await.call(function, envelope).await });
        shape("socket", row, &answer)
    };
    let outcome = runner(CASES).run(&call(&table), property);
    println!("{statuses:?}");
    outcome.unwrap_or_else(|error| panic!("{error}"));
    // The requests are good enough to get past the reader now and then.
    assert!(statuses[&200] > 50 && statuses[&404] > 20, "{statuses:?}");
    runtime.block_on(async {
        socket.into_inner().close().await;
        server.stop().await;
    });
}

#[test]
fn any_request_gets_an_answer_on_sqlite() {
    any_request_gets_an_answer(Engine::Sqlite);
}

#[test]
fn any_request_gets_an_answer_on_postgres() {
    any_request_gets_an_answer(Engine::Postgres);
}
