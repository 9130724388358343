//! Those who post and those who read pages: prepared calls in which only the room's number and the message's id change.

use super::redis::RedisLink;
use crate::bench::http::Connection;
use crate::bench::socket::Socket;
use anyhow::{Result, ensure};
use std::borrow::Cow;

/// Stands for the number of a room in a template, and has as many characters as every number.
const ROOM: &str = "%%%";
/// Stands for the id of a message in a template.
const ID: &str = "~00000000~";
/// What stands before and after the digits of an id.
pub(super) const ID_MARK: char = '~';
/// Digits of an id.
const ID_DIGITS: usize = ID.len() - 2;
/// Digits of an id that count the posts of a caller; those before are the caller's number.
const COUNT_DIGITS: u32 = 6;
/// Bytes of a message's text.
const TEXT_BYTES: usize = 100;
/// Every so many pages one is counted through.
const PAGES_PER_CHECK: usize = 32;

/// The text of a message in a template.
pub(super) fn text() -> String {
    format!("{ID}{}", "x".repeat(TEXT_BYTES - ID.len()))
}

/// The number of a room in a template.
pub(super) fn any_room(prefix: &str) -> String {
    format!("{prefix}-{ROOM}")
}

/// The number of a room as it stands in its name.
pub(super) fn room_number(number: usize) -> String {
    format!("{number:00$}", ROOM.len())
}

/// A prepared post.
#[derive(Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    rooms_at: Vec<usize>,
    ids_at: Vec<usize>,
}

impl Template {
    /// Finds the places of numbers and ids.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let find = |text: &str| -> Vec<usize> {
            let windows = bytes.windows(text.len()).enumerate();
            windows.filter(|(_, window)| *window == text.as_bytes()).map(|(at, _)| at).collect()
        };
        let (rooms_at, ids_at) = (find(ROOM), find(ID));
        Self { bytes, rooms_at, ids_at }
    }

    fn fill(&mut self, room: usize, id: usize) -> &[u8] {
        for &at in &self.rooms_at {
            digits(&mut self.bytes[at..at + ROOM.len()], room);
        }
        for &at in &self.ids_at {
            digits(&mut self.bytes[at + 1..at + 1 + ID_DIGITS], id);
        }
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

/// How calls travel; each is answered before the next is sent.
#[derive(Debug)]
pub(super) enum Link {
    /// HTTP.
    Rest(Connection),
    /// A WebSocket.
    Socket(Socket),
    /// The protocol of Redis.
    Redis(RedisLink),
}

impl Link {
    /// Makes a call that must succeed, and returns its answer.
    pub(super) async fn call(&mut self, call: &[u8]) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Rest(connection) => connection.call_ok(call).await.map(Cow::Borrowed),
            Self::Socket(socket) => {
                let answer = socket.call(call).await?;
                ensure!(
                    contains(&answer, b"\"status\":200"),
                    "{} is answered with {}",
                    String::from_utf8_lossy(call),
                    String::from_utf8_lossy(&answer)
                );
                Ok(Cow::Owned(answer))
            }
            Self::Redis(link) => link.call(call).await.map(Cow::Borrowed),
        }
    }
}

/// What a caller calls.
#[derive(Debug)]
enum Calls {
    Posts {
        template: Template,
        rooms: usize,
    },
    Pages {
        calls: Vec<Vec<u8>>,
        /// What stands once in each message of an answer.
        mark: &'static [u8],
    },
}

/// A connection with its prepared calls.
#[derive(Debug)]
pub(super) struct Caller {
    link: Link,
    calls: Calls,
    /// Number among all callers.
    number: usize,
    made: usize,
}

impl Caller {
    /// Posts into so many rooms in turn.
    pub(super) fn poster(link: Link, template: Template, rooms: usize, number: usize) -> Self {
        Self { link, calls: Calls::Posts { template, rooms }, number, made: 0 }
    }

    /// Reads pages in turn.
    pub(super) fn reader(link: Link, calls: Vec<Vec<u8>>, mark: &'static [u8]) -> Self {
        Self { link, calls: Calls::Pages { calls, mark }, number: 0, made: 0 }
    }

    /// Makes the next call.
    pub(super) async fn call(&mut self) -> Result<()> {
        match &mut self.calls {
            Calls::Posts { template, rooms } => {
                let id = self.number * 10_usize.pow(COUNT_DIGITS) + self.made;
                // Callers begin in different rooms, and go on at their own pace.
                let room = (self.number * 7 + self.made) % *rooms;
                self.link.call(template.fill(room, id)).await?;
            }
            Calls::Pages { calls, mark } => {
                let answer = self.link.call(&calls[self.made % calls.len()]).await?;
                let whole = answer.len() >= super::PAGE * TEXT_BYTES;
                let count = if self.made.is_multiple_of(PAGES_PER_CHECK) {
                    answer.windows(mark.len()).filter(|window| window == mark).count()
                } else {
                    super::PAGE
                };
                ensure!(
                    whole && count == super::PAGE,
                    "a page has {count} messages: {}",
                    String::from_utf8_lossy(&answer)
                );
            }
        }
        self.made += 1;
        Ok(())
    }
}

pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_and_ids_are_filled_in() {
        let mut template = Template::new(format!("{} {ID} {}", any_room("a"), any_room("b")).into_bytes());
        assert_eq!(template.fill(17, 2_000_003), b"a-017 ~02000003~ b-017");
        assert_eq!(template.fill(99, 0), b"a-099 ~00000000~ b-099");
        assert_eq!((text().len(), room_number(7).as_str()), (TEXT_BYTES, "007"));
    }
}
