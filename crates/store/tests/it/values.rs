//! Values come back as they went in, in the same order, on both engines.

use hiroba_store::{Param, StoreError, params};

use crate::harness::{Database, on_both_engines};

on_both_engines! {
    values_come_back
    text_is_ordered_by_bytes
    expressions_agree
    placeholders_are_bound_by_number
    text_without_nul_only
}

const PUT: &str = "INSERT INTO entry (owner, id, number, bytes) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (owner, id) DO UPDATE SET number = excluded.number, bytes = excluded.bytes";
const GET: &str = "SELECT owner, id, number, bytes FROM entry WHERE owner = $1 AND id = $2";

const TEXTS: &[&str] =
    &["", " ", "a", "A", "é", "e\u{301}", "日本語", "🎮", "'; --", "$1", "\u{1}\n\t", "null", "%_"];

async fn values_come_back(db: Database) {
    let store = db.open();
    let big: Vec<u8> = (0..1_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let blobs = [None, Some(vec![]), Some(vec![0]), Some(b"\x00\xff'".to_vec()), Some(big)];
    let numbers = [None, Some(0), Some(-1), Some(i64::MAX), Some(i64::MIN), Some(1 << 53)];
    for (i, text) in TEXTS.iter().enumerate() {
        let (number, blob) = (numbers[i % numbers.len()], blobs[i % blobs.len()].clone());
        let expected = (text.to_string(), text.to_string(), number, blob.clone());
        let got = store.write::<_, StoreError, _>(move |tx| {
            tx.execute(PUT, params![*text, &text.to_string(), number, blob.as_ref()])?;
            tx.query_opt(GET, params![*text, *text], |row| {
                assert_eq!(row.text_ref(0)?, *text);
                assert_eq!(row.opt_text(1)?.as_deref(), Some(*text));
                assert_eq!(row.int(2).ok(), number);
                assert_eq!(row.blob(3).ok(), blob);
                Ok((row.text(0)?, row.text(1)?, row.opt_int(2)?, row.opt_blob(3)?))
            })
        });
        assert_eq!(got.await, Ok(Some(expected)));
    }
    let none = store.read::<_, StoreError, _>(|tx| tx.query_opt(GET, params!["x", "y"], |row| row.text(0)));
    assert_eq!(none.await, Ok(None));
    store.close().await;
}

async fn text_is_ordered_by_bytes(db: Database) {
    let store = db.open();
    let written = store.write::<_, StoreError, _>(|tx| {
        for text in TEXTS {
            tx.execute(PUT, &["o".into(), (*text).into(), Param::Null, Param::Null])?;
        }
        Ok(())
    });
    written.await.unwrap();
    let read = |sql: &'static str, from: &'static str| {
        store.read::<_, StoreError, _>(move |tx| tx.query(sql, params![from], |row| row.text(0)))
    };
    let mut expected: Vec<_> = TEXTS.iter().map(|text| text.to_string()).collect();
    expected.sort();
    assert_eq!(read("SELECT id FROM entry WHERE id >= $1 ORDER BY id", "").await.unwrap(), expected);
    expected.retain(|text| text.as_str() > "a");
    assert_eq!(
        read("SELECT id FROM entry WHERE owner = 'o' AND id > $1 ORDER BY id", "a").await.unwrap(),
        expected
    );
    expected.reverse();
    assert_eq!(read("SELECT id FROM entry WHERE id > $1 ORDER BY id DESC", "a").await.unwrap(), expected);
    store.close().await;
}

async fn expressions_agree(db: Database) {
    let store = db.open();
    let read = store.write::<_, StoreError, _>(|tx| {
        for (id, number) in [("a", Some(10_000_i64)), ("b", Some(-1)), ("c", None), ("D", Some(123_456_789_012))] {
            tx.execute(PUT, &["o".into(), id.into(), number.into(), Param::Null])?;
        }
        let sql = "SELECT count(*), sum(number), max(number), min(number), sum(number) > $1, count(*) = 0 FROM entry";
        let sums = tx.query_opt(sql, params![0], |row| {
            Ok((row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?, row.bool(4)?, row.bool(5)?))
        })?;
        let nothing = tx.query_opt("SELECT sum(number) FROM entry WHERE id = 'x'", &[], |row| row.opt_int(0))?;
        let zero = tx.query_opt("SELECT sum(number) - sum(number) FROM entry", &[], |row| row.opt_int(0))?;
        for number in [0, 9_999, -10_000, 123_456_799_011, i64::MAX, i64::MIN] {
            let sum = "SELECT sum(number) - sum(number) + $1, sum(number) = $1 FROM entry";
            let same = tx.query_opt(sum, params![number], |row| Ok((row.int(0)?, row.bool(1)?)))?;
            assert_eq!(same, Some((number, number == 123_456_799_011)));
        }
        let like = tx.query("SELECT id FROM entry WHERE id LIKE $1", params!["d%"], |row| row.text(0))?;
        let changed = tx.execute("UPDATE entry SET number = 1 WHERE number IS NULL OR number < $1", params![0])?;
        let selected = tx.execute("SELECT id FROM entry", &[])?;
        let deleted = tx.execute("DELETE FROM entry WHERE number = $1 RETURNING id", params![1])?;
        Ok((sums, nothing, zero, like, changed, selected, deleted))
    });
    let sums = Some((4, 123_456_799_011, 123_456_789_012, -1, true, false));
    assert_eq!(read.await, Ok((sums, Some(None), Some(Some(0)), vec![], 2, 4, 2)));
    store.close().await;
}

async fn placeholders_are_bound_by_number(db: Database) {
    let store = db.open();
    let read = store.write::<_, StoreError, _>(|tx| {
        tx.execute("INSERT INTO entry (number, owner, id) VALUES ($3, $1, $2)", params!["o", "a", 7])?;
        let sql = "UPDATE entry SET number = number * $2 + $2 WHERE id = $1 RETURNING number";
        tx.query_opt(sql, params!["a", 10], |row| row.int(0))
    });
    assert_eq!(read.await, Ok(Some(80)));
    store.close().await;
}

async fn text_without_nul_only(db: Database) {
    let store = db.open();
    let nul = store.write::<_, StoreError, _>(|tx| {
        tx.execute(PUT, &["o".into(), "a\0b".into(), Param::Null, Param::Null])
    });
    assert_eq!(nul.await, Err(StoreError::NulInText));
    store.close().await;
}
