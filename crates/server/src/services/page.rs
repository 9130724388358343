//! Paging by key: a page starts behind the last key of the page before (BEHAVIOUR N-07, N-09).

use hiroba_api::contract::Page;
use hiroba_api::names::{PageLimit, PageToken};

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
