//! Uploads: `PUT` of raw content to the URL that a call answered. The URL is the permission.

use axum::http::request::Parts;
use axum::http::{Method, Response};
use bytes::Bytes;
use hiroba_api::error::{ApiError, ErrorItem, Status};
use http_body_util::Full;
use hyper::body::Incoming;

use super::limits::UPLOAD_BYTES_MAX;
use super::{body, rest};
use crate::error::Error;
use crate::pipeline::Pipeline;
use crate::services::uploads;

/// The token that a path names, when it is one of uploads.
pub(super) fn token(path: &str) -> Option<&str> {
    path.strip_prefix(uploads::PATH)
}

/// Takes the content for a token: 200 without a body, or a refusal of the protocol's shape.
pub(super) async fn handle(
    pipeline: &Pipeline,
    head: &Parts,
    token: &str,
    body: Incoming,
) -> Response<Full<Bytes>> {
    match pipeline.beside("upload", receive(pipeline, head, token, body)).await {
        Ok(()) => Response::new(Full::default()),
        Err(error) => rest::refuse(pipeline, head, &error),
    }
}

async fn receive(pipeline: &Pipeline, head: &Parts, token: &str, body: Incoming) -> Result<(), Error> {
    if head.method != Method::PUT {
        let detail = "an upload is sent with the method PUT";
        return Err(ApiError::bad_request("server", "upload", "method", "invalid", detail).into());
    }
    let core = pipeline.core();
    // Asked before reading, so that nobody keeps the server busy with what it will not keep.
    if !uploads::is_expected(core, token).await? {
        return Err(unknown());
    }
    let content = body::read_bytes(body, rest::is_gzip(&head.headers), UPLOAD_BYTES_MAX).await?;
    // Its place among the large bodies is given up when it is stored.
    let (content, _place) = content.ok_or_else(too_large)?;
    if uploads::put(core, token, content).await? { Ok(()) } else { Err(unknown()) }
}

fn unknown() -> Error {
    let detail = "nothing is expected here: the upload was prepared more than an hour ago, was used already, or never \
                  prepared; prepare another one";
    ApiError::not_found("server", "upload", detail).into()
}

fn too_large() -> Error {
    let detail = format!("an upload must have at most {UPLOAD_BYTES_MAX} bytes");
    ApiError::one(Status::TooLarge, ErrorItem::new("server", "upload", "content", "tooLong", detail)).into()
}
