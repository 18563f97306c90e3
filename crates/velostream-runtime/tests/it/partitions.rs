//! The answer is the same, row for row, whatever the number of partitions, the batches and the threads' timing.

use crate::harness::Harness;
use crate::histories::{Found, PLAIN, Random, SHARED, SINGLE, SOURCES, Way, mixed, run};
use std::collections::BTreeMap;
use velostream_runtime::{EngineOptions, QueryOptions};

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const COUNTS: [usize; 5] = [1, 2, 3, 4, 8];

#[test]
fn the_answer_does_not_depend_on_partitions_batches_or_timing() {
    let history = mixed(&mut Random(SEED), 300);
    let all = SHARED.iter().map(|sql| (sql, true)).chain(SINGLE.iter().map(|sql| (sql, false)));
    for (sql, is_shared) in all {
        for on_error in ["dead_letter", "stop"] {
            let expected = run("", sql, on_error, &history, PLAIN);
            assert!(expected.lines.len() > usize::from(on_error == "dead_letter"), "{sql}");
            for partitions in COUNTS {
                for (batch, output_rows) in [(1, 3), (7, 1000), (64, 5), (4096, 1000)] {
                    let sinks = output_rows > 5;
                    let way =
                        Way { partitions, batch, output_rows, mailbox_batches: 2, by_key: false, sinks };
                    let found = run("", sql, on_error, &history, way);
                    assert_eq!(found.lines, expected.lines, "{sql}\n{on_error} {way:?}");
                    assert!(found.bytes == expected.bytes, "{sql}\n{on_error} {way:?}");
                    assert_eq!(found.receivers, if is_shared { partitions } else { 1 }, "{sql}");
                    assert_eq!(found.letters, expected.letters, "{sql}\n{on_error} {way:?}");
                    assert_eq!(found.late, expected.late, "{sql}\n{on_error} {way:?}");
                    if on_error == "dead_letter" {
                        assert_eq!(found.counted, expected.counted, "{sql}\n{way:?}");
                    }
                }
            }
        }
    }
}

/// By the columns that show whose rows they are, the rows in their order. Where none shows it, equal rows.
fn by_key<'f>(sql: &str, lines: &'f [String]) -> BTreeMap<Vec<&'f str>, Vec<&'f str>> {
    let mut keys: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let key = match sql {
            _ if sql.starts_with("SELECT COUNT(*)") => vec![line.as_str()],
            _ if sql.starts_with("SELECT n, k") => vec![words[1]],
            _ if sql.contains("k, j") => words[..2].to_vec(),
            _ => vec![words[0]],
        };
        keys.entry(key).or_default().push(line);
    }
    keys
}

/// What an error has ended: every key's changes up to it, and of some a few behind it.
fn check_stopped(sql: &str, found: &Found, expected: &Found) {
    let ends = [found, expected].map(|side| side.lines.split_last().expect("the error is there"));
    assert_eq!(ends[0].0, ends[1].0, "{sql}");
    let (found, expected) = (by_key(sql, ends[0].1), by_key(sql, ends[1].1));
    for (key, changes) in expected {
        assert!(found.get(&key).is_some_and(|found| found.starts_with(&changes)), "{sql}: {key:?}");
    }
}

#[test]
fn by_key_every_key_has_the_same_changes_in_the_same_order() {
    let history = mixed(&mut Random(SEED), 300);
    for sql in SHARED {
        for on_error in ["dead_letter", "stop"] {
            let expected = run("", sql, on_error, &history, PLAIN);
            let is_stopped = on_error == "stop" && run("", sql, "dead_letter", &history, PLAIN).counted.0 > 0;
            for (partitions, batch) in
                COUNTS.into_iter().flat_map(|count| [1, 7, 64].map(|batch| (count, batch)))
            {
                let sinks = batch == 7;
                let way = Way { partitions, batch, output_rows: 5, mailbox_batches: 2, by_key: true, sinks };
                let found = run("", sql, on_error, &history, way);
                if is_stopped {
                    check_stopped(sql, &found, &expected);
                    continue;
                }
                assert_eq!(by_key(sql, &found.lines), by_key(sql, &expected.lines), "{sql}\n{way:?}");
                assert_eq!(found.letters, expected.letters, "{sql}\n{way:?}");
                assert_eq!(found.late, expected.late, "{sql}\n{way:?}");
                assert_eq!(found.counted, expected.counted, "{sql}\n{way:?}");
            }
        }
    }
}

