//! Files in a store that speaks the protocol of Amazon S3: objects of one bucket, addressed by path. Larger files are uploaded
//! in parts, so that one part is all that is ever in memory.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use instant_xml::FromXml;
use jiff::Timestamp;
use reqwest::{Client, Method, Response, StatusCode, Url};
use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::config::Config;
use crate::outbound::{cause, client};

/// Bytes of a part; S3 takes at most 10,000, of at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Attempts at a request that may succeed later, and the pause after the first; it doubles.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
/// Time to connect, and time without a byte after which a request is given up.
const CONNECT_TIME: Duration = Duration::from_secs(5);
const READ_TIME: Duration = Duration::from_secs(30);
/// Time for which the URL of a request is good: each attempt has its own, but clocks differ.
const URL_TIME: Duration = Duration::from_secs(300);
/// Bytes of an answer that is no file.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Before the names of objects.
const PREFIX: &str = "user-data/";

/// A bucket.
#[derive(Clone)]
pub(super) struct S3 {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    bucket: Bucket,
    credentials: Credentials,
    clock: Clock,
}

/// What S3 answers to a request that it does not do.
#[derive(FromXml)]
#[xml(rename = "Error")]
struct Failure {
    #[xml(rename = "Code")]
    code: String,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key.
        formatter.debug_tuple("S3").field(&self.shared.bucket).finish()
    }
}

impl S3 {
    /// The bucket that the settings name; `None` when they name none.
    pub(super) fn new(config: &Config, clock: Clock) -> anyhow::Result<Option<S3>> {
        let Some(url) = &config.s3_url else { return Ok(None) };
        let bucket = config.s3_bucket.as_deref().context("--s3-url needs --s3-bucket")?;
        let key = config.s3_access_key_id.as_ref().zip(config.s3_secret_access_key.as_ref());
        let (id, secret) = key.context("--s3-url needs --s3-access-key-id and --s3-secret-access-key")?;
        let plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        };
        ensure!(!bucket.is_empty() && plain(bucket), "--s3-bucket must be the name of a bucket");
        // The URL may hold a password by mistake, and stays out of these texts.
        let parsed = Url::parse(url).context("--s3-url is no URL")?;
        let bare = parsed.username().is_empty() && parsed.password().is_none() && parsed.path() == "/";
        ensure!(bare, "--s3-url must be scheme, host and port only; the bucket is --s3-bucket");
        let bucket = Bucket::new(parsed, UrlStyle::Path, bucket.to_owned(), config.s3_region.clone());
        let bucket = bucket.ok().context("--s3-url names no store")?;
        let client = client()?.connect_timeout(CONNECT_TIME).read_timeout(READ_TIME).no_gzip().build()?;
        let credentials = Credentials::new(id, secret.text());
        Ok(Some(S3 { shared: Arc::new(Shared { client, bucket, credentials, clock }) }))
    }

    fn bucket(&self) -> (&Bucket, Option<&Credentials>) {
        (&self.shared.bucket, Some(&self.shared.credentials))
    }

    pub(super) fn create(&self, name: &str) -> Writer {
        let (s3, object) = (self.clone(), object(name));
        Writer { s3, object, buffer: Vec::new(), upload: None, tags: Vec::new() }
    }

    pub(super) async fn open(&self, name: &str) -> io::Result<Option<Reader>> {
        let (bucket, credentials) = self.bucket();
        let object = object(name);
        let response = self.ask(&bucket.get_object(credentials, &object), Bytes::new()).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = checked(response).await?;
        let bytes = response.content_length();
        let bytes = bytes.ok_or_else(|| io::Error::other("S3 does not say how long an object is"))?;
        Ok(Some(Reader { response, bytes }))
    }

    pub(super) async fn delete(&self, name: &str) -> io::Result<()> {
        let (bucket, credentials) = self.bucket();
        let object = object(name);
        let response = self.ask(&bucket.delete_object(credentials, &object), Bytes::new()).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        checked(response).await.map(|_| ())
    }

    /// Makes a request, again when it may succeed later. All that are made here may be repeated.
    async fn ask<'a, A: S3Action<'a>>(&self, action: &A, body: Bytes) -> io::Result<Response> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let answer = self.send(action, body.clone())?.await;
            let passes = match &answer {
                Ok(response) => {
                    let status = response.status();
                    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
                }
                Err(error) => !error.is_builder(),
            };
            if !passes || attempt == ATTEMPTS {
                return answer.map_err(failed);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(io::Error::other("S3 was asked too often"))
    }

    /// One attempt. Its URL permits the request: it is never shown.
    fn send<'a, A: S3Action<'a>>(
        &self,
        action: &A,
        body: Bytes,
    ) -> io::Result<impl Future<Output = reqwest::Result<Response>> + use<A>> {
        let Shared { client, clock, .. } = &*self.shared;
        let now = Timestamp::from_millisecond(clock.now().0).map_err(io::Error::other)?;
        let method = Method::from_bytes(A::METHOD.to_str().as_bytes()).map_err(io::Error::other)?;
        Ok(client.request(method, action.sign_with_time(URL_TIME, &now)).body(body).send())
    }

    async fn succeed<'a, A: S3Action<'a>>(&self, action: &A, body: Bytes) -> io::Result<Response> {
        checked(self.ask(action, body).await?).await
    }
}

