//! What windows must be, recomputed from all rows that they took.

use super::MICROS;
use crate::processor::harness::show_literal;
use crate::processor::reference::{Call, Row, groups};
use proptest::prelude::*;
use std::collections::BTreeMap;
use velostream_sql::plan::Literal;

/// Kinds of windows; lengths in seconds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Tumbling { size: i64, offset: i64 },
    Hopping { size: i64, advance: i64, offset: i64 },
    Cumulating { size: i64, step: i64, offset: i64 },
    Session { gap: i64 },
}

pub fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        (1..12i64, -3..4i64).prop_map(|(size, offset)| Kind::Tumbling { size, offset }),
        (1..6i64, 0..9i64, -3..4i64).prop_map(|(advance, more, offset)| Kind::Hopping {
            size: advance + more,
            advance,
            offset
        }),
        (1..5i64, 1..5i64, -3..4i64).prop_map(|(step, steps, offset)| Kind::Cumulating {
            size: step * steps,
            step,
            offset
        }),
        (1..5i64).prop_map(|gap| Kind::Session { gap }),
        (1..5i64).prop_map(|gap| Kind::Session { gap }),
    ]
}

/// The rows of one window: bounds in seconds, rows in order of coming.
#[derive(Debug, Clone)]
pub struct Window {
    start: i64,
    end: i64,
    pub rows: Vec<Row>,
}

/// What the windows must be, recomputed from the rows they took.
#[derive(Clone)]
pub struct Reference {
    kind: Kind,
    keys: Vec<usize>,
    grace: i64,
    watermark: i64,
    /// Rows by window, for windows with fixed bounds; by end, then start.
    fixed: BTreeMap<(i64, i64), Vec<Row>>,
    /// Rows of open sessions, in order of coming.
    rows: Vec<Row>,
}

pub fn seconds(row: &Row) -> i64 {
    match row[7] {
        Literal::Timestamp(micros) => micros / MICROS,
        _ => panic!("the rows have times"),
    }
}

impl Reference {
    pub fn new(kind: Kind, keys: &[usize], grace: i64) -> Self {
        let keys = keys.to_vec();
        Self { kind, keys, grace, watermark: i64::MIN / 4, fixed: BTreeMap::new(), rows: Vec::new() }
    }

    /// The windows with fixed bounds that hold a time, as end and start: by trying all near it.
    fn holding(&self, time: i64) -> Vec<(i64, i64)> {
        let near = time - 40..time + 40;
        let all: Vec<(i64, i64)> = match self.kind {
            Kind::Tumbling { size, offset } => {
                near.filter(|start| (start - offset) % size == 0).map(|start| (start + size, start)).collect()
            }
            Kind::Hopping { size, advance, offset } => near
                .filter(|start| (start - offset) % advance == 0)
                .map(|start| (start + size, start))
                .collect(),
            Kind::Cumulating { size, step, offset } => near
                .filter(|start| (start - offset) % size == 0)
                .flat_map(|start| (1..=size / step).map(move |steps| (start + steps * step, start)))
                .collect(),
            Kind::Session { .. } => Vec::new(),
        };
        let mut holding: Vec<_> =
            all.into_iter().filter(|&(end, start)| start <= time && time < end).collect();
        holding.sort_unstable();
        holding
    }

    fn is_closed(&self, end: i64) -> bool {
        end + self.grace <= self.watermark
    }

    fn key(&self, row: &Row) -> Vec<String> {
        self.keys.iter().map(|&key| show_literal(&row[key])).collect()
    }

    /// The sessions of some rows, by end, start and first row.
    fn sessions(&self, rows: &[Row], gap: i64) -> Vec<Window> {
        let mut sessions = Vec::new();
        for (_, members) in groups(rows, &self.keys) {
            let mut times: Vec<i64> = members.iter().map(|row| seconds(row)).collect();
            times.sort_unstable();
            let mut start = times[0];
            for (at, &time) in times.iter().enumerate() {
                if times.get(at + 1).is_none_or(|next| next - time > gap) {
                    let inside = |row: &&&Row| (start..=time).contains(&seconds(row));
                    let rows = members.iter().filter(inside).map(|row| (*row).clone()).collect();
                    sessions.push(Window { start, end: time + gap, rows });
                    start = times.get(at + 1).copied().unwrap_or(0);
                }
            }
        }
        let position = |window: &Window| rows.iter().position(|row| *row == window.rows[0]);
        sessions.sort_by_key(|window| (window.end, window.start, position(window)));
        sessions
    }

