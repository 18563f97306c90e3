//! Change blocks: how changes leave.
//!
//! Little-endian. Header: `u32` rows, `u32` heap offset, `u32` heap length, `u32` flags (bit 0: the heap is
//! pure ASCII). Then one mark byte per row (0 insert, 1 delete, 2 update-before, 3 update-after), padded to a
//! multiple of 8. Then for each column: one byte that says whether it has NULLs, one with the number of its different
//! texts, padded to 8; if it has NULLs, or if there is only one row, a validity mask of one byte per row, padded to 8;
//! the slots, padded to 8:
//!
//! | type | slot |
//! | --- | --- |
//! | BOOLEAN | `u8` |
//! | INT | `i32` |
//! | BIGINT | `i64` |
//! | DOUBLE | `f64` |
//! | TIMESTAMP | `f64`, milliseconds since the epoch |
//! | STRING, BYTES, DECIMAL, DATE, TIME | `u32`: where the value ends in the heap |
//!
//! Values of the last kind stand in the heap column by column, row by row: a value begins where the one
//! before it ends, the first of the first such column at 0. DECIMAL, DATE and TIME are written as text.
//!
//! Where the number of different texts is not 0, each of them stands in the heap once, in the order in which they
//! first come: in place of the slots is a byte per row with its text's number, padded to 8, and then the `u32` ends of
//! the texts, padded to 8 (`repeats.rs`).
//!
//! In a block of one row everything but the heap has its fixed place. Padding, and what lies between the last
//! column and the heap, is left as it was.

pub use super::repeats::Repeats;
use velostream_engine::batch::ChangeBatch;
use velostream_engine::column::{Column, TextView, Values};
use velostream_engine::value;
use velostream_sql::types::DataType;

const HEADER_BYTES: usize = 16;
/// Where the columns of a block of one row begin, the bytes of each, and where in these mask and value stand.
const ONE_FIRST_COLUMN: usize = 24;
const ONE_COLUMN_BYTES: usize = 24;
const ONE_VALID_AT: usize = 8;
const ONE_VALUE_AT: usize = 16;
/// Bit 0 of the flags.
const HEAP_IS_ASCII: u32 = 1;
/// Bytes of the slot of a value that stands in the heap.
const TEXT_END_BYTES: usize = size_of::<u32>();
/// More than the text of any DECIMAL, DATE or TIME has.
const SHORT_TEXT_BYTES_MAX: usize = 64;

/// The block has no room.
struct NoRoom;

/// Writes rows `from..to` of `changes` as a block to the beginning of `out` and gives its length; `None` where
/// `out` is too small, and then what it holds means nothing. `repeats` is scratch.
#[must_use]
pub fn encode(
    changes: &ChangeBatch,
    from: usize,
    to: usize,
    repeats: &mut Repeats,
    out: &mut [u8],
) -> Option<usize> {
    if to - from == 1 {
        return encode_one(changes, from, out);
    }
    let heap_offset = heap_offset(changes, to - from);
    if out.len() < heap_offset {
        return None;
    }
    let mut block = Block { out, at: HEADER_BYTES, heap_offset, heap_end: heap_offset, repeats };
    block.put(changes.ops[from..to].iter().map(|&op| [op as u8]));
    changes.columns.iter().try_for_each(|column| block.column(column, from, to)).ok()?;
    Some(block.finish(to - from))
}

/// The same for one row, whose parts have fixed places.
fn encode_one(changes: &ChangeBatch, row: usize, out: &mut [u8]) -> Option<usize> {
    let heap_offset = ONE_FIRST_COLUMN + changes.columns.len() * ONE_COLUMN_BYTES;
    let (fixed, heap) = out.split_at_mut_checked(heap_offset)?;
    let (head, parts) = fixed.split_at_mut(ONE_FIRST_COLUMN);
    let mut heap_end = 0;
    for (column, part) in changes.columns.iter().zip(parts.chunks_exact_mut(ONE_COLUMN_BYTES)) {
        let valid = column.validity.is_valid(row);
        // It has NULLs or not, and no text that stands in the heap once for several rows.
        (part[0], part[1]) = (u8::from(!valid), 0);
        part[ONE_VALID_AT] = u8::from(valid);
        let slot = match (&column.values, column.data_type) {
            (Values::F64(values), _) => values[row].to_bits(),
            (Values::I64(values), DataType::BigInt) => values[row] as u64,
            (Values::I64(values), DataType::Timestamp) => (values[row] as f64 / 1e3).to_bits(),
            (Values::I32(values), DataType::Int) => u64::from(values[row] as u32),
            (Values::Bool(values), _) => u64::from(values[row]),
            _ => {
                heap_end = push_value(column, row, heap, heap_end)?;
                heap_end as u64
            }
        };
        part[ONE_VALUE_AT..].copy_from_slice(&slot.to_le_bytes());
    }
    let flags = if heap[..heap_end].is_ascii() { HEAP_IS_ASCII } else { 0 };
    put_header([1, heap_offset as u32, heap_end as u32, flags], head);
    head[HEADER_BYTES] = changes.ops[row] as u8;
    Some(heap_offset + heap_end)
}

