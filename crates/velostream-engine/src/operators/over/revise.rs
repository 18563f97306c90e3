//! A row that comes before others of a partition: it is shown, and those behind it whose results it changes are
//! shown again.
//!
//! Every call is computed again from the row to the partition's end, which leaves its state as if the rows had
//! come in their order; only results of rows that the new one can concern are taken over. Each lane does so for
//! itself, and a row that changes in several is shown again once.

use super::call::{Call, Computation, Fold};
use super::frames::first_of;
use super::lane::{Lane, Partitions};
use super::{ALL, Lanes, Lost, Over};
use crate::batch::{ChangeBatch, Op, Seq};
use crate::column::Column;
use crate::functions::aggregate::{Aggregate, Slides};
use crate::state::{GroupColumns, GroupId, RowQueues, RowStore, composite_state, values_equal};
use velostream_sql::plan::Frame;
use velostream_sql::types::DataType;

/// What a lane keeps of the rows that can still change. A row has a slot in the lane, and an id that all lanes
/// know it by.
pub(super) struct Revisable {
    /// The lane's results, by slot.
    results: RowStore,
    /// By slot.
    ids: GroupColumns<u32>,
    /// By id.
    slots: GroupColumns<u32>,
}
composite_state!(Revisable { results, ids, slots });

impl Revisable {
    /// For calls of these types.
    pub(super) fn new(types: &[DataType]) -> Self {
        let results = RowStore::new(types);
        Self { results, ids: GroupColumns::default(), slots: GroupColumns::default() }
    }

    fn link(&mut self, slot: u32, id: u32) {
        self.ids.grow(slot as usize + 1);
        self.ids.set(slot, id);
        self.slots.grow(id as usize + 1);
        self.slots.set(id, slot);
    }

    /// Takes row `row` of `columns` as the results of a slot: the next one or one that is there.
    pub(super) fn set_results(&mut self, slot: u32, columns: &[Column], row: usize) {
        if slot as usize == self.results.len() {
            self.results.push(|index| &columns[index], row);
        } else {
            self.results.set(slot, |index| &columns[index], row);
        }
    }

    fn slot(&self, id: u32) -> usize {
        self.slots.values()[id as usize] as usize
    }
}

/// What a lane computes for a revision; holds nothing between them.
#[derive(Default)]
pub(super) struct Revision {
    /// Slots of all rows of the partition, in order, and where the new one stands.
    slots: Vec<u32>,
    at: usize,
    /// Per frame that slides, the position of the first row in that of each row from the new one on.
    firsts: Vec<Vec<usize>>,
    /// Per call, its results from the new row on.
    columns: Vec<Column>,
    /// Per call, how many rows behind the new one it can change.
    reach: Vec<usize>,
    /// The partition's number, once per row, and where the rows that leave end.
    groups: Vec<GroupId>,
    ends: Vec<u32>,
    /// By id, how many places behind the new row a row that it can change stands; 0 for the others.
    steps: Vec<u32>,
}

impl Revision {
    /// For calls of these types and so many frames.
    pub(super) fn new(types: &[DataType], frames: usize) -> Self {
        Self {
            columns: types.iter().map(|&data_type| Column::new(data_type)).collect(),
            firsts: vec![Vec::new(); frames],
            ..Self::default()
        }
    }

    /// The rows that can change, behind the new one.
    fn reached(&self) -> &[u32] {
        let farthest = self.reach.iter().copied().max().unwrap_or(0);
        &self.slots[self.at + 1..=self.at + farthest]
    }
}

/// The new row's partition and place.
#[derive(Clone, Copy)]
struct Place {
    group: GroupId,
    at: usize,
}

impl Over {
    /// Applies a row, at position `index` of those in hand, that belongs before another in some lane.
    pub(super) fn revise(
        &mut self,
        input: &ChangeBatch,
        row: u32,
        index: usize,
        out: &mut ChangeBatch,
    ) -> Result<(), Lost> {
        let Lanes { lanes, open } = &mut self.state;
        let open = open.as_mut().expect("open rows are kept where rows are revised");
        let (time, seq) = (input.event_times[row as usize], input.seqs[row as usize]);
        let shown = |column: usize| &input.columns[self.spec.columns[column]];
        let place = open.insert(ALL, time, shown, row as usize);
        let id = open.order(ALL)[place].1;
        let mut result = Ok(());
        for lane in lanes.iter_mut() {
            result = result.and(lane.revise(input, row, index, id));
        }
        self.show_revision(place, seq, out);
        result
    }

