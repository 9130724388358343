//! The WebSocket at `/` and `/v2`: every operation, many at once, answers in completion order (BEHAVIOUR T-20 … T-30).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hiroba_api::contract::{Credentials, Fields};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::body;
use super::limits::{
    ANSWER_TIME, BODY_BYTES_MAX, LAST_WORD_TIME, READ_BUFFER_BYTES, SEND_TIME, SOCKET_CALLS_MAX, STOP_TIME,
    WRITE_BUFFER_BYTES,
};
use super::listener::Guard;
use super::stream::Meter;
use crate::hub::{Connection, Flow, Outgoing, Reason};
use crate::pipeline::{Pipeline, Reply};

/// Frames that are sent in one go.
const BATCH_MAX: usize = 64;

/// Answers the upgrade and serves the socket.
pub(super) fn upgrade(
    upgrade: WebSocketUpgrade,
    pipeline: Arc<Pipeline>,
    stop: watch::Receiver<bool>,
    guard: Arc<Guard>,
    meter: Arc<Meter>,
    base_url: Option<Arc<str>>,
) -> Response {
    meter.start();
    let upgrade = upgrade
        .max_message_size(BODY_BYTES_MAX)
        .max_frame_size(BODY_BYTES_MAX)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES);
    upgrade.on_upgrade(move |socket| async move {
        serve(socket, pipeline, stop, &meter, base_url).await;
        drop(guard);
    })
}

async fn serve(
    socket: WebSocket,
    pipeline: Arc<Pipeline>,
    stop: watch::Receiver<bool>,
    meter: &Meter,
    base_url: Option<Arc<str>>,
) {
    let hub = &pipeline.core().hub;
    pipeline.core().metrics.sockets.inc();
    let (sink, mut stream) = socket.split();
    let (connection, queue) = hub.open();
    let writer = tokio::spawn(write(sink, queue, connection.flow(), hub.limits().ping));
    read(&mut stream, &pipeline, &connection, stop, meter, base_url).await;
    hub.close(&connection);
    // The writer ends when the last call has answered and nobody can send any more.
    drop(connection);
    if let Err(error) = writer.await {
        tracing::error!(%error, "a socket's writer ended badly");
    }
    // Unread bytes would make the system throw away what the peer has not yet read, the close frame among it.
    let _ = timeout(LAST_WORD_TIME, async { while let Some(Ok(_)) = stream.next().await {} }).await;
    pipeline.core().metrics.sockets.dec();
}

/// Sends what is queued, and pings. Ends after a close frame, when everybody who could send has gone, or when the peer
/// does not read.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    flow: Arc<Flow>,
    ping: Duration,
) {
    let mut pings = interval(ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    let mut batch = Vec::new();
    loop {
        let sent = tokio::select! {
            received = queue.recv_many(&mut batch, BATCH_MAX) => match received {
                0 => return,
                _ => send(&mut sink, &mut batch, &flow).await,
            },
            _ = pings.tick() => {
                let ping = Message::Ping(Bytes::new());
                timeout(SEND_TIME, sink.send(ping)).await.map_or(Sent::Never, |sent| Sent::of(&sent))
            }
            () = flow.overflow() => Sent::TooMuch,
        };
        match sent {
            Sent::All => {}
            Sent::Never => return,
            Sent::TooMuch => {
                // What is half written must be written to its end before; a peer that reads again gets both.
                let _ = timeout(LAST_WORD_TIME, sink.send(close_message(Reason::SlowReader))).await;
                return;
            }
        }
    }
}

/// How sending went.
enum Sent {
    All,
    /// The socket is closed, or its peer does not read.
    Never,
    /// More was queued meanwhile than may be.
    TooMuch,
}

impl Sent {
    fn of<E>(sent: &Result<(), E>) -> Sent {
        if sent.is_ok() { Sent::All } else { Sent::Never }
    }
}

/// Sends all of `batch` in as few writes as possible.
async fn send(sink: &mut SplitSink<WebSocket, Message>, batch: &mut Vec<Outgoing>, flow: &Flow) -> Sent {
    let mut last = false;
    let sending = async {
        // Places in flight are given up when the answers are sent.
        let mut places = Vec::new();
        let mut bytes = 0;
        for outgoing in batch.drain(..) {
            bytes += outgoing.queued_bytes();
            let message = match outgoing {
                Outgoing::Answer { text, place } => {
                    places.push(place);
                    Message::Text(text.into())
                }
                Outgoing::Notification(frame) => match Utf8Bytes::try_from(frame) {
                    Ok(text) => Message::Text(text),
                    Err(error) => {
                        tracing::error!(%error, "a notification is no UTF-8");
                        continue;
                    }
                },
                Outgoing::Close(reason) => {
                    last = true;
                    close_message(reason)
                }
            };
            sink.feed(message).await?;
            if last {
                break;
            }
        }
        let flushed = sink.flush().await;
        flow.sent(bytes);
        flushed
    };
    let sent = tokio::select! {
        sent = timeout(SEND_TIME, sending) => sent.map_or(Sent::Never, |sent| Sent::of(&sent)),
        () = flow.overflow() => Sent::TooMuch,
    };
    if last { Sent::Never } else { sent }
}

fn close_message(reason: Reason) -> Message {
    Message::Close(Some(CloseFrame { code: reason.code(), reason: Utf8Bytes::from_static(reason.text()) }))
}

async fn read(
    stream: &mut SplitStream<WebSocket>,
    pipeline: &Arc<Pipeline>,
    connection: &Arc<Connection>,
    mut stop: watch::Receiver<bool>,
    meter: &Meter,
    base_url: Option<Arc<str>>,
) {
    let silence = pipeline.core().hub.limits().silence;
    let calls = Arc::new(Semaphore::new(SOCKET_CALLS_MAX));
    let reason = loop {
        let deadline = Instant::now() + silence;
        let message = tokio::select! {
            message = timeout_at(deadline, stream.next()) => message,
            _ = stop.changed() => break Some(Reason::Stopping),
            reason = connection.ending() => break Some(reason),
            // The writer gave up a peer that does not read, or closed the socket.
            () = connection.writer_ended() => break None,
        };
        match &message {
            Ok(Some(Ok(Message::Ping(payload) | Message::Pong(payload)))) => meter.control(payload.len()),
            _ => meter.message(),
        }
        match message {
            Err(_) => break Some(Reason::Silent),
            Ok(None) => break None,
            Ok(Some(Err(error))) => break is_too_long(&error).then_some(Reason::TooLong),
            Ok(Some(Ok(Message::Text(text)))) => {
                let Ok(envelope) = body::parse("server", text.as_bytes()) else {
                    break Some(Reason::NotUnderstood);
                };
                // The semaphore is never closed. A peer that sends faster than it reads waits here, unread.
                let place = tokio::select! {
                    place = Arc::clone(&calls).acquire_owned() => place,
                    reason = connection.ending() => break Some(reason),
                };
                let Ok(place) = place else { break None };
                let (pipeline, connection) = (Arc::clone(pipeline), Arc::clone(connection));
                let base_url = base_url.clone();
                tokio::spawn(async move {
                    let answer = answer(&pipeline, envelope, &connection.id, base_url).await;
                    connection.answer(answer, place);
                });
            }
            Ok(Some(Ok(Message::Binary(_)))) => break Some(Reason::NotUnderstood),
            // Reading on answers the ping, and the close, after which the stream ends.
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)))) => {}
        }
    };
    if let Some(reason) = reason {
        tracing::debug!(?reason, "closing a socket");
        // Calls that run are answered before the socket closes, the one that closes it among them.
        let time = match reason {
            Reason::Stopping => Some(STOP_TIME),
            Reason::Disconnected | Reason::Replaced | Reason::LeaseLost => Some(ANSWER_TIME),
            Reason::NotUnderstood | Reason::TooLong | Reason::Silent | Reason::SlowReader => None,
        };
        if let Some(time) = time {
            let all = u32::try_from(SOCKET_CALLS_MAX).unwrap_or(u32::MAX);
            let _ = timeout(time, calls.acquire_many(all)).await;
        }
        connection.close(reason);
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    use std::error::Error;
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.to_string().contains("too long") {
            return true;
        }
        cause = error.source();
    }
    error.to_string().contains("too long")
}

