//! The general path: step by step, rows that come and go, each touched group compared before and after.

use super::given::Given;
use super::window::{Grid, Span};
use super::{AggregateSpec, Groups, NO_WINDOW, Scratch, out_of_range};
use crate::batch::{ChangeBatch, Op, Seq};
use crate::error::RecordError;
use crate::operators::Context;
use crate::state::{GroupId, State, rows_equal};

/// No row.
const NONE: u32 = u32::MAX;

/// A group that a step has touched.
#[derive(Debug, Clone, Copy)]
struct Touched {
    /// Its pane.
    span: Span,
    birth: u64,
    group: GroupId,
    /// Its row before the step, among the rows to compare.
    old: u32,
}

/// Buffers of the path.
#[derive(Default)]
pub(super) struct StepScratch {
    touched: Vec<Touched>,
    /// Scratch of whoever shows all groups.
    pub(super) groups: Vec<GroupId>,
    fresh: Vec<u8>,
}

/// What is looked at after each step besides the groups it touched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    /// Whether the windows that are merged from several panes still have room.
    pub(super) windows: bool,
}

/// The work on some rows of a batch.
pub(super) struct Steps<'a> {
    pub(super) spec: &'a AggregateSpec,
    pub(super) grid: Option<&'a Grid>,
    pub(super) check: Check,
    pub(super) given: Given<'a>,
    pub(super) state: &'a mut Groups,
}