    /// Shows the new row, which stands at a place among the open ones, and those behind it that it changed.
    fn show_revision(&mut self, place: usize, seq: Seq, out: &mut ChangeBatch) {
        let Lanes { lanes, open } = &mut self.state;
        let open = open.as_ref().expect("open rows are kept where rows are revised");
        let shown = self.spec.columns.len();
        let show = |out: &mut ChangeBatch, at: usize, op: Op| {
            let (time, id) = open.order(ALL)[at];
            for (to, from) in out.columns[..shown].iter_mut().zip(open.columns()) {
                to.push_from(from, id as usize);
            }
            out.push_mark(op, seq, time);
        };
        let mut waiting: usize = lanes.iter_mut().map(Lane::mark_reached).sum();
        for at in place..open.order(ALL).len() {
            let id = open.order(ALL)[at].1;
            let is_new = at == place;
            let marks: usize = lanes.iter().filter(|lane| lane.step(id) > 0).count();
            waiting -= marks;
            if !is_new && !lanes.iter().any(|lane| lane.changes(id)) {
                if waiting == 0 { break } else { continue }
            }
            if !is_new {
                each_lane(lanes, &mut out.columns[shown..], |lane, to| lane.push_old(id, to));
                show(out, at, Op::UpdateBefore);
            }
            each_lane(lanes, &mut out.columns[shown..], |lane, to| lane.push_new(id, is_new, to));
            show(out, at, if is_new { Op::Insert } else { Op::UpdateAfter });
            let last = out.len() - 1;
            each_lane(lanes, &mut out.columns[shown..], |lane, results| lane.keep(id, results, last));
        }
        lanes.iter_mut().for_each(Lane::unmark_reached);
    }
}

/// Calls `f` with each lane and its columns of the results.
fn each_lane(lanes: &mut [Lane], mut columns: &mut [Column], mut f: impl FnMut(&mut Lane, &mut [Column])) {
    for lane in lanes {
        let (own, others) = columns.split_at_mut(lane.layout.calls.len());
        f(lane, own);
        columns = others;
    }
}

impl Lane {
    /// Gives the row that was put into its queue last its id.
    pub(super) fn link_last(&mut self, id: u32) {
        if let (Some(revisable), Some(slot)) = (&mut self.state.revisable, self.scratch.slots.last()) {
            revisable.link(*slot, id);
        }
    }

    fn revisable(&self) -> &Revisable {
        self.state.revisable.as_ref().expect("results are kept where rows are revised")
    }

    /// Computes the calls of a row, and those behind it of its partition that it can change.
    fn revise(&mut self, input: &ChangeBatch, row: u32, index: usize, id: u32) -> Result<(), Lost> {
        let time = input.event_times[row as usize];
        if !self.comes_before(index, time) {
            return self.append(input, row, index, id);
        }
        let group = self.scratch.groups[index];
        let kept = &self.layout.kept;
        let at = self.state.rows.insert(group, time, |index| &input.columns[kept[index]], row as usize);
        let place = Place { group, at };
        self.find_firsts(place);
        let computed = self.compute_again(place);
        let Revision { slots, firsts, .. } = &self.scratch.revision;
        for (lengths, firsts) in self.state.lengths.iter_mut().zip(firsts) {
            let first = firsts.last().map_or(at, |&first| first);
            lengths.set(group, (slots.len() - first) as u32);
        }
        let slot = slots[at];
        self.state.revisable.as_mut().expect("results are kept where rows are revised").link(slot, id);
        computed
    }

