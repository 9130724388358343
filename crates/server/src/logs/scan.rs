//! Walks the chunks of a log, newest first, and shows the entries of a period to whoever asks.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use hiroba_store::{Row, params};

use super::chunk::{self, SPAN_MS_MAX};
use super::{Entry, Kind, store};
use crate::cx::Cx;
use crate::error::Error;

/// Bytes of entries that one query looks at.
pub(crate) const BYTES_MAX: u64 = 128 << 20;
/// Rows that one read looks at, and chunks that it opens.
const ROWS_MAX: i64 = 256;
const BODIES_MAX: usize = 8;

/// Where an entry stands. Entries are shown largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Its time.
    pub(crate) at: i64,
    /// Its chunk.
    pub(crate) sequence: i64,
    /// Its place in the chunk.
    pub(crate) index: u32,
}

/// A period, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// Earliest time.
    pub(crate) begin: i64,
    /// Latest time.
    pub(crate) end: i64,
}

/// Which entries are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Sought {
    /// The number of the logs.
    pub(crate) log_id: i64,
    /// Their kind.
    pub(crate) kind: Kind,
    /// When.
    pub(crate) period: Period,
    /// What chunks must hold: hashes of [`super::Term`].
    pub(crate) terms: Vec<u64>,
}

/// Who is shown the entries.
pub(crate) trait Visitor: Send + 'static {
    /// An entry of the period. Entries of a chunk come oldest first, chunks newest first; chunks overlap in time.
    fn entry(&mut self, place: Place, entry: &Entry<'_>);

    /// What comes from now on is not newer than this. Says whether to go on.
    fn boundary(&mut self, _newest: i64) -> bool {
        true
    }
}

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Bytes of entries that were looked at.
    pub(crate) bytes: u64,
    /// When there is more: what is left is not newer than this.
    pub(crate) left: Option<i64>,
}

/// A row without its entries.
struct Head {
    last_at: i64,
    sequence: i64,
    summary: Vec<u8>,
}

impl Head {
    fn read(row: &Row<'_>) -> Result<Head, hiroba_store::StoreError> {
        Ok(Head { last_at: row.int(0)?, sequence: row.int(1)?, summary: row.blob(2)? })
    }
}

/// Shows the entries to the visitor, and answers it. What was recorded before on this node is among them.
pub(crate) async fn walk<V: Visitor>(
    cx: &Arc<Cx>,
    sought: Sought,
    mut visitor: V,
) -> Result<(V, Walked), Error> {
    let place = cx.core.logs.scans.acquire().await;
    let _place = place.map_err(|error| Error::internal("waiting to look through logs", error))?;
    let sought = Arc::new(sought);
    let mut behind = (i64::MAX, i64::MAX);
    let mut bytes = 0;
    loop {
        let looking = Arc::clone(&sought);
        let Read { chunks, more } = cx.read(move |tx| read(tx, &looking, behind)).await?;
        let newest = sought.period.end;
        let period = sought.period;
        let shown = tokio::task::spawn_blocking(move || show(period, chunks, visitor));
        let shown = shown.await.map_err(|error| Error::internal("looking through logs", error))??;
        visitor = shown.visitor;
        bytes += shown.bytes;
        if let Some(left) = shown.stopped_at {
            return Ok((visitor, Walked { bytes, left: Some(left) }));
        }
        let Some(after) = shown.after else { return Ok((visitor, Walked { bytes, left: None })) };
        behind = after;
        if !more {
            return Ok((visitor, Walked { bytes, left: None }));
        }
        // A next call begins behind this time, so that it must be another one than this call began with.
        if bytes >= BYTES_MAX && after.0 < newest {
            visitor.boundary(after.0);
            return Ok((visitor, Walked { bytes, left: Some(after.0) }));
        }
    }
}

/// The next chunks.
struct Read {
    /// Their heads, and the bodies of those among them that may hold what is sought.
    chunks: Vec<(Head, Option<Vec<u8>>)>,
    /// Whether there are more chunks behind them.
    more: bool,
}

