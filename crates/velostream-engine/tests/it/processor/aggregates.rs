//! Aggregates at their limits.

use super::harness::*;
use velostream_engine::error::EngineError;
use velostream_engine::limits::Limits;
use velostream_engine::plan::SourceId;
use velostream_engine::processor::QueryProcessor;
use velostream_sql::plan::Literal;

const TABLE: &str =
    "CREATE TABLE t (id INT PRIMARY KEY, k STRING, d DOUBLE, m DECIMAL(38, 0), b BIGINT, name STRING)";

fn row(id: i32, d: f64, m: i128, b: i64) -> Record {
    record(vec![int(id), text("k"), double(d), Literal::Decimal(m), big(b), text("n")])
}

#[test]
fn taking_back_nan_and_infinities_leaves_no_trace() {
    let query = query(TABLE, "SELECT k, SUM(d) AS s, AVG(d) AS a, MAX(d) AS hi FROM t GROUP BY k");
    let records = [
        row(1, 1.5, 0, 0),
        row(2, f64::NAN, 0, 0),
        row(2, f64::INFINITY, 0, 0),
        row(3, f64::NEG_INFINITY, 0, 0),
        row(2, 2.5, 0, 0),
        row(3, 0.0, 0, 0),
    ];
    let expected = [
        "1 + k 1.5 1.5 1.5",
        "2 ~ k NaN NaN NaN",
        "3 ~ k inf inf inf",
        "4 ~ k NaN NaN inf",
        "5 ~ k -inf -inf 2.5",
        "6 ~ k 4.0 1.3333333333333333 2.5",
    ];
    assert_eq!(run(&query, &records), expected);
}

#[test]
fn doubles_do_not_drift() {
    let query = query(TABLE, "SELECT k, SUM(d) AS s FROM t GROUP BY k");
    let mut records = vec![row(0, 0.1, 0, 0)];
    for step in 0..500 {
        records.push(row(1, 1e15 + f64::from(step) * 0.3, 0, 0));
    }
    records.push(row(1, 0.2, 0, 0));
    let log = run(&query, &records);
    let shown: f64 = log.last().unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
    assert!((shown - 0.3).abs() < 1e-9, "{shown}");
}

#[test]
fn decimals_are_exact_up_to_their_digits() {
    let query = query(TABLE, "SELECT k, SUM(m) AS s, COUNT(*) AS n FROM t GROUP BY k");
    let max = 10_i128.pow(38) - 1;
    let records = [row(1, 0.0, max, 0), row(2, 0.0, 1, 0), row(2, 0.0, -1, 0)];
    let expected = [
        format!("1 + k {max} 1"),
        "2 ! SUM is out of range of DECIMAL(38, 0)".to_owned(),
        format!("3 ~ k {} 2", max - 1),
    ];
    assert_eq!(run(&query, &records), expected);
}

#[test]
fn averages_of_decimals_round_half_up() {
    let create = "CREATE STREAM s (m DECIMAL(8, 2))";
    let query = query(create, "SELECT AVG(m) AS a, COUNT(*) AS n FROM s");
    let records: Vec<Record> = [100, 100, 0].iter().map(|&m| record(vec![Literal::Decimal(m)])).collect();
    assert_eq!(run(&query, &records), ["1 + 100000000 1", "2 ~ 100000000 2", "3 ~ 66666667 3"]);
}

#[test]
fn a_retraction_can_overflow() {
    let query = query(TABLE, "SELECT k, SUM(b) AS s, COUNT(*) AS n FROM t GROUP BY k");
    let records = [
        row(1, 0.0, 0, i64::MAX),
        row(2, 0.0, 0, -10),
        row(3, 0.0, 0, 5),
        row(2, 0.0, 0, 0),
        row(2, 0.0, 0, -9),
    ];
    let expected = [
        "1 + k 9223372036854775807 1",
        "2 ~ k 9223372036854775797 2",
        "3 ~ k 9223372036854775802 3",
        "4 ! SUM is out of range of BIGINT",
        "5 ~ k 9223372036854775803 3",
    ];
    assert_eq!(run(&query, &records), expected);
}

#[test]
fn state_past_its_limit_ends_the_processor() {
    let query = query(TABLE, "SELECT name, COUNT(*) AS n FROM t GROUP BY name");
    let mut run = Run::new(&query);
    run.processor =
        QueryProcessor::new(&query.plan, &Limits { state_bytes: 20_000, ..Limits::default() }).unwrap();
    let records: Vec<Record> = (0..1_000).map(|id| row(id, 0.0, 0, 0)).collect();
    let batch = run.batch(&records);
    assert!(matches!(run.try_feed(&batch), Err(EngineError::Limit { limit: 20_000, .. })));
}

