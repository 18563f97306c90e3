//! The rules of types: what widens to what, what arithmetic gives, what may be cast.

use crate::plan::BinaryOp;
use crate::types::{DECIMAL_PRECISION_MAX, DataType};

/// Digits after the point that a quotient keeps at least.
const QUOTIENT_SCALE_MIN: u8 = 6;

/// Digits that AVG keeps beyond its argument's.
const AVERAGE_SCALE_EXTRA: u8 = 6;

/// Precision and scale of a number as DECIMAL; `None` for DOUBLE and all that is no number.
#[must_use]
pub(super) fn as_decimal(data_type: DataType) -> Option<(u8, u8)> {
    match data_type {
        DataType::Int => Some((10, 0)),
        DataType::BigInt => Some((19, 0)),
        DataType::Decimal { precision, scale } => Some((precision, scale)),
        _ => None,
    }
}

/// A DECIMAL of so many digits before and after the point, cut to 38 in all.
fn decimal(whole: u8, scale: u8) -> DataType {
    DataType::Decimal { precision: (whole + scale).min(DECIMAL_PRECISION_MAX), scale }
}

/// The narrowest type that both widen to: INT, BIGINT, DECIMAL, DOUBLE; DATE, TIMESTAMP; NULL to any.
#[must_use]
pub(super) fn widen(left: DataType, right: DataType) -> Option<DataType> {
    use DataType as T;
    Some(match (left, right) {
        (left, right) if left == right => left,
        (T::Null, other) | (other, T::Null) => other,
        (T::Date, T::Timestamp) | (T::Timestamp, T::Date) => T::Timestamp,
        (T::Int, T::BigInt) | (T::BigInt, T::Int) => T::BigInt,
        (T::Double, other) | (other, T::Double) if other.is_numeric() => T::Double,
        (left, right) => {
            let ((p1, s1), (p2, s2)) = (as_decimal(left)?, as_decimal(right)?);
            decimal((p1 - s1).max(p2 - s2), s1.max(s2))
        }
    })
}

/// What `+ - * / %` of two numbers gives; the operands' own common type for all but DECIMAL.
#[must_use]
pub(super) fn arithmetic(op: BinaryOp, left: DataType, right: DataType) -> Option<DataType> {
    if !left.is_numeric() || !right.is_numeric() {
        return None;
    }
    let common = widen(left, right)?;
    let DataType::Decimal { .. } = common else {
        return Some(common);
    };
    let ((p1, s1), (p2, s2)) = (as_decimal(left)?, as_decimal(right)?);
    let (whole_1, whole_2) = (p1 - s1, p2 - s2);
    Some(match op {
        BinaryOp::Add | BinaryOp::Subtract => decimal(whole_1.max(whole_2) + 1, s1.max(s2)),
        BinaryOp::Multiply => decimal(whole_1 + whole_2, (s1 + s2).min(DECIMAL_PRECISION_MAX)),
        BinaryOp::Divide => {
            let whole = whole_1 + s2;
            let scale = QUOTIENT_SCALE_MIN.max(s1 + p2 + 1);
            let room = DECIMAL_PRECISION_MAX.saturating_sub(whole).max(QUOTIENT_SCALE_MIN);
            decimal(whole, scale.min(room))
        }
        BinaryOp::Modulo => decimal(whole_1.min(whole_2).max(1), s1.max(s2)),
        _ => return None,
    })
}

/// What SUM gives.
#[must_use]
pub(super) fn sum(argument: DataType) -> Option<DataType> {
    match argument {
        DataType::Int | DataType::BigInt => Some(DataType::BigInt),
        DataType::Double => Some(DataType::Double),
        DataType::Decimal { scale, .. } => {
            Some(DataType::Decimal { precision: DECIMAL_PRECISION_MAX, scale })
        }
        _ => None,
    }
}

/// What AVG gives.
#[must_use]
pub(super) fn average(argument: DataType) -> Option<DataType> {
    match argument {
        DataType::Int | DataType::BigInt | DataType::Double => Some(DataType::Double),
        DataType::Decimal { scale, .. } => Some(DataType::Decimal {
            precision: DECIMAL_PRECISION_MAX,
            scale: (scale + AVERAGE_SCALE_EXTRA).min(DECIMAL_PRECISION_MAX),
        }),
        _ => None,
    }
}

/// Whether CAST knows the way; text that does not read as the target fails per record.
#[must_use]
pub(super) fn castable(from: DataType, to: DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (from, to) if from == to => true,
        (T::Null, _) => true,
        (T::Interval, _) | (_, T::Interval | T::Null) => false,
        (T::Bytes, _) | (_, T::Bytes) => false,
        (T::String, _) | (_, T::String) => true,
        (from, to) if from.is_numeric() && to.is_numeric() => true,
        (T::Boolean, T::Int) | (T::Int, T::Boolean) => true,
        (T::Date, T::Timestamp) | (T::Timestamp, T::Date | T::Time) => true,
        _ => false,
    }
}

/// Whether a column of type `to` takes a value of type `from` without CAST. A DECIMAL takes one with no more
/// digits after its point; that it also fits before the point is checked per record.
#[must_use]
pub(super) fn assignable(from: DataType, to: DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Decimal { scale: from, .. }, T::Decimal { scale: to, .. }) => from <= to,
        (T::Int | T::BigInt, T::Decimal { .. }) => true,
        (from, to) => widen(from, to) == Some(to),
    }
}
