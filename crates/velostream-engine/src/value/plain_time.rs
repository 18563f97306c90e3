//! Reads dates and times that are written in full, as nearly all are: `2024-01-15`, `10:30:00`, and both with a space
//! or `T` between and fraction and `Z` behind. What is written in another way is left to [`velostream_sql::time`].

use crate::value::calendar::{
    Civil, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, days_from_civil, days_of_month,
};

/// A date in days since the epoch; see [`velostream_sql::time::parse_date`].
#[must_use]
pub fn parse_date(text: &str) -> Option<i32> {
    let plain = text.as_bytes().try_into().ok().and_then(plain_date);
    plain.or_else(|| velostream_sql::time::parse_date(text))
}

/// A time of day in microseconds; see [`velostream_sql::time::parse_time`].
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    plain_time(text.as_bytes()).or_else(|| velostream_sql::time::parse_time(text))
}

/// A timestamp in microseconds since the epoch; see [`velostream_sql::time::parse_timestamp`].
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
    plain_timestamp(text.as_bytes()).or_else(|| velostream_sql::time::parse_timestamp(text))
}

fn plain_timestamp(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_first_chunk()?;
    let days = plain_date(date)?;
    let (b' ' | b'T', time) = rest.split_first()? else { return None };
    let time = plain_time(time.strip_suffix(b"Z").unwrap_or(time))?;
    Some(i64::from(days) * DAY_MICROS + time)
}

fn plain_date(text: &[u8; 10]) -> Option<i32> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else { return None };
    days(digits([y0, y1, y2, y3])?, digits([m0, m1])?, digits([d0, d1])?)
}

fn plain_time(text: &[u8]) -> Option<i64> {
    let (&[h0, h1, b':', m0, m1, b':', s0, s1], rest) = text.split_first_chunk()? else { return None };
    let whole = micros(digits([h0, h1])?, digits([m0, m1])?, digits([s0, s1])?)?;
    match rest {
        [] => Some(whole),
        [b'.', places @ ..] if (1..=6).contains(&places.len()) => {
            let mut padded = [b'0'; 6];
            padded[..places.len()].copy_from_slice(places);
            Some(whole + i64::from(digits(padded)?))
        }
        _ => None,
    }
}

/// The number that these digits are.
#[inline]
pub(super) fn digits<const N: usize>(text: [u8; N]) -> Option<u32> {
    let mut number = 0;
    let mut all_digits = true;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        all_digits &= digit < 10;
        number = number * 10 + u32::from(digit);
    }
    all_digits.then_some(number)
}

/// The day of a date in the years 1 to 9999.
#[inline]
pub(super) fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let named = (1..=9999).contains(&year) && (1..=12).contains(&month);
    let year = i64::from(year);
    let exists = named && (1..=28).contains(&day) || named && day > 28 && day <= days_of_month(year, month);
    exists.then(|| days_from_civil(Civil { year, month, day }) as i32)
}

/// The microseconds of a time of day that is no leap second.
#[inline]
pub(super) fn micros(hour: u32, minute: u32, second: u32) -> Option<i64> {
    let exists = hour < 24 && minute < 60 && second < 60;
    let micros =
        i64::from(hour) * HOUR_MICROS + i64::from(minute) * MINUTE_MICROS + i64::from(second) * SECOND_MICROS;
    exists.then_some(micros)
}
