//! Windows with fixed bounds: where rows belong, which are late, and when windows close.
//!
//! A pane belongs to a [`Span`] of windows. Mostly that is one window; where only final rows are shown, windows
//! overlap and their results can be merged from parts, it is all windows of a slice of time ([`slices`]).

mod close;
mod grid;
mod overlap;
mod slices;
mod stack;

pub(super) use grid::{Grid, Slice, Span};
pub(super) use overlap::OverlapScratch;
pub(super) use slices::MergeScratch;
pub(super) use stack::Stack;

use crate::batch::{ChangeBatch, Seq};
use crate::column::{Column, Values};
use crate::error::RecordError;
use crate::operators::Context;
use crate::time::{TimeRuns, WatermarkCursor};
use velostream_sql::plan::{Expr, WindowKind};

/// How rows are cut by time.
#[derive(Debug, Clone)]
pub struct WindowSpec {
    /// The kind and its lengths.
    pub kind: WindowKind,
    /// How long after its end a window takes records, microseconds.
    pub grace: i64,
    /// A row's time, a TIMESTAMP; its event time where missing.
    pub time: Option<Expr>,
}

/// Stretches of time that rows in order of time may stand in before each is looked at by itself.
const STRETCHES_MAX: usize = 8;

/// The times of a batch's rows, and whether they are there.
#[derive(Clone, Copy)]
pub(super) struct RowTimes<'a> {
    values: &'a [i64],
    mask: Option<&'a [u8]>,
}

impl<'a> RowTimes<'a> {
    /// Those of `column`, or the rows' event times.
    pub fn new(column: Option<&'a Column>, input: &'a ChangeBatch) -> Self {
        let values = match column.map(|column| &column.values) {
            None => &input.event_times,
            Some(Values::I64(values)) => values,
            Some(_) => unreachable!("the binder makes window times TIMESTAMPs"),
        };
        Self { values, mask: column.and_then(|column| column.validity.mask()) }
    }

    /// The time of a row, `None` for NULL.
    #[inline]
    pub fn get(&self, row: u32) -> Option<i64> {
        let row = row as usize;
        self.mask.is_none_or(|mask| mask[row] != 0).then(|| self.values[row])
    }

    /// Fills in the spans of rows that stand in few stretches of time one behind the other and gives true, if none of them is
    /// late; else false, and no spans. `slice` is where to look first, `time` says by which watermark.
    pub fn in_stretches(
        &self,
        grid: &Grid,
        (rows, seqs): (&[u32], &[Seq]),
        slice: &mut Slice,
        time: &TimeRuns,
        spans: &mut Vec<Span>,
    ) -> bool {
        spans.clear();
        let mut left = rows;
        for _ in 0..STRETCHES_MAX {
            let Some(&first) = left.first() else { return true };
            let Some(slice) = self.get(first).and_then(|time| slice.move_to(grid, time)) else { break };
            let holds = |&row: &u32| self.get(row).is_some_and(|time| slice.holds(time));
            let (own, behind) = left.split_at(left.iter().position(|row| !holds(row)).unwrap_or(left.len()));
            let closes = grid.closes_at(slice.span.first);
            let standing = || own.last().map_or(time.before, |&row| time.standing_at(seqs[row as usize]));
            if closes <= time.after().0 && closes <= standing().0 {
                break;
            }
            spans.resize(spans.len() + own.len(), slice.span);
            left = behind;
        }
        if !left.is_empty() {
            spans.clear();
        }
        left.is_empty()
    }
}

/// Keeps of `rows` those for which `place` gives a place in time, and appends the places; the others fail, with
/// their steps where those are records'.
pub(super) fn place_rows<T: Copy>(
    input: &ChangeBatch,
    times: RowTimes<'_>,
    rows: &mut Vec<u32>,
    places: &mut Vec<T>,
    ctx: &mut Context<'_>,
    mut place: impl FnMut(i64) -> Option<T>,
) {
    places.clear();
    let mut failed = Vec::new();
    rows.retain(|&row| {
        let time = times.get(row);
        if let Some(found) = time.and_then(&mut place) {
            places.push(found);
            return true;
        }
        failed.push(row);
        let problem = if time.is_some() { "out of range" } else { "NULL" };
        let error = RecordError::new(format!("the window's time is {problem}"));
        ctx.failures.push((input.seqs[row as usize], error));
        false
    });
    if !failed.is_empty() && ctx.on_record {
        take_out(&failed, input, rows, places);
    }
}