fn object(name: &str) -> String {
    [PREFIX, name].concat()
}

fn failed(error: reqwest::Error) -> io::Error {
    io::Error::other(format!("S3: {}", cause(error)))
}

/// The answer, when it is one that means success.
async fn checked(response: Response) -> io::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let code = code(&text(response).await?);
    Err(io::Error::other(format!("S3 answered {status} {code:.100}")))
}

/// What S3 calls its failure. Its further words may repeat what was signed.
fn code(body: &str) -> String {
    instant_xml::from_str(body).map_or_else(|_| String::new(), |failure: Failure| failure.code)
}

/// The body of a short answer.
async fn text(mut response: Response) -> io::Result<String> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await.map_err(failed)?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// An object that is being uploaded.
pub(crate) struct Writer {
    s3: S3,
    object: String,
    /// What is not uploaded yet: less than a part.
    buffer: Vec<u8>,
    /// The upload in parts, once there is more than one part.
    upload: Option<String>,
    /// What S3 calls the parts that it has.
    tags: Vec<String>,
}

impl Writer {
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.buffer.len() == PART_BYTES {
                self.part().await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// The upload in parts, which is begun when it is not.
    async fn upload(&mut self) -> io::Result<String> {
        if let Some(upload) = &self.upload {
            return Ok(upload.clone());
        }
        let (bucket, credentials) = self.s3.bucket();
        let create = bucket.create_multipart_upload(credentials, &self.object);
        let answer = text(self.s3.succeed(&create, Bytes::new()).await?).await?;
        let created = CreateMultipartUpload::parse_response(&answer)
            .map_err(|_| io::Error::other("S3 began no upload in parts"))?;
        Ok(self.upload.insert(created.upload_id().to_owned()).clone())
    }

    /// Uploads what is in the buffer as a part.
    async fn part(&mut self) -> io::Result<()> {
        let upload = self.upload().await?;
        let number = u16::try_from(self.tags.len() + 1).map_err(io::Error::other)?;
        let body = Bytes::from(std::mem::take(&mut self.buffer));
        let (bucket, credentials) = self.s3.bucket();
        let part = bucket.upload_part(credentials, &self.object, number, &upload);
        let response = self.s3.succeed(&part, body).await?;
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let tag = tag.ok_or_else(|| io::Error::other("S3 names no tag of a part"))?;
        self.tags.push(tag.to_owned());
        Ok(())
    }

    pub(super) async fn finish(mut self) -> io::Result<()> {
        if self.upload.is_none() {
            let body = Bytes::from(std::mem::take(&mut self.buffer));
            let (bucket, credentials) = self.s3.bucket();
            return self.s3.succeed(&bucket.put_object(credentials, &self.object), body).await.map(|_| ());
        }
        if !self.buffer.is_empty() {
            self.part().await?;
        }
        let upload = self.upload().await?;
        let (bucket, credentials) = self.s3.bucket();
        let tags = self.tags.iter().map(String::as_str);
        let complete = bucket.complete_multipart_upload(credentials, &self.object, &upload, tags);
        let body = Bytes::from(complete.clone().body());
        let answer = text(self.s3.succeed(&complete, body).await?).await?;
        // A failure may come with status 200.
        if CompleteMultipartUploadResponse::parse(&answer).is_err() {
            let code = code(&answer);
            return Err(io::Error::other(format!("S3 did not put the parts together: {code:.100}")));
        }
        self.upload = None;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        // Parts of an upload that nobody ends stay, and cost, for ever.
        let (s3, object) = (self.s3.clone(), std::mem::take(&mut self.object));
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let (bucket, credentials) = s3.bucket();
            let abort = bucket.abort_multipart_upload(credentials, &object, &upload);
            if let Err(error) = s3.succeed(&abort, Bytes::new()).await {
                tracing::warn!(%error, "the parts of an unfinished upload stay in S3");
            }
        });
    }
}

/// An object that is being read.
pub(crate) struct Reader {
    response: Response,
    bytes: u64,
}

impl Reader {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.response.chunk().await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failures_show_no_signature() {
        // Nobody listens any more.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = Config::new("");
        config.s3_url = Some(format!("http://{address}"));
        config.s3_bucket = Some("bucket".to_owned());
        config.s3_access_key_id = Some("the-id".to_owned());
        config.s3_secret_access_key = Some("the-secret".to_owned().into());
        let s3 = S3::new(&config, Clock::system()).unwrap().unwrap();
        let shown = format!("{s3:?} {}", s3.delete("name").await.unwrap_err());
        assert!(shown.contains("bucket") && shown.contains("S3: "), "{shown}");
        for hidden in ["X-Amz", "the-id", "the-secret"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }

    #[test]
    fn of_a_failure_its_code_is_told() {
        let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>m</Message>\
                    <StringToSign>s</StringToSign></Error>";
        assert_eq!(code(body), "AccessDenied");
        assert_eq!(code("<html>no</html>"), "");
        assert_eq!(code(""), "");
    }
}
