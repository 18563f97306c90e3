//! Overlapping windows of which only the final rows are shown: a row goes into one pane, that of its slice of time,
//! and a window is merged from its slices when it closes ([`super::stack`]).
//!
//! The panes' births are in one order, so that the groups of a window come in that of their first records. A sum
//! must fit in every window at once, though no pane has it: while the largest cell of any pane, as often as there
//! are panes, is within the limit, it does; otherwise rows go step by step, and each window is looked at.

use super::super::pane::{AbsorbScratch, AggregatePane};
use super::super::{Aggregate, AggregateSpec, given::Given, run, steps};
use super::{Grid, Span};
use crate::batch::{ChangeBatch, Seq};
use crate::error::Result;
use crate::functions::aggregate::merges_exactly;
use crate::operators::Context;
use crate::state::{GroupId, Pane, Panes};
use velostream_sql::types::DataType;

/// Most empty panes kept.
const SPARE_MAX: usize = 128;

/// A window while it is merged, and what merging needs.
pub(in super::super) struct MergeScratch {
    pub pane: AggregatePane,
    pub absorb: AbsorbScratch,
    make: Box<dyn Fn() -> AggregatePane + Send>,
    /// Empty panes.
    spare: Vec<AggregatePane>,
}

impl MergeScratch {
    /// Of windows that are merged from slices; `None` where they are not.
    pub fn new(spec: &AggregateSpec, grid: Option<&Grid>) -> Result<Option<Self>> {
        let overlaps = grid.is_some_and(Grid::overlaps);
        // Of equal zeros a group shows the first, which a merged pane need not know.
        let shows_first = spec.keys.iter().any(|key| key.data_type == DataType::Double);
        let is_exact = !shows_first && spec.calls.iter().all(merges_exactly);
        let merges = spec.is_final && !spec.updating_input && is_exact;
        if !overlaps || !merges {
            return Ok(None);
        }
        let pane = AggregatePane::new(spec)?;
        let spec = spec.clone();
        let make = move || AggregatePane::new(&spec).expect("a pane of this plan was made before");
        let absorb = AbsorbScratch::default();
        Ok(Some(Self { pane, absorb, make: Box::new(make), spare: Vec::new() }))
    }

    /// An empty pane.
    pub fn take_pane(&mut self) -> AggregatePane {
        self.spare.pop().unwrap_or_else(|| (self.make)())
    }

    /// Takes a pane that is not needed any more.
    pub fn recycle(&mut self, mut pane: AggregatePane) {
        if self.spare.len() < SPARE_MAX {
            pane.clear();
            self.spare.push(pane);
        }
    }

    /// Whether the window that ends at `end` has room for the group that is number `group` in the pane at `index`; if
    /// not, the call that has none.
    pub fn fits(
        &mut self,
        panes: &Panes<Span, AggregatePane>,
        index: usize,
        group: GroupId,
        end: i64,
    ) -> std::result::Result<(), usize> {
        let Some((_, own)) = panes.iter().nth(index) else { return Ok(()) };
        let (keys, hash) = (own.keys.columns(), own.keys.hash(group));
        self.pane.clear();
        let whole = self.pane.keys.insert(&keys, hash, group as usize);
        self.pane.grow();
        let mut lost = None;
        for (_, slice) in panes.iter().filter(|(span, _)| span.holds(end)) {
            let Some(part) = slice.keys.find(&keys, hash, group as usize) else { continue };
            let mut pairs = self.pane.calls.iter_mut().zip(&slice.calls);
            lost = lost.or(pairs.position(|(call, other)| !call.absorb(&**other, &[part], &[whole])));
        }
        let full = self.pane.calls.iter().position(|call| !call.verify(&[whole]));
        self.pane.clear();
        lost.or(full).map_or(Ok(()), Err)
    }
}

impl Aggregate {
    /// Shows a window's groups in order of their first records.
    pub(super) fn emit_window(&mut self, grid: &Grid, end: i64, seq: Seq, out: &mut ChangeBatch) {
        let bounds = Some(grid.bounds(end));
        let groups = &mut self.scratch.steps.groups;
        let Some(merge) = &mut self.scratch.merge else {
            let index = self.state.panes.find(Span::of(end)).expect("the window is open");
            let pane = self.state.panes.at(index);
            pane.keys.in_order(groups);
            return pane.emit_groups(bounds, seq, groups, out);
        };
        let mut stack = self.state.stack.take().unwrap_or_default();
        stack.move_to(end, &self.state.panes, merge);
        let whole = stack.whole(&self.state.panes, merge);
        whole.keys.in_order(groups);
        whole.emit_groups(bounds, seq, groups, out);
        merge.pane.clear();
        let bytes = stack.bytes();
        self.state.stack.keep(stack, bytes);
    }

    /// Applies the rows from position `from` to position `to` of `scratch.rows` to the panes of their slices.
    pub(in super::super) fn apply_sliced(
        &mut self,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        ascending: bool,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let safe = self.has_room(input, (from, to));
        if !ascending || !safe {
            self.apply_steps(input, (from, to), steps::Check { windows: !safe }, out, ctx);
            for at in from..to {
                self.state.close_if_empty(self.scratch.spans[at]);
            }
            self.state.bounds.take();
            return;
        }
        let mut at = from;
        while at < to {
            let next = self.run_end(at, to);
            let index = self.state.panes.find_or_open(self.scratch.spans[at]);
            self.add_run(input, (at, next), index, out);
            at = next;
        }
    }

    /// Whether adding these rows certainly overflows nothing in any window. What is safe counts as added.
    fn has_room(&mut self, input: &ChangeBatch, (from, to): (usize, usize)) -> bool {
        if self.state.bounds.take().is_none() {
            self.measure_bounds();
        }
        let given = Given { evaluation: &self.evaluation, input };
        let (mut at, mut safe) = (from, true);
        while at < to {
            let next = self.run_end(at, to);
            let index = self.state.panes.find_or_open(self.scratch.spans[at]);
            let pane = self.state.panes.at(index);
            safe &= run::is_safe(pane, &given, next - at);
            for (bound, call) in self.scratch.bounds.iter_mut().zip(&pane.calls) {
                *bound = bound.max(call.bounds().0);
            }
            at = next;
        }
        self.state.bounds.keep((), 0);
        let panes = self.state.panes.len() as f64;
        let index = self.state.panes.find(self.scratch.spans[from]).expect("the pane was opened");
        let calls = &self.state.panes.at(index).calls;
        let mut pairs = self.scratch.bounds.iter().zip(calls);
        safe && pairs.all(|(bound, call)| bound * panes <= call.bounds().1)
    }

    /// Looks for the largest cells of all panes. What it finds holds until panes go or rows are added without asking.
    fn measure_bounds(&mut self) {
        let bounds = &mut self.scratch.bounds;
        bounds.clear();
        bounds.resize(self.spec.calls.len(), 0.0);
        for (_, pane) in self.state.panes.iter() {
            for (bound, call) in bounds.iter_mut().zip(&pane.calls) {
                *bound = bound.max(call.bounds().0);
            }
        }
    }
}
