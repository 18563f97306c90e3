//! The smallest input that shows each rule.

use super::harness::*;
use velostream_engine::plan::{PlanOptions, SourceId};
use velostream_sql::plan::Literal;

const TRADES: &str = "CREATE STREAM trades (symbol STRING, price DOUBLE, quantity INT, volume BIGINT)";
const TICKS: &str =
    "CREATE STREAM ticks (symbol STRING, ts TIMESTAMP, n INT, WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)";
const ACCOUNTS: &str = "CREATE TABLE accounts (id INT PRIMARY KEY, owner STRING, balance INT)";

fn trade(symbol: &str, price: f64, quantity: i32, volume: i64) -> Record {
    record(vec![text(symbol), double(price), int(quantity), big(volume)])
}

fn tick(symbol: &str, seconds: i64, n: i32) -> Record {
    record(vec![text(symbol), time(seconds), int(n)])
}

fn account(id: i32, owner: &str, balance: i32) -> Record {
    record(vec![int(id), text(owner), int(balance)])
}

fn no_account(id: i32) -> Record {
    tombstone(vec![int(id), Literal::Null, Literal::Null])
}

#[track_caller]
fn check(query: &Query, records: &[Record], expected: &[&str]) {
    assert_eq!(run(query, records), expected, "{}", query.plan.explain().join("\n"));
}

#[test]
fn rows_are_filtered_and_computed() {
    let query = query(TRADES, "SELECT symbol, quantity * 2 AS twice FROM trades WHERE price > 10.0");
    let records = [trade("A", 11.0, 1, 0), trade("B", 9.0, 2, 0), trade("C", 12.0, 3, 0)];
    check(&query, &records, &["1 + A 2", "3 + C 6"]);
}

#[test]
fn all_columns_pass() {
    let query = query(TRADES, "SELECT * FROM trades");
    check(&query, &[trade("A", 11.0, 1, 0)], &["1 + A 11.0 1 0"]);
}

#[test]
fn every_change_of_a_group_is_shown() {
    let query = query(
        TRADES,
        "SELECT symbol, COUNT(*) AS n, AVG(price) AS a, MIN(price) AS lo, MAX(price) AS hi, SUM(quantity) AS q
         FROM trades GROUP BY symbol",
    );
    let records = [trade("A", 1.0, 1, 0), trade("B", 5.0, 2, 0), trade("A", 3.0, 3, 0)];
    check(&query, &records, &["1 + A 1 1.0 1.0 1.0 1", "2 + B 1 5.0 5.0 5.0 2", "3 ~ A 2 2.0 1.0 3.0 4"]);
}

#[test]
fn a_row_that_stays_is_not_repeated() {
    let query = query(TRADES, "SELECT symbol, MIN(price) AS lo FROM trades GROUP BY symbol");
    let records =
        [trade("A", 2.0, 1, 0), trade("A", 3.0, 1, 0), trade("A", 1.0, 1, 0), trade("A", 1.0, 1, 0)];
    check(&query, &records, &["1 + A 2.0", "3 ~ A 1.0"]);
}

#[test]
fn having_lets_groups_come_and_go() {
    let query = query(
        TRADES,
        "SELECT symbol, SUM(quantity) AS q FROM trades GROUP BY symbol HAVING SUM(quantity) > 2",
    );
    let records =
        [trade("A", 0.0, 1, 0), trade("A", 0.0, 2, 0), trade("A", 0.0, 1, 0), trade("A", 0.0, -3, 0)];
    check(&query, &records, &["2 + A 3", "3 ~ A 4", "4 - A 4"]);
}

#[test]
fn a_final_group_is_shown_once_at_the_end() {
    let query = query(TRADES, "SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol EMIT FINAL");
    let records = [trade("B", 0.0, 1, 0), trade("A", 0.0, 2, 0), trade("B", 0.0, 1, 0)];
    check(&query, &records, &["end + B 2", "end + A 1"]);
}

