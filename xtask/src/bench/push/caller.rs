//! Those who push: prepared calls in which only the socket's number and the push's id change.

use crate::bench::http::Connection;
use anyhow::{Context, Result, bail};
use std::io::ErrorKind;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Stands for the number of a socket in a template, and has as many characters as every number.
pub(super) const NUMBER: &str = "%%%%%";
/// Stands for the text with the id in a template.
pub(super) const ID: &str = "~00000000~";
/// Stands before and after an id, and nowhere else in a push.
pub(super) const ID_MARK: u8 = b'~';
/// Digits of an id.
pub(super) const ID_DIGITS: usize = ID.len() - 2;
/// Bytes of a payload beside its id; with it they are a hundred.
pub(super) const FILLER_BYTES: usize = 90;

/// What a push says: its id, and a filler.
pub(super) fn payload() -> String {
    format!("{ID}{}", "x".repeat(FILLER_BYTES))
}

/// The number of a socket as every peer writes it.
pub(super) fn socket_number(number: usize) -> String {
    format!("{number:00$}", NUMBER.len())
}

/// A prepared call.
#[derive(Debug, Clone)]
pub(super) struct Template {
    bytes: Vec<u8>,
    number_at: Option<usize>,
    id_at: usize,
}

impl Template {
    /// Finds the places of number and id.
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self> {
        let find = |text: &str| bytes.windows(text.len()).position(|window| window == text.as_bytes());
        let (number_at, id_at) = (find(NUMBER), find(ID).context("a call without an id")? + 1);
        Ok(Self { bytes, number_at, id_at })
    }

    fn fill(&mut self, number: usize, id: usize) -> &[u8] {
        if let Some(at) = self.number_at {
            digits(&mut self.bytes[at..at + NUMBER.len()], number);
        }
        digits(&mut self.bytes[self.id_at..self.id_at + ID_DIGITS], id);
        &self.bytes
    }
}

/// Writes a number with leading zeros; digits that have no place are left out.
fn digits(place: &mut [u8], mut number: usize) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789"[number % 10];
        number /= 10;
    }
}

/// How calls travel.
#[derive(Debug)]
pub(super) enum Link {
    /// As HTTP, each answered with 200 before the next is sent.
    Http(Connection),
    /// As lines that are not answered.
    Line(TcpStream),
}

impl Link {
    /// Connects to a host and port that takes lines.
    pub(super) async fn open_line(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        Ok(Self::Line(stream))
    }

    /// Sends bytes that are no push.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Http(connection) => connection.call_ok(bytes).await.map(|_| ()),
            Self::Line(stream) => {
                // What NATS says is its greeting and pings. No system call is made when it has said nothing.
                let mut buffer = [0; 4096];
                let said = match stream.try_read(&mut buffer) {
                    Ok(0) => bail!("the peer closed a connection of a caller"),
                    Ok(length) => &buffer[..length],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => &[],
                    Err(error) => return Err(error).context("reading what the peer says to a caller"),
                };
                let contains = |text: &[u8]| said.windows(text.len()).any(|window| window == text);
                if contains(b"-ERR") {
                    bail!("a caller is told {}", String::from_utf8_lossy(said));
                }
                if contains(b"PING\r\n") {
                    stream.write_all(b"PONG\r\n").await.context("answering a ping")?;
                }
                stream.write_all(bytes).await.context("sending a push")
            }
        }
    }
}

/// A connection with its prepared calls.
#[derive(Debug)]
pub(super) struct Caller {
    link: Link,
    one: Template,
    all: Template,
    buffer: Vec<u8>,
}

impl Caller {
    /// Pushes with these calls, to one socket and to all.
    pub(super) fn new(link: Link, one: Template, all: Template) -> Self {
        Self { link, one, all, buffer: Vec::new() }
    }

    /// Prepares a push to the socket of that number.
    pub(super) fn one(&mut self, number: usize, id: usize) {
        self.buffer.extend_from_slice(self.one.fill(number, id));
    }

    /// Prepares a push to all sockets.
    pub(super) fn all(&mut self, id: usize) {
        self.buffer.extend_from_slice(self.all.fill(0, id));
    }

    /// Sends what was prepared, and waits for the answer where there is one; then no more than one push is prepared.
    pub(super) async fn send(&mut self) -> Result<()> {
        self.link.send(&self.buffer).await?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_id_are_filled_in() {
        let mut template = Template::new(format!("PUB own.{NUMBER} {ID}").into_bytes()).unwrap();
        assert_eq!(template.fill(17, 123), b"PUB own.00017 ~00000123~");
        assert_eq!(template.fill(4999, 0), b"PUB own.04999 ~00000000~");
        let mut template = Template::new(payload().into_bytes()).unwrap();
        assert_eq!((template.fill(1, 2).len(), socket_number(17)), (100, "00017".to_owned()));
    }
}
