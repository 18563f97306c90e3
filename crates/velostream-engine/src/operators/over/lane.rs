//! `Lane`: the calls of one PARTITION BY with the state of its partitions.

use super::call::{Call, Calls, Computation, Run};
use super::expire::Dues;
use super::frames::{Need, SlidFrame};
use super::revise::{Revisable, Revision};
use super::{Lost, PartitionSpec, Segment};
use crate::batch::ChangeBatch;
use crate::column::Column;
use crate::error::Result;
use crate::functions::aggregate::{Aggregate, CallRows};
use crate::state::{
    GroupColumns, GroupId, KeyColumns, KeyTable, RowQueues, RowStore, composite_state, hash_rows,
};
use std::ops::Range;
use velostream_sql::plan::Frame;
use velostream_sql::types::DataType;

/// What does not change from batch to batch.
pub(super) struct Layout {
    /// Positions of the columns that make the partitions.
    pub(super) keys: Vec<usize>,
    pub(super) calls: Vec<Call>,
    /// Where the calls' results begin among those of all lanes.
    pub(super) first_call: usize,
    /// The frames that slide, each once.
    pub(super) frames: Vec<Frame>,
    /// Positions of the input's columns that are kept.
    pub(super) kept: Vec<usize>,
    need: Need,
    /// Whether anything is kept of the rows.
    keeps_rows: bool,
    /// Per fold, a column of one NULL.
    pub(super) nulls: Vec<Column>,
}

/// The state of all partitions; a partition's number is that of its key.
pub(super) struct Partitions {
    pub(super) keys: KeyTable,
    /// What calls can still need of each row.
    pub(super) rows: RowQueues,
    /// Kept where rows can come before others.
    pub(super) revisable: Option<Revisable>,
    /// Per frame that slides, how many rows are in that of each partition's last row.
    pub(super) lengths: Vec<GroupColumns<u32>>,
    pub(super) aggregates: Vec<Box<dyn Aggregate>>,
    pub(super) folds: Vec<RowStore>,
    /// Kept where partitions expire.
    pub(super) dues: Option<Dues>,
}
composite_state!(Partitions { keys, rows, revisable, lengths, aggregates, folds, dues });

/// Buffers that live from batch to batch and hold nothing between them.
#[derive(Default)]
pub(super) struct LaneScratch {
    hashes: Vec<u64>,
    /// Of the rows in hand.
    pub(super) groups: Vec<GroupId>,
    fresh: Vec<u8>,
    places: Vec<u32>,
    pub(super) slots: Vec<u32>,
    frames: Vec<SlidFrame>,
    pub(super) revision: Revision,
}

/// The operator's part for one PARTITION BY.
pub(super) struct Lane {
    pub(super) layout: Layout,
    pub(super) state: Partitions,
    pub(super) scratch: LaneScratch,
}
composite_state!(Lane { state });

impl Lane {
    /// No partitions yet.
    pub(super) fn new(
        spec: &PartitionSpec,
        input: &[DataType],
        first_call: usize,
        revises: bool,
    ) -> Result<Self> {
        let Calls { calls, frames, kept, aggregates, folds } = Calls::new(&spec.calls, revises)?;
        let type_of = |&position: &usize| input[position];
        let keys: Vec<DataType> = spec.keys.iter().map(type_of).collect();
        let kept_types: Vec<DataType> = kept.iter().map(type_of).collect();
        let results: Vec<DataType> = calls.iter().map(|call| call.spec.data_type).collect();
        let lag = calls.iter().map(|call| match call.computation {
            Computation::Lag { offset, .. } => offset,
            _ => 0,
        });
        let need = Need::of(&frames, lag.max().unwrap_or(0), revises && !folds.is_empty());
        let keeps_rows = revises || need.rows > 0 || !frames.is_empty();
        let null_of = |store: &RowStore| {
            let mut null = Column::new(store.columns()[0].data_type);
            null.push_null();
            null
        };
        let nulls = folds.iter().map(null_of).collect();
        let dues = Dues::new(&calls);
        let scratch = LaneScratch {
            frames: frames.iter().map(|_| SlidFrame::default()).collect(),
            revision: Revision::new(&results, frames.len()),
            ..LaneScratch::default()
        };
        let state = Partitions {
            keys: KeyTable::new(&keys),
            rows: RowQueues::new(&kept_types),
            revisable: revises.then(|| Revisable::new(&results)),
            lengths: frames.iter().map(|_| GroupColumns::default()).collect(),
            aggregates,
            folds,
            dues,
        };
        let keys = spec.keys.clone();
        let layout = Layout { keys, calls, first_call, frames, kept, need, keeps_rows, nulls };
        Ok(Self { layout, state, scratch })
    }

    /// Whether applying these rows certainly overflows nothing. All calls are asked, as each counts what it is asked of.
    pub(super) fn is_safe(&mut self, input: &ChangeBatch, rows: &[u32]) -> bool {
        let Partitions { rows: held, aggregates, .. } = &mut self.state;
        self.layout.calls.iter().filter(|call| call.fallible).fold(true, |is_safe, call| {
            let values = call.given(input).values;
            let given = CallRows::all(values, rows, &[]);
            is_safe
                & match (call.computation, call.kept(held).values) {
                    (Computation::Slide { aggregate, .. } | Computation::Run { aggregate }, Some(held)) => {
                        aggregates[aggregate].is_safe_within(&given, held)
                    }
                    (Computation::Run { aggregate }, None) => aggregates[aggregate].is_safe(&given),
                    _ => true,
                }
        })
    }

