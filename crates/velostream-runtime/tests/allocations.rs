//! The synchronous path of the record-at-a-time engine takes no lock, and allocates what it returns and nothing else,
//! counted; changes become lines without any allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use velostream_engine::column::{Column, Values};
use velostream_runtime::sink::ndjson::{Lines, NdjsonOptions};
use velostream_runtime::{
    ChangeBatch, DataType, Engine, EngineOptions, Field, Literal, Op, Pull, Schema, Seq,
    StreamExecutionEngine, StreamRecord, locks_taken,
};

#[path = "it/scenarios.rs"]
#[allow(dead_code)] // Counts of changes are for the other tests.
mod scenarios;
use scenarios::{ALL, Scenario};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting the calls of each thread.
struct Counting;

// SAFETY: every call goes unchanged to the system's allocator, which keeps the contract; counting touches a
// thread-local cell without destructor, which allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What results cost: one list, and for each its list of values and its texts.
fn returned(results: &[StreamRecord]) -> u64 {
    let is_text = |value: &Literal| matches!(value, Literal::String(_) | Literal::Bytes(_));
    let texts = |result: &StreamRecord| result.fields.iter().filter(|(_, value)| is_text(value)).count();
    let each = results.iter().map(|result| 1 + texts(result) as u64);
    each.sum::<u64>() + u64::from(!results.is_empty())
}

/// Records until state and buffers have their size, and records that are counted.
const WARM_UP: usize = 40_000;
const COUNTED: usize = 5_000;

/// Allocations beyond those of the results, and locks, over `COUNTED` records.
fn beyond_results(scenario: &Scenario) -> (u64, u64) {
    let mut engine = StreamExecutionEngine::new().expect("an engine starts");
    engine.define(scenario.definitions).expect("the definitions are in the language");
    let query = engine.query(scenario.sql).expect("the query is in the language");
    let (mut beyond, mut locks) = (0, 0);
    for i in 0..WARM_UP + COUNTED {
        let record = (scenario.record)(i);
        let before = (ALLOCATIONS.get(), locks_taken());
        let results = black_box(engine.execute_with_record(&query, &record)).expect("the record fits");
        let own = ALLOCATIONS.get() - before.0;
        locks += locks_taken() - before.1;
        if i >= WARM_UP {
            beyond += own - returned(&results);
        }
    }
    (beyond, locks)
}

/// What a scenario may allocate for its state in `COUNTED` records: the sessions' ends stand in a B-tree, whose nodes
/// come and go as ends move. Everything else has its size.
fn state_max(scenario: &Scenario) -> u64 {
    if scenario.id == "q11" { COUNTED as u64 / 10 } else { 0 }
}

#[test]
fn a_record_allocates_what_it_returns_and_takes_no_lock() {
    for scenario in &ALL {
        let (beyond, locks) = beyond_results(scenario);
        assert!(beyond <= state_max(scenario), "{}: {beyond} beyond the results", scenario.id);
        assert_eq!(locks, 0, "{}", scenario.id);
    }
}

#[test]
fn the_locks_of_the_other_doors_are_counted() {
    let before = locks_taken();
    let engine = Engine::new(EngineOptions::default(), Arc::new(|| ())).expect("the options are right");
    assert!(engine.dead_letters().is_empty());
    assert!(locks_taken() > before);
}

/// Changes with values of every type; one in three is an update with its old row.
fn changes_of_every_type(rows: usize) -> (Schema, ChangeBatch) {
    let types = [
        DataType::Boolean,
        DataType::Int,
        DataType::BigInt,
        DataType::Double,
        DataType::Decimal { precision: 10, scale: 2 },
        DataType::String,
        DataType::Bytes,
        DataType::Date,
        DataType::Time,
        DataType::Timestamp,
    ];
    let field = |&data_type: &DataType| Field::new(data_type.to_string(), data_type, true);
    let fields = types.iter().map(field).collect();
    let schema = Schema { updating: true, ..Schema::append_only(fields) };
    let mut changes = ChangeBatch::of(&schema);
    for i in 0..rows as i32 {
        for column in &mut changes.columns {
            push_value(column, i);
        }
        let op = [Op::Insert, Op::UpdateBefore, Op::UpdateAfter][i as usize % 3];
        changes.push_mark(op, Seq(i as u64), 0);
    }
    (schema, changes)
}

fn push_value(column: &mut Column, i: i32) {
    let rows = column.len();
    match &mut column.values {
        Values::Bool(values) => values.push((i % 2) as u8),
        Values::I32(values) => values.push(i * 7 - 1000),
        Values::I64(values) => values.push(i64::from(i) * 1_000_001),
        Values::F64(values) => values.push(f64::from(i) / 7.0 * 1e20),
        Values::I128(values) => values.push(i128::from(i) - 50),
        Values::Text(values) => values.push(&b"a text with a \"quotation\""[..i as usize % 26]),
        Values::Interval(_) => unreachable!("no column is an INTERVAL"),
    }
    column.validity.push(rows, i % 5 != 0);
}

#[test]
fn lines_allocate_nothing() {
    let (schema, given) = changes_of_every_type(3000);
    let mut lines = Lines::new(&schema, NdjsonOptions { before: true, ..NdjsonOptions::default() });
    let mut pulls = 0;
    let mut fill = || {
        lines.fill(|rows_max, changes| {
            assert!(rows_max >= given.len());
            pulls += 1;
            changes.extend_range(&given, 0, given.len());
            Ok(Pull::Rows)
        })
    };
    for _ in 0..20 {
        assert_eq!(fill(), Ok(Pull::Rows));
    }
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        assert_eq!(fill(), Ok(Pull::Rows));
    }
    assert_eq!(ALLOCATIONS.get(), before);
    assert!(pulls > 20, "{pulls}");
}
