//! Random records through windows of every kind, against recomputation from scratch.

mod reference;

use super::harness::*;
use super::properties::{any_call, any_keys, any_row, columns, difference, stream_rows};
use super::reference::{Call, Row, groups};
use proptest::prelude::*;
use reference::{Kind, Reference, any_kind, seconds};
use velostream_engine::batch::Op;
use velostream_sql::plan::Literal;

const MICROS: i64 = 1_000_000;

fn stream() -> String {
    format!("CREATE STREAM s ({}, WATERMARK FOR ts AS ts - INTERVAL '3' SECOND)", columns(false))
}

fn table() -> String {
    format!("CREATE TABLE s ({}) WITH (event_time = 'ts')", columns(true))
}

fn window_query(create: &str, kind: Kind, keys: &[usize], calls: &[Call], grace: i64, emit: &str) -> Query {
    let names: Vec<&str> = keys.iter().map(|&key| super::reference::COLUMNS[key].0).collect();
    let calls: Vec<String> =
        calls.iter().enumerate().map(|(index, call)| format!("{} AS c{index}", call.sql())).collect();
    let second = |length: i64| format!("INTERVAL '{length}' SECOND");
    let function = |name: &str, lengths: String| format!("TABLE({name}(TABLE s, DESCRIPTOR(ts), {lengths}))");
    let from = match kind {
        Kind::Tumbling { size, offset } => {
            function("TUMBLE", format!("{}, {}", second(size), second(offset)))
        }
        Kind::Hopping { size, advance, offset } => {
            function("HOP", format!("{}, {}, {}", second(advance), second(size), second(offset)))
        }
        Kind::Cumulating { size, step, offset } => {
            function("CUMULATE", format!("{}, {}, {}", second(step), second(size), second(offset)))
        }
        Kind::Session { gap } => function("SESSION", second(gap)),
    };
    let items: Vec<&str> = ["window_start", "window_end"]
        .into_iter()
        .chain(names.iter().copied())
        .chain(calls.iter().map(String::as_str))
        .collect();
    let keys: Vec<&str> = ["window_start", "window_end"].into_iter().chain(names.iter().copied()).collect();
    let sql = format!("SELECT {} FROM {from} GROUP BY {} EMIT {emit}", items.join(", "), keys.join(", "));
    let options = velostream_engine::plan::PlanOptions {
        default_grace_micros: grace * MICROS,
        ..velostream_engine::plan::PlanOptions::default()
    };
    query_with(create, &sql, options)
}

/// The lines of a step: those that are late, what goes, and what comes, each in order of the windows' ends.
fn lines_of(log: &[String], step: &str) -> Vec<String> {
    let prefix = format!("{step} ");
    let mut lines: Vec<String> =
        log.iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect();
    let place = |line: &String| {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "late" => (0, 0, 0),
            mark => {
                let bound = |at: usize| words[at].parse::<i64>().unwrap();
                (if mark == "-" { 1 } else { 2 }, bound(2), bound(1))
            }
        }
    };
    assert!(lines.is_sorted_by_key(place), "deletes, then others, each by window: {lines:?}");
    lines.sort();
    lines
}

/// A record with a time of its own; the rows that its step takes out and puts in.
struct Step {
    goes: Option<Row>,
    comes: Option<Row>,
}

/// The steps of a table's records.
fn steps_of(records: &[Record]) -> Vec<Step> {
    let mut rows: Vec<Row> = Vec::new();
    let mut steps = Vec::new();
    for record in records {
        let goes = rows.iter().position(|row| row[0] == record.row[0]).map(|at| rows.remove(at));
        let comes = (record.op == Op::Insert).then(|| record.row.clone());
        rows.extend(comes.clone());
        let same = goes == comes;
        steps.push(Step { goes: goes.filter(|_| !same), comes: comes.filter(|_| !same) });
    }
    steps
}

