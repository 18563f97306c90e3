//! The answer is the same, row for row, whatever the number of partitions, the batches and the threads' timing.

use crate::harness::Harness;
use velostream_runtime::{Admission, EngineOptions, QueryOptions, RelationId};

const SOURCES: &str = "CREATE STREAM s (k STRING, j INT, v INT, t TIMESTAMP,
       WATERMARK FOR t AS t - INTERVAL '3' SECOND) WITH (timestamp_format = '%s');
     CREATE STREAM r (k STRING, j INT, v INT, t TIMESTAMP,
       WATERMARK FOR t AS t - INTERVAL '3' SECOND) WITH (timestamp_format = '%s');
     CREATE TABLE names (k STRING PRIMARY KEY, name STRING)";

/// Queries that as many receivers answer as there are partitions.
const SHARED: &[&str] = &[
    "SELECT k, v * 2 AS w FROM s WHERE v > 3",
    "SELECT k, COUNT(*) AS n, SUM(v) AS sum FROM s GROUP BY k EMIT CHANGES",
    "SELECT k, j, MIN(v) AS low FROM s WHERE v > 1 GROUP BY k, j EMIT CHANGES",
    "SELECT v % 3 AS m, COUNT(*) AS n FROM s GROUP BY v % 3 HAVING COUNT(*) > 2 EMIT CHANGES",
    "SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT FINAL",
    "SELECT n, k FROM (SELECT k, COUNT(*) AS n FROM s GROUP BY k) AS c WHERE n > 1 EMIT FINAL",
    "SELECT k, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT COUNT(*) AS n FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT k, window_end, SUM(v) AS n FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS) GROUP BY k EMIT CHANGES",
    "SELECT k, window_start, window_end, COUNT(*) AS n FROM s WINDOW SESSION (2 SECONDS) GROUP BY k EMIT CHANGES",
    "SELECT k, 12 / (COUNT(*) - 2) AS x FROM s WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT DISTINCT k, j FROM s",
    "SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS sum FROM s EMIT CHANGES",
    "SELECT s.k, s.v, names.name FROM s LEFT JOIN names ON s.k = names.k",
    "SELECT s.k, s.v, r.v AS w FROM s JOIN r WITHIN 2 SECONDS ON s.k = r.k",
    "SELECT s.k, COUNT(*) AS n FROM s JOIN r WITHIN 2 SECONDS ON s.k = r.k AND s.j = r.j WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY s.k EMIT FINAL",
    "SELECT s.k, r.j, SUM(s.v - r.v) AS sum FROM s JOIN r WITHIN 2 SECONDS ON s.k = r.k GROUP BY s.k, r.j EMIT FINAL",
    "SELECT a.k, COUNT(*) AS n FROM s a JOIN s b WITHIN 1 SECOND ON a.k = b.k AND a.v < b.v GROUP BY a.k EMIT CHANGES",
    "SELECT names.k, s.j, COUNT(*) AS n FROM s JOIN names ON s.k = names.k GROUP BY names.k, s.j EMIT FINAL",
    "SELECT k, COUNT(*) AS n, MAX(total) AS top FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c GROUP BY k EMIT CHANGES",
    "SELECT k, MIN(n) AS low FROM (SELECT k, j, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY k, j) AS c WHERE n > 1 GROUP BY k EMIT CHANGES",
    "SELECT k, COUNT(*) AS n, SUM(x) AS sum FROM (SELECT k, v - LAG(v) OVER (PARTITION BY k ORDER BY t) AS x FROM s) AS c GROUP BY k EMIT CHANGES",
    "SELECT a.k, COUNT(*) AS n FROM (SELECT DISTINCT k, j FROM s) AS a GROUP BY a.k HAVING 12 / COUNT(*) > 4 EMIT CHANGES",
    "SELECT k, 12 / v AS share FROM s",
    "SELECT k, SUM(12 / v) AS shares FROM s GROUP BY k EMIT CHANGES",
    "SELECT 12 / v AS share, COUNT(*) AS n FROM s GROUP BY 12 / v EMIT CHANGES",
];

/// Queries that one receiver answers whatever the number of partitions.
const SINGLE: &[&str] = &[
    "SELECT k, window_start, window_end, COUNT(*) AS n FROM s WINDOW SESSION (2 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT s.k, s.v, r.v AS w FROM s LEFT JOIN r WITHIN 2 SECONDS ON s.k = r.k AND s.j = r.j EMIT FINAL",
    "SELECT COUNT(*) AS n FROM s EMIT CHANGES",
    "SELECT k, COUNT(*) AS n FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c WHERE total > 9 GROUP BY k EMIT FINAL",
    "SELECT total, COUNT(*) AS n FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c GROUP BY total EMIT CHANGES",
    "SELECT j, SUM(x) AS sum FROM (SELECT j, v - LAG(v) OVER (PARTITION BY k ORDER BY t) AS x FROM s) AS c GROUP BY j EMIT CHANGES",
    "SELECT k, v FROM s LIMIT 9",
];

