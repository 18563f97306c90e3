//! A row that comes before others of its partition: it is shown, and those behind it whose results it changes are
//! shown again.
//!
//! Every call is computed again from the row to the partition's end, which leaves its state as if the rows had
//! come in their order; only results of rows that the new one can concern are taken over.

use super::call::{Call, Computation, Fold};
use super::frames::first_of;
use super::{Lost, Over, Partitions, put};
use crate::batch::{ChangeBatch, Op, Seq};
use crate::column::Column;
use crate::functions::aggregate::{Aggregate, Slides};
use crate::state::{GroupId, RowQueues, RowStore, values_equal};
use velostream_sql::plan::Frame;
use velostream_sql::types::DataType;

/// Buffers of a revision.
#[derive(Default)]
pub(super) struct RevisionScratch {
    /// Slots of all rows of the partition, in order.
    slots: Vec<u32>,
    /// Per frame that slides, the position of the first row in that of each row from the new one on.
    firsts: Vec<Vec<usize>>,
    /// Per call, its results from the new row on.
    columns: Vec<Column>,
    /// Per call, how many rows behind the new one it can change.
    reach: Vec<usize>,
    /// The partition's number, once per row, and where the rows that leave end.
    groups: Vec<GroupId>,
    ends: Vec<u32>,
}

impl RevisionScratch {
    /// For calls of these types and so many frames.
    pub(super) fn new(types: &[DataType], frames: usize) -> Self {
        Self {
            columns: types.iter().map(|&data_type| Column::new(data_type)).collect(),
            firsts: vec![Vec::new(); frames],
            ..Self::default()
        }
    }
}

/// The new row's partition and place.
#[derive(Clone, Copy)]
struct Place {
    group: GroupId,
    at: usize,
}

impl Over {
    /// Applies a row that belongs before others.
    pub(super) fn revise(
        &mut self,
        input: &ChangeBatch,
        row: u32,
        group: GroupId,
        out: &mut ChangeBatch,
    ) -> Result<(), Lost> {
        let row = row as usize;
        let time = input.event_times[row];
        let kept = &self.layout.kept;
        let at = self.state.rows.insert(group, time, |index| &input.columns[kept[index]], row);
        let place = Place { group, at };
        self.find_firsts(place);
        let computed = self.compute_again(place);
        for (index, &frame) in self.layout.frames.iter().enumerate() {
            debug_assert_ne!(frame, Frame::Unbounded, "only frames that slide have a length");
            let count = self.scratch.revision.slots.len();
            let first = self.scratch.revision.firsts[index].last().map_or(at, |&first| first);
            self.state.lengths[index].set(group, (count - first) as u32);
        }
        self.show_revision(place, input.seqs[row], out);
        computed
    }

    /// Fills `slots`, `groups` and `firsts`.
    fn find_firsts(&mut self, Place { group, at }: Place) {
        let scratch = &mut self.scratch.revision;
        let rows = &self.state.rows;
        scratch.slots.clear();
        scratch.slots.extend(rows.order(group).iter().map(|&(_, slot)| slot));
        scratch.groups.clear();
        scratch.groups.resize(scratch.slots.len() - at, group);
        for (firsts, &frame) in scratch.firsts.iter_mut().zip(&self.layout.frames) {
            firsts.clear();
            firsts.extend((at..scratch.slots.len()).map(|place| first_of(frame, rows, group, place)));
        }
    }

    fn compute_again(&mut self, place: Place) -> Result<(), Lost> {
        let Partitions { rows, results, lengths, aggregates, folds, .. } = &mut self.state;
        let results = results.as_ref().expect("results are kept where rows are revised");
        let RevisionScratch { slots, firsts, columns, reach, groups, ends } = &mut self.scratch.revision;
        let mut lost = None;
        reach.clear();
        for (index, (call, out)) in self.layout.calls.iter().zip(columns).enumerate() {
            out.clear();
            reach.push(reach_of(call, rows, place));
            let again = Again { call, rows, place, slots, groups };
            let mut fits = true;
            match call.computation {
                Computation::Slide { aggregate, frame } => {
                    let length = lengths[frame].values()[place.group as usize] as usize;
                    let aggregate = &mut *aggregates[aggregate];
                    fits = again.slide(aggregate, length, &firsts[frame], ends, out);
                }
                Computation::Run { aggregate } => fits = again.run(&mut *aggregates[aggregate], out),
                Computation::Fold { fold, kind } => {
                    let previous = place.at.checked_sub(1).map(|before| slots[before] as usize);
                    let previous = previous.map(|slot| (&results.columns()[index], slot));
                    again.fold(kind, previous, (&mut folds[fold], &self.layout.nulls[fold]), out);
                }
                Computation::First { frame } => again.first(&firsts[frame], out),
                Computation::Lag { offset, default } => {
                    let kept = |column| self.layout.kept.iter().position(|&known| known == column);
                    again.lag(offset, default.and_then(kept), out);
                }
            }
            if !fits {
                lost.get_or_insert(index);
            }
        }
        lost.map_or(Ok(()), |call| Err(Lost(call)))
    }

