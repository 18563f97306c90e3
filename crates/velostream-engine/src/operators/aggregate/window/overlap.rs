//! The fast path of windows that overlap: rows that only come, each a step of its own.
//!
//! Works window by window, so that each aggregate goes over all rows of a window in one loop, and puts the
//! changes back into the order of the records. Within a record they then stand in order of the windows' ends.

use super::super::{Aggregate, Scratch, given::Given, run, steps};
use super::{Grid, Span};
use crate::batch::ChangeBatch;
use crate::operators::Context;

/// Most pairs of row and window taken at a time.
const OCCURRENCES_MAX: usize = 16 * 1024;

/// Buffers of the path.
#[derive(Default)]
pub(in super::super) struct OverlapScratch {
    /// Positions of the rows, by the first ends of their spans.
    order: Vec<u32>,
    /// Positions of the rows in the window in hand.
    active: Vec<u32>,
    /// Rows and hashes, window by window.
    rows: Vec<u32>,
    hashes: Vec<u64>,
    /// Each window's end, and where its rows begin.
    windows: Vec<(i64, usize)>,
    /// Changes, window by window.
    changes: ChangeBatch,
    /// Their positions in order of the records.
    sorted: Vec<u32>,
}

impl OverlapScratch {
    /// For changes with these columns.
    pub fn new(types: &[velostream_sql::types::DataType]) -> Self {
        Self { changes: ChangeBatch::new(types), ..Self::default() }
    }

    /// Lays the rows of some spans out window by window.
    fn lay_out(&mut self, grid: &Grid, rows: &[u32], hashes: &[u64], spans: &[Span]) {
        let Self { order, active, rows: laid_rows, hashes: laid_hashes, windows, .. } = self;
        order.clear();
        order.extend(0..spans.len() as u32);
        order.sort_by_key(|&at| spans[at as usize].first);
        active.clear();
        laid_rows.clear();
        laid_hashes.clear();
        windows.clear();
        let mut coming = order.iter().copied().peekable();
        let mut next = coming.peek().map(|&at| spans[at as usize].first);
        while let Some(end) = next {
            active.retain(|&at| spans[at as usize].last >= end);
            while let Some(at) = coming.next_if(|&at| spans[at as usize].first <= end) {
                active.push(at);
            }
            if !active.is_sorted() {
                active.sort_unstable();
            }
            if !active.is_empty() {
                windows.push((end, laid_rows.len()));
                laid_rows.extend(active.iter().map(|&at| rows[at as usize]));
                laid_hashes.extend(active.iter().map(|&at| hashes[at as usize]));
            }
            let behind = grid.next(end).filter(|_| !active.is_empty());
            next = behind.or_else(|| coming.peek().map(|&at| spans[at as usize].first));
        }
    }

    /// The rows of window `index`.
    fn range(&self, index: usize) -> std::ops::Range<usize> {
        let from = self.windows[index].1;
        from..self.windows.get(index + 1).map_or(self.rows.len(), |&(_, next)| next)
    }

    /// Appends the changes in order of the records.
    fn take_changes(&mut self, out: &mut ChangeBatch) {
        let Self { changes, sorted, .. } = self;
        sorted.clear();
        sorted.extend(0..changes.len() as u32);
        sorted.sort_by_key(|&at| changes.seqs[at as usize]);
        for (column, from) in out.columns.iter_mut().zip(&changes.columns) {
            column.extend_selected(from, sorted);
        }
        out.ops.extend(sorted.iter().map(|&at| changes.ops[at as usize]));
        out.seqs.extend(sorted.iter().map(|&at| changes.seqs[at as usize]));
        out.event_times.extend(sorted.iter().map(|&at| changes.event_times[at as usize]));
        changes.clear();
    }
}

impl Aggregate {
    /// Applies the rows from position `from` to position `to` of `scratch.rows`, some at a time.
    pub(in super::super) fn apply_overlapping(
        &mut self,
        grid: &Grid,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let mut at = from;
        while at < to {
            let mut occurrences = 0;
            let fits = self.scratch.spans[at..to].iter().take_while(|&&span| {
                occurrences += grid.count(span);
                occurrences <= OCCURRENCES_MAX
            });
            let next = at + fits.count().max(1);
            let Scratch { rows, hashes, spans, overlap, .. } = &mut self.scratch;
            overlap.lay_out(grid, &rows[at..next], &hashes[at..next], &spans[at..next]);
            if self.is_safe(input) {
                self.apply_windows(grid, input, next - at, out);
            } else {
                self.apply_steps(input, (at, next), steps::Check { windows: false }, out, ctx);
                self.close_empty();
            }
            at = next;
        }
    }

    /// Opens the windows laid out; whether nothing in them might overflow.
    fn is_safe(&mut self, input: &ChangeBatch) -> bool {
        let given = Given { evaluation: &self.evaluation, input };
        let overlap = &self.scratch.overlap;
        overlap.windows.iter().enumerate().all(|(index, &(end, _))| {
            let pane = self.state.panes.find_or_open(Span::of(end));
            run::is_safe(self.state.panes.at(pane), &given, overlap.range(index).len())
        })
    }

    fn apply_windows(&mut self, grid: &Grid, input: &ChangeBatch, rows: usize, out: &mut ChangeBatch) {
        let Scratch { overlap, run: run_scratch, wide, .. } = &mut self.scratch;
        let mut changes = std::mem::take(&mut overlap.changes);
        let given = Given { evaluation: &self.evaluation, input };
        let target = if rows == 1 { &mut *out } else { &mut changes };
        for (index, &(end, _)) in overlap.windows.iter().enumerate() {
            let range = overlap.range(index);
            let bounds = Some(grid.bounds(end));
            let work = run::Run { spec: &self.spec, given, bounds, rows: &overlap.rows[range.clone()] };
            let pane = self.state.panes.find_or_open(Span::of(end));
            let pane = self.state.panes.at(pane);
            pane.keys.continue_from(*self.state.next_birth.get());
            work.apply(pane, &overlap.hashes[range], run_scratch, wide, target);
            self.state.next_birth.set(pane.keys.next_birth());
        }
        overlap.changes = changes;
        overlap.take_changes(out);
    }

    /// Closes the windows laid out that no row went into.
    fn close_empty(&mut self) {
        for &(end, _) in &self.scratch.overlap.windows {
            self.state.close_if_empty(Span::of(end));
        }
    }
}
