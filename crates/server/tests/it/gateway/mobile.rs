//! Notifications to devices, on a stand-in for Firebase that checks what it gets (BEHAVIOUR G-50 … G-53).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use bytes::Bytes;
use hiroba_testkit::api::{Api, int, text};
use hiroba_testkit::{Database, Gateway, TestServer, eventually, on_both_engines};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const PROJECT: &str = "square-1234";
const EMAIL: &str = "sender@square-1234.iam.example";

/// What the stand-in has seen, and what it will answer.
#[derive(Default)]
struct Seen {
    grants: usize,
    messages: Vec<Value>,
    /// Statuses and bodies of the next messages; after them all are taken.
    answers: VecDeque<(u16, Value)>,
    problems: Vec<String>,
}

/// A stand-in for Firebase and its grants.
struct Firebase {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    secret: String,
}

fn pem(der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

impl Firebase {
    async fn start() -> Firebase {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let account = json!({
            "type": "service_account", "project_id": PROJECT, "client_email": EMAIL,
            "private_key": pem(private.as_ref()), "token_uri": "http://127.0.0.1:1/elsewhere",
        });
        let public = pair.public_key().as_ref().to_vec();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, public) = (Arc::clone(&shared), public.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        answer(address, Arc::clone(&seen), public.clone(), request)
                    });
                    // The server closes connections as it likes.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Firebase { address, seen, secret: account.to_string() }
    }

    /// A server that sends to it, and a namespace with its service account.
    async fn server(&self, database: &Database) -> (TestServer, Gateway) {
        let address = self.address;
        let builder = TestServer::builder(database).config(move |config| {
            config.firebase_endpoint = format!("http://{address}/");
            config.firebase_token_endpoint = format!("http://{address}/token");
        });
        let server = builder.start().await;
        let api = server.api().await;
        api.call("gateway", "POST", "/", json!({ "name": "ns", "firebaseSecret": self.secret })).await.ok();
        (server, Gateway::of(&api, "ns"))
    }

    fn answer_next(&self, status: u16, body: Value) {
        self.seen.lock().unwrap().answers.push_back((status, body));
    }

    /// Waits until so many messages arrived in all; answers them.
    async fn messages(&self, count: usize) -> Vec<Value> {
        let arrived = async || {
            let seen = self.seen.lock().unwrap();
            (seen.messages.len() >= count).then(|| seen.messages.clone())
        };
        let messages = eventually("messages at Firebase", arrived).await;
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.problems, Vec::<String>::new());
        assert_eq!(messages.len(), count);
        messages
    }

    fn grants(&self) -> usize {
        self.seen.lock().unwrap().grants
    }
}

async fn answer(
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    public: Vec<u8>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut seen = seen.lock().unwrap();
    let (status, answer) = match head.uri.path() {
        "/token" => {
            check_assertion(address, &public, &body).unwrap_or_else(|problem| seen.problems.push(problem));
            seen.grants += 1;
            (
                200,
                json!({ "access_token": format!("grant-{}", seen.grants), "expires_in": 3599, "token_type": "Bearer" }),
            )
        }
        path => {
            let expected = format!("/v1/projects/{PROJECT}/messages:send");
            let bearer = head.headers["authorization"].to_str().unwrap().to_owned();
            let grant = format!("Bearer grant-{}", seen.grants);
            if (head.method.as_str(), path, &bearer) != ("POST", &expected, &grant) {
                seen.problems.push(format!("{} {path} with {bearer}", head.method));
            }
            seen.messages.push(serde_json::from_slice(&body).unwrap());
            seen.answers.pop_front().unwrap_or((200, json!({ "name": "projects/square-1234/messages/1" })))
        }
    };
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::from(answer.to_string())).unwrap())
}

/// The grant's request as RFC 7523 and Google ask for it.
fn check_assertion(address: SocketAddr, public: &[u8], body: &[u8]) -> Result<(), String> {
    let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    if field("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return Err(format!("grant type {:?}", field("grant_type")));
    }
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[format!("http://{address}/token")]);
    validation.set_issuer(&[EMAIL]);
    let key = DecodingKey::from_rsa_der(public);
    let assertion = field("assertion").unwrap_or_default();
    let claims = jsonwebtoken::decode::<Value>(assertion, &key, &validation)
        .map_err(|error| error.to_string())?
        .claims;
    if claims["scope"] != "https://www.googleapis.com/auth/firebase.messaging"
        || int(&claims, "exp") - int(&claims, "iat") != 3600
    {
        return Err(claims.to_string());
    }
    Ok(())
}

async fn set_token(gateway: &Gateway, user: &str, fields: Value) {
    gateway.call("PUT", &format!("/user/{user}/firebase/token"), fields).await.ok();
}

