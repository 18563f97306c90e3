//! Dates, times and timestamps as ISO 8601 text, UTC.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt::Write;

pub use velostream_sql::time::{parse_date, parse_time, parse_timestamp};

const SECOND_MICROS: i64 = 1_000_000;

/// Appends `2024-01-15` for days since the epoch; days beyond the calendar's ends as a number of days.
pub fn format_date(days: i32, out: &mut String) {
    let date = jiff::Span::new().try_days(days).and_then(|span| Date::constant(1970, 1, 1).checked_add(span));
    match date {
        Ok(date) => write_all(out, format_args!("{date}")),
        Err(_) => write_all(out, format_args!("{days}")),
    }
}

/// Appends `10:30:00` or `10:30:00.25` for microseconds since midnight.
pub fn format_time(micros: i64, out: &mut String) {
    let seconds = micros.div_euclid(SECOND_MICROS);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    write_all(out, format_args!("{hour:02}:{minute:02}:{second:02}"));
    format_fraction(micros.rem_euclid(SECOND_MICROS), out);
}

/// Appends `2024-01-15 10:30:00+00`, PostgreSQL's form in the time zone UTC, for microseconds since the
/// epoch; times beyond the calendar's ends as a number of microseconds.
pub fn format_timestamp(micros: i64, out: &mut String) {
    let Ok(timestamp) = Timestamp::from_microsecond(micros) else {
        return write_all(out, format_args!("{micros}"));
    };
    let civil = timestamp.to_zoned(TimeZone::UTC).datetime();
    let (hour, minute, second) = (civil.hour(), civil.minute(), civil.second());
    write_all(out, format_args!("{} {hour:02}:{minute:02}:{second:02}", civil.date()));
    format_fraction(micros.rem_euclid(SECOND_MICROS), out);
    out.push_str("+00");
}

/// Appends `.25` for 250,000 microseconds, nothing for none.
fn format_fraction(micros: i64, out: &mut String) {
    if micros > 0 {
        write_all(out, format_args!(".{micros:06}"));
        out.truncate(out.trim_end_matches('0').len());
    }
}

fn write_all(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        format(&mut out);
        out
    }

    #[test]
    fn texts_read_back_as_the_value() {
        for micros in [0, 1, -1, 1_705_314_600_250_000, -62_135_596_800_000_000] {
            let text = shown(|out| format_timestamp(micros, out));
            assert_eq!(parse_timestamp(&text), Some(micros), "{text}");
        }
        assert_eq!(shown(|out| format_timestamp(1_705_314_600_250_000, out)), "2024-01-15 10:30:00.25+00");
        assert_eq!(shown(|out| format_date(19_737, out)), "2024-01-15");
        assert_eq!(shown(|out| format_time(37_800_000_000, out)), "10:30:00");
        assert_eq!(parse_time("10:30"), Some(37_800_000_000));
        assert_eq!(parse_date("2024-02-30"), None);
    }
}
