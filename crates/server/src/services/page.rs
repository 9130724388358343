//! Paging by key: a page starts behind the last key of the page before (BEHAVIOUR N-07, N-09).

use hiroba_api::contract::Page;
use hiroba_api::names::{PageLimit, PageToken};

use crate::error::Error;

/// Bytes after which a page of large elements ends although its limit is not reached (BEHAVIOUR N-07).
const BYTES_MAX: usize = 8 << 20;

/// The key behind which a page starts; the empty text is before every key.
pub(super) fn after(token: Option<&PageToken>) -> &str {
    token.map_or("", PageToken::key)
}

/// How many rows to select: one more than the page holds says whether there is a next one.
pub(super) fn rows(limit: PageLimit) -> i64 {
    limit.get() as i64 + 1
}

/// Makes the page of what was selected with [`rows`].
pub(super) fn page<T>(mut items: Vec<T>, limit: PageLimit, key: impl Fn(&T) -> &str) -> Page<T> {
    let more = items.len() > limit.get();
    items.truncate(limit.get());
    let next_page_token = items.last().filter(|_| more).map(|last| PageToken::after(key(last)));
    Page { items, next_page_token }
}

/// Makes a page of elements that may be large: it ends at its limit or after [`BYTES_MAX`], and holds one at least.
///
/// `select` reads up to `count` elements behind a key; `key` and `bytes` say what an element's are.
pub(super) fn bounded<T, K: ToString>(
    limit: PageLimit,
    mut after: K,
    count: i64,
    mut select: impl FnMut(&K, i64) -> Result<Vec<T>, Error>,
    key: impl Fn(&T) -> K,
    bytes: impl Fn(&T) -> usize,
) -> Result<Page<T>, Error> {
    let (mut items, mut total) = (Vec::new(), 0);
    loop {
        let chunk = select(&after, count)?;
        let last = (chunk.len() as i64) < count;
        for item in chunk {
            let full = !items.is_empty() && total + bytes(&item) > BYTES_MAX;
            if full || items.len() == limit.get() {
                return Ok(Page { items, next_page_token: Some(PageToken::after(&after.to_string())) });
            }
            total += bytes(&item);
            after = key(&item);
            items.push(item);
        }
        if last {
            return Ok(Page { items, next_page_token: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages through elements of these sizes, read two at a time.
    fn pages(sizes: &[usize], limit: i32) -> Vec<Vec<usize>> {
        let (limit, mut after, mut pages) = (PageLimit::try_from(limit).unwrap(), 0_usize, Vec::new());
        loop {
            let select = |after: &usize, count: i64| {
                let places = (1_usize..).zip(sizes.iter().copied()).skip(*after);
                Ok(places.take(usize::try_from(count).unwrap()).collect::<Vec<_>>())
            };
            let page = bounded(limit, after, 2, select, |element| element.0, |element| element.1).unwrap();
            pages.push(page.items.into_iter().map(|(place, _)| place).collect());
            match page.next_page_token {
                Some(token) => after = token.key().parse().unwrap(),
                None => return pages,
            }
        }
    }

    #[test]
    fn large_elements_end_a_page() {
        assert_eq!(pages(&[], 3), [Vec::<usize>::new()]);
        assert_eq!(pages(&[1, 1, 1], 3), [vec![1, 2, 3]]);
        assert_eq!(pages(&[1, 1, 1, 1], 3), [vec![1, 2, 3], vec![4]]);
        assert_eq!(pages(&[BYTES_MAX, 1, BYTES_MAX - 1, 1], 3), [vec![1], vec![2, 3], vec![4]]);
        assert_eq!(pages(&[BYTES_MAX + 1, BYTES_MAX + 1], 3), [vec![1], vec![2]]);
    }
}
