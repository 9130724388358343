//! Files of user data: a signed URL is the permission to read one, an upload token the permission to put one. Both are
//! streamed, however large they are.

use std::io;

use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use bytes::Bytes;
use hiroba_api::error::{ApiError, ErrorItem, Status};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as _, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::limits::{DATA_PART_TIME, DATA_TIME, DATA_UPLOADS_MAX};
use super::rest;
use crate::error::Error;
use crate::files::Reader;
use crate::pipeline::Pipeline;
use crate::services::user_data::{self, Link};

/// The body of an answer: in memory, or as it comes.
pub(super) type Body = Either<Full<Bytes>, Channel<Bytes, io::Error>>;

/// Uploads that arrive at once.
static UPLOADS: Semaphore = Semaphore::const_new(DATA_UPLOADS_MAX);

/// What follows in a path of files.
pub(super) fn path(path: &str) -> Option<&str> {
    path.strip_prefix(user_data::PATH)
}

/// Answers a file, or takes one.
pub(super) async fn handle(pipeline: &Pipeline, head: &Parts, path: &str, body: Incoming) -> Response<Body> {
    if head.method == Method::PUT {
        return match pipeline.beside("upload", receive(pipeline, head, path, body)).await {
            Ok(()) => Response::new(Either::Left(Full::default())),
            Err(error) => rest::refuse(pipeline, head, &error).map(Either::Left),
        };
    }
    // The protocol has no status for what it does not describe.
    let refuse = |status: StatusCode, problem, detail: &str| {
        let item = ErrorItem::new("server", "file", "file", problem, detail);
        let mut response = rest::refuse(pipeline, head, &ApiError::one(Status::NotFound, item));
        *response.status_mut() = status;
        response.map(Either::Left)
    };
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let detail = "a file is read with GET and sent with PUT";
        return refuse(StatusCode::BAD_REQUEST, "invalid", detail);
    }
    let core = pipeline.core();
    let name = match core.user_data.links.read(path, core.clock.now()) {
        Link::File(name) => name,
        Link::Expired => {
            let detail = "this URL was good for an hour; ask for another one";
            return refuse(StatusCode::GONE, "expired", detail);
        }
        Link::Forged => {
            return refuse(StatusCode::FORBIDDEN, "invalid", "this URL is none that this server answered");
        }
    };
    let open = async {
        let opened = core.files.open(name).await;
        opened.map_err(|error| Error::internal("opening a file of user data", error))
    };
    match pipeline.beside("download", open).await {
        Ok(Some(reader)) => file(name, reader, head.method == Method::HEAD),
        Ok(None) => {
            let detail = "the file is gone, or on another node: several nodes need a store that all reach (`--s3-url`)";
            refuse(StatusCode::NOT_FOUND, "notFound", detail)
        }
        Err(error) => rest::refuse(pipeline, head, &error).map(Either::Left),
    }
}

fn file(name: &str, reader: Reader, head_only: bool) -> Response<Body> {
    let (content_type, disposition) = if name.starts_with("dump-") {
        ("application/zip", "attachment; filename=\"user-data.zip\"")
    } else {
        ("text/plain; charset=utf-8", "attachment; filename=\"import.log\"")
    };
    let bytes = reader.bytes();
    let body = if head_only {
        Either::Left(Full::default())
    } else {
        let (sender, channel) = Channel::new(1);
        tokio::spawn(send(reader, sender));
        Either::Right(channel)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    response
}

/// Sends a file as fast as the peer reads it; ends when the peer is gone.
async fn send(mut reader: Reader, mut sender: Sender<Bytes, io::Error>) {
    loop {
        match reader.next().await {
            Ok(Some(bytes)) => {
                if sender.send_data(bytes).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "a file of user data cannot be read on");
                sender.abort(error);
                return;
            }
        }
    }
}

async fn receive(pipeline: &Pipeline, head: &Parts, token: &str, body: Incoming) -> Result<(), Error> {
    let core = pipeline.core();
    // Asked before reading, so that nobody keeps the server busy with what it will not keep.
    let name = user_data::expected(core, token).await?.ok_or_else(unknown)?;
    if rest::is_gzip(&head.headers) {
        let detail = "the file is an archive, which is sent as it is, without `Content-Encoding`";
        return Err(ApiError::bad_request("server", "upload", "content", "invalid", detail).into());
    }
    let bytes_max = core.user_data.upload_bytes_max;
    // What is announced as too large need not be read.
    if body.size_hint().lower() > bytes_max {
        return Err(too_large(bytes_max));
    }
    let _place = timeout(DATA_PART_TIME, UPLOADS.acquire()).await.map_err(|_| too_slow())?;
    let arrived = timeout(DATA_TIME, store(pipeline, &name, body, bytes_max)).await;
    let writer = arrived.map_err(|_| too_slow())??;
    // An import may have begun meanwhile with what was there before.
    if user_data::expected(core, token).await?.is_none() {
        return Err(unknown());
    }
    writer.finish().await.map_err(failed)
}

/// Writes a body into a file that is not finished yet.
async fn store(
    pipeline: &Pipeline,
    name: &str,
    mut body: Incoming,
    bytes_max: u64,
) -> Result<crate::files::Writer, Error> {
    let mut writer = pipeline.core().files.create(name).await.map_err(failed)?;
    let (mut waiting, mut bytes) = (Vec::new(), 0);
    while let Some(frame) = timeout(DATA_PART_TIME, body.frame()).await.map_err(|_| too_slow())? {
        let broke_off = |error| {
            let detail = format!("the body broke off: {error}");
            ApiError::bad_request("server", "upload", "content", "invalid", detail)
        };
        let Ok(data) = frame.map_err(broke_off)?.into_data() else { continue };
        bytes += data.len() as u64;
        if bytes > bytes_max {
            return Err(too_large(bytes_max));
        }
        waiting.extend_from_slice(&data);
        // Each write is a matter of another thread, so that small ones do not pay.
        if waiting.len() >= WRITE_BYTES {
            writer = writer.write(std::mem::take(&mut waiting).into()).await.map_err(failed)?;
        }
    }
    writer.write(waiting.into()).await.map_err(failed)
}

/// Bytes that are written to a file at once.
const WRITE_BYTES: usize = 256 << 10;

fn failed(error: io::Error) -> Error {
    Error::internal("storing an uploaded file of user data", error)
}

fn unknown() -> Error {
    let detail = "nothing is expected here: the import was prepared more than an hour ago, has begun, is done, or was never \
                  prepared; prepare another one";
    ApiError::not_found("server", "upload", detail).into()
}

fn too_slow() -> Error {
    let seconds = DATA_PART_TIME.as_secs();
    let detail =
        format!("the file did not arrive: nothing came for {seconds} s, or others upload too much at once");
    ApiError::one(Status::Timeout, ErrorItem::new("server", "upload", "content", "failed", detail)).into()
}

fn too_large(bytes_max: u64) -> Error {
    let detail =
        format!("a file of user data must have at most {bytes_max} bytes (`--user-data-upload-bytes-max`)");
    ApiError::one(Status::TooLarge, ErrorItem::new("server", "upload", "content", "tooLong", detail)).into()
}
