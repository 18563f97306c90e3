//! Text to typed values, by column type: shared by JSON texts and CSV fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::str::FromStr;
use velostream_engine::column::{Column, Values};
use velostream_engine::value::{self, TimestampFormat};
use velostream_sql::types::{DataType, Field};

/// What a decoder must know of its relation.
#[derive(Debug, Clone)]
pub struct SourceFormat {
    /// The relation's columns.
    pub fields: Vec<Field>,
    /// How TIMESTAMP texts are written; ISO 8601 is read as well.
    pub timestamp_format: Option<TimestampFormat>,
    /// Whether a STRING column takes values that are not texts as their JSON text: so with inferred columns.
    pub json_text: bool,
}

/// Appends `text` to `column` as a value of its type; the message says what was expected.
pub fn push_text(column: &mut Column, text: &[u8], format: Option<&TimestampFormat>) -> Result<(), String> {
    let rows = column.len();
    let data_type = column.data_type;
    let unfit = || unfit(data_type, text);
    let utf8 = || std::str::from_utf8(text).map_err(|_| "invalid UTF-8".to_owned());
    match &mut column.values {
        Values::Text(values) if data_type == DataType::Bytes => {
            values.push(&BASE64.decode(text).map_err(|_| unfit())?);
        }
        Values::Text(values) => values.push(utf8()?.as_bytes()),
        Values::Bool(values) => values.push(u8::from(value::parse_boolean(utf8()?).ok_or_else(unfit)?)),
        Values::I32(values) if data_type == DataType::Date => {
            values.push(value::parse_date(utf8()?).ok_or_else(unfit)?);
        }
        Values::I32(values) => values.push(number(utf8()?).ok_or_else(unfit)?),
        Values::I64(values) => values.push(match data_type {
            DataType::Timestamp => parse_timestamp(utf8()?, format).ok_or_else(unfit)?,
            DataType::Time => value::parse_time(utf8()?).ok_or_else(unfit)?,
            _ => number(utf8()?).ok_or_else(unfit)?,
        }),
        Values::F64(values) => values.push(number(utf8()?).ok_or_else(unfit)?),
        Values::I128(values) => values.push(parse_decimal(utf8()?, data_type).ok_or_else(unfit)?),
        Values::Interval(_) => return Err(unfit()),
    }
    column.validity.push(rows, true);
    Ok(())
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// The number that a text is, spaces around it allowed.
#[must_use]
pub fn parse_number<T: FromStr>(text: &[u8]) -> Option<T> {
    number(std::str::from_utf8(text).ok()?)
}

/// A timestamp in the declared format or in ISO 8601, microseconds since the epoch.
#[must_use]
pub fn parse_timestamp(text: &str, format: Option<&TimestampFormat>) -> Option<i64> {
    format.and_then(|format| format.parse(text)).or_else(|| value::parse_timestamp(text))
}

/// The digits of a decimal text at the scale of `data_type`.
#[must_use]
pub fn parse_decimal(text: &str, data_type: DataType) -> Option<i128> {
    let DataType::Decimal { precision, scale } = data_type else { return None };
    value::parse_decimal(text.trim(), precision, scale).ok()
}

/// The digits of a whole number at the scale of `data_type`.
#[must_use]
pub fn whole_decimal(value: i64, data_type: DataType) -> Option<i128> {
    let DataType::Decimal { precision, scale } = data_type else { return None };
    let digits = i128::from(value).checked_mul(10_i128.pow(scale.into()))?;
    (digits.unsigned_abs() < 10_u128.pow(precision.into())).then_some(digits)
}

/// `expected INT, found "abc"`, the value cut to a readable length.
#[must_use]
pub fn unfit(data_type: DataType, found: &[u8]) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    let text = String::from_utf8_lossy(found);
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let more = if text.chars().nth(SHOWN_CHARS_MAX).is_some() { "..." } else { "" };
    format!("expected {data_type}, found \"{shown}{more}\"")
}
