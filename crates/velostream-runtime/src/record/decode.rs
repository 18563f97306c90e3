//! Records into columns: each value as its column's type, or a message that says why not.

use super::StreamRecord;
use crate::error::{Error, Result};
use crate::ingest::convert;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::column::Column;
use velostream_engine::value::TimestampFormat;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::Literal;
use velostream_sql::types::{DataType, Schema};

/// Appends a record to the columns of its relation, with its mark and its time; `now_micros` is the time of those
/// that have none. On an error, which names the field, `raw` holds a part of it: the caller clears it.
pub fn push(
    record: &StreamRecord,
    schema: &Schema,
    format: Option<&TimestampFormat>,
    now_micros: i64,
    raw: &mut ChangeBatch,
) -> Result<()> {
    let is_tombstone = record.op == Op::Delete;
    for (position, (field, column)) in schema.fields.iter().zip(&mut raw.columns).enumerate() {
        let counts = !is_tombstone || schema.primary_key.contains(&position);
        let value = record.get_near(&field.name, position).filter(|_| counts);
        match value {
            None | Some(Literal::Null) if counts && !field.nullable => {
                let message = format!("{} must not be NULL", field.name);
                return Err(Error::new(ErrorCode::Constraint, message).at_field(&field.name));
            }
            None => column.push_null(),
            Some(value) => push_value(column, value, format)
                .map_err(|message| Error::new(ErrorCode::Type, message).at_field(&field.name))?,
        }
    }
    let op = if is_tombstone { Op::Delete } else { Op::Insert };
    raw.push_mark(op, Seq(0), record.event_time_micros.unwrap_or(now_micros));
    Ok(())
}

fn push_value(
    column: &mut Column,
    value: &Literal,
    format: Option<&TimestampFormat>,
) -> std::result::Result<(), String> {
    let data_type = column.data_type;
    match (data_type, value) {
        (
            DataType::Decimal { .. } | DataType::Date | DataType::Time | DataType::Timestamp,
            Literal::String(text),
        ) => return convert::push_text(column, text.as_bytes(), format),
        _ => column.push_literal(&fit(data_type, value).ok_or_else(|| misfit(data_type, value))?),
    }
    Ok(())
}

/// The value as a constant of the type, unless that would change it.
fn fit(data_type: DataType, value: &Literal) -> Option<Literal> {
    Some(match (data_type, value) {
        (_, Literal::Null) => Literal::Null,
        (DataType::BigInt, Literal::Int(value)) => Literal::BigInt((*value).into()),
        (DataType::Int, Literal::BigInt(value)) => Literal::Int((*value).try_into().ok()?),
        (DataType::Double, Literal::Int(value)) => Literal::Double((*value).into()),
        (DataType::Double, Literal::BigInt(value)) => Literal::Double(*value as f64),
        (DataType::Decimal { .. }, Literal::Int(value)) => {
            Literal::Decimal(convert::whole_decimal((*value).into(), data_type)?)
        }
        (DataType::Decimal { .. }, Literal::BigInt(value)) => {
            Literal::Decimal(convert::whole_decimal(*value, data_type)?)
        }
        (DataType::Decimal { precision, .. }, Literal::Decimal(digits)) => {
            let fits = digits.unsigned_abs() < 10_u128.pow(precision.into());
            return fits.then(|| value.clone());
        }
        (DataType::Boolean, Literal::Boolean(_))
        | (DataType::Int, Literal::Int(_))
        | (DataType::BigInt, Literal::BigInt(_))
        | (DataType::Double, Literal::Double(_))
        | (DataType::String, Literal::String(_))
        | (DataType::Bytes, Literal::Bytes(_))
        | (DataType::Date, Literal::Date(_))
        | (DataType::Time, Literal::Time(_))
        | (DataType::Timestamp, Literal::Timestamp(_)) => value.clone(),
        _ => return None,
    })
}

#[cold]
fn misfit(data_type: DataType, value: &Literal) -> String {
    format!("expected {data_type}, found {value:?}")
}
