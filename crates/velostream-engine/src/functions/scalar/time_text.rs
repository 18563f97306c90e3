//! Times to and from texts by pattern (strftime's, or Java's where there is no `%`) and to and from seconds.

use crate::error::RecordError;
use crate::functions::example::{Null, big, date, fails, timestamp};
use crate::functions::overload::scalar_functions;
use crate::value::calendar::{DAY_MICROS, SECOND_MICROS};
use crate::value::{TimestampFormat, parse_timestamp};

/// The pattern compiled last; rows mostly share one.
#[derive(Default)]
struct Pattern {
    compiled: Option<(String, TimestampFormat)>,
}

impl Pattern {
    fn get(&mut self, pattern: &str) -> Result<&TimestampFormat, RecordError> {
        if self.compiled.as_ref().is_none_or(|(of, _)| of != pattern) {
            let format = TimestampFormat::compile(pattern).map_err(|error| RecordError::new(error.0))?;
            self.compiled = Some((pattern.to_owned(), format));
        }
        let (_, format) = self.compiled.as_ref().expect("a pattern was compiled");
        Ok(format)
    }

    fn parse(&mut self, text: &str, pattern: &str) -> Result<i64, RecordError> {
        self.get(pattern)?.parse(text).ok_or_else(|| unreadable(text, pattern))
    }

    fn parse_date(&mut self, text: &str, pattern: &str) -> Result<i32, RecordError> {
        self.get(pattern)?.parse_date(text).ok_or_else(|| unreadable(text, pattern))
    }

    fn format(&mut self, time: i64, pattern: &str, out: &mut String) -> Result<(), RecordError> {
        self.get(pattern)?.format(time, out).ok_or_else(out_of_range)
    }
}

fn unreadable(text: &str, pattern: &str) -> RecordError {
    RecordError::new(format!("\"{text}\" does not match the time pattern \"{pattern}\""))
}

fn out_of_range() -> RecordError {
    RecordError::new("value out of range for TIMESTAMP")
}

/// The time so many seconds after the epoch, to the nearest microsecond.
fn from_seconds(seconds: f64) -> Result<i64, RecordError> {
    let micros = (seconds * 1e6).round_ties_even();
    if (-(2f64.powi(63))..2f64.powi(63)).contains(&micros) { Ok(micros as i64) } else { Err(out_of_range()) }
}

scalar_functions! { "Times as texts and numbers";
    /// A TIMESTAMP from seconds since the epoch, from ISO 8601 text, or from text by a pattern.
    TO_TIMESTAMP {
        [(seconds: Double) => Timestamp or error { from_seconds(seconds) }]
        [(text: Text) => Timestamp or error {
            parse_timestamp(text)
                .ok_or_else(|| RecordError::new(format!("invalid value for TIMESTAMP: \"{text}\"")))
        }]
        [(text: Text, pattern: Text) with compiled: Pattern => Timestamp or error { compiled.parse(text, pattern) }]
        (979_509_312.5) => timestamp("2001-01-14 21:55:12.5");
        ("2001-01-14T21:55:12Z") => timestamp("2001-01-14 21:55:12");
        ("14/01/2001", "%d/%m/%Y") => timestamp("2001-01-14");
        (Null, "%Y") => Null;
    }
    /// A TIMESTAMP from text by a pattern.
    PARSE_TIMESTAMP {
        [(text: Text, pattern: Text) with compiled: Pattern => Timestamp or error { compiled.parse(text, pattern) }]
        ("2001/01/14 21:55", "%Y/%m/%d %H:%M") => timestamp("2001-01-14 21:55");
        ("2001/01/14 21:55", "yyyy/MM/dd HH:mm") => timestamp("2001-01-14 21:55");
        ("x", "%Y") => fails("\"x\" does not match the time pattern \"%Y\"");
        ("x", "QQ") => fails("time pattern \"QQ\": QQ is not understood");
    }
    /// A TIMESTAMP as text by a pattern, in UTC.
    FORMAT_TIMESTAMP DATE_FORMAT {
        [(time: Timestamp, pattern: Text) with compiled: Pattern => Text(out) or error {
            compiled.format(time, pattern, out)
        }]
        (timestamp("2001-01-14 21:55"), "%Y/%m/%d %H:%M") => "2001/01/14 21:55";
        (timestamp("2001-01-14 21:55"), "dd.MM.yyyy") => "14.01.2001";
        (timestamp("2001-01-14 21:55:01.25"), "HH:mm:ss.SSS") => "21:55:01.250";
    }
    /// A DATE from text by a pattern.
    PARSE_DATE {
        [(text: Text, pattern: Text) with compiled: Pattern => Date or error { compiled.parse_date(text, pattern) }]
        ("14.01.2001", "dd.MM.yyyy") => date("2001-01-14");
    }
    /// A DATE as text by a pattern.
    FORMAT_DATE {
        [(date: Date, pattern: Text) with compiled: Pattern => Text(out) or error {
            compiled.format(i64::from(date) * DAY_MICROS, pattern, out)
        }]
        (date("2001-01-14"), "%d %b %Y") => "14 Jan 2001";
    }
    /// Seconds since the epoch as text by a pattern, `%Y-%m-%d %H:%M:%S` if none is given, in UTC.
    FROM_UNIXTIME {
        [(seconds: BigInt) with compiled: Pattern => Text(out) or error {
            let micros = seconds.checked_mul(SECOND_MICROS).ok_or_else(out_of_range)?;
            compiled.format(micros, "%Y-%m-%d %H:%M:%S", out)
        }]
        [(seconds: BigInt, pattern: Text) with compiled: Pattern => Text(out) or error {
            let micros = seconds.checked_mul(SECOND_MICROS).ok_or_else(out_of_range)?;
            compiled.format(micros, pattern, out)
        }]
        (979_509_312) => "2001-01-14 21:55:12";
        (0, "yyyy") => "1970";
    }
    /// Whole seconds since the epoch.
    UNIX_TIMESTAMP {
        [(time: Timestamp) => BigInt { time.div_euclid(SECOND_MICROS) }]
        (timestamp("2001-01-14 21:55:12.5")) => big(979_509_312);
    }
    /// Days since 1970-01-01.
    UNIX_DATE {
        [(date: Date) => Int { date }]
        (date("1970-01-02")) => 1;
    }
    /// The DATE so many days after 1970-01-01.
    FROM_DAYS {
        [(days: Int) => Date { days }]
        (1) => date("1970-01-02");
    }
}
