//! A purchase as the C# SDK makes it, frame by frame (`core.json`: requestEnvelope, csharpReadsOnEverySuccess; BEHAVIOUR DT-16,
//! DT-17, DT-19, DT-35, DT-36).

use hiroba_testkit::api::{Api, text};
use hiroba_testkit::socket::Event;
use hiroba_testkit::transactions::Mode;
use hiroba_testkit::{Database, Shop, Socket, TestServer, on_both_engines};
use serde_json::{Value, json};

on_both_engines! {
    a_client_runs_the_sheet
    a_client_waits_for_the_server
}

/// A socket as the C# SDK uses it: decimal request ids, credentials in each message, truth values as texts.
struct Client {
    socket: Socket,
    token: String,
    requests: u32,
    notifications: Vec<Value>,
}

impl Client {
    async fn open(server: &TestServer) -> Client {
        let (client_id, client_secret) = server.credential();
        let socket = Socket::open(server.address()).await;
        let mut client = Client { socket, token: String::new(), requests: 10_000, notifications: Vec::new() };
        let fields = json!({ "client_id": client_id, "client_secret": client_secret });
        let (status, body) = client.send("identifier", "projectToken", "login", fields).await;
        assert_eq!(status, 200, "{body}");
        client.token = text(&body, "access_token").to_owned();
        client
    }

    /// Sends a call and reads up to its answer.
    async fn send(
        &mut self,
        service: &str,
        component: &str,
        function: &str,
        mut fields: Value,
    ) -> (i64, Value) {
        self.requests += 1;
        let id = self.requests.to_string();
        fields["xGs2ClientId"] = "client".into();
        if !self.token.is_empty() {
            fields["xGs2ProjectToken"] = self.token.as_str().into();
        }
        fields["x_gs2"] = json!({
            "service": service,
            "component": component,
            "function": function,
            "contentType": "application/json",
            "requestId": id,
        });
        self.socket.send(fields.to_string()).await;
        loop {
            match self.socket.next().await {
                Event::Frame(frame) if frame["requestId"] == id.as_str() => {
                    return (frame["status"].as_i64().unwrap(), frame["body"].clone());
                }
                // Whatever has no request id is a notification.
                Event::Frame(frame) if frame["requestId"].is_null() => {
                    self.notifications.push(frame["body"].clone());
                }
                other => panic!("{function}: {other:?}"),
            }
        }
    }

    async fn ok(&mut self, service: &str, component: &str, function: &str, fields: Value) -> Value {
        let (status, body) = self.send(service, component, function, fields).await;
        assert_eq!(status, 200, "{function}: {body}");
        body
    }

    /// `DistributeXxx` with a namespace, and without when there is none of the name (DT-19).
    async fn run(&mut self, namespace: &str, function: &str, mut fields: Value) -> Value {
        fields["namespaceName"] = namespace.into();
        let (status, body) = self.send("distributor", "distribute", function, fields.clone()).await;
        if status == 404 {
            fields.as_object_mut().unwrap().remove("namespaceName");
            return self
                .ok("distributor", "distribute", &format!("{function}WithoutNamespace"), fields)
                .await;
        }
        assert_eq!(status, 200, "{function}: {body}");
        body
    }

    /// Runs a sheet as `StampSheet.ExecuteFuture` does: verify tasks and tasks in their order, then the sheet, each with the
    /// context stack of the one before, which is left out while there is none.
    async fn execute(&mut self, namespace: &str, made: &Value) -> Value {
        let (sheet, key) = (text(made, "stampSheet"), &made["stampSheetEncryptionKeyId"]);
        let body: Value = serde_json::from_str(&inner(sheet, "body")).unwrap();
        for member in ["ownerId", "userId", "transactionId", "action", "args"] {
            assert!(body[member].is_string(), "{member} of {body}");
        }
        let mut context: Option<String> = None;
        let with = |name: &str, value: &str, context: &Option<String>| {
            let mut fields = json!({ name: value, "keyId": key });
            if let Some(context) = context {
                fields["contextStack"] = context.as_str().into();
            }
            fields
        };
        for (list, function, name) in
            [("verifyTasks", "runVerifyTask", "verifyTask"), ("tasks", "runStampTask", "stampTask")]
        {
            for task in body[list].as_array().expect("the lists are there, though they may be empty") {
                let task = task.as_str().unwrap();
                let own: Value = serde_json::from_str(&inner(task, "body")).unwrap();
                assert!(["taskId", "action", "args"].iter().all(|member| own[*member].is_string()), "{own}");
                let ran = self.run(namespace, function, with(name, task, &context)).await;
                assert_eq!(ran["statusCode"], 200, "{ran}");
                context = ran["contextStack"].as_str().map(str::to_owned);
            }
        }
        let ran = self.run(namespace, "runStampSheet", with("stampSheet", sheet, &context)).await;
        assert_eq!(ran["statusCode"], 200, "{ran}");
        serde_json::from_str(text(&ran, "result")).unwrap()
    }
}

