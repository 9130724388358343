//! Pages of user data: of bounded bytes, and with places to go on from.

use hiroba_api::contract::{At, Field, Fields, Service};
use hiroba_api::error::ApiError;
use hiroba_store::{Row, StoreError};
use serde_json::Value;

use super::{ALL, MODEL};
use crate::error::Error;

/// Bytes of rows that one transaction reads, unless one row has more.
const PAGE_BYTES_MAX: i64 = 1 << 20;

/// The keys of rows and their sizes, in order: what a page is made of before its rows are read.
pub(crate) struct Sizes<K> {
    /// Rows that were asked for.
    pub(crate) asked: i64,
    /// Key and bytes.
    pub(crate) rows: Vec<(K, i64)>,
}

impl<K: Copy> Sizes<K> {
    /// The last row that fits into a page, and whether there may be more behind it; `None` when there are no rows.
    pub(crate) fn last(&self) -> Option<(K, bool)> {
        let (mut bytes, mut last) = (0_i64, None);
        for (index, (key, size)) in self.rows.iter().enumerate() {
            bytes = bytes.saturating_add(*size);
            if index > 0 && bytes > PAGE_BYTES_MAX {
                return last.map(|last| (last, true));
            }
            last = Some(*key);
        }
        last.map(|last| (last, self.rows.len() as i64 == self.asked))
    }
}

/// A row of [`Sizes`] whose key is one number.
pub(crate) fn bounded_rows(row: &Row<'_>) -> Result<(i64, i64), StoreError> {
    Ok((row.int(0)?, row.int(1)?))
}

/// Reads the model of a line, or says what is wrong with it. Members that the model does not have are skipped.
pub(crate) fn read_line<M: Field>(service: &Service, model: &str, line: &Fields) -> Result<M, String> {
    let at = At { service: service.name, model, member: model, range: None };
    let mut errors = Vec::new();
    let read = M::read(Value::Object(line.clone()), &at, &mut errors);
    read.filter(|_| errors.is_empty()).ok_or_else(|| {
        let errors: Vec<String> = errors
            .into_iter()
            .map(|error| if error.detail.is_empty() { error.message } else { error.detail })
            .collect();
        errors.join("; ")
    })
}

/// A line without the members that are not shown.
pub(super) fn shown(text: String, hidden: &[&str]) -> Result<String, Error> {
    if hidden.is_empty() {
        return Ok(text);
    }
    let line: Result<Fields, _> = serde_json::from_str(&text);
    let mut line = line.map_err(|error| Error::internal("reading a line of user data", error))?;
    for name in hidden {
        line.remove(*name);
    }
    Ok(Value::Object(line).to_string())
}

/// Where to go on among the data of all services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) service: usize,
    pub(super) model: usize,
    /// The namespace that is being read; empty before the first.
    pub(super) namespace: String,
    /// Behind which of the model's rows.
    pub(super) after: String,
}

impl Cursor {
    /// Before everything of a service.
    pub(super) fn of(service: usize) -> Cursor {
        Cursor { service, model: 0, namespace: String::new(), after: String::new() }
    }

    /// As the caller keeps it.
    pub(super) fn text(&self) -> String {
        let Cursor { service, model, namespace, after } = self;
        let (service, model) = (service.to_string(), model.to_string());
        data_encoding::BASE64URL_NOPAD
            .encode([&service, &model, namespace, after].map(String::as_str).join("\n").as_bytes())
    }

    /// What [`text`](Cursor::text) made.
    pub(super) fn read(text: &str) -> Result<Cursor, Error> {
        if text.is_empty() {
            return Ok(Cursor::of(0));
        }
        let parsed = || {
            let text =
                String::from_utf8(data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()?;
            let mut parts = text.splitn(4, '\n');
            let (service, model) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let (namespace, after) = (parts.next()?.to_owned(), parts.next()?.to_owned());
            (service <= ALL.len()).then_some(Cursor { service, model, namespace, after })
        };
        parsed().ok_or_else(|| {
            let detail = "`pageToken` must be the `nextPageToken` of an earlier page of this list";
            ApiError::bad_request("server", MODEL, "pageToken", "invalid", detail).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_before_it_is_too_large() {
        let last =
            |asked, sizes: &[i64]| Sizes { asked, rows: (1..).zip(sizes.iter().copied()).collect() }.last();
        assert_eq!(last(3, &[]), None::<(i32, bool)>);
        assert_eq!(last(3, &[1, 1]), Some((2, false)));
        assert_eq!(last(3, &[1, 1, 1]), Some((3, true)));
        assert_eq!(last(3, &[PAGE_BYTES_MAX, 1]), Some((1, true)));
        assert_eq!(last(3, &[i64::MAX, i64::MAX]), Some((1, true)));
    }

    #[test]
    fn cursors_go_round() {
        let cursor = Cursor { service: 2, model: 1, namespace: "n".to_owned(), after: "a\nb".to_owned() };
        assert_eq!(Cursor::read(&cursor.text()).unwrap(), cursor);
        for wrong in ["x", "!", &data_encoding::BASE64URL_NOPAD.encode(b"9\n0\nn\n")] {
            assert!(Cursor::read(wrong).is_err(), "{wrong}");
        }
    }
}
