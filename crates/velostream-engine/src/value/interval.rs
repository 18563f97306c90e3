//! Intervals: their length for comparison and their text.

use crate::value::calendar::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS};
use crate::value::time::push_fraction;
use std::fmt::Write;
use velostream_sql::plan::Interval;

/// The length by which intervals compare: a month counts 30 days, a day 24 hours, as in PostgreSQL.
#[must_use]
pub fn interval_micros(interval: Interval) -> i128 {
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * i128::from(DAY_MICROS) + i128::from(interval.micros)
}

/// Appends PostgreSQL's form, e.g. `1 year 2 mons -3 days 04:05:06.5`.
pub fn format_interval(interval: Interval, out: &mut String) {
    let start = out.len();
    let parts = [
        (i64::from(interval.months / 12), "year"),
        (i64::from(interval.months % 12), "mon"),
        (i64::from(interval.days), "day"),
    ];
    for (count, unit) in parts.into_iter().filter(|&(count, _)| count != 0) {
        let space = if out.len() > start { " " } else { "" };
        let plural = if count == 1 { "" } else { "s" };
        let written = write!(out, "{space}{count} {unit}{plural}");
        debug_assert!(written.is_ok(), "a String takes every text");
    }
    if interval.micros == 0 && out.len() > start {
        return;
    }
    let space = if out.len() > start { " " } else { "" };
    let sign = if interval.micros < 0 { "-" } else { "" };
    let micros = interval.micros.unsigned_abs();
    let seconds = micros / SECOND_MICROS as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let written = write!(out, "{space}{sign}{hours:02}:{minutes:02}:{seconds:02}");
    debug_assert!(written.is_ok(), "a String takes every text");
    push_fraction((micros % SECOND_MICROS as u64) as u32, out);
}

/// Reads numbers with units (`1 year 2 months 3 days 4 hours`) and a time `[-]HH:MM[:SS[.ffffff]]`.
#[must_use]
pub fn parse_interval(text: &str) -> Option<Interval> {
    let mut interval = Interval::default();
    let mut words = text.split_whitespace();
    let mut given = false;
    while let Some(word) = words.next() {
        given = true;
        let micros =
            if word.contains(':') { clock(word)? } else { unit(&mut interval, word, words.next()?)? };
        interval.micros = interval.micros.checked_add(micros)?;
    }
    given.then_some(interval)
}

/// Microseconds of `[-]HH:MM[:SS[.ffffff]]`.
fn clock(word: &str) -> Option<i64> {
    let (sign, word) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
    let mut parts = word.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok().filter(|minutes| (0..60).contains(minutes))?;
    let seconds = parts.next().map_or(Some(0), seconds_micros)?;
    if parts.next().is_some() || hours < 0 || !(0..60 * SECOND_MICROS).contains(&seconds) {
        return None;
    }
    let hours = hours.checked_mul(HOUR_MICROS)?;
    hours.checked_add(minutes * MINUTE_MICROS + seconds)?.checked_mul(sign)
}

/// Seconds with up to six places, in microseconds.
fn seconds_micros(text: &str) -> Option<i64> {
    crate::value::parse_decimal(text, 19, 6).ok()?.try_into().ok()
}

/// Adds `count` units; clock units are given back in microseconds.
fn unit(interval: &mut Interval, count: &str, unit: &str) -> Option<i64> {
    let unit = unit.to_ascii_lowercase();
    let micros = match unit.trim_end_matches('s') {
        "hour" | "hr" | "h" => HOUR_MICROS,
        "minute" | "min" => MINUTE_MICROS,
        "second" | "sec" | "" => SECOND_MICROS,
        "millisecond" | "m" => 1_000,
        "microsecond" | "u" => 1,
        calendar => {
            let count: i32 = count.parse().ok()?;
            let (field, factor) = match calendar {
                "year" | "yr" | "y" => (&mut interval.months, 12),
                "month" | "mon" => (&mut interval.months, 1),
                "week" | "w" => (&mut interval.days, 7),
                "day" | "d" => (&mut interval.days, 1),
                _ => return None,
            };
            *field = field.checked_add(count.checked_mul(factor)?)?;
            return Some(0);
        }
    };
    if micros == SECOND_MICROS {
        seconds_micros(count)
    } else {
        count.parse::<i64>().ok()?.checked_mul(micros)
    }
}
