//! `Over`: for each row, calls over the rows of its partition up to it, by event time and sequence.
//!
//! A batch's partitions are looked up in one pass, its rows go to the ends of their queues, and each call then
//! goes over the rows in one loop: frames slide, so that a row costs what enters and leaves. A row that comes
//! before others of its partition takes the path of [`revise`], which computes those again that hold it. Rows go
//! as the frames and the watermark allow.
//!
//! Nothing is evaluated here: calls read plain columns. Only sums can fail; near their limits rows are applied
//! step by step under a savepoint.

mod call;
mod expire;
mod frames;
mod late;
mod order;
mod revise;

pub use order::Order;

use crate::batch::{ChangeBatch, Op};
use crate::column::Column;
use crate::error::{RecordError, Result};
use crate::functions::aggregate::{Aggregate, CallRows, is_fallible};
use crate::operators::{Context, Operator, Stateful};
use crate::state::{
    GroupColumns, GroupId, KeyColumns, KeyTable, RowQueues, RowStore, State, composite_state, hash_rows,
};
use call::{Call, Calls, Computation, Run};
use expire::{Dues, longest_range};
use frames::{Need, SlidFrame};
use velostream_sql::plan::{Frame, OverCall, OverFunction};
use velostream_sql::types::DataType;

/// What a node computes and how it shows it.
#[derive(Debug, Clone)]
pub struct OverSpec {
    /// Types of the input's columns.
    pub input: Vec<DataType>,
    /// Positions of the input's columns that are shown.
    pub columns: Vec<usize>,
    /// Positions of the columns that make the partitions; none means one partition.
    pub partition: Vec<usize>,
    /// The calls.
    pub calls: Vec<OverCall>,
    /// Types of the output columns: those shown, then the calls.
    pub types: Vec<DataType>,
    /// Whether rows can come before others of their partition, which they then revise.
    pub revises: bool,
    /// How far rows may come behind the watermark, microseconds; `None` where late ones were left out before.
    pub grace: Option<i64>,
}

impl OverSpec {
    /// Whether applying a row can fail.
    #[must_use]
    pub fn is_fallible(&self) -> bool {
        let is_fallible = |call: &OverCall| match &call.function {
            OverFunction::Aggregate(call) => is_fallible(call),
            OverFunction::First(_) | OverFunction::Lag { .. } => false,
        };
        self.calls.iter().any(is_fallible)
    }
}

/// The state of all partitions; a partition's number is that of its key.
struct Partitions {
    keys: KeyTable,
    /// What calls can still need of each row.
    rows: RowQueues,
    /// The calls' results of each row, by slot; kept where rows are revised.
    results: Option<RowStore>,
    /// Per frame that slides, how many rows are in that of each partition's last row.
    lengths: Vec<GroupColumns<u32>>,
    aggregates: Vec<Box<dyn Aggregate>>,
    folds: Vec<RowStore>,
    /// Kept where partitions expire.
    dues: Option<Dues>,
}
composite_state!(Partitions { keys, rows, results, lengths, aggregates, folds, dues });

/// Rows of a batch with what was found for each.
#[derive(Clone, Copy)]
struct Segment<'a> {
    rows: &'a [u32],
    groups: &'a [GroupId],
    /// 1 for a partition's first row, else 0.
    fresh: &'a [u8],
    /// Positions in their queues.
    places: &'a [u32],
}

/// Buffers that live from batch to batch and hold nothing between them.
#[derive(Default)]
struct Scratch {
    rows: Vec<u32>,
    hashes: Vec<u64>,
    groups: Vec<GroupId>,
    fresh: Vec<u8>,
    places: Vec<u32>,
    slots: Vec<u32>,
    frames: Vec<SlidFrame>,
    revision: revise::RevisionScratch,
}

/// What does not change from batch to batch.
struct Layout {
    spec: OverSpec,
    calls: Vec<Call>,
    frames: Vec<Frame>,
    /// Positions of the input's columns that are kept.
    kept: Vec<usize>,
    need: Need,
    /// Whether anything is kept of the rows.
    keeps_rows: bool,
    /// Per fold, a column of one NULL.
    nulls: Vec<Column>,
    /// The age at which rows leave every frame, microseconds, where they do.
    range: Option<i64>,
}

/// A call lost a sum for good, or cannot represent a result; by position.
#[derive(Debug, Clone, Copy)]
struct Lost(usize);

/// The operator. Its input's rows only come.
pub struct Over {
    layout: Layout,
    state: Partitions,
    scratch: Scratch,
}

