//! etcd as a lock: a transaction that puts a key if it does not exist, then a delete.
//!
//! gRPC is written by hand on HTTP/2: two messages with fixed bytes do not need a code generator.

use super::load::{Client, Connect, Plan};
use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use std::ops::Range;
use tokio::net::TcpStream;

/// HTTP/2 connections that all clients share; 1, 4 and 16 gave the same figures at 64 and 256 clients.
const CONNECTIONS_MAX: usize = 4;

/// Receive window of a connection. The library takes many small unread answers in a small window for an attack.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Makes clients of an etcd server.
#[derive(Debug)]
pub(crate) struct Etcd {
    address: String,
    plan: Plan,
}

impl Etcd {
    /// Measures the server at that address.
    pub(crate) fn new(address: String, plan: &Plan) -> Self {
        Self { address, plan: *plan }
    }
}

/// A client with its prepared messages.
#[derive(Debug)]
pub(crate) struct EtcdClient {
    sender: SendRequest<Bytes>,
    txn: Request<()>,
    delete_range: Request<()>,
    lock: Bytes,
    unlock: Bytes,
}

impl Connect for Etcd {
    type Client = EtcdClient;

    async fn connect(&self, numbers: Range<usize>) -> Result<Vec<EtcdClient>> {
        let connections = numbers.len().min((CONNECTIONS_MAX / self.plan.threads).max(1));
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(open(&self.address).await?);
        }
        let client = |number: usize| {
            let key = if self.plan.contended { "lock/shared".to_owned() } else { format!("lock/{number}") };
            Ok(EtcdClient {
                sender: senders[number % connections].clone(),
                txn: request(&self.address, "Txn")?,
                delete_range: request(&self.address, "DeleteRange")?,
                lock: frame(&lock_message(key.as_bytes(), format!("token-{number}").as_bytes())),
                unlock: frame(&message(&[bytes_field(1, key.as_bytes())])),
            })
        };
        numbers.map(client).collect()
    }
}

impl Client for EtcdClient {
    async fn unit(&mut self) -> Result<u64> {
        let mut refusals = 0;
        // TxnResponse.succeeded says whether the key was ours to put.
        while call(&self.sender, &self.txn, &self.lock).await? != 1 {
            refusals += 1;
        }
        // DeleteRangeResponse.deleted counts the keys.
        match call(&self.sender, &self.delete_range, &self.unlock).await? {
            1 => Ok(refusals),
            deleted => bail!("the unlock deleted {deleted} keys"),
        }
    }
}

async fn open(address: &str) -> Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true).context("setting TCP_NODELAY")?;
    let (sender, connection) = h2::client::Builder::new()
        .initial_connection_window_size(WINDOW_BYTES)
        .handshake(stream)
        .await
        .context("starting HTTP/2")?;
    // It ends when the last sender is dropped; a fault shows in the calls.
    tokio::spawn(connection);
    Ok(sender)
}

fn request(address: &str, method: &str) -> Result<Request<()>> {
    Request::post(format!("http://{address}/etcdserverpb.KV/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .context("preparing a call")
}

/// Makes a call and returns field 2 of the answer, a number in both answers that we read; 0 when it is absent.
async fn call(sender: &SendRequest<Bytes>, request: &Request<()>, message: &Bytes) -> Result<u64> {
    let mut sender = sender.clone().ready().await.context("waiting for the connection")?;
    let (answer, mut stream) = sender.send_request(request.clone(), false).context("sending a call")?;
    stream.send_data(message.clone(), true).context("sending a message")?;
    let (head, mut body) = answer.await.context("waiting for an answer")?.into_parts();
    let mut received = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.context("reading an answer")?;
        body.flow_control().release_capacity(chunk.len()).context("reading an answer")?;
        received.put(chunk);
    }
    let trailers = body.trailers().await.context("reading the end of an answer")?.unwrap_or_default();
    // A call that fails at once has its status in the head.
    let status = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
    if status.is_none_or(|status| status != "0") {
        bail!("etcd answers with gRPC status {status:?}");
    }
    let payload = received.get(5..).context("etcd's answer has no message")?;
    second_field(payload).context("etcd's answer has an unknown form")
}

/// A gRPC frame: not compressed, length, message.
fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// TxnRequest: when the key's create revision equals 0, put it.
fn lock_message(key: &[u8], value: &[u8]) -> Vec<u8> {
    // Compare: result EQUAL and target CREATE; `create_revision` is 0 but present, being one of several.
    let compare = message(&[number_field(1, 0), number_field(2, 1), bytes_field(3, key), number_field(5, 0)]);
    let put = message(&[bytes_field(1, key), bytes_field(2, value)]);
    let operation = message(&[bytes_field(2, &put)]);
    message(&[bytes_field(1, &compare), bytes_field(2, &operation)])
}

fn message(fields: &[Vec<u8>]) -> Vec<u8> {
    fields.concat()
}

fn number_field(field: u8, value: u8) -> Vec<u8> {
    debug_assert!(field < 16 && value < 128, "one byte each");
    vec![field << 3, value]
}

fn bytes_field(field: u8, bytes: &[u8]) -> Vec<u8> {
    debug_assert!(field < 16, "one byte");
    let mut encoded = vec![field << 3 | 2];
    let mut length = bytes.len();
    while length >= 128 {
        encoded.push(u8::try_from(length & 127).unwrap_or(0) | 128);
        length >>= 7;
    }
    encoded.push(u8::try_from(length).unwrap_or(0));
    encoded.extend_from_slice(bytes);
    encoded
}

/// Finds field 2 as a number among fields that are numbers or bytes; nothing when the message is malformed.
fn second_field(mut message: &[u8]) -> Option<u64> {
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let value = varint(&mut message)?;
        match (key >> 3, key & 7) {
            (2, 0) => return Some(value),
            (_, 0) => {}
            (_, 2) => message = message.get(usize::try_from(value).ok()?..)?,
            _ => return None,
        }
    }
    Some(0)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_bytes_of_the_format() {
        let expected = b"\x0a\x09\x08\x00\x10\x01\x1a\x01k\x28\x00\x12\x08\x12\x06\x0a\x01k\x12\x01v";
        assert_eq!(lock_message(b"k", b"v"), expected);
        assert_eq!(bytes_field(1, &[7; 300])[..3], [10, 0xac, 2]);
        assert_eq!(frame(b"ab").as_ref(), b"\0\0\0\0\x02ab");
    }

    #[test]
    fn the_second_field_is_found_behind_the_header() {
        let check = |message: &[u8], expected| assert_eq!(second_field(message), expected, "{message:?}");
        check(b"\x0a\x02\x10\x07\x10\x01", Some(1));
        check(b"\x0a\x02\x10\x07", Some(0));
        check(b"\x0a\x02\x10", None);
        check(b"\x10\xac\x02", Some(300));
    }
}
