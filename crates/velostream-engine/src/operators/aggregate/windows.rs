//! Tumbling windows: where rows belong, which are late, and when windows close.

use super::{Aggregate, Scratch};
use crate::batch::ChangeBatch;
use crate::column::{Column, Values};
use crate::error::RecordError;
use crate::operators::Context;
use crate::time::Watermark;
use velostream_sql::plan::Expr;

/// Windows `[n * size + offset, (n + 1) * size + offset)`, all in microseconds.
#[derive(Debug, Clone)]
pub struct Tumbling {
    /// Length, positive.
    pub size: i64,
    /// Shift of the alignment.
    pub offset: i64,
    /// How long after its end a window takes records.
    pub grace: i64,
    /// A row's time, a TIMESTAMP; its event time where missing.
    pub time: Option<Expr>,
}

impl Tumbling {
    /// The end of the window that starts at `start`.
    pub(super) fn ends_at(&self, start: i64) -> i64 {
        start.saturating_add(self.size)
    }

    /// The watermark at which the window that starts at `start` closes.
    pub(super) fn closes_at(&self, start: i64) -> i64 {
        self.ends_at(start).saturating_add(self.grace)
    }

    /// The window of `time`; `None` where it does not lie within representable time.
    fn window_of(&self, time: i64) -> Option<(i64, i64)> {
        let into = time.checked_sub(self.offset)?.rem_euclid(self.size);
        let start = time.checked_sub(into)?;
        Some((start, start.checked_add(self.size)?))
    }

    /// Appends the window start of each of `rows`; rows without one fail and are taken out. `last` is any
    /// window, most likely the next row's.
    pub(super) fn starts(
        &self,
        times: Option<&Column>,
        input: &ChangeBatch,
        rows: &mut Vec<u32>,
        starts: &mut Vec<i64>,
        last: &mut (i64, i64),
        ctx: &mut Context<'_>,
    ) {
        let values = match times.map(|column| &column.values) {
            None => &input.event_times,
            Some(Values::I64(values)) => values,
            Some(_) => unreachable!("the binder makes window times TIMESTAMPs"),
        };
        let mask = times.and_then(|column| column.validity.mask());
        let (mut start, mut end) = *last;
        let mut failed = Vec::new();
        for &row in rows.iter() {
            let time = values[row as usize];
            let valid = mask.is_none_or(|mask| mask[row as usize] != 0);
            if !(start <= time && time < end && valid) {
                match self.window_of(time).filter(|_| valid) {
                    Some(window) => (start, end) = window,
                    None => {
                        failed.push(row);
                        let problem = if valid { "out of range" } else { "NULL" };
                        let error = RecordError::new(format!("the window's time is {problem}"));
                        ctx.failures.push((input.seqs[row as usize], error));
                    }
                }
            }
            starts.push(start);
        }
        *last = (start, end);
        if !failed.is_empty() {
            take_out(&failed, input, rows, starts, ctx.on_record);
        }
    }
}

/// Takes out the rows that failed, with their steps where those are records'.
fn take_out(
    failed: &[u32],
    input: &ChangeBatch,
    rows: &mut Vec<u32>,
    starts: &mut Vec<i64>,
    on_record: bool,
) {
    let fails = |row: u32| {
        let seq = input.seqs[row as usize];
        failed.iter().any(|&other| other == row || (on_record && input.seqs[other as usize] == seq))
    };
    let pairs = rows.iter().copied().zip(starts.iter().copied());
    let kept: Vec<(u32, i64)> = pairs.filter(|&(row, _)| !fails(row)).collect();
    (*rows, *starts) = kept.into_iter().unzip();
}

/// Reports rows as late.
pub(super) fn report_late(input: &ChangeBatch, rows: &[u32], ctx: &mut Context<'_>) {
    for &row in rows {
        let (seq, time) = (input.seqs[row as usize], input.event_times[row as usize]);
        ctx.late.push((seq, ctx.time.standing_at(seq).0.saturating_sub(time)));
    }
}

impl Aggregate {
    /// Applies a batch and closes windows where the watermark passes them.
    ///
    /// The batch is cut where a window may close. Between two cuts the watermark closes nothing, so that all
    /// rows there are judged by the watermark at its beginning.
    pub(super) fn process_windows(
        &mut self,
        input: &ChangeBatch,
        ascending: bool,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let time = ctx.time;
        self.find_closes(time.before);
        let (mut standing, mut at, mut advance) = (time.before, 0, 0);
        while let Some(limit) = self.next_close(at) {
            let moves = &time.advances[advance..];
            let skipped = moves.partition_point(|&(_, watermark)| watermark.0 < limit);
            let Some(&(seq, watermark)) = moves.get(skipped) else { break };
            let rows = &self.scratch.rows[at..];
            let next = at + rows.partition_point(|&row| input.seqs[row as usize] <= seq);
            self.apply(input, (at, next), standing, ascending, out, ctx);
            self.close(watermark, seq, out);
            (standing, at, advance) = (watermark, next, advance + skipped + 1);
        }
        let rest = (at, self.scratch.rows.len());
        self.apply(input, rest, standing, ascending, out, ctx);
    }

    /// Fills `closes`: per row the earliest close of the windows of it and all rows behind that are not late
    /// already.
    fn find_closes(&mut self, before: Watermark) {
        let Some(window) = &self.spec.window else { return };
        let Scratch { starts, closes, .. } = &mut self.scratch;
        closes.clear();
        closes.resize(starts.len(), i64::MAX);
        let mut earliest = i64::MAX;
        for (&start, close) in starts.iter().zip(closes.iter_mut()).rev() {
            let at = window.closes_at(start);
            if at > before.0 {
                earliest = earliest.min(at);
            }
            *close = earliest;
        }
    }

    /// The earliest close of the open windows and of those of the rows from position `at` on.
    fn next_close(&self, at: usize) -> Option<i64> {
        let window = self.spec.window.as_ref()?;
        let open = self.state.panes.first_start().map(|start| window.closes_at(start));
        let coming = self.scratch.closes.get(at).copied();
        open.into_iter().chain(coming).min()
    }

    /// Closes what `watermark` has passed, in order of the windows' ends.
    fn close(&mut self, watermark: Watermark, seq: crate::batch::Seq, out: &mut ChangeBatch) {
        let Some(window) = &self.spec.window else { return };
        while let Some(start) = self.state.panes.first_start() {
            if window.closes_at(start) > watermark.0 {
                return;
            }
            if self.spec.is_final {
                let bounds = Some((start, window.ends_at(start)));
                self.state.panes.at(0).emit_all(bounds, seq, &mut self.scratch.steps.groups, out);
            }
            self.state.panes.close_first();
        }
    }
}
