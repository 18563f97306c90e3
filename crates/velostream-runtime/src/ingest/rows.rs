//! Row blocks: how rows of the caller cross into columns.
//!
//! Little-endian. Header: `u32` rows, `u32` heap offset, `u32` heap length, `u32` 0. Then for each column of
//! the relation, in order: one tag byte per row, padded with zeros to a multiple of 8, and one slot of 8
//! bytes per row. At the heap offset stand the bytes of texts and byte strings.
//!
//! | tag | slot |
//! | --- | --- |
//! | 0 | NULL or missing |
//! | 1 | number, an IEEE double |
//! | 2 | signed 64-bit integer |
//! | 3 | text: `u32` offset into the heap, `u32` length in bytes |
//! | 4 | boolean in the first byte |
//! | 5 | bytes: as a text |

use super::convert;
use crate::error::{Error, Result};
use velostream_engine::column::{Column, Values};
use velostream_engine::value::TimestampFormat;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::types::{DataType, Field};

const HEADER_BYTES: usize = 16;
const SLOT_BYTES: usize = 8;

const NULL: u8 = 0;
const NUMBER: u8 = 1;
const INTEGER: u8 = 2;
const TEXT: u8 = 3;
const BOOLEAN: u8 = 4;
const BYTES: u8 = 5;

/// Largest integer that a double holds exactly with all below it: 2^53 - 1.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;
/// Times that a JavaScript Date can hold: within 100,000,000 days of the epoch.
const TIME_MILLIS_MAX: f64 = 8.64e15;
const DAY_MILLIS: f64 = 86_400_000.0;

/// A block, checked for its bounds.
#[derive(Clone, Copy)]
struct Block<'a> {
    bytes: &'a [u8],
    rows: usize,
    heap: &'a [u8],
}

/// One column of a block.
#[derive(Clone, Copy)]
struct Slots<'a> {
    tags: &'a [u8],
    slots: &'a [u8],
    heap: &'a [u8],
}

fn malformed() -> Error {
    Error::new(ErrorCode::Internal, "a row block does not have the layout of its relation")
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

impl<'a> Block<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (rows, offset, length) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?, u32_at(bytes, 8)?);
        Some(Self { bytes, rows, heap: bytes.get(offset..offset.checked_add(length)?)? })
    }

    fn column(&self, index: usize) -> Option<Slots<'a>> {
        let tag_bytes = self.rows.next_multiple_of(8);
        let slot_bytes = self.rows * SLOT_BYTES;
        let start = HEADER_BYTES + index * (tag_bytes + slot_bytes);
        let tags = self.bytes.get(start..start + self.rows)?;
        let slots = self.bytes.get(start + tag_bytes..start + tag_bytes + slot_bytes)?;
        Some(Slots { tags, slots, heap: self.heap })
    }
}

impl<'a> Slots<'a> {
    fn raw(&self, row: usize) -> [u8; SLOT_BYTES] {
        let at = row * SLOT_BYTES;
        self.slots[at..at + SLOT_BYTES].try_into().expect("a slot has eight bytes")
    }

    fn number(&self, row: usize) -> f64 {
        f64::from_le_bytes(self.raw(row))
    }

    fn integer(&self, row: usize) -> i64 {
        i64::from_le_bytes(self.raw(row))
    }

    fn bytes(&self, row: usize) -> Option<&'a [u8]> {
        let raw = self.raw(row);
        let (offset, length) = (u32_at(&raw, 0)?, u32_at(&raw, 4)?);
        self.heap.get(offset..offset.checked_add(length)?)
    }
}

/// Appends the rows of a block to `columns`, one per field. On an error, which names row and column, the
/// columns hold a part of the block: the caller clears them.
///
/// With `keys`, only these columns are looked at; the others become NULL.
pub fn decode(
    block: &[u8],
    fields: &[Field],
    format: Option<&TimestampFormat>,
    keys: Option<&[usize]>,
    columns: &mut [Column],
) -> Result<usize> {
    let block = Block::new(block).ok_or_else(malformed)?;
    for (index, (field, column)) in fields.iter().zip(columns).enumerate() {
        let slots = block.column(index).ok_or_else(malformed)?;
        if keys.is_some_and(|keys| !keys.contains(&index)) {
            (0..block.rows).for_each(|_| column.push_null());
            continue;
        }
        decode_column(slots, field, format, column).map_err(|(row, code, message)| {
            let mut error = Error::new(code, message).at_field(&field.name);
            error.index = Some(row as u32);
            error
        })?;
    }
    Ok(block.rows)
}