/// Takes out the steps of the rows that failed.
fn take_out<T: Copy>(failed: &[u32], input: &ChangeBatch, rows: &mut Vec<u32>, places: &mut Vec<T>) {
    let seq = |row: u32| input.seqs[row as usize];
    let fails = |row: u32| failed.iter().any(|&other| seq(other) == seq(row));
    let pairs = rows.iter().copied().zip(places.iter().copied());
    let kept: Vec<(u32, T)> = pairs.filter(|&(row, _)| !fails(row)).collect();
    (*rows, *places) = kept.into_iter().unzip();
}

/// Takes out the rows that are late for all of their windows, and of the spans of the others the windows that
/// they are late for. `time` says by which watermark.
pub(super) fn leave_late(
    grid: &Grid,
    time: &TimeRuns,
    input: &ChangeBatch,
    rows: &mut Vec<u32>,
    spans: &mut Vec<Span>,
    late: &mut Vec<(Seq, i64)>,
) {
    let mut cursor = WatermarkCursor::new(time);
    let mut kept = 0;
    for at in 0..rows.len() {
        let row = rows[at];
        let seq = input.seqs[row as usize];
        let watermark = cursor.standing_at(seq).0;
        match grid.open_part(spans[at], watermark) {
            Some(span) => {
                (rows[kept], spans[kept]) = (row, span);
                kept += 1;
            }
            None => late.push((seq, watermark.saturating_sub(input.event_times[row as usize]))),
        }
    }
    rows.truncate(kept);
    spans.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Watermark;

    /// The ends of the windows of ten microseconds that rows of these times, numbered from 1, are in, found by stretches.
    fn ends(times: &[i64], mask: Option<&[u8]>, time: &TimeRuns) -> Option<Vec<i64>> {
        let grid = Grid::new(WindowKind::Tumbling { size_micros: 10, offset_micros: 0 }, 0).expect("a grid");
        let rows: Vec<u32> = (0..times.len() as u32).collect();
        let seqs: Vec<Seq> = (1..=times.len() as u64).map(Seq).collect();
        let (mut slice, mut spans) = (Slice::default(), Vec::new());
        let times = RowTimes { values: times, mask };
        let found = times.in_stretches(&grid, (&rows, &seqs), &mut slice, time, &mut spans);
        assert!(found || spans.is_empty());
        found.then(|| spans.iter().map(|span| span.last).collect())
    }

    fn moving(advances: &[(u64, i64)]) -> TimeRuns {
        let advances = advances.iter().map(|&(seq, micros)| (Seq(seq), Watermark(micros))).collect();
        TimeRuns { before: Watermark::NONE, advances }
    }

    #[test]
    fn rows_are_late_by_the_watermark_before_the_last_of_their_stretch() {
        let times = [3, 4, 12, 13];
        assert_eq!(ends(&times, None, &moving(&[])), Some(vec![10, 10, 20, 20]));
        assert_eq!(ends(&times, None, &moving(&[(2, 10), (4, 30)])), Some(vec![10, 10, 20, 20]));
        assert_eq!(ends(&times, None, &moving(&[(1, 9)])), Some(vec![10, 10, 20, 20]));
        assert_eq!(ends(&times, None, &moving(&[(1, 10)])), None);
        assert_eq!(ends(&times, None, &moving(&[(3, 20)])), None);
    }

    #[test]
    fn rows_in_many_stretches_or_without_a_time_are_looked_at_one_by_one() {
        let times: Vec<i64> = (0..9).map(|at| at * 10).collect();
        let expected: Vec<i64> = (1..9).map(|at| at * 10).collect();
        assert_eq!(ends(&times[..8], None, &moving(&[])), Some(expected));
        assert_eq!(ends(&times, None, &moving(&[])), None);
        assert_eq!(ends(&[1, 2, 3], Some(&[1, 0, 1]), &moving(&[])), None);
        assert_eq!(ends(&[], None, &moving(&[])), Some(Vec::new()));
    }
}