/// Numbers that look random, the same in each run: xorshift, Marsaglia 2003.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

/// What a history of records is given in.
#[derive(Clone, Copy, Debug)]
struct Way {
    partitions: usize,
    batch: usize,
    output_rows: usize,
}

enum Step {
    Record(String),
    /// Of the other stream.
    Other(String),
    Name(String),
    Advance(i64),
}

fn history(random: &mut Random, length: usize) -> Vec<Step> {
    let mut seconds = 100;
    (0..length)
        .map(|_| match random.below(60) {
            0 => Step::Name(format!(r#"{{"k":"k{}","name":"n{}"}}"#, random.below(6), random.below(100))),
            1 => {
                seconds += random.below(8) as i64;
                Step::Advance(seconds * 1_000_000)
            }
            kind => {
                seconds += random.below(3) as i64;
                let time = seconds - random.below(6) as i64;
                let (k, j, v) = (random.below(6), random.below(3), random.below(10));
                let record = format!(r#"{{"k":"k{k}","j":{j},"v":{v},"t":"{time}"}}"#);
                if kind < 4 { Step::Other(record) } else { Step::Record(record) }
            }
        })
        .collect()
}

/// What a query gave for a history.
#[derive(Debug)]
struct Found {
    lines: Vec<String>,
    receivers: usize,
    letters: usize,
    late: usize,
}

fn run(sql: &str, on_error: &str, history: &[Step], way: Way) -> Found {
    let Way { partitions, batch, output_rows } = way;
    let options = EngineOptions { partitions, output_rows, mailbox_batches: 2, ..EngineOptions::default() };
    let mut t = Harness::new(options);
    t.exec(SOURCES);
    t.insert("names", r#"{"k":"k1","name":"first"}"#);
    let options = QueryOptions { on_error: Some(on_error.to_owned()), ..QueryOptions::default() };
    let query = t.query_with(sql, &options);
    let receivers = t.engine.metrics().queries[0].partitions.len();
    let [s, r, names] = ["s", "r", "names"].map(|name| t.engine.relation(name).expect("it exists").id);
    let mut lines = Vec::new();
    let mut runs = true;
    // Gives something in, taking changes out while there is no room.
    let mut give = |t: &mut Harness, accept: &dyn Fn(&mut Harness) -> Admission| loop {
        let admission = accept(t);
        let before = lines.len();
        runs = runs && t.pull(query, &mut lines);
        match admission {
            Admission::Accepted => return,
            Admission::Full if lines.len() == before => t.wait(),
            Admission::Full => {}
        }
    };
    let json = |id: RelationId, text: String| {
        move |t: &mut Harness| t.engine.insert_json(id, text.as_bytes(), true, 0).expect("accepted")
    };
    let mut records = String::new();
    let mut count = 0;
    for step in history {
        if let Step::Record(record) = step {
            records += record;
            count += 1;
            if count < batch {
                continue;
            }
        }
        if count > 0 {
            give(&mut t, &json(s, std::mem::take(&mut records)));
            count = 0;
        }
        match step {
            Step::Record(_) => {}
            Step::Other(record) => give(&mut t, &json(r, record.clone())),
            Step::Name(name) => give(&mut t, &json(names, name.clone())),
            Step::Advance(micros) => {
                give(&mut t, &|t| t.engine.advance_time(Some(s), *micros, 0).expect("accepted"));
            }
        }
    }
    if count > 0 {
        give(&mut t, &json(s, records));
    }
    t.end();
    if runs {
        lines.extend(t.drain(query));
    }
    let letters = t.engine.take_new_dead_letters().len();
    Found { lines, receivers, letters, late: t.engine.take_late().len() }
}

#[test]
fn the_answer_does_not_depend_on_partitions_batches_or_timing() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let history = history(&mut random, 300);
    let all = SHARED.iter().map(|sql| (sql, true)).chain(SINGLE.iter().map(|sql| (sql, false)));
    for (sql, is_shared) in all {
        for on_error in ["dead_letter", "stop"] {
            let expected = run(sql, on_error, &history, Way { partitions: 1, batch: 1, output_rows: 1000 });
            assert!(expected.lines.len() > 1, "{sql}");
            for partitions in [1, 2, 3, 4, 8] {
                for (batch, output_rows) in [(1, 3), (7, 1000), (64, 5), (4096, 1000)] {
                    let way = Way { partitions, batch, output_rows };
                    let found = run(sql, on_error, &history, way);
                    assert_eq!(found.lines, expected.lines, "{sql}\n{on_error} {way:?}");
                    assert_eq!(found.receivers, if is_shared { partitions } else { 1 }, "{sql}");
                    if on_error == "dead_letter" {
                        let counts = |found: &Found| (found.letters, found.late);
                        assert_eq!(counts(&found), counts(&expected), "{sql}\n{way:?}");
                    }
                }
            }
        }
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
