//! The client over REST: set up once, cheap to clone, logged in when needed.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use hiroba_api::contract::{Fields, Variant};
use hiroba_api::identifier::Login;
use hiroba_api::names::UserId;
use hiroba_api::{ApiError, Operation};
use parking_lot::RwLock;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::call::{AccessToken, Call, Carrier, ForUser, Player, names_user};
use crate::error::ClientError;
use crate::outgoing::{self, Outgoing};
use crate::socket::Socket;
use crate::{path, tls};

/// Time for a connection when the caller sets none.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time for a call when the caller sets none.
const CALL_TIME: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read. The largest page of the protocol stays far below.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Sets up a [`Client`].
#[derive(Debug)]
pub struct ClientBuilder {
    endpoint: String,
    identity: Option<Identity>,
    connect_time: Duration,
    call_time: Duration,
    further_roots: Vec<Vec<u8>>,
}

/// As whom the client calls.
enum Identity {
    /// A credential, which can log in again.
    Credential { client_id: String, client_secret: String },
    /// A project token that somebody else obtained.
    Token(Arc<str>),
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets stay out of logs.
        match self {
            Identity::Credential { client_id, .. } => {
                formatter.debug_tuple("Credential").field(client_id).finish()
            }
            Identity::Token(_) => formatter.write_str("Token(…)"),
        }
    }
}

impl ClientBuilder {
    /// Calls with a credential; the client logs in by itself.
    pub fn credential(mut self, client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        let (client_id, client_secret) = (client_id.into(), client_secret.into());
        self.identity = Some(Identity::Credential { client_id, client_secret });
        self
    }

    /// Calls with a project token that is there already. Once it has expired, calls fail with 401.
    pub fn project_token(mut self, token: impl Into<String>) -> Self {
        self.identity = Some(Identity::Token(token.into().into()));
        self
    }

    /// Time that a connection may take; 5 s when not set.
    pub fn connect_time(mut self, time: Duration) -> Self {
        self.connect_time = time;
        self
    }

    /// Time that a call may take, its connection included; 30 s when not set.
    pub fn call_time(mut self, time: Duration) -> Self {
        self.call_time = time;
        self
    }

    /// Trusts one more authority, such as the certificate of `hiroba serve --tls-dev`; a PEM text.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.further_roots.push(pem.into());
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// Fails when the endpoint is no `http` or `https` URL, or a root certificate is none.
    pub fn build(self) -> Result<Client, ClientError> {
        let endpoint = endpoint(&self.endpoint)?;
        let tls = tls::config(&self.further_roots)?;
        let http = reqwest::Client::builder()
            .use_preconfigured_tls(tls.clone())
            .connect_timeout(self.connect_time)
            .redirect(reqwest::redirect::Policy::none())
            // The socket knows no proxies either; one endpoint is one route.
            .no_proxy()
            .build()
            .map_err(|error| setup("setting up HTTP", error))?;
        let token = match &self.identity {
            Some(Identity::Token(token)) => Some(Arc::clone(token)),
            _ => None,
        };
        let shared = Shared {
            http,
            tls: Arc::new(tls),
            endpoint,
            identity: self.identity,
            connect_time: self.connect_time,
            call_time: self.call_time,
            token: RwLock::new(token),
            login: Mutex::new(()),
        };
        Ok(Client { shared: Arc::new(shared) })
    }
}

fn setup(what: &str, error: impl Display) -> ClientError {
    ClientError::Setup(format!("{what}: {error}"))
}

/// The endpoint as a URL whose path is the base of every call.
fn endpoint(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|error| setup("the endpoint", error))?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    if !is_web || url.query().is_some() || url.fragment().is_some() {
        return Err(setup("the endpoint", "say `http://host:port` or `https://host:port`"));
    }
    Ok(url)
}

/// A client of one server. Clones share connections and project token.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
    endpoint: Url,
    identity: Option<Identity>,
    connect_time: Duration,
    call_time: Duration,
    token: RwLock<Option<Arc<str>>>,
    /// Held by the one who logs in; others wait for the token that it gets.
    login: Mutex<()>,
}