fn read(tx: &mut hiroba_store::Tx<'_>, sought: &Sought, behind: (i64, i64)) -> Result<Read, Error> {
    let Sought { log_id, kind, period, terms } = sought;
    let number = kind.number();
    let latest = period.end.saturating_add(SPAN_MS_MAX);
    let params = params![*log_id, number, latest, period.begin, period.end, behind.0, behind.1, ROWS_MAX];
    let heads = tx.query(store::sql::SELECT_CHUNKS, params, Head::read)?;
    let mut more = heads.len() as i64 == ROWS_MAX;
    let (mut chunks, mut opened) = (Vec::with_capacity(heads.len()), 0);
    for head in heads {
        if opened == BODIES_MAX {
            more = true;
            break;
        }
        let mut body = None;
        if chunk::may_hold(&head.summary, terms) {
            opened += 1;
            let params = params![*log_id, number, head.last_at, head.sequence];
            body = tx.query_opt(store::sql::SELECT_BODY, params, |row| row.blob(0))?;
        }
        chunks.push((head, body));
    }
    Ok(Read { chunks, more })
}

struct Shown<V> {
    visitor: V,
    bytes: u64,
    /// Where the visitor had enough.
    stopped_at: Option<i64>,
    /// The last chunk.
    after: Option<(i64, i64)>,
}

fn show<V: Visitor>(
    Period { begin, end }: Period,
    chunks: Vec<(Head, Option<Vec<u8>>)>,
    mut visitor: V,
) -> Result<Shown<V>, Error> {
    let (mut bytes, mut after) = (0, None);
    for (head, body) in chunks {
        if !visitor.boundary(head.last_at) {
            return Ok(Shown { visitor, bytes, stopped_at: Some(head.last_at), after });
        }
        after = Some((head.last_at, head.sequence));
        let Some(body) = body else { continue };
        let opened = chunk::open(&body)?;
        bytes += opened.len() as u64;
        chunk::each(&opened, |index, entry| {
            if (begin..=end).contains(&entry.at) {
                visitor.entry(Place { at: entry.at, sequence: head.sequence, index }, entry);
            }
        })?;
    }
    Ok(Shown { visitor, bytes, stopped_at: None, after })
}

/// Where a page of entries begins: behind a place, and how many entries were found before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct From {
    /// The place.
    pub(crate) place: Place,
    /// Entries before it.
    pub(crate) count: i64,
}

impl From {
    /// The text of a page token.
    pub(crate) fn to_text(self) -> String {
        let From { place: Place { at, sequence, index }, count } = self;
        format!("{at}.{sequence}.{index}.{count}")
    }

    /// Reads the text of a page token; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<From> {
        let mut parts = text.split('.');
        let at = parts.next()?.parse().ok()?;
        let sequence = parts.next()?.parse().ok()?;
        let index = parts.next()?.parse().ok()?;
        let count = parts.next()?.parse().ok().filter(|count| *count >= 0)?;
        parts.next().is_none().then_some(From { place: Place { at, sequence, index }, count })
    }
}

