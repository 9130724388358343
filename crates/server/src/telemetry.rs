//! Sends a span of each call to a collector of OpenTelemetry, by OTLP over HTTP. Traces and spans are named after the ids of
//! the calls, so that a call is found under its request id there as in the logs.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use aws_lc_rs::digest;
use axum::http::{Request, Response};
use bytes::Bytes;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use tokio::runtime::Handle;

use crate::logs::Trace;
use crate::outbound;

/// How long one export may take.
const EXPORT_TIME: Duration = Duration::from_secs(10);
/// How long what waits is sent when the server stops.
const STOP_TIME: Duration = Duration::from_secs(5);

/// What sends spans. Spans wait in a bounded queue; further ones are dropped.
#[derive(Debug)]
pub(crate) struct Telemetry {
    processor: BatchSpanProcessor,
}

/// A call that was answered.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// Its place among others.
    pub(crate) trace: &'a Trace,
    /// Service and operation.
    pub(crate) service: &'static str,
    pub(crate) method: &'a str,
    /// Status of the answer.
    pub(crate) status: u16,
    /// When it was answered, in milliseconds.
    pub(crate) ended_at: i64,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

impl Telemetry {
    /// Sends to the collector at this URL, such as `http://localhost:4318`.
    pub(crate) fn new(endpoint: &str) -> anyhow::Result<Telemetry> {
        let client = outbound::client().context("setting TLS up")?.timeout(EXPORT_TIME).build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { client, runtime: Handle::current() })
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(EXPORT_TIME)
            .build()
            .context("setting the export of spans up")?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("hiroba").with_attribute(version).build();
        processor.set_resource(&resource);
        Ok(Telemetry { processor })
    }

    /// Sends the span of a call.
    pub(crate) fn called(&self, call: &Call<'_>) {
        let Some(id) = call.trace.id.as_deref() else { return };
        let root = call.trace.root.as_deref().unwrap_or(id);
        let ended_at = Duration::from_millis(u64::try_from(call.ended_at).unwrap_or_default());
        let end_time = SystemTime::UNIX_EPOCH + ended_at;
        let mut attributes = vec![
            KeyValue::new("rpc.system", "gs2"),
            KeyValue::new("rpc.service", call.service),
            KeyValue::new("rpc.method", call.method.to_owned()),
            KeyValue::new("gs2.request_id", id.to_owned()),
            KeyValue::new("gs2.status", i64::from(call.status)),
        ];
        if let Some(source) = &call.trace.source {
            attributes.push(KeyValue::new("gs2.source_request_id", source.to_string()));
        }
        let status = if call.status == 200 { Status::Ok } else { Status::error(call.status.to_string()) };
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(
                trace_id(root),
                span_id(id),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: call.trace.source.as_deref().map_or(SpanId::INVALID, span_id),
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: format!("{}.{}", call.service, call.method).into(),
            start_time: end_time - call.elapsed,
            end_time,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: InstrumentationScope::builder("hiroba").build(),
        });
    }

    /// Sends what waits. Blocks.
    pub(crate) fn stop(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(STOP_TIME) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// The UUID itself where the id is one, so that tools of both sides know it under one name; else made of the text.
fn trace_id(id: &str) -> TraceId {
    let digits: String = id.chars().filter(|character| *character != '-').collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if digits.len() == 32 && number != 0 => TraceId::from_bytes(number.to_be_bytes()),
        _ => {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash(id)[..16]);
            TraceId::from_bytes(bytes)
        }
    }
}

fn span_id(id: &str) -> SpanId {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash(id)[..8]);
    SpanId::from_bytes(bytes)
}

fn hash(id: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, id.as_bytes()).as_ref());
    bytes
}

/// Makes the requests of the exporter on the server's runtime: the exporter's own thread has none.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl HttpClient for Client {
    fn send_bytes<'client, 'future>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'client: 'future,
        Self: 'future,
    {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move {
            let answer = client.execute(request.try_into()?).await?;
            let status = answer.status();
            let mut response = Response::new(answer.bytes().await?);
            *response.status_mut() = status;
            Ok(response)
        });
        Box::pin(async move { sending.await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_the_trace_and_any_other_id_has_one() {
        let uuid = "01234567-89ab-4cde-8f01-23456789abcd";
        assert_eq!(trace_id(uuid).to_string(), uuid.replace('-', ""));
        assert_eq!(trace_id("my-request"), trace_id("my-request"));
        assert_ne!(trace_id("my-request"), trace_id("other"));
        assert_ne!(trace_id("00000000-0000-0000-0000-000000000000"), TraceId::INVALID);
        assert_ne!(span_id("a"), span_id("b"));
    }
}
