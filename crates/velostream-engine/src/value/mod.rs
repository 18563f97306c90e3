//! Text forms of scalar values: what casts, sources and sinks read and write.
//!
//! Each parser takes the text forms that PostgreSQL takes for the type and gives `None` or an error for what
//! it does not; each formatter appends to a string that the caller reuses.

mod datetime;
mod decimal;
mod pattern;

pub use datetime::{format_date, format_time, format_timestamp, parse_date, parse_time, parse_timestamp};
pub use decimal::{DecimalError, format_decimal, parse_decimal, power_of_ten};
pub use pattern::{PatternError, TimestampFormat};

/// TRUE or FALSE of `true`, `t`, `yes`, `on`, `1` and their opposites, in any case.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];
    const FALSE: [&str; 6] = ["false", "f", "no", "n", "off", "0"];
    let text = text.trim();
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match (is_one_of(&TRUE), is_one_of(&FALSE)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}
