//! A small HTTP/1.1 client whose every byte the test controls.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::deadline::within;
use crate::shape::{Refusal, refusals};

/// Bytes of an answer's head at most.
const HEAD_MAX: usize = 64 << 10;

/// What bytes go through: a plain connection or one with TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection to the server.
pub struct Connection {
    stream: Box<dyn Stream>,
    /// Bytes that arrived and were not looked at.
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connection").field("unread", &self.buffer.len()).finish_non_exhaustive()
    }
}

/// A request as its parts; nothing is added but the length of the body.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query, as they are sent.
    pub target: String,
    /// Headers in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, target: &str) -> Request {
        Request { method: method.to_owned(), target: target.to_owned(), ..Request::default() }
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// With a JSON body; `null` stands for no body.
    pub fn json(self, json: &Value) -> Request {
        if json.is_null() {
            return self;
        }
        self.header("Content-Type", "application/json").body(json.to_string())
    }

    /// The head alone, which announces the whole body.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let has = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if !has("host") {
            head.push_str("Host: 127.0.0.1\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !has("content-length") && !has("transfer-encoding") && !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The request as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body of a 200; fails the test for any other status.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).expect("a 200 has a JSON body")
    }

    /// The item of a 200.
    #[track_caller]
    pub fn item(&self) -> Value {
        let mut body = self.ok();
        body["item"].take()
    }

    /// What a refusal says; fails the test when the answer has another shape.
    #[track_caller]
    pub fn refusals(&self) -> Vec<Refusal> {
        match refusals(self.status, &self.body) {
            Ok(refusals) => refusals,
            Err(wrong) => panic!("{wrong}: {} {}", self.status, self.text()),
        }
    }

    /// Fails the test unless this is a refusal with this status and these component and message in its first item.
    #[track_caller]
    pub fn refused(&self, status: u16, component: &str, message: &str) {
        let refusals = self.refusals();
        let first = (self.status, refusals[0].component.as_str(), refusals[0].message.as_str());
        assert_eq!(first, (status, component, message), "{}", self.text());
    }
}

impl Connection {
    /// Connects without TLS.
    pub async fn open(address: SocketAddr) -> Connection {
        within("a connection", Connection::try_open(address)).await.expect("connecting")
    }

    /// Connects without TLS to a server that may be gone.
    pub async fn try_open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection::on(stream))
    }

    /// Connects with TLS to a server that calls itself `name`.
    pub async fn open_tls(
        address: SocketAddr,
        name: &str,
        config: Arc<rustls::ClientConfig>,
    ) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(name.to_owned()).expect("a server name");
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
        Ok(Connection::on(stream))
    }

    /// A connection over this stream.
    pub fn on(stream: impl Stream + 'static) -> Connection {
        Connection { stream: Box::new(stream), buffer: Vec::new() }
    }

    /// The stream, for what is not HTTP, and the bytes that have been read from it too early.
    pub fn into_parts(self) -> (Box<dyn Stream>, Vec<u8>) {
        (self.stream, self.buffer)
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Says that nothing more will be sent.
    pub async fn finish_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Waits for an answer; `None` when the server closes the connection instead.
    pub async fn receive(&mut self) -> io::Result<Option<Response>> {
        receive(&mut self.stream, &mut self.buffer).await
    }

    /// Waits for one line and the empty line behind it, as an interim answer has.
    pub async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                return Ok(line);
            }
            if !more(&mut self.stream, &mut self.buffer).await? {
                return Err(broken("a line broke off"));
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub async fn request(&mut self, request: &Request) -> io::Result<Option<Response>> {
        self.send(&request.bytes()).await?;
        self.receive().await
    }

    /// Sends bytes that the server may not want to read to the end, and waits for its answer meanwhile. `None` when the
    /// server closes or resets the connection.
    pub async fn exchange(&mut self, bytes: &[u8]) -> Option<Response> {
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let write = async {
            // The server may stop reading; its answer says why.
            let _ = writer.write_all(bytes).await;
            let _ = writer.flush().await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            response = receive(&mut reader, &mut self.buffer) => response.ok().flatten(),
            () = write => None,
        }
    }

    /// Reads what still comes until the server closes or resets the connection; answers the bytes.
    pub async fn drain(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        // A reset is a close as well.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads more; false at the end.
async fn more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<bool> {
    Ok(stream.read_buf(buffer).await? > 0)
}

async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Response>> {
    loop {
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            if buffer.len() > HEAD_MAX {
                return Err(broken("an answer's head has no end"));
            }
            if !more(stream, buffer).await? {
                return if buffer.is_empty() { Ok(None) } else { Err(broken("an answer broke off")) };
            }
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end + 4);
        let mut response = parse_head(&head).ok_or_else(|| broken(&head))?;
        if response.status == 100 {
            continue;
        }
        let length = response.header("content-length").map(str::parse::<usize>);
        match length {
            Some(Ok(length)) => {
                while buffer.len() < length {
                    if !more(stream, buffer).await? {
                        return Err(broken("an answer's body broke off"));
                    }
                }
                response.body = buffer.drain(..length).collect();
            }
            Some(Err(_)) => return Err(broken("an answer's length is no number")),
            None if response.status == 101 => {}
            None => return Err(broken("an answer has no Content-Length")),
        }
        return Ok(Some(response));
    }
}

fn parse_head(head: &str) -> Option<Response> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some(Response { status, headers: headers.collect::<Option<_>>()?, body: Vec::new() })
}

/// The request of a WebSocket upgrade.
pub fn upgrade_request(path: &str) -> Request {
    Request::new("GET", path)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}
