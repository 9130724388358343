//! The least of HTTP/1.1 that talks to our server: kept-alive connection, prepared requests, answers with a length.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of the buffer that a connection starts with; most answers have a few hundred.
const BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of the largest answer, the one to a notification for many sockets.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A connection and its buffer.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to a host and port.
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Sends a prepared request and returns status and body of the answer.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).await.context("sending a request")?;
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() && filled < ANSWER_BYTES_MAX {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).await.context("reading an answer")?;
            if read == 0 {
                bail!("the server closed the connection or its answer is too long");
            }
            filled += read;
            if let Some(head) = parse_head(&self.buffer[..filled])? {
                let end = head.body + head.length;
                if filled >= end {
                    return Ok((head.status, &self.buffer[head.body..end]));
                }
            }
        }
    }

    /// The same, for answers that must be 200.
    pub(crate) async fn call_ok(&mut self, request: &[u8]) -> Result<&[u8]> {
        match self.call(request).await? {
            (200, body) => Ok(body),
            (status, body) => bail!(
                "{} is answered with {status}: {}",
                String::from_utf8_lossy(request).lines().next().unwrap_or_default(),
                String::from_utf8_lossy(body)
            ),
        }
    }
}

/// Prepares a request.
pub(crate) fn request(method: &str, path: &str, host: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if method != "GET" {
        text += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body;
    text.into_bytes()
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Where the body starts.
    body: usize,
    /// Bytes of the body.
    length: usize,
}

/// Reads status line and headers; nothing while they are incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let status = bytes.strip_prefix(b"HTTP/1.1 ").and_then(|rest| number(rest.get(..3)?));
    let status = status.context("the answer is not HTTP/1.1")?;
    let length = bytes[..end].split(|byte| *byte == b'\n').find_map(content_length);
    let length = length.context("the answer has no Content-Length")?;
    Ok(Some(Head { status: u16::try_from(status).context("status is no number")?, body: end + 4, length }))
}

fn content_length(line: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    if name.eq_ignore_ascii_case(NAME) { number(value.trim_ascii()) } else { None }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_complete() {
        let post = request("POST", "/lock/", "h", &[("a", "b")], "{}");
        let expected = "POST /lock/ HTTP/1.1\r\nhost: h\r\na: b\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(post).unwrap(), expected);
        assert_eq!(request("GET", "/", "h", &[], ""), b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length: 12\r\n\r\n{";
        assert_eq!(parse_head(text).unwrap(), Some(Head { status: 200, body: text.len() - 1, length: 12 }));
        assert_eq!(parse_head(&text[..40]).unwrap(), None);
        assert!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse_head(b"SSH-2.0\r\n\r\n").is_err());
    }
}
