//! Constants: reading them, and taking on the other side's type where nothing is lost.

use crate::interval;
use crate::plan::{Expr, ExprKind, Literal};
use crate::time;
use crate::types::{DECIMAL_PRECISION_MAX, DataType};

/// A number as written, in the narrowest type that holds it: INT, BIGINT, DECIMAL, or DOUBLE with an exponent.
/// `None` when it has more digits than a DECIMAL.
pub(super) fn number(text: &str) -> Option<(Literal, DataType)> {
    let text = text.replace('_', "");
    if text.contains(['e', 'E']) {
        let value: f64 = text.parse().ok()?;
        return value.is_finite().then_some((Literal::Double(value), DataType::Double));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    if !text.contains('.') {
        if let Ok(value) = i32::try_from(digits) {
            return Some((Literal::Int(value), DataType::Int));
        }
        if let Ok(value) = i64::try_from(digits) {
            return Some((Literal::BigInt(value), DataType::BigInt));
        }
    }
    let whole_digits = whole.trim_start_matches('0').len();
    let precision = u8::try_from(whole_digits + fraction.len()).ok()?.max(1);
    let scale = fraction.len() as u8;
    (precision <= DECIMAL_PRECISION_MAX)
        .then_some((Literal::Decimal(digits), DataType::Decimal { precision, scale }))
}

/// `-` of a constant number; `None` when it has none or does not fit. The smallest INT and BIGINT are
/// written as the negative of one more than the largest, so the result is narrowed again.
pub(super) fn negate(literal: &Literal, data_type: DataType) -> Option<(Literal, DataType)> {
    Some(match literal {
        Literal::Int(value) => match value.checked_neg() {
            Some(value) => (Literal::Int(value), DataType::Int),
            None => (Literal::BigInt(-i64::from(*value)), DataType::BigInt),
        },
        Literal::BigInt(value) => match value.checked_neg() {
            Some(value) => narrow(value),
            None => (Literal::Decimal(-i128::from(*value)), DataType::Decimal { precision: 19, scale: 0 }),
        },
        Literal::Decimal(digits) => match (i64::try_from(-digits), data_type) {
            (Ok(value), DataType::Decimal { scale: 0, .. }) => (Literal::BigInt(value), DataType::BigInt),
            _ => (Literal::Decimal(-digits), data_type),
        },
        Literal::Double(value) => (Literal::Double(-value), DataType::Double),
        Literal::Interval(value) => {
            let value = crate::plan::Interval {
                months: value.months.checked_neg()?,
                days: value.days.checked_neg()?,
                micros: value.micros.checked_neg()?,
            };
            (Literal::Interval(value), DataType::Interval)
        }
        _ => return None,
    })
}

fn narrow(value: i64) -> (Literal, DataType) {
    match i32::try_from(value) {
        Ok(small) => (Literal::Int(small), DataType::Int),
        Err(_) => (Literal::BigInt(value), DataType::BigInt),
    }
}

/// The constant in another type, where it means exactly the same; text becomes dates, times and intervals.
pub(super) fn convert(literal: &Literal, from: DataType, to: DataType) -> Option<Literal> {
    if from == to || matches!(literal, Literal::Null) {
        return Some(literal.clone());
    }
    match (literal, to) {
        (Literal::String(text), DataType::Timestamp) => time::parse_timestamp(text).map(Literal::Timestamp),
        (Literal::String(text), DataType::Date) => time::parse_date(text).map(Literal::Date),
        (Literal::String(text), DataType::Time) => time::parse_time(text).map(Literal::Time),
        (Literal::String(text), DataType::Interval) => interval::parse(text).map(Literal::Interval),
        (Literal::Date(days), DataType::Timestamp) => {
            i64::from(*days).checked_mul(time::DAY_MICROS).map(Literal::Timestamp)
        }
        _ => convert_number(literal, from, to),
    }
}

fn convert_number(literal: &Literal, from: DataType, to: DataType) -> Option<Literal> {
    if let Literal::Double(value) = literal {
        let (literal, data_type) = number(&value.abs().to_string())?;
        let signed =
            if value.is_sign_negative() { negate(&literal, data_type)? } else { (literal, data_type) };
        return convert_number(&signed.0, signed.1, to);
    }
    let (digits, scale) = match (literal, from) {
        (Literal::Int(value), _) => (i128::from(*value), 0),
        (Literal::BigInt(value), _) => (i128::from(*value), 0),
        (Literal::Decimal(digits), DataType::Decimal { scale, .. }) => (*digits, scale),
        _ => return None,
    };
    match to {
        DataType::Int => i32::try_from(rescale(digits, scale, 0)?).ok().map(Literal::Int),
        DataType::BigInt => i64::try_from(rescale(digits, scale, 0)?).ok().map(Literal::BigInt),
        DataType::Decimal { precision, scale: target } => {
            let digits = rescale(digits, scale, target)?;
            (digits.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(Literal::Decimal(digits))
        }
        DataType::Double => format!("{digits}e-{scale}").parse().ok().map(Literal::Double),
        _ => None,
    }
}

/// The digits at another scale, where none are lost.
fn rescale(digits: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return digits.checked_mul(10_i128.checked_pow(u32::from(to - from))?);
    }
    let unit = 10_i128.checked_pow(u32::from(from - to))?;
    (digits % unit == 0).then_some(digits / unit)
}

/// A constant text as the DECIMAL that it spells; DECIMALs are texts in JavaScript.
pub(super) fn decimal_text(literal: &Literal, to: DataType) -> Option<Literal> {
    let Literal::String(text) = literal else {
        return None;
    };
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let (literal, data_type) = number(digits)?;
    let (literal, data_type) = if sign { negate(&literal, data_type)? } else { (literal, data_type) };
    convert_number(&literal, data_type, to)
}

/// An expression cast to a type that it widens to; constants are converted here and now.
pub(super) fn cast_to(expr: Expr, to: DataType) -> Expr {
    if expr.data_type == to {
        return expr;
    }
    if let ExprKind::Literal(literal) = &expr.kind
        && let Some(converted) = convert(literal, expr.data_type, to)
    {
        return Expr { kind: ExprKind::Literal(converted), data_type: to, ..expr };
    }
    let (nullable, span) = (expr.nullable, expr.span);
    let kind = ExprKind::Cast { expr: Box::new(expr), try_cast: false };
    Expr { kind, data_type: to, nullable, span }
}
