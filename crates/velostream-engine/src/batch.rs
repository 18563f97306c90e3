//! Change batches: typed columns with, per row, a mark, a sequence number and an event time.

use crate::column::Column;
use crate::time::{EventTime, TimeRuns};
use std::ops::Range;
use velostream_sql::types::{DataType, Schema};

/// The number of a record: the only clock that orders anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// What a row of a change batch says.
///
/// An update is either one row `UpdateAfter` (where nobody downstream needs the old row) or the pair
/// `UpdateBefore`, `UpdateAfter`, adjacent and of one sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Op {
    /// The row comes.
    Insert = 0,
    /// The row goes.
    Delete = 1,
    /// The row goes; its successor stands next.
    UpdateBefore = 2,
    /// The row replaces the one with its key.
    UpdateAfter = 3,
}

impl Op {
    /// Whether the row stands in the answer afterwards.
    #[must_use]
    pub fn is_addition(self) -> bool {
        matches!(self, Self::Insert | Self::UpdateAfter)
    }
}

/// Rows with their marks. All vectors have the same length; sequence numbers ascend (not strictly: the
/// rows of one number are one step).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeBatch {
    /// One per field of the relation.
    pub columns: Vec<Column>,
    /// Marks.
    pub ops: Vec<Op>,
    /// The record that caused each row.
    pub seqs: Vec<Seq>,
    /// Each row's own time.
    pub event_times: Vec<EventTime>,
}

impl ChangeBatch {
    /// An empty batch with columns of these types.
    #[must_use]
    pub fn new(types: &[DataType]) -> Self {
        Self { columns: types.iter().map(|&data_type| Column::new(data_type)).collect(), ..Self::default() }
    }

    /// An empty batch with the columns of a relation.
    #[must_use]
    pub fn of(schema: &Schema) -> Self {
        let columns = schema.fields.iter().map(|field| Column::new(field.data_type));
        Self { columns: columns.collect(), ..Self::default() }
    }

    /// An empty batch with the columns of another.
    #[must_use]
    pub fn like(other: &Self) -> Self {
        let columns = other.columns.iter().map(|column| Column::new(column.data_type));
        Self { columns: columns.collect(), ..Self::default() }
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Changes: an update is one, with its old row and without.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.ops.iter().filter(|&&op| op != Op::UpdateBefore).count()
    }

    /// Takes all rows out and keeps the buffers.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Keeps the first `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        for column in &mut self.columns {
            column.truncate(rows);
        }
        self.ops.truncate(rows);
        self.seqs.truncate(rows);
        self.event_times.truncate(rows);
    }

    /// Appends row `row` of `other`, which has the same types, under another mark.
    pub fn push_row(&mut self, other: &Self, row: usize, op: Op) {
        for (column, from) in self.columns.iter_mut().zip(&other.columns) {
            column.push_from(from, row);
        }
        self.push_mark(op, other.seqs[row], other.event_times[row]);
    }

    /// Appends rows `from..to` of `other`, which has the same types.
    pub fn extend_range(&mut self, other: &Self, from: usize, to: usize) {
        for (column, source) in self.columns.iter_mut().zip(&other.columns) {
            column.extend_range(source, from, to);
        }
        self.ops.extend_from_slice(&other.ops[from..to]);
        self.seqs.extend_from_slice(&other.seqs[from..to]);
        self.event_times.extend_from_slice(&other.event_times[from..to]);
    }

    /// Appends the rows of `other`, which has the same types, that `rows` selects, in its order. Columns that `other`
    /// does not have are left to the caller.
    pub fn extend_selected(&mut self, other: &Self, rows: &[u32]) {
        for (column, source) in self.columns.iter_mut().zip(&other.columns) {
            column.extend_selected(source, rows);
        }
        self.ops.extend(rows.iter().map(|&row| other.ops[row as usize]));
        self.seqs.extend(rows.iter().map(|&row| other.seqs[row as usize]));
        self.event_times.extend(rows.iter().map(|&row| other.event_times[row as usize]));
    }

    /// Appends the mark of a row whose values the caller has appended to every column.
    pub fn push_mark(&mut self, op: Op, seq: Seq, event_time: EventTime) {
        self.ops.push(op);
        self.seqs.push(seq);
        self.event_times.push(event_time);
    }
}

/// The rows of a batch that one of several receivers takes.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'a> {
    /// Which, ascending; their numbers ascend as well, each being a step of its own.
    pub rows: &'a [u32],
    /// Their hashes by the keys that the receivers share them by, where the plan groups by these keys.
    pub hashes: Option<&'a [u64]>,
}

impl Selected<'_> {
    /// No row.
    pub const NONE: Self = Selected { rows: &[], hashes: None };

    /// Those of them that stand in `range`.
    #[must_use]
    pub fn within(self, range: &Range<usize>) -> Self {
        let before = |row: usize| self.rows.partition_point(|&own| (own as usize) < row);
        let own = before(range.start)..before(range.end);
        Self { rows: &self.rows[own.clone()], hashes: self.hashes.map(|hashes| &hashes[own]) }
    }
}

/// What enters a processor: numbered rows and how the watermark moves over them.
///
/// Rows of an append-only source are all `Insert`. Rows of a source table given to a plan that keeps the
/// table itself are `Insert` (replaces the row with its key) and `Delete` (a tombstone: only key columns
/// count); rows of a relation kept elsewhere are its changes, updates as pairs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// The rows.
    pub changes: ChangeBatch,
    /// Time.
    pub time: TimeRuns,
}

/// The number of the first of these rows and moves of time.
#[must_use]
pub fn head(changes: &ChangeBatch, time: &TimeRuns) -> Option<Seq> {
    let moved = time.advances.first().map(|&(seq, _)| seq);
    changes.seqs.first().copied().into_iter().chain(moved).min()
}

/// The number of the last of these rows and moves of time.
#[must_use]
pub fn tail(changes: &ChangeBatch, time: &TimeRuns) -> Option<Seq> {
    let moved = time.advances.last().map(|&(seq, _)| seq);
    changes.seqs.last().copied().into_iter().chain(moved).max()
}
