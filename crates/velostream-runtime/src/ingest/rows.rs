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
use velostream_engine::column::{Column, TextColumn, Validity, Values};
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
    heap: Heap<'a>,
}

/// Where texts and byte strings stand.
#[derive(Clone, Copy)]
struct Heap<'a> {
    bytes: &'a [u8],
    /// Whether every text in it is valid without a look.
    is_ascii: bool,
}

/// One column of a block.
#[derive(Clone, Copy)]
struct Slots<'a> {
    tags: &'a [u8],
    slots: &'a [u8],
    heap: Heap<'a>,
}

/// A value that does not fit its column: its row, the error's code and its message.
type Misfit = (usize, ErrorCode, String);

fn malformed() -> Error {
    Error::new(ErrorCode::Internal, "a row block does not have the layout of its relation")
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

impl<'a> Block<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (rows, offset, length) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?, u32_at(bytes, 8)?);
        let heap = bytes.get(offset..offset.checked_add(length)?)?;
        Some(Self { bytes, rows, heap: Heap { bytes: heap, is_ascii: heap.is_ascii() } })
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
        self.heap.bytes.get(offset..offset.checked_add(length)?)
    }

    fn text(&self, row: usize) -> Option<&'a [u8]> {
        let text = self.bytes(row)?;
        let valid = self.heap.is_ascii || simdutf8::basic::from_utf8(text).is_ok();
        valid.then_some(text)
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
) -> std::result::Result<(), Misfit> {
    let validity = &mut column.validity;
    match (&mut column.values, column.data_type) {
        (Values::F64(values), _) => each_value(slots, field, values, validity, |row, tag| match tag {
            NUMBER => Some(slots.number(row)),
            INTEGER => Some(slots.integer(row) as f64),
            _ => None,
        }),
        (Values::I32(values), DataType::Int) => {
            each_value(slots, field, values, validity, |row, tag| match tag {
                NUMBER => integral(slots.number(row))?.try_into().ok(),
                INTEGER => slots.integer(row).try_into().ok(),
                _ => None,
            })
        }
        (Values::I64(values), DataType::BigInt) => {
            each_value(slots, field, values, validity, |row, tag| match tag {
                NUMBER => integral(slots.number(row)),
                INTEGER => Some(slots.integer(row)),
                _ => None,
            })
        }
        (Values::Text(values), DataType::String) => decode_texts(slots, field, values, validity),
        _ => decode_any(slots, field, format, column),
    }
}

/// Appends one value per row; `read` gives `None` where it does not fit the column's type.
fn each_value<T: Default>(
    slots: Slots<'_>,
    field: &Field,
    values: &mut Vec<T>,
    validity: &mut Validity,
    read: impl Fn(usize, u8) -> Option<T>,
) -> std::result::Result<(), Misfit> {
    values.reserve(slots.tags.len());
    for (row, &tag) in slots.tags.iter().enumerate() {
        let value = if tag == NULL {
            require_nullable(field, row)?;
            None
        } else {
            Some(read(row, tag).ok_or_else(|| misfit(slots, field, row, tag))?)
        };
        validity.push(values.len(), value.is_some());
        values.push(value.unwrap_or_default());
    }
    Ok(())
}

fn decode_texts(
    slots: Slots<'_>,
    field: &Field,
    values: &mut TextColumn,
    validity: &mut Validity,
) -> std::result::Result<(), Misfit> {
    for (row, &tag) in slots.tags.iter().enumerate() {
        let value: &[u8] = match tag {
            NULL => {
                require_nullable(field, row)?;
                b""
            }
            TEXT => slots.text(row).ok_or_else(|| misfit(slots, field, row, tag))?,
            _ => return Err(misfit(slots, field, row, tag)),
        };
        validity.push(values.len(), tag != NULL);
        values.push(value);
    }
    Ok(())
}

/// The types whose values need more than their slot.
fn decode_any(
    slots: Slots<'_>,
    field: &Field,
    format: Option<&TimestampFormat>,
    column: &mut Column,
) -> std::result::Result<(), Misfit> {
    for (row, &tag) in slots.tags.iter().enumerate() {
        if tag == NULL {
            require_nullable(field, row)?;
            column.push_null();
            continue;
        }
        let rows = column.len();
        let pushed = push(slots, row, tag, format, column).ok_or_else(|| misfit(slots, field, row, tag))?;
        if pushed == Pushed::Value {
            column.validity.push(rows, true);
        }
    }
    Ok(())
}

fn require_nullable(field: &Field, row: usize) -> std::result::Result<(), Misfit> {
    if field.nullable {
        return Ok(());
    }
    Err((row, ErrorCode::Constraint, format!("{} must not be NULL", field.name)))
}

#[cold]
fn misfit(slots: Slots<'_>, field: &Field, row: usize, tag: u8) -> Misfit {
    let shown = shown(slots, row, tag);
    (row, ErrorCode::Type, format!("{} takes {}, not {shown}", field.name, field.data_type))
}

/// Who has marked the value as valid.
#[derive(PartialEq)]
enum Pushed {
    /// Nobody yet.
    Value,
    /// The converter.
    Valid,
}

/// Appends one value of a type that `decode_any` has; `None` when it does not fit.
fn push(
    slots: Slots<'_>,
    row: usize,
    tag: u8,
    format: Option<&TimestampFormat>,
    column: &mut Column,
) -> Option<Pushed> {
    let data_type = column.data_type;
    match (&mut column.values, tag) {
        (Values::Text(values), BYTES) if data_type == DataType::Bytes => values.push(slots.bytes(row)?),
        (Values::Bool(values), BOOLEAN) => values.push(u8::from(slots.raw(row)[0] != 0)),
        (Values::I32(values), NUMBER) if data_type == DataType::Date => {
            values.push((time_millis(slots.number(row))? / DAY_MILLIS).floor() as i32);
        }
        (Values::I64(values), NUMBER) if data_type == DataType::Timestamp => {
            values.push((time_millis(slots.number(row))? * 1e3).round() as i64);
        }
        (Values::I128(values), NUMBER) => {
            let mut buffer = ryu::Buffer::new();
            let number = slots.number(row);
            let text = if number.is_finite() { buffer.format_finite(number) } else { return None };
            values.push(convert::parse_decimal(text, data_type)?);
        }
        (Values::I128(values), INTEGER) => {
            values.push(convert::whole_decimal(slots.integer(row), data_type)?);
        }
        (Values::I128(_) | Values::I32(_) | Values::I64(_), TEXT) => {
            convert::push_text(column, slots.bytes(row)?, format).ok()?;
            return Some(Pushed::Valid);
        }
        _ => return None,
    }
    Some(Pushed::Value)
}

/// A number that is a whole one, within what a double holds exactly.
fn integral(number: f64) -> Option<i64> {
    let whole = number as i64;
    (whole as f64 == number && number.abs() <= SAFE_INTEGER_MAX).then_some(whole)
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
