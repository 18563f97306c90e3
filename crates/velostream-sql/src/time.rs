//! Dates and times as ISO 8601 text, as constants in a statement give them.

use crate::plan::Literal;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::{Span, Timestamp};

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// `2024-01-15`, `2024-01-15 10:30[:00[.123456]]`, with `T` or a space, with or without `Z` or an offset;
/// UTC without one. Microseconds since the epoch.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_microsecond());
    }
    // Without an offset, or in the last hours of the year 9999, which jiff's timestamps leave to the offsets.
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let civil = DateTime::from_parts(pieces.date(), pieces.time().unwrap_or(Time::midnight()));
    let since_epoch = civil.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    let offset = pieces.to_numeric_offset().map_or(0, |offset| i64::from(offset.seconds()));
    let micros = i64::try_from(since_epoch.as_micros()).ok()?;
    micros.checked_sub(offset * 1_000_000)
}

/// `2024-01-15` in days since the epoch.
#[must_use]
pub fn parse_date(text: &str) -> Option<i32> {
    let date: Date = text.trim().parse().ok()?;
    let epoch = Date::constant(1970, 1, 1);
    let days = date.since((jiff::Unit::Day, epoch)).ok()?.get_days();
    Some(days)
}

/// `10:30[:00[.123456]]` in microseconds since midnight.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    let time: Time = text.trim().parse().ok()?;
    let seconds = i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1_000)
}

/// A date, time or timestamp as an SQL constant.
pub(crate) fn show(value: &Literal) -> String {
    shown(value).unwrap_or_else(|| format!("{value:?}"))
}

fn shown(value: &Literal) -> Option<String> {
    match value {
        Literal::Date(days) => {
            let since_epoch = Span::new().try_days(*days).ok()?;
            let date = Date::constant(1970, 1, 1).checked_add(since_epoch).ok()?;
            Some(format!("DATE '{date}'"))
        }
        Literal::Time(micros) => {
            let since_midnight = Span::new().try_microseconds(*micros).ok()?;
            let time = Time::midnight().checked_add(since_midnight).ok()?;
            Some(format!("TIME '{time}'"))
        }
        Literal::Timestamp(micros) => {
            let timestamp = Timestamp::from_microsecond(*micros).ok()?;
            Some(format!("TIMESTAMP '{timestamp}'"))
        }
        _ => None,
    }
}