async fn outcome(api: &Api, outcome: &str) -> f64 {
    api.metric(&format!("hiroba_mobile_notifications_total{{outcome=\"{outcome}\"}}")).await
}

/// G-51: only a player without a socket is told on the device, in its language; one grant serves many messages.
async fn forwarding(database: Database) {
    let firebase = Firebase::start().await;
    let (server, gateway) = firebase.server(&database).await;
    let texts = json!([
        { "locale": "en", "title": "Hello", "message": "Come back" },
        { "locale": "ja", "title": "こんにちは", "message": "戻ってきて" },
        { "locale": "pt-BR", "title": "Olá" },
    ]);
    let notice = |transfer: bool| {
        json!({
            "subject": "Gs2Test:Event", "payload": "{\"a\":1}", "enableTransferMobileNotification": transfer,
            "sound": "bell", "mobileNotificationMessages": texts,
        })
    };
    let none = gateway.send_with("alice", notice(true)).await.ok();
    assert_eq!(none["protocol"], "none", "the device is not known");
    set_token(&gateway, "alice", json!({ "token": "device-a", "locale": "ja" })).await;
    assert_eq!(gateway.send_with("alice", notice(false)).await.ok()["protocol"], "none");
    let mut player = gateway.player(&server, "alice").await;
    assert_eq!(gateway.send_with("alice", notice(true)).await.ok()["protocol"], "websocket");
    player.socket.notification().await;
    player.socket.close().await;
    eventually("the session's end", async || gateway.sessions("alice").await.is_empty().then_some(())).await;

    let sent = gateway.send_with("alice", notice(true)).await.ok();
    assert_eq!(sent, json!({ "protocol": "firebase", "sendConnectionIds": [] }));
    let expected = json!({ "message": {
        "token": "device-a",
        "notification": { "title": "こんにちは", "body": "戻ってきて" },
        "data": {
            "issuer": "grn:gs2:ap-northeast-1:hiroba:gateway:ns", "subject": "Gs2Test:Event", "payload": "{\"a\":1}",
        },
        "android": { "notification": { "sound": "bell" } },
        "apns": { "payload": { "aps": { "sound": "bell" } } },
    }});
    assert_eq!(firebase.messages(1).await, [expected]);

    // The language, when the locale itself is not there; the first text for another language; the payload where a text
    // lacks one.
    for (count, (locale, title, body)) in
        [("ja-JP", "こんにちは", "戻ってきて"), ("de", "Hello", "Come back"), ("PT_pt", "Olá", "{\"a\":1}")]
            .into_iter()
            .enumerate()
    {
        set_token(&gateway, "alice", json!({ "token": "device-a", "locale": locale })).await;
        gateway.send_with("alice", notice(true)).await.ok();
        let messages = firebase.messages(count + 2).await;
        assert_eq!(
            messages[count + 1]["message"]["notification"],
            json!({ "title": title, "body": body }),
            "{locale}"
        );
    }

    // G-53: directly, whether or not there is a socket, without texts or sound.
    let _socket = gateway.player(&server, "alice").await;
    let direct = json!({ "subject": "s".repeat(256), "payload": "p" });
    let path = "/user/alice/firebase/token/notification";
    assert_eq!(gateway.call("POST", path, direct).await.ok(), json!({}));
    let message = firebase.messages(5).await.pop().unwrap()["message"].take();
    assert_eq!(message["notification"], json!({ "title": "s".repeat(256), "body": "p" }));
    assert!(message.get("android").is_none() && message.get("apns").is_none());
    let unknown = gateway
        .call("POST", "/user/bob/firebase/token/notification", json!({ "subject": "s", "payload": "p" }))
        .await;
    unknown.refused(404, "firebaseToken", "gateway.firebaseToken.firebaseToken.error.notFound");
    assert_eq!(firebase.grants(), 1);
    let api = gateway.api();
    eventually("the count", async || (outcome(api, "sent").await == 5.0).then_some(())).await;
    server.stop().await;
}

