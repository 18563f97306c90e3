//! Rows in numbered slots.

use super::codec::{load_row, store_row};
use super::{SnapshotReader, SnapshotWriter, State, read_length, write_length};
use crate::column::{Column, Values};
use crate::error::{EngineError, Result};
use velostream_sql::types::DataType;

/// Bytes of replaced texts that a store keeps before it looks whether compacting pays.
const COMPACT_MIN_BYTES: usize = 64 * 1024;

/// Typed columns whose rows are slots that can be overwritten, with undo.
#[derive(Debug)]
pub struct RowStore {
    columns: Vec<Column>,
    slots: usize,
    /// Slots overwritten since the outermost savepoint; their old rows stand in `undo_rows`.
    undo: Vec<u32>,
    undo_rows: Vec<Column>,
    /// At each open savepoint: length of `undo` and number of slots.
    marks: Vec<(usize, usize)>,
    /// Bytes of long texts that were overwritten and still lie in the columns' heaps.
    stale: usize,
}

/// Puts row `from` of `source` into row `to` of `column`; gives the bytes of the long text that went.
fn overwrite(column: &mut Column, to: usize, source: &Column, from: usize) -> usize {
    let rows = column.len();
    let mut stale = 0;
    match (&mut column.values, &source.values) {
        (Values::Bool(v), Values::Bool(s)) => v[to] = s[from],
        (Values::I32(v), Values::I32(s)) => v[to] = s[from],
        (Values::I64(v), Values::I64(s)) => v[to] = s[from],
        (Values::F64(v), Values::F64(s)) => v[to] = s[from],
        (Values::I128(v), Values::I128(s)) => v[to] = s[from],
        (Values::Text(v), Values::Text(s)) => {
            if !v.views()[to].is_inline() {
                stale = v.views()[to].len();
            }
            v.set(to, s.get(from));
        }
        (Values::Interval(v), Values::Interval(s)) => v[to] = s[from],
        _ => unreachable!("columns of one field have one physical type"),
    }
    column.validity.set(rows, to, source.validity.is_valid(from));
    stale
}

impl RowStore {
    /// An empty store of rows of these types.
    #[must_use]
    pub fn new(types: &[DataType]) -> Self {
        let columns = |types: &[DataType]| types.iter().map(|&data_type| Column::new(data_type)).collect();
        Self {
            columns: columns(types),
            slots: 0,
            undo: Vec::new(),
            undo_rows: columns(types),
            marks: Vec::new(),
            stale: 0,
        }
    }

    /// The columns, indexed by slot.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots
    }

    /// Whether there are no slots.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// Appends a slot with row `row` of the columns that `source` gives.
    #[inline]
    pub fn push<'a>(&mut self, source: impl Fn(usize) -> &'a Column, row: usize) {
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.push_from(source(index), row);
        }
        self.slots += 1;
    }

    /// Overwrites a slot.
    pub fn set<'a>(&mut self, slot: u32, source: impl Fn(usize) -> &'a Column, row: usize) {
        if !self.marks.is_empty() {
            self.undo.push(slot);
            for (column, undo) in self.columns.iter().zip(&mut self.undo_rows) {
                undo.push_from(column, slot as usize);
            }
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            self.stale += overwrite(column, slot as usize, source(index), row);
        }
        if self.stale > COMPACT_MIN_BYTES && self.marks.is_empty() {
            self.compact();
        }
    }

    /// Rebuilds the heaps if most of their bytes are stale.
    fn compact(&mut self) {
        let held: usize = self.columns.iter().map(Column::capacity_bytes).sum();
        if self.stale * 2 < held {
            return;
        }
        for column in &mut self.columns {
            if matches!(column.values, Values::Text(_)) {
                let mut fresh = Column::new(column.data_type);
                fresh.extend_range(column, 0, column.len());
                *column = fresh;
            }
        }
        self.stale = 0;
    }

    /// Takes all rows out and keeps the buffers. No savepoint is open.
    pub fn clear(&mut self) {
        debug_assert!(self.marks.is_empty());
        self.columns.iter_mut().for_each(Column::clear);
        self.slots = 0;
        self.stale = 0;
    }
}

impl State for RowStore {
    fn savepoint(&mut self) {
        self.marks.push((self.undo.len(), self.slots));
    }

    fn rollback(&mut self) {
        let (undo, slots) = self.marks.pop().expect("rollback follows savepoint");
        for entry in (undo..self.undo.len()).rev() {
            let slot = self.undo[entry] as usize;
            for (column, old) in self.columns.iter_mut().zip(&self.undo_rows) {
                self.stale += overwrite(column, slot, old, entry);
            }
        }
        self.undo.truncate(undo);
        self.undo_rows.iter_mut().for_each(|column| column.truncate(undo));
        self.columns.iter_mut().for_each(|column| column.truncate(slots));
        self.slots = slots;
    }

    fn commit(&mut self) {
        self.marks.pop().expect("commit follows savepoint");
        if self.marks.is_empty() && !self.undo.is_empty() {
            self.undo.clear();
            self.undo_rows.iter_mut().for_each(Column::clear);
            if self.stale > COMPACT_MIN_BYTES {
                self.compact();
            }
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        write_length(self.slots, writer)?;
        for column in &self.columns {
            for slot in 0..self.slots {
                store_row(column, slot, writer)?;
            }
        }
        Ok(())
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        let slots = read_length(reader)?;
        if u32::try_from(slots).is_err() {
            return Err(EngineError::Snapshot("a number of rows is damaged".into()));
        }
        self.clear();
        for column in &mut self.columns {
            for _ in 0..slots {
                load_row(column, reader)?;
            }
        }
        self.slots = slots;
        Ok(())
    }

    fn bytes(&self) -> usize {
        let columns = self.columns.iter().chain(&self.undo_rows);
        columns.map(Column::capacity_bytes).sum::<usize>() + self.undo.capacity() * 4
    }

    fn release(&mut self) {
        for column in self.columns.iter_mut().chain(&mut self.undo_rows) {
            *column = Column::new(column.data_type);
        }
        self.undo = Vec::new();
        self.slots = 0;
        self.stale = 0;
    }
}