    /// All open windows.
    pub fn windows(&self) -> Vec<Window> {
        if let Kind::Session { gap } = self.kind {
            return self.sessions(&self.rows, gap);
        }
        let window =
            |(&(end, start), rows): (&(i64, i64), &Vec<Row>)| Window { start, end, rows: rows.clone() };
        self.fixed.iter().map(window).collect()
    }

    /// The end of the session of some rows that a row is in.
    fn session_end(&self, rows: &[Row], gap: i64, row: &Row) -> i64 {
        let time = seconds(row);
        let holds = |window: &Window| {
            window.start <= time && time <= window.end - gap && self.key(&window.rows[0]) == self.key(row)
        };
        self.sessions(rows, gap).iter().find(|window| holds(window)).map_or(time + gap, |window| window.end)
    }

    /// Takes a step of one row that goes and one that comes; says if it is late, by the first row that is.
    pub fn step(&mut self, goes: Option<&Row>, comes: Option<&Row>) -> Vec<String> {
        let mut late = Vec::new();
        let by = |row: &Row, watermark: i64| format!("late by {}", (watermark - seconds(row)) * MICROS);
        let standing = self.rows.clone();
        for (row, adds) in goes.map(|row| (row, false)).into_iter().chain(comes.map(|row| (row, true))) {
            let is_late = match self.kind {
                Kind::Session { gap } => {
                    let mut rows = standing.clone();
                    if adds {
                        rows.push(row.clone());
                    }
                    let end = if rows.contains(row) {
                        self.session_end(&rows, gap, row)
                    } else {
                        seconds(row) + gap
                    };
                    let late = self.is_closed(end);
                    if !late {
                        change(&mut self.rows, row, adds);
                    }
                    late
                }
                _ => {
                    let open = |window: &(i64, i64)| !self.is_closed(window.0);
                    let windows: Vec<_> = self.holding(seconds(row)).into_iter().filter(open).collect();
                    for &window in &windows {
                        let rows = self.fixed.entry(window).or_default();
                        change(rows, row, adds);
                        if rows.is_empty() {
                            self.fixed.remove(&window);
                        }
                    }
                    windows.is_empty()
                }
            };
            if is_late {
                late.push(by(row, self.watermark));
            }
        }
        late.truncate(1);
        late
    }

    /// Moves time; gives the windows that close.
    pub fn advance(&mut self, watermark: i64) -> Vec<Window> {
        self.watermark = self.watermark.max(watermark);
        let closed: Vec<Window> =
            self.windows().into_iter().filter(|window| self.is_closed(window.end)).collect();
        for window in &closed {
            self.fixed.remove(&(window.end, window.start));
            window.rows.iter().filter(|_| matches!(self.kind, Kind::Session { .. })).for_each(|row| {
                change(&mut self.rows, row, false);
            });
        }
        closed
    }

    /// The rows of the answer that some windows make, with what tells them apart.
    pub fn lines(&self, windows: &[Window], calls: &[Call]) -> Vec<(Vec<String>, String)> {
        let mut lines = Vec::new();
        for window in windows {
            for (key, members) in groups(&window.rows, &self.keys) {
                let bounds = [window.start, window.end].map(|bound| (bound * MICROS).to_string());
                let identity: Vec<String> = bounds.into_iter().chain(key).collect();
                let results = calls.iter().map(|call| call.result(&members));
                let text: Vec<String> = identity.iter().cloned().chain(results).collect();
                lines.push((identity, text.join(" ")));
            }
        }
        lines
    }

    pub fn answer(&self, calls: &[Call]) -> BTreeMap<Vec<String>, String> {
        self.lines(&self.windows(), calls).into_iter().collect()
    }
}

fn change(rows: &mut Vec<Row>, row: &Row, adds: bool) {
    if adds {
        rows.push(row.clone());
    } else if let Some(at) = rows.iter().position(|other| other == row) {
        rows.remove(at);
    }
}
