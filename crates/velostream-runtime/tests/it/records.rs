//! The record-at-a-time engine: both paths give the same for every scenario, and each call is whole or nothing.

use crate::scenarios::{ALL, RECORDS, Scenario};
use std::future::Future;
use velostream_runtime::{
    ErrorCode, Literal, Op, OutputReceiver, StreamExecutionEngine, StreamRecord, StreamingQuery,
    TryReceiveError,
};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts").block_on(future)
}

fn query(engine: &mut StreamExecutionEngine, definitions: &str, sql: &str) -> StreamingQuery {
    engine.define(definitions).unwrap_or_else(|error| panic!("{error}\n{definitions}"));
    engine.query(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
}

fn started(definitions: &str, sql: &str) -> (StreamExecutionEngine, StreamingQuery) {
    let mut engine = StreamExecutionEngine::new().expect("an engine starts");
    let query = query(&mut engine, definitions, sql);
    (engine, query)
}

fn with_output(
    definitions: &str,
    sql: &str,
    results_max: usize,
) -> (StreamExecutionEngine, StreamingQuery, OutputReceiver) {
    let mut engine = StreamExecutionEngine::with_output(results_max).expect("an engine starts");
    let query = query(&mut engine, definitions, sql);
    let receiver = engine.take_output_receiver().expect("nobody has taken it");
    (engine, query, receiver)
}

fn records(scenario: &Scenario) -> Vec<StreamRecord> {
    let numbered = |i: usize| {
        let record = (scenario.record)(i).at_micros(i as i64 * 1000);
        StreamRecord { offset: i as u64, partition: 3, ..record }
    };
    (0..RECORDS).map(numbered).collect()
}

fn one_by_one(scenario: &Scenario) -> Vec<StreamRecord> {
    let (mut engine, query) = started(scenario.definitions, scenario.sql);
    let mut results = Vec::new();
    for record in records(scenario) {
        let own = engine.execute_with_record(&query, &record).expect("the record fits");
        assert!(own.iter().all(|result| (result.partition, result.offset) == (3, record.offset)));
        results.extend(own);
    }
    results.extend(engine.end(&query).expect("it ends"));
    results
}

fn in_batches(scenario: &Scenario, batch_records: usize) -> Vec<StreamRecord> {
    let (mut engine, query) = started(scenario.definitions, scenario.sql);
    let mut results = Vec::new();
    for batch in records(scenario).chunks(batch_records) {
        results.extend(engine.process_batch(&query, batch).expect("the records fit"));
    }
    results.extend(engine.end(&query).expect("it ends"));
    results
}

/// Through a channel of `results_max`, which a task of its own reads.
fn asynchronously(scenario: &Scenario, results_max: usize) -> Vec<StreamRecord> {
    let (mut engine, query, mut receiver) = with_output(scenario.definitions, scenario.sql, results_max);
    let given = records(scenario);
    block_on(async move {
        let reader = tokio::spawn(async move {
            let mut results = Vec::new();
            while let Some(result) = receiver.receive().await {
                results.push(result);
            }
            results
        });
        let writer = tokio::spawn(async move {
            for record in &given {
                engine.execute_with_record_async(&query, record).await.expect("the record fits");
            }
            engine.end_async(&query).await.expect("it ends");
        });
        writer.await.expect("the writer does not panic");
        reader.await.expect("the reader does not panic")
    })
}

#[test]
fn every_path_gives_the_same_for_every_scenario() {
    for id in ["s0", "s0b", "s1", "s2", "s2b", "s3a", "s3b", "s4"] {
        assert!(ALL.iter().any(|scenario| scenario.id == id), "{id}");
    }
    for scenario in &ALL {
        let results = one_by_one(scenario);
        assert_eq!(results.len(), scenario.changes, "{}", scenario.id);
        for results_max in [1, 1000] {
            assert!(asynchronously(scenario, results_max) == results, "{}, {results_max}", scenario.id);
        }
        for batch_records in [7, RECORDS] {
            assert!(in_batches(scenario, batch_records) == results, "{}, {batch_records}", scenario.id);
        }
    }
}

const NUMBERS: &str = "CREATE STREAM s (x INT)";

fn x(x: i32) -> StreamRecord {
    StreamRecord::new().with("x", x)
}

fn values(results: &[StreamRecord]) -> Vec<&Literal> {
    results.iter().map(|result| &result.fields[0].1).collect()
}

#[test]
fn a_receiver_is_taken_returned_and_tried() {
    let (mut engine, query, mut receiver) = with_output(NUMBERS, "SELECT x FROM s", 2);
    assert!(engine.take_output_receiver().is_none(), "it is taken once");
    assert_eq!(receiver.try_receive(), Err(TryReceiveError::Empty));
    block_on(engine.execute_with_record_async(&query, &x(1))).expect("there is room");
    engine.return_output_receiver(receiver).expect("it is the engine's own");
    let mut receiver = engine.take_output_receiver().expect("it was returned");
    assert_eq!(receiver.try_receive().map(|result| result.fields), Ok(x(1).fields));

    let mut other = StreamExecutionEngine::with_output(1).expect("an engine starts");
    let foreign = other.take_output_receiver().expect("nobody has taken it");
    assert!(engine.return_output_receiver(foreign).is_err(), "another engine's is handed back");
    drop(engine);
    assert_eq!(receiver.try_receive(), Err(TryReceiveError::Closed));
}

#[test]
fn an_engine_without_channel_or_reader_goes_on() {
    let (mut engine, query) = started(NUMBERS, "SELECT SUM(x) AS total FROM s");
    assert!(engine.take_output_receiver().is_none());
    for _ in 0..10 {
        block_on(engine.execute_with_record_async(&query, &x(1))).expect("nobody reads");
    }
    let results = engine.execute_with_record(&query, &x(1)).expect("it fits");
    assert_eq!(values(&results), [&Literal::BigInt(11)]);

    let (mut engine, query, receiver) = with_output(NUMBERS, "SELECT SUM(x) AS total FROM s", 1);
    drop(receiver);
    for _ in 0..10 {
        block_on(engine.execute_with_record_async(&query, &x(1))).expect("nobody reads any more");
    }
    assert_eq!(
        StreamExecutionEngine::with_output(0).err().map(|error| error.code),
        Some(ErrorCode::Argument)
    );
}

#[test]
fn a_full_channel_that_nobody_can_read_is_an_error_and_loses_nothing() {
    let (mut engine, query, receiver) = with_output(NUMBERS, "SELECT x FROM s", 2);
    engine.return_output_receiver(receiver).expect("it is the engine's own");
    block_on(async {
        let batch = [x(1), x(2), x(3)];
        let full = engine.process_batch_async(&query, &batch).await.expect_err("one is too many");
        assert_eq!(full.code, ErrorCode::Limit);
        assert!(engine.execute_with_record_async(&query, &x(9)).await.is_err(), "nothing of it is taken");
        let mut receiver = engine.take_output_receiver().expect("it was returned");
        let mut seen = vec![receiver.receive().await.expect("1"), receiver.receive().await.expect("2")];
        engine.execute_with_record_async(&query, &x(4)).await.expect("there is room");
        seen.extend([receiver.receive().await.expect("3"), receiver.receive().await.expect("4")]);
        assert_eq!(values(&seen), [1, 2, 3, 4].map(Literal::Int).iter().collect::<Vec<_>>());
    });
}

#[test]
fn a_call_that_is_dropped_while_it_waits_loses_no_result() {
    let (mut engine, query, mut receiver) = with_output(NUMBERS, "SELECT x FROM s", 1);
    block_on(async {
        let batch = [x(1), x(2), x(3)];
        {
            let mut call = std::pin::pin!(engine.process_batch_async(&query, &batch));
            let polled = std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context)));
            assert!(polled.await.is_pending(), "the channel has room for one");
        }
        let mut seen = Vec::new();
        let sending = async {
            engine.send_output().await.expect("it is read");
            drop(engine);
        };
        let reading = async {
            while let Some(result) = receiver.receive().await {
                seen.push(result);
            }
        };
        join(sending, reading).await;
        assert_eq!(values(&seen), [1, 2, 3].map(Literal::Int).iter().collect::<Vec<_>>());
    });
}

