//! OVER against recomputation from scratch, and how its state stays flat.

use super::harness::*;
use super::reference::{Call, Row};
use proptest::prelude::*;
use velostream_engine::plan::PlanOptions;
use velostream_sql::plan::Literal;

const MICROS: i64 = 1_000_000;

/// The columns of the stream: as the reference has them.
const COLUMNS: &str = "id INT, k STRING, g INT, a INT, b BIGINT, d DOUBLE, m DECIMAL(8, 2), ts TIMESTAMP";
const NAMES: [&str; 8] = ["id", "k", "g", "a", "b", "d", "m", "ts"];

/// Which rows a call takes.
#[derive(Debug, Clone, Copy)]
enum Frame {
    Default,
    Unbounded,
    Rows(usize),
    Buffer(usize),
    Seconds(i64),
}

/// What an OVER call computes.
#[derive(Debug, Clone)]
enum Function {
    Aggregate(Call),
    RowNumber,
    First(usize),
    Last(usize),
    /// Column, rows before, whether `id` is the default.
    Lag(usize, usize, bool),
}

#[derive(Debug, Clone)]
struct Over {
    function: Function,
    partition: Vec<usize>,
    frame: Frame,
}

impl Over {
    fn sql(&self) -> String {
        let function = match &self.function {
            Function::Aggregate(call) => call.sql(),
            Function::RowNumber => "ROW_NUMBER()".to_owned(),
            Function::First(column) => format!("FIRST_VALUE({})", NAMES[*column]),
            Function::Last(column) => format!("LAST_VALUE({})", NAMES[*column]),
            Function::Lag(column, offset, true) => format!("LAG({}, {offset}, id)", NAMES[*column]),
            Function::Lag(column, offset, false) => format!("LAG({}, {offset})", NAMES[*column]),
        };
        let keys: Vec<&str> = self.partition.iter().map(|&key| NAMES[key]).collect();
        let partition =
            if keys.is_empty() { String::new() } else { format!("PARTITION BY {}", keys.join(", ")) };
        let rest = match self.frame {
            Frame::Default => format!("{partition} ORDER BY ts"),
            Frame::Unbounded => format!("{partition} ORDER BY ts ROWS UNBOUNDED PRECEDING"),
            Frame::Rows(n) => format!("{partition} ORDER BY ts ROWS BETWEEN {n} PRECEDING AND CURRENT ROW"),
            Frame::Buffer(n) => format!("ROWS WINDOW BUFFER {n} ROWS {partition} ORDER BY ts"),
            Frame::Seconds(n) => {
                format!(
                    "{partition} ORDER BY ts RANGE BETWEEN INTERVAL '{n}' SECOND PRECEDING AND CURRENT ROW"
                )
            }
        };
        format!("{function} OVER ({rest})")
    }

    /// The position of the first row in the frame of the last.
    fn first(&self, rows: &[&Row]) -> usize {
        let last = rows.len() - 1;
        match self.frame {
            Frame::Default | Frame::Unbounded => 0,
            Frame::Rows(n) => last.saturating_sub(n),
            Frame::Buffer(n) => last.saturating_sub(n - 1),
            Frame::Seconds(n) => {
                rows.iter().position(|row| seconds(row) >= seconds(rows[last]) - n).expect("the row itself")
            }
        }
    }

    /// The result for the last of the rows of a partition up to it, in order.
    fn result(&self, rows: &[&Row]) -> String {
        let (first, last) = (self.first(rows), rows.len() - 1);
        match &self.function {
            Function::Aggregate(call) => call.result(&rows[first..]),
            Function::RowNumber => rows.len().to_string(),
            Function::First(column) => show_literal(&rows[first][*column]),
            Function::Last(column) => show_literal(&rows[last][*column]),
            Function::Lag(column, offset, default) => match last.checked_sub(*offset) {
                Some(before) => show_literal(&rows[before][*column]),
                None if *default => show_literal(&rows[last][0]),
                None => "NULL".to_owned(),
            },
        }
    }
}

fn seconds(row: &Row) -> i64 {
    match row[7] {
        Literal::Timestamp(micros) => micros / MICROS,
        _ => panic!("the rows have times"),
    }
}

fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        Just(Frame::Default),
        Just(Frame::Unbounded),
        (0..5usize).prop_map(Frame::Rows),
        (1..5usize).prop_map(Frame::Buffer),
        (0..9i64).prop_map(Frame::Seconds),
    ]
}

fn any_function() -> impl Strategy<Value = Function> {
    let aggregate = prop::sample::select(vec!["COUNT(*)", "COUNT", "SUM", "AVG", "MIN", "MAX"]);
    let aggregate =
        (aggregate, 0..7usize, any::<bool>(), 0..4u8).prop_map(|(function, column, distinct, filter)| {
            let numeric = matches!(function, "SUM" | "AVG");
            let column = if numeric { 3 + column % 4 } else { column };
            Function::Aggregate(Call { function, column, distinct, filter: filter == 0 })
        });
    prop_oneof![
        6 => aggregate,
        1 => Just(Function::RowNumber),
        1 => (1..7usize).prop_map(Function::First),
        1 => (1..7usize).prop_map(Function::Last),
        2 => (0..4usize, prop::sample::select(vec![0_usize, 2, 3]), any::<bool>())
            .prop_map(|(offset, column, default)| Function::Lag(column, offset, default)),
    ]
}

fn maybe(value: impl Strategy<Value = Literal>) -> impl Strategy<Value = Literal> {
    prop_oneof![1 => Just(Literal::Null), 5 => value]
}

prop_compose! {
    fn any_row()(
        k in maybe((0..3usize).prop_map(|k| text(["x", "yy", "a long text beyond the view"][k]))),
        g in maybe((0..2i32).prop_map(int)),
        a in maybe((-3..4i32).prop_map(int)),
        b in maybe((-100..100i64).prop_map(big)),
        d in maybe((-20..20i32).prop_map(|d| double(f64::from(d) * 0.25))),
        m in maybe((-500..500i128).prop_map(Literal::Decimal)),
    ) -> Row {
        vec![Literal::Null, k, g, a, b, d, m, Literal::Null]
    }
}

/// Rows in time order but for up to `behind` seconds, numbered in the order of their coming.
fn stream_rows(behind: i64) -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((any_row(), 0..4i64, 0..=behind), 0..50).prop_map(|rows| {
        let mut now = 100;
        let at = |(id, (mut row, step, behind)): (usize, (Row, i64, i64))| {
            now += step;
            row[0] = int(id as i32);
            row[7] = time(now - behind);
            row
        };
        rows.into_iter().enumerate().map(at).collect()
    })
}

/// What a query must give.
struct Reference<'a> {
    calls: &'a [Over],
    grace: i64,
    watermark: i64,
    /// Accepted rows by time and sequence.
    rows: Vec<Row>,
    /// How many of them are final.
    shown: usize,
}

impl<'a> Reference<'a> {
    fn new(calls: &'a [Over], grace: i64) -> Self {
        Self { calls, grace, watermark: i64::MIN, rows: Vec::new(), shown: 0 }
    }

    /// Takes a row; gives by how much it is late.
    fn take(&mut self, row: &Row) -> Option<i64> {
        let time = seconds(row);
        if self.watermark != i64::MIN && time < self.watermark - self.grace {
            return Some((self.watermark - time) * MICROS);
        }
        let at = self.rows.partition_point(|other| seconds(other) <= time);
        self.rows.insert(at, row.clone());
        None
    }

    /// The rows of a call's partition up to the accepted row at a position.
    fn partition(&self, call: &Over, at: usize) -> Vec<&Row> {
        let key = |row: &Row| call.partition.iter().map(|&key| show_literal(&row[key])).collect::<Vec<_>>();
        let own = key(&self.rows[at]);
        self.rows[..=at].iter().filter(|row| key(row) == own).collect()
    }

    /// The answer's row for the accepted row at a position.
    fn line(&self, at: usize) -> String {
        let results = self.calls.iter().map(|call| call.result(&self.partition(call, at)));
        let row: Vec<String> = std::iter::once(show_literal(&self.rows[at][0])).chain(results).collect();
        row.join(" ")
    }

    /// Whether every SUM(b) has room.
    fn fits(&self) -> bool {
        let fits = |call: &Over, at: usize| {
            let rows = self.partition(call, at);
            let value = |row: &&Row| match row[4] {
                Literal::BigInt(value) => i128::from(value),
                _ => 0,
            };
            i64::try_from(rows[call.first(&rows)..].iter().map(value).sum::<i128>()).is_ok()
        };
        (0..self.rows.len()).all(|at| self.calls.iter().all(|call| fits(call, at)))
    }