impl Client {
    /// Sets up a client for the server at `endpoint`, such as `http://127.0.0.1:8080`.
    pub fn builder(endpoint: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            endpoint: endpoint.into(),
            identity: None,
            connect_time: CONNECT_TIME,
            call_time: CALL_TIME,
            further_roots: Vec::new(),
        }
    }

    /// Logs in now. The first call would do it too.
    pub async fn login(&self) -> Result<(), ClientError> {
        let known = self.known_token();
        self.renew(known.as_deref()).await.map(|_| ())
    }

    /// Calls an operation that is not about one player. One that is does not compile here: it needs
    /// [`as_player`](Self::as_player) or [`for_user`](Self::for_user).
    pub fn call<O: Operation>(&self, request: &O) -> Call<O> {
        const {
            assert!(
                !names_user(O::DECLARATION.path) && !O::DECLARATION.player,
                "the operation is about one player: use `as_player(…).call` or `for_user(…).call`"
            );
        }
        Call::new(Carrier::Rest(self.clone()), request, Variant::Plain)
    }

    /// Calls that act for the player of an access token.
    pub fn as_player(&self, access_token: AccessToken) -> Player {
        Player::new(Carrier::Rest(self.clone()), access_token)
    }

    /// Calls about any player, with the permission of the client's own policies.
    pub fn for_user(&self, user_id: UserId) -> ForUser {
        ForUser::new(Carrier::Rest(self.clone()), user_id)
    }

    /// Opens a WebSocket to the same server. It shares the project token of this client.
    pub async fn socket(&self) -> Result<Socket, ClientError> {
        Socket::connect(self).await
    }

    pub(crate) fn tls(&self) -> Arc<rustls::ClientConfig> {
        Arc::clone(&self.shared.tls)
    }

    pub(crate) fn endpoint(&self) -> &Url {
        &self.shared.endpoint
    }

    pub(crate) fn connect_time(&self) -> Duration {
        self.shared.connect_time
    }

    pub(crate) fn call_time(&self) -> Duration {
        self.shared.call_time
    }

    pub(crate) fn client_id(&self) -> Option<&str> {
        match &self.shared.identity {
            Some(Identity::Credential { client_id, .. }) => Some(client_id),
            _ => None,
        }
    }

    pub(crate) fn can_log_in(&self) -> bool {
        matches!(self.shared.identity, Some(Identity::Credential { .. }))
    }

    pub(crate) fn known_token(&self) -> Option<Arc<str>> {
        self.shared.token.read().clone()
    }

    /// The project token; logs in when there is none.
    pub(crate) async fn token(&self) -> Result<Arc<str>, ClientError> {
        match self.known_token() {
            Some(token) => Ok(token),
            None => self.renew(None).await,
        }
    }

    /// A project token other than `stale`: logs in, unless somebody else just has.
    pub(crate) async fn renew(&self, stale: Option<&str>) -> Result<Arc<str>, ClientError> {
        let _turn = self.shared.login.lock().await;
        if let Some(token) = self.known_token().filter(|token| Some(&**token) != stale) {
            return Ok(token);
        }
        let Some(Identity::Credential { client_id, client_secret }) = &self.shared.identity else {
            let what = "the call needs a project token; give the client a credential";
            return Err(ClientError::Setup(what.to_owned()));
        };
        let login = Login { client_id: client_id.clone(), client_secret: client_secret.clone() };
        let value = self.exchange(&Outgoing::new(&login, Variant::Plain), None).await?;
        let token: Arc<str> = outgoing::answer::<Login>(value)?.access_token.into();
        *self.shared.token.write() = Some(Arc::clone(&token));
        Ok(token)
    }

    /// Makes one call over REST, as it is.
    pub(crate) async fn exchange(
        &self,
        outgoing: &Outgoing,
        token: Option<&str>,
    ) -> Result<Value, ClientError> {
        let request = self.request(outgoing, token)?;
        let call_time = self.shared.call_time;
        let timeout = |_| ClientError::Timeout(call_time);
        tokio::time::timeout(call_time, receive(request)).await.map_err(timeout)?
    }

    fn request(
        &self,
        outgoing: &Outgoing,
        token: Option<&str>,
    ) -> Result<reqwest::RequestBuilder, ClientError> {
        let declaration = outgoing.declaration;
        let mut fields: Fields = outgoing.fields.clone();
        let path = path::fill(&outgoing.path(), &mut fields)?;
        let base = self.shared.endpoint.as_str().trim_end_matches('/');
        let mut url = format!("{base}/{}{path}", declaration.service.segment);
        let method = match declaration.method {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            _ => Method::DELETE,
        };
        let has_body = matches!(method, Method::POST | Method::PUT);
        if !has_body {
            url.push_str(&path::query(&fields)?);
        }
        let url = Url::parse(&url).map_err(|error| setup("the URL of the call", error))?;
        let request = self.shared.http.request(method, url).headers(self.headers(outgoing, token)?);
        Ok(if has_body { request.json(&fields) } else { request })
    }

    fn headers(&self, outgoing: &Outgoing, token: Option<&str>) -> Result<HeaderMap, ClientError> {
        let beside = &outgoing.beside;
        let bearer = token.map(|token| format!("Bearer {token}"));
        let texts = [
            (AUTHORIZATION, bearer.as_deref()),
            (HeaderName::from_static("x-gs2-client-id"), self.client_id()),
            (HeaderName::from_static("x-gs2-access-token"), beside.access_token.as_deref()),
            (HeaderName::from_static("x-gs2-duplication-avoider"), beside.duplication_avoider.as_deref()),
            (HeaderName::from_static("x-gs2-time-offset-token"), beside.time_offset_token.as_deref()),
            (HeaderName::from_static("x-gs2-request-id"), beside.request_id.as_deref()),
            (HeaderName::from_static("x-gs2-dry-run"), beside.dry_run.then_some("true")),
        ];
        let mut headers = HeaderMap::new();
        for (name, text) in texts {
            let Some(text) = text else { continue };
            let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| ClientError::Unsendable {
                field: name.to_string(),
                reason: "a header holds no control characters",
            })?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

async fn receive(request: reqwest::RequestBuilder) -> Result<Value, ClientError> {
    let mut response = request.send().await.map_err(connection)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            let detail = format!("it has more than {ANSWER_BYTES_MAX} bytes");
            return Err(ClientError::Answer { status, detail });
        }
        body.extend_from_slice(&chunk);
    }
    result(status, &body)
}

