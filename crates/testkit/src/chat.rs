//! Rooms, what is said in them, and who is told of it.

use serde_json::{Value, json};

use crate::api::{ACCESS_TOKEN, Api, int, text};
use crate::gateway::Player;
use crate::http::{Request, Response};

/// Messages that are asked for at once: the most that the protocol has.
const PAGE: usize = 1000;

/// Calls of Chat in one namespace.
#[derive(Debug, Clone)]
pub struct Chat {
    api: Api,
    namespace: String,
}

impl Chat {
    /// A new namespace of this name.
    pub async fn create(api: &Api, namespace: &str) -> Chat {
        Chat::create_with(api, namespace, json!({})).await
    }

    /// A new namespace of this name with further fields.
    pub async fn create_with(api: &Api, namespace: &str, mut fields: Value) -> Chat {
        fields["name"] = namespace.into();
        api.call("chat", "POST", "/", fields).await.ok();
        Chat::of(api, namespace)
    }

    /// A namespace that exists.
    pub fn of(api: &Api, namespace: &str) -> Chat {
        Chat { api: api.clone(), namespace: namespace.to_owned() }
    }

    /// A setting that tells subscribers through this Gateway namespace.
    pub fn tells(gateway: &str) -> Value {
        json!({ "postNotification": { "gatewayNamespaceId": format!("grn:gs2:ap-northeast-1:hiroba:gateway:{gateway}") } })
    }

    /// The caller.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// `updateNamespace`.
    pub async fn set(&self, fields: Value) {
        self.call("PUT", "", fields).await.ok();
    }

    /// `createRoomFromBackend`.
    pub async fn room(&self, name: &str, mut fields: Value) -> Value {
        fields["name"] = name.into();
        self.call("POST", "/room", fields).await.item()
    }

    /// `updateRoomFromBackend`.
    pub async fn update(&self, room: &str, fields: Value) -> Value {
        self.call("PUT", &format!("/room/{room}"), fields).await.item()
    }

    /// `deleteRoomFromBackend`.
    pub async fn delete(&self, room: &str) -> Response {
        self.call("DELETE", &format!("/room/{room}"), Value::Null).await
    }

    /// The request of `postByUserId`.
    pub fn post_request(&self, room: &str, user: &str, fields: &Value) -> Request {
        let path = format!("/{}/room/{room}/message/user/{user}", self.namespace);
        self.api.request("chat", "POST", &path, fields)
    }

    /// `postByUserId`: the message. PostgreSQL may refuse one transaction for the sake of others too often; then it is posted
    /// again.
    pub async fn post(&self, room: &str, user: &str, message: &str) -> Value {
        let fields = json!({ "metadata": message });
        loop {
            let answer = self.post_with(room, user, fields.clone()).await;
            if answer.status != 503 {
                return answer.item();
            }
        }
    }

    /// `postByUserId` with these fields.
    pub async fn post_with(&self, room: &str, user: &str, fields: Value) -> Response {
        self.api.send(&self.post_request(room, user, &fields)).await
    }

    /// `describeMessagesByUserId` with this query, which begins with `&`.
    pub async fn list(&self, room: &str, user: &str, query: &str) -> Response {
        self.call("GET", &format!("/room/{room}/message/get?userId={user}{query}"), Value::Null).await
    }

    /// `describeLatestMessagesByUserId` with this query, which begins with `&`.
    pub async fn latest(&self, room: &str, user: &str, query: &str) -> Response {
        self.call("GET", &format!("/room/{room}/message/latest/get?userId={user}{query}"), Value::Null).await
    }

    /// `getMessageByUserId` with this query, which begins with `&`.
    pub async fn message(&self, room: &str, user: &str, name: &str, query: &str) -> Response {
        self.call("GET", &format!("/room/{room}/message/{name}/get?userId={user}{query}"), Value::Null).await
    }

    /// `deleteMessage`.
    pub async fn delete_message(&self, room: &str, user: &str, name: &str) -> Response {
        self.call("DELETE", &format!("/room/{room}/message/{name}?userId={user}"), Value::Null).await
    }

    /// All messages of a room, as clients page through them (BEHAVIOUR CH-35), with this query, which begins with `&`.
    pub async fn messages(&self, room: &str, user: &str, query: &str) -> Vec<Value> {
        let (mut messages, mut from) = (Vec::new(), 0);
        loop {
            let page = self.list(room, user, &format!("&limit={PAGE}&startAt={from}{query}")).await.ok();
            let mut page = items(&page);
            let Some(last) = page.last() else { return messages };
            from = int(last, "createdAt") + 1;
            messages.append(&mut page);
        }
    }

    /// `subscribeByUserId`, to these categories; to all when there are none.
    pub async fn subscribe(&self, room: &str, user: &str, categories: &[i64]) -> Value {
        let types: Vec<Value> = categories.iter().map(|category| json!({ "category": category })).collect();
        let fields = json!({ "notificationTypes": types });
        self.call("POST", &format!("/user/{user}/room/{room}/subscribe"), fields).await.item()
    }

    /// `unsubscribeByUserId`.
    pub async fn unsubscribe(&self, room: &str, user: &str) -> Response {
        self.call("DELETE", &format!("/user/{user}/room/{room}/subscribe"), Value::Null).await
    }

    /// `describeSubscribesByRoomName`: the first page.
    pub async fn subscribers(&self, room: &str) -> Vec<String> {
        let page = self.call("GET", &format!("/room/{room}/subscribe?limit=1000"), Value::Null).await.ok();
        items(&page).iter().map(|item| text(item, "userId").to_owned()).collect()
    }

    /// `describeSubscribesByUserId`: names of the rooms of the first page.
    pub async fn subscriptions(&self, user: &str) -> Vec<String> {
        let path = format!("/user/{user}/room/subscribe?limit=1000");
        let page = self.call("GET", &path, Value::Null).await.ok();
        items(&page).iter().map(|item| text(item, "roomName").to_owned()).collect()
    }

    /// The calls of a player, with an access token.
    pub async fn player(&self, user: &str) -> Chat {
        let token = self.api.player_token(user).await;
        Chat { api: self.api.with(ACCESS_TOKEN, &token), namespace: self.namespace.clone() }
    }

    /// An operation below the namespace.
    pub async fn call(&self, method: &str, path: &str, fields: Value) -> Response {
        self.api.call("chat", method, &format!("/{}{path}", self.namespace), fields).await
    }
}

/// The items of a page.
#[track_caller]
pub fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().unwrap_or_else(|| panic!("no items in {page}")).clone()
}

/// Times of creation.
pub fn times(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| int(message, "createdAt")).collect()
}

/// Texts.
pub fn texts(messages: &[Value]) -> Vec<String> {
    messages.iter().map(|message| text(message, "metadata").to_owned()).collect()
}

/// The next notification to a player: what it says of a post (BEHAVIOUR CH-54).
pub async fn told(player: &mut Player) -> Value {
    let mut frame = player.socket.notification().await;
    assert_eq!(frame["body"]["subject"], "Gs2Chat:Post");
    serde_json::from_str(text(&frame["body"].take(), "payload")).expect("a payload is JSON")
}

/// What a subscriber is told of a message.
pub fn notice(namespace: &str, message: &Value) -> Value {
    json!({
        "namespaceName": namespace,
        "roomName": message["roomName"],
        "userId": message["userId"],
        "category": message["category"],
        "createdAt": message["createdAt"],
    })
}