#[test]
fn windows_close_when_time_passes() {
    let query = query(
        TICKS,
        "SELECT symbol, window_start, COUNT(*) AS n FROM ticks WINDOW TUMBLING (SIZE 10 SECONDS)
         GROUP BY symbol EMIT FINAL",
    );
    let records = [
        tick("B", 0, 1),
        tick("A", 1, 1),
        tick("B", 9, 1),
        tick("A", 10, 1),
        tick("B", 5, 1),
        tick("A", 31, 1),
    ];
    let expected = ["4 + B 0 2", "4 + A 0 1", "5 late by 5000000", "6 + A 10000000 1", "end + A 30000000 1"];
    check(&query, &records, &expected);
}

#[test]
fn grace_keeps_windows_open() {
    let query = query(
        TICKS,
        "SELECT symbol, window_end, SUM(n) AS n FROM ticks
         WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY symbol EMIT FINAL",
    );
    let records =
        [tick("A", 9, 1), tick("A", 14, 10), tick("A", 3, 100), tick("A", 15, 1000), tick("A", 3, 7)];
    let expected = ["4 + A 10000000 101", "5 late by 12000000", "end + A 20000000 1010"];
    check(&query, &records, &expected);
}

#[test]
fn windows_show_every_change() {
    let query = query(
        TICKS,
        "SELECT symbol, window_start, COUNT(*) AS n FROM ticks WINDOW TUMBLING (SIZE 10 SECONDS)
         GROUP BY symbol EMIT CHANGES",
    );
    let records = [tick("A", 0, 1), tick("A", 11, 1), tick("A", 12, 1), tick("A", 2, 1)];
    let expected = ["1 + A 0 1", "2 + A 10000000 1", "3 ~ A 10000000 2", "4 late by 10000000"];
    check(&query, &records, &expected);
}

#[test]
fn a_table_replaces_and_deletes() {
    let query = query(ACCOUNTS, "SELECT id, owner FROM accounts");
    let records = [account(1, "a", 1), account(1, "b", 2), account(1, "b", 3), no_account(1), no_account(2)];
    check(&query, &records, &["1 + 1 a", "2 ~ 1 b", "4 - 1 b"]);
}

#[test]
fn without_its_key_an_update_is_a_delete_and_an_insert() {
    let query = query(ACCOUNTS, "SELECT owner FROM accounts");
    let records = [account(1, "a", 1), account(1, "b", 2), account(1, "b", 3)];
    check(&query, &records, &["1 + a", "2 - a", "2 + b"]);
}

#[test]
fn groups_over_a_table_take_rows_back() {
    let query = query(
        ACCOUNTS,
        "SELECT owner, COUNT(*) AS n, SUM(balance) AS s, MIN(balance) AS lo FROM accounts GROUP BY owner",
    );
    let records = [
        account(1, "a", 5),
        account(2, "a", 3),
        account(2, "b", 4),
        account(1, "b", 9),
        no_account(1),
        no_account(2),
    ];
    let expected = [
        "1 + a 1 5 5",
        "2 ~ a 2 8 3",
        "3 ~ a 1 5 5",
        "3 + b 1 4 4",
        "4 - a 1 5 5",
        "4 ~ b 2 13 4",
        "5 ~ b 1 4 4",
        "6 - b 1 4 4",
    ];
    check(&query, &records, &expected);
}

#[test]
fn an_aggregate_without_keys_keeps_its_row() {
    let query = query(ACCOUNTS, "SELECT COUNT(*) AS n, SUM(balance) AS s FROM accounts");
    check(&query, &[account(1, "a", 5), no_account(1)], &["1 + 1 5", "2 ~ 0 NULL"]);
}

