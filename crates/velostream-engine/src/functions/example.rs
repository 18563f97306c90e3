//! Examples of functions: they are tests, and the reference page is printed from them.

use crate::value::{format_double, parse_date, parse_decimal, parse_timestamp};
use velostream_sql::plan::Literal;
use velostream_sql::types::DataType;

/// A typed constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The value.
    pub literal: Literal,
    /// Its type.
    pub data_type: DataType,
    /// As it is written in SQL.
    pub text: String,
}

/// One call and what it gives.
#[derive(Debug, Clone)]
pub struct Example {
    /// The arguments.
    pub arguments: Vec<Sample>,
    /// The result.
    pub expected: Expected,
}

/// The result of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// A value; its type is also that of the result.
    Value(Sample),
    /// NULL.
    Null,
    /// A record error with this message.
    Error(String),
}

/// NULL as an argument or a result of an example.
pub(crate) struct Null;

/// A record error as the result of an example.
pub(crate) fn fails(message: &str) -> Expected {
    Expected::Error(message.to_owned())
}

fn sample(literal: Literal, data_type: DataType, text: impl Into<String>) -> Sample {
    Sample { literal, data_type, text: text.into() }
}

/// A DECIMAL of as many places as are written.
pub(crate) fn decimal(text: &str, precision: u8) -> Sample {
    let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len() as u8);
    let digits = parse_decimal(text, precision, scale).expect("an example holds a decimal");
    let data_type = DataType::Decimal { precision, scale };
    sample(Literal::Decimal(digits), data_type, format!("CAST({text} AS {data_type})"))
}

/// A TIMESTAMP in ISO 8601.
pub(crate) fn timestamp(text: &str) -> Sample {
    let micros = parse_timestamp(text).expect("an example holds a timestamp");
    sample(Literal::Timestamp(micros), DataType::Timestamp, format!("TIMESTAMP '{text}'"))
}

/// A DATE in ISO 8601.
pub(crate) fn date(text: &str) -> Sample {
    let days = parse_date(text).expect("an example holds a date");
    sample(Literal::Date(days), DataType::Date, format!("DATE '{text}'"))
}

/// A BIGINT.
pub(crate) fn big(value: i64) -> Sample {
    sample(Literal::BigInt(value), DataType::BigInt, value.to_string())
}

impl From<&str> for Sample {
    fn from(value: &str) -> Self {
        sample(Literal::String(value.into()), DataType::String, format!("'{}'", value.replace('\'', "''")))
    }
}

impl From<i32> for Sample {
    fn from(value: i32) -> Self {
        sample(Literal::Int(value), DataType::Int, value.to_string())
    }
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        let mut text = String::new();
        format_double(value, &mut text);
        if !text.contains(['.', 'e', 'N', 'I']) {
            text.push_str(".0");
        }
        sample(Literal::Double(value), DataType::Double, text)
    }
}

impl From<bool> for Sample {
    fn from(value: bool) -> Self {
        sample(Literal::Boolean(value), DataType::Boolean, if value { "TRUE" } else { "FALSE" })
    }
}

impl From<Null> for Sample {
    fn from(_: Null) -> Self {
        sample(Literal::Null, DataType::Null, "NULL")
    }
}

impl<T: Into<Sample>> From<T> for Expected {
    fn from(value: T) -> Self {
        let value = value.into();
        if value.literal == Literal::Null { Self::Null } else { Self::Value(value) }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(sample) => f.write_str(&sample.text),
            Self::Null => f.write_str("NULL"),
            Self::Error(message) => write!(f, "error: {message}"),
        }
    }
}