    fn answer(&self) -> Vec<String> {
        (0..self.rows.len()).map(|at| self.line(at)).collect()
    }

    /// The rows that become final.
    fn advance(&mut self, watermark: i64) -> Vec<String> {
        self.watermark = self.watermark.max(watermark);
        let until = self.watermark - self.grace;
        let end = self.rows.partition_point(|row| seconds(row) <= until);
        let lines = (self.shown..end).map(|at| self.line(at)).collect();
        self.shown = self.shown.max(end);
        lines
    }
}

fn over_query(calls: &[Over], (bound, grace): (i64, i64), emit: &str) -> Query {
    let items: Vec<String> =
        calls.iter().enumerate().map(|(index, call)| format!("{} AS c{index}", call.sql())).collect();
    let create = format!("CREATE STREAM s ({COLUMNS}, WATERMARK FOR ts AS ts - INTERVAL '{bound}' SECOND)");
    let options = PlanOptions { default_grace_micros: grace * MICROS, ..PlanOptions::default() };
    query_with(&create, &format!("SELECT id, {} FROM s EMIT {emit}", items.join(", ")), options)
}

/// A source in order takes nothing back, whatever the grace.
fn effective(bound: i64, grace: i64) -> i64 {
    if bound == 0 { 0 } else { grace }
}

fn any_partition() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::select(vec![vec![], vec![1], vec![2], vec![1, 2]])
}

/// Calls of one PARTITION BY or of several.
fn any_calls() -> impl Strategy<Value = Vec<Over>> {
    let call = (any_function(), any_partition(), any_frame());
    let call = call.prop_map(|(function, partition, frame)| Over { function, partition, frame });
    let is_more = |calls: &Vec<Over>| calls.iter().any(is_kept);
    prop::collection::vec(call, 1..5).prop_filter("calls that are more than the row's own value", is_more)
}

