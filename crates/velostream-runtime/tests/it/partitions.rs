//! The answer is the same, row for row, whatever the number of partitions, the batches and the threads' timing.

use crate::harness::Harness;
use crate::histories::{Found, INTO_ONE, PLAIN, Random, SHARED, SINGLE, SOURCES, STAGED, Way, mixed, run};
use std::collections::BTreeMap;
use velostream_runtime::{EngineOptions, PartitionMetricsSnapshot, QueryOptions};

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const COUNTS: [usize; 5] = [1, 2, 3, 4, 8];

#[test]
fn the_answer_does_not_depend_on_partitions_batches_or_timing() {
    let history = mixed(&mut Random(SEED), 300);
    let shared = SHARED.iter().chain(STAGED).chain(INTO_ONE).map(|sql| (sql, true));
    let all = shared.chain(SINGLE.iter().map(|sql| (sql, false)));
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
            _ if ["SELECT k, j", "SELECT DISTINCT k, j", "SELECT name, s.j,", "SELECT name, n, "]
                .iter()
                .any(|start| sql.starts_with(start)) =>
            {
                words[..2].to_vec()
            }
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
    for sql in SHARED.iter().chain(STAGED) {
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
fn a_first_stage_that_keeps_records_is_cut_off_a_second_that_leaves_none_out() {
    let history = mixed(&mut Random(SEED), 300);
    let copied =
        "CREATE STREAM o (k STRING, j INT, v INT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '0' SECOND);
        INSERT INTO o SELECT k, j, v, t FROM s";
    let over =
        "(SELECT j, v, LAG(v) OVER (PARTITION BY k ORDER BY t) AS x FROM o) AS c WHERE 12 / (v - x) > -9";
    let cut = format!("SELECT j, COUNT(*) AS n, MAX(x) AS top FROM {over} GROUP BY j EMIT CHANGES");
    let whole = format!("SELECT j, SUM(12 / (x - 3)) AS sum FROM {over} GROUP BY j EMIT CHANGES");
    for (sql, is_shared) in [(cut, true), (whole, false)] {
        let expected = run(copied, &sql, "dead_letter", &history, PLAIN);
        assert!(expected.lines.len() > 50 && expected.counted.0 > 0 && expected.counted.1 > 0, "{sql}");
        for partitions in COUNTS {
            for batch in [1, 7, 64] {
                let sinks = batch == 7;
                let way = Way { partitions, batch, output_rows: 5, mailbox_batches: 2, by_key: false, sinks };
                let found = run(copied, &sql, "dead_letter", &history, way);
                assert_eq!(found.lines, expected.lines, "{sql}\n{way:?}");
                assert_eq!(found.receivers, if is_shared { partitions } else { 1 }, "{sql}");
                assert_eq!(found.letters, expected.letters, "{sql}\n{way:?}");
                assert_eq!(found.late, expected.late, "{sql}\n{way:?}");
                assert_eq!(found.counted, expected.counted, "{sql}\n{way:?}");
            }
        }
    }
}

#[test]
fn questions_go_through_both_stages_behind_all_that_was_accepted() {
    for partitions in [0, 1, 2, 5] {
        let mut t =
            Harness::new(EngineOptions { partitions, mailbox_batches: 2, ..EngineOptions::default() });
        t.exec(SOURCES);
        let names: Vec<_> = (0..30).map(|k| format!(r#"{{"k":"k{k}","name":"n{}"}}"#, k % 4)).collect();
        t.insert("names", &names.join(""));
        t.exec(
            "CREATE TABLE per_name AS SELECT name, COUNT(*) AS n FROM s JOIN names ON s.k = names.k GROUP BY name",
        );
        let records: Vec<_> = (0..40).map(|k| format!(r#"{{"k":"k{k}","j":0,"v":1,"t":"100"}}"#)).collect();
        for round in 1..=20 {
            t.insert("s", &records.join(""));
            let expected: Vec<_> =
                [8, 8, 7, 7].iter().zip(0..).map(|(n, at)| format!("n{at} {}", n * round)).collect();
            assert_eq!(t.all("SELECT name, n FROM per_name"), expected, "partitions {partitions}");
        }
        let later = t.query("SELECT name, n FROM per_name");
        t.insert("s", &records[..1].join(""));
        t.flush();
        let changes = t.changes(later);
        assert_eq!(changes.len(), 5, "the rows, then what comes: {changes:?}, partitions {partitions}");
        assert_eq!(changes[4], "~ n0 161", "partitions {partitions}");
        let metrics = t.engine.metrics();
        let of_each = &metrics.queries[0].partitions;
        assert_eq!(of_each.len(), partitions.max(1));
        let sum = |of: fn(&PartitionMetricsSnapshot) -> u64| of_each.iter().map(of).sum::<u64>();
        assert_eq!(sum(|each| each.records_in), 30 + 20 * 40 + 1, "partitions {partitions}");
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
        (STAGED[0], "Partitions: 4, s by k; names by k, then by name"),
        (INTO_ONE[0], "Partitions: 4, s by k, j, then all by one"),
        ("SELECT COUNT(*) FROM s", "Partitions: 1, because no key tells which rows meet"),
        (
            "SELECT n, SUM(j) FROM (SELECT k, j, COUNT(*) AS n FROM s GROUP BY k, j) AS c GROUP BY n",
            "Partitions: 1, because a record may fail, or be late, where rows meet by other keys than before",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(last(4, sql), expected, "{sql}");
        assert!(!last(1, sql).starts_with("Partitions"), "{sql}");
    }
    let file = std::env::temp_dir().join(format!("velostream-{}-explained.csv", std::process::id()));
    std::fs::write(&file, "k,v\na,1\n").expect("a temporary file can be written");
    let path = file.to_string_lossy();
    assert_eq!(
        last(4, &format!("SELECT k, COUNT(*) FROM '{path}' GROUP BY k")),
        format!("Partitions: 4, {path} by k")
    );
    std::fs::remove_file(&file).expect("it is there");
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

#[test]
fn groups_that_one_record_changes_stand_as_in_one_receiver_whatever_the_history() {
    let sizes = "CREATE TABLE sizes AS SELECT n, COUNT(*) AS keys FROM
       (SELECT k, j, COUNT(*) AS n FROM s GROUP BY k, j) AS c GROUP BY n";
    // Old rows come too, as it takes them back.
    let of_sizes = (sizes, "SELECT keys, COUNT(*) AS n, MAX(n) AS top FROM sizes GROUP BY keys EMIT CHANGES");
    let are_groups =
        |sql: &&&str| sql.contains("COUNT(*) AS n FROM s GROUP BY") || sql.contains("GROUP BY total");
    for seed in 1..=40 {
        let history = mixed(&mut Random(SEED.wrapping_mul(seed)), 120);
        for (definitions, sql) in
            STAGED.iter().filter(are_groups).chain(INTO_ONE).map(|sql| ("", *sql)).chain([of_sizes])
        {
            let expected = run(definitions, sql, "dead_letter", &history, PLAIN);
            for (partitions, batch) in [(2, 1), (3, 7), (5, 64)] {
                let (output_rows, mailbox_batches) = (1000, 2);
                let way =
                    Way { partitions, batch, output_rows, mailbox_batches, by_key: false, sinks: false };
                let found = run(definitions, sql, "dead_letter", &history, way);
                assert_eq!(found.lines, expected.lines, "history {seed}\n{sql}\n{way:?}");
                assert_eq!(found.letters, expected.letters, "history {seed}\n{sql}\n{way:?}");
            }
        }
    }
}
