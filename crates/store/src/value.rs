//! Values that go into statements, and rows that come out.

use crate::error::StoreError;

/// One parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param<'a> {
    /// SQL NULL.
    Null,
    /// For BIGINT columns.
    Int(i64),
    /// For TEXT columns; U+0000 is refused, since PostgreSQL cannot store it.
    Text(&'a str),
    /// For BYTEA columns.
    Blob(&'a [u8]),
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Param<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Param<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Param<'_> {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Param<'_> {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Param<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<'a, X: Into<Param<'a>>> From<Option<X>> for Param<'a> {
    fn from(value: Option<X>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer. Columns are counted from zero.
pub struct Row<'r> {
    source: Source<'r>,
}

enum Source<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r postgres::Row),
}

/// A column as either engine gives it.
enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Cell<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "an integer",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        }
    }
}

impl<'r> Row<'r> {
    pub(crate) fn sqlite(row: &'r rusqlite::Row<'r>) -> Self {
        Self { source: Source::Sqlite(row) }
    }

    pub(crate) fn postgres(row: &'r postgres::Row) -> Self {
        Self { source: Source::Postgres(row) }
    }

    /// The integer in column `i`.
    pub fn int(&self, i: usize) -> Result<i64, StoreError> {
        self.opt_int(i)?.ok_or_else(|| mismatch(i, "an integer", "NULL"))
    }

    /// The integer in column `i`, `None` for NULL.
    pub fn opt_int(&self, i: usize) -> Result<Option<i64>, StoreError> {
        match self.cell(i)? {
            Cell::Null => Ok(None),
            Cell::Int(value) => Ok(Some(value)),
            other => Err(mismatch(i, "an integer", other.kind())),
        }
    }

    /// The flag in column `i`: whether its integer is not zero.
    pub fn bool(&self, i: usize) -> Result<bool, StoreError> {
        Ok(self.int(i)? != 0)
    }

    /// The text in column `i`.
    pub fn text(&self, i: usize) -> Result<String, StoreError> {
        self.text_ref(i).map(str::to_owned)
    }

    /// The text in column `i`, borrowed from the row.
    pub fn text_ref(&self, i: usize) -> Result<&str, StoreError> {
        match self.cell(i)? {
            Cell::Text(value) => Ok(value),
            other => Err(mismatch(i, "text", other.kind())),
        }
    }

    /// The text in column `i`, `None` for NULL.
    pub fn opt_text(&self, i: usize) -> Result<Option<String>, StoreError> {
        match self.cell(i)? {
            Cell::Null => Ok(None),
            Cell::Text(value) => Ok(Some(value.to_owned())),
            other => Err(mismatch(i, "text", other.kind())),
        }
    }

    /// The bytes in column `i`.
    pub fn blob(&self, i: usize) -> Result<Vec<u8>, StoreError> {
        self.opt_blob(i)?.ok_or_else(|| mismatch(i, "bytes", "NULL"))
    }

    /// The bytes in column `i`, `None` for NULL.
    pub fn opt_blob(&self, i: usize) -> Result<Option<Vec<u8>>, StoreError> {
        match self.cell(i)? {
            Cell::Null => Ok(None),
            Cell::Blob(value) => Ok(Some(value.to_owned())),
            other => Err(mismatch(i, "bytes", other.kind())),
        }
    }

    fn cell(&self, i: usize) -> Result<Cell<'_>, StoreError> {
        match self.source {
            Source::Sqlite(row) => sqlite_cell(row, i),
            Source::Postgres(row) => postgres_cell(row, i),
        }
    }
}

fn sqlite_cell<'a>(row: &'a rusqlite::Row<'_>, i: usize) -> Result<Cell<'a>, StoreError> {
    use rusqlite::types::ValueRef;
    match row.get_ref(i).map_err(|error| mismatch(i, "a column", error))? {
        ValueRef::Null => Ok(Cell::Null),
        ValueRef::Integer(value) => Ok(Cell::Int(value)),
        ValueRef::Real(_) => Err(mismatch(i, "a column of a used type", "a floating point number")),
        ValueRef::Text(bytes) => {
            std::str::from_utf8(bytes).map(Cell::Text).map_err(|error| mismatch(i, "UTF-8", error))
        }
        ValueRef::Blob(bytes) => Ok(Cell::Blob(bytes)),
    }
}

fn postgres_cell(row: &postgres::Row, i: usize) -> Result<Cell<'_>, StoreError> {
    use postgres::types::Type;
    let column = row.columns().get(i).ok_or_else(|| mismatch(i, "a column", "no such column"))?;
    let read = |error: postgres::Error| mismatch(i, "readable", error);
    let kind = column.type_();
    let cell = match *kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(i).map_err(read)?.map(Cell::Int),
        Type::INT4 => row.try_get::<_, Option<i32>>(i).map_err(read)?.map(|value| Cell::Int(value.into())),
        Type::INT2 => row.try_get::<_, Option<i16>>(i).map_err(read)?.map(|value| Cell::Int(value.into())),
        Type::BOOL => row.try_get::<_, Option<bool>>(i).map_err(read)?.map(|value| Cell::Int(value.into())),
        Type::NUMERIC => row.try_get::<_, Option<Numeric>>(i).map_err(read)?.map(|value| Cell::Int(value.0)),
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(i).map_err(read)?.map(Cell::Blob),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            row.try_get::<_, Option<&str>>(i).map_err(read)?.map(Cell::Text)
        }
        _ => return Err(mismatch(i, "a column of a used type", kind)),
    };
    Ok(cell.unwrap_or(Cell::Null))
}

/// `sum` of BIGINT is NUMERIC on PostgreSQL and an integer on SQLite; read as an integer it is the same on both.
struct Numeric(i64);

impl<'a> postgres::types::FromSql<'a> for Numeric {
    fn from_sql(
        _: &postgres::types::Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        // Digit count, weight of the first digit, sign, decimals; then digits in base 10,000.
        let mut words = raw.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
        let mut next = || words.next().ok_or("short NUMERIC");
        let (count, weight, sign, _decimals) = (next()?, next()?.cast_signed(), next()?, next()?);
        if !matches!(sign, 0 | 0x4000) || i32::from(count) > i32::from(weight) + 1 {
            return Err("NUMERIC is not an integer".into());
        }
        let mut value: i128 = 0;
        for place in 0..=weight.max(-1) {
            let digit = if place.cast_unsigned() < count { next()? } else { 0 };
            value = value
                .checked_mul(10_000)
                .and_then(|value| value.checked_add(digit.into()))
                .ok_or("NUMERIC is out of range")?;
        }
        Ok(Self(i64::try_from(if sign == 0 { value } else { -value })?))
    }

    fn accepts(kind: &postgres::types::Type) -> bool {
        *kind == postgres::types::Type::NUMERIC
    }
}

#[allow(clippy::needless_pass_by_value, reason = "callers hand over an error that they are done with")]
fn mismatch(index: usize, expected: &'static str, found: impl std::fmt::Display) -> StoreError {
    StoreError::Column { index, expected, found: found.to_string() }
}
