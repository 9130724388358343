//! Redis as a lock: `SET NX PX`, then a script that deletes the key if it still holds our token.

use super::load::{Client, Connect, Plan};
use anyhow::{Context, Result, bail};
use std::ops::Range;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The documented way to release a lock that may have passed to somebody else.
const UNLOCK: &str =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";

/// Makes clients of a Redis server.
#[derive(Debug)]
pub(crate) struct Redis {
    address: String,
    contended: bool,
}

impl Redis {
    /// Measures the server at that address.
    pub(crate) fn new(address: String, plan: &Plan) -> Self {
        Self { address, contended: plan.contended }
    }
}

/// A client with its prepared commands.
#[derive(Debug)]
pub(crate) struct RedisClient {
    connection: Connection,
    lock: Vec<u8>,
    unlock: Vec<u8>,
}

impl Connect for Redis {
    type Client = RedisClient;

    async fn connect(&self, numbers: Range<usize>) -> Result<Vec<RedisClient>> {
        let mut clients = Vec::new();
        for number in numbers {
            let mut connection = Connection::open(&self.address).await?;
            let sha = match connection.call(&command(&["SCRIPT", "LOAD", UNLOCK])).await? {
                Reply::Text(sha) => sha,
                reply => bail!("loading the script is answered with {reply:?}"),
            };
            let key = if self.contended { "lock:shared".to_owned() } else { format!("lock:{number}") };
            let token = format!("token-{number}");
            clients.push(RedisClient {
                connection,
                lock: command(&["SET", &key, &token, "NX", "PX", "60000"]),
                unlock: command(&["EVALSHA", &sha, "1", &key, &token]),
            });
        }
        Ok(clients)
    }
}

impl Client for RedisClient {
    async fn unit(&mut self) -> Result<u64> {
        let mut refusals = 0;
        loop {
            match self.connection.call(&self.lock).await? {
                Reply::Text(text) if text == "OK" => break,
                Reply::Nothing => refusals += 1,
                reply => bail!("SET is answered with {reply:?}"),
            }
        }
        match self.connection.call(&self.unlock).await? {
            Reply::Number(1) => Ok(refusals),
            reply => bail!("the unlocking script is answered with {reply:?}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Text(String),
    Number(i64),
    Nothing,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// No reply that we ask for is longer.
    buffer: [u8; 1024],
}

impl Connection {
    async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        Ok(Self { stream, buffer: [0; 1024] })
    }

    async fn call(&mut self, command: &[u8]) -> Result<Reply> {
        self.stream.write_all(command).await.context("sending a command")?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.context("reading a reply")?;
            if read == 0 {
                bail!("redis closed the connection or its reply is too long");
            }
            filled += read;
            if let Some(reply) = parse(&self.buffer[..filled])? {
                return Ok(reply);
            }
        }
    }
}

/// A command as Redis reads it.
pub(super) fn command(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    text.into_bytes()
}

/// Reads a reply; nothing while it is incomplete.
fn parse(bytes: &[u8]) -> Result<Option<Reply>> {
    let text = std::str::from_utf8(bytes).context("a reply is not UTF-8")?;
    let Some((head, rest)) = text.split_once("\r\n") else { return Ok(None) };
    let (kind, value) = head.split_at_checked(1).context("a reply is empty")?;
    Ok(match kind {
        "+" => Some(Reply::Text(value.to_owned())),
        ":" => Some(Reply::Number(value.parse().context("a reply is no number")?)),
        "$" if value == "-1" => Some(Reply::Nothing),
        "$" => rest.strip_suffix("\r\n").map(|text| Reply::Text(text.to_owned())),
        _ => bail!("redis answers {head}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_texts() {
        assert_eq!(command(&["SET", "k"]), b"*2\r\n$3\r\nSET\r\n$1\r\nk\r\n");
    }

    #[test]
    fn replies_are_read_when_they_are_whole() {
        let check = |bytes: &str, expected| assert_eq!(parse(bytes.as_bytes()).unwrap(), expected, "{bytes}");
        check("+OK\r\n", Some(Reply::Text("OK".into())));
        check("+OK", None);
        check(":1\r\n", Some(Reply::Number(1)));
        check("$-1\r\n", Some(Reply::Nothing));
        check("$3\r\nabc\r\n", Some(Reply::Text("abc".into())));
        check("$3\r\nabc", None);
        assert!(parse(b"-ERR no\r\n").is_err());
    }
}