impl Over {
    /// No partitions yet.
    pub fn new(spec: OverSpec) -> Result<Self> {
        let Calls { calls, frames, kept, aggregates, folds } = Calls::new(&spec)?;
        let type_of = |&position: &usize| spec.input[position];
        let keys: Vec<DataType> = spec.partition.iter().map(type_of).collect();
        let kept_types: Vec<DataType> = kept.iter().map(type_of).collect();
        let lag = calls.iter().map(|call| match call.computation {
            Computation::Lag { offset, .. } => offset,
            _ => 0,
        });
        let need = Need::of(&frames, lag.max().unwrap_or(0), spec.revises && !folds.is_empty());
        let keeps_rows = spec.revises || need.rows > 0 || !frames.is_empty();
        let null_of = |store: &RowStore| {
            let mut null = Column::new(store.columns()[0].data_type);
            null.push_null();
            null
        };
        let state = Partitions {
            keys: KeyTable::new(&keys),
            rows: RowQueues::new(&kept_types),
            results: spec.revises.then(|| RowStore::new(&spec.types[spec.columns.len()..])),
            lengths: frames.iter().map(|_| GroupColumns::default()).collect(),
            aggregates,
            folds,
            dues: None,
        };
        let nulls = state.folds.iter().map(null_of).collect();
        let scratch = Scratch {
            frames: frames.iter().map(|_| SlidFrame::default()).collect(),
            revision: revise::RevisionScratch::new(&spec.types[spec.columns.len()..], frames.len()),
            ..Scratch::default()
        };
        let mut layout = Layout { spec, calls, frames, kept, need, keeps_rows, nulls, range: None };
        layout.range = longest_range(&layout);
        let dues = layout.range.map(|_| Dues::new());
        Ok(Self { layout, state: Partitions { dues, ..state }, scratch })
    }

    /// Whether applying these rows certainly overflows nothing.
    fn is_safe(&mut self, input: &ChangeBatch, rows: &[u32]) -> bool {
        let Partitions { rows: held, aggregates, .. } = &mut self.state;
        self.layout.calls.iter().filter(|call| call.fallible).all(|call| {
            let values = call.given(input).values;
            let given = CallRows { values, mask: None, rows, groups: &[] };
            match (call.computation, call.kept(held).values) {
                (Computation::Slide { aggregate, .. } | Computation::Run { aggregate }, Some(held)) => {
                    aggregates[aggregate].is_safe_within(&given, held)
                }
                (Computation::Run { aggregate }, None) => aggregates[aggregate].is_safe(&given),
                _ => true,
            }
        })
    }

    /// Applies rows step by step, each under a savepoint.
    fn apply_steps(
        &mut self,
        input: &ChangeBatch,
        (rows, hashes): (&[u32], &[u64]),
        horizon: i64,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let mut at = 0;
        while at < rows.len() {
            let seq = input.seqs[rows[at] as usize];
            let same_step = |row: &&u32| ctx.on_record && input.seqs[**row as usize] == seq;
            let end = at + 1 + rows[at + 1..].iter().take_while(same_step).count();
            let before = out.len();
            self.state.savepoint();
            match self.apply(input, &rows[at..end], &hashes[at..end], horizon, out) {
                Ok(()) => self.state.commit(),
                Err(Lost(call)) => {
                    self.state.rollback();
                    out.truncate(before);
                    ctx.failures.push((seq, out_of_range(&self.layout.calls[call].spec)));
                }
            }
            at = end;
        }
    }

    /// Applies rows of a batch and appends their changes.
    fn apply(
        &mut self,
        input: &ChangeBatch,
        rows: &[u32],
        hashes: &[u64],
        horizon: i64,
        out: &mut ChangeBatch,
    ) -> std::result::Result<(), Lost> {
        self.find_partitions(input, rows, hashes);
        let mut at = 0;
        while at < rows.len() {
            let end = self.enqueue(input, rows, at);
            if at < end {
                self.run(input, rows, (at, end), out)?;
            }
            at = end;
            if at < rows.len() {
                self.revise(input, rows[at], self.scratch.groups[at], out)?;
                at += 1;
            }
        }
        if self.layout.keeps_rows {
            self.drop_rows(horizon);
        }
        Ok(())
    }

    /// Fills `groups` and `fresh`.
    fn find_partitions(&mut self, input: &ChangeBatch, rows: &[u32], hashes: &[u64]) {
        let Scratch { groups, fresh, .. } = &mut self.scratch;
        groups.clear();
        fresh.clear();
        let keys = KeyColumns { columns: &input.columns, positions: &self.layout.spec.partition };
        if !self.state.keys.find_or_insert(&keys, hashes, rows, groups, fresh) {
            return;
        }
        self.state.grow(&self.layout.nulls);
        if let (Some(dues), Some(range)) = (&mut self.state.dues, self.layout.range) {
            for (step, &row) in rows.iter().enumerate().filter(|(step, _)| fresh[*step] != 0) {
                dues.push(input.event_times[row as usize].saturating_add(range), groups[step]);
            }
        }
    }

