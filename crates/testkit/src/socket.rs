//! A WebSocket client that speaks the envelope (BEHAVIOUR T-20 … T-30).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::deadline::within;
use crate::http::{Connection, Response, Stream};

/// Stands for a close frame without a code (RFC 6455, 7.1.5).
const NO_CODE: u16 = 1005;

/// A socket.
pub struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
    /// Answers that arrived before somebody waited for them.
    answers: HashMap<String, (u16, Value)>,
    /// Notifications that arrived before somebody waited for them.
    notifications: VecDeque<Value>,
    calls: u64,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Socket").field("calls", &self.calls).finish_non_exhaustive()
    }
}

/// What arrives on a socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A JSON frame.
    Frame(Value),
    /// A close frame with its code and reason; 1005 stands for none.
    Close(u16, String),
    /// The connection ended without a close frame.
    Ended,
}

impl Socket {
    /// Opens a socket at `/`.
    pub async fn open(address: SocketAddr) -> Socket {
        Socket::open_on(Connection::open(address).await, "/").await
    }

    /// Opens a socket on a connection.
    pub async fn open_on(connection: Connection, path: &str) -> Socket {
        let (stream, _) = connection.into_parts();
        let opening = tokio_tungstenite::client_async(format!("ws://127.0.0.1{path}"), stream);
        let (stream, _) = within("the upgrade", opening).await.expect("opening a socket");
        Socket { stream, answers: HashMap::new(), notifications: VecDeque::new(), calls: 0 }
    }

    /// Sends a text frame.
    pub async fn send(&mut self, text: impl Into<String>) {
        let text: String = text.into();
        within("sending a frame", self.stream.send(Message::text(text))).await.expect("sending a frame");
    }

    /// Sends a binary frame.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        within("sending a frame", self.stream.send(Message::binary(bytes))).await.expect("sending a frame");
    }

    /// The next thing that arrives, however long it takes. Pings are answered meanwhile.
    pub async fn event(&mut self) -> Event {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Event::Frame(serde_json::from_str(&text).expect("the server sends JSON"));
                }
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                    let (code, reason) = frame.unwrap_or((NO_CODE, String::new()));
                    return Event::Close(code, reason);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Event::Ended,
            }
        }
    }

    /// The next thing that arrives.
    pub async fn next(&mut self) -> Event {
        within("a frame", self.event()).await
    }

    /// Sends a call without waiting; answers its request id.
    pub async fn start(
        &mut self,
        (service, component, function): (&str, &str, &str),
        fields: Value,
    ) -> String {
        self.calls += 1;
        let id = self.calls.to_string();
        let mut envelope = fields;
        envelope["x_gs2"] = json!({
            "service": service,
            "component": component,
            "function": function,
            "contentType": "application/json",
            "requestId": id,
        });
        self.send(envelope.to_string()).await;
        id
    }

    /// Waits for the answer to a call; the socket must not close before.
    pub async fn answer(&mut self, id: &str) -> (u16, Value) {
        loop {
            if let Some(answer) = self.answers.remove(id) {
                return answer;
            }
            match self.next().await {
                Event::Frame(frame) if frame["type"] == "notification" => self.notifications.push_back(frame),
                Event::Frame(mut frame) => {
                    let id = frame["requestId"].as_str().expect("an answer has a request id").to_owned();
                    let status = frame["status"].as_u64().expect("an answer has a status");
                    self.answers.insert(id, (status as u16, frame["body"].take()));
                }
                other => panic!("waited for the answer to call {id} and got {other:?}"),
            }
        }
    }

    /// The next notification, the frame as it is.
    pub async fn notification(&mut self) -> Value {
        match self.notifications.pop_front() {
            Some(notification) => notification,
            None => match self.next().await {
                Event::Frame(frame) if frame["type"] == "notification" => frame,
                other => panic!("waited for a notification and got {other:?}"),
            },
        }
    }

    /// The subjects of the notifications that arrived until now: what was sent before this call and does not come before
    /// its answer was not sent to this socket.
    pub async fn subjects(&mut self, project_token: &str) -> Vec<String> {
        let fields = json!({ "xGs2ProjectToken": project_token });
        self.call(("gateway", "namespace", "getServiceVersion"), fields).await.ok();
        let arrived = std::mem::take(&mut self.notifications);
        let subject = |frame: &Value| frame["body"]["subject"].as_str().expect("a subject").to_owned();
        arrived.iter().map(subject).collect()
    }

    /// Calls an operation. The answer is in the form of REST.
    pub async fn call(&mut self, function: (&str, &str, &str), fields: Value) -> Response {
        let id = self.start(function, fields).await;
        let (status, body) = self.answer(&id).await;
        Response { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    /// Closes the socket in order.
    pub async fn close(mut self) {
        within("closing a socket", self.stream.close(None)).await.expect("closing a socket");
        within("the end of a socket", async { while self.event().await != Event::Ended {} }).await;
    }
}
