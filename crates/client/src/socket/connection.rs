//! The connection behind a socket: one task reads, one writes, so that a server that waits for us to read never waits
//! for us to write.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Notification;
use super::waiting::Waiting;
use crate::client::Client;
use crate::error::{ClientError, CloseReason};

/// Time between two pings, so that a connection that died is noticed.
const PING_PERIOD: Duration = Duration::from_secs(30);
/// Silence after which the connection counts as broken: three pings without an answer.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// Time that the server gets to end the connection after a close.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Bytes of a message that is read, as of an answer over REST.
const INCOMING_BYTES_MAX: usize = 64 << 20;

/// TCP, or TLS over it.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

type Stream = WebSocketStream<Box<dyn Transport>>;

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Connection(error.into())
}

/// Connects and makes the handshakes. The path of the endpoint does not count on the socket (BEHAVIOUR T-02).
pub(super) async fn open(client: &Client) -> Result<Stream, ClientError> {
    let endpoint = client.endpoint();
    let is_tls = endpoint.scheme() == "https";
    // Both were checked when the client was built.
    let host = endpoint.host_str().unwrap_or_default().to_owned();
    let port = endpoint.port_or_known_default().unwrap_or(if is_tls { 443 } else { 80 });
    // A literal IPv6 address has brackets in a URL only.
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let tcp = TcpStream::connect((name.as_str(), port)).await.map_err(broken)?;
    tcp.set_nodelay(true).map_err(broken)?;
    let stream: Box<dyn Transport> = if is_tls {
        let server = ServerName::try_from(name).map_err(broken)?;
        Box::new(TlsConnector::from(client.tls()).connect(server, tcp).await.map_err(broken)?)
    } else {
        Box::new(tcp)
    };
    let scheme = if is_tls { "wss" } else { "ws" };
    let config = WebSocketConfig::default()
        .max_message_size(Some(INCOMING_BYTES_MAX))
        .max_frame_size(Some(INCOMING_BYTES_MAX));
    let shaken = client_async_with_config(format!("{scheme}://{host}:{port}/"), stream, Some(config)).await;
    shaken.map(|(stream, _)| stream).map_err(broken)
}

/// Why a socket is closed that this side closed.
pub(super) const CLOSED_HERE: &str = "the client closed the socket";

/// The message that closes a socket from this side.
pub(super) fn close_message() -> Message {
    let reason = Utf8Bytes::from_static(CLOSED_HERE);
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason }))
}

/// Starts the two tasks. They end with the connection, or when the last sender of `queue` is gone; the returned one is
/// the last.
pub(super) fn spawn(
    stream: Stream,
    queue: mpsc::Receiver<Message>,
    waiting: Arc<Waiting>,
    notifications: broadcast::Sender<Notification>,
) -> JoinHandle<()> {
    let (sink, stream) = stream.split();
    let writer = tokio::spawn(write(sink, queue));
    tokio::spawn(async move {
        let reason = read(stream, &waiting, &notifications).await;
        waiting.close(reason);
        // Nobody reads answers any more, so that nothing needs to be sent.
        writer.abort();
    })
}

async fn write(mut sink: SplitSink<Stream, Message>, mut queue: mpsc::Receiver<Message>) {
    let mut pings = interval(PING_PERIOD);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    loop {
        let message = tokio::select! {
            message = queue.recv() => message.unwrap_or_else(close_message),
            _ = pings.tick() => Message::Ping(Vec::new().into()),
        };
        let last = matches!(message, Message::Close(_));
        // What went wrong is seen by the reader too.
        if sink.send(message).await.is_err() || last {
            return;
        }
    }
}

/// Reads until the connection ends, and says why it did.
async fn read(
    mut stream: SplitStream<Stream>,
    waiting: &Waiting,
    notifications: &broadcast::Sender<Notification>,
) -> CloseReason {
    loop {
        match timeout(SILENCE_MAX, stream.next()).await {
            Err(_) => return CloseReason::broken("nothing was received for 90 seconds"),
            Ok(None | Some(Err(Error::ConnectionClosed))) => {
                return CloseReason::broken("the connection ended");
            }
            Ok(Some(Err(error))) => return CloseReason::broken(error.to_string()),
            Ok(Some(Ok(Message::Close(frame)))) => {
                // Reading on sends our half of the close, until the server ends the connection.
                let _ = timeout(CLOSE_TIME, async { while let Some(Ok(_)) = stream.next().await {} }).await;
                return reason(frame);
            }
            Ok(Some(Ok(Message::Text(text)))) => take(&text, waiting, notifications),
            Ok(Some(Ok(_))) => {}
        }
    }
}

fn reason(frame: Option<CloseFrame>) -> CloseReason {
    match frame {
        Some(frame) => CloseReason { code: frame.code.into(), text: frame.reason.as_str().to_owned() },
        // The code that stands for a close without one.
        None => CloseReason { code: 1005, text: "the server closed the socket".to_owned() },
    }
}

/// Takes one frame: an answer carries the id of its call, a notification none (BEHAVIOUR T-22, T-24). Anything else is
/// not for us.
fn take(text: &str, waiting: &Waiting, notifications: &broadcast::Sender<Notification>) {
    let Ok(Value::Object(mut frame)) = serde_json::from_str(text) else { return };
    let body = frame.remove("body").unwrap_or(Value::Null);
    match frame.get("requestId") {
        None | Some(Value::Null) => {
            let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let notification = Notification {
                issuer: member("issuer"),
                subject: member("subject"),
                payload: member("payload"),
            };
            // Nobody may be listening.
            let _ = notifications.send(notification);
        }
        Some(id) => {
            let id = id.as_str().and_then(|id| id.parse().ok());
            let status =
                frame.get("status").and_then(Value::as_u64).and_then(|status| status.try_into().ok());
            if let (Some(id), Some(status)) = (id, status) {
                waiting.answer(id, (status, body));
            }
        }
    }
}
