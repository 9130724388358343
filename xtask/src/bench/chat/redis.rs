//! Redis: a stream for the history of a room and a channel for its subscribers.

use super::link::{Caller, Link, Template, any_room, text};
use super::listener::{Dialect, Listener};
use super::{PAGE, PAGED_MESSAGES, Rooms};
use crate::bench::peer::start_redis;
use crate::bench::redis::command;
use crate::proc;
use crate::process::Process;
use crate::temp_dir::TempDir;
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of the buffer that a connection starts with.
const BUFFER_BYTES: usize = 64 * 1024;
/// Milliseconds in the id of the first message whose pages are read, and in every notification: as long as those of today.
const TIME: u64 = 1_700_000_000_000;
/// Pages that are read in turn.
const PAGES: usize = 256;

/// A started server, killed when dropped; what it wrote is thrown away.
#[derive(Debug)]
pub(super) struct Redis {
    process: Process,
    address: String,
    _folder: TempDir,
}

impl Redis {
    /// Starts the server, after installing it when need be.
    pub(super) fn start(base: Option<&Path>) -> Result<Self> {
        let (process, address, folder) = start_redis("chat-redis", base)?;
        Ok(Self { process, address, _folder: folder })
    }

    /// CPU time of the server; it rewrites its file in a child, which is its work as well.
    pub(super) fn cpu(&self) -> Result<Duration> {
        proc::cpu_of_tree(self.process.pid())
    }

    /// Connects the subscribers.
    pub(super) async fn listeners(&self, rooms: &Rooms) -> Result<Vec<Listener>> {
        let mut listeners = Vec::new();
        for number in 0..rooms.count * rooms.subscribers {
            let mut link = RedisLink::open(&self.address, 1).await?;
            let room = rooms.name(number / rooms.subscribers);
            link.call(&command(&["SUBSCRIBE", &room])).await?;
            listeners.push(Listener::new(link.stream, Vec::new(), Dialect::Redis));
        }
        Ok(listeners)
    }

    /// Connects somebody who posts.
    pub(super) async fn poster(&self, rooms: &Rooms, number: usize) -> Result<Caller> {
        let (room, user) = (any_room(&rooms.prefix), format!("player-{number}"));
        let notification = json!({
            "namespaceName": "bench",
            "roomName": room,
            "userId": user,
            "category": 0,
            "createdAt": TIME,
        });
        let post = [
            command(&["XADD", &room, "*", "user", &user, "category", "0", "text", &text()]),
            command(&["PUBLISH", &room, &notification.to_string()]),
        ];
        let link = RedisLink::open(&self.address, post.len()).await?;
        Ok(Caller::poster(Link::Redis(link), Template::new(post.concat()), rooms.count, number))
    }

    /// Fills a stream, and returns the calls for pages that begin anywhere in it.
    pub(super) async fn pages(&self, room: &str) -> Result<Vec<Vec<u8>>> {
        let id = |number: usize| format!("{}-0", TIME + number as u64);
        let mut link = RedisLink::open(&self.address, PAGED_MESSAGES).await?;
        let add = |number| {
            let (id, user) = (id(number), format!("player-{}", number % 20));
            command(&["XADD", room, &id, "user", &user, "category", "0", "text", &text()])
        };
        link.call(&(0..PAGED_MESSAGES).flat_map(add).collect::<Vec<u8>>()).await?;
        let pages = (0..PAGES).map(|page| {
            let start = id(page * 2741 % (PAGED_MESSAGES - PAGE));
            command(&["XRANGE", room, &start, "+", "COUNT", &PAGE.to_string()])
        });
        Ok(pages.collect())
    }

    /// Connects somebody who reads pages.
    pub(super) async fn reader(&self, calls: Vec<Vec<u8>>) -> Result<Caller> {
        let link = RedisLink::open(&self.address, 1).await?;
        Ok(Caller::reader(Link::Redis(link), calls, b"\r\ntext\r\n"))
    }

    /// Demands that the streams hold so many messages.
    pub(super) async fn demand_history(&self, rooms: &Rooms, messages: u64) -> Result<()> {
        let mut link = RedisLink::open(&self.address, 1).await?;
        let mut found = 0;
        for number in 0..rooms.count {
            let reply = link.call(&command(&["XLEN", &rooms.name(number)])).await?;
            let length = std::str::from_utf8(reply).ok().and_then(|reply| reply.trim().strip_prefix(':'));
            let length: Option<u64> = length.and_then(|length| length.parse().ok());
            found += length.context("XLEN is answered with no number")?;
        }
        ensure!(found == messages, "{messages} messages were posted and the streams have {found}");
        Ok(())
    }

    /// Last lines of the server's log.
    pub(super) fn log_tail(&mut self) -> String {
        self.process.log_tail()
    }
}

/// A connection whose calls have a fixed number of replies.
#[derive(Debug)]
pub(super) struct RedisLink {
    stream: TcpStream,
    buffer: Vec<u8>,
    replies: usize,
}

impl RedisLink {
    async fn open(address: &str, replies: usize) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], replies })
    }

    /// Sends commands in one write and returns all their replies.
    pub(super) async fn call(&mut self, commands: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(commands).await.context("sending a command")?;
        let (mut filled, mut used, mut replies) = (0, 0, 0);
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).await.context("reading a reply")?;
            if read == 0 {
                bail!("redis closed the connection");
            }
            filled += read;
            while let Some(length) = reply_length(&self.buffer[used..filled])? {
                used += length;
                replies += 1;
            }
            if replies >= self.replies {
                return Ok(&self.buffer[..used]);
            }
        }
    }
}

/// Bytes of the reply at the beginning; nothing while it is incomplete. An error is a fault.
pub(super) fn reply_length(bytes: &[u8]) -> Result<Option<usize>> {
    let (mut used, mut left) = (0, 1_usize);
    while left > 0 {
        let Some(line) = bytes[used..].windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let (kind, value) = bytes[used..used + line].split_first().context("a reply is empty")?;
        used += line + 2;
        left -= 1;
        let number = || -> Result<usize> {
            let text = std::str::from_utf8(value).context("a length is no text")?;
            // What does not exist has the length -1 and no bytes.
            if text == "-1" { Ok(0) } else { text.parse().context("a length is no number") }
        };
        match kind {
            b'+' | b':' => {}
            b'$' if value == b"-1" => {}
            b'$' => used += number()? + 2,
            b'*' => left += number()?,
            _ => bail!("redis answers {}", String::from_utf8_lossy(bytes)),
        }
        if used > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_a_length_when_it_is_whole() {
        for reply in [
            "+OK\r\n",
            ":12\r\n",
            "$3\r\na\r\n\r\n",
            "$-1\r\n",
            "*2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n",
            "*0\r\n",
        ] {
            let bytes = format!("{reply}:7\r\n").into_bytes();
            assert_eq!(reply_length(&bytes).unwrap(), Some(reply.len()), "{reply}");
            (0..reply.len())
                .for_each(|cut| assert_eq!(reply_length(&bytes[..cut]).unwrap(), None, "{reply}"));
        }
        assert!(reply_length(b"-ERR no\r\n").is_err());
    }
}