#[test]
fn an_aggregate_over_an_aggregate_is_consistent() {
    let query = query(
        TRADES,
        "SELECT q, COUNT(*) AS n FROM (SELECT symbol, SUM(quantity) AS q FROM trades GROUP BY symbol) s GROUP BY q",
    );
    let records =
        [trade("A", 0.0, 1, 0), trade("B", 0.0, 1, 0), trade("A", 0.0, 1, 0), trade("B", 0.0, 0, 0)];
    check(&query, &records, &["1 + 1 1", "2 ~ 1 2", "3 ~ 1 1", "3 + 2 1"]);
}

#[test]
fn a_failing_record_is_as_if_it_had_never_come() {
    let query =
        query(TRADES, "SELECT symbol, 10 / SUM(quantity) AS r, COUNT(*) AS n FROM trades GROUP BY symbol");
    let records = [trade("A", 0.0, 1, 0), trade("A", 0.0, -1, 0), trade("A", 0.0, 4, 0)];
    check(&query, &records, &["1 + A 10 1", "2 ! division by zero", "3 ~ A 2 2"]);
}

#[test]
fn a_sum_that_overflows_rejects_its_record() {
    let query = query(TRADES, "SELECT symbol, COUNT(*) AS n, SUM(volume) AS v FROM trades GROUP BY symbol");
    let records = [
        trade("A", 0.0, 1, i64::MAX - 1),
        trade("B", 0.0, 1, 7),
        trade("A", 0.0, 1, 2),
        trade("A", 0.0, 1, 1),
    ];
    let expected = [
        "1 + A 1 9223372036854775806",
        "2 + B 1 7",
        "3 ! SUM is out of range of BIGINT",
        "4 ~ A 2 9223372036854775807",
    ];
    check(&query, &records, &expected);
}

#[test]
fn a_final_row_that_cannot_be_computed_is_reported() {
    let query =
        query(TRADES, "SELECT symbol, 10 / SUM(quantity) AS r FROM trades GROUP BY symbol EMIT FINAL");
    let records = [trade("A", 0.0, 0, 0), trade("B", 0.0, 5, 0)];
    check(&query, &records, &["end + B 2", "end ! division by zero"]);
}

#[test]
fn a_limit_ends_the_query() {
    let query = query(TRADES, "SELECT symbol FROM trades LIMIT 2");
    check(
        &query,
        &[trade("A", 0.0, 0, 0), trade("B", 0.0, 5, 0), trade("C", 0.0, 5, 0)],
        &["1 + A", "2 + B"],
    );
    let mut run = Run::new(&query);
    run.feed(&[trade("A", 0.0, 0, 0)]);
    assert!(!run.processor.is_finished());
    run.feed(&[trade("A", 0.0, 0, 0)]);
    assert!(run.processor.is_finished());
}

#[test]
fn behind_the_last_row_of_a_limit_nothing_fails() {
    let query = query(TRADES, "SELECT 6 / quantity AS r FROM trades LIMIT 2");
    let records = [0, 1, 0, 2, 0, 0].map(|quantity| trade("A", 0.0, quantity, 0));
    check(&query, &records, &["1 ! division by zero", "2 + 6", "3 ! division by zero", "4 + 3"]);
}

