//! The few differences between the engines that a migration's one text covers.
//!
//! - `/*sqlite …*/` is text for SQLite only, `/*postgres …*/` for PostgreSQL only; either is a comment for the other.
//!   `CREATE TABLE … ) /*sqlite WITHOUT ROWID*/;` is the usual case.
//! - The upper-case word `TEXT` becomes `TEXT COLLATE "C"` on PostgreSQL, unless `COLLATE` follows: text is then
//!   ordered and compared by bytes there too, whatever the database's locale. Where a type is meant that takes no
//!   collation, such as a cast, write `text`.
//! - The upper-case word `BYTEA` becomes `BLOB` on SQLite, so that the column converts nothing.
//!
//! Strings, quoted names and comments are left alone.

use crate::config::Engine;

/// A migration's text for one engine.
pub(crate) fn translate(sql: &str, engine: Engine) -> String {
    let mark = match engine {
        Engine::Sqlite => "/*sqlite ",
        Engine::Postgres => "/*postgres ",
    };
    let mut out = String::with_capacity(sql.len() + sql.len() / 8);
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => span(rest, 1, if first == '"' { "\"" } else { "'" }),
            '-' if rest.starts_with("--") => span(rest, 2, "\n"),
            '/' if rest.starts_with(mark) => {
                let length = span(rest, mark.len(), "*/");
                let inside = &rest[mark.len()..length];
                out.push_str(&translate(inside.strip_suffix("*/").unwrap_or(inside), engine));
                rest = &rest[length..];
                continue;
            }
            '/' if rest.starts_with("/*") => span(rest, 2, "*/"),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, tail) = rest.split_at(length);
        out.push_str(match (engine, token) {
            (Engine::Postgres, "TEXT") if !tail.trim_start().starts_with("COLLATE") => "TEXT COLLATE \"C\"",
            (Engine::Sqlite, "BYTEA") => "BLOB",
            _ => token,
        });
        rest = tail;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of a token that starts with `open` bytes and ends with `close`, or with the text.
fn span(text: &str, open: usize, close: &str) -> usize {
    text[open..].find(close).map_or(text.len(), |at| open + at + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, sqlite: &str, postgres: &str) {
        assert_eq!(translate(sql, Engine::Sqlite), sqlite);
        assert_eq!(translate(sql, Engine::Postgres), postgres);
    }

    #[test]
    fn text_is_ordered_by_bytes() {
        check("a TEXT NOT NULL, b text", "a TEXT NOT NULL, b text", "a TEXT COLLATE \"C\" NOT NULL, b text");
        check("a TEXT COLLATE \"C\"", "a TEXT COLLATE \"C\"", "a TEXT COLLATE \"C\"");
        check("TEXTURE TEXT_ é TEXT", "TEXTURE TEXT_ é TEXT", "TEXTURE TEXT_ é TEXT COLLATE \"C\"");
    }

    #[test]
    fn bytes_are_blobs() {
        check("a BYTEA,b BIGINT", "a BLOB,b BIGINT", "a BYTEA,b BIGINT");
    }

    #[test]
    fn marked_text_is_for_one_engine() {
        check(
            ") /*sqlite WITHOUT ROWID*//*postgres WITH (fillfactor = 70)*/;",
            ") WITHOUT ROWID/*postgres WITH (fillfactor = 70)*/;",
            ") /*sqlite WITHOUT ROWID*/WITH (fillfactor = 70);",
        );
    }

    #[test]
    fn strings_names_and_comments_stay() {
        for same in
            ["'TEXT BYTEA''TEXT'", "\"TEXT\" \"BYTEA\"", "-- TEXT BYTEA\n", "/* TEXT BYTEA */", "'TEXT", "/*"]
        {
            check(same, same, same);
        }
    }
}