#[test]
fn watermarks_move_by_hand() {
    let create = "CREATE STREAM s (k STRING, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)";
    let sql = "SELECT k, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k";
    let query = query(create, sql);
    let mut run = Run::new(&query);
    run.feed(&[record(vec![text("A"), time(1)])]);
    run.advance(10_000_000);
    run.feed(&[record(vec![text("A"), time(2)]), record(vec![text("A"), time(12)])]);
    run.end();
    run.end();
    assert_eq!(run.log, ["time + A 0 1", "2 late by 8000000", "end + A 10000000 1"]);
    assert!(run.processor.is_finished());
    let batch = velostream_engine::batch::Batch::default();
    let refused = run.processor.process(SourceId(0), &batch, &mut run.out, &mut run.rejects);
    assert_eq!(refused, Err(EngineError::State("the input has ended")));
}

#[test]
fn a_table_without_key_is_a_multiset() {
    let query = query("CREATE TABLE bag (k STRING, n INT)", "SELECT k, COUNT(*) AS c FROM bag GROUP BY k");
    let add = |k: &str, n: i32| record(vec![text(k), int(n)]);
    let take = |k: &str, n: i32| tombstone(vec![text(k), int(n)]);
    let records = [add("a", 1), add("a", 1), take("a", 1), take("a", 2), take("a", 1), take("a", 1)];
    assert_eq!(run(&query, &records), ["1 + a 1", "2 ~ a 2", "3 ~ a 1", "5 - a 1"]);
}

#[test]
fn memory_is_not_given_back_for_rows_that_were_rolled_back() {
    let query = query(TABLE, "SELECT name, COUNT(DISTINCT id) AS n FROM t GROUP BY name");
    let gone = |id: i32| tombstone(row(id, 0.0, 0, 0).row);
    let mut run = Run::new(&query);
    run.feed(&[row(1, 0.0, 0, 0), gone(1)]);
    let before = run.snapshot();
    run.processor.begin();
    run.feed(&(0..2_000).map(|id| row(id, 0.0, 0, 0)).collect::<Vec<_>>());
    run.feed(&(0..2_000).map(gone).collect::<Vec<_>>());
    run.processor.rollback();
    run.processor.finish_transaction();
    assert_eq!(run.snapshot(), before);
}

#[test]
fn how_large_sums_were_before_a_rollback_is_no_state() {
    let create = "CREATE STREAM s (b BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts)";
    let sql =
        "SELECT SUM(b) AS total FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS) EMIT FINAL";
    let query = query(create, sql);
    let at = |value: i64, seconds: i64| record(vec![big(value), time(seconds)]);
    let (mut wanderer, mut homebody) = (Run::new(&query), Run::new(&query));
    for run in [&mut wanderer, &mut homebody] {
        run.feed(&[at(1, 6)]);
    }
    let (next, watermark) = (wanderer.next, wanderer.gate.watermark());
    wanderer.processor.begin();
    wanderer.feed(&[at(1_000, 6)]);
    wanderer.processor.rollback();
    wanderer.processor.finish_transaction();
    wanderer.next = next;
    wanderer.gate.set_watermark(watermark);
    wanderer.log.clear();
    homebody.log.clear();
    for run in [&mut wanderer, &mut homebody] {
        run.feed(&[at(1, 11)]);
    }
    assert_eq!(wanderer.log, homebody.log);
    assert_eq!(wanderer.snapshot(), homebody.snapshot());
}

#[test]
fn of_equal_zeros_a_group_shows_the_first_in_each_of_its_windows() {
    let create = "CREATE STREAM s (ts TIMESTAMP, d DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)";
    let query = query(
        create,
        "SELECT window_end, d, COUNT(*) AS n FROM s WINDOW HOPPING (SIZE 4 SECONDS, ADVANCE BY 2 SECONDS) GROUP BY d EMIT FINAL",
    );
    let records = [(119, -0.0), (120, 0.0), (140, 2.0)].map(|(at, d)| record(vec![time(at), double(d)]));
    let expected = [
        "3 + 120000000 -0.0 1",
        "3 + 122000000 -0.0 2",
        "3 + 124000000 0.0 1",
        "end + 142000000 2.0 1",
        "end + 144000000 2.0 1",
    ];
    assert_eq!(run(&query, &records), expected);
}
