//! Exact decimals as text: digits without point in an `i128`, the scale beside them.

use std::fmt::Write;
use velostream_sql::types::DECIMAL_PRECISION_MAX;

/// Why a text is no decimal of the wanted size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// Not a number.
    Syntax,
    /// More digits before the point than `precision - scale`.
    Overflow,
}

/// `10^exponent`; `None` past the 128-bit range.
#[must_use]
pub fn power_of_ten(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

/// The digits of `text` at `scale`, rounded half away from zero as PostgreSQL does: `"1.25"` at scale 1 is
/// 13. Takes a sign, a point and an exponent.
pub fn parse_decimal(text: &str, precision: u8, scale: u8) -> Result<i128, DecimalError> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().map_err(|_| DecimalError::Syntax)?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.as_bytes().first() {
        Some(b'-') => (true, &mantissa[1..]),
        Some(b'+') => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    // The digit at position `kept` is the first that the scale cuts off.
    let kept = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut value = 0i128;
    for digit in digits().take(usize::try_from(kept).unwrap_or(0)) {
        value = append_digit(value, digit - b'0')?;
    }
    for _ in (whole.len() + fraction.len()) as i64..kept {
        if value == 0 {
            break;
        }
        value = append_digit(value, 0)?;
    }
    let cut = usize::try_from(kept).ok().and_then(|kept| digits().nth(kept));
    if cut.is_some_and(|digit| digit >= b'5') {
        value += 1;
    }
    let limit =
        power_of_ten(u32::from(precision.min(DECIMAL_PRECISION_MAX))).ok_or(DecimalError::Overflow)?;
    if value >= limit {
        return Err(DecimalError::Overflow);
    }
    Ok(if negative { -value } else { value })
}

fn append_digit(value: i128, digit: u8) -> Result<i128, DecimalError> {
    value.checked_mul(10).and_then(|value| value.checked_add(i128::from(digit))).ok_or(DecimalError::Overflow)
}

/// Appends `digits` with its point: 13 at scale 1 is `1.3`.
pub fn format_decimal(digits: i128, scale: u8, out: &mut String) {
    if digits < 0 {
        out.push('-');
    }
    let size = digits.unsigned_abs();
    write!(out, "{size:0width$}", width = usize::from(scale) + 1).expect("writing to a string does not fail");
    if scale > 0 {
        out.insert(out.len() - usize::from(scale), '.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_digits_at_the_scale() {
        let check = |text, precision, scale, expected| {
            assert_eq!(parse_decimal(text, precision, scale), expected, "{text}");
        };
        check("1.25", 10, 2, Ok(125));
        check("1.25", 10, 1, Ok(13));
        check("-1.25", 10, 1, Ok(-13));
        check("1.249", 10, 1, Ok(12));
        check("0.05", 10, 1, Ok(1));
        check("0.04", 10, 0, Ok(0));
        check(".5", 10, 0, Ok(1));
        check("5.", 10, 0, Ok(5));
        check("12e-1", 10, 1, Ok(12));
        check("1e-7", 10, 7, Ok(1));
        check("1e3", 10, 2, Ok(100_000));
        check("0e30", 10, 2, Ok(0));
        check("00012", 2, 0, Ok(12));
        check("1e-400", 10, 2, Ok(0));
        check("99.95", 3, 1, Err(DecimalError::Overflow));
        check("1e400", 10, 2, Err(DecimalError::Overflow));
        check("", 10, 2, Err(DecimalError::Syntax));
        check(".", 10, 2, Err(DecimalError::Syntax));
        check("1.2.3", 10, 2, Err(DecimalError::Syntax));
        check("--1", 10, 2, Err(DecimalError::Syntax));
    }

    #[test]
    fn digits_become_texts() {
        let check = |digits, scale, expected: &str| {
            let mut out = String::new();
            format_decimal(digits, scale, &mut out);
            assert_eq!(out, expected);
        };
        check(13, 1, "1.3");
        check(-5, 2, "-0.05");
        check(0, 0, "0");
        check(0, 2, "0.00");
        check(i128::MAX, 0, "170141183460469231731687303715884105727");
    }
}
