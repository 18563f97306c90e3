//! Answers given once.

use crate::harness::{each, show};
use velostream_runtime::{ErrorCode, Params, TicketValue};

#[test]
fn constants_and_descriptions() {
    each(|t| {
        assert_eq!(t.all("SELECT 1 + 2 AS three, 'x' AS x"), ["3 x"]);
        t.exec("CREATE TABLE k (a INT PRIMARY KEY, b STRING)");
        assert_eq!(t.all("DESCRIBE k"), ["a INT false true", "b STRING true false"]);
        assert_eq!(t.all("SHOW TABLES"), ["k TABLE NULL"]);
        assert!(!t.all("EXPLAIN SELECT a FROM k").is_empty());
        t.exec("CREATE TABLE d AS SELECT b, COUNT(*) AS n FROM k GROUP BY b");
        assert_eq!(t.all("SHOW QUERIES")[0], "d running SELECT b, COUNT(*) AS n FROM k GROUP BY b");
        assert_eq!(t.try_all("DROP TABLE d").expect_err("no rows").code, ErrorCode::Argument);
    });
}

#[test]
fn tables_answer_after_everything_accepted() {
    each(|t| {
        t.exec("CREATE STREAM s (k STRING, x INT)");
        t.exec("CREATE TABLE sums AS SELECT k, SUM(x) AS total FROM s GROUP BY k");
        assert_eq!(t.all("SELECT COUNT(*) AS n FROM sums"), ["0"]);
        for x in 0..50 {
            t.insert("s", &format!("{{\"k\":\"k{}\",\"x\":{x}}}", x % 3));
        }
        assert_eq!(t.all("SELECT k, total FROM sums"), ["k0 408", "k1 425", "k2 392"]);
        assert_eq!(t.all("SELECT SUM(total) AS t FROM sums WHERE k <> 'k1'"), ["800"]);
        assert_eq!(t.all("SELECT k FROM sums LIMIT 2"), ["k0", "k1"]);
        assert_eq!(t.try_all("SELECT x FROM s").expect_err("a stream").code, ErrorCode::Unsupported);
    });
}

#[test]
fn a_failing_record_fails_the_answer() {
    each(|t| {
        t.exec("CREATE TABLE k (a INT PRIMARY KEY); INSERT INTO k VALUES (1), (0)");
        assert_eq!(t.try_all("SELECT 1 / a AS q FROM k").expect_err("by zero").code, ErrorCode::Record);
    });
}

#[test]
fn an_answer_under_way_ends_when_its_table_is_dropped() {
    each(|t| {
        t.exec("CREATE TABLE k (a INT PRIMARY KEY)");
        for a in 0..20 {
            let rows: Vec<String> = (0..1_000).map(|b| format!("{{\"a\":{}}}", a * 1_000 + b)).collect();
            t.insert("k", &rows.join("\n"));
        }
        let ticket = t.engine.all("SELECT a FROM k", &Params::default(), t.now_ms).expect("it starts");
        t.exec("DROP TABLE k");
        // A partition thread may have answered before.
        match t.finish(ticket) {
            Ok(TicketValue::Rows(_, rows)) => assert_eq!(show(&rows).len(), 20_000),
            Ok(TicketValue::Done) => panic!("a question is answered by rows"),
            Err(error) => assert_eq!(error.code, ErrorCode::State),
        }
    });
}
