//! The fast path: rows that only come, each a step of its own, of one window.
//!
//! One loop per aggregate over the whole run; each writes the running result after each row straight into the
//! output column.

use super::AggregateSpec;
use super::given::Given;
use super::pane::AggregatePane;
use crate::batch::{ChangeBatch, Op};
use crate::functions::aggregate::CallRows;
use crate::state::{GroupId, values_equal};

/// No row.
const NONE: u32 = u32::MAX;
/// Marks a place as one among the run's new rows.
const NEW: u32 = 1 << 31;

/// Buffers of a run.
#[derive(Default)]
pub(super) struct RunScratch {
    groups: Vec<GroupId>,
    /// 1 for the rows that made their group.
    fresh: Vec<u8>,
    /// Groups whose rows stood before the run, in order of their first row in it.
    old: Vec<GroupId>,
    /// Per row, where the row that it replaces stands.
    replaced: Vec<u32>,
    /// Per group of the pane, its last row in the run so far.
    last: Vec<u32>,
    /// Rows of the comparison to show.
    shown: Vec<u32>,
}

/// A run.
pub(super) struct Run<'a> {
    pub(super) spec: &'a AggregateSpec,
    pub(super) given: Given<'a>,
    /// The window's bounds, where there are windows.
    pub(super) bounds: Option<(i64, i64)>,
    pub(super) rows: &'a [u32],
}

/// Whether adding so many of the rows to a pane certainly overflows nothing. What is safe counts as added.
pub(super) fn is_safe(pane: &mut AggregatePane, given: &Given<'_>, rows: usize) -> bool {
    given.fallible_calls().all(|(call, largest)| pane.calls[call].has_room(largest, rows))
}

impl Run<'_> {
    /// Applies the run, which is safe.
    pub(super) fn apply(
        &self,
        pane: &mut AggregatePane,
        hashes: &[u64],
        scratch: &mut RunScratch,
        wide: &mut ChangeBatch,
        out: &mut ChangeBatch,
    ) {
        scratch.groups.clear();
        scratch.fresh.clear();
        let groups = &mut scratch.groups;
        if pane.keys.find_or_insert(&self.given, hashes, self.rows, groups, &mut scratch.fresh) {
            pane.grow();
        }
        if self.spec.is_final {
            self.accumulate(pane, &scratch.groups, &scratch.fresh);
        } else if self.spec.before || !self.spec.counts_every_row() {
            self.compare(pane, scratch, wide, out);
        } else {
            self.emit(pane, &scratch.groups, out);
            self.mark(&scratch.fresh, out);
        }
        self.note_times(pane, &scratch.groups);
    }

    fn accumulate(&self, pane: &mut AggregatePane, groups: &[GroupId], fresh: &[u8]) {
        for (call, given) in pane.calls.iter_mut().zip(self.given.calls(self.rows, groups)) {
            let fits = call.add(&CallRows { fresh, ..given });
            debug_assert!(fits, "the run is safe");
        }
    }

    /// Adds the rows and appends each row's values after it, without marks.
    fn emit(&self, pane: &mut AggregatePane, groups: &[GroupId], out: &mut ChangeBatch) {
        let keys = pane.emit_keys(self.bounds, groups, out);
        let calls = pane.calls.iter_mut().zip(self.given.calls(self.rows, groups));
        for ((call, given), column) in calls.zip(&mut out.columns[keys..]) {
            call.add_running(&given, column);
        }
    }

    fn event_times(&self, out: &mut Vec<i64>) {
        match self.bounds {
            Some((_, end)) => out.resize(out.len() + self.rows.len(), end - 1),
            None => out.extend(self.rows.iter().map(|&row| self.given.input.event_times[row as usize])),
        }
    }

    fn mark(&self, fresh: &[u8], out: &mut ChangeBatch) {
        let op = |&fresh: &u8| if fresh != 0 { Op::Insert } else { Op::UpdateAfter };
        out.ops.extend(fresh.iter().map(op));
        out.seqs.extend(self.rows.iter().map(|&row| self.given.input.seqs[row as usize]));
        self.event_times(&mut out.event_times);
    }

    fn note_times(&self, pane: &mut AggregatePane, groups: &[GroupId]) {
        if let Some(times) = &mut pane.times {
            let times = times.write(groups);
            for (&row, &group) in self.rows.iter().zip(groups) {
                times[group as usize] = self.given.input.event_times[row as usize];
            }
        }
    }

    /// Adds the rows and shows those that change their group's row, with the old one where it is wanted.
    fn compare(
        &self,
        pane: &mut AggregatePane,
        scratch: &mut RunScratch,
        wide: &mut ChangeBatch,
        out: &mut ChangeBatch,
    ) {
        scratch.find_replaced(pane.keys.capacity());
        wide.clear();
        pane.emit_values(self.bounds, &scratch.old, wide);
        let end = self.bounds.map(|(_, end)| end - 1);
        let old_times = scratch.old.iter().map(|&group| pane.time(group).or(end).unwrap_or(0));
        wide.event_times.extend(old_times);
        self.emit(pane, &scratch.groups, wide);
        self.event_times(&mut wide.event_times);
        let old = scratch.old.len() as u32;
        let first_call = self.spec.types.len() - self.spec.calls.len();
        scratch.shown.clear();
        for (at, (&row, &replaced)) in self.rows.iter().zip(&scratch.replaced).enumerate() {
            let new = old + at as u32;
            let seq = self.given.input.seqs[row as usize];
            let op = if replaced == NONE {
                Op::Insert
            } else {
                let before = if replaced & NEW != 0 { old + (replaced & !NEW) } else { replaced };
                let calls = &wide.columns[first_call..];
                if calls.iter().all(|call| values_equal(call, before as usize, call, new as usize)) {
                    continue;
                }
                if self.spec.before {
                    scratch.shown.push(before);
                    out.push_mark(Op::UpdateBefore, seq, wide.event_times[before as usize]);
                }
                Op::UpdateAfter
            };
            scratch.shown.push(new);
            out.push_mark(op, seq, wide.event_times[new as usize]);
        }
        for (column, from) in out.columns.iter_mut().zip(&wide.columns) {
            column.extend_selected(from, &scratch.shown);
        }
    }
}

impl RunScratch {
    /// Fills `old` and `replaced` from `groups` and `fresh`.
    fn find_replaced(&mut self, capacity: usize) {
        self.old.clear();
        self.replaced.clear();
        self.last.resize(capacity.max(self.last.len()), NONE);
        for (at, (&group, &fresh)) in self.groups.iter().zip(&self.fresh).enumerate() {
            let last = std::mem::replace(&mut self.last[group as usize], NEW | at as u32);
            self.replaced.push(if fresh != 0 {
                NONE
            } else if last != NONE {
                last
            } else {
                self.old.push(group);
                self.old.len() as u32 - 1
            });
        }
        for &group in &self.groups {
            self.last[group as usize] = NONE;
        }
    }
}
