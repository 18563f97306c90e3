//! Values as JSON, as JavaScript's `JSON.stringify` writes those that it can hold.
//!
//! | type | JSON |
//! | --- | --- |
//! | BOOLEAN | `true`, `false` |
//! | INT, BIGINT | all digits; BIGINT as text where asked for |
//! | DOUBLE | the shortest that reads back: `1`, `0.1`, `1e+21`; NaN and infinities as text |
//! | DECIMAL | text with all digits of its scale, or the nearest double |
//! | STRING | text; only what JSON demands is escaped |
//! | BYTES | text in base64 |
//! | DATE, TIME | text |
//! | TIMESTAMP | text as `Date.prototype.toJSON` gives it, `null` beyond what a `Date` can be; or epoch milliseconds |

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::ops::Range;
use velostream_engine::column::{Column, Values};
use velostream_engine::value;
use velostream_engine::value::calendar::{SECOND_MICROS, split_timestamp};
use velostream_sql::types::DataType;

/// From here on not every whole number is a double: 2^53.
const SAFE_WHOLE_END: u64 = 1 << 53;
/// Decimal exponents of the numbers that JavaScript writes without one.
const PLAIN_EXPONENTS: Range<i32> = -6..21;
/// A `Date` is at most so many milliseconds from the epoch.
const DATE_MILLIS_MAX: f64 = 8.64e15;

/// The forms of values that have several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forms {
    /// TIMESTAMP is epoch milliseconds.
    pub timestamps_as_numbers: bool,
    /// BIGINT is text.
    pub bigints_as_text: bool,
    /// DECIMAL is the nearest double.
    pub decimals_as_numbers: bool,
}

/// Appends values; the buffer for those that are text first is reused.
#[derive(Debug, Default)]
pub struct ValueWriter {
    forms: Forms,
    text: String,
}

impl ValueWriter {
    /// A writer of these forms.
    #[must_use]
    pub fn new(forms: Forms) -> Self {
        Self { forms, text: String::new() }
    }

    /// Appends the value in row `row` of a column.
    #[inline]
    pub fn push(&mut self, column: &Column, row: usize, out: &mut Vec<u8>) {
        if column.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match (&column.values, column.data_type) {
            (Values::Text(values), DataType::String) => push_string(values.get(row), out),
            (Values::F64(values), _) => push_double(values[row], out),
            (Values::I32(values), DataType::Int) => push_whole(values[row].into(), out),
            (Values::I64(values), DataType::BigInt) => self.push_bigint(values[row], out),
            (Values::I64(values), DataType::Timestamp) => self.push_timestamp(values[row], out),
            (Values::Bool(values), _) => out.extend_from_slice(truth(values[row])),
            (Values::I128(values), DataType::Decimal { scale, .. }) => {
                self.push_decimal(values[row], scale, out);
            }
            _ => self.push_formatted(column, row, out),
        }
    }

    fn push_bigint(&mut self, value: i64, out: &mut Vec<u8>) {
        if self.forms.bigints_as_text {
            out.push(b'"');
            push_whole(value, out);
            out.push(b'"');
        } else {
            push_whole(value, out);
        }
    }

    /// Goes by the double that the change block has too, whose milliseconds a `Date` cuts off towards 0.
    fn push_timestamp(&mut self, micros: i64, out: &mut Vec<u8>) {
        let millis = micros as f64 / 1e3;
        if self.forms.timestamps_as_numbers {
            push_double(millis, out);
        } else if millis.abs() > DATE_MILLIS_MAX {
            out.extend_from_slice(b"null");
        } else {
            self.push_instant(millis as i64, out);
        }
    }

    /// `"2026-01-05T09:00:00.000Z"`.
    fn push_instant(&mut self, millis: i64, out: &mut Vec<u8>) {
        let (days, micros) = split_timestamp(millis * 1_000);
        let fraction = (micros % SECOND_MICROS / 1_000) as u32;
        self.text.clear();
        value::format_date(days as i32, &mut self.text);
        self.text.push('T');
        value::format_time(micros - micros % SECOND_MICROS, &mut self.text);
        self.push_text(out);
        out.pop();
        out.push(b'.');
        out.extend([100, 10, 1].map(|unit| b'0' + (fraction / unit % 10) as u8));
        out.extend_from_slice(b"Z\"");
    }

    fn push_decimal(&mut self, digits: i128, scale: u8, out: &mut Vec<u8>) {
        self.text.clear();
        value::format_decimal(digits, scale, &mut self.text);
        if self.forms.decimals_as_numbers {
            push_double(self.text.parse().expect("a decimal's text is a double's too"), out);
        } else {
            self.push_text(out);
        }
    }

    /// The types that are text without anything to escape.
    fn push_formatted(&mut self, column: &Column, row: usize, out: &mut Vec<u8>) {
        self.text.clear();
        match &column.values {
            Values::Text(values) => STANDARD.encode_string(values.get(row), &mut self.text),
            Values::I32(values) => value::format_date(values[row], &mut self.text),
            Values::I64(values) => value::format_time(values[row], &mut self.text),
            _ => unreachable!("an INTERVAL is no column, and the other types have their own form"),
        }
        self.push_text(out);
    }

    fn push_text(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'"');
    }
}

fn truth(value: u8) -> &'static [u8] {
    if value == 0 { b"false" } else { b"true" }
}

