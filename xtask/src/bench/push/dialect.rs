//! What the peers put into their frames: where a push begins and ends, and what wants an answer.

use anyhow::{Context, Result, bail, ensure};

/// The language of a peer, with what is half read.
#[derive(Debug, Clone)]
pub(super) enum Dialect {
    /// A frame is a notification.
    Hiroba,
    /// Engine.IO version 4: a frame is an event or a ping.
    Socketio,
    /// The text protocol of NATS, cut into frames wherever the server likes; the bytes are those not yet read.
    Nats(Vec<u8>),
}

impl Dialect {
    /// Reads the payload of a data frame, hands over what each push holds, and returns the answer that it wants.
    pub(super) fn read(
        &mut self,
        payload: &[u8],
        mut push: impl FnMut(&[u8]),
    ) -> Result<Option<&'static [u8]>> {
        match self {
            Self::Hiroba => push(payload),
            Self::Socketio => match payload {
                [b'4', b'2', event @ ..] => push(event),
                [b'2'] => return Ok(Some(b"3")),
                _ => bail!("Socket.IO sends {}", String::from_utf8_lossy(payload)),
            },
            Self::Nats(rest) => {
                // Nothing is copied unless a message is cut in two.
                if rest.is_empty() {
                    let (used, answer) = read_nats(payload, push)?;
                    rest.extend_from_slice(&payload[used..]);
                    return Ok(answer);
                }
                rest.extend_from_slice(payload);
                let (used, answer) = read_nats(rest, push)?;
                rest.drain(..used);
                return Ok(answer);
            }
        }
        Ok(None)
    }
}

/// Reads whole messages; returns how many bytes they have, and the answer to a ping.
fn read_nats(bytes: &[u8], mut push: impl FnMut(&[u8])) -> Result<(usize, Option<&'static [u8]>)> {
    let (mut used, mut answer) = (0, None);
    while let Some(end) = bytes[used..].iter().position(|byte| *byte == b'\n') {
        let start = used + end + 1;
        let line = bytes[used..start].trim_ascii_end();
        match line {
            [b'M', b'S', b'G', b' ', ..] => {
                let length = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
                let length = std::str::from_utf8(length).ok().and_then(|text| text.parse::<usize>().ok());
                let length = length.context("a message of NATS has no length")?;
                let Some(message) = bytes.get(start..start + length + 2) else { break };
                push(&message[..length]);
                used = start + length + 2;
                continue;
            }
            b"PING" => answer = Some(b"PONG\r\n".as_slice()),
            _ => ensure!(!line.starts_with(b"-ERR"), "NATS says {}", String::from_utf8_lossy(line)),
        }
        used = start;
    }
    Ok((used, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dialect: &mut Dialect, payload: &[u8]) -> (Vec<String>, Option<&'static [u8]>) {
        let mut pushes = Vec::new();
        let push = |bytes: &[u8]| pushes.push(String::from_utf8(bytes.to_vec()).unwrap());
        let answer = dialect.read(payload, push).unwrap();
        (pushes, answer)
    }

    #[test]
    fn events_and_pings_of_socketio_are_told_apart() {
        let mut dialect = Dialect::Socketio;
        assert_eq!(read(&mut dialect, b"42[1]"), (vec!["[1]".to_owned()], None));
        assert_eq!(read(&mut dialect, b"2"), (vec![], Some(b"3".as_slice())));
        assert!(dialect.read(b"41", |_| {}).is_err());
    }

    #[test]
    fn messages_of_nats_are_read_wherever_they_are_cut() {
        let stream = b"PONG\r\nMSG own.1 1 5\r\na\r\nb~\r\nPING\r\nMSG all 2 0\r\n\r\nMSG all 2 1\r\nz\r\n";
        for size in 1..=stream.len() {
            let mut dialect = Dialect::Nats(Vec::new());
            let (mut pushes, mut pongs) = (Vec::new(), 0);
            for chunk in stream.chunks(size) {
                let (some, answer) = read(&mut dialect, chunk);
                pushes.extend(some);
                pongs += usize::from(answer.is_some());
            }
            assert_eq!(
                (pushes, pongs),
                (vec!["a\r\nb~".to_owned(), String::new(), "z".to_owned()], 1),
                "{size}"
            );
        }
        assert!(Dialect::Nats(Vec::new()).read(b"-ERR 'no'\r\n", |_| {}).is_err());
    }
}