/// Bound and grace, seconds.
fn any_delay() -> impl Strategy<Value = (i64, i64)> {
    prop::sample::select(vec![(0, 0), (0, 2), (3, 0), (6, 0), (3, 2)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_equal_recomputation(
        rows in stream_rows(8),
        calls in any_calls(),
        delay in any_delay(),
    ) {
        let query = over_query(&calls, delay, "CHANGES");
        prop_assert_eq!(query.plan.is_updating(), delay.0 > 0);
        let records: Vec<Record> = rows.iter().cloned().map(record).collect();
        let log = run(&query, &records);
        let mut reference = Reference::new(&calls, effective(delay.0, delay.1));
        let mut before = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let late = reference.take(row);
            reference.advance(seconds(row) - delay.0);
            let after = reference.answer();
            let mut expected: Vec<String> = late.map(|by| format!("late by {by}")).into_iter().collect();
            expected.extend(before.iter().filter(|row| !after.contains(row)).map(|row| format!("- {row}")));
            expected.extend(after.iter().filter(|row| !before.contains(row)).map(|row| format!("+ {row}")));
            let prefix = format!("{} ", index + 1);
            let mut found: Vec<String> =
                log.iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect();
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected, "record {}", index + 1);
            before = after;
        }
    }

    #[test]
    fn final_rows_equal_recomputation(
        rows in stream_rows(8),
        calls in any_calls(),
        delay in any_delay(),
    ) {
        let query = over_query(&calls, delay, "FINAL");
        let records: Vec<Record> = rows.iter().cloned().map(record).collect();
        let log = run(&query, &records);
        let mut reference = Reference::new(&calls, effective(delay.0, delay.1));
        let mut expected = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let step = index + 1;
            if let Some(by) = reference.take(row) {
                expected.push(format!("{step} late by {by}"));
            }
            expected.extend(reference.advance(seconds(row) - delay.0).iter().map(|row| format!("{step} + {row}")));
        }
        expected.extend(reference.advance(i64::MAX / 2).iter().map(|row| format!("end + {row}")));
        prop_assert_eq!(log, expected);
    }

    #[test]
    fn sums_near_their_limit_reject_what_has_no_room(
        rows in stream_rows(8),
        frames in prop::collection::vec((any_partition(), any_frame()), 1..3),
        delay in any_delay(),
    ) {
        let sum = Call { function: "SUM", column: 4, distinct: false, filter: false };
        let over = |(partition, frame)| Over { function: Function::Aggregate(sum.clone()), partition, frame };
        let calls: Vec<Over> = frames.into_iter().map(over).collect();
        let query = over_query(&calls, delay, "CHANGES");
        let enlarged = |row: &Row| {
            let mut row = row.clone();
            if let Literal::BigInt(value) = row[4] {
                row[4] = big(value * (i64::MAX / 250));
            }
            row
        };
        let rows: Vec<Row> = rows.iter().map(enlarged).collect();
        let log = run(&query, &rows.iter().cloned().map(record).collect::<Vec<_>>());
        let mut reference = Reference::new(&calls, effective(delay.0, delay.1));
        for (index, row) in rows.iter().enumerate() {
            let before = reference.rows.clone();
            let is_late = reference.take(row).is_some();
            let is_rejected = !is_late && !reference.fits();
            if is_rejected {
                reference.rows = before;
            }
            reference.advance(seconds(row) - delay.0);
            let step = index + 1;
            prop_assert_eq!(log.contains(&format!("{step} ! SUM is out of range of BIGINT")), is_rejected);
        }
        let mut shown: Vec<String> = Vec::new();
        for line in &log {
            let change = line.split_once(' ').map_or("", |(_, change)| change);
            if let Some(row) = change.strip_prefix("+ ") {
                shown.push(row.to_owned());
            } else if let Some(row) = change.strip_prefix("- ") {
                let at = shown.iter().position(|known| known == row);
                shown.swap_remove(at.expect("a row that goes was there"));
            }
        }
        let mut answer = reference.answer();
        answer.sort();
        shown.sort();
        prop_assert_eq!(shown, answer);
    }

    #[test]
    fn a_rollback_leaves_no_trace(
        rows in stream_rows(8),
        gone in stream_rows(8),
        calls in any_calls(),
        delay in any_delay(),
        at in 0..50usize,
        is_final in any::<bool>(),
    ) {
        let query = over_query(&calls, delay, if is_final { "FINAL" } else { "CHANGES" });
        let records = |rows: &[Row]| rows.iter().cloned().map(record).collect::<Vec<_>>();
        let at = at.min(rows.len());
        let mut plain = Run::new(&query);
        plain.feed(&records(&rows[..at]));
        let mut undone = Run::new(&query);
        undone.feed(&records(&rows[..at]));
        undone.processor.begin();
        let (next, watermark) = (undone.next, undone.gate.watermark());
        let snapshot = plain.snapshot();
        undone.feed(&records(&gone));
        undone.log.truncate(plain.log.len());
        undone.processor.rollback();
        undone.next = next;
        undone.gate.set_watermark(watermark);
        undone.processor.finish_transaction();
        prop_assert!(undone.snapshot() == snapshot, "the state is as before");
        plain.feed(&records(&rows[at..]));
        undone.feed(&records(&rows[at..]));
        plain.end();
        undone.end();
        prop_assert_eq!(plain.log, undone.log);
    }
}

/// Whether a call is more than the row's own value, so that the plan has an operator for it.
fn is_kept(call: &Over) -> bool {
    !matches!(call.function, Function::Last(_) | Function::Lag(_, 0, _))
}

/// The bytes of state after `count` rows, one a second, over three partitions, a fifth of them disordered.
fn bytes_after(query: &Query, count: usize) -> u64 {
    let mut run = Run::new(query);
    for id in 0..count {
        let at = 100 + id as i64 - if id % 5 == 0 { 2 } else { 0 };
        let (k, g) = (["x", "y", "z"][id % 3], (id % 7) as i32);
        let values = [int(id as i32), text(k), int(g), int(g), big(1), double(0.5), Literal::Decimal(1)];
        let row: Row = values.into_iter().chain([time(at)]).collect();
        run.feed(&[record(row)]);
        run.log.clear();
    }
    run.processor.state_bytes()
}