    /// Computes the calls of a row that is its partition's last.
    fn append(&mut self, input: &ChangeBatch, row: u32, index: usize, id: u32) -> Result<(), Lost> {
        self.begin();
        self.enqueue(input, &[row], index);
        self.link_last(id);
        let mut columns = std::mem::take(&mut self.scratch.revision.columns);
        columns.iter_mut().for_each(Column::clear);
        let computed = self.run(input, &[row], index, &mut columns);
        let revision = &mut self.scratch.revision;
        revision.columns = columns;
        revision.reach.clear();
        revision.reach.resize(self.layout.calls.len(), 0);
        revision.slots.clone_from(&self.scratch.slots);
        revision.at = 0;
        computed
    }

    /// Notes which rows can change; gives how many.
    fn mark_reached(&mut self) -> usize {
        let ids = self.state.revisable.as_ref().map_or(&[][..], |revisable| revisable.ids.values());
        let mut steps = std::mem::take(&mut self.scratch.revision.steps);
        let reached = self.scratch.revision.reached();
        for (step, &slot) in reached.iter().enumerate() {
            let id = ids[slot as usize] as usize;
            steps.resize(steps.len().max(id + 1), 0);
            steps[id] = step as u32 + 1;
        }
        let count = reached.len();
        self.scratch.revision.steps = steps;
        count
    }

    fn unmark_reached(&mut self) {
        self.scratch.revision.steps.fill(0);
    }

    /// How many places behind the new row a row stands that it can change here; 0 for others.
    fn step(&self, id: u32) -> usize {
        self.scratch.revision.steps.get(id as usize).map_or(0, |&step| step as usize)
    }

    /// The column and row of a call's result after the revision.
    fn new_result(&self, call: usize, id: u32, is_new: bool) -> (&Column, usize) {
        let Revision { columns, reach, .. } = &self.scratch.revision;
        let step = self.step(id);
        if is_new || step > 0 && step <= reach[call] {
            (&columns[call], step)
        } else {
            self.old_result(call, id)
        }
    }

    fn old_result(&self, call: usize, id: u32) -> (&Column, usize) {
        let revisable = self.revisable();
        (&revisable.results.columns()[call], revisable.slot(id))
    }

    /// Whether a row's results are others than before.
    fn changes(&self, id: u32) -> bool {
        let differs = |call: usize| {
            let ((new, new_row), (old, old_row)) =
                (self.new_result(call, id, false), self.old_result(call, id));
            !values_equal(new, new_row, old, old_row)
        };
        self.step(id) > 0 && (0..self.layout.calls.len()).any(differs)
    }

    fn push_old(&self, id: u32, out: &mut [Column]) {
        for (call, to) in out.iter_mut().enumerate() {
            let (from, row) = self.old_result(call, id);
            to.push_from(from, row);
        }
    }

    fn push_new(&self, id: u32, is_new: bool, out: &mut [Column]) {
        for (call, to) in out.iter_mut().enumerate() {
            let (from, row) = self.new_result(call, id, is_new);
            to.push_from(from, row);
        }
    }

    /// Takes row `row` of `columns` as a row's results.
    fn keep(&mut self, id: u32, columns: &[Column], row: usize) {
        if let Some(revisable) = &mut self.state.revisable {
            let slot = revisable.slots.values()[id as usize];
            revisable.set_results(slot, columns, row);
        }
    }

    /// Fills `slots`, `groups` and `firsts`.
    fn find_firsts(&mut self, Place { group, at }: Place) {
        let scratch = &mut self.scratch.revision;
        let rows = &self.state.rows;
        scratch.at = at;
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
        let Partitions { rows, revisable, lengths, aggregates, folds, .. } = &mut self.state;
        let results = revisable.as_ref().map_or(&[][..], |revisable| revisable.results.columns());
        let Revision { slots, firsts, columns, reach, groups, ends, .. } = &mut self.scratch.revision;
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
                    let previous = previous.map(|slot| (&results[index], slot));
                    again.fold(kind, previous, (&mut folds[fold], &self.layout.nulls[fold]), out);
                }
                Computation::First { frame } => again.first(&firsts[frame], out),
                Computation::Lag { offset, default } => {
                    let kept = |column| self.layout.kept.iter().position(|&known| known == column);
                    again.lag(offset, default.and_then(kept), out);
                }
            }
            if !fits {
                lost.get_or_insert(self.layout.first_call + index);
            }
        }
        lost.map_or(Ok(()), |call| Err(Lost(call)))
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