/// Writes a value that stands in the heap behind what ends at `at`; where it ends, or `None` for want of room.
fn push_value(column: &Column, row: usize, heap: &mut [u8], at: usize) -> Option<usize> {
    let mut text = String::new();
    let value = match &column.values {
        _ if column.is_null(row) => b"",
        Values::Text(values) => values.get(row),
        _ => {
            write_text(column, row, &mut text);
            text.as_bytes()
        }
    };
    heap.get_mut(at..at + value.len())?.copy_from_slice(value);
    Some(at + value.len())
}

fn put_header(fields: [u32; 4], out: &mut [u8]) {
    for (to, field) in out[..HEADER_BYTES].chunks_exact_mut(4).zip(fields) {
        to.copy_from_slice(&field.to_le_bytes());
    }
}

/// The block in memory of its own; empty for no rows.
#[must_use]
pub fn block_of(changes: &ChangeBatch) -> Vec<u8> {
    let mut block = Vec::new();
    if !changes.is_empty() {
        block.resize(bytes_max(changes, 0, changes.len()), 0);
        let length =
            encode(changes, 0, changes.len(), &mut Repeats::default(), &mut block).expect("the bound holds");
        block.truncate(length);
    }
    block
}

/// At least the length of the block of rows `from..to`.
#[must_use]
pub fn bytes_max(changes: &ChangeBatch, from: usize, to: usize) -> usize {
    let heap = changes.columns.iter().map(|column| match (&column.values, column.data_type) {
        (Values::Text(values), _) => values.views()[from..to].iter().map(TextView::len).sum(),
        (_, DataType::Decimal { .. } | DataType::Date | DataType::Time) => (to - from) * SHORT_TEXT_BYTES_MAX,
        _ => 0,
    });
    heap_offset(changes, to - from) + heap.sum::<usize>()
}

/// Bytes of a slot.
fn slot_bytes(data_type: DataType) -> usize {
    match data_type {
        DataType::Boolean => 1,
        DataType::BigInt | DataType::Double | DataType::Timestamp => 8,
        DataType::Int => 4,
        _ => TEXT_END_BYTES,
    }
}

/// Where the heap begins: behind the place that the columns take when all have NULLs.
fn heap_offset(changes: &ChangeBatch, rows: usize) -> usize {
    let per_row = rows.next_multiple_of(8);
    let slots =
        changes.columns.iter().map(|column| (rows * slot_bytes(column.data_type)).next_multiple_of(8));
    HEADER_BYTES + per_row + changes.columns.len() * (8 + per_row) + slots.sum::<usize>()
}

/// A block being written: everything up to `heap_offset` has room.
struct Block<'a> {
    out: &'a mut [u8],
    /// Where the next part goes; a multiple of 8.
    at: usize,
    heap_offset: usize,
    heap_end: usize,
    repeats: &'a mut Repeats,
}