fn push_whole(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a double as JavaScript writes it; what is no JSON number as text.
fn push_double(value: f64, out: &mut Vec<u8>) {
    let whole = value as i64;
    if whole as f64 == value && whole.unsigned_abs() < SAFE_WHOLE_END {
        return push_whole(whole, out);
    }
    if !value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
        let name = if value.is_nan() { "NaN" } else { "Infinity" };
        return [b"\"", sign.as_bytes(), name.as_bytes(), b"\""].iter().for_each(|part| out.extend(*part));
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    match text.split_once('e') {
        Some((number, exponent)) => {
            push_scientific(number, exponent.parse().expect("ryu writes a number as exponent"), out);
        }
        None => out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes()),
    }
}

/// Appends `number` times ten to the `exponent`; one digit of `number` is before its point.
fn push_scientific(number: &str, exponent: i32, out: &mut Vec<u8>) {
    let zeros = |count: usize| std::iter::repeat_n(b'0', count);
    if !PLAIN_EXPONENTS.contains(&exponent) {
        out.extend_from_slice(number.as_bytes());
        out.extend_from_slice(if exponent > 0 { b"e+" } else { b"e" });
        return push_whole(exponent.into(), out);
    }
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    out.extend_from_slice(&number.as_bytes()[..number.len() - unsigned.len()]);
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(zeros(exponent.unsigned_abs() as usize - 1));
    }
    let begin = out.len();
    out.extend(unsigned.bytes().filter(|&byte| byte != b'.'));
    let digits = out.len() - begin;
    // Ryu uses an exponent only where all digits stand on one side of the point.
    out.extend(zeros((exponent + 1).max(0) as usize).skip(digits));
}

/// Appends a text in quotes.
pub fn push_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    // Looking at all bytes first is a loop without branches, and nearly always all that is needed.
    if text.iter().fold(false, |found, &byte| found | needs_escape(byte)) {
        text.iter().for_each(|&byte| push_escaped(byte, out));
    } else {
        out.extend_from_slice(text);
    }
    out.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn push_escaped(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\t' => b't',
        b'\r' => b'r',
        8 => b'b',
        12 => b'f',
        0..b' ' => {
            out.extend_from_slice(b"\\u00");
            return out.extend([byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]));
        }
        _ => return out.push(byte),
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(push: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn doubles_are_written_as_javascript_does() {
        let check = |value, text: &str| assert_eq!(shown(|out| push_double(value, out)), text);
        check(0.0, "0");
        check(-0.0, "0");
        check(-1.5, "-1.5");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1e-5, "0.00001");
        check(1e-6, "0.000001");
        check(-1.25e-6, "-0.00000125");
        check(1e-7, "1e-7");
        check(-1.5e-7, "-1.5e-7");
        check(5e-324, "5e-324");
        check(9_007_199_254_740_991.0, "9007199254740991");
        check(9_007_199_254_740_992.0, "9007199254740992");
        check(1e16, "10000000000000000");
        check(-1.2345e19, "-12345000000000000000");
        check(123_456_789_012_345_680_000.0, "123456789012345680000");
        check(999_999_999_999_999_900_000.0, "999999999999999900000");
        check(1e21, "1e+21");
        check(-1.5e21, "-1.5e+21");
        check(f64::MAX, "1.7976931348623157e+308");
        check(f64::NAN, "\"NaN\"");
        check(f64::INFINITY, "\"Infinity\"");
        check(f64::NEG_INFINITY, "\"-Infinity\"");
    }

    #[test]
    fn texts_are_escaped_where_json_demands_it() {
        let check = |text: &str, json: &str| {
            assert_eq!(shown(|out| push_string(text.as_bytes(), out)), json);
        };
        check("", r#""""#);
        check("plain ü \u{2028} \u{7f} \u{1f600} / '", "\"plain ü \u{2028} \u{7f} \u{1f600} / '\"");
        check("a\"b\\c", r#""a\"b\\c""#);
        check("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#);
        check("\0\u{b}\u{1f}ü", "\"\\u0000\\u000b\\u001fü\"");
    }

    #[test]
    fn timestamps_are_written_as_a_date_is() {
        let check = |micros, json: &str| {
            let mut writer = ValueWriter::default();
            let mut out = Vec::new();
            writer.push_timestamp(micros, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), json);
        };
        check(0, "\"1970-01-01T00:00:00.000Z\"");
        check(1_705_314_600_250_999, "\"2024-01-15T10:30:00.250Z\"");
        // Cut off towards the epoch.
        check(-999, "\"1970-01-01T00:00:00.000Z\"");
        check(-1_000, "\"1969-12-31T23:59:59.999Z\"");
        check(-62_135_596_800_000_000, "\"0001-01-01T00:00:00.000Z\"");
        check(-62_198_755_200_000_000, "\"-000001-01-01T00:00:00.000Z\"");
        check(253_402_300_800_000_000, "\"+010000-01-01T00:00:00.000Z\"");
        check(8_640_000_000_000_000_000, "\"+275760-09-13T00:00:00.000Z\"");
        check(-8_640_000_000_000_000_000, "\"-271821-04-20T00:00:00.000Z\"");
        check(8_640_000_000_000_002_000, "null");
        check(i64::MAX, "null");
        check(i64::MIN, "null");
    }
}