impl Steps<'_> {
    /// Applies the rows from position `from` to position `to` of `scratch.rows`.
    pub(super) fn apply(
        &mut self,
        scratch: &mut Scratch,
        (from, to): (usize, usize),
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let input = self.given.input;
        let fallible = self.spec.is_fallible();
        let mut at = from;
        while at < to {
            let seq = input.seqs[scratch.rows[at] as usize];
            let of_step = |&row: &u32| input.seqs[row as usize] == seq;
            let next = at + scratch.rows[at..to].iter().take_while(|row| of_step(row)).count();
            if fallible {
                self.state.savepoint();
            }
            let applied = self.apply_step(scratch, (at, next));
            match applied {
                Ok(()) => {
                    self.show(scratch, seq, out);
                    if fallible {
                        self.state.commit();
                    }
                }
                Err(error) => {
                    self.forget(scratch);
                    self.state.rollback();
                    ctx.failures.push((seq, error));
                }
            }
            at = next;
        }
    }

    /// Applies one step: what goes first, then what comes.
    fn apply_step(&mut self, scratch: &mut Scratch, (from, to): (usize, usize)) -> Result<(), RecordError> {
        scratch.wide.clear();
        let ops = &self.given.input.ops;
        for at in from..to {
            if !ops[scratch.rows[at] as usize].is_addition() {
                self.apply_row(scratch, at)?;
            }
        }
        for at in from..to {
            if ops[scratch.rows[at] as usize].is_addition() {
                self.apply_row(scratch, at)?;
            }
        }
        self.verify(scratch)
    }

    /// Applies a row in each of its windows, or in the pane of all of them.
    fn apply_row(&mut self, scratch: &mut Scratch, at: usize) -> Result<(), RecordError> {
        let (Some(grid), Some(&span)) = (self.grid, scratch.spans.get(at)) else {
            return self.apply_in(scratch, at, NO_WINDOW);
        };
        if scratch.merge.is_some() {
            return self.apply_in(scratch, at, span);
        }
        grid.ends(span).try_for_each(|end| self.apply_in(scratch, at, Span::of(end)))
    }

    /// Applies a row in a pane.
    fn apply_in(&mut self, scratch: &mut Scratch, at: usize, span: Span) -> Result<(), RecordError> {
        let (row, hash) = (scratch.rows[at], scratch.hashes[at]);
        let adds = self.given.input.ops[row as usize].is_addition();
        let Some(group) = self.touch(scratch, span, hash, row, adds) else { return Ok(()) };
        let index = self.state.panes.find(span).expect("the row's pane is open");
        let pane = self.state.panes.at(index);
        if let Some(rows) = &mut pane.rows {
            let count = rows.values()[group as usize];
            rows.set(group, if adds { count + 1 } else { count - 1 });
        }
        if let Some(times) = &mut pane.times {
            times.set(group, self.given.input.event_times[row as usize]);
        }
        for (call, state) in pane.calls.iter_mut().enumerate() {
            let (rows, groups) = ([row], [group]);
            let given = self.given.call(call, &rows, &groups);
            if !self.spec.updating_input {
                // Asked for its count of what is added: the savepoint makes the answer itself needless.
                state.is_safe(&given);
            }
            if !(if adds { state.add(&given) } else { state.retract(&given) }) {
                return Err(out_of_range(&self.spec.calls[call]));
            }
        }
        Ok(())
    }

    /// Finds or makes the row's group, and keeps its row from before the step. A row that goes and never came
    /// (because its record was refused) has no group.
    fn touch(
        &mut self,
        scratch: &mut Scratch,
        span: Span,
        hash: u64,
        row: u32,
        adds: bool,
    ) -> Option<GroupId> {
        let index = if adds { self.state.panes.find_or_open(span) } else { self.state.panes.find(span)? };
        let pane = self.state.panes.at(index);
        let StepScratch { touched, groups, fresh } = &mut scratch.steps;
        let (group, is_new) = if adds {
            groups.clear();
            fresh.clear();
            pane.keys.continue_from(*self.state.next_birth.get());
            if pane.keys.find_or_insert(&self.given, &[hash], &[row], groups, fresh) {
                pane.grow();
            }
            self.state.next_birth.set(pane.keys.next_birth());
            (groups[0], fresh[0] != 0)
        } else {
            (pane.keys.find(&self.given, hash, row as usize)?, false)
        };
        pane.touched.resize(pane.touched.len().max(pane.keys.capacity()), 0);
        if pane.touched[group as usize] != 0 {
            return Some(group);
        }
        let mut old = NONE;
        if !is_new && !self.spec.is_final {
            old = scratch.wide.len() as u32;
            let window = self.grid.map(|grid| grid.bounds(span.last));
            let time = pane.time(group).or(window.map(|(_, end)| end - 1));
            pane.emit_values(window, &[group], &mut scratch.wide);
            let time = time.unwrap_or(self.given.input.event_times[row as usize]);
            scratch.wide.push_mark(Op::UpdateBefore, self.given.input.seqs[row as usize], time);
        }
        touched.push(Touched { span, birth: pane.keys.birth(group), group, old });
        pane.touched[group as usize] = touched.len() as u32;
        Some(group)
    }

    fn verify(&mut self, scratch: &mut Scratch) -> Result<(), RecordError> {
        if scratch.merge.is_some() {
            return if self.check.windows { self.verify_windows(scratch) } else { Ok(()) };
        }
        for touched in &scratch.steps.touched {
            let index = self.state.panes.find(touched.span).expect("a touched window is open");
            let pane = self.state.panes.at(index);
            if let Some(call) = pane.calls.iter().position(|call| !call.verify(&[touched.group])) {
                return Err(out_of_range(&self.spec.calls[call]));
            }
        }
        Ok(())
    }

    /// Looks at each window of the touched groups, which is merged from several panes.
    fn verify_windows(&mut self, scratch: &mut Scratch) -> Result<(), RecordError> {
        let (Some(grid), Some(merge)) = (self.grid, &mut scratch.merge) else { return Ok(()) };
        for touched in &scratch.steps.touched {
            let index = self.state.panes.find(touched.span).expect("a touched window is open");
            for end in grid.ends(touched.span) {
                let fits = merge.fits(&self.state.panes, index, touched.group, end);
                fits.map_err(|call| out_of_range(&self.spec.calls[call]))?;
            }
        }
        Ok(())
    }

    /// Ends the step without showing anything.
    fn forget(&mut self, scratch: &mut Scratch) {
        for touched in scratch.steps.touched.drain(..) {
            if let Some(index) = self.state.panes.find(touched.span) {
                self.state.panes.at(index).touched[touched.group as usize] = 0;
            }
        }
    }

    /// Ends the step: groups without rows go, then the others' rows are shown where they changed.
    fn show(&mut self, scratch: &mut Scratch, seq: Seq, out: &mut ChangeBatch) {
        let Scratch { steps, wide, .. } = scratch;
        steps.touched.sort_unstable_by_key(|touched| (touched.span, touched.birth));
        for touched in &mut steps.touched {
            let index = self.state.panes.find(touched.span).expect("a touched window is open");
            let pane = self.state.panes.at(index);
            pane.touched[touched.group as usize] = 0;
            let rows = pane.rows.as_ref().map_or(1, |rows| rows.values()[touched.group as usize]);
            if rows > 0 || self.spec.is_global() {
                continue;
            }
            if touched.old != NONE {
                out.push_row(wide, touched.old as usize, Op::Delete);
            }
            pane.remove(touched.group);
            touched.group = NONE;
            if self.grid.is_some() {
                self.state.close_if_empty(touched.span);
            }
        }
        for touched in steps.touched.drain(..) {
            if touched.group != NONE && !self.spec.is_final {
                self.show_row(touched, wide, seq, out);
            }
        }
    }

    fn show_row(&mut self, touched: Touched, wide: &mut ChangeBatch, seq: Seq, out: &mut ChangeBatch) {
        let row_time = self.step_time(seq);
        let window = self.grid.map(|grid| grid.bounds(touched.span.last));
        let index = self.state.panes.find(touched.span).expect("a touched window is open");
        let pane = self.state.panes.at(index);
        let new = wide.len();
        let time = pane.time(touched.group).or(window.map(|(_, end)| end - 1)).unwrap_or(row_time);
        pane.emit_values(window, &[touched.group], wide);
        wide.push_mark(Op::UpdateAfter, seq, time);
        let op = if touched.old == NONE {
            Op::Insert
        } else {
            let old = touched.old as usize;
            if rows_equal(&wide.columns, old, &wide.columns, new) {
                return;
            }
            if self.spec.before {
                out.push_row(wide, old, Op::UpdateBefore);
            }
            Op::UpdateAfter
        };
        out.push_row(wide, new, op);
    }

    /// The event time of the last row of a step.
    fn step_time(&self, seq: Seq) -> i64 {
        let input = self.given.input;
        let last = input.seqs.partition_point(|&other| other <= seq) - 1;
        input.event_times[last]
    }
}
