//! Time patterns: strftime's, or Java's where the pattern has no `%`.

use super::plain_pattern::PlainPattern;
use crate::value::calendar::split_timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A pattern that means nothing; says which part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub String);

/// A compiled pattern. Times without a zone are UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampFormat {
    strftime: String,
    /// What reads most texts, where the pattern is a usual one.
    plain: Option<Box<PlainPattern>>,
}

impl TimestampFormat {
    /// Compiles `%Y/%m/%d %H:%M` or `yyyy/MM/dd HH:mm`; the error names what is not understood.
    pub fn compile(pattern: &str) -> Result<Self, PatternError> {
        let strftime = if pattern.contains('%') { pattern.to_owned() } else { from_java(pattern)? };
        let format = Self { plain: PlainPattern::new(&strftime).map(Box::new), strftime };
        let mut sample = String::new();
        if format.format(0, &mut sample).is_none() {
            return Err(PatternError(format!("time pattern \"{pattern}\" is not understood")));
        }
        Ok(format)
    }

    /// Reads a text as microseconds since the epoch. A missing time is midnight, a missing day the first.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<i64> {
        let plain = self.plain.as_ref().and_then(|plain| plain.parse(text.as_bytes()));
        plain.or_else(|| self.parse_general(text))
    }

    fn parse_general(&self, text: &str) -> Option<i64> {
        let mut fields = BrokenDownTime::parse(&self.strftime, text.trim()).ok()?;
        if fields.day().is_none() && fields.day_of_year().is_none() && fields.month().is_some() {
            fields.set_day(Some(1)).ok()?;
        }
        if fields.iana_time_zone().is_some() {
            return Some(fields.to_zoned().ok()?.timestamp().as_microsecond());
        }
        if fields.offset().is_some() || fields.timestamp().is_some() {
            return Some(fields.to_timestamp().ok()?.as_microsecond());
        }
        let time = fields.to_datetime().ok()?.to_zoned(TimeZone::UTC).ok()?;
        Some(time.timestamp().as_microsecond())
    }

    /// Appends a time in UTC; `None`, and nothing appended, outside the years -9999 to 9999.
    pub fn format(&self, micros: i64, out: &mut String) -> Option<()> {
        let start = out.len();
        let zoned = Timestamp::from_microsecond(micros).ok()?.to_zoned(TimeZone::UTC);
        let written = BrokenDownTime::from(&zoned).format(&self.strftime, &mut *out);
        if written.is_err() {
            out.truncate(start);
        }
        written.ok()
    }

    /// Reads a text as days since the epoch; what it says of the time of day is ignored.
    #[must_use]
    pub fn parse_date(&self, text: &str) -> Option<i32> {
        let date = BrokenDownTime::parse(&self.strftime, text.trim()).ok()?.to_date().ok()?;
        let since = DateTime::from_parts(date, jiff::civil::Time::midnight())
            .duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        let micros = i64::try_from(SignedDuration::as_micros(&since)).ok()?;
        i32::try_from(split_timestamp(micros).0).ok()
    }
}

/// The strftime form of a Java pattern.
fn from_java(pattern: &str) -> Result<String, PatternError> {
    let mut strftime = String::with_capacity(pattern.len() * 2);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(&rest[1..], &mut strftime).ok_or_else(|| {
                PatternError(format!("time pattern \"{pattern}\" has a quote that does not end"))
            })?;
            continue;
        }
        let length = rest.len() - rest.trim_start_matches(first).len();
        let run = &rest[..length];
        rest = &rest[length..];
        if first.is_ascii_alphabetic() {
            let field = java_field(first, run.len());
            let field = field.ok_or_else(|| {
                PatternError(format!("time pattern \"{pattern}\": {run} is not understood"))
            })?;
            strftime.push_str(&field);
        } else {
            strftime.push_str(run);
        }
    }
    Ok(strftime)
}

/// Copies the text up to the closing quote, `''` as one quote; gives what follows.
fn quoted<'a>(text: &'a str, strftime: &mut String) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix('\'') {
        strftime.push('\'');
        return Some(rest);
    }
    let mut rest = text;
    loop {
        let end = rest.find('\'')?;
        strftime.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                strftime.push('\'');
                rest = after;
            }
            None => return Some(rest),
        }
    }
}

