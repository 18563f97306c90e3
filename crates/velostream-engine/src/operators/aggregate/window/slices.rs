//! Overlapping windows of which only the final rows are shown: a row goes into one pane, that of its slice of time,
//! and a window is merged from its slices when it closes.
//!
//! The panes' births are in one order, so that the groups of a window come in that of their first records. A sum
//! must fit in every window at once, though no pane has it: while the largest cell of any pane, as often as there
//! are panes, is within the limit, it does; otherwise rows go step by step, and each window is looked at.

use super::super::pane::AggregatePane;
use super::super::{Aggregate, AggregateSpec, given::Given, run, steps};
use super::{Grid, Span};
use crate::batch::{ChangeBatch, Seq};
use crate::functions::aggregate::merges_exactly;
use crate::operators::Context;
use crate::state::{GroupId, Pane, Panes};

/// A window while it is merged.
pub(in super::super) struct MergeScratch {
    pub pane: AggregatePane,
    /// The births of its groups.
    births: Vec<u64>,
    /// Groups of a slice, with their hashes, and the window's groups they go into.
    from: Vec<GroupId>,
    hashes: Vec<u64>,
    into: Vec<GroupId>,
    fresh: Vec<u8>,
}

impl MergeScratch {
    /// Of windows that are merged from slices; `None` where they are not.
    pub fn new(spec: &AggregateSpec, grid: Option<&Grid>) -> crate::error::Result<Option<Self>> {
        let overlaps = grid.is_some_and(Grid::overlaps);
        let merges = spec.is_final && !spec.updating_input && spec.calls.iter().all(merges_exactly);
        if !overlaps || !merges {
            return Ok(None);
        }
        Ok(Some(Self {
            pane: AggregatePane::new(spec)?,
            births: Vec::new(),
            from: Vec::new(),
            hashes: Vec::new(),
            into: Vec::new(),
            fresh: Vec::new(),
        }))
    }

    /// Whether the window that ends at `end` has room for the group that is number `group` in the pane at `index`; if
    /// not, the call that has none.
    pub fn fits(
        &mut self,
        panes: &Panes<Span, AggregatePane>,
        index: usize,
        group: GroupId,
        end: i64,
    ) -> Result<(), usize> {
        let Some((_, own)) = panes.iter().nth(index) else { return Ok(()) };
        let (keys, hash) = (own.keys.columns(), own.keys.hash(group));
        self.clear();
        let whole = self.pane.keys.insert(&keys, hash, group as usize);
        self.pane.grow();
        let mut lost = None;
        for (_, slice) in panes.iter().filter(|(span, _)| span.holds(end)) {
            let Some(part) = slice.keys.find(&keys, hash, group as usize) else { continue };
            let mut pairs = self.pane.calls.iter_mut().zip(&slice.calls);
            lost = lost.or(pairs.position(|(call, other)| !call.absorb(&**other, &[part], &[whole])));
        }
        let full = self.pane.calls.iter().position(|call| !call.verify(&[whole]));
        self.clear();
        lost.or(full).map_or(Ok(()), Err)
    }

    fn clear(&mut self) {
        self.pane.clear();
        self.births.clear();
    }

    /// Adds the groups of a slice.
    fn absorb(&mut self, slice: &AggregatePane) {
        let Self { pane, births, from, hashes, into, fresh } = self;
        slice.keys.in_order(from);
        hashes.clear();
        hashes.extend(from.iter().map(|&group| slice.keys.hash(group)));
        into.clear();
        fresh.clear();
        if pane.keys.find_or_insert(&slice.keys.columns(), hashes, from, into, fresh) {
            pane.grow();
        }
        births.resize(pane.keys.capacity(), u64::MAX);
        for (&from, &into) in from.iter().zip(into.iter()) {
            let birth = &mut births[into as usize];
            *birth = slice.keys.birth(from).min(*birth);
        }
        for (call, other) in pane.calls.iter_mut().zip(&slice.calls) {
            let fits = call.absorb(&**other, from, into);
            debug_assert!(fits, "each row was added only where its windows have room");
        }
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
        for (_, slice) in self.state.panes.iter().filter(|(span, _)| span.holds(end)) {
            merge.absorb(slice);
        }
        groups.clear();
        groups.extend(0..merge.pane.len() as u32);
        groups.sort_unstable_by_key(|&group| merge.births[group as usize]);
        merge.pane.emit_groups(bounds, seq, groups, out);
        merge.clear();
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
            return self.refresh_bounds();
        }
        let mut at = from;
        while at < to {
            let next = self.run_end(at, to);
            self.add_run(input, (at, next), out);
            at = next;
        }
    }

    /// Whether adding these rows certainly overflows nothing in any window. What is safe counts as added.
    fn has_room(&mut self, input: &ChangeBatch, (from, to): (usize, usize)) -> bool {
        let given = Given { evaluation: &self.evaluation, input };
        let (mut at, mut safe) = (from, true);
        while at < to {
            let next = self.run_end(at, to);
            let index = self.state.panes.find_or_open(self.scratch.spans[at]);
            let pane = self.state.panes.at(index);
            safe &= run::is_safe(pane, &given, &self.scratch.rows[at..next]);
            for (bound, call) in self.state.bounds.iter_mut().zip(&pane.calls) {
                bound.set(bound.get().max(call.bounds().0));
            }
            at = next;
        }
        let panes = self.state.panes.len() as f64;
        let index = self.state.panes.find(self.scratch.spans[from]).expect("the pane was opened");
        let calls = &self.state.panes.at(index).calls;
        let mut pairs = self.state.bounds.iter().zip(calls);
        safe && pairs.all(|(bound, call)| bound.get() * panes <= call.bounds().1)
    }

    /// Brings the largest cells down to what they are, after panes went or rows were added without asking.
    pub(super) fn refresh_bounds(&mut self) {
        for (index, bound) in self.state.bounds.iter_mut().enumerate() {
            let cells = self.state.panes.iter().map(|(_, pane)| pane.calls[index].bounds().0);
            bound.set(cells.fold(0.0, f64::max));
        }
    }
}
