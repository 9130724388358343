//! Amazon EventBridge: `PutEvents` with one event a request.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};

pub(crate) use super::signature::Credentials;
use super::signature::{self, Signer, Unsigned};

/// Time for one request, unless the settings say otherwise.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Bytes that are read of an answer; one for a single event has a few hundred.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters of EventBridge's own words that are passed on.
const PROBLEM_CHARS_MAX: usize = 300;
/// Error codes that pass by themselves, whatever status they come with.
const PASSING: &[&str] = &[
    "InternalException",
    "InternalFailure",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

const CONTENT_TYPE: (&str, &str) = ("content-type", "application/x-amz-json-1.1");
const TARGET: (&str, &str) = ("x-amz-target", "AWSEvents.PutEvents");

/// Where events go, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Base URL of the service; by default `https://events.{region}.amazonaws.com`.
    pub(crate) endpoint: Option<String>,
    /// Such as `eu-central-1`.
    pub(crate) region: String,
    /// Name or ARN of the event bus; by default `default`.
    pub(crate) bus: Option<String>,
    /// Without them nothing can be sent, and every event is undelivered.
    pub(crate) credentials: Option<Credentials>,
    /// Time for one request, from the look-up of the name to the end of the answer; usually [`REQUEST_TIME`].
    pub(crate) timeout: Duration,
}

/// What is put on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Who tells it. Names that begin with `aws.` are AWS's own.
    pub(crate) source: String,
    /// What kind of event it is.
    pub(crate) detail_type: String,
    /// The event itself, a JSON object as text.
    pub(crate) detail: String,
    /// What the event is about.
    pub(crate) resources: Vec<String>,
}

/// Why an event was not delivered. The text holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Undelivered {
    /// Whether it may work later.
    pub(crate) retry: bool,
    /// What happened.
    pub(crate) message: String,
}

impl Undelivered {
    fn never(message: String) -> Undelivered {
        Undelivered { retry: false, message }
    }
}

/// A client of EventBridge.
#[derive(Debug)]
pub(crate) struct EventBridge {
    client: Client,
    url: Url,
    /// The `Host` header that `client` makes of `url`.
    host: String,
    region: String,
    bus: String,
    credentials: Option<Credentials>,
}

impl EventBridge {
    /// Makes a client, and connects to nothing yet. It fails where the endpoint is no plain HTTP or HTTPS URL.
    pub(crate) fn new(settings: Settings) -> anyhow::Result<EventBridge> {
        let Settings { endpoint, region, bus, credentials, timeout } = settings;
        let endpoint = endpoint.unwrap_or_else(|| format!("https://events.{region}.amazonaws.com"));
        // The URL may hold a password by mistake, and stays out of these texts.
        let url = Url::parse(&endpoint).context("the EventBridge endpoint is no URL")?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        ensure!(matches!(url.scheme(), "http" | "https"), "the EventBridge endpoint is no HTTP or HTTPS URL");
        ensure!(plain, "the EventBridge endpoint may have no user, password or query");
        let name = url.host_str().context("the EventBridge endpoint has no host")?;
        let host = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let client = super::client()?.timeout(timeout).build()?;
        let bus = bus.unwrap_or_else(|| "default".to_owned());
        Ok(EventBridge { client, url, host, region, bus, credentials })
    }

    /// Puts one event on the bus. `now_seconds` is the time of the event and of the signature.
    pub(crate) async fn put(&self, event: Event, now_seconds: i64) -> Result<(), Undelivered> {
        let Some(credentials) = &self.credentials else {
            return Err(Undelivered::never("EventBridge has no credentials configured".to_owned()));
        };
        let Event { source, detail_type, detail, resources } = event;
        let body = json!({ "Entries": [{
            "Source": source,
            "DetailType": detail_type,
            "Detail": detail,
            "EventBusName": self.bus,
            "Resources": resources,
            "Time": now_seconds,
        }] });
        let body = body.to_string();
        let unsigned = Unsigned {
            method: "POST",
            host: &self.host,
            path: self.url.path(),
            query: &[],
            headers: &[CONTENT_TYPE, TARGET],
            body: body.as_bytes(),
        };
        let signer = Signer { credentials, region: &self.region, service: "events", now_seconds };
        let mut request = self.client.post(self.url.clone());
        for (name, value) in [CONTENT_TYPE, TARGET] {
            request = request.header(name, value);
        }
        for (name, value) in signature::sign(&unsigned, &signer) {
            request = request.header(name, value);
        }
        let failed = |error: reqwest::Error| {
            let retry = !error.is_builder();
            Undelivered { retry, message: format!("EventBridge: {}", super::cause(error)) }
        };
        let response = request.body(body).send().await.map_err(failed)?;
        let status = response.status();
        let answer = read(response).await.map_err(failed)?;
        judge(status, &answer, credentials)
    }
}