#[test]
fn batches_make_no_difference_to_a_limit_amid_windows_unions_and_failures() {
    let create = "CREATE STREAM s (k STRING, v INT, ts TIMESTAMP, WATERMARK FOR ts AS ts)";
    let two = "(SELECT k, v, ts FROM s LIMIT 2) AS x";
    let values = [1, 1, 4, 7, 0, 1, 0, 2];
    let records: Vec<Record> = (0..)
        .zip(values)
        .map(|(at, v)| record(vec![text(["a", "b"][at as usize % 2]), int(v), time(100 + at)]))
        .collect();
    for sql in [
        "SELECT 6 / (SUM(v) - 4) AS q FROM s WINDOW TUMBLING (SIZE 2 SECONDS) GROUP BY k LIMIT 1",
        "SELECT 6 / (SUM(v) - 4) AS q FROM s WINDOW TUMBLING (SIZE 2 SECONDS) GROUP BY k LIMIT 3",
        &format!("SELECT k, 6 / (SUM(v) - 2) AS q FROM {two} GROUP BY k EMIT FINAL"),
        &format!("SELECT k, COUNT(*) AS n FROM {two} WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k"),
        &format!("SELECT v FROM {two} UNION ALL SELECT 6 / v FROM s"),
        "SELECT x.q FROM (SELECT 6 / v AS q FROM s LIMIT 2) AS x UNION ALL SELECT v FROM s WHERE v > 3",
        &format!(
            "SELECT v FROM {two} UNION ALL SELECT y.v FROM (SELECT v FROM s WHERE 6 / v > 0 LIMIT 4) AS y"
        ),
        &format!("SELECT k, SUM(v) AS n FROM {two} GROUP BY k UNION ALL SELECT k, v FROM s WHERE v > 3"),
    ] {
        let query = query(create, sql);
        let expected = run_in(&query, &records, 1, false);
        assert!(!expected.is_empty(), "{sql}");
        for size in [2, 3, 5, 8] {
            assert_eq!(run_in(&query, &records, size, false), expected, "{sql} in batches of {size}");
        }
    }
}

#[test]
fn a_limit_below_ends_the_query_where_nothing_else_feeds_it() {
    let ends = |sql: &str| {
        let query = query(TRADES, sql);
        let mut run = Run::new(&query);
        run.feed(&[trade("A", 0.0, 0, 1), trade("B", 0.0, 0, 2), trade("C", 0.0, 0, 3)]);
        run.processor.is_finished()
    };
    let two = "(SELECT symbol, quantity FROM trades LIMIT 2) AS x";
    assert!(ends(&format!("SELECT symbol FROM {two} WHERE quantity > 1")));
    assert!(ends(&format!("SELECT COUNT(*) FROM {two} EMIT FINAL")), "the row comes with the end");
    assert!(!ends(&format!("SELECT symbol FROM {two} UNION ALL SELECT symbol FROM trades")));
    assert!(ends(&format!("SELECT symbol FROM {two} UNION ALL SELECT 'z' AS symbol")));
    assert!(ends(&format!(
        "SELECT symbol FROM {two} UNION ALL SELECT y.symbol FROM (SELECT symbol FROM trades LIMIT 3) AS y"
    )));
}

#[test]
fn a_table_is_final_at_the_end() {
    let query = query(ACCOUNTS, "SELECT id, owner FROM accounts EMIT FINAL");
    let records =
        [account(2, "a", 1), account(1, "b", 2), account(2, "c", 3), account(3, "d", 3), no_account(3)];
    check(&query, &records, &["end + 2 c", "end + 1 b"]);
}

#[test]
fn constants_need_no_source() {
    let query = query(TRADES, "SELECT 1 + 1 AS two, 'x' AS x");
    let mut run = Run::new(&query);
    run.start();
    assert_eq!(run.log, ["start + 2 x"]);
}

#[test]
fn a_snapshot_of_nothing_has_one_row() {
    let options = PlanOptions { snapshot: true, ..PlanOptions::default() };
    let query = query_with(ACCOUNTS, "SELECT COUNT(*) AS n, SUM(balance) AS s FROM accounts", options);
    check(&query, &[], &["end + 0 NULL"]);
    check(&query, &[account(1, "a", 5), account(2, "a", 5)], &["end + 2 10"]);
}

#[test]
fn old_rows_are_shown_on_demand() {
    let options = PlanOptions { before: true, ..PlanOptions::default() };
    let query = query_with(TRADES, "SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol", options);
    let records = [trade("A", 0.0, 1, 0), trade("A", 0.0, 1, 0), trade("A", 0.0, 1, 0)];
    check(&query, &records, &["1 + A 1", "2 < A 1", "2 ~ A 2", "3 < A 2", "3 ~ A 3"]);
}