#[test]
fn by_key_a_flush_and_a_closed_query_leave_nothing_out() {
    for partitions in [0, 1, 2, 5] {
        let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
        t.exec(SOURCES);
        let by_key = QueryOptions { order_by_key: true, ..QueryOptions::default() };
        let query = t.query_with("SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES", &by_key);
        let closed = t.query_with("SELECT k, SUM(v) AS v FROM s GROUP BY k EMIT CHANGES", &by_key);
        for round in 1..=20 {
            let records: Vec<_> =
                (0..50).map(|k| format!(r#"{{"k":"k{k}","j":0,"v":1,"t":"{round}"}}"#)).collect();
            t.insert("s", &records.join(""));
            let mut found = t.changes(query);
            found.sort();
            let mark = if round == 1 { "+" } else { "~" };
            let mut expected: Vec<_> = (0..50).map(|k| format!("{mark} k{k} {round}")).collect();
            expected.sort();
            assert_eq!(found, expected, "partitions {partitions}");
        }
        t.engine.close_query(closed);
        let watermark = t.engine.metrics().queries[0].watermark_micros;
        assert_eq!(watermark, Some(17_000_000), "partitions {partitions}");
        t.end();
        assert_eq!(t.drain(query), Vec::<String>::new(), "partitions {partitions}");
    }
}

#[test]
fn explain_says_whose_rows_are_whose() {
    let last = |partitions: usize, sql: &str| {
        let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
        t.exec(SOURCES);
        let lines = t.engine.explain(sql).expect("the query is right");
        lines.lines().last().unwrap_or_default().to_owned()
    };
    let cases = [
        ("SELECT k FROM s", "Partitions: 4, s dealt round"),
        ("SELECT v % 3, COUNT(*) FROM s GROUP BY v % 3, j", "Partitions: 4, s by (v % 3), j"),
        ("SELECT s.v FROM s JOIN r WITHIN 1 SECOND ON s.k = r.k", "Partitions: 4, s by k; r by k"),
        ("SELECT COUNT(*) FROM s", "Partitions: 1, because no key tells which rows meet"),
    ];
    for (sql, expected) in cases {
        assert_eq!(last(4, sql), expected, "{sql}");
        assert!(!last(1, sql).starts_with("Partitions"), "{sql}");
    }
}

#[test]
fn time_stands_still_where_the_first_receiver_gets_nothing() {
    for partitions in [1, 2, 5] {
        let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
        t.exec(SOURCES);
        t.exec("CREATE STREAM same AS SELECT k, t FROM s WHERE v >= 0");
        for second in [100, 90, 91, 92, 93] {
            t.insert("s", &format!(r#"{{"k":"a","j":0,"v":1,"t":"{second}"}}"#));
        }
        t.flush();
        let metrics = t.engine.metrics();
        assert_eq!(metrics.queries[0].watermark_micros, Some(97_000_000), "partitions {partitions}");
        let late = t.query("SELECT COUNT(*) AS n FROM same WINDOW TUMBLING (SIZE 1 SECOND) EMIT CHANGES");
        t.insert("s", r#"{"k":"a","j":0,"v":1,"t":"94"}"#);
        assert_eq!(t.changes(late), Vec::<String>::new(), "partitions {partitions}");
    }
}

#[test]
fn of_a_record_that_fails_for_one_of_its_rows_nothing_is_shown() {
    for partitions in [0, 1, 3] {
        let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
        t.exec(SOURCES);
        t.exec("CREATE STREAM pairs AS SELECT s.k, r.v FROM s JOIN r WITHIN 5 SECONDS ON s.k = r.k");
        t.exec("CREATE STREAM positive (CHECK (v > 0)) AS SELECT k, v FROM pairs");
        let checked = t.query("SELECT k, v FROM positive");
        let shares = t.query("SELECT k, 12 / v AS share FROM pairs");
        let sums = t.query("SELECT k, COUNT(*) AS n, SUM(12 / v) AS sum FROM pairs GROUP BY k EMIT CHANGES");
        for v in [3, 0] {
            t.insert("r", &format!(r#"{{"k":"a","j":0,"v":{v},"t":"100"}}"#));
        }
        t.insert("s", r#"{"k":"a","j":0,"v":1,"t":"100"}"#);
        for query in [checked, shares, sums] {
            assert_eq!(t.changes(query), Vec::<String>::new(), "partitions {partitions}");
        }
        assert_eq!(t.engine.take_new_dead_letters().len(), 3, "one for each query");
    }
}
