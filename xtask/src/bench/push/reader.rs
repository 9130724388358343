//! A player's socket once it is bound: read by a task that only counts.

use super::board::Board;
use super::dialect::Dialect;
use crate::bench::frame::{self, Frame};
use crate::bench::socket::Socket;
use anyhow::{Context, Result, anyhow, bail};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;

thread_local! {
    /// All sockets of a thread read into one buffer, which stays in the cache of the processor.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
}

/// Reads for ever and tells the board what arrives.
pub(super) async fn read(socket: Socket, number: usize, dialect: Dialect, board: Arc<Board>) -> Result<()> {
    let (mut stream, rest) = socket.into_parts();
    let mut reader = Reader { number, dialect, board, rest: Vec::new() };
    let mut answer = reader.bytes(&rest)?;
    drop(rest);
    loop {
        if let Some(answer) = answer {
            stream.write_all(&answer).await.context("answering a ping")?;
        }
        answer = poll_fn(|context| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut stream).poll_read(context, &mut buffer))
                    .context("reading from a socket")?;
                Poll::Ready(match buffer.filled() {
                    [] => Err(anyhow!("the peer closed a socket")),
                    filled => reader.bytes(filled),
                })
            })
        })
        .await?;
    }
}

/// Finds the pushes in what a socket receives.
#[derive(Debug)]
struct Reader {
    number: usize,
    dialect: Dialect,
    board: Arc<Board>,
    /// The beginning of a frame whose end has not arrived.
    rest: Vec<u8>,
}

impl Reader {
    /// Counts the pushes in the bytes and returns what is to be sent.
    fn bytes(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.rest.is_empty() {
            let (used, answer) = self.frames(bytes)?;
            self.rest.extend_from_slice(&bytes[used..]);
            return Ok(answer);
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let (used, answer) = self.frames(&rest)?;
        rest.drain(..used);
        self.rest = rest;
        Ok(answer)
    }

    fn frames(&mut self, bytes: &[u8]) -> Result<(usize, Option<Vec<u8>>)> {
        let (mut used, mut pushes, mut answer) = (0, 0, None);
        while let Some(Frame { opcode, payload, length }) = Frame::parse(&bytes[used..])? {
            match opcode {
                frame::TEXT | frame::BINARY => {
                    let reply = self.dialect.read(payload, |push| {
                        pushes += 1;
                        self.board.arrived(push);
                    })?;
                    answer = reply.map(|reply| frame::masked(opcode, reply)).or(answer);
                }
                frame::PING => answer = Some(frame::masked(frame::PONG, payload)),
                frame::CLOSE => bail!("the peer closed a socket: {}", String::from_utf8_lossy(payload)),
                _ => {}
            }
            used += length;
        }
        if pushes > 0 {
            self.board.count(self.number, pushes);
        }
        Ok((used, answer))
    }
}
