//! Intervals and durations as text: `'90' SECOND`, `'1 day 02:00'`, `10 SECONDS`, `500ms`.

use crate::plan::Interval;
use sqlparser::ast as syntax;

const SECOND_MICROS: i64 = 1_000_000;
const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// Digits after the point that a number of some unit may have.
const FRACTION_DIGITS_MAX: usize = 9;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Calendar months, so many to one.
    Months(i32),
    /// Calendar days, so many to one.
    Days(i32),
    /// Microseconds, so many to one.
    Micros(i64),
}

impl Unit {
    /// A unit by its name, singular, plural or short, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "us" | "microsecond" | "microseconds" => Self::Micros(1),
            "ms" | "millisecond" | "milliseconds" => Self::Micros(1_000),
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Micros(SECOND_MICROS),
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Micros(MINUTE_MICROS),
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Micros(HOUR_MICROS),
            "d" | "day" | "days" => Self::Days(1),
            "w" | "week" | "weeks" => Self::Days(7),
            "mon" | "mons" | "month" | "months" => Self::Months(1),
            "quarter" | "quarters" => Self::Months(3),
            "y" | "yr" | "year" | "years" => Self::Months(12),
            _ => return None,
        })
    }
}

/// A number of a unit, the number as text. `None` when it does not fit or is finer than a microsecond.
#[must_use]
pub fn with_unit(number: &str, unit: Unit) -> Option<Interval> {
    let (digits, scale) = decimal(number)?;
    let times = |factor: i64| -> Option<i64> {
        let scaled = i128::from(digits).checked_mul(i128::from(factor))?;
        (scaled % scale == 0).then(|| i64::try_from(scaled / scale).ok()).flatten()
    };
    Some(match unit {
        Unit::Months(count) => {
            Interval { months: i32::try_from(times(i64::from(count))?).ok()?, ..Interval::default() }
        }
        Unit::Days(count) => match times(i64::from(count)) {
            Some(days) => Interval { days: i32::try_from(days).ok()?, ..Interval::default() },
            None => Interval { micros: times(i64::from(count) * DAY_MICROS)?, ..Interval::default() },
        },
        Unit::Micros(count) => Interval { micros: times(count)?, ..Interval::default() },
    })
}

/// `-1.25` as -125 and 100.
fn decimal(number: &str) -> Option<(i64, i128)> {
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let digits: i64 = format!("0{whole}{fraction}").parse().ok()?;
    Some((if negative { -digits } else { digits }, 10_i128.pow(fraction.len() as u32)))
}

/// The sum of two intervals, part by part.
fn add(left: Interval, right: Interval) -> Option<Interval> {
    Some(Interval {
        months: left.months.checked_add(right.months)?,
        days: left.days.checked_add(right.days)?,
        micros: left.micros.checked_add(right.micros)?,
    })
}

/// PostgreSQL's text form: numbers with units, then perhaps a clock time: `1 day 02:03:04.5`.
#[must_use]
pub fn parse(text: &str) -> Option<Interval> {
    let mut total = Interval::default();
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        if rest[..end].contains(':') {
            total = add(total, clock(&rest[..end])?)?;
            rest = rest[end..].trim_start();
            continue;
        }
        let unit_at = rest.find(|c: char| c.is_alphabetic() || c.is_whitespace())?;
        let number = &rest[..unit_at];
        let unit_text = rest[unit_at..].trim_start();
        let unit_end = unit_text.find(|c: char| !c.is_alphabetic()).unwrap_or(unit_text.len());
        total = add(total, with_unit(number, Unit::parse(&unit_text[..unit_end])?)?)?;
        rest = unit_text[unit_end..].trim_start();
    }
    Some(total)
}

/// `-02:03:04.5` or `02:03`.
fn clock(text: &str) -> Option<Interval> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() {
        return None;
    }
    let mut total = with_unit(&format!("{sign}{hours}"), Unit::Micros(HOUR_MICROS))?;
    total = add(total, with_unit(&format!("{sign}{minutes}"), Unit::Micros(MINUTE_MICROS))?)?;
    add(total, with_unit(&format!("{sign}{seconds}"), Unit::Micros(SECOND_MICROS))?)
}

/// The constant of `INTERVAL '90' SECOND`, `INTERVAL '1 day'` or `INTERVAL 5 MINUTE`.
#[must_use]
pub fn literal(interval: &syntax::Interval) -> Option<Interval> {
    use syntax::Value;
    if interval.last_field.is_some()
        || interval.leading_precision.is_some()
        || interval.fractional_seconds_precision.is_some()
    {
        return None;
    }
    let syntax::Expr::Value(value) = interval.value.as_ref() else {
        return None;
    };
    let (Value::SingleQuotedString(text) | Value::Number(text, false)) = &value.value else {
        return None;
    };
    match &interval.leading_field {
        Some(field) => with_unit(text.trim(), Unit::parse(&field.to_string())?),
        None => parse(text),
    }
}

/// The length in microseconds, days taken as 24 hours; `None` with months.
#[must_use]
pub fn fixed_micros(interval: Interval) -> Option<i64> {
    if interval.months != 0 {
        return None;
    }
    i64::from(interval.days).checked_mul(DAY_MICROS)?.checked_add(interval.micros)
}

/// A duration as an option gives it, such as `7 days` or `500ms`, in microseconds; not negative.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    parse(text).and_then(fixed_micros).filter(|micros| *micros >= 0)
}
