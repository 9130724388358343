//! A WebSocket of a client: opened, then spoken on step by step.

use super::frame::{self, Frame};
use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An open socket.
#[derive(Debug)]
pub(in crate::bench) struct Socket {
    stream: TcpStream,
    /// What was received and not yet read.
    rest: Vec<u8>,
}

impl Socket {
    /// Connects and upgrades.
    pub(in crate::bench) async fn open(address: &str, path: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        let mut socket = Self { stream, rest: Vec::new() };
        socket.stream.write_all(&frame::upgrade(address, path)).await.context("asking for the upgrade")?;
        loop {
            let end = socket.rest.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                if !socket.rest.starts_with(b"HTTP/1.1 101 ") {
                    bail!("the upgrade is answered with {}", String::from_utf8_lossy(&socket.rest));
                }
                socket.rest.drain(..end + 4);
                return Ok(socket);
            }
            socket.receive().await.context("waiting for the upgrade")?;
        }
    }

    /// Sends a frame.
    pub(in crate::bench) async fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<()> {
        self.stream.write_all(&frame::masked(opcode, payload)).await.context("sending a frame")
    }

    /// Waits until the payloads of all data frames from now on, taken together, are what is wanted, and returns them.
    pub(in crate::bench) async fn wait_for(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
        let mut received = Vec::new();
        loop {
            while let Some(Frame { opcode, payload, length }) = Frame::parse(&self.rest)? {
                match opcode {
                    frame::TEXT | frame::BINARY => received.extend_from_slice(payload),
                    frame::CLOSE => bail!("the peer closed a socket: {}", String::from_utf8_lossy(payload)),
                    _ => {}
                }
                self.rest.drain(..length);
            }
            if wanted(&received) {
                return Ok(received);
            }
            self.receive()
                .await
                .with_context(|| format!("after {:?}", String::from_utf8_lossy(&received)))?;
        }
    }

    /// Sends a text and waits for the data frame that comes next, on a socket that gets nothing but answers.
    pub(in crate::bench) async fn call(&mut self, text: &[u8]) -> Result<Vec<u8>> {
        self.send(frame::TEXT, text).await?;
        loop {
            while let Some(Frame { opcode, payload, length }) = Frame::parse(&self.rest)? {
                let answer = matches!(opcode, frame::TEXT | frame::BINARY).then(|| payload.to_vec());
                if opcode == frame::CLOSE {
                    bail!("the peer closed a socket: {}", String::from_utf8_lossy(payload));
                }
                self.rest.drain(..length);
                if let Some(answer) = answer {
                    return Ok(answer);
                }
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.rest).await.context("reading from a socket")? {
            0 => bail!("the peer closed a socket"),
            _ => Ok(()),
        }
    }

    /// The connection, and what was received and not yet read.
    pub(in crate::bench) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.rest)
    }
}
