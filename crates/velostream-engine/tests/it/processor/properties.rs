//! Random records through random queries, against recomputation from scratch.

use super::harness::*;
use super::reference::{COLUMNS, Call, Row, groups};
use proptest::prelude::*;
use std::collections::BTreeMap;
use velostream_engine::batch::Op;
use velostream_sql::plan::Literal;

/// The size of windows in the properties, seconds.
const SIZE: i64 = 10;
const MICROS: i64 = 1_000_000;

pub fn columns(key: bool) -> String {
    let column = |(name, kind): &(&str, &str)| {
        let key = if key && *name == "id" { " PRIMARY KEY" } else { "" };
        format!("{name} {kind}{key}")
    };
    COLUMNS.iter().map(column).collect::<Vec<_>>().join(", ")
}

pub fn stream() -> String {
    format!("CREATE STREAM s ({}, WATERMARK FOR ts AS ts - INTERVAL '3' SECOND)", columns(false))
}

fn table() -> String {
    format!("CREATE TABLE s ({})", columns(true))
}

pub fn any_call() -> impl Strategy<Value = Call> {
    let function = prop::sample::select(vec!["COUNT(*)", "COUNT", "SUM", "AVG", "MIN", "MAX"]);
    (function, 0..7usize, any::<bool>(), 0..4u8).prop_map(|(function, column, distinct, filter)| {
        let numeric = matches!(function, "SUM" | "AVG");
        let column = if numeric { 3 + column % 4 } else { column };
        Call { function, column, distinct, filter: filter == 0 }
    })
}

fn maybe(value: impl Strategy<Value = Literal>) -> impl Strategy<Value = Literal> {
    prop_oneof![1 => Just(Literal::Null), 5 => value]
}

prop_compose! {
    pub fn any_row()(
        id in 0..6i32,
        k in maybe((0..3usize).prop_map(|k| text(["x", "yy", "a long text beyond the view"][k]))),
        g in maybe((0..2i32).prop_map(int)),
        a in maybe((-3..4i32).prop_map(int)),
        b in maybe((-100..100i64).prop_map(big)),
        d in maybe((-20..20i32).prop_map(|d| double(f64::from(d) * 0.25))),
        m in maybe((-500..500i128).prop_map(Literal::Decimal)),
    ) -> Row {
        vec![int(id), k, g, a, b, d, m, Literal::Null]
    }
}

/// Rows of a stream in time order but for up to eight seconds.
pub fn stream_rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((any_row(), 0..4i64, 0..8i64), 0..60).prop_map(|rows| {
        let mut now = 100;
        let at = |(mut row, step, behind): (Row, i64, i64)| {
            now += step;
            row[7] = time(now - behind);
            row
        };
        rows.into_iter().map(at).collect()
    })
}

/// Records of a keyed table: rows, and tombstones where the flag says so.
fn table_records() -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec((any_row(), 0..3u8), 0..50).prop_map(|rows| {
        let record_of = |(mut row, kind): (Row, u8)| {
            if kind == 0 {
                row[1..].fill(Literal::Null);
                tombstone(row)
            } else {
                record(row)
            }
        };
        rows.into_iter().map(record_of).collect()
    })
}

pub fn any_keys() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::select(vec![vec![], vec![1], vec![2], vec![1, 2], vec![6]])
}

fn select(keys: &[usize], calls: &[Call], more: &str) -> String {
    let keys: Vec<&str> = keys.iter().map(|&key| COLUMNS[key].0).collect();
    let calls = calls.iter().enumerate().map(|(index, call)| format!("{} AS c{index}", call.sql()));
    let items: Vec<String> = keys.iter().map(ToString::to_string).chain(calls).collect();
    let group = if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) };
    format!("SELECT {} FROM s{group}{more}", items.join(", "))
}

/// The answer over some rows: per key the row as text.
fn answer(rows: &[Row], keys: &[usize], calls: &[Call], having: bool) -> BTreeMap<Vec<String>, String> {
    let mut answer = BTreeMap::new();
    for (key, members) in groups(rows, keys) {
        if !having || members.len() > 1 {
            let results = calls.iter().map(|call| call.result(&members));
            let row: Vec<String> = key.iter().cloned().chain(results).collect();
            answer.insert(key, row.join(" "));
        }
    }
    answer
}

/// The lines that lead from one answer to the next.
pub fn difference(
    before: &BTreeMap<Vec<String>, String>,
    after: &BTreeMap<Vec<String>, String>,
) -> Vec<String> {
    let gone = before.iter().filter(|(key, _)| !after.contains_key(*key)).map(|(_, row)| format!("- {row}"));
    let come = after.iter().filter_map(|(key, row)| match before.get(key) {
        None => Some(format!("+ {row}")),
        Some(old) if old != row => Some(format!("~ {row}")),
        Some(_) => None,
    });
    let mut lines: Vec<String> = gone.chain(come).collect();
    lines.sort();
    lines
}

