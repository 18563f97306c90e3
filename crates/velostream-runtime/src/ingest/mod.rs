//! Bytes and blocks to typed columns: the door of every source.
//!
//! Decoders keep what a chunk leaves unfinished, so that chunks may end anywhere. A record that does not fit
//! leaves no trace in the columns and is handed on with its bytes, its place and the reason.

pub mod convert;
pub mod csv;
mod csv_column;
mod csv_plain;
mod csv_reader;
pub mod infer;
pub mod json;
mod json_leads;
mod json_scan;
mod number;
pub mod rows;

pub use convert::SourceFormat;

use velostream_engine::batch::ChangeBatch;
use velostream_engine::column::Column;
use velostream_sql::types::Field;

/// Longest record in bytes; what is longer is a bad record, so that a missing quote cannot hold memory.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Most bytes of a bad record that are kept with it.
pub const BAD_RECORD_BYTES_MAX: usize = 64 << 10;

/// Decoded records; reused from call to call.
#[derive(Debug, Default)]
pub struct Decoded {
    /// One per field of the relation, all of `rows` rows.
    pub columns: Vec<Column>,
    /// Records decoded.
    pub rows: usize,
    /// Records that could not be, in order.
    pub bad: Vec<BadRecord>,
}

/// A record that is not what its relation expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Its bytes, at most [`BAD_RECORD_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// Byte position of the record's first byte in the whole input.
    pub position: u64,
    /// Good records decoded before it in the same [`Decoded`].
    pub row: usize,
    /// Why, one sentence with the place.
    pub message: String,
}

impl Decoded {
    /// No rows, columns for these fields.
    #[must_use]
    pub fn new(fields: &[Field]) -> Self {
        let columns = fields.iter().map(|field| Column::new(field.data_type)).collect();
        Self { columns, ..Self::default() }
    }

    /// The rows by value; the columns of `fresh`, which is empty, take their place.
    pub(crate) fn take_rows(&mut self, fresh: ChangeBatch) -> ChangeBatch {
        self.rows = 0;
        let columns = std::mem::replace(&mut self.columns, fresh.columns);
        ChangeBatch { columns, ..fresh }
    }

    /// Takes everything out and keeps the buffers.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        self.rows = 0;
        self.bad.clear();
    }

    /// Ends the record in hand, which named at least `named` columns: those it did not name get NULL.
    fn finish_row(&mut self, named: u32) {
        self.finish_rows(1, named);
    }

    /// Ends `count` records that all named the same columns, at least `named`.
    #[inline]
    fn finish_rows(&mut self, count: usize, named: u32) {
        self.rows += count;
        if named as usize == self.columns.len() {
            debug_assert!(self.columns.iter().all(|column| column.len() == self.rows));
            return;
        }
        for column in &mut self.columns {
            while column.len() < self.rows {
                column.push_null();
            }
        }
    }

    /// Takes the records in hand out of the columns.
    fn undo_row(&mut self) {
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
    }

    fn push_bad(&mut self, bytes: &[u8], position: u64, message: String) {
        let kept = bytes.len().min(BAD_RECORD_BYTES_MAX);
        self.bad.push(BadRecord { bytes: bytes[..kept].to_vec(), position, row: self.rows, message });
    }
}
