//! A live subscriber: a connection read by a task that counts notifications and looks at their order.

use super::board::Board;
use super::redis::reply_length;
use crate::bench::frame::{self, Frame};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// Subject of every notification.
const SUBJECT: &[u8] = b"\"Gs2Chat:Post\"";
/// Stands before the time in the payload of a notification, which is JSON in a JSON text.
const TIME: &[u8] = br#"\"createdAt\":"#;
/// What a message of a channel begins with.
const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n";

thread_local! {
    /// All subscribers of a thread read into one buffer, which stays in the cache of the processor.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
}

/// What a subscriber is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Frames of a WebSocket.
    Hiroba,
    /// Messages of a channel.
    Redis,
}

/// A connected subscriber of one room.
#[derive(Debug)]
pub(super) struct Listener {
    stream: TcpStream,
    /// What was received and not yet read.
    rest: Vec<u8>,
    dialect: Dialect,
}

impl Listener {
    /// A subscriber on that connection.
    pub(super) fn new(stream: TcpStream, rest: Vec<u8>, dialect: Dialect) -> Self {
        Self { stream, rest, dialect }
    }

    /// Reads for ever and tells the board what arrives.
    pub(super) async fn listen(mut self, board: Arc<Board>) -> Result<()> {
        let mut reader = Reader { dialect: self.dialect, board, rest: Vec::new(), subject_at: 0, last: 0 };
        let mut answer = reader.bytes(&self.rest)?;
        self.rest = Vec::new();
        loop {
            if let Some(answer) = answer {
                self.stream.write_all(&answer).await.context("answering a ping")?;
            }
            answer = poll_fn(|context| {
                BUFFER.with_borrow_mut(|buffer| {
                    let mut buffer = ReadBuf::new(buffer);
                    ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))
                        .context("reading as a subscriber")?;
                    Poll::Ready(match buffer.filled() {
                        [] => Err(anyhow!("the peer closed a subscriber's connection")),
                        filled => reader.bytes(filled),
                    })
                })
            })
            .await?;
        }
    }
}

/// Finds the notifications in what a subscriber receives.
#[derive(Debug)]
struct Reader {
    dialect: Dialect,
    board: Arc<Board>,
    /// The beginning of a notification whose end has not arrived.
    rest: Vec<u8>,
    /// Where the subject stood in the last frame.
    subject_at: usize,
    /// Time of the last message.
    last: u64,
}

impl Reader {
    /// Counts the notifications in the bytes and returns what is to be sent.
    fn bytes(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.rest.is_empty() {
            let (used, answer) = self.read(bytes)?;
            self.rest.extend_from_slice(&bytes[used..]);
            return Ok(answer);
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let (used, answer) = self.read(&rest)?;
        rest.drain(..used);
        self.rest = rest;
        Ok(answer)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(usize, Option<Vec<u8>>)> {
        let (mut used, mut arrived, mut disordered, mut answer) = (0, 0, 0, None);
        match self.dialect {
            Dialect::Hiroba => {
                while let Some(Frame { opcode, payload, length }) = Frame::parse(&bytes[used..])? {
                    match opcode {
                        frame::TEXT | frame::BINARY => {
                            arrived += 1;
                            disordered += u64::from(!self.notification(payload)?);
                        }
                        frame::PING => answer = Some(frame::masked(frame::PONG, payload)),
                        frame::CLOSE => {
                            bail!(
                                "the server closed a subscriber's socket: {}",
                                String::from_utf8_lossy(payload)
                            )
                        }
                        _ => {}
                    }
                    used += length;
                }
            }
            Dialect::Redis => {
                while let Some(length) = reply_length(&bytes[used..])? {
                    let message = &bytes[used..used + length];
                    ensure!(
                        message.starts_with(MESSAGE),
                        "Redis tells a subscriber {}",
                        String::from_utf8_lossy(message)
                    );
                    arrived += 1;
                    used += length;
                }
            }
        }
        if arrived > 0 {
            self.board.count(arrived, disordered);
        }
        Ok((used, answer))
    }

    /// Reads a notification of Hiroba and returns whether it is younger than the one before.
    fn notification(&mut self, frame: &[u8]) -> Result<bool> {
        let fault = || format!("a subscriber gets {}", String::from_utf8_lossy(frame));
        // It stands where it stood before, unless the frame has another form.
        if frame.get(self.subject_at..self.subject_at + SUBJECT.len()) != Some(SUBJECT) {
            let at = frame.windows(SUBJECT.len()).position(|window| window == SUBJECT);
            self.subject_at = at.with_context(fault)?;
        }
        let at = frame.windows(TIME.len()).rposition(|window| window == TIME).with_context(fault)?;
        let digits = frame[at + TIME.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        let time =
            digits.fold(0, |time: u64, digit| time.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
        let younger = time > self.last;
        self.last = time;
        Ok(younger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(dialect: Dialect) -> Reader {
        Reader { dialect, board: Arc::new(Board::new(1)), rest: Vec::new(), subject_at: 0, last: 0 }
    }

    fn notification(time: u64) -> Vec<u8> {
        let text = format!(
            r#"{{"type":"notification","body":{{"subject":"Gs2Chat:Post","payload":"{{\"createdAt\":{time}}}"}}}}"#
        );
        let length = u8::try_from(text.len()).unwrap();
        [[0x81, length].as_slice(), text.as_bytes()].concat()
    }

    #[test]
    fn notifications_are_counted_wherever_they_are_cut() {
        let stream = [notification(5), b"\x89\x01!".to_vec(), notification(7), notification(6)].concat();
        for size in 1..=stream.len() {
            let mut reader = reader(Dialect::Hiroba);
            let answers = stream.chunks(size).filter(|chunk| reader.bytes(chunk).unwrap().is_some()).count();
            assert_eq!((answers, reader.board.received(), reader.board.disordered()), (1, 3, 1), "{size}");
        }
        assert!(reader(Dialect::Hiroba).bytes(b"\x81\x02{}").is_err());
    }

    #[test]
    fn messages_of_a_channel_are_counted() {
        let stream = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\n{}\r\n".repeat(2);
        for size in 1..=stream.len() {
            let mut reader = reader(Dialect::Redis);
            stream.chunks(size).for_each(|chunk| assert!(reader.bytes(chunk).unwrap().is_none()));
            assert_eq!(reader.board.received(), 2, "{size}");
        }
        assert!(reader(Dialect::Redis).bytes(b":1\r\n").is_err());
    }
}