/// Records of a keyed table with times in order but for up to six seconds; tombstones among them.
fn table_records() -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec((any_row(), 0..3i64, 0..6i64, 0..4u8), 0..50).prop_map(|rows| {
        let mut now = 100;
        let record_of = |(mut row, step, behind, kind): (Row, i64, i64, u8)| {
            if kind == 0 {
                row[1..].fill(Literal::Null);
                return tombstone(row);
            }
            now += step;
            row[7] = time(now - behind);
            record(row)
        };
        rows.into_iter().map(record_of).collect()
    })
}

fn check_changes(
    query: &Query,
    records: &[Record],
    steps: &[Step],
    mut reference: Reference,
    bound: i64,
    calls: &[Call],
) {
    let log = run(query, records);
    for (index, (step, record)) in steps.iter().zip(records).enumerate() {
        let before = reference.answer(calls);
        let mut expected = reference.step(step.goes.as_ref(), step.comes.as_ref());
        // A record whose old and new row are both late is late once.
        expected.truncate(1);
        expected.extend(difference(&before, &reference.answer(calls)));
        expected.sort();
        assert_eq!(
            lines_of(&log, &(index + 1).to_string()),
            expected,
            "record {}: {:?}",
            index + 1,
            step.comes
        );
        if record.op == Op::Insert {
            reference.advance(seconds(&record.row) - bound);
        } else {
            reference.advance(i64::MIN);
        }
    }
}

fn check_final(
    query: &Query,
    records: &[Record],
    steps: &[Step],
    mut reference: Reference,
    bound: i64,
    calls: &[Call],
) {
    let log = run(query, records);
    let plus = |lines: Vec<(Vec<String>, String)>| lines.into_iter().map(|(_, line)| format!("+ {line}"));
    for (index, (step, record)) in steps.iter().zip(records).enumerate() {
        let mut expected = reference.step(step.goes.as_ref(), step.comes.as_ref());
        // A record whose old and new row are both late is late once.
        expected.truncate(1);
        let at_once = reference.advance(i64::MIN);
        expected.extend(plus(reference.lines(&at_once, calls)));
        if record.op == Op::Insert {
            let closed = reference.advance(seconds(&record.row) - bound);
            expected.extend(plus(reference.lines(&closed, calls)));
        }
        expected.sort();
        assert_eq!(lines_of(&log, &(index + 1).to_string()), expected, "record {}", index + 1);
    }
    let closed = reference.advance(i64::MAX / 2);
    let mut expected: Vec<String> = plus(reference.lines(&closed, calls)).collect();
    expected.sort();
    assert_eq!(lines_of(&log, "end"), expected);
}

