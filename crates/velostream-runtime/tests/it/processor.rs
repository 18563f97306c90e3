//! The synchronous processor.

use crate::blocks::{Cell, block};
use crate::harness::{Harness, show};
use velostream_runtime::{ChangeBatch, EngineOptions, ErrorCode, Params, Processor, QueryOptions};

fn processor(ddl: &str, sql: &str) -> Processor {
    let mut t = Harness::new(EngineOptions::default());
    t.exec(ddl);
    let made = t.engine.processor(sql, &Params::default(), &QueryOptions::default());
    made.unwrap_or_else(|error| panic!("{error}\n{sql}"))
}

fn feed(
    processor: &mut Processor,
    rows: &[(&'static str, f64)],
) -> Result<Vec<String>, velostream_runtime::Error> {
    let names = rows.iter().map(|&(name, _)| Cell::Text(name)).collect();
    let numbers = rows.iter().map(|&(_, number)| Cell::Number(number)).collect();
    let mut out = ChangeBatch::new(&types(processor));
    processor.process_rows(0, &block(&[names, numbers]), 0, &mut out)?;
    Ok(show(&out))
}

fn types(processor: &Processor) -> Vec<velostream_runtime::DataType> {
    processor.schema().fields.iter().map(|field| field.data_type).collect()
}

const SUMS: &str = "SELECT k, SUM(x) AS total FROM s GROUP BY k";

#[test]
fn a_record_gives_its_changes() {
    let mut p = processor("CREATE STREAM s (k STRING, x INT)", SUMS);
    assert_eq!(p.sources()[0].name, "s");
    assert_eq!(feed(&mut p, &[("a", 1.0)]).expect("fits"), ["+ a 1"]);
    assert_eq!(feed(&mut p, &[("a", 2.0), ("b", 5.0)]).expect("fits"), ["~ a 3", "+ b 5"]);
}

#[test]
fn a_failing_record_undoes_its_call() {
    let ddl = "CREATE STREAM s (k STRING, x INT);
               CREATE TABLE t (CHECK (total >= 0)) AS SELECT k, SUM(x) AS total FROM s GROUP BY k";
    let mut p = processor(ddl, "SELECT k, total FROM t");
    assert_eq!(feed(&mut p, &[("a", 5.0)]).expect("fits"), ["+ a 5"]);
    let error = feed(&mut p, &[("a", 1.0), ("b", -1.0), ("a", 1.0)]).expect_err("b is overdrawn");
    assert_eq!((error.code, error.index), (ErrorCode::Constraint, Some(1)));
    assert_eq!(feed(&mut p, &[("a", 1.0)]).expect("fits"), ["~ a 6"]);
}

#[test]
fn a_rollback_takes_back_every_record_since_the_commit() {
    let mut p = processor("CREATE TABLE s (k STRING PRIMARY KEY, x INT)", "SELECT SUM(x) AS total FROM s");
    assert_eq!(p.rollback().expect_err("nothing was begun").code, ErrorCode::State);
    assert_eq!(feed(&mut p, &[("a", 1.0)]).expect("fits"), ["+ 1"]);
    p.begin().expect("begins");
    assert_eq!(feed(&mut p, &[("a", 5.0)]).expect("fits"), ["~ 5"]);
    p.commit().expect("commits");
    assert_eq!(feed(&mut p, &[("a", 7.0), ("b", 1.0)]).expect("fits"), ["~ 7", "~ 8"]);
    p.rollback().expect("goes back");
    assert_eq!(feed(&mut p, &[("b", 10.0)]).expect("fits"), ["~ 15"]);
}

#[test]
fn time_is_taken_back_too() {
    let ddl = "CREATE STREAM s (k STRING, x INT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)";
    let sql = "SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k EMIT FINAL";
    let mut p = processor(ddl, sql);
    let mut out = ChangeBatch::new(&types(&p));
    let at = |millis: f64| block(&[vec![Cell::Text("a")], vec![Cell::Null], vec![Cell::Number(millis)]]);
    p.process_rows(0, &at(100.0), 0, &mut out).expect("fits");
    p.begin().expect("begins");
    p.process_rows(0, &at(5_000.0), 0, &mut out).expect("fits");
    assert_eq!(show(&out), ["+ a 1"]);
    p.rollback().expect("goes back");
    out.clear();
    p.process_rows(0, &at(200.0), 0, &mut out).expect("fits");
    p.end(&mut out).expect("ends");
    assert_eq!(show(&out), ["+ a 2"]);
}

/// The ways in which a record fails at the first operator with state: by an argument, by its window's time, by a sum
/// that no longer fits. `last` is the last good record's time, milliseconds.
fn failing(last: f64, is_tumbling: bool) -> [(&'static str, [Cell; 3]); 3] {
    let (far, near) = (last + 60_000.0, last + if is_tumbling { 400.0 } else { 1_000.0 });
    [
        ("SUM(10 / x)", [Cell::Text("a"), Cell::Number(0.0), Cell::Number(far)]),
        ("COUNT(x)", [Cell::Text("a"), Cell::Number(1.0), Cell::Null]),
        ("SUM(x)", [Cell::Text("a"), Cell::Integer(i64::MAX), Cell::Number(near)]),
    ]
}

/// One row in, its changes out.
fn one(p: &mut Processor, cells: &[Cell]) -> Result<Vec<String>, velostream_runtime::Error> {
    let mut out = ChangeBatch::new(&types(p));
    let columns: Vec<Vec<Cell>> = cells.iter().map(|cell| vec![cell.clone()]).collect();
    p.process_rows(0, &block(&columns), 0, &mut out)?;
    Ok(show(&out))
}

#[test]
fn a_record_that_fails_moves_no_time() {
    let ddl =
        "CREATE STREAM s (k STRING, x BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)";
    let windows = [
        "TUMBLING (ts, INTERVAL '1' SECOND)",
        "HOPPING (ts, INTERVAL '4' SECONDS, INTERVAL '1' SECOND)",
        "SESSION (ts, INTERVAL '2' SECONDS)",
    ];
    let grouped = windows.iter().flat_map(|window| {
        let select = "SELECT k, COUNT(*) AS n, CALL AS c FROM s";
        ["FINAL", "CHANGES"].map(|mode| format!("{select} WINDOW {window} GROUP BY k EMIT {mode}"))
    });
    let over = "SELECT k, CALL OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS c FROM s";
    for sql in grouped.chain([over.to_owned()]) {
        for way in 0..3 {
            let bad_at = |last| failing(last, sql.contains("TUMBLING"))[way].clone();
            let sql = sql.replace("CALL", bad_at(0.0).0);
            let (mut clean, mut tried) = (processor(ddl, &sql), processor(ddl, &sql));
            for last in [1_000.0, 1_500.0, 3_000.0, 3_300.0, 9_000.0] {
                let good = [Cell::Text("a"), Cell::Number(1.0), Cell::Number(last)];
                let given = one(&mut clean, &good).expect("it fits");
                assert_eq!(one(&mut tried, &good).expect("it fits"), given, "{sql}");
                one(&mut tried, &bad_at(last).1).expect_err("it fails");
            }
            let [given, expected] = [&mut tried, &mut clean].map(|p| {
                let mut out = ChangeBatch::new(&types(p));
                p.end(&mut out).expect("ends");
                show(&out)
            });
            assert_eq!(given, expected, "{sql}");
        }
    }
}

#[test]
fn a_derived_relation_is_expanded() {
    let ddl = "CREATE STREAM s (k STRING, x INT);
               CREATE STREAM big AS SELECT k, x FROM s WHERE x > 10;
               CREATE TABLE sums AS SELECT k, SUM(x) AS total FROM big GROUP BY k";
    let mut p = processor(ddl, "SELECT COUNT(*) AS n, SUM(total) AS t FROM sums");
    assert_eq!(
        feed(&mut p, &[("a", 11.0), ("b", 1.0), ("c", 12.0), ("a", 20.0)]).expect("fits"),
        ["+ 1 11", "~ 2 23", "~ 2 43"]
    );
}
