//! Files in a store that speaks the protocol of Amazon S3: objects of one bucket, addressed by path. Larger files are uploaded
//! in parts, so that one part is all that is ever in memory.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use reqwest::{Client, Method, Response, StatusCode, Url};
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::config::Config;
use crate::outbound::signature::{Credentials, Signer, Unsigned, query_text, sign};
use crate::outbound::{cause, client};

/// Bytes of a part; S3 takes at most 10,000, of at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Attempts at a request that may succeed later, and the pause after the first; it doubles.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
/// Time to connect, and time without a byte after which a request is given up.
const CONNECT_TIME: Duration = Duration::from_secs(5);
const READ_TIME: Duration = Duration::from_secs(30);
/// Bytes of an answer that is no file.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Before the names of objects.
const PREFIX: &str = "user-data/";

/// A bucket.
#[derive(Debug, Clone)]
pub(super) struct S3 {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    /// Without a slash at its end.
    url: String,
    /// The `Host` header that `client` makes of the URL.
    host: String,
    /// Path of the bucket.
    path: String,
    region: String,
    credentials: Credentials,
    clock: Clock,
}

/// One request.
struct Ask<'a> {
    method: Method,
    name: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: Bytes,
}

impl S3 {
    /// The bucket that the settings name; `None` when they name none.
    pub(super) fn new(config: &Config, clock: Clock) -> anyhow::Result<Option<S3>> {
        let Some(url) = &config.s3_url else { return Ok(None) };
        let bucket = config.s3_bucket.as_deref().context("--s3-url needs --s3-bucket")?;
        let key = config.s3_access_key_id.clone().zip(config.s3_secret_access_key.as_ref());
        let (access_key_id, secret) =
            key.context("--s3-url needs --s3-access-key-id and --s3-secret-access-key")?;
        let plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        };
        ensure!(!bucket.is_empty() && plain(bucket), "--s3-bucket must be the name of a bucket");
        // The URL may hold a password by mistake, and stays out of these texts.
        let parsed = Url::parse(url).context("--s3-url is no URL")?;
        let bare = parsed.username().is_empty() && parsed.password().is_none() && parsed.path() == "/";
        ensure!(bare, "--s3-url must be scheme, host and port only; the bucket is --s3-bucket");
        let name = parsed.host_str().context("--s3-url has no host")?;
        let host = match parsed.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let client = client()?.connect_timeout(CONNECT_TIME).read_timeout(READ_TIME).no_gzip().build()?;
        let credentials =
            Credentials { access_key_id, secret_access_key: secret.text().to_owned(), session_token: None };
        let shared = Shared {
            client,
            url: url.trim_end_matches('/').to_owned(),
            host,
            path: format!("/{bucket}/"),
            region: config.s3_region.clone(),
            credentials,
            clock,
        };
        Ok(Some(S3 { shared: Arc::new(shared) }))
    }

    pub(super) fn create(&self, name: &str) -> Writer {
        let (s3, name) = (self.clone(), name.to_owned());
        Writer { s3, name, buffer: Vec::new(), upload: None, tags: Vec::new() }
    }

    pub(super) async fn open(&self, name: &str) -> io::Result<Option<Reader>> {
        let ask = Ask { method: Method::GET, name, query: &[], body: Bytes::new() };
        let response = self.ask(&ask).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = self.checked(response).await?;
        let bytes = response.content_length();
        let bytes = bytes.ok_or_else(|| io::Error::other("S3 does not say how long an object is"))?;
        Ok(Some(Reader { response, bytes }))
    }

    pub(super) async fn delete(&self, name: &str) -> io::Result<()> {
        let ask = Ask { method: Method::DELETE, name, query: &[], body: Bytes::new() };
        let response = self.ask(&ask).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        self.checked(response).await.map(|_| ())
    }

    /// Makes a request, again when it may succeed later. All that are made here may be repeated.
    async fn ask(&self, ask: &Ask<'_>) -> io::Result<Response> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let answer = self.send(ask).await;
            let passes = match &answer {
                Ok(response) => {
                    let status = response.status();
                    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
                }
                Err(error) => !error.is_builder(),
            };
            if !passes || attempt == ATTEMPTS {
                return answer.map_err(|error| io::Error::other(format!("S3: {}", cause(error))));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(io::Error::other("S3 was asked too often"))
    }

    async fn send(&self, ask: &Ask<'_>) -> reqwest::Result<Response> {
        let Shared { client, url, host, path, region, credentials, clock } = &*self.shared;
        let path = [path, PREFIX, ask.name].concat();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &ask.body);
        let hash = HEXLOWER.encode(hash.as_ref());
        let headers = [("x-amz-content-sha256", hash.as_str())];
        let method = ask.method.as_str();
        let unsigned =
            Unsigned { method, host, path: &path, query: ask.query, headers: &headers, body: &ask.body };
        let signer = Signer { credentials, region, service: "s3", now_seconds: clock.now().0 / 1000 };
        let query = query_text(ask.query);
        let target =
            if query.is_empty() { [url, path.as_str()].concat() } else { format!("{url}{path}?{query}") };
        let mut request = client.request(ask.method.clone(), target).header(headers[0].0, headers[0].1);
        for (name, value) in sign(&unsigned, &signer) {
            request = request.header(name, value);
        }
        request.body(ask.body.clone()).send().await
    }

    /// The answer, when it is one that means success.
    async fn checked(&self, response: Response) -> io::Result<Response> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // Its words may repeat what was signed: the code says enough.
        let body = text(response).await?;
        let code = element(&body, "Code").unwrap_or_default();
        Err(io::Error::other(format!("S3 answered {status} {code:.100}")))
    }

    async fn succeed(&self, ask: &Ask<'_>) -> io::Result<Response> {
        let response = self.ask(ask).await?;
        self.checked(response).await
    }
}

