//! An HTTP server on loopback that keeps what it gets, and answers as the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::deadline::eventually;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }
}

#[derive(Debug)]
struct Seen {
    requests: Vec<Received>,
    /// The next answers; after them the usual one is given.
    answers: VecDeque<(u16, String)>,
    usual: (u16, String),
    content_type: String,
}

/// The server; ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct StandIn {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl StandIn {
    /// Starts one that usually answers so.
    pub async fn start(status: u16, body: &str) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let usual = (status, body.to_owned());
        let seen = Arc::new(Mutex::new(Seen {
            requests: Vec::new(),
            answers: VecDeque::new(),
            usual,
            content_type: "application/json".to_owned(),
        }));
        let serving = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        StandIn { address, seen }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers with another type of content than JSON from now on.
    pub fn answer_as(&self, content_type: &str) {
        content_type.clone_into(&mut self.seen.lock().unwrap().content_type);
    }

    /// Answers the request after those that were spoken for so.
    pub fn answer_next(&self, status: u16, body: &str) {
        self.seen.lock().unwrap().answers.push_back((status, body.to_owned()));
    }

    /// Answers all requests that were not spoken for so from now on.
    pub fn answer_from_now_on(&self, status: u16, body: &str) {
        self.seen.lock().unwrap().usual = (status, body.to_owned());
    }

    /// What arrived until now.
    pub fn received(&self) -> Vec<Received> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// Waits until so many requests arrived in all.
    pub async fn requests(&self, count: usize) -> Vec<Received> {
        let look = async || {
            let requests = self.received();
            (requests.len() >= count).then_some(requests)
        };
        eventually(&format!("{count} requests at the stand-in"), look).await
    }
}

/// Serves one request; every connection has one.
async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let Some(request) = read(&mut stream).await else { return };
    let ((status, body), content_type) = {
        let mut seen = seen.lock().unwrap();
        seen.requests.push(request);
        (seen.answers.pop_front().unwrap_or_else(|| seen.usual.clone()), seen.content_type.clone())
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
         location: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n{body}"
    );
    // The client may be gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => break end,
            None if stream.read_buf(&mut bytes).await.ok()? == 0 => return None,
            None => {}
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let (method, rest) = lines.next()?.split_once(' ')?;
    let (target, _) = rest.split_once(' ')?;
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    let (method, target, headers) = (method.to_owned(), target.to_owned(), headers.collect());
    let mut request = Received { method, target, headers, body: bytes.split_off(end + 4) };
    let length: usize = request.header("content-length").parse().unwrap_or(0);
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}
