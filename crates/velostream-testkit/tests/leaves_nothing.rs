//! Everything in, everything out again: no group and no row remains, the answer is empty, and the state is as small
//! as at the start. For every operator that takes rows back.

use std::collections::HashMap;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_sql::plan::Literal;
use velostream_testkit::session::Session;

const ROWS: i64 = 6_000;
const BATCH_ROWS: usize = 700;
/// What buffers may keep that are too small to be given back.
const REMAINS_MAX_BYTES: u64 = 16 * 1024;

const DEFINITIONS: [&str; 2] = [
    "CREATE TABLE a (id BIGINT PRIMARY KEY, k BIGINT, v BIGINT, s STRING, ts TIMESTAMP, \
        WATERMARK FOR ts AS ts - INTERVAL '365' DAY)",
    "CREATE TABLE b (id BIGINT PRIMARY KEY, k BIGINT, v BIGINT, s STRING, ts TIMESTAMP, \
        WATERMARK FOR ts AS ts - INTERVAL '365' DAY)",
];

/// Queries over `a`, and those over `a` and `b`.
const SINGLE: [&str; 10] = [
    "SELECT id, v FROM a WHERE v > 3",
    "SELECT k, COUNT(*) AS n, SUM(v) AS total, AVG(v) AS mean, MIN(s) AS lo, MAX(v) AS hi, \
        COUNT(DISTINCT v) AS kinds FROM a GROUP BY k",
    "SELECT DISTINCT v, s FROM a",
    "SELECT n, COUNT(*) AS keys FROM (SELECT k, COUNT(*) AS n FROM a GROUP BY k) c GROUP BY n",
    "SELECT k FROM a UNION ALL SELECT v FROM a",
    "SELECT k FROM a UNION SELECT v FROM a",
    "SELECT k, window_start, COUNT(*) AS n, MAX(v) AS hi FROM a WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k \
        EMIT CHANGES",
    "SELECT k, window_start, SUM(v) AS total FROM a WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS) \
        GROUP BY k EMIT CHANGES",
    "SELECT k, window_start, window_end, COUNT(*) AS n FROM a WINDOW SESSION (2 SECONDS) GROUP BY k EMIT CHANGES",
    "SELECT window_start, window_end, COUNT(*) AS n FROM TABLE(CUMULATE(TABLE a, DESCRIPTOR(ts), \
        INTERVAL '5' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end EMIT CHANGES",
];
const DOUBLE: [&str; 7] = [
    "SELECT a.id, b.s FROM a JOIN b ON a.id = b.id",
    "SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.k = b.id",
    "SELECT a.id, b.id AS other FROM a FULL JOIN b ON a.id = b.v AND a.v < b.k",
    "SELECT a.s, b.s AS other FROM a RIGHT JOIN b ON a.s = b.s AND a.id = b.id",
    "SELECT x.k, x.n, y.total FROM (SELECT k, COUNT(*) AS n FROM a GROUP BY k) x \
        FULL JOIN (SELECT k, SUM(v) AS total FROM b GROUP BY k) y ON x.k = y.k",
    "SELECT a.k, COUNT(*) AS n FROM a JOIN b ON a.id = b.id GROUP BY a.k",
    "SELECT k, s FROM a UNION ALL SELECT v, s FROM b",
];

fn push(raw: &mut ChangeBatch, id: i64, op: Op) {
    let text = format!("a text that is too long to stand in a view: {}", id % 900);
    let rest = [
        Literal::BigInt(id % 1_000),
        Literal::BigInt(id * 7 % 5_000),
        Literal::String(text.as_str().into()),
        Literal::Timestamp(id * 1_000_000),
    ];
    let is_tombstone = op == Op::Delete;
    let value = |literal: &Literal| if is_tombstone { Literal::Null } else { literal.clone() };
    raw.columns[0].push_literal(&Literal::BigInt(id));
    raw.columns[1..].iter_mut().zip(&rest).for_each(|(column, literal)| column.push_literal(&value(literal)));
    raw.push_mark(op, Seq(0), 0);
}

/// Adds up a change log, in which rows have no order.
fn apply(changes: &ChangeBatch, rows: &mut HashMap<String, i64>) {
    for row in 0..changes.len() {
        let values: Vec<_> = changes.columns.iter().map(|column| column.literal(row)).collect();
        let by = if changes.ops[row].is_addition() { 1 } else { -1 };
        // An update names its new row alone: whatever stood under the key is told by the rest of the log.
        assert_ne!(changes.ops[row], Op::UpdateBefore);
        *rows.entry(format!("{:?} {values:?}", changes.ops[row] == Op::UpdateAfter)).or_default() += by;
    }
}

fn check(sql: &str, relations: &[&str]) {
    let mut session = Session::start(&DEFINITIONS, sql, relations).expect("the query is in the language");
    let start = session.state_bytes();
    let mut log = HashMap::new();
    let ids: Vec<i64> = (0..ROWS).collect();
    let mut most = 0;
    for op in [Op::Insert, Op::Delete] {
        for chunk in ids.chunks(BATCH_ROWS) {
            for source in 0..relations.len() {
                let fill = |raw: &mut ChangeBatch| chunk.iter().for_each(|&id| push(raw, id, op));
                let changes = session.run_rows(source, fill).expect("the batch is processed");
                apply(changes, &mut log);
            }
        }
        most = most.max(session.state_bytes());
    }
    assert_eq!(session.groups(), 0, "{sql}: groups remain");
    let remains = session.state_bytes();
    assert!(remains <= start + REMAINS_MAX_BYTES, "{sql}: {start} bytes at the start, {remains} at the end");
    assert!(most > start + REMAINS_MAX_BYTES, "{sql}: nothing was kept, at most {most} bytes");
    let came: i64 = log.values().sum();
    let updates: i64 = log.iter().filter(|(row, _)| row.starts_with("true")).map(|(_, count)| count).sum();
    assert_eq!(came - updates, 0, "{sql}: rows that came and did not go");
}

#[test]
fn one_table() {
    SINGLE.iter().for_each(|sql| check(sql, &["a"]));
}

#[test]
fn two_tables() {
    DOUBLE.iter().for_each(|sql| check(sql, &["a", "b"]));
}
