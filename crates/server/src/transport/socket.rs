//! The WebSocket at `/` and `/v2`: every operation, many at once, answers in completion order (BEHAVIOUR T-20 … T-30).

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hiroba_api::contract::{Credentials, Fields};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::body;
use super::limits::{
    BODY_BYTES_MAX, PING_PERIOD, READ_BUFFER_BYTES, SEND_TIME, SILENCE_MAX, SOCKET_CALLS_MAX, STOP_TIME,
};
use super::listener::Guard;
use super::stream::Meter;
use crate::pipeline::{Pipeline, Reply};

/// Why the server closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The server stops.
    Stopping,
    /// A frame that is no JSON object in a text frame.
    NotUnderstood,
    /// A message over the limit.
    TooLong,
    /// Nothing arrived for too long.
    Silent,
}

impl Reason {
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Reason::Stopping => (1001, "the server is stopping"),
            Reason::NotUnderstood => (1003, "send JSON objects in text frames"),
            Reason::TooLong => (1009, "a message must have at most 8388608 bytes"),
            Reason::Silent => (1001, "nothing was received for 90 seconds"),
        };
        CloseFrame { code, reason: Utf8Bytes::from_static(reason) }
    }
}

/// Answers the upgrade and serves the socket.
pub(super) fn upgrade(
    upgrade: WebSocketUpgrade,
    pipeline: Arc<Pipeline>,
    stop: watch::Receiver<bool>,
    guard: Arc<Guard>,
    meter: Arc<Meter>,
) -> Response {
    meter.start();
    let upgrade = upgrade
        .max_message_size(BODY_BYTES_MAX)
        .max_frame_size(BODY_BYTES_MAX)
        .write_buffer_size(0)
        .read_buffer_size(READ_BUFFER_BYTES);
    upgrade.on_upgrade(move |socket| async move {
        serve(socket, pipeline, stop, &meter).await;
        drop(guard);
    })
}

async fn serve(socket: WebSocket, pipeline: Arc<Pipeline>, stop: watch::Receiver<bool>, meter: &Meter) {
    pipeline.core().metrics.sockets.inc();
    let (sink, stream) = socket.split();
    let (outgoing, queue) = mpsc::channel(SOCKET_CALLS_MAX);
    let writer = tokio::spawn(write(sink, queue));
    read(stream, &pipeline, outgoing, stop, meter).await;
    // The writer ends when the last call has answered and nobody can send any more.
    if let Err(error) = writer.await {
        tracing::error!(%error, "a socket's writer ended badly");
    }
    pipeline.core().metrics.sockets.dec();
}

/// Sends what is queued, and pings. Ends after a close frame, when everybody who could send has gone, or when the peer
/// does not read.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut queue: mpsc::Receiver<Message>) {
    let mut pings = interval(PING_PERIOD);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    loop {
        let message = tokio::select! {
            message = queue.recv() => match message {
                Some(message) => message,
                None => return,
            },
            _ = pings.tick() => Message::Ping(Vec::new().into()),
        };
        let last = matches!(message, Message::Close(_));
        let sent = timeout(SEND_TIME, sink.send(message)).await;
        if last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

async fn read(
    mut stream: SplitStream<WebSocket>,
    pipeline: &Arc<Pipeline>,
    outgoing: mpsc::Sender<Message>,
    mut stop: watch::Receiver<bool>,
    meter: &Meter,
) {
    let calls = Arc::new(Semaphore::new(SOCKET_CALLS_MAX));
    let reason = loop {
        let deadline = Instant::now() + SILENCE_MAX;
        let message = tokio::select! {
            message = timeout_at(deadline, stream.next()) => message,
            _ = stop.changed() => break Some(Reason::Stopping),
            // The writer gave up a peer that does not read.
            () = outgoing.closed() => break None,
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
                let Ok(place) = Arc::clone(&calls).acquire_owned().await else { break None };
                let (pipeline, outgoing) = (Arc::clone(pipeline), outgoing.clone());
                tokio::spawn(async move {
                    let answer = answer(&pipeline, envelope).await;
                    // The socket may be gone; the call was made all the same.
                    let _ = outgoing.send(Message::Text(answer.into())).await;
                    drop(place);
                });
            }
            Ok(Some(Ok(Message::Binary(_)))) => break Some(Reason::NotUnderstood),
            // Reading on answers the ping, and the close, after which the stream ends.
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)))) => {}
        }
    };
    if let Some(reason) = reason {
        tracing::debug!(?reason, "closing a socket");
        if reason == Reason::Stopping {
            // Calls that run are answered before the socket closes.
            let all = u32::try_from(SOCKET_CALLS_MAX).unwrap_or(u32::MAX);
            let _ = timeout(STOP_TIME, calls.acquire_many(all)).await;
        }
        let _ = outgoing.send(Message::Close(Some(reason.frame()))).await;
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
async fn answer(pipeline: &Pipeline, mut envelope: Fields) -> String {
    let x_gs2 = envelope.remove("x_gs2").unwrap_or(Value::Null);
    let word = |name: &str| x_gs2.get(name).and_then(Value::as_str).unwrap_or_default();
    let request_id = x_gs2.get("requestId").cloned().filter(|id| !id.is_null());
    let credentials = credentials(&mut envelope);
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
    }
}
