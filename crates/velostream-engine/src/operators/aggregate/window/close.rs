//! When windows close.

use super::super::Aggregate;
use super::Grid;
use crate::batch::{ChangeBatch, Seq};
use crate::operators::Context;
use crate::time::{TimeRuns, Watermark};

impl Aggregate {
    /// Applies a batch, whose late rows are out, and closes windows where the watermark passes them.
    ///
    /// The batch is cut where a window may close; between two cuts the watermark closes nothing.
    pub(in super::super) fn process_windows(
        &mut self,
        grid: &Grid,
        input: &ChangeBatch,
        ascending: bool,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let time = ctx.time;
        if !self.may_close(grid, time) {
            return self.apply(input, (0, self.scratch.rows.len()), ascending, out, ctx);
        }
        self.find_closes(grid);
        let (mut at, mut advance, mut standing) = (0, 0, time.before);
        while let Some(limit) = self.next_close(grid, at, standing) {
            let moves = &time.advances[advance..];
            let skipped = moves.partition_point(|&(_, watermark)| watermark.0 < limit);
            let Some(&(seq, watermark)) = moves.get(skipped) else { break };
            let rows = &self.scratch.rows[at..];
            let next = at + rows.partition_point(|&row| input.seqs[row as usize] <= seq);
            self.apply(input, (at, next), ascending, out, ctx);
            if ctx.is_called_off() {
                return;
            }
            self.close(grid, (standing, watermark), seq, out);
            (at, advance, standing) = (next, advance + skipped + 1, watermark);
        }
        self.apply(input, (at, self.scratch.rows.len()), ascending, out, ctx);
    }

    /// Whether the watermark passes the close of any window over a batch.
    fn may_close(&self, grid: &Grid, time: &TimeRuns) -> bool {
        let closes = |end: i64| grid.closes_at(end) <= time.after().0;
        let coming = || self.scratch.spans.iter().map(|span| span.first).min();
        self.next_end(grid, grid.closed_by(time.before)).is_some_and(closes) || coming().is_some_and(closes)
    }

    /// Fills `closes`: per row the earliest close of the windows of it and all rows behind.
    fn find_closes(&mut self, grid: &Grid) {
        let closes = &mut self.scratch.closes;
        closes.clear();
        let mut earliest = i64::MAX;
        closes.extend(self.scratch.spans.iter().rev().map(|span| {
            earliest = earliest.min(grid.closes_at(span.first));
            earliest
        }));
        closes.reverse();
    }

    /// The earliest close of the open windows and of those of the rows from position `at` on.
    fn next_close(&self, grid: &Grid, at: usize, standing: Watermark) -> Option<i64> {
        let open = self.next_end(grid, grid.closed_by(standing)).map(|end| grid.closes_at(end));
        let coming = self.scratch.closes.get(at).copied();
        open.into_iter().chain(coming).min()
    }

    /// The end of the open window that ends first, where those up to `closed` are closed.
    fn next_end(&self, grid: &Grid, closed: i64) -> Option<i64> {
        let single = self.scratch.merge.is_none();
        let mut earliest = None;
        for (span, _) in self.state.panes.iter() {
            let next = grid.first_after(span, closed);
            earliest = earliest.into_iter().chain(next).min();
            // Panes of single windows are in order; and nothing ends before the window behind the last closed one.
            if single || next != Some(span.first) {
                break;
            }
        }
        earliest
    }

    /// Closes what the second watermark has passed and the first has not, in order of the windows' ends.
    fn close(
        &mut self,
        grid: &Grid,
        (standing, watermark): (Watermark, Watermark),
        seq: Seq,
        out: &mut ChangeBatch,
    ) {
        let mut closed = grid.closed_by(standing);
        while let Some(end) = self.next_end(grid, closed)
            && grid.closes_at(end) <= watermark.0
        {
            if self.spec.is_final {
                self.emit_window(grid, end, seq, out);
            }
            while self.state.panes.first_key().is_some_and(|span| span.last <= end) {
                self.state.panes.close(0);
            }
            closed = end;
        }
        if self.state.panes.is_empty() {
            self.state.stack.take();
        }
        self.state.bounds.take();
    }
}
