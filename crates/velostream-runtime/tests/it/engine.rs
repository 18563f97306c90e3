//! Queries, derived relations, inserts, time and ends.

use crate::harness::{Harness, each};
use velostream_runtime::{EngineOptions, ErrorCode, Params, QueryOptions};

const TRADES: &str = "CREATE STREAM trades (symbol STRING, price INT)";

#[test]
fn a_filter_passes_rows_on() {
    each(|t| {
        t.exec(TRADES);
        let query = t.query("SELECT symbol, price FROM trades WHERE price > 1");
        t.insert("trades", r#"{"symbol":"A","price":1} {"symbol":"B","price":2}"#);
        assert_eq!(t.changes(query), ["+ B 2"]);
        t.insert("trades", r#"[{"symbol":"C","price":3}]"#);
        t.end();
        assert_eq!(t.drain(query), ["+ C 3"]);
    });
}

#[test]
fn a_group_is_updated() {
    each(|t| {
        t.exec(TRADES);
        let sql = "SELECT symbol, COUNT(*) AS n, SUM(price) AS total FROM trades GROUP BY symbol";
        let query = t.query(sql);
        let with_before = t.query_with(sql, &QueryOptions { before: true, ..QueryOptions::default() });
        t.insert("trades", "{\"symbol\":\"A\",\"price\":1}\n{\"symbol\":\"A\",\"price\":2}");
        assert_eq!(t.changes(query), ["+ A 1 1", "~ A 2 3"]);
        assert_eq!(t.changes(with_before), ["+ A 1 1", "< A 1 1", "~ A 2 3"]);
    });
}

#[test]
fn a_query_sees_what_comes_after_its_start() {
    each(|t| {
        t.exec(TRADES);
        t.insert("trades", r#"{"symbol":"A","price":1}"#);
        let query = t.query("SELECT price FROM trades");
        t.insert("trades", r#"{"symbol":"A","price":2}"#);
        assert_eq!(t.changes(query), ["+ 2"]);
    });
}

#[test]
fn a_query_over_a_table_starts_with_its_rows() {
    each(|t| {
        t.exec("CREATE TABLE stock (item STRING PRIMARY KEY, n INT)");
        t.insert("stock", r#"{"item":"a","n":1} {"item":"b","n":2} {"item":"a","n":3}"#);
        let query = t.query("SELECT item, n FROM stock");
        let sum = t.query("SELECT SUM(n) AS total FROM stock");
        t.insert("stock", r#"{"item":"b","n":5}"#);
        assert_eq!(t.changes(query), ["+ a 3", "+ b 2", "~ b 5"]);
        assert_eq!(t.changes(sum), ["+ 5", "~ 8"]);
    });
}

#[test]
fn update_and_delete_are_one_step() {
    each(|t| {
        t.exec("CREATE TABLE stock (item STRING PRIMARY KEY, n INT, CHECK (n >= 0))");
        t.exec("INSERT INTO stock VALUES ('a', 1), ('b', 2), ('c', 10)");
        let sum = t.query("SELECT SUM(n) AS total, COUNT(*) AS n FROM stock");
        t.exec("UPDATE stock SET n = n + 1 WHERE n < 10");
        t.exec("DELETE FROM stock WHERE item = 'c'");
        assert_eq!(t.changes(sum), ["+ 13 3", "~ 15 3", "~ 5 2"]);
        let refused = t.try_exec("UPDATE stock SET n = n - 3").expect_err("a would be negative");
        assert_eq!(refused.code, ErrorCode::Constraint);
        assert_eq!(t.changes(sum), Vec::<String>::new());
        assert_eq!(t.all("SELECT item, n FROM stock"), ["a 2", "b 3"]);
        t.exec("DELETE FROM stock");
        assert_eq!(t.all("SELECT COUNT(*) AS n FROM stock"), ["0"]);
    });
}

#[test]
fn a_table_without_key_is_a_multiset() {
    each(|t| {
        t.exec("CREATE TABLE bag (x INT)");
        t.exec("INSERT INTO bag VALUES (1), (1), (2)");
        assert_eq!(t.all("SELECT x FROM bag"), ["1", "1", "2"]);
        t.exec("UPDATE bag SET x = 2 WHERE x = 1");
        assert_eq!(t.all("SELECT x, COUNT(*) AS n FROM bag GROUP BY x"), ["2 3"]);
    });
}

#[test]
fn chains_of_derived_relations() {
    each(|t| {
        t.exec(TRADES);
        t.exec("CREATE STREAM dear AS SELECT symbol, price FROM trades WHERE price > 1");
        t.exec("CREATE TABLE totals AS SELECT symbol, SUM(price) AS total FROM dear GROUP BY symbol");
        t.exec("CREATE TABLE sizes AS SELECT total, COUNT(*) AS n FROM totals GROUP BY total");
        let query = t.query("SELECT total, n FROM sizes");
        t.insert("trades", r#"{"symbol":"A","price":2} {"symbol":"B","price":2} {"symbol":"A","price":1}"#);
        assert_eq!(t.changes(query), ["+ 2 1", "~ 2 2"]);
        assert_eq!(t.all("SELECT symbol, total FROM totals"), ["A 2", "B 2"]);
        t.insert("trades", r#"{"symbol":"A","price":5}"#);
        assert_eq!(t.changes(query), ["~ 2 1", "+ 7 1"]);
        assert_eq!(t.all("SELECT total, n FROM sizes WHERE total = 7"), ["7 1"]);
        let late_comer = t.query("SELECT total, n FROM sizes");
        assert_eq!(t.changes(late_comer), ["+ 2 1", "+ 7 1"]);
    });
}

#[test]
fn a_view_is_expanded() {
    each(|t| {
        t.exec(TRADES);
        t.exec("CREATE VIEW v AS SELECT symbol, price * 2 AS twice FROM trades");
        let query = t.query("SELECT twice FROM v WHERE twice > 2");
        t.insert("trades", r#"{"symbol":"A","price":2} {"symbol":"B","price":1}"#);
        assert_eq!(t.changes(query), ["+ 4"]);
    });
}

#[test]
fn insert_select_feeds_a_stream_in_the_order_of_the_records() {
    each(|t| {
        t.exec(TRADES);
        t.exec("CREATE STREAM log (what STRING, n INT)");
        let query = t.query("SELECT what, n FROM log");
        t.exec("INSERT INTO log SELECT symbol, price FROM trades");
        t.exec("INSERT INTO log SELECT 'twice', price * 2 FROM trades WHERE price < 3");
        t.insert("trades", r#"{"symbol":"A","price":2} {"symbol":"B","price":3} {"symbol":"C","price":1}"#);
        t.insert("log", r#"{"what":"direct","n":0}"#);
        assert_eq!(t.changes(query), ["+ A 2", "+ twice 4", "+ B 3", "+ C 1", "+ twice 2", "+ direct 0"]);
        let round = t.try_exec("INSERT INTO trades SELECT what, n FROM log").expect_err("a circle");
        assert_eq!(round.code, ErrorCode::Unsupported);
        t.end();
        assert_eq!(t.drain(query), Vec::<String>::new());
    });
}

#[test]
fn windows_close_by_time_and_at_the_end() {
    each(|t| {
        t.exec(
            "CREATE STREAM clicks (page STRING, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)",
        );
        let query = t.query(
            "SELECT page, COUNT(*) AS n FROM clicks WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY page EMIT FINAL",
        );
        let at = |page: &str, second: u32| {
            format!("{{\"page\":\"{page}\",\"ts\":\"2024-01-01T00:00:{second:02}Z\"}}\n")
        };
        t.insert("clicks", &(at("a", 1) + &at("b", 2) + &at("a", 3)));
        assert_eq!(t.changes(query), Vec::<String>::new());
        t.insert("clicks", &at("a", 12));
        assert_eq!(t.changes(query), ["+ a 2", "+ b 1"]);
        t.insert("clicks", &at("a", 4));
        assert_eq!(t.changes(query), Vec::<String>::new());
        let late = t.engine.take_late();
        assert_eq!(late.len(), 1);
        assert_eq!((late[0].relation.as_str(), late[0].late_by_ms), ("clicks", 8_000.0));
        let micros = 1_704_067_200_000_000 + 25_000_000;
        t.engine.advance_time(None, micros, 0).expect("time moves");
        assert_eq!(t.changes(query), ["+ a 1"]);
        t.insert("clicks", &at("z", 26));
        t.end();
        assert_eq!(t.drain(query), ["+ z 1"]);
    });
}

#[test]
fn a_limit_ends_the_query() {
    each(|t| {
        t.exec(TRADES);
        let query = t.query("SELECT price FROM trades LIMIT 2");
        t.insert("trades", r#"{"price":1} {"price":2} {"price":3}"#);
        assert_eq!(t.drain(query), ["+ 1", "+ 2"]);
        t.insert("trades", r#"{"price":4}"#);
    });
}

#[test]
fn a_querys_watermark_is_that_of_its_rows_whatever_the_partitions() {
    each(|t| {
        t.exec(
            "CREATE STREAM s (k STRING, t TIMESTAMP, WATERMARK FOR t AS t) WITH (timestamp_format = '%s');
             CREATE TABLE names (k STRING PRIMARY KEY, name STRING)",
        );
        t.query("SELECT s.k, name FROM s JOIN names ON s.k = names.k");
        t.query(
            "SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 3 SECONDS) GROUP BY k",
        );
        let watermarks = |t: &mut Harness| {
            t.flush();
            t.engine.metrics().queries.iter().map(|query| query.watermark_micros).collect::<Vec<_>>()
        };
        t.insert("s", r#"{"k":"a","t":"100"}"#);
        let expected = [Some(100_000_000), Some(97_000_000)];
        assert_eq!(watermarks(t), expected);
        t.insert("names", r#"{"k":"a","name":"A"}"#);
        assert_eq!(watermarks(t), expected, "a table that is looked up has no time");
    });
}

#[test]
fn records_behind_a_limit_fail_for_nobody() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT)");
        for on_error in ["dead_letter", "stop"] {
            let options = QueryOptions { on_error: Some(on_error.to_owned()), ..QueryOptions::default() };
            let query = t.query_with("SELECT 6 / a AS x FROM s LIMIT 2", &options);
            t.insert("s", r#"{"a":1} {"a":2} {"a":0} {"a":0}"#);
            assert_eq!(t.drain(query), ["+ 6", "+ 3"], "{on_error}");
        }
        assert!(t.letters().is_empty());
    });
}

#[test]
fn what_a_limit_makes_final_belongs_to_its_last_record() {
    let create =
        "CREATE STREAM s (k STRING, v INT, t TIMESTAMP, WATERMARK FOR t AS t) WITH (timestamp_format = '%s')";
    let windows = "SELECT 6 / (SUM(v) - 4) AS q FROM s WINDOW TUMBLING (SIZE 2 SECONDS) GROUP BY k LIMIT 1";
    let failing =
        "SELECT k, 6 / (SUM(v) - 2) AS q FROM (SELECT k, v FROM s LIMIT 2) AS x GROUP BY k EMIT FINAL";
    let derived = "SELECT c FROM d UNION ALL SELECT v + 100 AS c FROM s LIMIT 5";
    let record = |(at, v): (usize, i32)| format!(r#"{{"k":"a","v":{v},"t":"{}"}}"#, 100 + at);
    let records: Vec<_> = [1, 1, 4, 7, 1, 1].into_iter().enumerate().map(record).collect();
    each(|t| {
        for (sql, on_error, expected) in [
            (windows, "stop", &["+ -3"][..]),
            (windows, "dead_letter", &["+ -3"]),
            (failing, "stop", &["RECORD: division by zero"]),
            (failing, "dead_letter", &[]),
            (derived, "dead_letter", &["+ 101", "+ 2", "+ 101", "+ 104", "+ 107"]),
        ] {
            for size in [1, 2, 6] {
                t.exec(create);
                t.exec(
                    "CREATE STREAM d AS SELECT COUNT(*) AS c FROM (SELECT v FROM s LIMIT 2) AS x EMIT FINAL",
                );
                let options = QueryOptions { on_error: Some(on_error.to_owned()), ..QueryOptions::default() };
                let query = t.query_with(sql, &options);
                let before = t.engine.metrics().dead_letters_total;
                records.chunks(size).for_each(|some| t.insert("s", &some.concat()));
                assert_eq!(t.drain(query), expected, "{sql} {on_error}, in batches of {size}");
                let letters = u64::from(sql == failing && on_error == "dead_letter");
                let found = t.engine.metrics().dead_letters_total - before;
                assert_eq!(found, letters, "{sql} {on_error}, in batches of {size}");
                t.engine.close_query(query);
                t.exec("DROP STREAM d; DROP STREAM s");
            }
        }
    });
}

#[test]
fn who_reads_what_has_ended_among_others_is_flushed() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT); CREATE STREAM none AS SELECT a FROM s LIMIT 0");
        t.exec(
            "CREATE STREAM two AS SELECT a FROM s LIMIT 2; CREATE TABLE sums AS SELECT SUM(a) AS a FROM two",
        );
        t.insert("s", r#"{"a":1} {"a":2} {"a":3}"#);
        t.flush();
        for ended in ["none", "two", "sums"] {
            let query = t.query(&format!("SELECT a FROM {ended} UNION ALL SELECT a FROM s"));
            t.insert("s", r#"{"a":4}"#);
            let rows: &[&str] = if ended == "sums" { &["+ 3", "+ 4"] } else { &["+ 4"] };
            assert_eq!(t.changes(query), rows, "{ended}");
            t.engine.close_query(query);
        }
    });
}

#[test]
fn a_limit_beside_what_has_ended_ends_the_query() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT); CREATE STREAM r (a INT)");
        let two = "(SELECT a FROM s LIMIT 2) AS x";
        let constant = t.query(&format!("SELECT a FROM {two} UNION ALL SELECT 9 AS a"));
        let both = t.query(&format!("SELECT a FROM {two} UNION ALL SELECT a FROM r"));
        t.insert("r", r#"{"a":7}"#);
        t.insert("s", r#"{"a":1} {"a":2} {"a":3}"#);
        assert_eq!(t.drain(constant), ["+ 9", "+ 1", "+ 2"]);
        let r = t.engine.relation("r").expect("it exists").id;
        t.engine.end(Some(r)).expect("it ends");
        assert_eq!(t.drain(both), ["+ 7", "+ 1", "+ 2"]);
    });
}

#[test]
fn a_limit_below_ends_what_it_alone_feeds_and_shows_what_is_final() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT); CREATE STREAM r (a INT)");
        let two = "(SELECT a FROM s LIMIT 2) AS x";
        let sum = t.query(&format!("SELECT SUM(a) AS sum FROM {two} EMIT FINAL"));
        let both = t.query(&format!("SELECT a FROM {two} UNION ALL SELECT a FROM r"));
        t.insert("s", r#"{"a":1} {"a":2} {"a":3}"#);
        assert_eq!(t.drain(sum), ["+ 3"]);
        t.insert("r", r#"{"a":10}"#);
        assert_eq!(t.changes(both), ["+ 1", "+ 2", "+ 10"]);
    });
}

#[test]
fn bad_records_leave_the_others_alone() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT, b INT NOT NULL)");
        let query = t.query("SELECT a / b AS q FROM s");
        t.insert("s", "{\"a\":4,\"b\":2}\n{\"a\":1,\"b\":0}\n{\"a\":1}\n{\"a\":\n{\"a\":9,\"b\":3}\n");
        assert_eq!(t.changes(query), ["+ 2", "+ 3"]);
        let mut letters = t.letters();
        letters.sort();
        assert_eq!(letters.len(), 3, "{letters:#?}");
        assert!(
            letters.iter().any(|letter| letter.contains("query_1 RECORD: division by zero")),
            "{letters:#?}"
        );
        assert!(letters.iter().any(|letter| letter.contains("- CONSTRAINT: b")), "{letters:#?}");
        assert!(letters.iter().any(|letter| letter.contains("- RECORD: malformed JSON")), "{letters:#?}");
    });
}

#[test]
fn on_error_stop_ends_the_query_before_the_record() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT, b INT)");
        let options = QueryOptions { on_error: Some("stop".to_owned()), ..QueryOptions::default() };
        let query = t.query_with("SELECT a / b AS q FROM s", &options);
        let other = t.query("SELECT a FROM s");
        t.insert("s", r#"{"a":4,"b":2} {"a":1,"b":0} {"a":9,"b":3}"#);
        assert_eq!(t.changes(query), ["+ 2", "RECORD: division by zero"]);
        assert_eq!(t.changes(other), ["+ 4", "+ 1", "+ 9"]);
        let null = QueryOptions { on_error: Some("null".to_owned()), ..QueryOptions::default() };
        let refused = t.engine.query("SELECT a FROM s", &Params::default(), &null, 0).expect_err("refused");
        assert_eq!(refused.code, ErrorCode::Unsupported);
    });
}

