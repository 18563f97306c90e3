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
        t.exec("CREATE STREAM s (a INT, t TIMESTAMP, WATERMARK FOR t AS t)");
        let windows = "SELECT a, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY a";
        for sql in ["SELECT a FROM k", windows, &format!("{windows} EMIT CHANGES")] {
            let asked = t.all(&format!("EXPLAIN {sql}"));
            assert_eq!(asked.join("\n"), t.engine.explain(sql).expect("it is right"), "{sql}");
        }
        let once = t.all("EXPLAIN SELECT a FROM k LIMIT 2").join("\n");
        assert!(once.contains("Limit 2"), "for a snapshot alone: {once}");
        t.exec("DROP STREAM s");
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

/// Over rows whose times lie far apart, in an order of their own.
const TIMED: [&str; 4] = [
    "SELECT window_start, COUNT(*) AS n FROM {} WINDOW TUMBLING (SIZE 10 SECONDS)",
    "SELECT window_start, COUNT(*) AS n FROM {} WINDOW HOPPING (SIZE 20 SECONDS, ADVANCE BY 10 SECONDS)",
    "SELECT window_start, COUNT(*) AS n FROM {} WINDOW SESSION (5 SECONDS)",
    "SELECT id, COUNT(*) OVER (ORDER BY ts) AS n FROM {}",
];

#[test]
fn the_rows_of_a_table_are_not_late_for_who_comes_later() {
    each(|t| {
        t.exec(
            "CREATE TABLE k (id INT PRIMARY KEY, ts TIMESTAMP) WITH (event_time = 'ts');
             CREATE STREAM s (id INT, ts TIMESTAMP) WITH (event_time = 'ts');
             CREATE TABLE d AS SELECT id, MAX(ts) AS ts FROM s GROUP BY id;
             CREATE TABLE w AS SELECT window_start AS ts, COUNT(*) AS id FROM s
                 WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY window_start EMIT FINAL",
        );
        for (id, millis) in [(1, 1_000), (2, 12_000), (4, 11_000), (3, 40_000)] {
            let row = format!("{{\"id\":{id},\"ts\":{millis}}}");
            t.insert("k", &row);
            if millis != 11_000 {
                t.insert("s", &row);
            }
        }
        t.insert("s", r#"{"id":9,"ts":90000}"#);
        let tumbling = TIMED[0].replace("{}", "k");
        assert_eq!(t.all(&tumbling), ["0 1", "10000000 2", "40000000 1"]);
        assert_eq!(t.all(&TIMED[2].replace("{}", "k")), ["1000000 1", "11000000 2", "40000000 1"]);
        assert_eq!(t.all(&TIMED[3].replace("{}", "k")), ["1 1", "4 2", "2 3", "3 4"]);
        let hopping = t.all(&TIMED[1].replace("{}", "k"));
        assert_eq!(hopping, ["-10000000 1", "0 3", "10000000 2", "30000000 1", "40000000 1"]);

        let query = t.query(&format!("{tumbling} EMIT CHANGES"));
        assert_eq!(t.changes(query), ["+ 0 1", "+ 10000000 2", "+ 40000000 1"]);
        let query = t.query(&format!("{tumbling} EMIT FINAL"));
        assert_eq!(t.changes(query), ["+ 0 1", "+ 10000000 2"]);
        assert!(t.engine.take_late().is_empty());

        let windows = "SELECT window_start, COUNT(*) AS n FROM w WINDOW TUMBLING (ts, INTERVAL '10' SECOND)";
        assert_eq!(t.all(windows), ["0 1", "10000000 1", "40000000 1"]);
        let windows = "SELECT window_start, COUNT(*) AS n FROM d WINDOW TUMBLING (ts, INTERVAL '10' SECOND)";
        assert_eq!(t.all(windows), ["0 1", "10000000 1", "40000000 1", "90000000 1"]);
    });
}
