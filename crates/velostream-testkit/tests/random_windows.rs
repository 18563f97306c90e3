//! Random disorder against the definition of lateness and finality, record by record: tumbling windows with
//! bound and grace, EMIT CHANGES and EMIT FINAL, and windows over windows.

use proptest::prelude::*;
use velostream_engine::functions::registry::registry;
use velostream_sql::types::DataType;
use velostream_testkit::golden::{CoreDoor, GoldenCatalog, Outcome, Word, show};

#[derive(Debug, Clone)]
struct Event {
    key: u8,
    second: i64,
    value: i64,
}

/// Bound, size and grace in seconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    bound: i64,
    size: i64,
    grace: i64,
}

/// A group of one window.
struct Group {
    start: i64,
    key: u8,
    count: i64,
    sum: i64,
}

/// The definition, word by word.
struct Reference {
    times: Times,
    is_final: bool,
    watermark: Option<i64>,
    /// In order of their first record.
    groups: Vec<Group>,
}

impl Reference {
    fn new(times: Times, is_final: bool) -> Self {
        Self { times, is_final, watermark: None, groups: Vec::new() }
    }

    fn closes_at(&self, start: i64) -> i64 {
        start + self.times.size + self.times.grace
    }

    fn process(&mut self, event: &Event) -> Vec<String> {
        let start = event.second.div_euclid(self.times.size) * self.times.size;
        let standing = self.watermark;
        let moved = event.second - self.times.bound;
        self.watermark = Some(standing.map_or(moved, |watermark| watermark.max(moved)));
        let is_late = standing.is_some_and(|watermark| self.closes_at(start) <= watermark);
        let mut lines = Vec::new();
        if !is_late {
            let known = self.groups.iter_mut().find(|group| group.start == start && group.key == event.key);
            let (mark, group) = match known {
                Some(group) => ('~', group),
                None => {
                    self.groups.push(Group { start, key: event.key, count: 0, sum: 0 });
                    ('+', self.groups.last_mut().expect("it was just pushed"))
                }
            };
            group.count += 1;
            group.sum += event.value;
            if !self.is_final {
                lines.push(format!("{mark} k{} {start} {} {}", group.key, group.count, group.sum));
            }
        }
        if self.is_final {
            lines.extend(self.close(self.watermark));
        }
        if is_late {
            lines.push("late".to_owned());
        }
        lines
    }

    /// What is final at a watermark, or at the end; windows in order of their end.
    fn close(&mut self, watermark: Option<i64>) -> Vec<String> {
        let groups = std::mem::take(&mut self.groups);
        let is_due =
            |group: &Group| watermark.is_none_or(|watermark| self.closes_at(group.start) <= watermark);
        let (mut due, open): (Vec<Group>, Vec<Group>) = groups.into_iter().partition(is_due);
        self.groups = open;
        due.sort_by_key(|group| group.start);
        due.iter()
            .map(|group| format!("+ k{} {} {} {}", group.key, group.start, group.count, group.sum))
            .collect()
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..3_u8, 14..29_i64, 1..5_i64, prop::bool::weighted(0.05));
    prop::collection::vec(event, 1..80).prop_map(|steps| {
        let mut now = 0;
        let place = |(key, jitter, value, jumps): (u8, i64, i64, bool)| {
            now += if jumps { 137 } else { 2 };
            Event { key, second: now + jitter, value }
        };
        steps.into_iter().map(place).collect()
    })
}

fn lines(outcomes: &[Outcome], types: &[DataType]) -> Vec<String> {
    let line = |outcome: &Outcome| match outcome {
        Outcome::Change(mark, row) => {
            let values: Vec<String> =
                row.iter().zip(types).map(|(value, &data_type)| show(value, data_type)).collect();
            format!("{mark} {}", values.join(" "))
        }
        Outcome::Late => "late".to_owned(),
        Outcome::Reject(code, message) => format!("reject {code} {message}"),
    };
    outcomes.iter().map(line).collect()
}

fn bare(text: String) -> Word {
    Word { text, quoted: false }
}

