//! Subscribers without a socket are told on their devices when both the entry of the category and the namespace say so
//! (BEHAVIOUR CH-57).

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use hiroba_testkit::api::text;
use hiroba_testkit::chat::{notice, told};
use hiroba_testkit::{Chat, Database, Gateway, StandIn, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};

/// Answers grants, and what is sent as well.
const GRANT: &str = r#"{"access_token":"grant","expires_in":3599,"token_type":"Bearer"}"#;

fn service_account() -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let key: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let key = data_encoding::BASE64.encode(key.as_ref());
    let account = json!({
        "type": "service_account", "project_id": "square", "client_email": "sender@square.example",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"),
        "token_uri": "http://127.0.0.1:1/elsewhere",
    });
    account.to_string()
}

/// Devices and payloads of what was sent until now.
fn sent(firebase: &StandIn) -> Vec<(String, Value)> {
    let received = firebase.received();
    let messages = received.iter().filter(|request| request.target == "/v1/projects/square/messages:send");
    let message = |body: &[u8]| -> (String, Value) {
        let message: Value = serde_json::from_slice(body).unwrap();
        let message = &message["message"];
        assert_eq!(message["data"]["subject"], "Gs2Chat:Post");
        assert_eq!(message["notification"], json!({ "title": "Square", "body": "Somebody wrote" }));
        let payload = serde_json::from_str(text(&message["data"], "payload")).unwrap();
        (text(message, "token").to_owned(), payload)
    };
    messages.map(|request| message(&request.body)).collect()
}

async fn both_settings_and_nobody_there(database: Database) {
    let firebase = StandIn::start(200, GRANT).await;
    let url = firebase.url();
    let builder = TestServer::builder(&database).config(move |config| {
        config.firebase_endpoint = format!("{url}/");
        config.firebase_token_endpoint = format!("{url}/token");
    });
    let server = builder.start().await;
    let api = server.api().await;
    let secret = json!({ "name": "gateway", "firebaseSecret": service_account() });
    api.call("gateway", "POST", "/", secret).await.ok();
    let gateway = Gateway::of(&api, "gateway");
    let mut forwarding = Chat::tells("gateway");
    forwarding["postNotification"]["enableTransferMobileNotification"] = true.into();
    forwarding["postNotification"]["mobileNotificationMessages"] =
        json!([{ "locale": "en", "title": "Square", "message": "Somebody wrote" }]);
    let chat = Chat::create_with(&api, "ns", forwarding.clone()).await;
    chat.room("square", json!({})).await;

    let entry = |category: i64, mobile: bool| json!({ "category": category, "enableTransferMobilePushNotification": mobile });
    let subscriptions = [
        ("a-device", json!([entry(0, true), entry(1, false)])),
        ("b-silent", json!([entry(0, false)])),
        ("c-all", json!([])),
        ("d-no-device", json!([entry(0, true)])),
        ("e-there", json!([entry(0, true)])),
        ("z-last", json!([])),
    ];
    for (user, types) in subscriptions {
        let path = format!("/user/{user}/room/square/subscribe");
        chat.call("POST", &path, json!({ "notificationTypes": types })).await.item();
        if user != "d-no-device" {
            let token = json!({ "token": format!("device of {user}") });
            gateway.call("PUT", &format!("/user/{user}/firebase/token"), token).await.ok();
        }
    }
    let mut there = gateway.player(&server, "e-there").await;
    let mut last = gateway.player(&server, "z-last").await;
    let post = async |category: i64| -> Value {
        let fields = json!({ "metadata": "secret", "category": category });
        chat.post_with("square", "bob", fields).await.item()
    };
    let device = |user: &str, posted: &Value| (format!("device of {user}"), notice("ns", posted));

    let first = post(0).await;
    assert_eq!(told(&mut there).await, notice("ns", &first));
    let mut expected = vec![device("a-device", &first)];
    let arrived = async |count: usize| {
        eventually("messages at Firebase", async || (sent(&firebase).len() >= count).then_some(())).await;
    };
    arrived(1).await;
    assert_eq!(sent(&firebase), expected);

    // The entry of the other category says no, and then the namespace does.
    post(1).await;
    chat.set(Chat::tells("gateway")).await;
    post(0).await;
    told(&mut there).await;
    chat.set(forwarding).await;

    // Who leaves is told on the device, and who comes is not any more.
    there.socket.close().await;
    let none = async || gateway.sessions("e-there").await.is_empty().then_some(());
    eventually("the session's end", none).await;
    let mut came = gateway.player(&server, "a-device").await;
    let fourth = post(0).await;
    expected.push(device("e-there", &fourth));
    arrived(2).await;
    assert_eq!(sent(&firebase), expected);
    assert_eq!(told(&mut came).await, notice("ns", &fourth));
    for _ in 0..4 {
        told(&mut last).await;
    }
    // All that is sent is on its way before the next post's is.
    let fifth = post(0).await;
    expected.push(device("e-there", &fifth));
    arrived(3).await;
    assert_eq!(sent(&firebase), expected);
    for request in firebase.received() {
        assert!(!String::from_utf8_lossy(&request.body).contains("secret"), "CH-55");
    }
    drop((came, last));
    server.stop().await;
}

on_both_engines! {
    both_settings_and_nobody_there
}
