//! Text forms of booleans, integers, doubles and bytes.

use std::fmt::Write;
use std::str::FromStr;

/// Reads PostgreSQL's spellings of a truth value, in any case, spaces around them allowed.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(text));
    if is(&["true", "t", "yes", "y", "on", "1", "tr", "tru", "ye"]) {
        Some(true)
    } else if is(&["false", "f", "no", "n", "off", "0", "of", "fa", "fal", "fals"]) {
        Some(false)
    } else {
        None
    }
}

/// Reads an integer, spaces around it and a sign allowed; `None` also when it does not fit.
#[must_use]
pub fn parse_int<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// Reads a double: digits with point and exponent, `NaN`, `Infinity` or `inf` with a sign; spaces around it
/// are allowed. A number too large for a double is `None`.
#[must_use]
pub fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    let value: f64 = text.parse().ok()?;
    let named = text.bytes().any(|byte| matches!(byte, b'n' | b'N'));
    if value.is_infinite() && !named { None } else { Some(value) }
}

/// Bits that are equal exactly for doubles that SQL holds equal: one NaN, one zero.
#[must_use]
#[inline]
pub fn canonical_double_bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

/// Appends the shortest text that reads back as `value`: plain from 1e-4 to below 1e15, else with an
/// exponent of at least two digits.
pub fn format_double(value: f64, out: &mut String) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    if value == 0.0 {
        return out.push('0');
    }
    let mut buffer = ryu::Buffer::new();
    let (digits, exponent) = digits_and_exponent(buffer.format_finite(value.abs()));
    let digits = &digits.as_str();
    if (-4..15).contains(&exponent) {
        push_plain(digits, exponent, out);
    } else {
        out.push_str(&digits[..1]);
        if digits.len() > 1 {
            out.push('.');
            out.push_str(&digits[1..]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        let written = write!(out, "e{sign}{:02}", exponent.abs());
        debug_assert!(written.is_ok(), "a String takes every text");
    }
}

/// At most 17 significant digits.
struct Digits {
    bytes: [u8; 40],
    length: usize,
}

impl Digits {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("digits are ASCII")
    }
}

/// The significant digits of ryu's text and the decimal exponent of the first.
fn digits_and_exponent(text: &str) -> (Digits, i32) {
    let (number, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().expect("ryu writes a number as exponent");
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all = whole.bytes().chain(fraction.bytes());
    let leading_zeros = all.clone().take_while(|&byte| byte == b'0').count();
    let mut digits = Digits { bytes: [0; 40], length: 0 };
    for byte in all.skip(leading_zeros) {
        digits.bytes[digits.length] = byte;
        digits.length += 1;
    }
    while digits.length > 1 && digits.bytes[digits.length - 1] == b'0' {
        digits.length -= 1;
    }
    (digits, exponent + whole.len() as i32 - 1 - leading_zeros as i32)
}

fn push_plain(digits: &str, exponent: i32, out: &mut String) {
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        return out.push_str(digits);
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

/// `value` with `places` digits after the point (negative: before it), cut off or rounded half away from zero
/// by the digits of its shortest text, so that 1.005 at two places is 1.01.
#[must_use]
pub fn shorten_double(value: f64, places: i32, rounds: bool) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let mut buffer = ryu::Buffer::new();
    let (digits, exponent) = digits_and_exponent(buffer.format_finite(value.abs()));
    let digits = digits.as_str();
    let kept = i64::from(exponent) + 1 + i64::from(places);
    if kept >= digits.len() as i64 {
        return value;
    }
    let digit = |index: i64| usize::try_from(index).ok().and_then(|index| digits.as_bytes().get(index));
    let whole = digits.get(..usize::try_from(kept).unwrap_or(0)).unwrap_or_default();
    let mut number: u64 = whole.bytes().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    if rounds && digit(kept).is_some_and(|&digit| digit >= b'5') {
        number += 1;
    }
    let text = format!("{number}e{}", -i64::from(places));
    text.parse::<f64>().expect("digits and an exponent are a double").copysign(value)
}

/// Appends `\x` and two hexadecimal digits per byte.
pub fn format_bytes(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\x");
    for byte in bytes {
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

/// Reads `\x` and pairs of hexadecimal digits; any other text is its UTF-8 bytes.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    let Some(hex) = text.strip_prefix("\\x") else {
        return Some(text.as_bytes().to_vec());
    };
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    hex.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
