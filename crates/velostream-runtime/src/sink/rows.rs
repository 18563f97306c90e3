//! Change blocks: how changes leave.
//!
//! Little-endian. Header: `u32` rows, `u32` heap offset, `u32` heap length, `u32` flags (bit 0: the heap is
//! pure ASCII). Then one mark byte per row (0 insert, 1 delete, 2 update-before, 3 update-after), padded to a
//! multiple of 8. Then for each column: one byte that says whether a validity mask follows, padded to 8; the
//! mask, one byte per row, padded to 8; the slots, padded to 8:
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

use velostream_engine::batch::ChangeBatch;
use velostream_engine::column::{Column, Values};
use velostream_engine::value;
use velostream_sql::types::DataType;

/// Bit 0 of the flags.
const HEAP_IS_ASCII: u32 = 1;

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(8), 0);
}

/// Appends rows `from..to` of `changes` as a block; `out` is empty, and like `heap`, which is scratch, reused by
/// the caller.
pub fn encode(changes: &ChangeBatch, from: usize, to: usize, out: &mut Vec<u8>, heap: &mut Vec<u8>) {
    let rows = to - from;
    heap.clear();
    out.extend_from_slice(&[0; 16]);
    out.extend(changes.ops[from..to].iter().map(|&op| op as u8));
    pad(out);
    for column in &changes.columns {
        encode_column(column, from, to, out, heap);
    }
    let heap_offset = out.len() as u32;
    let flags = if heap.is_ascii() { HEAP_IS_ASCII } else { 0 };
    for (index, field) in [rows as u32, heap_offset, heap.len() as u32, flags].into_iter().enumerate() {
        out[index * 4..index * 4 + 4].copy_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(heap);
}

fn encode_column(column: &Column, from: usize, to: usize, out: &mut Vec<u8>, heap: &mut Vec<u8>) {
    let mask = column.validity.mask().map(|mask| &mask[from..to]).filter(|mask| mask.contains(&0));
    out.push(u8::from(mask.is_some()));
    pad(out);
    if let Some(mask) = mask {
        out.extend_from_slice(mask);
        pad(out);
    }
    match &column.values {
        Values::Bool(values) => out.extend_from_slice(&values[from..to]),
        Values::F64(values) => extend(out, &values[from..to], |value| value.to_le_bytes()),
        Values::I32(values) if column.data_type == DataType::Int => {
            extend(out, &values[from..to], |value| value.to_le_bytes());
        }
        Values::I64(values) if column.data_type == DataType::BigInt => {
            extend(out, &values[from..to], |value| value.to_le_bytes());
        }
        Values::I64(values) if column.data_type == DataType::Timestamp => {
            extend(out, &values[from..to], |value| (value as f64 / 1e3).to_le_bytes());
        }
        Values::Text(values) => {
            for row in from..to {
                if !column.is_null(row) {
                    heap.extend_from_slice(values.get(row));
                }
                out.extend_from_slice(&(heap.len() as u32).to_le_bytes());
            }
        }
        _ => encode_texts(column, from, to, out, heap),
    }
    pad(out);
}

fn extend<T: Copy, const WIDTH: usize>(out: &mut Vec<u8>, values: &[T], bytes: impl Fn(T) -> [u8; WIDTH]) {
    out.reserve(values.len() * WIDTH);
    for &value in values {
        out.extend_from_slice(&bytes(value));
    }
}

/// The types that leave as text.
fn encode_texts(column: &Column, from: usize, to: usize, out: &mut Vec<u8>, heap: &mut Vec<u8>) {
    let mut text = String::new();
    for row in from..to {
        if !column.is_null(row) {
            text.clear();
            write_text(column, row, &mut text);
            heap.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&(heap.len() as u32).to_le_bytes());
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
