//! Request bodies: bounded in bytes, time and number, decompressed, parsed.

use std::io::Read;

use flate2::read::GzDecoder;
use hiroba_api::contract::Fields;
use hiroba_api::error::{ApiError, ErrorItem, Status};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::limits::{
    BODY_BYTES_MAX, BODY_TIME, DECOMPRESSED_BYTES_MAX, JSON_VALUES_MAX, LARGE_BODIES_MAX, SMALL_BODY_BYTES,
};
use crate::json::values_at_most;

/// A body that is larger than most holds one of these until it is parsed.
static LARGE_BODIES: Semaphore = Semaphore::const_new(LARGE_BODIES_MAX);

/// Bytes whose decompression is too much work for a task that serves calls.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// Reads a request body as a flat object; an empty body is an empty object.
pub(super) async fn read_fields(service: &str, body: Incoming, gzip: bool) -> Result<Fields, ApiError> {
    if body.is_end_stream() {
        return Ok(Fields::new());
    }
    let collected = collect(service, body, BODY_BYTES_MAX).await?;
    let (mut bytes, mut place) = collected.ok_or_else(|| too_long(service, "the body", BODY_BYTES_MAX))?;
    if gzip {
        let decompressed = decompress(service, bytes, &mut place, DECOMPRESSED_BYTES_MAX).await?;
        bytes =
            decompressed.ok_or_else(|| too_long(service, "the decompressed body", DECOMPRESSED_BYTES_MAX))?;
    }
    parse(service, &bytes)
}

/// The bytes of a body, and its place among the large ones; `None` when it has more than `max`.
pub(super) async fn read_bytes(
    body: Incoming,
    gzip: bool,
    max: usize,
) -> Result<Option<(Vec<u8>, Place)>, ApiError> {
    const SERVICE: &str = "server";
    // What is announced as too large need not be read.
    if body.size_hint().lower() > max as u64 {
        return Ok(None);
    }
    let Some((bytes, mut place)) = collect(SERVICE, body, max).await? else { return Ok(None) };
    if !gzip {
        return Ok(Some((bytes, place)));
    }
    let bytes = decompress(SERVICE, bytes, &mut place, max).await?;
    Ok(bytes.map(|bytes| (bytes, place)))
}

fn too_long(service: &str, what: &str, max: usize) -> ApiError {
    let detail = format!("{what} must have at most {max} bytes");
    ApiError::bad_request(service, "request", "body", "tooLong", detail)
}

fn invalid(service: &str, detail: impl Into<String>) -> ApiError {
    ApiError::bad_request(service, "request", "body", "invalid", detail)
}

fn too_slow(service: &str) -> ApiError {
    let detail = format!("the body did not arrive within {} s", BODY_TIME.as_secs());
    ApiError::one(Status::Timeout, ErrorItem::new(service, "request", "body", "failed", detail))
}

/// What a body that is larger than most holds while it is in memory.
pub(super) type Place = Option<SemaphorePermit<'static>>;

/// Waits for a place for a large body.
async fn place() -> Place {
    // The semaphore is never closed, so that waiting for it cannot fail.
    LARGE_BODIES.acquire().await.ok()
}

/// Reads a body; `None` when it has more than `max` bytes.
async fn collect(
    service: &str,
    mut body: Incoming,
    max: usize,
) -> Result<Option<(Vec<u8>, Place)>, ApiError> {
    let mut bytes = Vec::new();
    let mut large = None;
    let mut deadline = Instant::now() + BODY_TIME;
    while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(|_| too_slow(service))? {
        let frame = frame.map_err(|error| invalid(service, format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > max {
            return Ok(None);
        }
        if bytes.len() + data.len() > SMALL_BODY_BYTES && large.is_none() {
            let asked = Instant::now();
            large = place().await;
            deadline += asked.elapsed();
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some((bytes, large)))
}

/// Decompresses a body; `None` when it has more than `max` bytes then.
async fn decompress(
    service: &str,
    bytes: Vec<u8>,
    large: &mut Place,
    max: usize,
) -> Result<Option<Vec<u8>>, ApiError> {
    let wire = bytes.len();
    let small = inflate(&bytes[..], SMALL_BODY_BYTES);
    let inflated = match small {
        // Small bodies, nearly all, are done here; what inflates to more takes a place first.
        Inflated::Whole(inflated) => return Ok(Some(inflated)),
        Inflated::Broken(error) => return Err(invalid(service, format!("the gzip body is broken: {error}"))),
        Inflated::TooLong => {
            if large.is_none() {
                *large = place().await;
            }
            if wire > INLINE_BYTES_MAX {
                let job = tokio::task::spawn_blocking(move || inflate(&bytes[..], max));
                job.await.unwrap_or_else(|error| Inflated::Broken(error.to_string()))
            } else {
                inflate(&bytes[..], max)
            }
        }
    };
    match inflated {
        Inflated::Whole(inflated) => Ok(Some(inflated)),
        Inflated::Broken(error) => Err(invalid(service, format!("the gzip body is broken: {error}"))),
        Inflated::TooLong => Ok(None),
    }
}

enum Inflated {
    Whole(Vec<u8>),
    TooLong,
    Broken(String),
}

fn inflate(bytes: &[u8], max: usize) -> Inflated {
    let mut inflated = Vec::new();
    match GzDecoder::new(bytes).take(max as u64 + 1).read_to_end(&mut inflated) {
        Ok(_) if inflated.len() > max => Inflated::TooLong,
        Ok(_) => Inflated::Whole(inflated),
        Err(error) => Inflated::Broken(error.to_string()),
    }
}

/// Parses a JSON object of bounded size.
pub(super) fn parse(service: &str, bytes: &[u8]) -> Result<Fields, ApiError> {
    if bytes.is_empty() {
        return Ok(Fields::new());
    }
    if values_at_most(bytes, JSON_VALUES_MAX) > JSON_VALUES_MAX {
        let detail = format!("the body must hold at most {JSON_VALUES_MAX} JSON values");
        return Err(ApiError::bad_request(service, "request", "body", "tooMany", detail));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        // The error's own text may quote the body, which may hold secrets.
        let place = format!("line {} column {}", error.line(), error.column());
        invalid(service, format!("the body is no JSON object ({:?} error at {place})", error.classify()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_refused() {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
        let wide = format!("{{\"x\":[{}]}}", vec!["0"; 200_000].join(","));
        for wrong in ["[]", "null", "{", "{\"a\":1}x", "{\"a\":\"\\ud800\"}", "\u{feff}{}", &deep, &wide] {
            assert!(parse("lock", wrong.as_bytes()).is_err(), "{:.40}", wrong);
        }
        assert!(parse("lock", b"{\"a\":\"\xff\"}").is_err());
        assert!(parse("lock", b"").is_ok());
    }
}