/// What may work later is tried again; what cannot is not; a device that is gone is forgotten.
async fn failures(database: Database) {
    let firebase = Firebase::start().await;
    let (server, gateway) = firebase.server(&database).await;
    let notice = json!({ "subject": "s", "payload": "p", "enableTransferMobileNotification": true });
    set_token(&gateway, "alice", json!({ "token": "device-a" })).await;

    firebase.answer_next(503, json!({}));
    firebase.answer_next(429, json!({ "error": { "message": "slow down" } }));
    gateway.send_with("alice", notice.clone()).await.ok();
    let messages = firebase.messages(3).await;
    assert!(messages.iter().all(|message| *message == messages[0]));

    // The grant was taken back: a new one is asked for.
    firebase.answer_next(401, json!({}));
    gateway.send_with("alice", notice.clone()).await.ok();
    firebase.messages(5).await;
    assert_eq!(firebase.grants(), 2);

    let invalid =
        json!({ "error": { "message": "no such sound", "details": [{ "errorCode": "INVALID_ARGUMENT" }] } });
    firebase.answer_next(400, invalid);
    gateway.send_with("alice", notice.clone()).await.ok();
    let api = gateway.api();
    eventually("the failure", async || (outcome(api, "failed").await == 1.0).then_some(())).await;
    let token = gateway.call("GET", "/user/alice/firebase/token", Value::Null).await.item();
    assert_eq!(text(&token, "token"), "device-a");

    let gone = json!({ "error": { "code": 404, "details": [{ "errorCode": "UNREGISTERED" }] } });
    firebase.answer_next(404, gone);
    gateway.send_with("alice", notice.clone()).await.ok();
    let forgotten = async || {
        let answer = gateway.call("GET", "/user/alice/firebase/token", Value::Null).await;
        (answer.status == 404).then_some(())
    };
    eventually("the device to be forgotten", forgotten).await;
    assert_eq!(outcome(api, "unregistered").await, 1.0);
    assert_eq!(gateway.send_with("alice", notice).await.ok()["protocol"], "none");
    firebase.messages(7).await;
    server.stop().await;
}

/// G-52: without a service account what would be sent is recorded; an old server key is refused with the reason.
async fn without_a_service_account(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let gateway = Gateway::create(&api, "ns").await;
    set_token(&gateway, "alice", json!({ "token": "device-a" })).await;
    let notice = json!({ "subject": "s", "payload": "p", "enableTransferMobileNotification": true });
    assert_eq!(gateway.send_with("alice", notice.clone()).await.ok()["protocol"], "firebase");
    assert_eq!(outcome(&api, "recorded").await, 1.0);
    // So it is with an empty one, as a console may send it.
    api.call("gateway", "PUT", "/ns", json!({ "firebaseSecret": "" })).await.ok();
    gateway.send_with("alice", notice).await.ok();
    assert_eq!(outcome(&api, "recorded").await, 2.0);

    for (secret, reason) in
        [("AAAA:legacy-server-key", "2024"), (r#"{"type":"service_account"}"#, "private_key")]
    {
        let refused = api.call("gateway", "PUT", "/ns", json!({ "firebaseSecret": secret })).await;
        let items = refused.refusals();
        assert_eq!((refused.status, items.len()), (400, 1));
        assert_eq!(items[0].message, "gateway.namespace.firebaseSecret.error.invalid");
        assert!(refused.text().contains(reason), "{}", refused.text());
        assert!(!refused.text().contains("AAAA"), "the secret is not repeated");
    }
    server.stop().await;
}

/// G-50: one device for each player and namespace.
async fn devices(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let gateway = Gateway::create(&api, "ns").await;
    let path = "/user/alice/firebase/token";
    let first = gateway.call("PUT", path, json!({ "token": "a", "locale": "ja" })).await.item();
    let expected = json!({
        "firebaseTokenId": "grn:gs2:ap-northeast-1:hiroba:gateway:ns:user:alice:firebase:token", "userId": "alice",
        "token": "a", "locale": "ja", "createdAt": server.now(), "updatedAt": server.now(), "revision": 1,
    });
    assert_eq!(first, expected);
    server.advance(5);
    let second = gateway.call("PUT", path, json!({ "token": "b" })).await.item();
    assert_eq!((text(&second, "token"), second.get("locale"), int(&second, "revision")), ("b", None, 2));
    assert_eq!(int(&second, "updatedAt") - int(&second, "createdAt"), 5);
    assert_eq!(gateway.call("GET", path, Value::Null).await.item(), second);
    assert_eq!(gateway.call("DELETE", path, Value::Null).await.item(), second);
    for method in ["GET", "DELETE"] {
        let gone = gateway.call(method, path, Value::Null).await;
        gone.refused(404, "firebaseToken", "gateway.firebaseToken.firebaseToken.error.notFound");
        let missing = api.call("gateway", method, &format!("/missing{path}"), Value::Null).await;
        missing.refused(404, "namespace", "gateway.namespace.namespace.error.notFound");
    }
    let missing = api.call("gateway", "PUT", &format!("/missing{path}"), json!({ "token": "a" })).await;
    missing.refused(404, "namespace", "gateway.namespace.namespace.error.notFound");

    gateway.call("PUT", path, json!({ "token": "c" })).await.ok();
    gateway.call("DELETE", "", Value::Null).await.ok();
    assert_eq!(server.count("SELECT COUNT(*) FROM gateway_firebase_token").await, 0);
    server.stop().await;
}

on_both_engines! {
    forwarding
    failures
    without_a_service_account
    devices
}
