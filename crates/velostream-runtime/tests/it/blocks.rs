//! Row blocks in, change blocks out.

use crate::harness::each;
use velostream_runtime::sink::rows::{Repeats, block_of, bytes_max, encode};
use velostream_runtime::{Admission, ChangeBatch, ErrorCode, Pull};

/// A value as the JavaScript side writes it.
#[derive(Clone)]
pub enum Cell {
    Null,
    Number(f64),
    Integer(i64),
    Text(&'static str),
    Boolean(bool),
    Bytes(&'static [u8]),
}

/// Lays a block out as the layout says: columns of cells, all of one length.
pub fn block(columns: &[Vec<Cell>]) -> Vec<u8> {
    let rows = columns.first().map_or(0, Vec::len);
    let mut heap = Vec::new();
    let mut body = Vec::new();
    for column in columns {
        let mut slots = Vec::new();
        let mut tags = Vec::new();
        for cell in column {
            let mut reference = |bytes: &[u8]| {
                let offset = heap.len() as u32;
                heap.extend_from_slice(bytes);
                [offset.to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat()
            };
            let (tag, slot) = match cell {
                Cell::Null => (0, vec![0; 8]),
                Cell::Number(value) => (1, value.to_le_bytes().to_vec()),
                Cell::Integer(value) => (2, value.to_le_bytes().to_vec()),
                Cell::Text(value) => (3, reference(value.as_bytes())),
                Cell::Boolean(value) => (4, vec![u8::from(*value), 0, 0, 0, 0, 0, 0, 0]),
                Cell::Bytes(value) => (5, reference(value)),
            };
            tags.push(tag);
            slots.extend(slot);
        }
        tags.resize(rows.next_multiple_of(8), 0);
        body.extend(tags);
        body.extend(slots);
    }
    let header = [rows as u32, 16 + body.len() as u32, heap.len() as u32, 0];
    let mut block: Vec<u8> = header.iter().flat_map(|field| field.to_le_bytes()).collect();
    block.extend(body);
    block.extend(heap);
    block
}

const EVERYTHING: &str = "CREATE STREAM s (i INT, b BIGINT, d DOUBLE, m DECIMAL(10, 2), t STRING, y BYTES, \
                          f BOOLEAN, dt DATE, tm TIME, ts TIMESTAMP)";

fn row(cells: [Cell; 10]) -> Vec<u8> {
    block(&cells.map(|cell| vec![cell]))
}

#[test]
fn every_type_crosses() {
    each(|t| {
        t.exec(EVERYTHING);
        let query = t.query("SELECT * FROM s");
        let id = t.engine.relation("s").expect("it exists").id;
        use Cell::{Boolean, Bytes, Integer, Null, Number, Text};
        let first = row([
            Number(-5.0),
            Integer(i64::MAX),
            Number(0.5),
            Text("12.345"),
            Text("naïve text that is long"),
            Bytes(&[1, 2]),
            Boolean(true),
            Text("2024-02-29"),
            Text("01:02:03"),
            Number(1.5),
        ]);
        let second = row([
            Null,
            Number(7.0),
            Integer(3),
            Integer(4),
            Text(""),
            Null,
            Null,
            Number(86_400_000.0),
            Null,
            Text("1970-01-01T00:00:01Z"),
        ]);
        for block in [first, second] {
            assert_eq!(t.engine.insert_rows(id, &block, 0).expect("it fits"), Admission::Accepted);
        }
        assert_eq!(
            t.changes(query),
            [
                "+ -5 9223372036854775807 0.5 1235 naïve text that is long [1, 2] true 19782 3723000000 1500",
                "+ NULL 7 3 400  NULL NULL 1 NULL 1000000"
            ]
        );
    });
}

#[test]
fn a_row_that_does_not_fit_is_named_and_nothing_is_taken() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT NOT NULL, b BIGINT)");
        let query = t.query("SELECT * FROM s");
        let id = t.engine.relation("s").expect("it exists").id;
        let good = (Cell::Number(1.0), Cell::Number(1.0));
        let bad = [
            (Cell::Number(0.5), Cell::Null, "a", ErrorCode::Type),
            (Cell::Number(3e9), Cell::Null, "a", ErrorCode::Type),
            (Cell::Text("1"), Cell::Null, "a", ErrorCode::Type),
            (Cell::Null, Cell::Null, "a", ErrorCode::Constraint),
            (Cell::Number(1.0), Cell::Number(9_007_199_254_740_992.0), "b", ErrorCode::Type),
            (Cell::Number(1.0), Cell::Boolean(true), "b", ErrorCode::Type),
        ];
        for (a, b, field, code) in bad {
            let rows = block(&[vec![good.0.clone(), a], vec![good.1.clone(), b]]);
            let error = t.engine.insert_rows(id, &rows, 0).expect_err("it does not fit");
            assert_eq!((error.index, error.field.as_deref(), error.code), (Some(1), Some(field), code));
            assert_eq!(error.relation.as_deref(), Some("s"));
        }
        assert_eq!(t.changes(query), Vec::<String>::new());
    });
}

#[test]
fn a_damaged_block_is_an_error() {
    each(|t| {
        t.exec("CREATE STREAM s (a STRING)");
        let id = t.engine.relation("s").expect("it exists").id;
        let whole = block(&[vec![Cell::Text("some text that is long enough")]]);
        for length in 0..whole.len() {
            assert!(t.engine.insert_rows(id, &whole[..length], 0).is_err(), "cut at {length}");
        }
    });
}