fn connection(error: reqwest::Error) -> ClientError {
    // The URL names players; whoever logs the error has it anyway.
    ClientError::Connection(error.without_url().into())
}

/// The result object of an answer, or what the server says instead.
pub(crate) fn result(status: u16, body: &[u8]) -> Result<Value, ClientError> {
    if status == 200 {
        return serde_json::from_slice(body)
            .map_err(|error| ClientError::Answer { status, detail: error.to_string() });
    }
    Err(match ApiError::from_body(status, body) {
        Some(error) => ClientError::Api(error),
        None => ClientError::Answer { status, detail: "it is no error body of the protocol".to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for right in ["http://127.0.0.1:8080", "https://example.com/", "http://[::1]:8080/base"] {
            assert!(endpoint(right).is_ok(), "{right}");
        }
        for wrong in
            ["", "127.0.0.1:8080", "ftp://example.com", "http://example.com/?a=b", "http://example.com/#a"]
        {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn answers() {
        assert_eq!(result(200, b"{}").unwrap(), serde_json::json!({}));
        assert!(matches!(result(200, b"<html>"), Err(ClientError::Answer { status: 200, .. })));
        assert!(matches!(result(418, b"{}"), Err(ClientError::Answer { status: 418, .. })));
        let body = ApiError::not_found("lock", "mutex", "gone").body();
        assert!(result(404, body.as_bytes()).unwrap_err().is_not_found("mutex"));
        assert!(result(200, body.as_bytes()).is_ok());
    }

    #[test]
    fn secrets_stay_out_of_logs() {
        let client = Client::builder("http://127.0.0.1:1").credential("id", "hush").build().unwrap();
        assert!(!format!("{client:?}").contains("hush"));
    }
}
