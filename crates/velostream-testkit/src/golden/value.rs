//! Words as values of a column's type, and back.

use super::parse::Word;
use std::fmt::Write as _;
use velostream_sql::plan::Literal;
use velostream_sql::time::{parse_date, parse_time, parse_timestamp};
use velostream_sql::types::DataType;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Times below this many days are shown as seconds.
const SHOWN_AS_SECONDS_DAYS: i64 = 10;
/// Doubles count as the same up to this relative difference, as SUM and AVG may round the last digits.
const RELATIVE_TOLERANCE: f64 = 1e-12;

/// A word that is no value of its column's type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no {data_type}")]
pub struct ValueError {
    word: String,
    data_type: DataType,
}

/// The value that a word stands for in a column of this type.
pub fn literal(word: &Word, data_type: DataType) -> Result<Literal, ValueError> {
    if word.is_null() {
        return Ok(Literal::Null);
    }
    let text = word.text.as_str();
    let found = match data_type {
        DataType::Null | DataType::Interval => None,
        DataType::Boolean => text.parse().ok().map(Literal::Boolean),
        DataType::Int => text.parse().ok().map(Literal::Int),
        DataType::BigInt => text.parse().ok().map(Literal::BigInt),
        DataType::Double => text.parse().ok().map(Literal::Double),
        DataType::Decimal { scale, .. } => decimal(text, scale).map(Literal::Decimal),
        DataType::String => Some(Literal::String(text.into())),
        DataType::Bytes => bytes(text).map(|bytes| Literal::Bytes(bytes.into())),
        DataType::Date => parse_date(text).map(Literal::Date),
        DataType::Time => parse_time(text).map(Literal::Time),
        DataType::Timestamp => timestamp(text).map(Literal::Timestamp),
    };
    found.ok_or_else(|| ValueError { word: word.text.clone(), data_type })
}

/// Seconds since the epoch, or ISO text.
fn timestamp(text: &str) -> Option<i64> {
    decimal(text, 6).and_then(|micros| i64::try_from(micros).ok()).or_else(|| parse_timestamp(text))
}

/// The digits of an exact number at a scale; more digits after the point are no such number.
fn decimal(text: &str, scale: u8) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || fraction.len() > usize::from(scale) {
        return None;
    }
    let padded = format!("{whole}{fraction:0<width$}", width = usize::from(scale));
    let all_digits = padded.bytes().all(|byte| byte.is_ascii_digit());
    let value: i128 = padded.parse().ok().filter(|_| all_digits)?;
    Some(if negative { -value } else { value })
}

/// Pairs of hexadecimal digits behind `0x`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    let pair = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// Whether two values of one type are the same; NULL is the same as NULL.
#[must_use]
pub fn same(left: &Literal, right: &Literal) -> bool {
    match (left, right) {
        (Literal::Double(left), Literal::Double(right)) => {
            left == right
                || left.is_nan() && right.is_nan()
                || (left - right).abs() <= RELATIVE_TOLERANCE * left.abs().max(right.abs())
        }
        _ => left == right,
    }
}

/// A value as the word that stands for it.
#[must_use]
pub fn show(value: &Literal, data_type: DataType) -> String {
    match value {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::BigInt(value) => value.to_string(),
        Literal::Double(value) => value.to_string(),
        Literal::Decimal(value) => match data_type {
            DataType::Decimal { scale, .. } => show_decimal(*value, scale),
            _ => value.to_string(),
        },
        Literal::String(value) => show_text(value),
        Literal::Bytes(value) => value.iter().fold("0x".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        }),
        Literal::Date(days) => show_date(i64::from(*days)),
        Literal::Time(micros) => show_time(*micros),
        Literal::Timestamp(micros) => show_timestamp(*micros),
        Literal::Interval(value) => format!("{value:?}"),
    }
}

fn show_decimal(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

fn show_text(text: &str) -> String {
    let plain = !text.is_empty() && text != "NULL" && !text.contains([' ', '\'', '#']);
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// The proleptic Gregorian date, after Howard Hinnant's `civil_from_days`.
fn show_date(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn show_time(micros: i64) -> String {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let shown = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { shown } else { format!("{shown}.{}", format!("{fraction:06}").trim_end_matches('0')) }
}

fn show_timestamp(micros: i64) -> String {
    let day_micros = SECONDS_PER_DAY * MICROS_PER_SECOND;
    if (0..SHOWN_AS_SECONDS_DAYS * day_micros).contains(&micros) {
        let shown = show_decimal(i128::from(micros), 6);
        return shown.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let (days, rest) = (micros.div_euclid(day_micros), micros.rem_euclid(day_micros));
    format!("{}T{}Z", show_date(days), show_time(rest))
}