/// A member of a JSON text.
fn inner(json: &str, member: &str) -> String {
    text(&serde_json::from_str::<Value>(json).unwrap(), member).to_owned()
}

async fn prepare(database: &Database) -> (TestServer, Api, Shop, Client) {
    let server = TestServer::start(database).await;
    let api = server.api().await;
    let shop = Shop::create(&api).await;
    let client = Client::open(&server).await;
    (server, api, shop, client)
}

fn invoke(mode: Mode, user: &str) -> Value {
    json!({ "scriptId": Shop::script_id(mode, "buy"), "userId": user })
}

/// DT-16, DT-19: without auto-run, with a Distributor namespace and without one.
async fn a_client_runs_the_sheet(database: Database) {
    let (server, _, shop, mut client) = prepare(&database).await;
    for (user, namespace) in [("alice", "default"), ("bob", "missing")] {
        shop.fill(user, 2).await;
        let made = client.ok("script", "script", "invokeScript", invoke(Mode::Manual, user)).await;
        assert_eq!(made["autoRunStampSheet"], false);
        let result = client.execute(namespace, &made).await;
        assert_eq!(result["items"][0]["userId"], user);
        // A client that lost its connection begins anew.
        assert_eq!(client.execute(namespace, &made).await, result);
        assert_eq!((shop.purse(user).await, shop.goods(user).await), (1, 1));
    }
    server.stop().await;
}

/// DT-35, DT-36: with auto-run it is told, and asks for the result until that is there.
async fn a_client_waits_for_the_server(database: Database) {
    let (server, api, shop, mut client) = prepare(&database).await;
    api.call("gateway", "POST", "/", json!({ "name": "default" })).await.item();
    for (mode, component, function, subject) in [
        (
            Mode::Steps,
            "stampSheetResult",
            "getStampSheetResult",
            "Gs2Distributor:AutoRunStampSheetNotification",
        ),
        (
            Mode::Later,
            "transactionResult",
            "getTransactionResult",
            "Gs2Distributor:AutoRunTransactionNotification",
        ),
        (
            Mode::Together,
            "transactionResult",
            "getTransactionResult",
            "Gs2Distributor:AutoRunTransactionNotification",
        ),
    ] {
        let user = mode.namespace();
        let token = api.player_token(user).await;
        let both = json!({ "accessToken": token, "xGs2AccessToken": token, "namespaceName": "default" });
        let mut bind = both.clone();
        bind["allowConcurrentAccess"] = "True".into();
        client.ok("gateway", "webSocketSession", "setUserId", bind).await;
        shop.fill(user, 2).await;
        let made = client.ok("script", "script", "invokeScript", invoke(mode, user)).await;
        assert_eq!(made["autoRunStampSheet"], true);
        assert!(made["stampSheet"].is_null());
        assert_eq!(made["transactionResult"].is_object(), mode == Mode::Together);
        let mut ask = both.clone();
        ask["transactionId"] = made["transactionId"].clone();
        let result = loop {
            let (status, body) = client.send("distributor", component, function, ask.clone()).await;
            match status {
                200 => break body["item"].clone(),
                404 => assert!(
                    text(&body, "message").contains(&format!("\"component\":\"{component}\"")),
                    "{body}"
                ),
                _ => panic!("{body}"),
            }
        };
        assert_eq!(result["transactionId"], made["transactionId"]);
        // It was told before the result could be read.
        let told = client.notifications.iter().find(|told| told["subject"] == subject);
        let told = told.unwrap_or_else(|| panic!("{subject}: {:?}", client.notifications));
        let payload: Value = serde_json::from_str(text(told, "payload")).unwrap();
        let expected = json!({
            "namespaceName": "default", "userId": user, "transactionId": made["transactionId"],
        });
        assert_eq!(payload, expected);
        client.notifications.clear();
        assert_eq!((shop.purse(user).await, shop.goods(user).await), (1, 1));
    }
    server.stop().await;
}