    /// Puts rows from `from` on at the ends of their queues, up to one that belongs before others.
    fn enqueue(&mut self, input: &ChangeBatch, rows: &[u32], from: usize) -> usize {
        let Scratch { groups, places, slots, .. } = &mut self.scratch;
        places.clear();
        slots.clear();
        if !self.layout.keeps_rows {
            return rows.len();
        }
        let (kept, queues) = (&self.layout.kept, &mut self.state.rows);
        for (index, &row) in rows.iter().enumerate().skip(from) {
            let (row, group) = (row as usize, groups[index]);
            let time = input.event_times[row];
            let order = queues.order(group);
            if self.layout.spec.revises && order.back().is_some_and(|&(last, _)| last > time) {
                return index;
            }
            places.push(order.len() as u32);
            slots.push(queues.push(group, time, |index| &input.columns[kept[index]], row));
        }
        rows.len()
    }

    /// Computes the calls for rows that stand at the ends of their queues and shows them.
    fn run(
        &mut self,
        input: &ChangeBatch,
        rows: &[u32],
        (from, to): (usize, usize),
        out: &mut ChangeBatch,
    ) -> std::result::Result<(), Lost> {
        let Partitions { rows: queues, results, lengths, aggregates, folds, .. } = &mut self.state;
        let Scratch { groups, fresh, places, slots, frames, .. } = &mut self.scratch;
        let (rows, groups, fresh) = (&rows[from..to], &groups[from..to], &fresh[from..to]);
        let segment = Segment { rows, groups, fresh, places };
        for ((slid, &frame), lengths) in frames.iter_mut().zip(&self.layout.frames).zip(lengths) {
            slid.slide(frame, lengths, queues, &segment);
        }
        let first = out.len();
        show_rows(input, rows, &self.layout.spec.columns, out);
        let run = Run { input, rows: queues, segment, frames };
        let mut lost = None;
        let columns = &mut out.columns[self.layout.spec.columns.len()..];
        for (index, (call, column)) in self.layout.calls.iter().zip(columns.iter_mut()).enumerate() {
            if !run.compute(call, aggregates, folds, column) {
                lost.get_or_insert(index);
            }
        }
        if let Some(results) = results {
            for (step, &slot) in slots.iter().enumerate() {
                put(results, slot, |index| &columns[index], first + step);
            }
        }
        lost.map_or(Ok(()), |call| Err(Lost(call)))
    }

    /// Drops rows of the partitions in hand that nothing can need any more.
    fn drop_rows(&mut self, horizon: i64) {
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

/// Gives a slot its row, the next free one or one that is there.
fn put<'a>(store: &mut RowStore, slot: u32, source: impl Fn(usize) -> &'a Column, row: usize) {
    if slot as usize == store.len() {
        store.push(source, row);
    } else {
        store.set(slot, source, row);
    }
}

/// Appends the shown columns of rows, and their marks.
fn show_rows(input: &ChangeBatch, rows: &[u32], columns: &[usize], out: &mut ChangeBatch) {
    let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else { return };
    let (from, to) = (first as usize, last as usize + 1);
    out.ops.resize(out.ops.len() + rows.len(), Op::Insert);
    if to - from == rows.len() {
        for (column, &position) in out.columns.iter_mut().zip(columns) {
            column.extend_range(&input.columns[position], from, to);
        }
        out.seqs.extend_from_slice(&input.seqs[from..to]);
        out.event_times.extend_from_slice(&input.event_times[from..to]);
        return;
    }
    for (column, &position) in out.columns.iter_mut().zip(columns) {
        column.extend_selected(&input.columns[position], rows);
    }
    out.seqs.extend(rows.iter().map(|&row| input.seqs[row as usize]));
    out.event_times.extend(rows.iter().map(|&row| input.event_times[row as usize]));
}

/// The error of a call whose result has no room in its type.
fn out_of_range(call: &OverCall) -> RecordError {
    let name = velostream_sql::explain::over_name(&call.function);
    RecordError::new(format!("{name} is out of range of {}", call.data_type))
}

impl Operator for Over {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        let mut rows = std::mem::take(&mut self.scratch.rows);
        let mut hashes = std::mem::take(&mut self.scratch.hashes);
        rows.clear();
        let spec = &self.layout.spec;
        match spec.grace {
            Some(grace) => late::judge(input, grace, ctx, &mut rows),
            None => rows.extend(0..input.len() as u32),
        }
        let passed = late::horizon(ctx.time.after(), spec.grace.unwrap_or(0));
        let horizon = if spec.revises { passed } else { i64::MAX };
        let keys = &spec.partition;
        hash_rows(keys.len(), |index| &input.columns[keys[index]], &rows, &mut hashes);
        if self.is_safe(input, &rows) {
            let applied = self.apply(input, &rows, &hashes, horizon, out);
            debug_assert!(applied.is_ok(), "safe rows overflow nothing");
        } else {
            self.apply_steps(input, (&rows, &hashes), horizon, out, ctx);
        }
        (self.scratch.rows, self.scratch.hashes) = (rows, hashes);
        if let Some(range) = self.layout.range {
            self.expire(range, passed);
        }
        Ok(())
    }
}

impl Stateful for Over {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.state)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.state)
    }

    fn groups(&self) -> usize {
        self.state.keys.len()
    }
}