#[test]
fn rollback_leaves_no_trace() {
    let query = query(
        TICKS,
        "SELECT symbol, window_start, COUNT(*) AS n FROM ticks WINDOW TUMBLING (SIZE 10 SECONDS)
         GROUP BY symbol EMIT FINAL",
    );
    let mut run = Run::new(&query);
    run.feed(&[tick("A", 1, 1)]);
    run.processor.begin();
    let watermark = run.gate.watermark();
    run.feed(&[tick("B", 2, 1), tick("A", 12, 1), tick("C", 25, 1)]);
    run.processor.rollback();
    run.gate.set_watermark(watermark);
    run.processor.finish_transaction();
    run.log.clear();
    run.feed(&[tick("A", 2, 1), tick("A", 10, 1)]);
    assert_eq!(run.log, ["6 + A 0 2"]);
}

#[test]
fn a_final_row_that_fails_leaves_the_others_of_its_step() {
    let inner = "CREATE STREAM w AS SELECT symbol, SUM(n) AS n FROM ticks WINDOW TUMBLING (SIZE 10 SECONDS)
         GROUP BY symbol EMIT FINAL";
    let query = query(&format!("{TICKS}; {inner}"), "SELECT SUM(10 / n) AS s, COUNT(*) AS c FROM w");
    let records = [tick("A", 0, 2), tick("B", 1, 0), tick("C", 2, 5), tick("A", 10, 1)];
    let mut run = Run::new(&query);
    run.feed(&records);
    assert_eq!(run.log, ["4 + 7 2"]);
    assert_eq!(run.processor.take_row_errors().len(), 1);
}

#[test]
fn the_plan_says_what_it_does() {
    let query = query(
        TICKS,
        "SELECT symbol, window_start, COUNT(*) AS n FROM ticks
         WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) WHERE n > 1 GROUP BY symbol EMIT FINAL",
    );
    let aggregate = query.plan.explain().into_iter().find(|line| line.contains("Aggregate")).unwrap();
    assert_eq!(
        aggregate.trim(),
        "Aggregate by symbol, window tumbling 10 seconds, grace 5 seconds: COUNT(*) AS count; \
         final when the watermark passes the window's end and grace; rows only come"
    );
    assert!(!query.plan.is_journaled(SourceId(0)) && !query.plan.is_updating() && query.plan.uses_time());
    assert_eq!(query.plan.sources()[0].needed, [true, false, true]);
}

/// Whether a record of each source may fail when operators have changed for it.
fn journaled(definitions: &str, text: &str) -> Vec<bool> {
    let plan = query(definitions, text).plan;
    (0..plan.sources().len()).map(|source| plan.is_journaled(SourceId(source))).collect()
}

#[test]
fn batches_run_under_a_savepoint_only_where_a_record_may_fail_too_late() {
    let both = format!("{TRADES}; {ACCOUNTS}");
    let found = |condition: &str| {
        let text = format!("SELECT 1 / a.balance AS s FROM trades t JOIN accounts a ON {condition}");
        journaled(&both, &text)
    };
    assert_eq!(found("t.quantity = a.id"), [false, false]);
    assert_eq!(found("t.symbol = a.owner"), [true, false]);
    assert_eq!(found("t.quantity = a.id AND t.quantity / a.balance > 0"), [true, true]);
    let of_two = "SELECT 1 / n AS s FROM ticks UNION ALL SELECT quantity AS s FROM trades";
    assert_eq!(journaled(&format!("{TRADES}; {TICKS}"), of_two), [false, false]);
    assert_eq!(
        journaled(TRADES, "SELECT 1 / volume AS s FROM trades UNION ALL SELECT volume AS s FROM trades"),
        [true]
    );
    assert_eq!(journaled(TRADES, "SELECT 1 / SUM(quantity) AS s FROM trades"), [true]);
}
