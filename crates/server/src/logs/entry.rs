//! One entry of a log, and its bytes within a chunk.

/// What an entry is about. Each kind has chunks of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A call.
    Access,
    /// A transaction that was issued.
    IssuedSheet,
    /// An acquire action that was executed.
    ExecutedSheet,
    /// A consume action that was executed.
    ExecutedTask,
    /// What a game told.
    InGame,
}

impl Kind {
    /// The kind's number in the store, which never changes.
    pub(crate) fn number(self) -> i64 {
        match self {
            Kind::Access => 0,
            Kind::IssuedSheet => 1,
            Kind::ExecutedSheet => 2,
            Kind::ExecutedTask => 3,
            Kind::InGame => 4,
        }
    }
}

/// An entry. What a kind does not have is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// When, in milliseconds.
    pub(crate) at: i64,
    /// Milliseconds that a call took.
    pub(crate) duration: u64,
    /// Status of a call's answer.
    pub(crate) status: u16,
    /// Id of a call, a transaction or a task.
    pub(crate) id: &'a str,
    /// Id of the call that caused this one.
    pub(crate) source: &'a str,
    /// Id of the call with which it all began, where that is another one.
    pub(crate) root: &'a str,
    /// Service, camelCase.
    pub(crate) service: &'a str,
    /// Plain verb.
    pub(crate) method: &'a str,
    /// Namespace that a call was about.
    pub(crate) namespace: &'a str,
    /// Player.
    pub(crate) user: &'a str,
    /// Action of a transaction.
    pub(crate) action: &'a str,
    /// Request of a call or of an action; what a game told.
    pub(crate) request: &'a str,
    /// Answer of a call.
    pub(crate) result: &'a str,
    /// Tasks of a transaction, whose values are empty; tags of what a game told.
    pub(crate) list: Vec<(&'a str, &'a str)>,
}

impl<'a> Entry<'a> {
    /// The id of the call with which it all began.
    pub(crate) fn trace(&self) -> &'a str {
        if self.root.is_empty() { self.id } else { self.root }
    }

    fn texts(&self) -> [&'a str; 10] {
        [
            self.id,
            self.source,
            self.root,
            self.service,
            self.method,
            self.namespace,
            self.user,
            self.action,
            self.request,
            self.result,
        ]
    }

    /// Adds the entry's bytes; its time is written as the distance from `before`.
    pub(crate) fn write(&self, before: i64, bytes: &mut Vec<u8>) {
        let distance = self.at.wrapping_sub(before);
        write_number(bytes, ((distance << 1) ^ (distance >> 63)) as u64);
        write_number(bytes, self.duration);
        write_number(bytes, self.status.into());
        for text in self.texts() {
            write_text(bytes, text);
        }
        write_number(bytes, self.list.len() as u64);
        for (key, value) in &self.list {
            write_text(bytes, key);
            write_text(bytes, value);
        }
    }

    /// Takes an entry off the front; `None` when there is none.
    pub(crate) fn read(before: i64, bytes: &mut &'a [u8]) -> Option<Entry<'a>> {
        let distance = read_number(bytes)?;
        let at = before.wrapping_add((distance >> 1) as i64 ^ -((distance & 1) as i64));
        let duration = read_number(bytes)?;
        let status = u16::try_from(read_number(bytes)?).ok()?;
        let mut texts = [""; 10];
        for text in &mut texts {
            *text = read_text(bytes)?;
        }
        let [id, source, root, service, method, namespace, user, action, request, result] = texts;
        let count = read_number(bytes)?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push((read_text(bytes)?, read_text(bytes)?));
        }
        Some(Entry {
            at,
            duration,
            status,
            id,
            source,
            root,
            service,
            method,
            namespace,
            user,
            action,
            request,
            result,
            list,
        })
    }
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number as u8) | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    write_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(read_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            at in any::<i64>(), before in any::<i64>(), duration in any::<u64>(), status in any::<u16>(),
            texts in prop::collection::vec(".{0,200}", 10..=10),
            list in prop::collection::vec((".{0,5}", ".{0,5}"), 0..4),
        ) {
            let list = list.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let entry = Entry {
                at, duration, status,
                id: &texts[0], source: &texts[1], root: &texts[2], service: &texts[3], method: &texts[4],
                namespace: &texts[5], user: &texts[6], action: &texts[7], request: &texts[8], result: &texts[9],
                list,
            };
            let mut bytes = Vec::new();
            entry.write(before, &mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Entry::read(before, &mut rest), Some(entry));
            prop_assert!(rest.is_empty());
            // Whatever is cut off, nothing is read beyond it.
            for length in (0..bytes.len()).step_by(41) {
                prop_assert_eq!(Entry::read(before, &mut &bytes[..length]), None);
            }
        }
    }
}