/// The answer's body, as far as it is of interest.
async fn read(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an answer means for the event.
fn judge(status: StatusCode, answer: &[u8], credentials: &Credentials) -> Result<(), Undelivered> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if status != StatusCode::OK {
        // The code may come with the name of its model before it: `com.amazonaws.events#InternalException`.
        let code = text(&answer["__type"]);
        let code = code.rsplit('#').next().unwrap_or_default();
        // The member is written in both ways.
        let words = text(&answer["message"]) + &text(&answer["Message"]);
        let message = told(&format!("EventBridge answered {status} {code} {words}"), credentials);
        let retry =
            status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() || PASSING.contains(&code);
        return Err(Undelivered { retry, message });
    }
    match answer["FailedEntryCount"].as_u64() {
        Some(0) => Ok(()),
        Some(_) => {
            // One event was sent, so that one entry tells of it.
            let entry = &answer["Entries"][0];
            let (code, words) = (text(&entry["ErrorCode"]), text(&entry["ErrorMessage"]));
            let message = told(&format!("EventBridge refused the event: {code} {words}"), credentials);
            Err(Undelivered { retry: PASSING.contains(&code.as_str()), message })
        }
        None => Err(Undelivered::never("the endpoint answered 200, but not as EventBridge does".to_owned())),
    }
}