/// The lines of one step, sorted; deletes must have come first.
fn lines_of(log: &[String], step: usize) -> Vec<String> {
    let prefix = format!("{step} ");
    let lines = log.iter().filter_map(|line| line.strip_prefix(&prefix));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    let first_other = lines.iter().position(|line| !line.starts_with('-')).unwrap_or(lines.len());
    assert!(lines[first_other..].iter().all(|line| !line.starts_with('-')), "deletes come first: {lines:?}");
    lines.sort();
    lines
}

/// Checks the log of a CHANGES query whose current rows after each record are `states`.
fn check_changes(log: &[String], states: &[Vec<Row>], keys: &[usize], calls: &[Call], having: bool) {
    let mut before = BTreeMap::new();
    let mut seen_any = false;
    for (index, rows) in states.iter().enumerate() {
        let mut after = answer(rows, keys, calls, having);
        seen_any |= !rows.is_empty();
        if keys.is_empty() && rows.is_empty() && seen_any && !having {
            let results: Vec<String> = calls.iter().map(|call| call.result(&[])).collect();
            after.insert(Vec::new(), results.join(" "));
        }
        assert_eq!(lines_of(log, index + 1), difference(&before, &after), "record {}", index + 1);
        before = after;
    }
}

/// The table's rows after each record, in order of insertion.
fn table_states(records: &[Record]) -> Vec<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut states = Vec::new();
    for record in records {
        let place = rows.iter().position(|row| row[0] == record.row[0]);
        match (record.op, place) {
            (Op::Delete, Some(place)) => drop(rows.remove(place)),
            (Op::Delete, None) => {}
            (_, Some(place)) => rows[place] = record.row.clone(),
            (_, None) => rows.push(record.row.clone()),
        }
        states.push(rows.clone());
    }
    states
}

fn seconds(row: &Row) -> i64 {
    match row[7] {
        Literal::Timestamp(micros) => micros / MICROS,
        _ => panic!("the rows have times"),
    }
}

/// What windows over a stream must give.
struct WindowReference {
    grace: i64,
    watermark: i64,
    /// Rows of open windows by start.
    open: BTreeMap<i64, Vec<Row>>,
}

impl WindowReference {
    /// Takes a row; gives its window's start, or how late it is in microseconds.
    fn take(&mut self, row: &Row) -> Result<i64, i64> {
        let start = seconds(row).div_euclid(SIZE) * SIZE;
        if self.watermark != i64::MIN && start + SIZE + self.grace <= self.watermark {
            return Err((self.watermark - seconds(row)) * MICROS);
        }
        self.open.entry(start).or_default().push(row.clone());
        Ok(start)
    }

    fn advance(&mut self, watermark: i64) -> Vec<(i64, Vec<Row>)> {
        self.watermark = self.watermark.max(watermark);
        let grace = self.grace;
        let closes = |start: &i64| start + SIZE + grace <= self.watermark;
        let closed: Vec<i64> = self.open.keys().copied().filter(closes).collect();
        closed.into_iter().map(|start| (start, self.open.remove(&start).unwrap())).collect()
    }
}

fn window_lines(start: i64, rows: &[Row], keys: &[usize], calls: &[Call]) -> Vec<(Vec<String>, String)> {
    let row = |(key, members): (Vec<String>, Vec<&Row>)| {
        let results = calls.iter().map(|call| call.result(&members));
        let text: Vec<String> =
            std::iter::once((start * MICROS).to_string()).chain(key.iter().cloned()).chain(results).collect();
        (key, text.join(" "))
    };
    groups(rows, keys).into_iter().map(row).collect()
}