fn decode_column(
    slots: Slots<'_>,
    field: &Field,
    format: Option<&TimestampFormat>,
    column: &mut Column,
) -> std::result::Result<(), (usize, ErrorCode, String)> {
    for (row, &tag) in slots.tags.iter().enumerate() {
        if tag == NULL {
            if !field.nullable {
                let message = format!("{} is missing and may not be NULL", field.name);
                return Err((row, ErrorCode::Constraint, message));
            }
            column.push_null();
            continue;
        }
        let rows = column.len();
        let Some(pushed) = push(slots, row, tag, format, column) else {
            let shown = shown(slots, row, tag);
            let message = format!("{} takes {}, not {shown}", field.name, field.data_type);
            return Err((row, ErrorCode::Type, message));
        };
        if pushed == Pushed::Value {
            column.validity.push(rows, true);
        }
    }
    Ok(())
}

/// Who has marked the value as valid.
#[derive(PartialEq)]
enum Pushed {
    /// Nobody yet.
    Value,
    /// The converter.
    Valid,
}

/// Appends one value; `None` when it does not fit the column's type.
fn push(
    slots: Slots<'_>,
    row: usize,
    tag: u8,
    format: Option<&TimestampFormat>,
    column: &mut Column,
) -> Option<Pushed> {
    let data_type = column.data_type;
    match (&mut column.values, tag) {
        (Values::F64(values), NUMBER) => values.push(slots.number(row)),
        (Values::F64(values), INTEGER) => values.push(slots.integer(row) as f64),
        (Values::Text(values), TEXT) if data_type == DataType::String => {
            let text = slots.bytes(row)?;
            simdutf8::basic::from_utf8(text).ok()?;
            values.push(text);
        }
        (Values::Text(values), BYTES) if data_type == DataType::Bytes => values.push(slots.bytes(row)?),
        (Values::Bool(values), BOOLEAN) => values.push(u8::from(slots.raw(row)[0] != 0)),
        (Values::I32(values), NUMBER) if data_type == DataType::Date => {
            values.push((time_millis(slots.number(row))? / DAY_MILLIS).floor() as i32);
        }
        (Values::I32(values), NUMBER) => {
            let number = integral(slots.number(row))?;
            values.push(i32::try_from(number).ok()?);
        }
        (Values::I32(values), INTEGER) if data_type == DataType::Int => {
            values.push(i32::try_from(slots.integer(row)).ok()?);
        }
        (Values::I64(values), NUMBER) => values.push(match data_type {
            DataType::Timestamp => (time_millis(slots.number(row))? * 1e3).round() as i64,
            DataType::Time => return None,
            _ => integral(slots.number(row))?,
        }),
        (Values::I64(values), INTEGER) if data_type == DataType::BigInt => values.push(slots.integer(row)),
        (Values::I128(values), NUMBER) => {
            let mut buffer = ryu::Buffer::new();
            let number = slots.number(row);
            let text = if number.is_finite() { buffer.format_finite(number) } else { return None };
            values.push(convert::parse_decimal(text, data_type)?);
        }
        (Values::I128(values), INTEGER) => {
            values.push(convert::parse_decimal(&slots.integer(row).to_string(), data_type)?);
        }
        (Values::I128(_) | Values::I32(_) | Values::I64(_), TEXT)
            if !matches!(data_type, DataType::Int | DataType::BigInt) =>
        {
            convert::push_text(column, slots.bytes(row)?, format).ok()?;
            return Some(Pushed::Valid);
        }
        _ => return None,
    }
    Some(Pushed::Value)
}

/// A number that is a whole one, within what a double holds exactly.
fn integral(number: f64) -> Option<i64> {
    (number.trunc() == number && number.abs() <= SAFE_INTEGER_MAX).then_some(number as i64)
}

fn time_millis(millis: f64) -> Option<f64> {
    (millis.abs() <= TIME_MILLIS_MAX).then_some(millis)
}

/// The value as a message shows it.
fn shown(slots: Slots<'_>, row: usize, tag: u8) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    match tag {
        NUMBER => format!("the number {}", slots.number(row)),
        INTEGER => format!("the integer {}", slots.integer(row)),
        BOOLEAN => "a boolean".to_owned(),
        TEXT => {
            let text = String::from_utf8_lossy(slots.bytes(row).unwrap_or_default());
            let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            let more = if text.chars().nth(SHOWN_CHARS_MAX).is_some() { "..." } else { "" };
            format!("the text \"{cut}{more}\"")
        }
        BYTES => "bytes".to_owned(),
        _ => "a value of another type".to_owned(),
    }
}
