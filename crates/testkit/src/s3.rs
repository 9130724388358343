//! A store on loopback that speaks the part of S3 that the server uses, and believes no request whose signature it has not
//! computed for itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Name of its bucket, and who may use it.
pub const BUCKET: &str = "files";
/// Region that signatures name.
pub const REGION: &str = "test-1";
/// Access key.
pub const KEY: &str = "AKTEST";
/// Its secret.
pub const SECRET: &str = "a secret of the test";
/// Of the elements that S3 answers.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// Seconds for which the URL of a request may be good.
const EXPIRES_MAX: u64 = 300;

#[derive(Debug, Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    /// Uploads in parts that run: path and parts.
    uploads: BTreeMap<String, (String, BTreeMap<u32, Vec<u8>>)>,
    largest: usize,
    fail: u32,
    refused: u32,
}

/// The store; ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct S3 {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

impl S3 {
    /// Starts an empty one.
    pub async fn start() -> S3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let s3 = S3 { address: listener.local_addr().unwrap(), kept: Arc::default() };
        let serving = s3.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        s3
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Names of the objects.
    pub fn names(&self) -> Vec<String> {
        self.kept.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Bytes of the largest request body.
    pub fn largest(&self) -> usize {
        self.kept.lock().unwrap().largest
    }

    /// Uploads in parts that nobody ended.
    pub fn unfinished(&self) -> usize {
        self.kept.lock().unwrap().uploads.len()
    }

    /// Requests that were signed wrongly.
    pub fn refused(&self) -> u32 {
        self.kept.lock().unwrap().refused
    }

    /// Answers 503 to the next requests.
    pub fn fail_next(&self, count: u32) {
        self.kept.lock().unwrap().fail = count;
    }

    fn answer(&self, head: &str, body: Vec<u8>) -> (u16, String, Vec<u8>) {
        let mut kept = self.kept.lock().unwrap();
        kept.largest = kept.largest.max(body.len());
        if kept.fail > 0 {
            kept.fail -= 1;
            return (503, String::new(), b"<Error><Code>SlowDown</Code></Error>".to_vec());
        }
        if !is_signed(head) {
            kept.refused += 1;
            return (403, String::new(), b"<Error><Code>SignatureDoesNotMatch</Code></Error>".to_vec());
        }
        let (method, target) = request_line(head);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.to_owned();
        let value = |name: &str| parameter(query, name).map(str::to_owned);
        let upload = value("uploadId");
        match (method, value("uploads"), upload, value("partNumber")) {
            ("POST", Some(_), ..) => {
                let id = format!("upload-{}", kept.uploads.len());
                kept.uploads.insert(id.clone(), (path, BTreeMap::new()));
                let name = "InitiateMultipartUploadResult";
                let answer = format!("<{name} xmlns=\"{NAMESPACE}\"><UploadId>{id}</UploadId></{name}>");
                (200, String::new(), answer.into_bytes())
            }
            ("PUT", _, Some(id), Some(number)) => {
                let parts = &mut kept.uploads.get_mut(&id).unwrap().1;
                parts.insert(number.parse().unwrap(), body);
                (200, format!("ETag: \"tag-{number}\"\r\n"), Vec::new())
            }
            ("POST", _, Some(id), _) => {
                let (path, parts) = kept.uploads.remove(&id).unwrap();
                let text = String::from_utf8(body).unwrap();
                assert_eq!(text.matches("<Part>").count(), parts.len());
                assert!(parts.keys().rev().skip(1).all(|number| parts[number].len() >= 5 << 20));
                kept.objects.insert(path, parts.into_values().flatten().collect());
                let name = "CompleteMultipartUploadResult";
                let answer = format!("<{name} xmlns=\"{NAMESPACE}\"><ETag>\"whole\"</ETag></{name}>");
                (200, String::new(), answer.into_bytes())
            }
            ("DELETE", _, Some(id), _) => {
                kept.uploads.remove(&id);
                (204, String::new(), Vec::new())
            }
            ("PUT", ..) => {
                kept.objects.insert(path, body);
                (200, String::new(), Vec::new())
            }
            ("DELETE", ..) => {
                kept.objects.remove(&path);
                (204, String::new(), Vec::new())
            }
            _ => match kept.objects.get(&path) {
                Some(object) => (200, String::new(), object.clone()),
                None => (404, String::new(), b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
            },
        }
    }
}

fn request_line(head: &str) -> (&str, &str) {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    (words.next().unwrap_or_default(), words.next().unwrap_or_default())
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    headers
        .into_iter()
        .find(|(given, _)| given.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.trim())
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn tag(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// A value of a query, encoded as it stands there.
fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(given, _)| *given == name).map(|(_, value)| value)
}

/// Whether the URL of a request bears the signature of the key, for a short time.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
fn is_signed(head: &str) -> bool {
    let (method, target) = request_line(head);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let value = |name: &str| parameter(query, name).unwrap_or_default();
    let mut pairs: Vec<&str> =
        query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    pairs.sort_unstable();
    let host = header(head, "host");
    let canonical = format!("{method}\n{path}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", pairs.join("&"));
    let time = value("X-Amz-Date");
    let date = &time[..8.min(time.len())];
    let scope = format!("{date}/{REGION}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let key = [date, REGION, "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, text| tag(&key, text));
    let complete = value("X-Amz-Algorithm") == "AWS4-HMAC-SHA256"
        && value("X-Amz-Credential") == format!("{KEY}/{scope}").replace('/', "%2F")
        && value("X-Amz-SignedHeaders") == "host"
        && value("X-Amz-Expires").parse().is_ok_and(|seconds: u64| seconds <= EXPIRES_MAX);
    complete && value("X-Amz-Signature") == HEXLOWER.encode(&tag(&key, &text)) && path.starts_with("/files/")
}

async fn serve(mut stream: TcpStream, s3: S3) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end,
                None => match stream.read_buf(&mut bytes).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length: usize = header(&head, "content-length").parse().unwrap_or(0);
        let mut body = bytes.split_off(end + 4);
        while body.len() < length {
            match stream.read_buf(&mut body).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        bytes = body.split_off(length);
        let (status, headers, body) = s3.answer(&head, body);
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        // The client may be gone.
        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    }
}
