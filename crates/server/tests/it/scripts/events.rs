//! `aws` done triggers: events for Amazon EventBridge, on a stand-in whose signatures are checked here by themselves
//! (BEHAVIOUR CH-74).

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use hiroba_api::namespace::{DoneTriggerTarget, ScriptSetting};
use hiroba_testkit::api::text;
use hiroba_testkit::server::{Builder, START};
use hiroba_testkit::stand_in::Received;
use hiroba_testkit::{Database, Stage, StandIn, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};

use super::{done_script, no_setting};

const DONE: &str = r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#;
const WAITING: &str = "SELECT COUNT(*) FROM job_queue_job WHERE namespace_name LIKE ':%'";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn setting() -> ScriptSetting {
    ScriptSetting { done_trigger_target_type: Some(DoneTriggerTarget::trusted("aws")), ..no_setting() }
}

fn builder(database: &Database, aws: &StandIn) -> Builder {
    let endpoint = aws.url();
    TestServer::builder(database).manual_clock().config(|config| {
        config.eventbridge_endpoint = Some(endpoint);
        config.eventbridge_region = "eu-central-1".to_owned();
        config.eventbridge_bus = "players".to_owned();
        config.aws_access_key_id = Some("AKIDEXAMPLE".to_owned());
        config.aws_secret_access_key = Some(SECRET.to_owned());
        config.aws_session_token = Some("session+token/1".to_owned());
    })
}

