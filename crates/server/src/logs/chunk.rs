//! Entries that are kept together: compressed, with a summary that says which values none of them has.

use crate::entropy::splitmix;
use crate::error::Error;

use super::entry::Entry;

/// Form of a body; its first byte.
const VERSION: u8 = 1;
/// Bits of a summary for each value, and how many of them a value sets: one value in a hundred that is not there seems to be.
const BITS_A_VALUE: usize = 10;
const BITS_SET: u64 = 7;
/// Bytes of entries after which a chunk ends.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// Entries after which a chunk ends.
pub(crate) const ENTRIES_MAX: usize = 4096;
/// Milliseconds between the oldest and the newest entry of a chunk.
pub(crate) const SPAN_MS_MAX: i64 = 60_000;

/// Which value of an entry is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term<'a> {
    /// Id of a call, a transaction or a task.
    Id(&'a str),
    /// Id of the call with which it all began.
    Trace(&'a str),
    /// Service.
    Service(&'a str),
    /// Method.
    Method(&'a str),
    /// Player.
    User(&'a str),
    /// Action.
    Action(&'a str),
    /// Name and value of a tag.
    Tag(&'a str, &'a str),
}

impl Term<'_> {
    /// The term's place in a summary. Written into the store, so it never changes.
    pub(crate) fn hash(self) -> u64 {
        let (kind, texts) = match self {
            Term::Id(text) => (b'i', [text, ""]),
            Term::Trace(text) => (b't', [text, ""]),
            Term::Service(text) => (b's', [text, ""]),
            Term::Method(text) => (b'm', [text, ""]),
            Term::User(text) => (b'u', [text, ""]),
            Term::Action(text) => (b'a', [text, ""]),
            Term::Tag(key, value) => (b'g', [key, value]),
        };
        // FNV-1a, with a byte between the texts that neither has.
        let bytes = [kind].into_iter().chain(texts[0].bytes()).chain([0xff]).chain(texts[1].bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        splitmix(hash)
    }
}

/// Whether an entry of the chunk with this summary may have all these values.
pub(crate) fn may_hold(summary: &[u8], terms: &[u64]) -> bool {
    let bits = summary.len() as u64 * 8;
    terms.iter().all(|term| {
        bits > 0
            && places(*term, bits).all(|(byte, bit)| summary.get(byte).is_some_and(|held| held & bit != 0))
    })
}

fn places(term: u64, bits: u64) -> impl Iterator<Item = (usize, u8)> {
    let step = splitmix(term) | 1;
    (0..BITS_SET).map(move |turn| {
        let place = term.wrapping_add(turn.wrapping_mul(step)) % bits;
        ((place / 8) as usize, 1 << (place % 8))
    })
}

/// A chunk as its row holds it, but for its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Time of the oldest entry.
    pub(crate) first_at: i64,
    /// Time of the newest entry.
    pub(crate) last_at: i64,
    /// Number of entries.
    pub(crate) entries: usize,
    /// Bytes of the entries.
    pub(crate) bytes: usize,
    /// Says which values no entry has.
    pub(crate) summary: Vec<u8>,
    /// The compressed entries.
    pub(crate) body: Vec<u8>,
}

/// Makes chunks of entries that come by time, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    terms: Vec<u64>,
    first_at: i64,
    last_at: i64,
    entries: usize,
    done: Vec<Chunk>,
}

impl Builder {
    /// Adds an entry.
    pub(crate) fn push(&mut self, entry: &Entry<'_>) {
        let full = self.entries == ENTRIES_MAX || self.bytes.len() >= BYTES_MAX;
        if self.entries > 0 && (full || entry.at.saturating_sub(self.first_at) > SPAN_MS_MAX) {
            self.end();
        }
        if self.entries == 0 {
            self.first_at = entry.at;
            self.last_at = 0;
        }
        entry.write(self.last_at, &mut self.bytes);
        self.last_at = entry.at;
        self.entries += 1;
        let texts = [
            Term::Id(entry.id),
            Term::Trace(entry.trace()),
            Term::Service(entry.service),
            Term::Method(entry.method),
            Term::User(entry.user),
            Term::Action(entry.action),
        ];
        let tags = entry.list.iter().map(|(key, value)| Term::Tag(key, value));
        self.terms.extend(texts.into_iter().chain(tags).map(Term::hash));
        if self.terms.len() > 4 * ENTRIES_MAX {
            self.terms.sort_unstable();
            self.terms.dedup();
        }
    }

    /// The chunks of all that was added.
    pub(crate) fn finish(mut self) -> Vec<Chunk> {
        if self.entries > 0 {
            self.end();
        }
        self.done
    }

    fn end(&mut self) {
        self.terms.sort_unstable();
        self.terms.dedup();
        let mut summary = vec![0; (self.terms.len() * BITS_A_VALUE).div_ceil(8).max(8)];
        let bits = summary.len() as u64 * 8;
        for term in &self.terms {
            places(*term, bits).for_each(|(byte, bit)| summary[byte] |= bit);
        }
        let mut body = vec![VERSION];
        body.extend_from_slice(&lz4_flex::compress_prepend_size(&self.bytes));
        self.done.push(Chunk {
            first_at: self.first_at,
            last_at: self.last_at,
            entries: self.entries,
            bytes: self.bytes.len(),
            summary,
            body,
        });
        self.bytes.clear();
        self.terms.clear();
        self.entries = 0;
    }
}

/// The entries' bytes in a body.
pub(crate) fn open(body: &[u8]) -> Result<Vec<u8>, Error> {
    match body.split_first() {
        Some((&VERSION, compressed)) => lz4_flex::decompress_size_prepended(compressed)
            .map_err(|error| Error::internal("opening a chunk of a log", error)),
        _ => Err(Error::Internal("a chunk of a log has an unknown form".to_owned())),
    }
}

/// Shows each entry of the opened bytes with its place among them.
pub(crate) fn each(opened: &[u8], mut visit: impl FnMut(u32, &Entry<'_>)) -> Result<(), Error> {
    let (mut rest, mut before, mut index) = (opened, 0, 0);
    while !rest.is_empty() {
        let entry = Entry::read(before, &mut rest)
            .ok_or_else(|| Error::Internal("a chunk of a log is broken".to_owned()))?;
        before = entry.at;
        visit(index, &entry);
        index += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(entries: &[Entry<'_>]) -> Vec<Chunk> {
        let mut builder = Builder::default();
        entries.iter().for_each(|entry| builder.push(entry));
        builder.finish()
    }

    #[test]
    fn chunks_hold_what_was_added_and_end_in_time() {
        let text = "x".repeat(3000);
        let entry = |at: i64| Entry { at, id: "id", user: "u", request: &text, ..Entry::default() };
        let times: Vec<i64> = (0..1000).chain([60_999, 61_000, 200_000]).collect();
        let entries: Vec<Entry<'_>> = times.iter().map(|at| entry(*at)).collect();
        let chunks = built(&entries);
        let mut seen = Vec::new();
        for chunk in &chunks {
            let opened = open(&chunk.body).unwrap();
            assert_eq!(opened.len(), chunk.bytes);
            let mut times = Vec::new();
            each(&opened, |index, entry| {
                assert_eq!((index as usize, entry.request), (times.len(), text.as_str()));
                times.push(entry.at);
            })
            .unwrap();
            assert_eq!((times.first(), times.last()), (Some(&chunk.first_at), Some(&chunk.last_at)));
            assert!(chunk.last_at - chunk.first_at <= SPAN_MS_MAX && chunk.bytes < BYTES_MAX + 4000);
            assert!(chunk.body.len() < chunk.bytes / 10, "{}", chunk.body.len());
            assert_eq!(times.len(), chunk.entries);
            seen.extend(times);
        }
        assert_eq!(seen, times);
        assert!(chunks.len() >= 5, "{}", chunks.len());
        assert!(open(&[]).is_err() && open(&[9, 1]).is_err() && open(&[VERSION, 1, 2]).is_err());
    }

    #[test]
    fn a_summary_knows_what_is_there_and_mostly_what_is_not() {
        let users: Vec<String> = (0..1000).map(|user| format!("user-{user}")).collect();
        let entries: Vec<Entry<'_>> = users
            .iter()
            .map(|user| Entry { user, service: "lock", list: vec![("level", user)], ..Entry::default() })
            .collect();
        let chunk = built(&entries).remove(0);
        let may = |term: Term<'_>| may_hold(&chunk.summary, &[Term::Service("lock").hash(), term.hash()]);
        for user in &users {
            assert!(may(Term::User(user)) && may(Term::Tag("level", user)));
        }
        let wrong = (0..1000).filter(|user| may(Term::User(&format!("other-{user}")))).count();
        assert!(wrong < 50, "{wrong} of 1,000");
        assert!(!may_hold(&[], &[1]) && may_hold(&[], &[]));
    }
}