/// Whether an entry is one of those that are looked for.
pub(crate) type Filter = Box<dyn Fn(&Entry<'_>) -> bool + Send>;

/// Collects one page of entries, newest first, and counts the rest.
pub(crate) struct Pager<T> {
    from: Option<From>,
    limit: usize,
    bytes_max: usize,
    filter: Filter,
    make: fn(&Entry<'_>) -> T,
    /// Found, but an entry that is shown later may stand before it.
    waiting: Vec<(Place, usize, T)>,
    items: Vec<T>,
    last: Option<Place>,
    bytes: usize,
    full: bool,
    /// Entries behind the page.
    behind: i64,
}

/// A page of entries.
pub(crate) struct Paged<T> {
    /// The page.
    pub(crate) items: Vec<T>,
    /// Where the next one begins.
    pub(crate) next: Option<From>,
    /// Entries that were found, those of earlier pages included.
    pub(crate) total: i64,
}

impl<T: Send + 'static> Pager<T> {
    /// A page of at most `limit` entries and about `bytes_max` bytes.
    pub(crate) fn new(
        from: Option<From>,
        limit: usize,
        bytes_max: usize,
        filter: Filter,
        make: fn(&Entry<'_>) -> T,
    ) -> Pager<T> {
        Pager {
            from,
            limit,
            bytes_max,
            filter,
            make,
            waiting: Vec::new(),
            items: Vec::new(),
            last: None,
            bytes: 0,
            full: false,
            behind: 0,
        }
    }

    /// Takes what no later entry can stand before.
    fn settle(&mut self, newest: Option<i64>) {
        self.waiting.sort_unstable_by_key(|(place, ..)| std::cmp::Reverse(*place));
        let settled = match newest {
            Some(newest) => self.waiting.partition_point(|(place, ..)| place.at > newest),
            None => self.waiting.len(),
        };
        for (place, bytes, item) in self.waiting.drain(..settled) {
            self.full |= self.items.len() == self.limit
                || (!self.items.is_empty() && self.bytes + bytes > self.bytes_max);
            if self.full {
                self.behind += 1;
            } else {
                self.bytes += bytes;
                self.items.push(item);
                self.last = Some(place);
            }
        }
        // What has no place on the page any more needs only to be counted.
        let room = if self.full { 0 } else { self.limit - self.items.len() };
        if self.waiting.len() > room {
            self.behind += (self.waiting.len() - room) as i64;
            self.waiting.truncate(room);
        }
    }

    /// The page, after the walk.
    pub(crate) fn finish(mut self, walked: Walked) -> Paged<T> {
        let left = walked.left;
        self.settle(left);
        let before = self.from.map_or(0, |from| from.count) + self.items.len() as i64;
        // What was not kept for want of room stands behind what filled the page.
        let full = self.full || (self.behind > 0 && self.items.len() == self.limit);
        let next = match (full, left) {
            (true, _) => self.last.map(|place| From { place, count: before }),
            (false, Some(at)) => {
                let place = Place { at, sequence: i64::MAX, index: u32::MAX };
                Some(From { place, count: before })
            }
            (false, None) => None,
        };
        Paged { items: self.items, next, total: before + self.behind }
    }
}

impl<T: Send + 'static> Visitor for Pager<T> {
    fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        if self.from.is_some_and(|from| place >= from.place) || !(self.filter)(entry) {
            return;
        }
        if self.full {
            self.behind += 1;
            return;
        }
        let bytes = entry.request.len() + entry.result.len();
        self.waiting.push((place, bytes, (self.make)(entry)));
        // A chunk may hold many more than the page has room for.
        if self.waiting.len() >= 2 * self.limit + 64 {
            self.settle(Some(i64::MAX));
        }
    }

    fn boundary(&mut self, newest: i64) -> bool {
        self.settle(Some(newest));
        true
    }
}