/// The body of a short answer.
async fn text(mut response: Response) -> io::Result<String> {
    let mut body = Vec::new();
    let failed = |error| io::Error::other(format!("S3: {}", cause(error)));
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await.map_err(failed)?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The text of an element of the XML that S3 answers, which has neither attributes nor nesting there.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// An object that is being uploaded.
pub(crate) struct Writer {
    s3: S3,
    name: String,
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

    /// Uploads what is in the buffer as a part.
    async fn part(&mut self) -> io::Result<()> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let query = [("uploads", "")];
                let ask = Ask { method: Method::POST, name: &self.name, query: &query, body: Bytes::new() };
                let answer = text(self.s3.succeed(&ask).await?).await?;
                let upload = element(&answer, "UploadId");
                let upload = upload.ok_or_else(|| io::Error::other("S3 began no upload in parts"))?;
                self.upload.insert(upload.to_owned()).clone()
            }
        };
        let number = (self.tags.len() + 1).to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", upload.as_str())];
        let body = Bytes::from(std::mem::take(&mut self.buffer));
        let ask = Ask { method: Method::PUT, name: &self.name, query: &query, body };
        let response = self.s3.succeed(&ask).await?;
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let tag = tag.ok_or_else(|| io::Error::other("S3 names no tag of a part"))?;
        self.tags.push(tag.to_owned());
        Ok(())
    }

    pub(super) async fn finish(mut self) -> io::Result<()> {
        if self.upload.is_none() {
            let body = Bytes::from(std::mem::take(&mut self.buffer));
            let ask = Ask { method: Method::PUT, name: &self.name, query: &[], body };
            return self.s3.succeed(&ask).await.map(|_| ());
        }
        if !self.buffer.is_empty() {
            self.part().await?;
        }
        let parts = self.tags.iter().enumerate().map(|(index, tag)| {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            format!("<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", index + 1)
        });
        let body =
            format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.collect::<String>());
        let upload = self.upload.clone().unwrap_or_default();
        let query = [("uploadId", upload.as_str())];
        let ask = Ask { method: Method::POST, name: &self.name, query: &query, body: body.into() };
        let answer = text(self.s3.succeed(&ask).await?).await?;
        // A failure may come with status 200.
        if let Some(code) = element(&answer, "Code") {
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
        let (s3, name) = (self.s3.clone(), std::mem::take(&mut self.name));
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let query = [("uploadId", upload.as_str())];
            let ask = Ask { method: Method::DELETE, name: &name, query: &query, body: Bytes::new() };
            if let Err(error) = s3.succeed(&ask).await {
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
        let failed = |error| io::Error::other(format!("S3: {}", cause(error)));
        self.response.chunk().await.map_err(failed)
    }
}
