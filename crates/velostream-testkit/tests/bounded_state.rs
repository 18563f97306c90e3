//! State stays flat while time advances: what a window or an interval has left behind is dropped.
//!
//! `BOUNDED_RECORDS` says how many records each query reads.

use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_sql::plan::Literal;
use velostream_testkit::session::Session;

const DEFAULT_RECORDS: usize = 10_000_000;
const BATCH_RECORDS: usize = 1000;
/// After so many records a query has all the state that it will need.
const WARM_UP_RECORDS: usize = 100_000;
/// By how many hundredths state may then still grow: buffers double.
const TOLERANCE_PERCENT: u64 = 5;

fn records() -> usize {
    let given = std::env::var("BOUNDED_RECORDS").ok();
    given.map_or(DEFAULT_RECORDS, |text| text.parse().expect("BOUNDED_RECORDS is a number"))
}

/// A record: its key, and its time in milliseconds.
type Record = (i64, i64);

fn push(raw: &mut ChangeBatch, (key, millis): Record) {
    let row = [Literal::BigInt(key), Literal::BigInt(key % 7), Literal::Timestamp(millis * 1000)];
    raw.columns.iter_mut().zip(&row).for_each(|(column, value)| column.push_literal(value));
    raw.push_mark(Op::Insert, Seq(0), 0);
}

/// Feeds records, in turns to each relation, and compares the state after every batch with that when warm.
fn check(relations: &[&str], sql: &str, record: impl Fn(usize) -> Record) {
    let declare = |name: &&str| {
        format!("CREATE STREAM {name} (k BIGINT, v BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts)")
    };
    let definitions: Vec<String> = relations.iter().map(declare).collect();
    let definitions: Vec<&str> = definitions.iter().map(String::as_str).collect();
    let mut session = Session::start(&definitions, sql, relations).expect("the query is in the language");
    let (mut warm, mut most, mut changes) = (0, 0, 0);
    for from in (0..records()).step_by(BATCH_RECORDS) {
        for source in 0..relations.len() {
            let fill = |raw: &mut ChangeBatch| {
                let own = (from + source..from + BATCH_RECORDS).step_by(relations.len());
                own.for_each(|i| push(raw, record(i)));
            };
            changes += session.run_rows(source, fill).expect("the batch is processed").len();
        }
        let bytes = session.state_bytes();
        if from < WARM_UP_RECORDS {
            warm = warm.max(bytes);
        } else {
            most = most.max(bytes);
        }
    }
    println!("{sql}: {warm} bytes warm, {most} at most, {changes} changes of {} records", records());
    assert!(changes > 0, "the query gave nothing");
    assert!(most <= warm + warm * TOLERANCE_PERCENT / 100, "state grew from {warm} to {most} bytes");
    session.end().expect("the input ends");
}

/// A record every millisecond; 50,000 keys in turn.
fn steady(i: usize) -> Record {
    ((i % 50_000) as i64, i as i64)
}

#[test]
fn of_tumbling_windows() {
    let sql = "SELECT k, window_start, COUNT(*) AS n, MIN(v) AS least, COUNT(DISTINCT v) AS kinds FROM s \
        WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 2 SECONDS) GROUP BY k EMIT FINAL";
    check(&["s"], sql, steady);
}

/// Sessions of ten records, each of a key of its own for a while.
fn in_sessions(i: usize) -> Record {
    ((i / 10 % 5_000) as i64, i as i64)
}

#[test]
fn of_final_sessions() {
    let sql = "SELECT k, window_start, window_end, COUNT(*) AS n, SUM(v) AS total FROM s \
        WINDOW SESSION (1 SECOND, GRACE PERIOD 2 SECONDS) GROUP BY k EMIT FINAL";
    check(&["s"], sql, in_sessions);
}

#[test]
fn of_changing_sessions() {
    let sql = "SELECT k, window_start, COUNT(*) AS n, MAX(v) AS most FROM s WINDOW SESSION (1 SECOND) GROUP BY k \
        EMIT CHANGES";
    check(&["s"], sql, in_sessions);
}

#[test]
fn of_interval_joins() {
    let sql = "SELECT a.k, b.v FROM a JOIN b WITHIN 5 SECONDS ON a.k = b.k";
    check(&["a", "b"], sql, |i| ((i / 2 % 5000) as i64, i as i64));
}

#[test]
fn of_outer_interval_joins() {
    let sql = "SELECT a.k, b.v FROM a FULL JOIN b WITHIN 5 SECONDS ON a.k = b.k AND a.v < b.v EMIT FINAL";
    check(&["a", "b"], sql, steady);
}