/// Counts entries by what they have in common; those of more than [`GROUPS_MAX`] groups are not told apart.
pub(crate) struct Counter<K> {
    filter: Filter,
    key: Box<dyn Fn(&Entry<'_>) -> K + Send>,
    /// How often each was found.
    pub(crate) counts: HashMap<K, i64>,
    /// Entries that were found.
    pub(crate) total: i64,
}

/// Groups that are told apart.
const GROUPS_MAX: usize = 100_000;

impl<K: Hash + Eq> Counter<K> {
    /// Nothing is counted yet.
    pub(crate) fn new(filter: Filter, key: Box<dyn Fn(&Entry<'_>) -> K + Send>) -> Counter<K> {
        Counter { filter, key, counts: HashMap::new(), total: 0 }
    }
}

impl<K: Hash + Eq + Send + 'static> Visitor for Counter<K> {
    fn entry(&mut self, _place: Place, entry: &Entry<'_>) {
        if !(self.filter)(entry) {
            return;
        }
        self.total += 1;
        let key = (self.key)(entry);
        if self.counts.len() < GROUPS_MAX || self.counts.contains_key(&key) {
            *self.counts.entry(key).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Chunks of entries, each with its times; the number of a chunk is its place in the list.
    fn page(
        chunks: &[Vec<i64>],
        from: Option<From>,
        limit: usize,
        bytes_max: usize,
        chunks_max: usize,
    ) -> Paged<String> {
        let end = from.map_or(i64::MAX, |from| from.place.at);
        let mut order: Vec<(i64, i64)> =
            chunks.iter().zip(0..).filter_map(|(times, sequence)| Some((*times.last()?, sequence))).collect();
        order.sort_unstable_by(|left, right| right.cmp(left));
        let filter: Filter = Box::new(|entry| entry.at % 7 != 0);
        let mut pager = Pager::new(from, limit, bytes_max, filter, |entry| entry.id.to_owned());
        for (count, (last_at, sequence)) in order.into_iter().enumerate() {
            pager.boundary(last_at);
            let times = &chunks[usize::try_from(sequence).unwrap()];
            for (at, index) in times.iter().zip(0..).filter(|(at, _)| **at <= end) {
                let id = format!("{at}/{sequence}/{index}");
                let entry = Entry { at: *at, id: &id, request: "12345678", ..Entry::default() };
                pager.entry(Place { at: *at, sequence, index }, &entry);
            }
            if count >= chunks_max && last_at < end {
                pager.boundary(last_at);
                return pager.finish(Walked { bytes: 0, left: Some(last_at) });
            }
        }
        pager.finish(Walked { bytes: 0, left: None })
    }

    proptest! {
        #[test]
        fn pages_hold_every_entry_once_in_order(
            chunks in prop::collection::vec(prop::collection::vec(0..40_i64, 0..12), 0..8),
            limit in 1..9_usize, bytes_max in 8..60_usize, chunks_max in 0..9_usize,
        ) {
            let mut chunks = chunks;
            chunks.iter_mut().for_each(|times| times.sort_unstable());
            let mut expected: Vec<Place> = Vec::new();
            for (times, sequence) in chunks.iter().zip(0..) {
                let places = times.iter().zip(0..).filter(|(at, _)| **at % 7 != 0);
                expected.extend(places.map(|(at, index)| Place { at: *at, sequence, index }));
            }
            expected.sort_unstable_by(|left, right| right.cmp(left));
            let name = |place: &Place| format!("{}/{}/{}", place.at, place.sequence, place.index);
            let expected: Vec<String> = expected.iter().map(name).collect();

            let (mut from, mut found, mut calls) = (None, Vec::new(), 0);
            loop {
                let paged = page(&chunks, from, limit, bytes_max, chunks_max);
                prop_assert!(paged.items.len() <= limit && paged.items.len() <= bytes_max / 8 + 1);
                found.extend(paged.items);
                prop_assert!(paged.total >= found.len() as i64 && paged.total <= expected.len() as i64);
                calls += 1;
                prop_assert!(calls < 1000, "no end");
                match paged.next {
                    Some(next) => {
                        prop_assert_eq!(From::parse(&next.to_text()), Some(next));
                        prop_assert_eq!(next.count, found.len() as i64);
                        from = Some(next);
                    }
                    None => break,
                }
            }
            prop_assert_eq!(&found, &expected);
            // A walk over everything knows how many there are from its first page on.
            if chunks_max == 8 {
                prop_assert_eq!(page(&chunks, None, limit, bytes_max, 8).total, expected.len() as i64);
            }
        }
    }

    #[test]
    fn page_tokens_are_told_from_other_texts() {
        for wrong in ["", "1", "1.2.3", "1.2.3.-1", "1.2.3.4.5", "a.2.3.4", "1.2.-3.4"] {
            assert_eq!(From::parse(wrong), None, "{wrong}");
        }
    }
}