/// The conversion for `count` times the letter `letter`.
fn java_field(letter: char, count: usize) -> Option<String> {
    let field = match (letter, count) {
        ('y' | 'u', 4) => "%Y",
        ('y' | 'u', 2) => "%y",
        ('y' | 'u', 1) => "%-Y",
        ('M' | 'L', 4) => "%B",
        ('M' | 'L', 3) => "%b",
        ('M' | 'L', 2) => "%m",
        ('M' | 'L', 1) => "%-m",
        ('d', 2) => "%d",
        ('d', 1) => "%-d",
        ('D', 3) => "%j",
        ('D', 1) => "%-j",
        ('H', 2) => "%H",
        ('H', 1) => "%-H",
        ('h', 2) => "%I",
        ('h', 1) => "%-I",
        ('m', 2) => "%M",
        ('m', 1) => "%-M",
        ('s', 2) => "%S",
        ('s', 1) => "%-S",
        ('S', 1..=9) => return Some(format!("%{count}f")),
        ('a', 1) => "%p",
        ('E', 4) => "%A",
        ('E', 1..=3) => "%a",
        ('X' | 'x', 3) => "%:z",
        ('X' | 'x', 2) | ('Z', 1..=3) => "%z",
        ('V', 2) => "%Q",
        _ => return None,
    };
    Some(field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        let format = TimestampFormat::compile(pattern).expect("the pattern is known");
        assert_eq!(format.parse(text), expected.and_then(super::super::parse_timestamp), "{pattern} {text}");
    }

    proptest! {
        /// What is read the short way means what it means to jiff.
        #[test]
        fn usual_patterns_are_read_as_the_general_ones(
            pattern in prop::sample::select(vec![
                "%Y/%m/%d %H:%M:%S", "%Y-%m-%d", "%d.%m.%Y %H:%M", "%Y%m%d%H%M%S", "%H:%M %m/%d/%Y", "%m-%d-%Y %H", "T%Y.%m.%dZ",
            ]),
            year in prop_oneof![8 => 1900..2100u32, 1 => 0..10_000u32],
            others in prop::array::uniform5(prop_oneof![8 => 0..30u32, 1 => 0..99u32]),
            garbled in prop::option::weighted(0.2, (0..20usize, prop::sample::select(&b"0 -/:x"[..]))),
        ) {
            let fields = [year, others[0], others[1], others[2], others[3], others[4]];
            let mut text = pattern.replace("%Y", &format!("{year:04}"));
            for (letter, field) in ["%m", "%d", "%H", "%M", "%S"].iter().zip(&fields[1..]) {
                text = text.replace(letter, &format!("{field:02}"));
            }
            if let Some((at, byte)) = garbled && at < text.len() {
                text.replace_range(at..=at, &char::from(byte).to_string());
            }
            let format = TimestampFormat::compile(pattern).expect("the pattern is known");
            prop_assert!(format.plain.is_some());
            prop_assert_eq!(format.parse(&text), format.parse_general(&text), "{} {}", pattern, text);
        }
    }

    #[test]
    fn texts_are_read_by_their_pattern() {
        check("%Y/%m/%d %H:%M", "2001/01/14 21:55", Some("2001-01-14T21:55:00Z"));
        check("%Y/%m/%d %H:%M", "2001/01/14", None);
        check("yyyy/MM/dd HH:mm", "2001/01/14 21:55", Some("2001-01-14T21:55:00Z"));
        check("yyyy-MM-dd'T'HH:mm:ss.SSS", "2001-01-14T21:55:00.250", Some("2001-01-14T21:55:00.250Z"));
        check("%Y-%m-%d", "2001-01-14", Some("2001-01-14T00:00:00Z"));
        check("%Y-%m-%d %H:%M %z", "2001-01-14 21:55 +0100", Some("2001-01-14T20:55:00Z"));
        assert!(TimestampFormat::compile("yyyy-QQ").is_err());
        assert!(TimestampFormat::compile("%Y-%!").is_err());
        let mut out = String::new();
        let format = TimestampFormat::compile("yyyy-MM-dd HH:mm").expect("the pattern is known");
        assert_eq!(format.format(0, &mut out).map(|()| out), Some("1970-01-01 00:00".to_owned()));
    }
}