#[test]
fn drop_is_refused_while_somebody_reads() {
    each(|t| {
        t.exec(TRADES);
        t.exec("CREATE TABLE totals AS SELECT symbol, SUM(price) AS total FROM trades GROUP BY symbol");
        let refused = t.try_exec("DROP STREAM trades").expect_err("totals reads it");
        assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::InUse, "trades is read by totals"));
        let query = t.query("SELECT total FROM totals");
        assert_eq!(t.try_exec("DROP TABLE totals").expect_err("read").code, ErrorCode::InUse);
        t.engine.close_query(query);
        t.exec("DROP TABLE totals; DROP STREAM trades");
        assert_eq!(t.all("SHOW STREAMS"), Vec::<String>::new());
    });
}

#[test]
fn terminate_ends_a_query_by_its_name() {
    each(|t| {
        t.exec(TRADES);
        let options = QueryOptions { name: Some("mine".to_owned()), ..QueryOptions::default() };
        let query = t.query_with("SELECT price FROM trades", &options);
        t.insert("trades", r#"{"price":1}"#);
        t.flush();
        t.exec("TERMINATE mine");
        assert_eq!(t.drain(query), ["+ 1"]);
        assert_eq!(t.try_exec("TERMINATE other").expect_err("unknown").code, ErrorCode::UnknownName);
    });
}

#[test]
fn nothing_is_taken_after_the_end_or_after_close() {
    each(|t| {
        t.exec(TRADES);
        t.end();
        let id = t.engine.relation("TRADES").expect("it exists").id;
        let ended = t.engine.insert_json(id, b"{}", true, 0).expect_err("the input has ended");
        assert_eq!(ended.code, ErrorCode::State);
        t.engine.close();
        t.engine.close();
        let closed = t.engine.insert_json(id, b"{}", true, 0).expect_err("closed");
        assert_eq!(closed.code, ErrorCode::Closed);
    });
}

#[test]
fn all_statements_are_bound_before_the_first_runs() {
    each(|t| {
        let error =
            t.try_exec("CREATE STREAM a (x INT); CREATE STREAM b AS SELECT nope FROM a").expect_err("nope");
        assert_eq!((error.code, error.line, error.column), (ErrorCode::UnknownName, 1, 52));
        assert!(error.rendered.is_some_and(|text| text.contains("^^^^")));
        assert!(t.engine.relation("a").is_err());
    });
}

#[test]
fn chunks_of_any_size_give_the_same_changes() {
    let json: String = (0..60).map(|i| format!("{{\"symbol\":\"S{}\",\"price\":{}}}\n", i % 7, i)).collect();
    let run = |partitions: usize, size: usize| {
        let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
        t.exec(TRADES);
        t.exec("CREATE TABLE totals AS SELECT symbol, SUM(price) AS total FROM trades GROUP BY symbol");
        let query = t.query("SELECT COUNT(*) AS n, MAX(total) AS top FROM totals WHERE total > 10");
        let id = t.engine.relation("trades").expect("it exists").id;
        for chunk in json.as_bytes().chunks(size) {
            t.engine.insert_json(id, chunk, false, 0).expect("accepted");
        }
        t.end();
        t.drain(query)
    };
    let expected = run(0, json.len());
    assert!(expected.len() > 30);
    for partitions in [0, 1, 2, 3] {
        for size in [1, 7, 100, 1024] {
            assert_eq!(run(partitions, size), expected, "partitions {partitions}, chunks of {size}");
        }
    }
}

#[test]
fn a_record_that_fails_among_others_leaves_their_time_to_who_reads_them() {
    let records = |of: &[(i32, i32)]| -> Vec<String> {
        of.iter()
            .map(|(k, second)| format!(r#"{{"k":{k},"x":6,"ts":"2024-01-01T00:00:{second:02}Z"}}"#))
            .collect()
    };
    // The second key fails; in one batch with others it is all done again, record by record.
    for of in [[(1, 1), (2, 2), (1, 40), (1, 41)], [(1, 1), (1, 40), (2, 41), (1, 40)]] {
        for (single, rest) in [(1, 1), (0, 4), (1, 3), (2, 2)] {
            each(|t| {
                t.exec(
                    "CREATE STREAM s (k INT, x INT, ts TIMESTAMP, WATERMARK FOR ts AS ts);
                     CREATE TABLE t (id INT PRIMARY KEY, k INT, d INT);
                     INSERT INTO t VALUES (1, 1, 1), (2, 2, 0);
                     CREATE STREAM d AS SELECT s.x / t.d AS q, s.ts FROM s JOIN t ON s.k = t.k",
                );
                let query = t.query(
                    "SELECT window_start, COUNT(*) AS n FROM d WINDOW TUMBLING (ts, INTERVAL '10' SECOND)
                     GROUP BY window_start EMIT FINAL",
                );
                let records = records(&of);
                records[..single].iter().for_each(|record| t.insert("s", record));
                records[single..].chunks(rest).for_each(|batch| t.insert("s", &batch.concat()));
                t.end();
                let ends = t.drain(query);
                let counts: Vec<&str> = ends.iter().filter_map(|line| line.rsplit(' ').next()).collect();
                assert_eq!(counts, ["1", "2"], "{ends:?}, {of:?} by {single} and {rest}");
                assert_eq!(t.letters().len(), 1);
            });
        }
    }
}
