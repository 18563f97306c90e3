//! When windows close.

use super::super::Aggregate;
use super::Grid;
use crate::batch::{ChangeBatch, Seq};
use crate::operators::Context;
use crate::time::Watermark;

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
        self.find_closes(grid);
        let (mut at, mut advance) = (0, 0);
        while let Some(limit) = self.next_close(grid, at) {
            let moves = &time.advances[advance..];
            let skipped = moves.partition_point(|&(_, watermark)| watermark.0 < limit);
            let Some(&(seq, watermark)) = moves.get(skipped) else { break };
            let rows = &self.scratch.rows[at..];
            let next = at + rows.partition_point(|&row| input.seqs[row as usize] <= seq);
            self.apply(input, (at, next), ascending, out, ctx);
            self.close(grid, watermark, seq, out);
            (at, advance) = (next, advance + skipped + 1);
        }
        self.apply(input, (at, self.scratch.rows.len()), ascending, out, ctx);
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
    fn next_close(&self, grid: &Grid, at: usize) -> Option<i64> {
        let open = self.state.panes.first_end().map(|end| grid.closes_at(end));
        let coming = self.scratch.closes.get(at).copied();
        open.into_iter().chain(coming).min()
    }

    /// Closes what `watermark` has passed, in order of the windows' ends.
    fn close(&mut self, grid: &Grid, watermark: Watermark, seq: Seq, out: &mut ChangeBatch) {
        while let Some(end) = self.state.panes.first_end() {
            if grid.closes_at(end) > watermark.0 {
                return;
            }
            if self.spec.is_final {
                let bounds = Some(grid.bounds(end));
                self.state.panes.at(0).emit_all(bounds, seq, &mut self.scratch.steps.groups, out);
            }
            self.state.panes.close(0);
        }
    }
}