/// Both, in turns, to the end of the second.
async fn join(first: impl Future<Output = ()>, second: impl Future<Output = ()>) {
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    let mut first_done = false;
    std::future::poll_fn(|context| {
        first_done = first_done || first.as_mut().poll(context).is_ready();
        second.as_mut().poll(context)
    })
    .await;
}

const PAIRS: &str =
    "CREATE TABLE t (k STRING PRIMARY KEY, a INT); CREATE STREAM s (k STRING, b INT NOT NULL)";
const RATIOS: &str = "SELECT s.k, s.b / t.a AS ratio FROM s JOIN t ON s.k = t.k";

fn keyed(k: &str, name: &str, value: i32) -> StreamRecord {
    StreamRecord::new().with("k", k).with(name, value)
}

#[test]
fn a_failing_record_undoes_its_call_in_every_source() {
    let (mut engine, query) = started(PAIRS, RATIOS);
    let batch = [keyed("a", "a", 0).to("t"), keyed("b", "a", 2).to("t"), keyed("a", "b", 4).to("s")];
    let error = engine.process_batch(&query, &batch).expect_err("4 / 0");
    assert_eq!((error.code, error.index, error.relation.as_deref()), (ErrorCode::Record, Some(2), Some("s")));
    let mut one = |record| engine.execute_with_record(&query, &record).expect("it fits");
    assert_eq!(one(keyed("b", "b", 4).to("s")), [], "the row of b was taken back");
    assert_eq!(one(keyed("b", "a", 2).to("t")), []);
    assert_eq!(values_of(&one(keyed("b", "b", 4).to("s")), 1), [Literal::Int(2)]);
    let gone = one(keyed("b", "a", 0).to("T").tombstone());
    assert_eq!(gone, [], "what a stream has met stays");
    assert_eq!(one(keyed("b", "b", 4).to("s")), [], "the row is gone");
}