/// Takes one call out of its envelope and puts the answer into one (BEHAVIOUR T-21 … T-23).
async fn answer(
    pipeline: &Pipeline,
    mut envelope: Fields,
    connection_id: &Arc<str>,
    base_url: Option<Arc<str>>,
) -> String {
    let x_gs2 = envelope.remove("x_gs2").unwrap_or(Value::Null);
    let word = |name: &str| x_gs2.get(name).and_then(Value::as_str).unwrap_or_default();
    let request_id = x_gs2.get("requestId").cloned().filter(|id| !id.is_null());
    let connection_id = Some(Arc::clone(connection_id));
    let credentials = Credentials { connection_id, base_url, ..credentials(&mut envelope) };
    let (service, component, function) = (word("service"), word("component"), word("function"));
    let reply = match pipeline.core().table.function(service, component, function) {
        Some(row) => pipeline.call(row.id, envelope, credentials).await,
        None => {
            let detail = format!(
                "there is no operation `{function}` of component `{component}` in service `{service}`"
            );
            let item = ErrorItem::new("server", "operation", "operation", "notFound", detail);
            pipeline.refuse(&ApiError::one(Status::NotFound, item), credentials.request_id)
        }
    };
    frame(request_id, &reply)
}

fn frame(request_id: Option<Value>, reply: &Reply) -> String {
    let mut frame = String::with_capacity(reply.body.len() + 96);
    frame.push('{');
    // Left out rather than null: C# casts what is there.
    if let Some(id) = request_id {
        frame.push_str("\"requestId\":");
        frame.push_str(&id.to_string());
        frame.push(',');
    }
    frame.push_str("\"status\":");
    frame.push_str(&reply.status.to_string());
    frame.push_str(",\"body\":");
    frame.push_str(&reply.body);
    frame.push('}');
    frame
}

fn credentials(envelope: &mut Fields) -> Credentials {
    let mut text = |name: &str| match envelope.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    // Some SDKs send the plain name, some the prefixed one, some both (`core.json`, requestEnvelope).
    let (prefixed_access, plain_access) = (text("xGs2AccessToken"), text("accessToken"));
    let (prefixed_avoider, plain_avoider) = (text("xGs2DuplicationAvoider"), text("duplicationAvoider"));
    let (prefixed_offset, plain_offset) = (text("xGs2TimeOffsetToken"), text("timeOffsetToken"));
    let project_token = text("xGs2ProjectToken");
    let request_id = text("xGs2RequestId");
    let dry_run = match envelope.remove("xGs2DryRun") {
        Some(Value::Bool(flag)) => flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    Credentials {
        project_token,
        access_token: prefixed_access.or(plain_access),
        time_offset_token: prefixed_offset.or(plain_offset),
        duplication_avoider: prefixed_avoider.or(plain_avoider),
        dry_run,
        request_id,
        connection_id: None,
        base_url: None,
    }
}