/// EventBridge's words, fit for a log: where it does not accept a signature, it repeats the signed request in further
/// lines, the session token included.
fn told(problem: &str, credentials: &Credentials) -> String {
    let mut problem = problem.to_owned();
    for secret in [Some(&credentials.secret_access_key), credentials.session_token.as_ref()] {
        if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
            problem = problem.replace(secret.as_str(), "…");
        }
    }
    let line = problem.lines().next().unwrap_or_default().trim_end();
    line.chars().take(PROBLEM_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::stand_in::{self, Received, answer};
    use super::*;

    const NOW_SECONDS: i64 = 1_440_938_160;

    fn settings(endpoint: String) -> Settings {
        Settings {
            endpoint: Some(endpoint),
            region: "eu-central-1".to_owned(),
            bus: Some("game".to_owned()),
            credentials: Some(Credentials {
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: "sesame".to_owned(),
                session_token: Some("jeton".to_owned()),
            }),
            timeout: REQUEST_TIME,
        }
    }

    fn event() -> Event {
        Event {
            source: "hiroba.script".to_owned(),
            detail_type: "done".to_owned(),
            detail: "{\"name\":\"é\"}".to_owned(),
            resources: vec!["grn:gs2:x".to_owned()],
        }
    }

    /// Puts an event where the endpoint answers so.
    async fn put(answer: Vec<u8>) -> (Result<(), Undelivered>, Received) {
        let (address, mut received) = stand_in::start(answer).await;
        let eventbridge = EventBridge::new(settings(format!("http://{address}"))).unwrap();
        let put = eventbridge.put(event(), NOW_SECONDS).await;
        (put, received.try_recv().unwrap())
    }

    #[track_caller]
    fn assert_undelivered(put: &Result<(), Undelivered>, retry: bool, message: &str) {
        assert_eq!(*put, Err(Undelivered { retry, message: message.to_owned() }));
    }

    #[tokio::test]
    async fn an_event_is_delivered() {
        let ok = answer(200, "", br#"{"Entries":[{"EventId":"1"}],"FailedEntryCount":0}"#);
        let (put, received) = put(ok).await;
        assert_eq!(put, Ok(()));
        assert!(received.head.starts_with("POST / HTTP/1.1\r\n"), "{}", received.head);
        assert_eq!(received.header("x-amz-target"), Some("AWSEvents.PutEvents"));
        assert_eq!(received.header("content-type"), Some("application/x-amz-json-1.1"));
        let body: Value = serde_json::from_str(&received.body).unwrap();
        let entry = json!({
            "Source": "hiroba.script",
            "DetailType": "done",
            "Detail": "{\"name\":\"é\"}",
            "EventBusName": "game",
            "Resources": ["grn:gs2:x"],
            "Time": NOW_SECONDS,
        });
        assert_eq!(body, json!({ "Entries": [entry] }));
    }

    #[tokio::test]
    async fn the_signature_covers_what_arrives() {
        let (_, received) = put(answer(200, "", b"{}")).await;
        let authorization = received.header("authorization").unwrap();
        let (_, names) = authorization.split_once("SignedHeaders=").unwrap();
        let (names, _) = names.split_once(',').unwrap();
        assert_eq!(names, "content-type;host;x-amz-date;x-amz-security-token;x-amz-target");

        // Computed again from what came over the wire, with the sender's key.
        let credentials = &settings(String::new()).credentials.unwrap();
        let headers: Vec<_> =
            ["content-type", "x-amz-target"].map(|name| (name, received.header(name).unwrap())).to_vec();
        let unsigned = Unsigned {
            method: "POST",
            host: received.header("host").unwrap(),
            path: received.head.split(' ').nth(1).unwrap(),
            query: &[],
            headers: &headers,
            body: received.body.as_bytes(),
        };
        let signer =
            Signer { credentials, region: "eu-central-1", service: "events", now_seconds: NOW_SECONDS };
        for (name, value) in signature::sign(&unsigned, &signer) {
            assert_eq!(received.header(name), Some(value.as_str()), "{name}");
        }
    }

    #[tokio::test]
    async fn a_failed_entry_is_a_failure() {
        let failed = |code: &str| {
            let entry = json!({ "ErrorCode": code, "ErrorMessage": "no." });
            answer(200, "", json!({ "FailedEntryCount": 1, "Entries": [entry] }).to_string().as_bytes())
        };
        let (refused, _) = put(failed("MalformedDetail")).await;
        assert_undelivered(&refused, false, "EventBridge refused the event: MalformedDetail no.");
        let (refused, _) = put(failed("InternalFailure")).await;
        assert_undelivered(&refused, true, "EventBridge refused the event: InternalFailure no.");
        let (refused, _) = put(answer(200, "", b"<html>")).await;
        assert_undelivered(&refused, false, "the endpoint answered 200, but not as EventBridge does");
    }

    #[tokio::test]
    async fn a_refusal_tells_whether_to_try_again() {
        let (refused, _) = put(answer(400, "", br#"{"__type":"ValidationException","message":"no."}"#)).await;
        assert_undelivered(&refused, false, "EventBridge answered 400 Bad Request ValidationException no.");
        let throttled = br#"{"__type":"com.amazonaws.events#ThrottlingException","Message":"slowly."}"#;
        let (refused, _) = put(answer(400, "", throttled)).await;
        assert_undelivered(
            &refused,
            true,
            "EventBridge answered 400 Bad Request ThrottlingException slowly.",
        );
        let (refused, _) = put(answer(429, "", b"")).await;
        assert_undelivered(&refused, true, "EventBridge answered 429 Too Many Requests");
        let (refused, _) = put(answer(500, "", b"oh")).await;
        assert_undelivered(&refused, true, "EventBridge answered 500 Internal Server Error");
        let (refused, _) = put(answer(307, "location: /x\r\n", b"")).await;
        assert_undelivered(&refused, false, "EventBridge answered 307 Temporary Redirect");
    }

    #[tokio::test]
    async fn secrets_are_not_repeated() {
        let words = "use jeton, not sesame\nx-amz-security-token:jeton";
        let body = json!({ "__type": "InvalidSignatureException", "message": words }).to_string();
        let (refused, _) = put(answer(403, "", body.as_bytes())).await;
        let expected = "EventBridge answered 403 Forbidden InvalidSignatureException use …, not …";
        assert_undelivered(&refused, false, expected);
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_there_is_tried_again() {
        // The port was free a moment ago.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let eventbridge = EventBridge::new(settings(format!("http://{address}"))).unwrap();
        let undelivered = eventbridge.put(event(), NOW_SECONDS).await.unwrap_err();
        assert!(undelivered.retry, "{undelivered}");
        assert!(undelivered.message.contains("refused"), "{undelivered}");
    }

    #[tokio::test]
    async fn a_silent_endpoint_is_tried_again() {
        let (address, _received) = stand_in::start_stuck(Vec::new()).await;
        let timeout = Duration::from_millis(50);
        let settings = Settings { timeout, ..settings(format!("http://{address}")) };
        let undelivered = EventBridge::new(settings).unwrap().put(event(), NOW_SECONDS).await.unwrap_err();
        assert!(undelivered.retry, "{undelivered}");
        assert!(undelivered.message.contains("timed out"), "{undelivered}");
    }

    #[tokio::test]
    async fn nothing_is_sent_without_credentials() {
        let (address, mut received) = stand_in::start(answer(200, "", b"{}")).await;
        let settings = Settings { credentials: None, ..settings(format!("http://{address}")) };
        let put = EventBridge::new(settings).unwrap().put(event(), NOW_SECONDS).await;
        assert_undelivered(&put, false, "EventBridge has no credentials configured");
        assert!(received.try_recv().is_err());
    }

    #[test]
    fn endpoints() {
        #[track_caller]
        fn check(endpoint: Option<&str>, host: Option<&str>) {
            let endpoint = endpoint.map(str::to_owned);
            let made = EventBridge::new(Settings { endpoint, ..settings(String::new()) });
            assert_eq!(made.ok().map(|made| made.host).as_deref(), host);
        }
        check(None, Some("events.eu-central-1.amazonaws.com"));
        check(
            Some("https://events.cn-north-1.amazonaws.com.cn/"),
            Some("events.cn-north-1.amazonaws.com.cn"),
        );
        check(Some("https://localhost:443"), Some("localhost"));
        check(Some("http://[::1]:4566"), Some("[::1]:4566"));
        check(Some("http://user:password@localhost"), None);
        check(Some("http://localhost/?a"), None);
        check(Some("ftp://localhost"), None);
        check(Some("localhost:4566"), None);
        check(Some(""), None);
    }
}
