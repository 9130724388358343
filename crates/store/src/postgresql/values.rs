//! Parameters on PostgreSQL's wire.

use bytes::{BufMut as _, BytesMut};
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::value::Param;

/// A parameter, written as the type that the server derived for its placeholder.
#[derive(Debug)]
pub(crate) struct Wire<'a>(pub(crate) Param<'a>);

impl ToSql for Wire<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self.0, kind) {
            (Param::Null, _) => Ok(IsNull::Yes),
            (Param::Int(value), &Type::INT8) => value.to_sql(kind, out),
            (Param::Int(value), &Type::INT4) => i32::try_from(value)?.to_sql(kind, out),
            (Param::Int(value), &Type::INT2) => i16::try_from(value)?.to_sql(kind, out),
            (Param::Int(value), &Type::BOOL) => (value != 0).to_sql(kind, out),
            (Param::Int(value), &Type::NUMERIC) => {
                numeric(value, out);
                Ok(IsNull::No)
            }
            (
                Param::Text(value),
                &Type::TEXT | &Type::VARCHAR | &Type::BPCHAR | &Type::NAME | &Type::UNKNOWN,
            ) => value.to_sql(kind, out),
            (Param::Blob(value), &Type::BYTEA) => value.to_sql(kind, out),
            (Param::Int(_), _) => Err(format!("an integer was given where {kind} is expected").into()),
            (Param::Text(_), _) => Err(format!("text was given where {kind} is expected").into()),
            (Param::Blob(_), _) => Err(format!("bytes were given where {kind} is expected").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Decided by value above.
        true
    }

    to_sql_checked!();
}

/// Writes an integer as NUMERIC: what is compared with a sum, which is NUMERIC, becomes one too.
///
/// Digit count, weight of the first digit, sign, decimals; then digits in base 10,000.
fn numeric(value: i64, out: &mut BytesMut) {
    let mut digits = Vec::new();
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        digits.push(u16::try_from(rest % 10_000).unwrap_or_default());
        rest /= 10_000;
    }
    // Five digits at most hold 64 bits.
    let count = u16::try_from(digits.len()).unwrap_or_default();
    out.put_u16(count);
    out.put_u16(count.saturating_sub(1));
    out.put_u16(if value < 0 { 0x4000 } else { 0 });
    out.put_u16(0);
    for digit in digits.iter().rev() {
        out.put_u16(*digit);
    }
}