    /// Hashes the keys of a batch's rows.
    pub(super) fn hash(&mut self, input: &ChangeBatch, rows: &[u32]) {
        let keys = &self.layout.keys;
        hash_rows(keys.len(), |index| &input.columns[keys[index]], rows, &mut self.scratch.hashes);
    }

    /// Takes some of the hashed rows in hand and finds their partitions.
    pub(super) fn take(&mut self, input: &ChangeBatch, rows: &[u32], hashed: Range<usize>) {
        let LaneScratch { hashes, groups, fresh, .. } = &mut self.scratch;
        groups.clear();
        fresh.clear();
        let keys = KeyColumns { columns: &input.columns, positions: &self.layout.keys };
        if !self.state.keys.find_or_insert(&keys, &hashes[hashed], rows, groups, fresh) {
            return;
        }
        self.state.grow(&self.layout.nulls);
        if let Some(dues) = &mut self.state.dues {
            for (step, &row) in rows.iter().enumerate().filter(|(step, _)| fresh[*step] != 0) {
                dues.push(input.event_times[row as usize], groups[step]);
            }
        }
    }

    /// Forgets where rows were put.
    pub(super) fn begin(&mut self) {
        self.scratch.places.clear();
        self.scratch.slots.clear();
    }

    /// Whether the row at a position of those in hand belongs before another of its partition.
    pub(super) fn comes_before(&self, index: usize, time: i64) -> bool {
        let order = self.state.rows.order(self.scratch.groups[index]);
        order.back().is_some_and(|&(last, _)| last > time)
    }

    /// Puts rows in hand, from position `from` on, at the ends of their queues.
    #[inline]
    pub(super) fn enqueue(&mut self, input: &ChangeBatch, rows: &[u32], from: usize) {
        if !self.layout.keeps_rows {
            return;
        }
        let LaneScratch { groups, places, slots, .. } = &mut self.scratch;
        let (kept, queues) = (&self.layout.kept, &mut self.state.rows);
        for (&row, &group) in rows.iter().zip(&groups[from..]) {
            let row = row as usize;
            places.push(queues.order(group).len() as u32);
            let time = input.event_times[row];
            slots.push(queues.push(group, time, |index| &input.columns[kept[index]], row));
        }
    }

    /// Appends the calls' results for rows that were put at the ends of their queues, the first of them at position
    /// `from` of those in hand.
    pub(super) fn run(
        &mut self,
        input: &ChangeBatch,
        rows: &[u32],
        from: usize,
        out: &mut [Column],
    ) -> std::result::Result<(), Lost> {
        let Partitions { rows: queues, lengths, aggregates, folds, .. } = &mut self.state;
        let LaneScratch { groups, fresh, places, frames, .. } = &mut self.scratch;
        let to = from + rows.len();
        let segment = Segment { rows, groups: &groups[from..to], fresh: &fresh[from..to], places };
        for ((slid, &frame), lengths) in frames.iter_mut().zip(&self.layout.frames).zip(lengths) {
            slid.slide(frame, lengths, queues, &segment);
        }
        let run = Run { input, rows: queues, segment, frames };
        let mut lost = None;
        for (index, (call, column)) in self.layout.calls.iter().zip(out).enumerate() {
            if !run.compute(call, aggregates, folds, column) {
                lost.get_or_insert(index);
            }
        }
        lost.map_or(Ok(()), |call| Err(Lost(self.layout.first_call + call)))
    }

    /// Keeps the results of rows in hand, which begin at row `first` of `out`.
    pub(super) fn keep_results(&mut self, out: &[Column], first: usize) {
        let Some(revisable) = &mut self.state.revisable else { return };
        for (step, &slot) in self.scratch.slots.iter().enumerate() {
            revisable.set_results(slot, out, first + step);
        }
    }

    /// Drops rows of the partitions in hand that nothing can need any more.
    pub(super) fn drop_rows(&mut self, horizon: i64) {
        if !self.layout.keeps_rows {
            return;
        }
        let Partitions { rows, lengths, .. } = &mut self.state;
        for &group in &self.scratch.groups {
            let longest = lengths.iter().map(|lengths| lengths.values()[group as usize]).max().unwrap_or(0);
            for _ in 0..self.layout.need.droppable(rows, group, horizon, longest as usize) {
                rows.drop_front(group);
            }
        }
    }
}

impl Partitions {
    /// Brings all columns to the number of partitions.
    fn grow(&mut self, nulls: &[Column]) {
        let groups = self.keys.capacity();
        self.rows.grow(groups);
        self.lengths.iter_mut().for_each(|lengths| lengths.grow(groups));
        self.aggregates.iter_mut().for_each(|aggregate| aggregate.grow(groups));
        for (fold, null) in self.folds.iter_mut().zip(nulls) {
            while fold.len() < groups {
                fold.push(|_| null, 0);
            }
        }
    }
}