impl Block<'_> {
    /// Writes the slots of one part.
    fn put<const WIDTH: usize>(&mut self, slots: impl ExactSizeIterator<Item = [u8; WIDTH]>) {
        let bytes = slots.len() * WIDTH;
        let part = &mut self.out[self.at..self.at + bytes];
        for (to, slot) in part.chunks_exact_mut(WIDTH).zip(slots) {
            to.copy_from_slice(&slot);
        }
        self.at += bytes.next_multiple_of(8);
    }

    fn column(&mut self, column: &Column, from: usize, to: usize) -> Result<(), NoRoom> {
        let mask = column.validity.mask().map(|mask| &mask[from..to]).filter(|mask| mask.contains(&0));
        let repeating = match &column.values {
            Values::Text(values) if column.data_type == DataType::String => {
                self.repeats.find(&values.views()[from..to], mask)
            }
            _ => false,
        };
        let different = if repeating { self.repeats.firsts().len() as u8 } else { 0 };
        self.put([[u8::from(mask.is_some()), different]].into_iter());
        if let Some(mask) = mask {
            self.put(mask.iter().map(|&valid| [valid]));
        }
        match &column.values {
            Values::Bool(values) => self.put(values[from..to].iter().map(|&value| [value])),
            Values::F64(values) => self.put(values[from..to].iter().map(|value| value.to_le_bytes())),
            Values::I32(values) if column.data_type == DataType::Int => {
                self.put(values[from..to].iter().map(|value| value.to_le_bytes()));
            }
            Values::I64(values) if column.data_type == DataType::BigInt => {
                self.put(values[from..to].iter().map(|value| value.to_le_bytes()));
            }
            Values::I64(values) if column.data_type == DataType::Timestamp => {
                self.put(values[from..to].iter().map(|&value| (value as f64 / 1e3).to_le_bytes()));
            }
            Values::Text(values) => {
                let value = |row| if column.is_null(row) { &[] } else { values.get(row) };
                if repeating { self.repeated(from, value) } else { self.texts(from, to, value) }?;
            }
            _ => self.formatted(column, from, to)?,
        }
        Ok(())
    }

    /// Writes the numbers of the rows' texts, and each of these once.
    fn repeated<'v>(&mut self, from: usize, value: impl Fn(usize) -> &'v [u8]) -> Result<(), NoRoom> {
        let repeats = std::mem::take(self.repeats);
        self.put(repeats.numbers().iter().map(|&number| [number]));
        let firsts = repeats.firsts();
        for (index, &row) in firsts.iter().enumerate() {
            self.push_text(index, value(from + row as usize))?;
        }
        self.at += (firsts.len() * TEXT_END_BYTES).next_multiple_of(8);
        *self.repeats = repeats;
        Ok(())
    }

    /// Appends values to the heap and writes their ends.
    fn texts<'v>(&mut self, from: usize, to: usize, value: impl Fn(usize) -> &'v [u8]) -> Result<(), NoRoom> {
        for row in from..to {
            self.push_text(row - from, value(row))?;
        }
        self.at += ((to - from) * TEXT_END_BYTES).next_multiple_of(8);
        Ok(())
    }

    /// Appends the value of slot `index` of the part at hand to the heap.
    fn push_text(&mut self, index: usize, value: &[u8]) -> Result<(), NoRoom> {
        let heap_end = self.heap_end + value.len();
        self.out.get_mut(self.heap_end..heap_end).ok_or(NoRoom)?.copy_from_slice(value);
        self.heap_end = heap_end;
        let end = (heap_end - self.heap_offset) as u32;
        let slot = self.at + index * TEXT_END_BYTES;
        self.out[slot..slot + TEXT_END_BYTES].copy_from_slice(&end.to_le_bytes());
        Ok(())
    }

    /// Writes the types that leave as text.
    fn formatted(&mut self, column: &Column, from: usize, to: usize) -> Result<(), NoRoom> {
        let mut text = String::new();
        for row in from..to {
            text.clear();
            if !column.is_null(row) {
                write_text(column, row, &mut text);
            }
            self.push_text(row - from, text.as_bytes())?;
        }
        self.at += ((to - from) * TEXT_END_BYTES).next_multiple_of(8);
        Ok(())
    }

    /// Writes the header; the block's length.
    fn finish(self, rows: usize) -> usize {
        let heap = &self.out[self.heap_offset..self.heap_end];
        let flags = if heap.is_ascii() { HEAP_IS_ASCII } else { 0 };
        let heap_length = heap.len() as u32;
        put_header([rows as u32, self.heap_offset as u32, heap_length, flags], self.out);
        self.heap_end
    }
}

/// The text of a DECIMAL, DATE or TIME.
fn write_text(column: &Column, row: usize, text: &mut String) {
    match (&column.values, column.data_type) {
        (Values::I128(values), DataType::Decimal { scale, .. }) => {
            value::format_decimal(values[row], scale, text);
        }
        (Values::I32(values), _) => value::format_date(values[row], text),
        (Values::I64(values), _) => value::format_time(values[row], text),
        _ => unreachable!("the other types leave as slots or bytes"),
    }
}