fn inserts(rows: &[Row]) -> (Vec<Record>, Vec<Step>) {
    let records = rows.iter().cloned().map(record).collect();
    let steps = rows.iter().map(|row| Step { goes: None, comes: Some(row.clone()) }).collect();
    (records, steps)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_over_a_stream_equal_recomputation(
        rows in stream_rows(),
        kind in any_kind(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..4),
        grace in 0..6i64,
    ) {
        let query = window_query(&stream(), kind, &keys, &calls, grace, "CHANGES");
        let (records, steps) = inserts(&rows);
        check_changes(&query, &records, &steps, Reference::new(kind, &keys, grace), 3, &calls);
    }

    #[test]
    fn changes_over_a_table_equal_recomputation(
        records in table_records(),
        kind in any_kind(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..4),
        grace in 0..8i64,
    ) {
        let query = window_query(&table(), kind, &keys, &calls, grace, "CHANGES");
        check_changes(&query, &records, &steps_of(&records), Reference::new(kind, &keys, grace), 0, &calls);
    }

    #[test]
    fn final_rows_over_a_table_equal_recomputation(
        records in table_records(),
        kind in any_kind(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..4),
        grace in 0..8i64,
    ) {
        let query = window_query(&table(), kind, &keys, &calls, grace, "FINAL");
        check_final(&query, &records, &steps_of(&records), Reference::new(kind, &keys, grace), 0, &calls);
    }

    /// Over a stream the order of groups is certain too: that of their first records.
    #[test]
    fn final_rows_over_a_stream_equal_recomputation_in_order(
        rows in stream_rows(),
        kind in any_kind(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..4),
        grace in 0..6i64,
    ) {
        let query = window_query(&stream(), kind, &keys, &calls, grace, "FINAL");
        let mut reference = Reference::new(kind, &keys, grace);
        let mut expected = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let step = index + 1;
            expected.extend(reference.step(None, Some(row)).into_iter().map(|line| format!("{step} {line}")));
            let closed = reference.advance(seconds(row) - 3);
            let lines = reference.lines(&closed, &calls);
            expected.extend(lines.into_iter().map(|(_, line)| format!("{step} + {line}")));
        }
        let closed = reference.advance(i64::MAX / 2);
        let lines = reference.lines(&closed, &calls);
        expected.extend(lines.into_iter().map(|(_, line)| format!("end + {line}")));
        prop_assert_eq!(run(&query, &inserts(&rows).0), expected);
    }

    #[test]
    fn rollback_restores_every_byte(
        first in table_records(),
        second in table_records(),
        third in table_records(),
        kind in any_kind(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..4),
        emit in prop::sample::select(vec!["FINAL", "CHANGES"]),
        of_table in any::<bool>(),
    ) {
        let create = if of_table { table() } else { stream() };
        let query = window_query(&create, kind, &keys, &calls, 2, emit);
        let kept = |records: Vec<Record>| -> Vec<Record> {
            records.into_iter().filter(|record| of_table || record.op == Op::Insert).collect()
        };
        let (first, second, third) = (kept(first), kept(second), kept(third));
        let mut run = Run::new(&query);
        run.feed(&first);
        let before = run.snapshot();
        let groups = run.processor.groups();
        run.processor.begin();
        run.feed(&second);
        run.end();
        run.processor.rollback();
        run.processor.finish_transaction();
        prop_assert_eq!(run.processor.groups(), groups);
        prop_assert_eq!(&run.snapshot(), &before);
        let (next, watermark) = (run.next, run.gate.watermark());
        let mut fresh = Run::new(&query);
        fresh.feed(&first);
        fresh.next = next;
        fresh.gate.set_watermark(watermark);
        run.log.clear();
        fresh.log.clear();
        run.processor.begin();
        run.feed(&third[..third.len() / 2]);
        run.processor.commit();
        run.processor.rollback();
        run.processor.finish_transaction();
        run.feed(&third[third.len() / 2..]);
        run.end();
        fresh.feed(&third[..third.len() / 2]);
        fresh.feed(&third[third.len() / 2..]);
        fresh.end();
        prop_assert_eq!(&run.log, &fresh.log);
    }

    #[test]
    fn deleting_everything_leaves_nothing(
        records in table_records(),
        kind in any_kind(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..4),
        emit in prop::sample::select(vec!["FINAL", "CHANGES"]),
    ) {
        let query = window_query(&table(), kind, &keys, &calls, 1_000_000, emit);
        let mut run = Run::new(&query);
        run.feed(&records);
        let nothing = vec![Literal::Null; super::reference::COLUMNS.len() - 1];
        let rest: Vec<Record> =
            (0..6).map(|id| tombstone(std::iter::once(int(id)).chain(nothing.clone()).collect())).collect();
        run.feed(&rest);
        prop_assert_eq!(run.processor.groups(), 0);
        run.log.clear();
        run.end();
        prop_assert_eq!(run.log, Vec::<String>::new());
    }

    /// A record by which a sum passes its range in any of its windows leaves no trace in the others.
    #[test]
    fn a_record_that_overflows_never_came(
        rows in prop::collection::vec((0..2usize, 0..4i64, 0..6i64, -2..3i64), 0..40),
        kind in any_kind(),
        grace in 0..6i64,
        emit in prop::sample::select(vec!["FINAL", "CHANGES"]),
    ) {
        let calls = [Call { function: "SUM", column: 4, distinct: false, filter: false }];
        let query = window_query(&stream(), kind, &[1], &calls, grace, emit);
        let mut now = 100;
        let mut place = |(key, step, behind, huge): (usize, i64, i64, i64)| -> Row {
            now += step;
            let at = time(now - behind);
            let value = big(huge * 4_000_000_000_000_000_000);
            vec![int(0), text(["x", "y"][key]), Literal::Null, Literal::Null, value, Literal::Null, Literal::Null, at]
        };
        let rows: Vec<Row> = rows.into_iter().map(&mut place).collect();
        let log = run(&query, &inserts(&rows).0);
        let mut reference = Reference::new(kind, &[1], grace);
        for (index, row) in rows.iter().enumerate() {
            let before = reference.clone();
            let mut expected = reference.step(None, Some(row));
            let of_values = |rows: &[Row]| rows.iter().map(|row| match row[4] {
                Literal::BigInt(value) => i128::from(value),
                _ => 0,
            }).sum::<i128>();
            let windows = reference.windows();
            let all = windows.iter().flat_map(|window| groups(&window.rows, &[1]));
            let sums = all.map(|(_, rows)| of_values(&rows.into_iter().cloned().collect::<Vec<_>>()));
            if sums.into_iter().any(|sum| i64::try_from(sum).is_err()) {
                expected = vec!["! SUM is out of range of BIGINT".to_owned()];
                reference = before.clone();
            }
            if emit == "CHANGES" {
                expected.extend(difference(&before.answer(&calls), &reference.answer(&calls)));
            }
            let closed = reference.advance(seconds(row) - 3);
            if emit == "FINAL" {
                let lines = reference.lines(&closed, &calls);
                expected.extend(lines.into_iter().map(|(_, line)| format!("+ {line}")));
            }
            expected.sort();
            let prefix = format!("{} ", index + 1);
            let mut found: Vec<&str> = log.iter().filter_map(|line| line.strip_prefix(&prefix)).collect();
            found.sort_unstable();
            prop_assert_eq!(found, expected, "record {}", index + 1);
        }
    }
}