fn values_of(results: &[StreamRecord], position: usize) -> Vec<Literal> {
    results.iter().map(|result| result.fields[position].1.clone()).collect()
}

#[test]
fn a_record_that_does_not_fit_is_named() {
    let (mut engine, query) = started(PAIRS, RATIOS);
    let cases = [
        (keyed("a", "b", 1), ErrorCode::Argument, None),
        (keyed("a", "b", 1).to("u"), ErrorCode::Argument, None),
        (StreamRecord::new().with("k", "a").to("s"), ErrorCode::Constraint, Some("b")),
        (StreamRecord::new().with("k", 1).to("t").tombstone(), ErrorCode::Type, Some("k")),
        (StreamRecord::new().to("t").tombstone(), ErrorCode::Constraint, Some("k")),
        (StreamRecord::new().with("k", 1).with("b", 1).to("s"), ErrorCode::Type, Some("k")),
        (keyed("a", "b", 1).to("s").tombstone(), ErrorCode::Unsupported, None),
    ];
    for (record, code, field) in cases {
        let good = keyed("a", "a", 1).to("t");
        let error = engine.process_batch(&query, &[good, record.clone()]).expect_err("it does not fit");
        assert_eq!((error.code, error.index, error.field.as_deref()), (code, Some(1), field), "{record:?}");
    }
    let (_, foreign) = started(PAIRS, RATIOS);
    let error = engine.execute_with_record(&foreign, &keyed("a", "b", 1).to("s")).expect_err("not its own");
    assert_eq!(error.code, ErrorCode::Closed);
    engine.close(&query);
    assert_eq!(engine.end(&query).expect_err("it is closed").code, ErrorCode::Closed);
    let next = engine.query("SELECT 1 AS one").expect("its place is free");
    assert_eq!(engine.end(&query).expect_err("the place is another's").code, ErrorCode::Closed);
    assert!(engine.end(&next).is_ok());
}

#[test]
fn values_become_their_columns_types() {
    let all = "CREATE STREAM s (i INT, b BIGINT, d DOUBLE, m DECIMAL(6, 2), dt DATE, tm TIME, ts TIMESTAMP, f BOOLEAN)";
    let (mut engine, query) = started(all, "SELECT * FROM s");
    let record = StreamRecord::new()
        .with("i", 1_i64)
        .with("b", 2)
        .with("d", 3)
        .with("m", 4)
        .with("dt", "1970-01-02")
        .with("tm", "00:00:01")
        .with("ts", "1970-01-01T00:00:02Z")
        .with("f", true);
    let results = engine.execute_with_record(&query, &record).expect("it fits");
    let found: Vec<Literal> = results[0].fields.iter().map(|(_, value)| value.clone()).collect();
    let expected = [
        Literal::Int(1),
        Literal::BigInt(2),
        Literal::Double(3.0),
        Literal::Decimal(400),
        Literal::Date(1),
        Literal::Time(1_000_000),
        Literal::Timestamp(2_000_000),
        Literal::Boolean(true),
    ];
    assert_eq!(found, expected);
    for (name, value) in [("i", Literal::BigInt(1 << 40)), ("m", Literal::Int(10_000)), ("m", "x".into())] {
        let record = StreamRecord::new().with(name, value);
        let error = engine.execute_with_record(&query, &record).expect_err("it does not fit");
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::Type, Some(name)));
    }
}

#[test]
fn a_records_own_time_counts_where_no_column_is_declared() {
    let sql = "SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k EMIT FINAL";
    let (mut engine, query) = started("CREATE STREAM s (k STRING)", sql);
    let mut at = |millis: i64| {
        let record = StreamRecord::new().with("k", "a").at_micros(millis * 1000);
        engine.execute_with_record(&query, &record).expect("it fits")
    };
    assert_eq!(at(100), []);
    assert_eq!(at(900), []);
    let results = at(1000);
    assert_eq!(
        (results.len(), results[0].op, results[0].get("n")),
        (1, Op::Insert, Some(&Literal::BigInt(2)))
    );
    let moved = engine.advance_time(&query, 5_000_000).expect("it is open");
    assert_eq!(moved.len(), 1);
}