fn window_query(keys: &[usize], calls: &[Call], grace: i64, emit: &str) -> Query {
    let sql = select(keys, calls, "").replacen("SELECT ", "SELECT window_start, ", 1);
    let window = format!("FROM s WINDOW TUMBLING (SIZE {SIZE} SECONDS, GRACE PERIOD {grace} SECONDS)");
    query(&stream(), &format!("{} {emit}", sql.replacen("FROM s", &window, 1)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_over_a_stream_equal_recomputation(
        rows in stream_rows(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..5),
        having in any::<bool>(),
    ) {
        let more = if having { " HAVING COUNT(*) > 1" } else { "" };
        let query = query(&stream(), &select(&keys, &calls, more));
        let records: Vec<Record> = rows.iter().cloned().map(record).collect();
        let states: Vec<Vec<Row>> = (1..=rows.len()).map(|count| rows[..count].to_vec()).collect();
        check_changes(&run(&query, &records), &states, &keys, &calls, having);
    }

    #[test]
    fn changes_over_a_table_equal_recomputation(
        records in table_records(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..5),
        having in any::<bool>(),
    ) {
        let more = if having { " HAVING COUNT(*) > 1" } else { "" };
        let query = query(&table(), &select(&keys, &calls, more));
        check_changes(&run(&query, &records), &table_states(&records), &keys, &calls, having);
    }

    #[test]
    fn final_groups_over_a_stream_equal_recomputation(
        rows in stream_rows(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..5),
    ) {
        let query = query(&stream(), &select(&keys, &calls, " EMIT FINAL"));
        let records: Vec<Record> = rows.iter().cloned().map(record).collect();
        let line = |(key, members): (Vec<String>, Vec<&Row>)| {
            let results = calls.iter().map(|call| call.result(&members));
            let row: Vec<String> = key.into_iter().chain(results).collect();
            format!("end + {}", row.join(" "))
        };
        let expected: Vec<String> = groups(&rows, &keys).into_iter().map(line).collect();
        prop_assert_eq!(run(&query, &records), expected);
    }

    #[test]
    fn final_windows_equal_recomputation(
        rows in stream_rows(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..4),
        grace in 0..6i64,
    ) {
        let query = window_query(&keys, &calls, grace, "EMIT FINAL");
        let mut reference = WindowReference { grace, watermark: i64::MIN, open: BTreeMap::new() };
        let mut expected = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let step = index + 1;
            if let Err(by) = reference.take(row) {
                expected.push(format!("{step} late by {by}"));
            }
            for (start, rows) in reference.advance(seconds(row) - 3) {
                let lines = window_lines(start, &rows, &keys, &calls);
                expected.extend(lines.into_iter().map(|(_, line)| format!("{step} + {line}")));
            }
        }
        for (start, rows) in reference.advance(i64::MAX / 2) {
            let lines = window_lines(start, &rows, &keys, &calls);
            expected.extend(lines.into_iter().map(|(_, line)| format!("end + {line}")));
        }
        let records: Vec<Record> = rows.iter().cloned().map(record).collect();
        prop_assert_eq!(run(&query, &records), expected);
    }

    #[test]
    fn window_changes_equal_recomputation(
        rows in stream_rows(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..4),
        grace in 0..6i64,
    ) {
        let query = window_query(&keys, &calls, grace, "EMIT CHANGES");
        let mut reference = WindowReference { grace, watermark: i64::MIN, open: BTreeMap::new() };
        let mut expected = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let step = index + 1;
            let start = seconds(row).div_euclid(SIZE) * SIZE;
            let before = reference.open.get(&start).cloned().unwrap_or_default();
            match reference.take(row) {
                Err(by) => expected.push(format!("{step} late by {by}")),
                Ok(start) => {
                    let old: BTreeMap<_, _> =
                        window_lines(start, &before, &keys, &calls).into_iter().collect();
                    let new = window_lines(start, &reference.open[&start], &keys, &calls);
                    let changes = difference(&old, &new.into_iter().collect());
                    expected.extend(changes.into_iter().map(|line| format!("{step} {line}")));
                }
            }
            reference.advance(seconds(row) - 3);
        }
        let records: Vec<Record> = rows.iter().cloned().map(record).collect();
        prop_assert_eq!(run(&query, &records), expected);
    }

    #[test]
    fn totals_of_totals_are_consistent(records in table_records()) {
        let inner = "SELECT k, COUNT(*) AS n, SUM(a) AS total FROM s GROUP BY k";
        let query = query(&table(), &format!("SELECT n, COUNT(*) AS groups, SUM(total) AS t FROM ({inner}) q GROUP BY n"));
        let log = run(&query, &records);
        let mut before = BTreeMap::new();
        for (index, rows) in table_states(&records).iter().enumerate() {
            let mut after: BTreeMap<Vec<String>, (usize, Option<i64>)> = BTreeMap::new();
            for (_, members) in groups(rows, &[1]) {
                let values = members.iter().filter_map(|row| match row[3] {
                    Literal::Int(a) => Some(i64::from(a)),
                    _ => None,
                });
                let total = values.reduce(|x, y| x + y);
                let entry = after.entry(vec![members.len().to_string()]).or_default();
                entry.0 += 1;
                entry.1 = match (entry.1, total) {
                    (Some(x), Some(y)) => Some(x + y),
                    (x, y) => x.or(y),
                };
            }
            let show = |(key, (count, total)): (Vec<String>, (usize, Option<i64>))| {
                let total = total.map_or("NULL".to_owned(), |total| total.to_string());
                let row = format!("{} {count} {total}", key[0]);
                (key, row)
            };
            let after: BTreeMap<_, _> = after.into_iter().map(show).collect();
            prop_assert_eq!(lines_of(&log, index + 1), difference(&before, &after));
            before = after;
        }
    }

    #[test]
    fn deleting_everything_leaves_no_group(
        records in table_records(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..5),
    ) {
        prop_assume!(!keys.is_empty());
        let query = query(&table(), &select(&keys, &calls, ""));
        let mut run = Run::new(&query);
        run.feed(&records);
        let nothing = vec![Literal::Null; COLUMNS.len() - 1];
        let rest: Vec<Record> =
            (0..6).map(|id| tombstone(std::iter::once(int(id)).chain(nothing.clone()).collect())).collect();
        run.feed(&rest);
        prop_assert_eq!(run.processor.groups(), 0);
    }

    #[test]
    fn rollback_restores_every_byte(
        first in table_records(),
        second in table_records(),
        third in table_records(),
        keys in any_keys(),
        calls in prop::collection::vec(any_call(), 1..5),
        having in any::<bool>(),
    ) {
        let more = if having { " HAVING COUNT(*) > 1" } else { "" };
        let query = query(&table(), &select(&keys, &calls, more));
        let mut run = Run::new(&query);
        run.feed(&first);
        let (before, next) = (run.snapshot(), run.next);
        run.processor.begin();
        run.feed(&second);
        run.processor.rollback();
        run.feed(&third);
        run.processor.rollback();
        run.processor.finish_transaction();
        prop_assert_eq!(&run.snapshot(), &before);
        let mut fresh = Run::new(&query);
        fresh.feed(&first);
        (run.next, fresh.next) = (next, next);
        run.log.clear();
        fresh.log.clear();
        run.processor.begin();
        run.feed(&third);
        run.processor.commit();
        run.processor.rollback();
        run.processor.finish_transaction();
        run.feed(&second);
        fresh.feed(&third);
        fresh.feed(&second);
        prop_assert_eq!(&run.log, &fresh.log);
        prop_assert_eq!(run.processor.groups(), fresh.processor.groups());
    }

    #[test]
    fn window_rollback_restores_every_byte(
        first in stream_rows(),
        second in stream_rows(),
        calls in prop::collection::vec(any_call(), 1..4),
    ) {
        let query = window_query(&[1], &calls, 2, "EMIT FINAL");
        let mut run = Run::new(&query);
        run.feed(&first.into_iter().map(record).collect::<Vec<_>>());
        let before = run.snapshot();
        run.processor.begin();
        for row in second {
            run.feed(&[record(row)]);
        }
        run.end();
        run.processor.rollback();
        run.processor.finish_transaction();
        prop_assert_eq!(run.snapshot(), before);
    }

    #[test]
    fn a_failing_record_never_came(rows in stream_rows(), fallible in 0..3usize) {
        let sql = [
            "SELECT k, COUNT(*) AS n, SUM(10 / a) AS c FROM s GROUP BY k",
            "SELECT k, 10 / SUM(a) AS c, COUNT(*) AS n FROM s GROUP BY k",
            "SELECT n, COUNT(*) AS c, SUM(10 / t) AS u FROM
             (SELECT k, COUNT(*) AS n, SUM(a) AS t FROM s GROUP BY k) q GROUP BY n",
        ][fallible];
        let query = query(&stream(), sql);
        let records: Vec<Record> = rows.iter().cloned().map(record).collect();
        let log = run(&query, &records);
        let failed = |step: usize| log.iter().any(|line| line.starts_with(&format!("{step} !")));
        let kept: Vec<Record> = (0..records.len())
            .filter(|&index| !failed(index + 1))
            .map(|index| records[index].clone())
            .collect();
        let strip = |log: Vec<String>| -> Vec<String> {
            let others = log.iter().filter(|line| !line.contains(" ! "));
            others.map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
        };
        prop_assert_eq!(strip(log.clone()), strip(run(&query, &kept)));
    }

    #[test]
    fn a_damaged_snapshot_is_refused(
        rows in stream_rows(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u32,
        cut in any::<bool>(),
    ) {
        let query = query(&stream(), "SELECT k, MIN(k) AS lo, COUNT(DISTINCT a) AS n FROM s GROUP BY k");
        let mut run = Run::new(&query);
        run.feed(&rows.into_iter().map(record).collect::<Vec<_>>());
        let mut bytes = run.snapshot();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        let limits = velostream_engine::limits::Limits::default();
        let mut processor =
            velostream_engine::processor::QueryProcessor::new(&query.plan, &limits).unwrap();
        let result = processor.restore(&mut velostream_engine::state::SliceReader(&bytes));
        prop_assert!(matches!(result, Err(velostream_engine::error::EngineError::Snapshot(_))));
    }
}
