//! Files as sources.

use crate::harness::{Harness, each};
use proptest::prelude::*;
use std::path::PathBuf;
use velostream_runtime::{EngineOptions, ErrorCode};

/// A file that is removed when it goes out of scope.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("velostream-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a temporary file can be written");
        Self(path)
    }

    fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn a_json_array_with_inferred_columns() {
    let file = Temporary::new(
        "flights.json",
        r#"[{"date":"2001/01/14 21:55","delay":0,"origin":"BNA"},{"date":"2001/03/26 20:15","delay":-11,"origin":"BNA"}]"#,
    );
    each(|t| {
        let sql =
            format!("SELECT origin, COUNT(*) AS n, AVG(delay) AS d FROM '{}' GROUP BY origin", file.path());
        assert_eq!(t.all(&sql), ["BNA 2 -5.5"]);
        let query = t.query(&format!("{sql} EMIT FINAL"));
        assert_eq!(t.drain(query), ["+ BNA 2 -5.5"]);
        let dates = t.all(&format!("SELECT date FROM '{}'", file.path()));
        assert_eq!(dates, ["979509300000000", "985637700000000"]);
    });
}

#[test]
fn the_column_of_a_window_or_of_over_is_the_event_time_of_a_file_in_from() {
    let rows = [("20", "a"), ("25", "b"), ("21", "a"), ("31", "b")];
    let json: Vec<_> =
        rows.iter().map(|(at, k)| format!(r#"{{"k":"{k}","at":"2023-11-14T22:13:{at}Z"}}"#)).collect();
    let csv: Vec<_> = rows.iter().map(|(at, k)| format!("{k},2023-11-14T22:13:{at}Z\n")).collect();
    let files = [
        Temporary::new("timed.ndjson", &json.join("\n")),
        Temporary::new("timed.json", &format!("[{}]", json.join(","))),
        Temporary::new("timed.csv", &format!("k,at\n{}", csv.concat())),
    ];
    for file in &files {
        each(|t| {
            let path = file.path();
            let windows = format!(
                "SELECT window_start, COUNT(*) AS n FROM '{path}' WINDOW TUMBLING (at, INTERVAL '2' SECOND)"
            );
            // The row of 21 comes when its window has closed.
            let expected = ["+ 1700000000000000 1", "+ 1700000004000000 1", "+ 1700000010000000 1"];
            let query = t.query(&windows);
            assert_eq!(t.drain(query), expected, "{path}");
            assert_eq!(t.engine.take_late().len(), 1, "{path}");
            let query = t.query(&format!("SELECT n FROM ({windows}) AS w"));
            assert_eq!(t.drain(query).len(), 3, "{path}");
            let query = t.query(&format!("SELECT k, LAG(k) OVER (ORDER BY at) AS last FROM '{path}'"));
            assert_eq!(t.drain(query), ["+ a NULL", "+ b a", "+ b b"], "{path}");
        });
    }
}

#[test]
fn csv_with_declared_columns_delimiter_and_no_header() {
    let file = Temporary::new("stations.txt", "Oslo;-3.5\nRome;21.0\nOslo;4.5\nbad\nRome;x\n");
    each(|t| {
        t.exec(&format!(
            "CREATE STREAM m (station STRING, t DOUBLE) WITH (connector = 'file', path = '{}', \
             format = 'csv', delimiter = ';', header = 'false')",
            file.path()
        ));
        assert_eq!(
            t.all("SELECT station, MIN(t) AS lo, MAX(t) AS hi FROM m GROUP BY station"),
            ["Oslo -3.5 4.5", "Rome 21 21"]
        );
        let letters = t.letters();
        assert_eq!(letters.len(), 2, "{letters:?}");
    });
}

#[test]
fn derived_relations_over_a_file() {
    let lines: String = (0..5000).map(|x| format!("{{\"k\":{},\"x\":{x}}}\n", x % 5)).collect();
    let file = Temporary::new("numbers.ndjson", &lines);
    each(|t| {
        t.exec(&format!(
            "CREATE STREAM n (k INT, x INT) WITH (connector = 'file', path = '{}');
             CREATE STREAM even AS SELECT k, x FROM n WHERE x % 2 = 0;
             CREATE TABLE sums AS SELECT k, COUNT(*) AS c FROM even GROUP BY k",
            file.path()
        ));
        assert_eq!(t.all("SELECT k, c FROM sums"), ["0 500", "2 500", "4 500", "1 500", "3 500"]);
        let query = t.query("SELECT COUNT(*) AS c FROM even EMIT FINAL");
        assert_eq!(t.drain(query), ["+ 2500"]);
        t.exec("CREATE STREAM log (k INT, x INT)");
        let log = t.query("SELECT COUNT(*) AS c FROM log EMIT FINAL");
        t.exec("INSERT INTO log SELECT k, x FROM even");
        t.flush();
        t.end();
        assert_eq!(t.drain(log), ["+ 2500"]);
    });
}

/// The records of a change of `per` behind the rows with which a reader began, each by its place in the file.
fn places(changes: &[String], keys: usize) -> Vec<usize> {
    let place = |line: &String| {
        let mut words =
            line.strip_prefix("~ k")?.split(' ').map(|word| word.parse::<usize>().expect("a number"));
        Some((words.next()?, words.next()?))
    };
    changes.iter().filter_map(place).map(|(key, count)| (count - 1) * keys + key).collect()
}

#[test]
fn who_reads_a_table_over_a_file_that_is_being_read_gets_changes_in_the_order_of_records() {
    const KEYS: usize = 8;
    let rows: String = (0..4_000).map(|at| format!("{}\n", at % KEYS)).collect();
    let names: String = (0..KEYS).map(|k| format!("{k},k{k}\n")).collect();
    let rows = Temporary::new("rows.csv", &format!("k\n{rows}"));
    let names = Temporary::new("names.csv", &format!("k,name\n{names}"));
    let of_one_stage = "SELECT CONCAT('k', CAST(k AS STRING)) AS name, COUNT(*) AS n FROM f GROUP BY k";
    let of_two = "SELECT name, COUNT(*) AS n FROM f JOIN names ON f.k = names.k GROUP BY name";
    for (partitions, sql) in [1, 2, 3].into_iter().flat_map(|count| [(count, of_one_stage), (count, of_two)])
    {
        let options = EngineOptions { partitions, file_block_bytes: 100, ..EngineOptions::default() };
        let mut t = Harness::new(EngineOptions { mailbox_batches: 1, output_rows: 10, ..options });
        t.exec(&format!(
            "CREATE STREAM f (k INT) WITH (connector = 'file', path = '{}');
             CREATE TABLE names (k INT PRIMARY KEY, name STRING) WITH (connector = 'file', path = '{}');
             CREATE TABLE per AS {sql}",
            rows.path(),
            names.path()
        ));
        // As long as nobody takes its changes, the file waits.
        let first = t.query("SELECT name, n FROM per");
        let others: Vec<_> = (0..5)
            .map(|_| {
                std::thread::yield_now();
                t.query("SELECT name, n FROM per WHERE n > 0")
            })
            .collect();
        let mut found = vec![Vec::new(); others.len()];
        while t.pull(first, &mut Vec::new()) {
            for (&query, lines) in others.iter().zip(&mut found) {
                t.pull(query, lines);
            }
            t.wait();
        }
        for (query, mut lines) in others.into_iter().zip(found) {
            lines.extend(t.drain(query));
            let places = places(&lines, KEYS);
            assert!(places.is_sorted(), "{sql}, partitions {partitions}: {places:?}");
        }
        let expected: Vec<_> = (0..KEYS).map(|k| format!("k{k} {}", 4_000 / KEYS)).collect();
        assert_eq!(t.all("SELECT name, n FROM per"), expected, "{sql}, partitions {partitions}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let empty = Temporary::new("empty.json", "");
    let directory = std::env::temp_dir().to_string_lossy().into_owned();
    let named = Temporary::new("rows.txt", "a,b\n1,2\n");
    each(|t| {
        for (path, reason) in [
            ("no/such/file.json", "no such file"),
            (directory.as_str(), "directory"),
            (&empty.path(), ""),
            (&named.path(), "if it is CSV, declare it"),
        ] {
            let error = t.try_all(&format!("SELECT * FROM '{path}'")).expect_err(path);
            assert_eq!(error.code, ErrorCode::Io, "{path}");
            assert!(error.message.contains(reason), "{path}: {}", error.message);
            assert!(error.column > 0, "the place is known");
        }
        let declared = t.try_exec("CREATE STREAM s (x INT) WITH (connector = 'file', path = 'no/such.csv')");
        assert_eq!(declared.expect_err("missing").code, ErrorCode::Io);
    });
}

#[test]
fn a_file_takes_no_inserts() {
    let file = Temporary::new("one.json", "{\"x\":1}");
    each(|t| {
        t.exec(&format!("CREATE STREAM s (x INT) WITH (connector = 'file', path = '{}')", file.path()));
        assert_eq!(t.try_exec("INSERT INTO s VALUES (1)").expect_err("a file").code, ErrorCode::Unsupported);
    });
}

/// A query over a file, by so many threads that read blocks of so many bytes: its changes and dead letters.
fn read_by(partitions: usize, block: usize, declaration: &str, sql: &str) -> (Vec<String>, Vec<String>) {
    let mut t = Harness::new(EngineOptions {
        partitions,
        file_block_bytes: block,
        mailbox_batches: if block.is_multiple_of(2) { 1 } else { 1000 },
        ..EngineOptions::default()
    });
    t.exec(declaration);
    let query = t.query(sql);
    let changes = t.drain(query);
    (changes, t.letters())
}

/// Pieces of files that are hard to cut.
fn nasty_csv() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        8 => (0..5_u8, -99..99_i32).prop_map(|(k, x)| format!("k{k},{x},{}\n", 1000 + x)),
        1 => Just("\"k1\nand,more\",1,5\n".to_owned()),
        1 => Just("\r\n\n".to_owned()),
        1 => Just("bad\n".to_owned()),
        1 => Just("k1,x,7\r\n".to_owned()),
        1 => Just("k1,,7\r\n".to_owned()),
        1 => Just("k2,5,\n".to_owned()),
        1 => (1..60_usize).prop_map(|length| format!("{},3,2000\n", "long".repeat(length))),
    ];
    (prop::collection::vec(line, 0..60), any::<bool>()).prop_map(|(lines, unclosed)| {
        let tail = if unclosed { "\"k3,1,2\nk1,1,1\n" } else { "" };
        format!("\n\u{feff}k,x,ts\n{}{tail}", lines.concat()).trim_start_matches('\n').to_owned()
    })
}

fn nasty_json() -> impl Strategy<Value = String> {
    let record = prop_oneof![
        8 => (0..5_u8, -99..99_i32).prop_map(|(k, x)| format!("{{\"k\":\"k{k}\",\"x\":{x},\"ts\":{}}}\n", 1000 + x)),
        1 => Just("{\"k\":\"a\",\n \"x\":\n1,\"ts\":5}\n".to_owned()),
        1 => Just("{\"k\":\"a\\n{\",\"x\":1,\"ts\":9}".to_owned()),
        1 => Just("{\"k\":\"a\",\"x\":\"no\",\"ts\":9}\n".to_owned()),
        1 => Just("  \n\n".to_owned()),
        1 => Just("broken\n".to_owned()),
        1 => Just("[{\"k\":\"in\",\"x\":2,\"ts\":1},\n{\"k\":\"in\",\"x\":3,\"ts\":1500}]\n".to_owned()),
        1 => (1..60_usize).prop_map(|n| format!("{{\"k\":\"{}\",\"x\":2,\"ts\":3}}\n", "long".repeat(n))),
    ];
    prop::collection::vec(record, 0..60).prop_map(|records| records.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    /// Whoever reads which block of a file, and where blocks end, changes nothing: rows, their order, time, letters.
    #[test]
    fn a_file_gives_the_same_by_any_number_of_threads(
        csv in nasty_csv(),
        json in nasty_json(),
        is_json in any::<bool>(),
        block in 1..300_usize,
        partitions in prop_oneof![Just(1_usize), Just(2), Just(3), Just(8)],
        query in 0..8_usize,
    ) {
        let (name, content, format) = if is_json { ("n.json", &json, "json") } else { ("n.csv", &csv, "csv") };
        let (file, other) = (Temporary::new(name, content), Temporary::new("other.json", &json));
        let declaration = format!(
            "CREATE STREAM s (k STRING NOT NULL, x INT CHECK (x <> 13), ts BIGINT, WATERMARK FOR ts AS ts)
             WITH (connector = 'file', path = '{path}', format = '{format}');
             CREATE STREAM untimed (k STRING, x INT) WITH (connector = 'file', path = '{path}', format = '{format}');
             CREATE STREAM other (k STRING, x INT) WITH (connector = 'file', path = '{other}');
             CREATE TABLE last (k STRING PRIMARY KEY, x INT) WITH (connector = 'file', path = '{other}')",
            path = file.path(),
            other = other.path()
        );
        let sql = [
            "SELECT k, x, ts FROM s WHERE x > -90",
            "SELECT k, COUNT(*) AS n, SUM(x) AS total FROM s GROUP BY k EMIT CHANGES",
            "SELECT k, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 50 MILLISECONDS) GROUP BY k EMIT FINAL",
            "SELECT k, x, SUM(x) OVER (PARTITION BY k ORDER BY ts ROWS 3 PRECEDING) AS y FROM s",
            "SELECT COUNT(*) AS n, SUM(x) AS total FROM s EMIT CHANGES",
            "SELECT k, x FROM untimed UNION ALL SELECT k, x + 1 FROM other",
            "SELECT untimed.k, untimed.x, last.x AS y FROM untimed JOIN last ON untimed.k = last.k",
            "SELECT k, x FROM s LIMIT 7",
        ][query];
        let (changes, letters) = read_by(0, 64 << 10, &declaration, sql);
        let found = read_by(partitions, block, &declaration, sql);
        prop_assert_eq!(found.0, changes);
        // How far a query with LIMIT has read when it is complete is nobody's concern.
        if !sql.contains("LIMIT") {
            prop_assert_eq!(found.1, letters);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    /// The same of several files whose rows are taken by event time.
    #[test]
    fn files_by_event_time_give_the_same_by_any_number_of_threads(
        csv in nasty_csv(),
        jsons in (nasty_json(), nasty_json()),
        block in 1..300_usize,
        partitions in prop_oneof![Just(1_usize), Just(2), Just(3), Just(8)],
        query in 0..8_usize,
    ) {
        let files = [
            Temporary::new("a.csv", &csv), Temporary::new("b.json", &jsons.0), Temporary::new("c.json", &jsons.1),
        ];
        let mut declaration = String::new();
        for (name, file) in ["a", "b", "c"].iter().zip(&files) {
            declaration += &format!(
                "CREATE STREAM {name} (k STRING NOT NULL, x INT CHECK (x <> 13), ts BIGINT, WATERMARK FOR ts AS ts)
                 WITH (connector = 'file', path = '{}');", file.path());
        }
        let sql = [
            "SELECT k, x FROM a UNION ALL SELECT k, x + 1 FROM b UNION ALL SELECT k, x + 2 FROM c",
            "SELECT k, window_start, COUNT(*) AS n FROM (SELECT k, x, ts FROM a UNION ALL SELECT k, x, ts FROM b) AS u
             WINDOW TUMBLING (SIZE 50 MILLISECONDS) GROUP BY k EMIT FINAL",
            "SELECT a.k, a.x, b.x AS y FROM a JOIN b WITHIN 30 MILLISECONDS ON a.k = b.k",
            "SELECT a.k, a.x, b.x AS y FROM a LEFT JOIN b WITHIN 10 MILLISECONDS ON a.k = b.k",
            "SELECT a.k, COUNT(*) AS n, SUM(a.x - b.x) AS d FROM a JOIN b WITHIN 20 MILLISECONDS ON a.k = b.k
             GROUP BY a.k EMIT CHANGES",
            "SELECT a.k, window_start, SUM(b.x) AS total FROM a JOIN b WITHIN 20 MILLISECONDS ON a.k = b.k
             WINDOW TUMBLING (SIZE 50 MILLISECONDS) GROUP BY a.k EMIT FINAL",
            // Records that fail in the query: of which letters stand among those of the files by timing.
            "SELECT k, 100 / x AS y FROM a UNION ALL SELECT k, 100 / (x - 1) FROM b",
            "SELECT a.k, 100 / (a.x - b.x) AS y FROM a JOIN b WITHIN 30 MILLISECONDS ON a.k = b.k",
        ][query];
        let (changes, mut letters) = read_by(0, 64 << 10, &declaration, sql);
        let mut found = read_by(partitions, block, &declaration, sql);
        if sql.contains("100 /") {
            letters.sort();
            found.1.sort();
        }
        prop_assert_eq!(found, (changes, letters));
    }
}

/// What is read from a pipe is gone: nobody may look into it before the one who reads it.
#[cfg(unix)]
#[test]
fn of_a_named_pipe_nothing_is_lost() {
    let path = Temporary(std::env::temp_dir().join(format!("velostream-{}-pipe", std::process::id())));
    let made = std::process::Command::new("mkfifo").arg(&path.0).status().expect("mkfifo is there");
    assert!(made.success());
    let writer = path.0.clone();
    let lines: String = (1..=3000).map(|x| format!("a,{x}\n")).collect();
    let writer = std::thread::spawn(move || std::fs::write(writer, lines).expect("it is read to its end"));
    let declaration = format!(
        "CREATE STREAM s (k STRING, x INT)
         WITH (connector = 'file', path = '{}', format = 'csv', header = 'false')",
        path.path()
    );
    let sql = "SELECT k, COUNT(*) AS n, SUM(x) AS total FROM s GROUP BY k EMIT FINAL";
    let (changes, letters) = read_by(2, 64 << 10, &declaration, sql);
    writer.join().expect("it has written");
    assert_eq!((changes, letters), (vec!["+ a 3000 4501500".to_owned()], Vec::new()));
}

#[test]
fn what_queries_read_of_a_file_counts_for_its_relation() {
    let line =
        |x: i64| if x == 77 { "no record\n".to_owned() } else { format!("{{\"x\":{x},\"ts\":{x}}}\n") };
    let file = Temporary::new("counted.ndjson", &(0..5000).map(line).collect::<String>());
    each(|t| {
        t.exec(&format!(
            "CREATE STREAM n (x INT CHECK (x <> 13), ts BIGINT, WATERMARK FOR ts AS ts)
             WITH (connector = 'file', path = '{}')",
            file.path()
        ));
        for readers in 0..3 {
            let relations = t.engine.metrics().relations;
            let found = (relations[0].records_in, relations[0].watermark_micros);
            assert_eq!(found, (readers * 4998, (readers > 0).then_some(4_999_000)));
            let query = t.query("SELECT COUNT(*) AS c FROM n EMIT FINAL");
            assert_eq!(t.drain(query), ["+ 4998"]);
        }
    });
}
