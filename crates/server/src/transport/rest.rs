//! REST: `/{service}{path}`, or by host name `{service}.{anything}{path}`.

use std::io::Write;
use std::sync::Arc;

use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hiroba_api::contract::{Credentials, Fields, RouteMatch, Router};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::Value;

use super::body;
use super::limits::{GZIP_BYTES_MIN, URL_BYTES_MAX};
use crate::pipeline::{Pipeline, Reply};

const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-gs2-access-token");
const DRY_RUN: HeaderName = HeaderName::from_static("x-gs2-dry-run");
const DUPLICATION_AVOIDER: HeaderName = HeaderName::from_static("x-gs2-duplication-avoider");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-gs2-request-id");
const TIME_OFFSET_TOKEN: HeaderName = HeaderName::from_static("x-gs2-time-offset-token");

/// Takes one REST request.
pub(super) async fn handle(
    pipeline: &Pipeline,
    head: Parts,
    body: Incoming,
    is_tls: bool,
) -> Response<Full<Bytes>> {
    let gzip_wanted = header(&head.headers, &ACCEPT_ENCODING).is_some_and(|wanted| wanted == "gzip");
    let reply = match read(pipeline, &head, body).await {
        Ok((matched, fields)) => {
            let credentials = Credentials { base_url: base_url(&head, is_tls), ..credentials(&head.headers) };
            pipeline.call(matched.row, fields, credentials).await
        }
        Err(error) => pipeline.refuse(&error, text(&head.headers, &REQUEST_ID)),
    };
    response(reply, gzip_wanted)
}

/// Answers a request that is refused before any operation is looked for.
pub(super) fn refuse(pipeline: &Pipeline, head: &Parts, error: &ApiError) -> Response<Full<Bytes>> {
    response(pipeline.refuse(error, text(&head.headers, &REQUEST_ID)), false)
}

/// Finds the operation and makes the flat object: body, then query, then path, of which the later wins.
async fn read(pipeline: &Pipeline, head: &Parts, body: Incoming) -> Result<(RouteMatch, Fields), ApiError> {
    let url_bytes = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    if url_bytes > URL_BYTES_MAX {
        let detail = format!("the URL must have at most {URL_BYTES_MAX} bytes");
        return Err(ApiError::bad_request("server", "request", "url", "tooLong", detail));
    }
    let (service, matched) = route(pipeline.core().table.router(), head)?;
    let mut fields = body::read_fields(service, body, is_gzip(&head.headers)).await?;
    if let Some(query) = head.uri.query() {
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            // The TypeScript SDKs send every unset parameter as the text `null` (`core.json`, queryStrings).
            if !value.is_empty() && value != "null" {
                if value.contains('\u{fffd}') && query.contains('%') && !is_utf8(query) {
                    let detail = "the query is no UTF-8 once it is decoded";
                    return Err(ApiError::bad_request(service, "request", "url", "invalid", detail));
                }
                fields.insert(name.into_owned(), Value::String(value.into_owned()));
            }
        }
    }
    for (name, value) in &matched.params {
        fields.insert((*name).to_owned(), Value::String(value.clone()));
    }
    // A missing path parameter is missing, whatever the body says.
    for name in pipeline.core().table.row(matched.row).path_params() {
        if !matched.params.iter().any(|(given, _)| *given == name) {
            fields.remove(name);
        }
    }
    Ok((matched, fields))
}

fn is_utf8(query: &str) -> bool {
    percent_encoding::percent_decode_str(query).decode_utf8().is_ok()
}

/// The operation that host and path name. By host first: `lock.example` serves Lock's paths at its root.
fn route<'p>(router: &'p Router, head: &'p Parts) -> Result<(&'p str, RouteMatch), ApiError> {
    let (method, path) = (head.method.as_str(), head.uri.path());
    let find = |service: &str, path: &str| {
        router.find(service, method, path).map_err(|error| {
            let detail = format!("`{}` is no UTF-8 once it is decoded", error.0);
            ApiError::bad_request(service, "request", error.0, "invalid", detail)
        })
    };
    let host = head.uri.host().or_else(|| header(&head.headers, &HOST)).unwrap_or_default();
    let by_host = host.split_once('.').map(|(label, _)| label).filter(|label| router.has_service(label));
    if let Some(service) = by_host
        && let Some(matched) = find(service, path)?
    {
        return Ok((service, matched));
    }
    let rest = path.strip_prefix('/').unwrap_or(path);
    let (service, rest) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    match find(service, rest)? {
        Some(matched) => Ok((service, matched)),
        None => {
            let detail =
                format!("there is no operation at {method} {path}; the reference pages list all of them");
            let item = ErrorItem::new("server", "operation", "operation", "notFound", detail);
            Err(ApiError::one(Status::NotFound, item))
        }
    }
}

/// Whether the body is compressed.
pub(super) fn is_gzip(headers: &HeaderMap) -> bool {
    header(headers, &CONTENT_ENCODING).is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"))
}

/// URL under which the sender of a request reaches the server; a proxy in front says that it speaks TLS.
pub(super) fn base_url(head: &Parts, is_tls: bool) -> Option<Arc<str>> {
    let host = header(&head.headers, &HOST).or_else(|| head.uri.authority().map(Authority::as_str))?;
    let in_host =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(in_host) {
        return None;
    }
    let scheme = match header(&head.headers, &FORWARDED_PROTO) {
        Some("https") => "https",
        Some("http") => "http",
        _ if is_tls => "https",
        _ => "http",
    };
    Some([scheme, "://", host].concat().into())
}

fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    header(headers, name).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn credentials(headers: &HeaderMap) -> Credentials {
    let bearer = header(headers, &AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    Credentials {
        project_token: bearer.filter(|token| !token.is_empty()),
        access_token: text(headers, &ACCESS_TOKEN),
        time_offset_token: text(headers, &TIME_OFFSET_TOKEN),
        duplication_avoider: text(headers, &DUPLICATION_AVOIDER),
        dry_run: header(headers, &DRY_RUN).is_some_and(|value| value.eq_ignore_ascii_case("true")),
        request_id: text(headers, &REQUEST_ID),
        connection_id: None,
        base_url: None,
    }
}

/// The answer as a response. Its length is always known: Java reads exactly that many bytes.
fn response(reply: Reply, gzip_wanted: bool) -> Response<Full<Bytes>> {
    let compressed =
        if gzip_wanted && reply.body.len() >= GZIP_BYTES_MIN { gzip(reply.body.as_bytes()) } else { None };
    let encoded = compressed.is_some();
    let mut response = Response::new(Full::from(compressed.unwrap_or_else(|| reply.body.into_bytes())));
    // The protocol's statuses are all valid; anything else would be our fault.
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if encoded {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(id) = HeaderValue::try_from(reply.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}
