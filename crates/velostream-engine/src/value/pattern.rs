//! Timestamps by pattern: strftime's, or Java's where the pattern has no `%`.

use jiff::Timestamp;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;

/// A pattern for reading and writing timestamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampFormat {
    pattern: String,
}

/// A pattern that means nothing; says which part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub String);

impl TimestampFormat {
    /// Checks `pattern`: `%Y-%m-%d %H:%M:%S`, or `yyyy-MM-dd HH:mm:ss`.
    pub fn compile(pattern: &str) -> Result<Self, PatternError> {
        let pattern = if pattern.contains('%') { pattern.to_owned() } else { from_java(pattern)? };
        let compiled = Self { pattern };
        match compiled.write(0) {
            Ok(_) => Ok(compiled),
            Err(error) => Err(PatternError(format!("\"{}\" is no time pattern: {error}", compiled.pattern))),
        }
    }

    /// Microseconds since the epoch; UTC unless the text names an offset, midnight unless it names a time.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<i64> {
        let parts = strtime::parse(&self.pattern, text.trim()).ok()?;
        if parts.offset().is_some() || parts.iana_time_zone().is_some() {
            return Some(parts.to_timestamp().ok()?.as_microsecond());
        }
        let civil = parts.to_date().ok()?.to_datetime(parts.to_time().unwrap_or_default());
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
    }

    /// The text of microseconds since the epoch, in UTC; `None` beyond the calendar's ends.
    #[must_use]
    pub fn format(&self, micros: i64) -> Option<String> {
        self.write(micros).ok()
    }

    fn write(&self, micros: i64) -> Result<String, jiff::Error> {
        let zoned = Timestamp::from_microsecond(micros)?.to_zoned(TimeZone::UTC);
        BrokenDownTime::from(&zoned).to_string(&self.pattern)
    }
}

/// A java.time pattern in strftime's letters.
fn from_java(pattern: &str) -> Result<String, PatternError> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let count = rest.chars().take_while(|&other| other == letter).count();
        if letter == '\'' {
            rest = quoted(&rest[1..], &mut out)?;
            continue;
        }
        match java_letter(letter, count) {
            Some(directive) => out.push_str(directive),
            None if letter.is_ascii_alphabetic() => {
                let part: String = rest.chars().take(count).collect();
                return Err(PatternError(format!(
                    "\"{part}\" in the time pattern \"{pattern}\" is not known"
                )));
            }
            None => out.extend(std::iter::repeat_n(letter, count)),
        }
        rest = &rest[letter.len_utf8() * count..];
    }
    Ok(out)
}

fn java_letter(letter: char, count: usize) -> Option<&'static str> {
    Some(match (letter, count) {
        ('y' | 'u', 1 | 4) => "%Y",
        ('y' | 'u', 2) => "%y",
        ('M', 1) => "%-m",
        ('M', 2) => "%m",
        ('M', 3) => "%b",
        ('M', 4) => "%B",
        ('d', 1) => "%-d",
        ('d', 2) => "%d",
        ('D', 3) => "%j",
        ('H', 1) => "%-H",
        ('H', 2) => "%H",
        ('h', 1) => "%-I",
        ('h', 2) => "%I",
        ('m', 1) => "%-M",
        ('m', 2) => "%M",
        ('s', 1) => "%-S",
        ('s', 2) => "%S",
        ('S', 3) => "%3f",
        ('S', 6) => "%6f",
        ('S', 9) => "%9f",
        ('a', 1) => "%p",
        ('E', 1..=3) => "%a",
        ('E', 4) => "%A",
        ('X' | 'x', 3) => "%:z",
        ('X' | 'x' | 'Z', 1 | 2) => "%z",
        _ => return None,
    })
}

/// Appends the text up to the closing quote (`''` is a quote) and gives what follows.
fn quoted<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, PatternError> {
    if let Some(behind) = rest.strip_prefix('\'') {
        out.push('\'');
        return Ok(behind);
    }
    let end = rest
        .find('\'')
        .ok_or_else(|| PatternError("a quote in the time pattern is not closed".to_owned()))?;
    out.push_str(&rest[..end]);
    Ok(&rest[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        let format = TimestampFormat::compile(pattern).expect("the pattern is known");
        assert_eq!(format.parse(text), expected.and_then(super::super::parse_timestamp), "{pattern} {text}");
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
        let format = TimestampFormat::compile("yyyy-MM-dd HH:mm").expect("the pattern is known");
        assert_eq!(format.format(0).as_deref(), Some("1970-01-01 00:00"));
    }
}
