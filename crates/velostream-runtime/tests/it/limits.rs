//! Bounds: mailboxes, outputs, memory, dead letters.

use crate::harness::{Harness, each, show};
use velostream_runtime::{Admission, ChangeBatch, EngineOptions, ErrorCode, Pull, QueryOptions};

#[test]
fn a_slow_reader_makes_insert_wait_and_loses_nothing() {
    for partitions in [0, 1, 3] {
        let options =
            EngineOptions { partitions, mailbox_batches: 2, output_rows: 3, ..EngineOptions::default() };
        let mut t = Harness::new(options);
        t.exec("CREATE STREAM s (x INT)");
        t.exec("CREATE STREAM copy AS SELECT x FROM s");
        let query = t.query("SELECT x FROM copy");
        let id = t.engine.relation("s").expect("it exists").id;
        let mut seen = Vec::new();
        let mut full = 0;
        for x in 0..100 {
            let record = format!("{{\"x\":{x}}}");
            while t.engine.insert_json(id, record.as_bytes(), true, 0).expect("open") == Admission::Full {
                full += 1;
                let mut out = ChangeBatch::default();
                match t.engine.pull(query, 1, &mut out).expect("running") {
                    Pull::Rows => seen.extend(show(&out)),
                    _ => t.wait(),
                }
            }
        }
        assert!(full > 0, "the mailboxes are small");
        t.end();
        seen.extend(t.drain(query));
        assert_eq!(seen, (0..100).map(|x| format!("+ {x}")).collect::<Vec<_>>());
    }
}

#[test]
fn closing_in_the_middle_does_not_hang() {
    for partitions in [0, 1, 3] {
        let options =
            EngineOptions { partitions, mailbox_batches: 1, output_rows: 1, ..EngineOptions::default() };
        let mut t = Harness::new(options);
        t.exec("CREATE STREAM s (x INT)");
        t.exec("CREATE STREAM copy AS SELECT x FROM s");
        let query = t.query("SELECT x FROM copy");
        let id = t.engine.relation("s").expect("it exists").id;
        for _ in 0..20 {
            if t.engine.insert_json(id, b"{\"x\":1}", true, 0).expect("open") == Admission::Full {
                break;
            }
        }
        t.engine.close();
        assert!(t.engine.pull(query, 1, &mut ChangeBatch::default()).is_err());
    }
}

#[test]
fn the_query_that_grows_past_the_memory_limit_ends() {
    for partitions in [0, 1, 3] {
        let options = EngineOptions { partitions, memory_limit: 1 << 20, ..EngineOptions::default() };
        let mut t = Harness::new(options);
        t.exec("CREATE STREAM s (x INT)");
        let grows = t.query("SELECT x, COUNT(*) AS n FROM s GROUP BY x EMIT FINAL");
        let small = t.query("SELECT COUNT(*) AS n FROM s EMIT FINAL");
        for start in 0..100 {
            let json: String = (0..1000).map(|x| format!("{{\"x\":{}}}", start * 1000 + x)).collect();
            t.insert("s", &json);
        }
        t.end();
        let ended = t.drain(grows);
        assert!(ended[0].starts_with("LIMIT: the state of all queries"), "{ended:?}");
        assert_eq!(t.drain(small), ["+ 100000"]);
    }
}

#[test]
fn dead_letters_are_bounded_and_counted() {
    for partitions in [0, 1, 3] {
        let options = EngineOptions { partitions, dead_letter_capacity: 2, ..EngineOptions::default() };
        let mut t = Harness::new(options);
        t.exec("CREATE STREAM s (x INT)");
        t.insert("s", "nonsense\n{\"x\":\"text\"}\n{\"x\":5000000000}\n{\"x\":1}\n");
        let metrics = t.engine.metrics();
        assert_eq!((metrics.dead_letters_total, metrics.dead_letters_dropped), (3, 1));
        assert_eq!(t.engine.dead_letters().len(), 2);
        assert_eq!(metrics.relations[0].records_in, 1);
    }
}

#[test]
fn late_records_that_nobody_takes_are_bounded_and_counted() {
    for partitions in [0, 1, 3] {
        let options = EngineOptions { partitions, dead_letter_capacity: 2, ..EngineOptions::default() };
        let mut t = Harness::new(options);
        t.exec("CREATE STREAM s (k INT, t TIMESTAMP, WATERMARK FOR t AS t) WITH (timestamp_format = '%s')");
        t.query("SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k");
        let late = (0..5).map(|k| format!(r#"{{"k":{k},"t":"10"}}"#)).collect::<String>();
        t.insert("s", &format!(r#"{{"k":0,"t":"100"}}{late}"#));
        t.flush();
        let metrics = t.engine.metrics();
        let counted: u64 = metrics.queries[0].partitions.iter().map(|each| each.late).sum();
        assert_eq!((counted, metrics.late_dropped), (5, 3));
        assert_eq!(t.engine.take_late().len(), 2);
    }
}

#[test]
fn counters_count() {
    each(|t| {
        t.exec("CREATE STREAM s (x INT)");
        let query = t.query("SELECT x % 10 AS k, COUNT(*) AS n FROM s GROUP BY x % 10");
        t.insert("s", &(0..100).map(|x| format!("{{\"x\":{x}}}")).collect::<String>());
        t.flush();
        let metrics = t.engine.metrics();
        let partitions = &metrics.queries[0].partitions;
        let totals = partitions.iter().fold((0, 0, 0), |(records, changes, groups), each| {
            (records + each.records_in, changes + each.changes_out, groups + each.groups)
        });
        assert_eq!(totals, (100, 100, 10));
        let latency = partitions[0].latency_us;
        assert!(latency.max >= latency.p50 && latency.p50 > 0.0);
        assert!(metrics.state_bytes > 0);
        assert_eq!(metrics.queries[0].output_rows, 100);
        t.engine.close_query(query);
        let before = QueryOptions { before: true, ..QueryOptions::default() };
        let query = t.query_with("SELECT COUNT(*) AS n FROM s", &before);
        t.insert("s", r#"{"x":1} {"x":2} {"x":3}"#);
        t.flush();
        assert_eq!(t.engine.metrics().queries[0].partitions[0].changes_out, 3, "with old rows or without");
        t.engine.close_query(query);
        assert_eq!(t.engine.metrics().state_bytes, 0);
    });
}

#[test]
fn a_mailbox_of_nothing_is_refused() {
    let options = EngineOptions { mailbox_batches: 0, ..EngineOptions::default() };
    let refused = velostream_runtime::Engine::new(options, std::sync::Arc::new(|| ())).map(|_| ());
    assert_eq!(refused.expect_err("no room at all").code, ErrorCode::Argument);
}
