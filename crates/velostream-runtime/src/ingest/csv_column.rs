//! Fields of one column to its values: the loop over many records, what they are chosen outside.

use super::convert;
use super::csv_plain::Span;
use super::csv_reader::CsvRecords;
use super::number::{self, Compact, NumberToken};
use velostream_engine::column::{Column, TextColumn, Validity, Values};
use velostream_engine::value::{self, TimestampFormat};
use velostream_sql::types::DataType;

/// Appends `fields`, which stand in the bytes of `records`; an empty one is NULL. The error is how many of them came
/// before the first that does not fit: [`convert::push_text`] says why.
#[inline(never)]
pub fn push_fields<'a>(
    column: &mut Column,
    fields: impl ExactSizeIterator<Item = &'a Span>,
    records: &CsvRecords<'_>,
    format: Option<&TimestampFormat>,
) -> Result<(), usize> {
    let bytes = records.bytes;
    let data_type = column.data_type;
    let validity = &mut column.validity;
    match (&mut column.values, data_type) {
        (Values::Text(values), DataType::String) => texts(values, validity, fields, records),
        (Values::F64(values), _) => push(values, validity, fields, |span| {
            Compact::read(bytes, span.start..span.end).map(Compact::double).or_else(|| double(bytes, span))
        }),
        (Values::I32(values), DataType::Int) => {
            push(values, validity, fields, |span| i32::try_from(usual_integer(bytes, span)?).ok())
        }
        (Values::I64(values), DataType::BigInt) => {
            push(values, validity, fields, |span| usual_integer(bytes, span))
        }
        (Values::I128(values), DataType::Decimal { precision, scale }) => {
            let limit = 10_u128.pow(precision.into());
            push(values, validity, fields, |span| {
                let usual = short(bytes, span).and_then(|token| scaled(&token, scale, limit));
                usual.or_else(|| convert::parse_decimal(text(bytes, span)?, data_type))
            })
        }
        (Values::I32(values), DataType::Date) => {
            push(values, validity, fields, |span| value::parse_date(text(bytes, span)?))
        }
        (Values::I64(values), DataType::Time) => {
            push(values, validity, fields, |span| value::parse_time(text(bytes, span)?))
        }
        (Values::I64(values), DataType::Timestamp) => {
            push(values, validity, fields, |span| convert::parse_timestamp(text(bytes, span)?, format))
        }
        (Values::Bool(values), _) => push(values, validity, fields, |span| match span.of(bytes) {
            b"true" => Some(1),
            b"false" => Some(0),
            other => value::parse_boolean(std::str::from_utf8(other).ok()?).map(u8::from),
        }),
        _ => others(column, fields, bytes),
    }
}

/// Appends what `value` makes of the fields.
#[inline(always)]
fn push<'a, T: Default>(
    values: &mut Vec<T>,
    validity: &mut Validity,
    fields: impl ExactSizeIterator<Item = &'a Span>,
    value: impl Fn(Span) -> Option<T>,
) -> Result<(), usize> {
    values.reserve(fields.len());
    for (index, &span) in fields.enumerate() {
        let valid = !span.is_empty();
        let value = if valid { value(span).ok_or(index)? } else { T::default() };
        validity.push(values.len(), valid);
        values.push(value);
    }
    Ok(())
}

fn texts<'a>(
    values: &mut TextColumn,
    validity: &mut Validity,
    fields: impl ExactSizeIterator<Item = &'a Span>,
    records: &CsvRecords<'_>,
) -> Result<(), usize> {
    for (index, &span) in fields.enumerate() {
        if span.end > records.valid_to && std::str::from_utf8(span.of(records.bytes)).is_err() {
            return Err(index);
        }
        validity.push(values.len(), !span.is_empty());
        values.push_part(records.bytes, span.start..span.end);
    }
    Ok(())
}

/// Columns of types that are rare in files.
#[cold]
fn others<'a>(
    column: &mut Column,
    fields: impl ExactSizeIterator<Item = &'a Span>,
    bytes: &[u8],
) -> Result<(), usize> {
    for (index, span) in fields.enumerate() {
        if span.is_empty() {
            column.push_null();
        } else {
            convert::push_text(column, span.of(bytes), None).map_err(|_| index)?;
        }
    }
    Ok(())
}

fn short(bytes: &[u8], span: Span) -> Option<NumberToken<'_>> {
    number::short(bytes, span.start).filter(|token| token.text.len() == span.end - span.start)
}

#[inline(never)]
fn double(bytes: &[u8], span: Span) -> Option<f64> {
    let usual = short(bytes, span).and_then(|token| number::double(&token));
    usual.or_else(|| convert::parse_number(span.of(bytes)))
}

#[inline(always)]
fn usual_integer(bytes: &[u8], span: Span) -> Option<i64> {
    let compact = Compact::read(bytes, span.start..span.end).and_then(Compact::integer);
    compact.or_else(|| integer(bytes, span))
}

#[inline(never)]
fn integer(bytes: &[u8], span: Span) -> Option<i64> {
    let usual = short(bytes, span).filter(|token| token.exponent == 0);
    usual.and_then(|token| number::integer(&token)).or_else(|| convert::parse_number(span.of(bytes)))
}

/// The digits of a decimal below `limit`, if they need few zeros to have the scale and are not to be rounded.
#[inline(always)]
fn scaled(number: &NumberToken<'_>, scale: u8, limit: u128) -> Option<i128> {
    let zeros = usize::from(scale).checked_sub(number.exponent.unsigned_abs() as usize)?;
    let digits = number.mantissa.checked_mul(*number::POWERS.get(zeros)?)?;
    let value = if number.negative { -i128::from(digits) } else { i128::from(digits) };
    (u128::from(digits) < limit).then_some(value)
}

fn text(bytes: &[u8], span: Span) -> Option<&str> {
    std::str::from_utf8(span.of(bytes)).ok()
}
