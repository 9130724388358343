//! WebSocket frames, as much as a client needs that reads a lot and writes little.

use anyhow::{Context, Result, ensure};

/// Frame of a text.
pub(in crate::bench) const TEXT: u8 = 1;
/// Frame of bytes.
pub(in crate::bench) const BINARY: u8 = 2;
/// Close.
pub(in crate::bench) const CLOSE: u8 = 8;
/// Ping.
pub(in crate::bench) const PING: u8 = 9;
/// Answer to a ping.
pub(in crate::bench) const PONG: u8 = 10;

/// Bytes of the longest payload that a peer sends.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A whole message of a server.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::bench) struct Frame<'a> {
    /// What it is.
    pub(in crate::bench) opcode: u8,
    /// What it holds.
    pub(in crate::bench) payload: &'a [u8],
    /// Bytes of the frame with its head.
    pub(in crate::bench) length: usize,
}

impl<'a> Frame<'a> {
    /// Reads the frame at the beginning of the bytes; nothing while it is incomplete.
    pub(in crate::bench) fn parse(bytes: &'a [u8]) -> Result<Option<Self>> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        ensure!(first & 0xf0 == 0x80, "a frame is a part of a message, or has an extension");
        ensure!(second & 0x80 == 0, "a server masked a frame");
        let (length, head) = match (second, rest) {
            (126, [a, b, ..]) => (u16::from_be_bytes([*a, *b]).into(), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                (usize::try_from(length).context("a frame is too long")?, 10)
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (usize::from(*short), 2),
        };
        ensure!(length <= PAYLOAD_BYTES_MAX, "a frame is too long");
        let payload = bytes.get(head..head + length);
        Ok(payload.map(|payload| Self { opcode: first & 0xf, payload, length: head + length }))
    }
}

/// A whole frame of a client. The mask is zero, so the payload is sent as it is.
pub(in crate::bench) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// The request that makes a connection a WebSocket.
pub(in crate::bench) fn upgrade(address: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_when_they_are_whole() {
        let check = |bytes: &[u8], expected: Option<(u8, usize, usize)>| {
            let frame = Frame::parse(bytes).unwrap();
            assert_eq!(frame.map(|frame| (frame.opcode, frame.payload.len(), frame.length)), expected);
        };
        check(b"\x81\x02hi\x89", Some((TEXT, 2, 4)));
        check(b"\x81\x02h", None);
        check(b"\x81", None);
        check(b"\x82\x7e\x00", None);
        check(&[b"\x82\x7e\x01\x00".as_slice(), &[7; 300]].concat(), Some((BINARY, 256, 260)));
        check(
            &[b"\x82\x7f\0\0\0\0\0\x01\0\0".as_slice(), &[7; 70_000]].concat(),
            Some((BINARY, 65_536, 65_546)),
        );
        assert!(Frame::parse(b"\x01\x02hi").is_err());
        assert!(Frame::parse(b"\x81\x82hi").is_err());
    }

    #[test]
    fn clients_mask_with_zero() {
        assert_eq!(masked(TEXT, b"hi"), b"\x81\x82\0\0\0\0hi");
        assert_eq!(masked(TEXT, &[7; 300])[..8], [0x81, 0xfe, 1, 44, 0, 0, 0, 0]);
    }
}
