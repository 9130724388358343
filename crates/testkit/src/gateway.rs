//! Players on sockets: binding, sending, looking.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::api::{Api, text};
use crate::http::Response;
use crate::server::TestServer;
use crate::socket::Socket;

/// A socket that a player is bound to.
#[derive(Debug)]
pub struct Player {
    /// The socket.
    pub socket: Socket,
    /// Its id.
    pub connection_id: String,
}

/// Calls of Gateway in one namespace.
#[derive(Debug, Clone)]
pub struct Gateway {
    api: Api,
    namespace: String,
}

impl Gateway {
    /// A new namespace of this name.
    pub async fn create(api: &Api, namespace: &str) -> Gateway {
        api.call("gateway", "POST", "/", json!({ "name": namespace })).await.ok();
        Gateway::of(api, namespace)
    }

    /// A namespace that exists.
    pub fn of(api: &Api, namespace: &str) -> Gateway {
        Gateway { api: api.clone(), namespace: namespace.to_owned() }
    }

    /// The caller.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Opens a socket and binds a player to it.
    pub async fn player(&self, server: &TestServer, user: &str) -> Player {
        self.player_with(server, user, json!({})).await
    }

    /// Opens a socket and binds a player to it with further fields.
    pub async fn player_with(&self, server: &TestServer, user: &str, fields: Value) -> Player {
        self.player_at(server.address(), user, fields).await
    }

    /// Opens a socket at an address and binds a player to it.
    pub async fn player_at(&self, address: SocketAddr, user: &str, fields: Value) -> Player {
        let mut socket = Socket::open(address).await;
        let item = self.bind(&mut socket, user, fields).await.item();
        Player { socket, connection_id: text(&item, "connectionId").to_owned() }
    }

    /// `setUserIdByUserId` on a socket.
    pub async fn bind(&self, socket: &mut Socket, user: &str, fields: Value) -> Response {
        let fields = self.fields(user, fields);
        socket.call(("gateway", "webSocketSession", "setUserIdByUserId"), fields).await
    }

    /// Fields of a call about a user on a socket.
    pub fn fields(&self, user: &str, mut fields: Value) -> Value {
        fields["namespaceName"] = self.namespace.clone().into();
        fields["userId"] = user.into();
        fields["xGs2ProjectToken"] = self.api.project_token().into();
        fields
    }

    /// `describeWebSocketSessionsByUserId`: the sessions.
    pub async fn sessions(&self, user: &str) -> Vec<Value> {
        let page = self.call("GET", &format!("/session/user/{user}"), Value::Null).await.ok();
        page["items"].as_array().expect("a page has items").clone()
    }

    /// `sendNotification` with the subject as payload.
    pub async fn send(&self, user: &str, subject: &str) -> Value {
        self.send_with(user, json!({ "subject": subject, "payload": subject })).await.ok()
    }

    /// `sendNotification`.
    pub async fn send_with(&self, user: &str, fields: Value) -> Response {
        self.call("POST", &format!("/session/user/{user}/notification"), fields).await
    }

    /// An operation below the namespace.
    pub async fn call(&self, method: &str, path: &str, fields: Value) -> Response {
        self.api.call("gateway", method, &format!("/{}{path}", self.namespace), fields).await
    }
}