#[test]
fn state_is_flat() {
    let frames = "SUM(a) OVER (PARTITION BY k ORDER BY ts ROWS 9 PRECEDING) AS s, \
        MAX(d) OVER (PARTITION BY k ORDER BY ts RANGE INTERVAL '20' SECOND PRECEDING) AS r, \
        COUNT(*) OVER (PARTITION BY k ORDER BY ROWTIME) AS n, MIN(b) OVER (PARTITION BY k ORDER BY ROWTIME) AS l, LAG(a, 3) OVER (PARTITION BY k) AS p";
    for bound in [0, 4] {
        for emit in ["CHANGES", "FINAL"] {
            let create =
                format!("CREATE STREAM s ({COLUMNS}, WATERMARK FOR ts AS ts - INTERVAL '{bound}' SECOND)");
            let query = query(&create, &format!("SELECT id, {frames} FROM s EMIT {emit}"));
            let (early, late) = (bytes_after(&query, 500), bytes_after(&query, 5_000));
            assert_eq!(early, late, "bound {bound}, {emit}");
        }
    }
}

#[test]
fn partitions_go_with_the_last_of_their_rows() {
    let frames = "SUM(d) OVER (PARTITION BY id ORDER BY ts RANGE INTERVAL '20' SECOND PRECEDING) AS s, \
        MIN(k) OVER (PARTITION BY id ORDER BY ts RANGE INTERVAL '5' SECOND PRECEDING) AS l, \
        COUNT(DISTINCT g) OVER (PARTITION BY id ORDER BY ts RANGE INTERVAL '9' SECOND PRECEDING) AS n";
    for bound in [0, 4] {
        for emit in ["CHANGES", "FINAL"] {
            let create =
                format!("CREATE STREAM s ({COLUMNS}, WATERMARK FOR ts AS ts - INTERVAL '{bound}' SECOND)");
            let query = query(&create, &format!("SELECT id, {frames} FROM s EMIT {emit}"));
            // Buffers of partitions that came again differ a little in their room.
            let (early, late) = (bytes_after(&query, 500), bytes_after(&query, 5_000));
            assert!(late < early + early / 8, "{early} bytes, then {late}: bound {bound}, {emit}");
        }
    }
}

#[test]
fn a_sum_without_room_rejects_the_record_alone() {
    let create = format!("CREATE STREAM s ({COLUMNS}, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)");
    let sql = "SELECT id, SUM(b) OVER (ORDER BY ts ROWS 1 PRECEDING) AS s FROM s";
    let query = query(&create, sql);
    let row = |id: i32, b: i64, at: i64| {
        let mut row = vec![Literal::Null; 8];
        (row[0], row[4], row[7]) = (int(id), big(b), time(at));
        record(row)
    };
    let most = i64::MAX;
    let log = run(&query, &[row(1, most, 10), row(2, 1, 12), row(3, -1, 11), row(4, 1, 10), row(5, 1, 12)]);
    let expected = [
        format!("1 + 1 {most}"),
        "2 ! SUM is out of range of BIGINT".to_owned(),
        format!("3 + 3 {}", most - 1),
        "4 ! SUM is out of range of BIGINT".to_owned(),
        "5 + 5 0".to_owned(),
    ];
    assert_eq!(log, expected);
}

#[test]
fn a_call_that_has_no_room_lets_none_of_the_others_lose_count() {
    let sum = Call { function: "SUM", column: 4, distinct: false, filter: false };
    let over = |frame| Over { function: Function::Aggregate(sum.clone()), partition: Vec::new(), frame };
    let query = over_query(&[over(Frame::Buffer(1)), over(Frame::Default)], (0, 0), "CHANGES");
    let values = [-68, 0, -69, -33, 10, 0, 22, -22, -34, 0, 0, 43, 14, 0, -77, -5, 0, 0, 0, 0, 0, 0, -32];
    let times = [0, 0, 2, 7, 7, 7, 12, 13, 16, 16, 16, 20, 22, 22, 23, 26, 26, 26, 26, 26, 26, 28, 33];
    let records = values.into_iter().zip(times).zip(0..).map(|((value, at), id)| {
        let b = if value == 0 { Literal::Null } else { big(value * (i64::MAX / 250)) };
        let null = Literal::Null;
        record(vec![int(id), null.clone(), null.clone(), null.clone(), b, null.clone(), null, time(100 + at)])
    });
    let log = run(&query, &records.collect::<Vec<_>>());
    assert!(log.iter().any(|line| line.contains("out of range")), "{log:?}");
}