#[test]
fn keys_are_deleted() {
    each(|t| {
        t.exec("CREATE TABLE k (a INT PRIMARY KEY, b STRING); INSERT INTO k VALUES (1, 'x'), (2, 'y')");
        let query = t.query("SELECT a, b FROM k");
        let id = t.engine.relation("k").expect("it exists").id;
        let keys = block(&[vec![Cell::Number(1.0), Cell::Number(9.0)], vec![Cell::Null, Cell::Null]]);
        t.engine.delete_rows(id, &keys, 0).expect("it has a key");
        assert_eq!(t.changes(query), ["+ 1 x", "+ 2 y", "- 1 x"]);
    });
}

#[test]
fn changes_leave_in_their_layout() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT, t STRING, ts TIMESTAMP)");
        let query = t.query("SELECT a, t, ts FROM s");
        t.insert("s", r#"{"a":7,"t":"hello","ts":1500} {"t":"ö"}"#);
        t.flush();
        let mut out = ChangeBatch::default();
        assert_eq!(t.engine.pull(query, 10, &mut out).expect("running"), Pull::Rows);
        let bytes = block_of(&out);
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert_eq!((word(0), word(8), word(12)), (2, 7, 0));
        assert_eq!(&bytes[16..24], [0; 8]);
        // a: a mask, then two 32-bit integers.
        assert_eq!((bytes[24], &bytes[32..34], word(40)), (1, &[1, 0][..], 7));
        // t: no mask, then where each text ends.
        assert_eq!((bytes[48], word(56), word(60)), (0, 5, 7));
        // ts: a mask, then milliseconds.
        let millis = f64::from_le_bytes(bytes[80..88].try_into().expect("eight bytes"));
        assert_eq!((bytes[64], millis), (1, 1500.0));
        assert_eq!(&bytes[word(4) as usize..], "helloö".as_bytes());
    });
}

#[test]
fn texts_that_come_again_cross_once() {
    each(|t| {
        t.exec("CREATE STREAM s (t STRING, u STRING)");
        let query = t.query("SELECT t, u FROM s");
        let row = |i: usize| match i % 3 {
            0 => r#"{"t":"ö","u":"a"}"#.to_owned(),
            1 => format!(r#"{{"t":"b","u":"a text that is long enough {i}"}}"#),
            _ => r#"{"u":"c"}"#.to_owned(),
        };
        t.insert("s", &(0..16).map(row).collect::<String>());
        t.flush();
        let mut out = ChangeBatch::default();
        assert_eq!(t.engine.pull(query, 100, &mut out).expect("running"), Pull::Rows);
        let bytes = block_of(&out);
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        // t: NULLs and three texts, the mask, a number per row, then where each text ends.
        let column = 16 + 16;
        assert_eq!(&bytes[column..column + 2], [1, 3]);
        assert_eq!(&bytes[column + 8..column + 14], [1, 1, 0, 1, 1, 0]);
        assert_eq!(&bytes[column + 24..column + 30], [0, 1, 2, 0, 1, 2]);
        assert_eq!([word(column + 40), word(column + 44), word(column + 48)], [2, 3, 3]);
        // u: as ever, its first text behind those of t.
        let column = column + 56;
        assert_eq!((&bytes[column..column + 2], word(column + 8)), (&[0, 0][..], 4));
        let heap = word(4) as usize;
        assert_eq!(&bytes[heap..heap + 6], "öba".as_bytes().iter().chain(b"a ").copied().collect::<Vec<_>>());
    });
}

#[test]
fn in_a_block_of_one_row_every_column_has_its_place() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT, t STRING, d DECIMAL(10, 2), ts TIMESTAMP)");
        let query = t.query("SELECT a, t, d, ts FROM s");
        t.insert("s", r#"{"t":"hello","d":"1.5","ts":1500}"#);
        t.flush();
        let mut out = ChangeBatch::default();
        assert_eq!(t.engine.pull(query, 10, &mut out).expect("running"), Pull::Rows);
        let bytes = block_of(&out);
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let mut used = vec![0xff; bytes.len()];
        assert_eq!(encode(&out, 0, 1, &mut Repeats::default(), &mut used), Some(bytes.len()));
        for column in 0..4 {
            assert_eq!(used[24 + column * 24 + 1], 0, "no text comes again, whatever was there before");
        }
        let valid = [0, 1, 2, 3].map(|column| bytes[24 + column * 24 + 8]);
        assert_eq!((word(0), valid), (1, [0, 1, 1, 1]));
        assert_eq!((word(24 + 24 + 16), word(24 + 48 + 16)), (5, 9));
        assert_eq!(&bytes[word(4) as usize..], b"hello1.50");
    });
}

#[test]
fn a_block_is_written_where_it_has_room_and_not_elsewhere() {
    each(|t| {
        t.exec("CREATE STREAM s (t STRING, d DECIMAL(38, 2), dt DATE, tm TIME)");
        let query = t.query("SELECT t, d, dt, tm FROM s");
        let two = r#"{"t":"a text of its own","d":"-1.5","dt":"2024-02-29","tm":"01:02:03"} {"d":7}"#;
        let repeating = (0..16).map(|row| format!(r#"{{"t":"{}"}}"#, row % 8)).collect::<String>();
        for rows in [two, &repeating] {
            t.insert("s", rows);
            t.flush();
            let mut out = ChangeBatch::default();
            assert_eq!(t.engine.pull(query, 100, &mut out).expect("running"), Pull::Rows);
            let whole = block_of(&out);
            assert!(whole.len() <= bytes_max(&out, 0, out.len()));
            for length in 0..whole.len() {
                assert_eq!(
                    encode(&out, 0, out.len(), &mut Repeats::default(), &mut vec![0; length]),
                    None,
                    "{length} bytes"
                );
            }
            let mut exact = vec![0; whole.len()];
            assert_eq!(encode(&out, 0, out.len(), &mut Repeats::default(), &mut exact), Some(whole.len()));
            assert_eq!(exact, whole);
        }
    });
}
