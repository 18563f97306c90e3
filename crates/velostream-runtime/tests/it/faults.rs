//! A receiver that panics ends its own query, with the reason, and nothing else.

use crate::harness::{Harness, each};
use std::sync::Arc;
use velostream_runtime::{ChangeBatch, EngineOptions, Error, ErrorCode, FAULTY, Pull, QueryId, QueryOptions};

const SQL: &str = "SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES";
/// Batches of a record of each key.
const BATCHES: usize = 8;
const KEYS: usize = 20;

fn start(t: &mut Harness, name: &str, order_by_key: bool) -> QueryId {
    t.query_with(SQL, &QueryOptions { name: Some(name.into()), order_by_key, ..QueryOptions::default() })
}

fn give_all(t: &mut Harness) {
    let records: Vec<_> = (0..KEYS).map(|k| format!(r#"{{"k":{k}}}"#)).collect();
    (0..BATCHES).for_each(|_| t.insert("s", &records.join("")));
    t.flush();
}

/// What a query gave before its end, and the error that ended it.
fn ended(t: &mut Harness, query: QueryId) -> (Vec<String>, Error) {
    let mut lines = Vec::new();
    loop {
        let mut out = ChangeBatch::default();
        match t.engine.pull(query, 1_000, &mut out) {
            Ok(Pull::Rows) => lines.extend(crate::harness::show(&out)),
            Ok(Pull::Empty) => t.wait(),
            Ok(Pull::Ended) => panic!("it ends without an error"),
            Err(error) => return (lines, error),
        }
    }
}

/// The names of receivers that panic: all, one at its first batch, one in the middle, the one that merges.
fn names(partitions: usize) -> Vec<String> {
    let mut places = vec![String::new(), " 0 0".to_owned(), " 0 3".to_owned()];
    if partitions > 1 {
        places.extend([" 1 5", " 2 0", " answer 0", " answer 2"].map(str::to_owned));
    }
    places.into_iter().map(|place| format!("{FAULTY}{place}")).collect()
}

#[test]
fn a_query_that_panics_ends_alone() {
    each(|t| {
        t.exec("CREATE STREAM s (k INT)");
        let sound = start(t, "sound", false);
        let shared = t.engine.metrics().queries[0].partitions.len();
        for (round, name) in names(shared).iter().enumerate() {
            let faulty = start(t, name, round % 2 == 1);
            give_all(t);
            let (lines, error) = ended(t, faulty);
            assert_eq!(error.code, ErrorCode::Internal, "{name}");
            assert!(error.message.ends_with("an operator has lost its state"), "{name}: {}", error.message);
            assert!(lines.len() < BATCHES * KEYS, "{name} has panicked after the last batch");
            t.engine.close_query(faulty);
            assert_eq!(t.changes(sound).len(), BATCHES * KEYS, "the other query goes on, {name}");
        }
        assert_eq!(t.engine.metrics().queries.len(), 1);
    });
}

#[test]
fn a_receiver_of_either_stage_that_panics_ends_its_query_alone() {
    for partitions in [2, 3] {
        let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
        t.exec("CREATE STREAM s (k INT); CREATE TABLE names (k INT PRIMARY KEY, name INT)");
        let names: Vec<_> = (0..KEYS).map(|k| format!(r#"{{"k":{k},"name":{}}}"#, k / 2)).collect();
        t.insert("names", &names.join(""));
        let sql = "SELECT name, COUNT(*) AS n FROM s JOIN names ON s.k = names.k GROUP BY name EMIT CHANGES";
        let records: String = (0..KEYS).map(|k| format!(r#"{{"k":{k}}}"#)).collect();
        let sound = t.query(sql);
        for (round, receiver) in ["0 0", "1 3", "later0 0", "later1 3", "answer 1"].iter().enumerate() {
            let name = Some(format!("{FAULTY} {receiver}"));
            let order_by_key = round % 2 == 1;
            let faulty = t.query_with(sql, &QueryOptions { name, order_by_key, ..QueryOptions::default() });
            // One after the other, so that the second stage has a batch for each.
            for _ in 0..BATCHES {
                t.insert("s", &records);
                t.flush();
            }
            let (lines, error) = ended(&mut t, faulty);
            assert_eq!(error.code, ErrorCode::Internal, "{receiver}");
            assert!(lines.len() < BATCHES * KEYS, "{receiver} has panicked after the last batch");
            t.engine.close_query(faulty);
            assert_eq!(t.changes(sound).len(), BATCHES * KEYS, "the other query goes on, {receiver}");
        }
    }
}

#[test]
fn what_reads_a_relation_whose_query_panics_ends_with_it() {
    each(|t| {
        t.exec("CREATE STREAM s (k INT); CREATE STREAM kept AS SELECT k FROM s WHERE k >= 0");
        t.exec(&format!("CREATE TABLE {FAULTY} AS SELECT k, COUNT(*) AS n FROM s GROUP BY k"));
        let reader = t.query(&format!("SELECT n FROM {FAULTY}"));
        let sound = t.query("SELECT k FROM kept");
        t.insert("s", r#"{"k":1}"#);
        let (lines, error) = ended(t, reader);
        assert!(lines.is_empty());
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.starts_with(&format!("{FAULTY} has failed")), "{}", error.message);
        assert_eq!(t.changes(sound), ["+ 1"]);
        let asked = t.try_all(&format!("SELECT n FROM {FAULTY}")).expect_err("its rows are lost");
        assert_eq!(asked.code, ErrorCode::Internal);
    });
}

#[test]
fn a_closed_engine_leaves_no_thread_of_a_query_that_has_panicked() {
    for partitions in [0, 1, 3] {
        let (mut t, waker) = Harness::with_waker(EngineOptions { partitions, ..EngineOptions::default() });
        t.exec("CREATE STREAM s (k INT)");
        start(&mut t, FAULTY, false);
        start(&mut t, "sound", false);
        give_all(&mut t);
        t.engine.close();
        drop(t);
        assert_eq!(Arc::strong_count(&waker), 1, "something of the engine is left, perhaps a thread");
    }
}
