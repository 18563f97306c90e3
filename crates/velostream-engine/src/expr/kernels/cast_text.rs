//! Casts from and to text, in the forms of [`crate::value`].

use crate::column::Column;
use crate::error::RecordError;
use crate::expr::RowErrors;
use crate::expr::kernel::{Args, Kernel, Native, text_out};
use crate::expr::kernels::arithmetic::out_of_range;
use crate::value::{
    DecimalError, format_bytes, format_date, format_decimal, format_double, format_interval, format_time,
    format_timestamp, parse_boolean, parse_bytes, parse_date, parse_decimal, parse_double, parse_int,
    parse_interval, parse_time, parse_timestamp,
};
use std::fmt::Write;
use velostream_sql::plan::Interval;
use velostream_sql::types::DataType;

/// Longest part of a text that an error shows.
const SHOWN_CHARACTERS_MAX: usize = 60;

/// The cast of text to `to`.
pub(super) fn from_text(to: DataType) -> Option<Kernel> {
    let kernel = match to {
        DataType::Boolean => parsing(to, |text| parse_boolean(text).map(u8::from)),
        DataType::Int => parsing(to, parse_int::<i32>),
        DataType::BigInt => parsing(to, parse_int::<i64>),
        DataType::Double => parsing(to, parse_double),
        DataType::Decimal { precision, scale } => Kernel::fallible(move |args, out, errors| {
            rows(args, out, errors, |text| {
                parse_decimal(text, precision, scale).map_err(|error| match error {
                    DecimalError::Syntax => malformed(to, text),
                    DecimalError::Overflow => out_of_range(to),
                })
            });
        }),
        DataType::Date => parsing(to, |text| {
            parse_date(text).or_else(|| {
                parse_timestamp(text).map(|t| crate::value::calendar::split_timestamp(t).0 as i32)
            })
        }),
        DataType::Time => parsing(to, parse_time),
        DataType::Timestamp => parsing(to, parse_timestamp),
        DataType::Interval => parsing(to, parse_interval),
        DataType::Bytes => Kernel::fallible(bytes),
        DataType::String | DataType::Null => return None,
    };
    Some(kernel)
}

fn malformed(to: DataType, text: &str) -> RecordError {
    let shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    RecordError::new(format!("invalid value for {to}: \"{shown}{more}\""))
}

fn parsing<O: Native>(to: DataType, parse: impl Fn(&str) -> Option<O> + Send + 'static) -> Kernel {
    Kernel::fallible(move |args, out, errors| {
        rows(args, out, errors, |text| parse(text).ok_or_else(|| malformed(to, text)));
    })
}

/// Parses the live rows; the others get the default.
fn rows<O: Native>(
    args: &Args<'_>,
    out: &mut Column,
    errors: &mut RowErrors,
    parse: impl Fn(&str) -> Result<O, RecordError>,
) {
    let texts = args.text(0);
    O::fill(
        out,
        (0..args.rows).map(|row| {
            if !args.is_live(row) {
                return O::default();
            }
            parse(texts.str(row)).unwrap_or_else(|error| {
                errors.push((row as u32, error));
                O::default()
            })
        }),
    );
}

fn bytes(args: &Args<'_>, out: &mut Column, errors: &mut RowErrors) {
    let (texts, out) = (args.text(0), text_out(out));
    out.truncate(0);
    for row in 0..args.rows {
        let parsed = if args.is_live(row) { parse_bytes(texts.str(row)) } else { Some(Vec::new()) };
        if parsed.is_none() {
            errors.push((row as u32, malformed(DataType::Bytes, texts.str(row))));
        }
        out.push(&parsed.unwrap_or_default());
    }
}

/// The cast of `from` to text.
pub(super) fn to_text(from: DataType) -> Option<Kernel> {
    let kernel = match from {
        DataType::Boolean => {
            formatting(|value: u8, text| text.push_str(if value != 0 { "true" } else { "false" }))
        }
        DataType::Int => formatting(|value: i32, text| number(value, text)),
        DataType::BigInt => formatting(|value: i64, text| number(value, text)),
        DataType::Double => formatting(format_double),
        DataType::Decimal { scale, .. } => {
            formatting(move |value: i128, text| format_decimal(value, scale, text))
        }
        DataType::Date => formatting(format_date),
        DataType::Time => formatting(format_time),
        DataType::Timestamp => formatting(format_timestamp),
        DataType::Interval => formatting(|value: Interval, text| format_interval(value, text)),
        DataType::Bytes => {
            let mut buffer = String::new();
            Kernel::strict(move |args, out| {
                let (bytes, out) = (args.text(0), text_out(out));
                out.truncate(0);
                for row in 0..args.rows {
                    buffer.clear();
                    format_bytes(bytes.get(row), &mut buffer);
                    out.push(buffer.as_bytes());
                }
            })
        }
        DataType::String | DataType::Null => return None,
    };
    Some(kernel)
}

fn number(value: impl std::fmt::Display, text: &mut String) {
    let written = write!(text, "{value}");
    debug_assert!(written.is_ok(), "a String takes every text");
}

fn formatting<A: Native>(format: impl Fn(A, &mut String) + Send + 'static) -> Kernel {
    let mut buffer = String::new();
    Kernel::strict(move |args, out| {
        let out = text_out(out);
        out.truncate(0);
        for &value in args.values::<A>(0) {
            buffer.clear();
            format(value, &mut buffer);
            out.push(buffer.as_bytes());
        }
    })
}
