//! Text forms of dates, times and timestamps: ISO 8601, timestamps as PostgreSQL writes
//! them in the zone UTC. They are read by [`velostream_sql::time`], as constants are.

use crate::value::calendar::{Civil, SECOND_MICROS, civil_from_days, split_timestamp};
use std::fmt::Write;

/// Appends `YYYY-MM-DD`; years outside 0 to 9999 have a sign and six digits.
pub fn format_date(days: i32, out: &mut String) {
    push_date(i64::from(days), out);
}

fn push_date(days: i64, out: &mut String) {
    let Civil { year, month, day } = civil_from_days(days);
    let written = if (0..=9999).contains(&year) {
        push_two(year as u32 / 100, out);
        push_two(year as u32 % 100, out);
        Ok(())
    } else {
        write!(out, "{year:+07}")
    };
    debug_assert!(written.is_ok(), "a String takes every text");
    out.push('-');
    push_two(month, out);
    out.push('-');
    push_two(day, out);
}

/// Appends `HH:MM:SS` and the fraction, if any.
pub fn format_time(micros: i64, out: &mut String) {
    let seconds = micros.div_euclid(SECOND_MICROS) as u32;
    push_two(seconds / 3600, out);
    out.push(':');
    push_two(seconds / 60 % 60, out);
    out.push(':');
    push_two(seconds % 60, out);
    push_fraction(micros.rem_euclid(SECOND_MICROS) as u32, out);
}

/// Appends `YYYY-MM-DD HH:MM:SS+00`, with the fraction, if any, before the zone.
pub fn format_timestamp(micros: i64, out: &mut String) {
    let (days, time) = split_timestamp(micros);
    push_date(days, out);
    out.push(' ');
    format_time(time, out);
    out.push_str("+00");
}

fn push_two(number: u32, out: &mut String) {
    out.push(char::from(b'0' + (number / 10 % 10) as u8));
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// Appends the point and the places up to the last that is not 0; nothing for 0.
pub(super) fn push_fraction(micros: u32, out: &mut String) {
    if micros > 0 {
        let written = write!(out, ".{micros:06}");
        debug_assert!(written.is_ok(), "a String takes every text");
        out.truncate(out.trim_end_matches('0').len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{parse_date, parse_time, parse_timestamp};
    use proptest::prelude::*;

    fn shown(format: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        format(&mut out);
        out
    }

    proptest! {
        /// What is read the short way means what it means to jiff.
        #[test]
        fn plain_texts_are_read_as_the_general_ones(
            date in r"([0-9]{4}|20[0-9]{2}|99{4}|00{4})-[01][0-9]-[0-3][0-9]",
            between in "[ T]?",
            time in r"([0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,8})?Z?|[0-9]{2}:[0-9]{2}|)",
            garbled in prop::option::weighted(0.2, (0..30usize, prop::sample::select(&b"0 -/:+x"[..]))),
        ) {
            let garble = |text: &str| {
                let mut text = text.to_owned();
                if let Some((at, byte)) = garbled && at < text.len() {
                    text.replace_range(at..=at, &char::from(byte).to_string());
                }
                text
            };
            let (date, time, both) = (garble(&date), garble(&time), garble(&format!("{date}{between}{time}")));
            prop_assert_eq!(parse_date(&date), velostream_sql::time::parse_date(&date), "{}", date);
            prop_assert_eq!(parse_time(&time), velostream_sql::time::parse_time(&time), "{}", time);
            prop_assert_eq!(parse_timestamp(&both), velostream_sql::time::parse_timestamp(&both), "{}", both);
        }
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
