//! Hiroba through its protocol: login, a namespace, a token per player, then `lock` and `unlock` over HTTP and JSON.

use super::frame::TEXT;
use super::http::{Connection, request};
use super::load::{Client, Connect, Plan};
use super::socket::Socket;
use crate::server::{CLIENT_ID, CLIENT_SECRET};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::ops::Range;

/// Namespace that the mutexes are in.
const NAMESPACE: &str = "bench";
/// Seconds until a mutex frees itself; longer than any pair takes.
const TTL: u64 = 60;

/// A server, and the token of the administrator.
#[derive(Debug)]
pub(crate) struct Prepared {
    address: String,
    authorization: String,
}

impl Prepared {
    /// Logs in and creates the namespace of the mutexes, with a log of its calls when they are to be recorded.
    pub(crate) fn new(address: &str, logged: bool) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting a runtime")?;
        runtime.block_on(async {
            let prepared = Self::log_in(address).await?;
            if !logged {
                prepared.create_namespace("lock", NAMESPACE).await?;
                return Ok(prepared);
            }
            prepared.create_namespace("log", NAMESPACE).await?;
            let log = prepared.call("GET", &format!("/log/{NAMESPACE}"), &json!({})).await?;
            let log = json!({"loggingNamespaceId": log["item"]["namespaceId"]});
            prepared.call("POST", "/lock/", &json!({"name": NAMESPACE, "logSetting": log})).await?;
            Ok(prepared)
        })
    }

    /// Logs in only.
    pub(super) async fn log_in(address: &str) -> Result<Self> {
        let login = json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}).to_string();
        let login = request("POST", "/identifier/projectToken/login", address, &[], &login);
        let mut connection = Connection::open(address).await?;
        let token = text(connection.call_ok(&login).await?, "access_token")?;
        Ok(Self { address: address.to_owned(), authorization: format!("Bearer {token}") })
    }

    /// Creates a namespace of a service.
    pub(super) async fn create_namespace(&self, service: &str, name: &str) -> Result<()> {
        self.call("POST", &format!("/{service}/"), &json!({"name": name})).await.map(|_| ())
    }

    /// Makes one call of the administrator, which must succeed, on a connection of its own.
    pub(super) async fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let call = self.request(method, path, None, &body.to_string());
        let mut connection = Connection::open(&self.address).await?;
        serde_json::from_slice(connection.call_ok(&call).await?).context("an answer is not JSON")
    }

    /// Binds a socket to a player with a call on the socket.
    pub(super) async fn bind(&self, socket: &mut Socket, namespace: &str, user: &str) -> Result<()> {
        let members = json!({"namespaceName": namespace, "userId": user});
        let envelope = self.envelope(["gateway", "webSocketSession", "setUserIdByUserId"], "bind", members);
        socket.send(TEXT, envelope.to_string().as_bytes()).await?;
        let answer = socket.wait_for(|received| contains(received, b"\"requestId\"")).await?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(answer.contains("\"status\":200"), "binding a socket is answered with {answer}");
        Ok(())
    }

    /// A call of the administrator as it travels on a socket: service, component and function, and the members of the request.
    pub(super) fn envelope(
        &self,
        [service, component, function]: [&str; 3],
        request_id: &str,
        mut members: Value,
    ) -> Value {
        members["x_gs2"] = json!({
            "service": service,
            "component": component,
            "function": function,
            "contentType": "application/json",
            "requestId": request_id,
        });
        members["xGs2ClientId"] = CLIENT_ID.into();
        members["xGs2ProjectToken"] = self.authorization.trim_start_matches("Bearer ").into();
        members
    }

    /// Host and port of the server.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Prepares a call of the administrator, or of the player whose token is given.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        access_token: Option<&str>,
        body: &str,
    ) -> Vec<u8> {
        let mut headers =
            vec![("X-GS2-CLIENT-ID", CLIENT_ID), ("Authorization", self.authorization.as_str())];
        headers.extend(access_token.map(|token| ("X-GS2-ACCESS-TOKEN", token)));
        request(method, path, &self.address, &headers, body)
    }
}

/// Makes clients that lock and unlock.
#[derive(Debug)]
pub(crate) struct Pairs<'a> {
    prepared: &'a Prepared,
    contended: bool,
}

impl<'a> Pairs<'a> {
    /// Measures the server.
    pub(crate) fn new(prepared: &'a Prepared, plan: &Plan) -> Self {
        Self { prepared, contended: plan.contended }
    }
}

/// A player with the prepared calls for one mutex.
#[derive(Debug)]
pub(crate) struct PairClient {
    connection: Connection,
    lock: Vec<u8>,
    unlock: Vec<u8>,
}

impl Connect for Pairs<'_> {
    type Client = PairClient;

    async fn connect(&self, numbers: Range<usize>) -> Result<Vec<PairClient>> {
        let mut clients = Vec::new();
        for number in numbers {
            let mut connection = Connection::open(&self.prepared.address).await?;
            let user = if self.contended { "player-shared".to_owned() } else { format!("player-{number}") };
            let login =
                self.prepared.request("POST", "/auth/login", None, &json!({"userId": user}).to_string());
            let token = text(connection.call_ok(&login).await?, "token")?;
            let mutex = format!("/lock/{NAMESPACE}/user/me/mutex/match");
            let transaction = format!("transaction-{number}");
            let call = |operation: &str, body: Value| {
                self.prepared.request(
                    "POST",
                    &format!("{mutex}/{operation}"),
                    Some(&token),
                    &body.to_string(),
                )
            };
            clients.push(PairClient {
                lock: call("lock", json!({"transactionId": transaction, "ttl": TTL})),
                unlock: call("unlock", json!({"transactionId": transaction})),
                connection,
            });
        }
        Ok(clients)
    }
}

impl Client for PairClient {
    async fn unit(&mut self) -> Result<u64> {
        let mut refusals = 0;
        loop {
            match self.connection.call(&self.lock).await? {
                (200, _) => break,
                // Another transaction holds the mutex.
                (409, _) => refusals += 1,
                (status, body) => bail!("lock is answered with {status}: {}", String::from_utf8_lossy(body)),
            }
        }
        self.connection.call_ok(&self.unlock).await?;
        Ok(refusals)
    }
}

/// Makes clients that ask for the state of the namespace.
#[derive(Debug)]
pub(crate) struct EmptyCalls<'a>(pub(crate) &'a Prepared);

/// A client with the prepared call.
#[derive(Debug)]
pub(crate) struct EmptyClient {
    connection: Connection,
    status: Vec<u8>,
}

impl Connect for EmptyCalls<'_> {
    type Client = EmptyClient;

    async fn connect(&self, numbers: Range<usize>) -> Result<Vec<EmptyClient>> {
        let status = self.0.request("GET", &format!("/lock/{NAMESPACE}/status"), None, "");
        let mut clients = Vec::new();
        for _ in numbers {
            let connection = Connection::open(&self.0.address).await?;
            clients.push(EmptyClient { connection, status: status.clone() });
        }
        Ok(clients)
    }
}

impl Client for EmptyClient {
    async fn unit(&mut self) -> Result<u64> {
        self.connection.call_ok(&self.status).await?;
        Ok(0)
    }
}

/// A text member of a JSON answer.
fn text(body: &[u8], member: &str) -> Result<String> {
    let answer: Value = serde_json::from_slice(body).context("an answer is not JSON")?;
    let text = answer[member].as_str().with_context(|| format!("an answer has no {member}"))?;
    Ok(text.to_owned())
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