/// What each event causes in the engine, and last what the end does.
fn engine(
    statements: &[&str],
    sql: &str,
    events: &[Event],
    batch_rows: usize,
    restore_at: usize,
) -> Result<Vec<Vec<String>>, String> {
    let mut catalog = GoldenCatalog::default();
    for statement in statements {
        let bound = catalog.bind(statement, registry()).map_err(|errors| errors.to_string())?;
        bound.into_iter().for_each(|each| catalog.define(each));
    }
    let query = catalog.query(sql, registry(), false).map_err(|errors| errors.to_string())?;
    let types: Vec<DataType> = query.plan.schema().fields.iter().map(|field| field.data_type).collect();
    let declared = catalog.source("s").ok_or("no source")?;
    let mut door = CoreDoor::new(&query, &[declared]).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for (number, chunk) in events.chunks(batch_rows).enumerate() {
        if number == restore_at {
            door.move_state().map_err(|error| error.to_string())?;
        }
        for Event { key, second, value } in chunk {
            let words = [bare(format!("k{key}")), bare(second.to_string()), bare(value.to_string())];
            door.push("s", &words, false).map_err(|error| error.to_string())?;
        }
        let mut caused = vec![Vec::new(); chunk.len()];
        for (row, outcome) in door.process().map_err(|error| error.to_string())? {
            caused[row].push(outcome);
        }
        found.extend(caused.iter().map(|outcomes| lines(outcomes, &types)));
    }
    found.push(lines(&door.end().map_err(|error| error.to_string())?, &types));
    Ok(found)
}

proptest! {
    #[test]
    fn windows_are_what_their_definition_says(
        events in events(),
        bound in 0..5_i64,
        grace in prop_oneof![Just(0_i64), 1..12_i64],
        is_final in any::<bool>(),
        batch_rows in 1..20_usize,
        restore_at in 0..12_usize,
    ) {
        let source = format!(
            "CREATE STREAM s (k STRING, ts TIMESTAMP, v INT, WATERMARK FOR ts AS ts - INTERVAL '{bound}' SECOND)"
        );
        let emit = if is_final { "FINAL" } else { "CHANGES" };
        let sql = format!(
            "SELECT k, window_start, COUNT(*) AS n, SUM(v) AS s FROM s \
             WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD {grace} SECONDS) GROUP BY k EMIT {emit}"
        );
        let found = engine(&[&source], &sql, &events, batch_rows, restore_at);
        let mut reference = Reference::new(Times { bound, size: 10, grace }, is_final);
        let mut expected: Vec<Vec<String>> = events.iter().map(|event| reference.process(event)).collect();
        expected.push(if is_final { reference.close(None) } else { Vec::new() });
        prop_assert_eq!(found, Ok(expected));
    }

    /// The sum over all outer windows is that over all inner ones: nothing that an inner window takes comes too
    /// late for the outer one, and nothing is counted twice.
    #[test]
    fn windows_over_windows_lose_nothing(
        events in events(),
        bound in 0..5_i64,
        grace in 0..12_i64,
        outer in 10..45_i64,
        batch_rows in 1..20_usize,
    ) {
        let source = format!(
            "CREATE STREAM s (k STRING, ts TIMESTAMP, v INT, WATERMARK FOR ts AS ts - INTERVAL '{bound}' SECOND)"
        );
        let inner = format!(
            "CREATE STREAM w AS SELECT k, window_start AS start, SUM(v) AS total FROM s \
             WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD {grace} SECONDS) GROUP BY k"
        );
        let over = format!(
            "SELECT SUM(total) AS total FROM w WINDOW TUMBLING (SIZE {outer} SECONDS) EMIT FINAL"
        );
        let total = |found: &[Vec<String>]| -> i64 {
            let rows = found.iter().flatten().filter_map(|line| line.strip_prefix("+ "));
            rows.filter_map(|row| row.split(' ').next_back()?.parse::<i64>().ok()).sum()
        };
        let inner_rows = engine(&[&source, &inner], "SELECT total FROM w", &events, batch_rows, 3);
        let outer_rows = engine(&[&source, &inner], &over, &events, batch_rows, 3);
        prop_assert_eq!(inner_rows.map(|rows| total(&rows)), outer_rows.map(|rows| total(&rows)));
    }
}