    /// Shows the new row and those that it changed.
    fn show_revision(&mut self, Place { group, at }: Place, seq: Seq, out: &mut ChangeBatch) {
        let Partitions { rows, results, .. } = &mut self.state;
        let results = results.as_mut().expect("results are kept where rows are revised");
        let RevisionScratch { slots, columns, reach, .. } = &self.scratch.revision;
        let shown = self.layout.spec.columns.len();
        let show = |out: &mut ChangeBatch, place: usize, op: Op| {
            let slot = slots[place] as usize;
            for (to, from) in out.columns[..shown].iter_mut().zip(rows.columns()) {
                to.push_from(from, slot);
            }
            out.push_mark(op, seq, rows.order(group)[place].0);
        };
        let farthest = reach.iter().copied().max().unwrap_or(0);
        for step in 0..=farthest {
            let slot = slots[at + step];
            let concerns = |call: usize| step == 0 || step <= reach[call];
            if step > 0 {
                let changes = |(call, column): (usize, &Column)| {
                    concerns(call) && !values_equal(column, step, &results.columns()[call], slot as usize)
                };
                if !columns.iter().enumerate().any(changes) {
                    continue;
                }
                for (to, from) in out.columns[shown..].iter_mut().zip(results.columns()) {
                    to.push_from(from, slot as usize);
                }
                show(out, at + step, Op::UpdateBefore);
            }
            for (call, to) in out.columns[shown..].iter_mut().enumerate() {
                if concerns(call) {
                    to.push_from(&columns[call], step);
                } else {
                    to.push_from(&results.columns()[call], slot as usize);
                }
            }
            show(out, at + step, if step == 0 { Op::Insert } else { Op::UpdateAfter });
            put(results, slot, |call| &out.columns[shown + call], out.len() - 1);
        }
    }
}

/// How many rows behind the new one a call's results can change.
fn reach_of(call: &Call, rows: &RowQueues, Place { group, at }: Place) -> usize {
    let order = rows.order(group);
    let behind = order.len() - 1 - at;
    let (time, slot) = order[at];
    let is_aggregate = matches!(
        call.computation,
        Computation::Slide { .. }
            | Computation::Run { .. }
            | Computation::Fold { kind: Fold::Min | Fold::Max, .. }
    );
    let is_nothing = is_aggregate && !call.kept(rows).counts(slot as usize);
    match (call.computation, call.spec.frame) {
        (Computation::Lag { offset, .. }, _) => offset.min(behind),
        (_, Frame::Rows { preceding }) => (preceding as usize).min(behind),
        _ if is_nothing => 0,
        (_, Frame::Unbounded) => behind,
        (_, Frame::Range { micros }) => rows.count_until(group, time.saturating_add(micros)) - 1 - at,
    }
}

/// One call's results from the new row to the partition's end.
struct Again<'a> {
    call: &'a Call,
    rows: &'a RowQueues,
    place: Place,
    slots: &'a [u32],
    groups: &'a [GroupId],
}

impl Again<'_> {
    /// The rows of the old last frame leave, those of the new row's frame enter, and it slides to the end.
    fn slide(
        &self,
        aggregate: &mut dyn Aggregate,
        length: usize,
        firsts: &[usize],
        ends: &mut Vec<u32>,
        out: &mut Column,
    ) -> bool {
        let Place { group, at } = self.place;
        let columns = self.call.kept(self.rows);
        let mut fits = true;
        let mut old = self.slots.len() - 1 - length;
        old += usize::from(old >= at);
        for place in (old..self.slots.len()).filter(|&place| place != at) {
            fits &= aggregate.retract_one(&columns, self.slots[place], group);
        }
        for &slot in &self.slots[firsts[0]..at] {
            fits &= aggregate.add_one(&columns, slot, group);
        }
        let (first, last) = (firsts[0], firsts[firsts.len() - 1]);
        ends.clear();
        ends.extend(firsts.iter().map(|&own| (own - first) as u32));
        let (rows, gone) = (&self.slots[at..], &self.slots[first..last]);
        let steps = Slides { given: columns, rows, groups: self.groups, kept: columns, gone, ends };
        fits & aggregate.slide(&steps, out)
    }

    /// The rows behind the new one leave, then it and they enter.
    fn run(&self, aggregate: &mut dyn Aggregate, out: &mut Column) -> bool {
        let Place { group, at } = self.place;
        let columns = self.call.kept(self.rows);
        let mut fits = true;
        for &slot in self.slots[at + 1..].iter().rev() {
            fits &= aggregate.retract_one(&columns, slot, group);
        }
        let rows = &self.slots[at..];
        let steps = Slides { given: columns, rows, groups: self.groups, kept: columns, gone: &[], ends: &[] };
        fits & aggregate.slide(&steps, out)
    }

    /// Goes on from the result of the row before, where there is one.
    fn fold(
        &self,
        kind: Fold,
        previous: Option<(&Column, usize)>,
        (result, null): (&mut RowStore, &Column),
        out: &mut Column,
    ) {
        let group = self.place.group;
        let columns = self.call.kept(self.rows);
        let argument = columns.values.expect("a fold has an argument");
        let (source, row) = previous.unwrap_or((null, 0));
        result.set(group, |_| source, row);
        let mut is_first = previous.is_none();
        for &slot in &self.slots[self.place.at..] {
            let so_far = (!is_first).then(|| (&result.columns()[0], group as usize));
            if kind.takes(so_far, &columns, slot as usize) {
                result.set(group, |_| argument, slot as usize);
            }
            is_first = false;
            out.push_from(&result.columns()[0], group as usize);
        }
    }

    fn first(&self, firsts: &[usize], out: &mut Column) {
        let argument = self.call.kept(self.rows).values.expect("FIRST_VALUE has an argument");
        firsts.iter().for_each(|&first| out.push_from(argument, self.slots[first] as usize));
    }

    /// `default` is the position of the default among what is kept.
    fn lag(&self, offset: usize, default: Option<usize>, out: &mut Column) {
        let argument = self.call.kept(self.rows).values.expect("LAG has an argument");
        for place in self.place.at..self.slots.len() {
            match (place.checked_sub(offset), default) {
                (Some(before), _) => out.push_from(argument, self.slots[before] as usize),
                (None, Some(default)) => {
                    out.push_from(&self.rows.columns()[default], self.slots[place] as usize);
                }
                (None, None) => out.push_null(),
            }
        }
    }
}