async fn change(server: &TestServer, user: &str, n: usize, commit: bool) {
    let args = json!({ "user": user, "n": n, "text": "日本 \"x\"" });
    server.app().trigger(setting(), Some(user), args, commit).await.unwrap();
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Checks a request as AWS does: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
fn check_signature(request: &Received, aws: &StandIn, date: &str) {
    assert_eq!((&*request.method, &*request.target), ("POST", "/"));
    assert_eq!(request.header("host"), aws.address().to_string());
    assert_eq!(request.header("x-amz-date"), date);
    assert_eq!(request.header("x-amz-security-token"), "session+token/1");
    assert_eq!(request.header("x-amz-target"), "AWSEvents.PutEvents");
    assert_eq!(request.header("content-type"), "application/x-amz-json-1.1");
    let authorization = request.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
    let part = |name: &str| {
        let mut parts = authorization.split(", ").filter_map(|part| part.split_once('='));
        parts.find(|(given, _)| *given == name).unwrap().1.to_owned()
    };
    let (day, signed) = (&date[..8], part("SignedHeaders"));
    let scope = format!("{day}/eu-central-1/events/aws4_request");
    assert_eq!(part("Credential"), format!("AKIDEXAMPLE/{scope}"));
    let names: Vec<&str> = signed.split(';').collect();
    assert!(names.is_sorted(), "{signed}");
    for name in ["host", "x-amz-date", "x-amz-security-token", "x-amz-target", "content-type"] {
        assert!(names.contains(&name), "{name} is not signed");
    }
    let headers: String = names.iter().map(|name| format!("{name}:{}\n", request.header(name))).collect();
    let hash = hex(digest::digest(&digest::SHA256, &request.body));
    let canonical = format!("POST\n/\n\n{headers}\n{signed}\n{hash}");
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let key = [day, "eu-central-1", "events", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| sign(&key, part));
    let signature = hex(sign(&key, &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}")));
    assert_eq!(part("Signature"), signature);
}

fn entry(request: &Received) -> Value {
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["Entries"].as_array().unwrap().len(), 1);
    body["Entries"][0].take()
}

fn numbers(requests: &[Received]) -> Vec<i64> {
    let detail = |request| serde_json::from_str::<Value>(text(&entry(request), "Detail")).unwrap();
    requests.iter().map(|request| detail(request)["n"].as_i64().unwrap()).collect()
}

async fn nothing_waits(server: &TestServer) {
    eventually("nothing to wait", async || (server.count(WAITING).await == 0).then_some(())).await;
}

/// Each change that is committed becomes one signed event, in the player's order.
async fn changes_become_events(database: Database) {
    let aws = StandIn::start(200, DONE).await;
    let server = builder(&database, &aws).start().await;
    change(&server, "alice", 99, false).await;
    change(&server, "alice", 0, true).await;
    let first = aws.requests(1).await.remove(0);
    // 1,800,000,000 seconds after 1970.
    check_signature(&first, &aws, "20270115T080000Z");
    let expected = json!({ "user": "alice", "n": 0, "text": "日本 \"x\"" });
    let mut entry = entry(&first);
    assert_eq!(serde_json::from_str::<Value>(text(&entry, "Detail")).unwrap(), expected);
    entry["Detail"].take();
    assert_eq!(
        entry,
        json!({
            "Source": "gs2.server", "DetailType": "change", "Detail": null, "EventBusName": "players",
            "Resources": [], "Time": START / 1000,
        })
    );
    server.advance(86_400_000);
    for n in 1..20 {
        change(&server, "alice", n, true).await;
    }
    let requests = aws.requests(20).await;
    assert_eq!(numbers(&requests), (0..20).collect::<Vec<_>>());
    requests[1..].iter().for_each(|request| check_signature(request, &aws, "20270116T080000Z"));
    nothing_waits(&server).await;
    assert_eq!(aws.received().len(), 20);
    server.stop().await;
}

/// What may work later is tried again after 1 s, 2 s, 4 s …, before what comes behind it, also after a restart; what cannot
/// is not.
async fn failures(database: Database) {
    let aws = StandIn::start(200, DONE).await;
    let server = builder(&database, &aws).start().await;
    aws.answer_next(500, "{}");
    aws.answer_next(400, r#"{"__type":"ThrottlingException","message":"slow down"}"#);
    aws.answer_next(200, r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure"}]}"#);
    change(&server, "alice", 0, true).await;
    change(&server, "alice", 1, true).await;
    aws.requests(1).await;
    let stage = Stage::create(&server.api().await).await;
    let script = stage.script("after", "trace('bob', { n = args.n })").await;
    for (number, wait) in [1000, 2000].into_iter().enumerate() {
        retried(&server, number as i64 + 1).await;
        server.advance(wait - 1);
        // Another player's script makes a worker look at what is due.
        let (setting, args) = (done_script(&script, None), json!({ "n": number }));
        server.app().trigger(setting, Some("bob"), args, true).await.unwrap();
        stage.traced("bob", number + 1).await;
        assert_eq!(aws.received().len(), number + 1);
        server.advance(1);
        aws.requests(number + 2).await;
    }
    retried(&server, 3).await;
    let server = server.restart().await;
    server.advance(4000);
    nothing_waits(&server).await;
    let requests = aws.received();
    assert_eq!(numbers(&requests), [0, 0, 0, 0, 1]);
    requests.iter().for_each(|request| check_signature(request, &aws, request.header("x-amz-date")));
    let times: Vec<_> = requests.iter().map(|request| entry(request)["Time"].take()).collect();
    let since = [0, 1, 3, 7, 7].map(|seconds| json!(START / 1000 + seconds));
    assert_eq!(times, since);

    // What EventBridge will never take is not told again, and does not keep the next one waiting.
    let told = aws.received().len();
    aws.answer_next(400, r#"{"__type":"ValidationException","message":"no"}"#);
    change(&server, "alice", 2, true).await;
    change(&server, "alice", 3, true).await;
    nothing_waits(&server).await;
    assert_eq!(numbers(&aws.received()[told..]), [2, 3]);
    server.stop().await;
}

/// Waits until the first event of alice has failed so often.
async fn retried(server: &TestServer, count: i64) {
    let look = async || {
        let retries = "SELECT COALESCE(MAX(retry_count), 0) FROM job_queue_job WHERE user_id = 'alice'";
        (server.count(retries).await == count).then_some(())
    };
    eventually(&format!("failure {count} to be kept"), look).await;
}

/// Without credentials nothing is sent, and nothing waits for ever.
async fn without_credentials(database: Database) {
    let aws = StandIn::start(200, DONE).await;
    let endpoint = aws.url();
    let server = TestServer::builder(&database).config(|config| config.eventbridge_endpoint = Some(endpoint));
    let server = server.start().await;
    change(&server, "alice", 0, true).await;
    nothing_waits(&server).await;
    assert!(aws.received().is_empty());
    server.stop().await;
}

on_both_engines! {
    changes_become_events
    failures
    without_credentials
}
