//! WebSocket frames by hand, for what no client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::deadline::within;
use crate::http::{Connection, Stream, upgrade_request};

/// Frame of a text, or its beginning.
pub const TEXT: u8 = 1;
/// Frame of bytes.
pub const BINARY: u8 = 2;
/// A further part of a message.
pub const CONTINUATION: u8 = 0;
/// Close.
pub const CLOSE: u8 = 8;
/// Ping.
pub const PING: u8 = 9;

/// A socket whose frames the test writes itself.
pub struct RawSocket {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for RawSocket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RawSocket").field("unread", &self.buffer.len()).finish_non_exhaustive()
    }
}

/// How a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With a close frame of this code.
    Closed(u16),
    /// Without one.
    Dropped,
}

/// The head of a masked frame. The mask is zero: the payload is sent as it is.
pub fn head(fin: bool, opcode: u8, length: usize) -> Vec<u8> {
    let mut head = vec![u8::from(fin) << 7 | opcode];
    match length {
        0..126 => head.push(0x80 | length as u8),
        126..65_536 => {
            head.push(0x80 | 126);
            head.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    head.extend_from_slice(&[0; 4]);
    head
}

/// A whole masked frame.
pub fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(fin, opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

impl RawSocket {
    /// Opens a socket.
    pub async fn open(address: SocketAddr) -> RawSocket {
        let mut connection = Connection::open(address).await;
        let answer = within("the upgrade", connection.request(&upgrade_request("/"))).await;
        let answer = answer.expect("upgrading").expect("an answer to the upgrade");
        assert_eq!(answer.status, 101, "{}", answer.text());
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455");
        let (stream, buffer) = connection.into_parts();
        RawSocket { stream, buffer }
    }

    /// Ends its side of the connection without a close frame.
    pub async fn end_sending(&mut self) {
        within("the end of sending", self.stream.shutdown()).await.expect("ending a stream");
    }

    /// Sends bytes. The server may have closed the socket already, which is not this function's matter.
    pub async fn send(&mut self, bytes: &[u8]) {
        // What the server says is in the frames that it sent before.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next frame: opcode and payload; `None` at the end of the connection.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, payload, length)) = parse(&self.buffer) {
                self.buffer.drain(..length);
                return Some((opcode, payload));
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next text frame; fails the test when the socket ends first.
    pub async fn text(&mut self) -> String {
        loop {
            match within("a text frame", self.frame()).await {
                Some((TEXT, payload)) => return String::from_utf8(payload).expect("a text is UTF-8"),
                Some((CLOSE, payload)) => panic!("closed: {payload:?}"),
                Some(_) => {}
                None => panic!("the socket ended"),
            }
        }
    }

    /// Waits until the socket ends, however long it takes, and says how.
    pub async fn end(&mut self) -> End {
        let mut end = End::Dropped;
        while let Some((opcode, payload)) = self.frame().await {
            if let (CLOSE, [high, low, ..]) = (opcode, payload.as_slice()) {
                end = End::Closed(u16::from_be_bytes([*high, *low]));
            }
        }
        end
    }
}

/// The frame at the beginning of the bytes: opcode, payload and its length with the head.
fn parse(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert_eq!(second & 0x80, 0, "a server masks no frame");
    let (length, head) = match second & 0x7f {
        126 => (u16::from_be_bytes(rest.get(..2)?.try_into().unwrap()).into(), 4),
        127 => (u64::from_be_bytes(rest.get(..8)?.try_into().unwrap()) as usize, 10),
        short => (short.into(), 2),
    };
    let payload = bytes.get(head..head + length)?;
    Some((first & 0xf, payload.to_vec(), head + length))
}
