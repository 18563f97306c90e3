//! Casts between scalar types, as in PostgreSQL.
//!
//! A double becomes an integer by rounding half to even, a decimal by rounding half away from zero. A double
//! becomes a decimal by way of its 15 leading digits. What does not fit fails the row.

use crate::error::RecordError;
use crate::expr::kernel::{Kernel, Native};
use crate::expr::kernels::arithmetic::out_of_range;
use crate::expr::kernels::cast_text;
use crate::value::calendar::{DAY_MICROS, split_timestamp};
use crate::value::decimal::{parse_decimal, rescale, to_double};
use std::fmt::Write;
use velostream_sql::types::DataType;

/// The kernel of a cast between two different types; `None` where SQL has no such cast.
pub(in crate::expr) fn cast(from: DataType, to: DataType) -> Option<Kernel> {
    use DataType::{BigInt, Boolean, Bytes, Date, Decimal, Double, Int, String, Time, Timestamp};
    let kernel = match (from, to) {
        (String, _) => return cast_text::from_text(to),
        (_, String) => return cast_text::to_text(from),
        (_, Bytes) | (Bytes, _) => return None,
        (Int, BigInt) => Kernel::unary(|value: i32| i64::from(value)),
        (Int, Double) => Kernel::unary(|value: i32| f64::from(value)),
        (BigInt, Int) => checked(to, |value: i64| i32::try_from(value).ok()),
        (BigInt, Double) => Kernel::unary(|value: i64| value as f64),
        (Double, Int) => checked(to, |value: f64| {
            let rounded = value.round_ties_even();
            (-2_147_483_648.0..2_147_483_648.0).contains(&rounded).then_some(rounded as i32)
        }),
        (Double, BigInt) => checked(to, |value: f64| {
            let rounded = value.round_ties_even();
            (-(2f64.powi(63))..2f64.powi(63)).contains(&rounded).then_some(rounded as i64)
        }),
        (Int, Decimal { precision, scale }) => {
            checked(to, move |value: i32| rescale(i128::from(value), 0, precision, scale))
        }
        (BigInt, Decimal { precision, scale }) => {
            checked(to, move |value: i64| rescale(i128::from(value), 0, precision, scale))
        }
        (Double, Decimal { precision, scale }) => double_to_decimal(precision, scale),
        (Decimal { scale, .. }, Int) => {
            checked(to, move |value: i128| rescale(value, scale, 38, 0).and_then(|v| i32::try_from(v).ok()))
        }
        (Decimal { scale, .. }, BigInt) => {
            checked(to, move |value: i128| rescale(value, scale, 38, 0).and_then(|v| i64::try_from(v).ok()))
        }
        (Decimal { scale, .. }, Double) => Kernel::unary(move |value: i128| to_double(value, scale)),
        (Decimal { precision: before, scale: s }, Decimal { precision, scale }) => {
            if precision >= before && scale == s {
                Kernel::unary(|value: i128| value)
            } else {
                checked(to, move |value: i128| rescale(value, s, precision, scale))
            }
        }
        (Boolean, Int) => Kernel::unary(|value: u8| i32::from(value)),
        (Boolean, BigInt) => Kernel::unary(|value: u8| i64::from(value)),
        (Int, Boolean) => Kernel::unary(|value: i32| u8::from(value != 0)),
        (BigInt, Boolean) => Kernel::unary(|value: i64| u8::from(value != 0)),
        (Date, Timestamp) => Kernel::unary(|days: i32| i64::from(days) * DAY_MICROS),
        (Timestamp, Date) => Kernel::unary(|micros: i64| split_timestamp(micros).0 as i32),
        (Timestamp, Time) => Kernel::unary(|micros: i64| split_timestamp(micros).1),
        (Time, DataType::Interval) => {
            Kernel::unary(|micros: i64| velostream_sql::plan::Interval { months: 0, days: 0, micros })
        }
        _ => return None,
    };
    Some(kernel)
}

fn checked<A: Native, O: Native>(to: DataType, f: impl Fn(A) -> Option<O> + Send + 'static) -> Kernel {
    Kernel::try_unary(f, move |_| out_of_range(to))
}

fn double_to_decimal(precision: u8, scale: u8) -> Kernel {
    let mut text = String::new();
    Kernel::fallible(move |args, out, errors| {
        let values = args.values::<f64>(0);
        let mut convert = |value: f64| {
            text.clear();
            write!(text, "{value:.14e}").ok()?;
            parse_decimal(&text, precision, scale).ok()
        };
        let target = i128::vector(&mut out.values);
        target.clear();
        for (row, &value) in values.iter().enumerate() {
            let live = args.is_live(row);
            let digits = if live { convert(value) } else { Some(0) };
            if digits.is_none() {
                let error: RecordError = out_of_range(DataType::Decimal { precision, scale });
                errors.push((row as u32, error));
            }
            target.push(digits.unwrap_or_default());
        }
    })
}
