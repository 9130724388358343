//! A client of the REST API: one kept-alive connection, the tokens of a caller, and the calls that most tests make.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::deadline::within;
use crate::http::{Connection, Request, Response};

/// Header of the player's token.
pub const ACCESS_TOKEN: &str = "X-GS2-ACCESS-TOKEN";
/// Header of a time offset token.
pub const TIME_OFFSET_TOKEN: &str = "X-GS2-TIME-OFFSET-TOKEN";
/// Header of a duplication avoider.
pub const DUPLICATION_AVOIDER: &str = "X-GS2-DUPLICATION-AVOIDER";
/// Header of a dry run.
pub const DRY_RUN: &str = "X-GS2-DRY-RUN";

/// A caller of the API. A clone is the same caller on a connection of its own.
#[derive(Debug)]
pub struct Api {
    address: SocketAddr,
    headers: Vec<(String, String)>,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Clone for Api {
    fn clone(&self) -> Self {
        Api { connection: Arc::default(), headers: self.headers.clone(), ..*self }
    }
}

impl Api {
    /// A caller without a token.
    pub fn anonymous(address: SocketAddr) -> Api {
        Api { address, headers: Vec::new(), connection: Arc::default() }
    }

    /// A caller who has logged in.
    pub async fn login(address: SocketAddr, client_id: &str, client_secret: &str) -> Api {
        let answer = Api::anonymous(address).try_login(client_id, client_secret).await;
        Api::with_project_token(address, text(&answer.ok(), "access_token"))
    }

    /// A caller with this project token.
    pub fn with_project_token(address: SocketAddr, token: &str) -> Api {
        Api::anonymous(address).with("Authorization", &format!("Bearer {token}"))
    }

    /// The same caller, who sends this header with each call.
    pub fn with(&self, name: &str, value: &str) -> Api {
        let mut api = self.clone();
        api.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        api.headers.push((name.to_owned(), value.to_owned()));
        api
    }

    /// The same caller at another address.
    pub fn at(&self, address: SocketAddr) -> Api {
        Api { address, ..self.clone() }
    }

    /// Address that the caller calls.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The caller's project token.
    pub fn project_token(&self) -> &str {
        let header = self.headers.iter().find(|(name, _)| name == "Authorization");
        header.and_then(|(_, value)| value.strip_prefix("Bearer ")).expect("the caller has logged in")
    }

    /// A request of this caller.
    pub fn request(&self, service: &str, method: &str, path: &str, json: &Value) -> Request {
        let mut request = Request::new(method, &format!("/{service}{path}"));
        request.headers = self.headers.clone();
        request.json(json)
    }

    /// Calls an operation; `null` stands for no body.
    pub async fn call(&self, service: &str, method: &str, path: &str, json: Value) -> Response {
        self.send(&self.request(service, method, path, &json)).await
    }

    /// Sends a request on the kept-alive connection.
    pub async fn send(&self, request: &Request) -> Response {
        let what = format!("the answer to {} {}", request.method, request.target);
        match within(&what, self.try_send(request)).await {
            Ok(Some(response)) => response,
            Ok(None) => panic!("{what}: the connection was closed"),
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// Sends a request; `None` or an error when the connection ends first.
    pub async fn try_send(&self, request: &Request) -> std::io::Result<Option<Response>> {
        let mut place = self.connection.lock().await;
        // A call that is dropped halfway leaves no connection for the next one.
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => Connection::try_open(self.address).await?,
        };
        let response = connection.request(request).await?;
        if response.as_ref().is_some_and(|response| response.header("connection") != Some("close")) {
            *place = Some(connection);
        }
        Ok(response)
    }

    /// `identifier.projectToken.login`.
    pub async fn try_login(&self, client_id: &str, client_secret: &str) -> Response {
        let json = json!({ "client_id": client_id, "client_secret": client_secret });
        self.call("identifier", "POST", "/projectToken/login", json).await
    }

    /// Creates a Lock namespace.
    pub async fn create_namespace(&self, name: &str) {
        self.call("lock", "POST", "/", json!({ "name": name })).await.ok();
    }

    /// An access token for a player.
    pub async fn player_token(&self, user_id: &str) -> String {
        self.token("/login", json!({ "userId": user_id })).await
    }

    /// A time offset token for a player.
    pub async fn time_offset_token(&self, user_id: &str, seconds: i64) -> String {
        self.token("/timeoffset/token", json!({ "userId": user_id, "timeOffset": seconds })).await
    }

    async fn token(&self, path: &str, json: Value) -> String {
        text(&self.call("auth", "POST", path, json).await.ok(), "token").to_owned()
    }

    /// The mutexes of a player; user `me` is the one of the access token.
    pub fn mutexes(&self, namespace: &str, user: &str) -> Mutexes {
        Mutexes { api: self.clone(), path: format!("/{namespace}/user/{user}/mutex") }
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let response = self.send(&Request::new("GET", "/metrics")).await;
        assert_eq!(response.status, 200);
        response.text()
    }

    /// The value of a metric's line, which begins with name and labels; 0 when there is none.
    pub async fn metric(&self, line: &str) -> f64 {
        let text = self.metrics().await;
        let value = text.lines().find_map(|given| given.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a metric is a number"))
    }
}

/// A text member of a JSON object.
#[track_caller]
pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

/// An integer member of a JSON object.
#[track_caller]
pub fn int(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_else(|| panic!("no integer `{name}` in {value}"))
}

/// The mutexes of one player.
#[derive(Debug, Clone)]
pub struct Mutexes {
    api: Api,
    path: String,
}

impl Mutexes {
    /// `lock.mutex.lock`, one hour.
    pub async fn lock(&self, property: &str, transaction: &str) -> Response {
        self.call("POST", property, "/lock", json!({ "transactionId": transaction })).await
    }

    /// `lock.mutex.lock` for that many seconds.
    pub async fn lock_for(&self, property: &str, transaction: &str, ttl: i64) -> Response {
        self.call("POST", property, "/lock", json!({ "transactionId": transaction, "ttl": ttl })).await
    }

    /// `lock.mutex.unlock`.
    pub async fn unlock(&self, property: &str, transaction: &str) -> Response {
        self.call("POST", property, "/unlock", json!({ "transactionId": transaction })).await
    }

    /// `lock.mutex.getMutex`.
    pub async fn get(&self, property: &str) -> Response {
        self.call("GET", property, "", Value::Null).await
    }

    /// `lock.mutex.deleteMutexByUserId`.
    pub async fn delete(&self, property: &str) -> Response {
        self.call("DELETE", property, "", Value::Null).await
    }

    /// `lock.mutex.describeMutexes`: the properties.
    pub async fn list(&self) -> Vec<String> {
        let page = self.api.call("lock", "GET", &self.path, Value::Null).await.ok();
        let items = page["items"].as_array().expect("a page has items");
        items.iter().map(|item| text(item, "propertyId").to_owned()).collect()
    }

    /// The request of a call.
    pub fn request(&self, method: &str, property: &str, action: &str, json: &Value) -> Request {
        self.api.request("lock", method, &format!("{}/{property}{action}", self.path), json)
    }

    /// The caller.
    pub fn api(&self) -> &Api {
        &self.api
    }

    async fn call(&self, method: &str, property: &str, action: &str, json: Value) -> Response {
        self.api.send(&self.request(method, property, action, &json)).await
    }
}