/// Rows of many keys with ever new times; every seventh is four seconds behind.
fn steady_rows(count: i64) -> Vec<Record> {
    let row = |i: i64| {
        let key = text(&format!("the key with the number {}", i * 7 % 50 + i / 100 % 200));
        let behind = if i % 7 == 0 { 4 } else { 0 };
        let at = time(100 + i / 5 - behind);
        record(vec![
            int(i as i32),
            key,
            Literal::Null,
            int((i % 9) as i32),
            big(i),
            double(i as f64),
            Literal::Null,
            at,
        ])
    };
    (0..count).map(row).collect()
}

#[test]
fn state_stays_as_large_as_what_is_open() {
    let kinds = [
        Kind::Tumbling { size: 10, offset: 0 },
        Kind::Hopping { size: 10, advance: 2, offset: 0 },
        Kind::Cumulating { size: 10, step: 2, offset: 0 },
        Kind::Session { gap: 3 },
    ];
    let call = |function, column, distinct| Call { function, column, distinct, filter: false };
    let calls = [call("SUM", 3, false), call("MAX", 1, false), call("COUNT", 3, true), call("AVG", 3, false)];
    for (kind, emit) in kinds.into_iter().flat_map(|kind| [(kind, "FINAL"), (kind, "CHANGES")]) {
        let query = window_query(&stream(), kind, &[1], &calls, 2, emit);
        let mut run = Run::new(&query);
        let records = steady_rows(20_000);
        let mut sizes = Vec::new();
        for part in records.chunks(5_000) {
            part.chunks(64).for_each(|chunk| run.feed(chunk));
            sizes.push(run.processor.state_bytes());
        }
        assert!(sizes[3] <= sizes[1] + sizes[1] / 10, "{kind:?} {emit}: {sizes:?}");
        assert!(run.processor.groups() < 1_500, "{kind:?} {emit}: {}", run.processor.groups());
    }
}
