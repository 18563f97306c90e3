//! How values stand in a snapshot: little-endian, lengths as 64 bits, columns with their validity.

use super::{SnapshotReader, SnapshotWriter};
use crate::column::{Column, Values};
use crate::error::{EngineError, Result};
use velostream_sql::types::DataType;

/// Most values that are allotted before they were read: a damaged length cannot exhaust the memory.
const ALLOTMENT_MAX: usize = 4096;

/// A value that a snapshot can hold.
pub trait Storable: Sized {
    /// Writes the value.
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()>;
    /// Reads what `store` wrote.
    fn load(reader: &mut dyn SnapshotReader) -> Result<Self>;
}

macro_rules! storable_number {
    ($($number:ty),+) => {
        $(impl Storable for $number {
            fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
                writer.write(&self.to_le_bytes())
            }

            fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
                let mut bytes = [0; size_of::<$number>()];
                reader.read(&mut bytes)?;
                Ok(<$number>::from_le_bytes(bytes))
            }
        })+
    };
}
storable_number!(u8, u32, i32, u64, i64, f64, i128);

impl Storable for bool {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        u8::from(*self).store(writer)
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        Ok(u8::load(reader)? != 0)
    }
}

impl Storable for () {
    fn store(&self, _writer: &mut dyn SnapshotWriter) -> Result<()> {
        Ok(())
    }

    fn load(_reader: &mut dyn SnapshotReader) -> Result<Self> {
        Ok(())
    }
}

impl Storable for Box<[u8]> {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        write_length(self.len(), writer)?;
        writer.write(self)
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        Ok(read_bytes(reader)?.into_boxed_slice())
    }
}

impl<A: Storable, B: Storable> Storable for (A, B) {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.0.store(writer)?;
        self.1.store(writer)
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        Ok((A::load(reader)?, B::load(reader)?))
    }
}

impl<T: Storable> Storable for Option<T> {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.is_some().store(writer)?;
        self.as_ref().map_or(Ok(()), |value| value.store(writer))
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        if bool::load(reader)? { T::load(reader).map(Some) } else { Ok(None) }
    }
}

/// Writes a length.
pub fn write_length(length: usize, writer: &mut dyn SnapshotWriter) -> Result<()> {
    (length as u64).store(writer)
}

/// Reads a length.
pub fn read_length(reader: &mut dyn SnapshotReader) -> Result<usize> {
    usize::try_from(u64::load(reader)?).map_err(|_| EngineError::Snapshot("a length is damaged".into()))
}

/// Reads as many values as the length that stands before them says.
pub fn read_values<T: Storable>(reader: &mut dyn SnapshotReader) -> Result<Vec<T>> {
    let length = read_length(reader)?;
    let mut values = Vec::with_capacity(length.min(ALLOTMENT_MAX));
    for _ in 0..length {
        values.push(T::load(reader)?);
    }
    Ok(values)
}

fn read_bytes(reader: &mut dyn SnapshotReader) -> Result<Vec<u8>> {
    let length = read_length(reader)?;
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let from = bytes.len();
        bytes.resize(length.min(from + ALLOTMENT_MAX), 0);
        reader.read(&mut bytes[from..])?;
    }
    Ok(bytes)
}

/// Writes row `row` of a column.
pub(super) fn store_row(column: &Column, row: usize, writer: &mut dyn SnapshotWriter) -> Result<()> {
    let valid = !column.is_null(row);
    valid.store(writer)?;
    if !valid {
        return Ok(());
    }
    match &column.values {
        Values::Bool(v) => v[row].store(writer),
        Values::I32(v) => v[row].store(writer),
        Values::I64(v) => v[row].store(writer),
        Values::F64(v) => v[row].store(writer),
        Values::I128(v) => v[row].store(writer),
        Values::Text(v) => {
            write_length(v.get(row).len(), writer)?;
            writer.write(v.get(row))
        }
        Values::Interval(v) => {
            v[row].months.store(writer)?;
            v[row].days.store(writer)?;
            v[row].micros.store(writer)
        }
    }
}

/// Appends what `store_row` wrote to a column of the same type.
pub(super) fn load_row(column: &mut Column, reader: &mut dyn SnapshotReader) -> Result<()> {
    if !bool::load(reader)? {
        column.push_null();
        return Ok(());
    }
    let rows = column.len();
    match &mut column.values {
        Values::Bool(v) => v.push(u8::load(reader)?),
        Values::I32(v) => v.push(i32::load(reader)?),
        Values::I64(v) => v.push(i64::load(reader)?),
        Values::F64(v) => v.push(f64::load(reader)?),
        Values::I128(v) => v.push(i128::load(reader)?),
        Values::Text(v) => {
            let bytes = read_bytes(reader)?;
            if column.data_type == DataType::String && std::str::from_utf8(&bytes).is_err() {
                return Err(EngineError::Snapshot("a text is not UTF-8".into()));
            }
            v.push(&bytes);
        }
        Values::Interval(v) => v.push(velostream_sql::plan::Interval {
            months: i32::load(reader)?,
            days: i32::load(reader)?,
            micros: i64::load(reader)?,
        }),
    }
    column.validity.push(rows, true);
    Ok(())
}

/// Reads a snapshot from a slice of bytes.
#[derive(Debug)]
pub struct SliceReader<'a>(pub &'a [u8]);

impl SnapshotReader for SliceReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        if self.0.len() < bytes.len() {
            return Err(EngineError::Snapshot("it ends too early".into()));
        }
        let (head, rest) = self.0.split_at(bytes.len());
        bytes.copy_from_slice(head);
        self.0 = rest;
        Ok(())
    }
}
