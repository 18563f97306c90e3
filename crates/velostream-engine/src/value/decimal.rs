//! Exact decimals: `i128` digits with a scale, 256-bit intermediate results, rounding half away from zero.

use ethnum::I256;

/// The powers of ten up to the 38th, the largest that 127 bits hold.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// 10 to the power of `exponent`, which is at most 38.
#[must_use]
#[inline]
pub fn power_of_ten(exponent: u8) -> i128 {
    POWERS[usize::from(exponent)]
}

/// Whether the digits fit `precision` digits.
#[must_use]
#[inline]
pub fn fits(digits: i128, precision: u8) -> bool {
    digits.unsigned_abs() < power_of_ten(precision).unsigned_abs()
}

fn wide_power(exponent: u8) -> I256 {
    let low = exponent.min(38);
    I256::from(power_of_ten(low)) * I256::from(power_of_ten(exponent - low))
}

/// The quotient, rounded half away from zero.
fn divide_rounding(dividend: I256, divisor: I256) -> I256 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    // |rest| < |divisor|, so comparing with the difference cannot overflow as doubling could.
    let (rest, limit) = (rest.unsigned_abs(), divisor.unsigned_abs());
    if rest >= limit - rest {
        quotient + if (dividend < 0) == (divisor < 0) { I256::ONE } else { -I256::ONE }
    } else {
        quotient
    }
}

/// A value of 256 bits at `scale` as digits at `to_scale`, if they fit `precision`.
fn settle(value: I256, scale: u8, precision: u8, to_scale: u8) -> Option<i128> {
    let value = if to_scale >= scale {
        value.checked_mul(wide_power(to_scale - scale))?
    } else {
        divide_rounding(value, wide_power(scale - to_scale))
    };
    i128::try_from(value).ok().filter(|&digits| fits(digits, precision))
}

/// The digits at another scale, rounded half away from zero; `None` past `precision` digits.
#[must_use]
pub fn rescale(digits: i128, scale: u8, precision: u8, to_scale: u8) -> Option<i128> {
    if scale == to_scale {
        return Some(digits).filter(|&digits| fits(digits, precision));
    }
    if digits == 0 {
        return Some(0);
    }
    if to_scale > scale {
        let scaled = digits.checked_mul(power_of_ten(to_scale - scale))?;
        return Some(scaled).filter(|&digits| fits(digits, precision));
    }
    settle(I256::from(digits), scale, precision, to_scale)
}

/// Both operands at the larger scale.
fn align(a: i128, b: i128, [scale_a, scale_b]: [u8; 2]) -> (I256, I256, u8) {
    let scale = scale_a.max(scale_b);
    let (a, b) = (I256::from(a) * wide_power(scale - scale_a), I256::from(b) * wide_power(scale - scale_b));
    (a, b, scale)
}

/// `a + b` at `scale`, operands at `scales`; `None` past `precision` digits. So for the other operations.
#[must_use]
pub fn add(a: i128, b: i128, scales: [u8; 2], precision: u8, scale: u8) -> Option<i128> {
    let (a, b, common) = align(a, b, scales);
    settle(a + b, common, precision, scale)
}

/// `a - b`.
#[must_use]
pub fn subtract(a: i128, b: i128, scales: [u8; 2], precision: u8, scale: u8) -> Option<i128> {
    let (a, b, common) = align(a, b, scales);
    settle(a - b, common, precision, scale)
}

/// `a * b`.
#[must_use]
pub fn multiply(a: i128, b: i128, [scale_a, scale_b]: [u8; 2], precision: u8, scale: u8) -> Option<i128> {
    if let Some(product) = a.checked_mul(b)
        && scale == scale_a + scale_b
    {
        return Some(product).filter(|&digits| fits(digits, precision));
    }
    settle(I256::from(a) * I256::from(b), scale_a + scale_b, precision, scale)
}

/// `a / b`; `None` also for a divisor of 0.
#[must_use]
pub fn divide(a: i128, b: i128, [scale_a, scale_b]: [u8; 2], precision: u8, scale: u8) -> Option<i128> {
    if b == 0 {
        return None;
    }
    // a / 10^sa / (b / 10^sb) * 10^s = a * 10^(s + sb - sa) / b
    let up = scale + scale_b;
    if up < scale_a {
        let divisor = I256::from(b).checked_mul(wide_power(scale_a - up))?;
        let quotient = divide_rounding(I256::from(a), divisor);
        return i128::try_from(quotient).ok().filter(|&digits| fits(digits, precision));
    }
    let mut exponent = up - scale_a;
    let divisor = I256::from(b);
    // Long division in chunks of at most 38 digits: the rest is below 10^38, so nothing overflows.
    let (mut quotient, mut rest) = (I256::from(a) / divisor, I256::from(a) % divisor);
    while exponent > 0 {
        let chunk = exponent.min(38);
        let scaled = rest * wide_power(chunk);
        quotient = quotient.checked_mul(wide_power(chunk))? + scaled / divisor;
        rest = scaled % divisor;
        exponent -= chunk;
        if quotient.unsigned_abs() >= wide_power(38).unsigned_abs() {
            return None;
        }
    }
    let (rest, limit) = (rest.unsigned_abs(), divisor.unsigned_abs());
    if rest >= limit - rest {
        quotient += if (a < 0) == (b < 0) { I256::ONE } else { -I256::ONE };
    }
    i128::try_from(quotient).ok().filter(|&digits| fits(digits, precision))
}

/// `a % b`, with the sign of `a`; `None` also for a divisor of 0.
#[must_use]
pub fn remainder(a: i128, b: i128, scales: [u8; 2], precision: u8, scale: u8) -> Option<i128> {
    if b == 0 {
        return None;
    }
    let (a, b, common) = align(a, b, scales);
    settle(a % b, common, precision, scale)
}

/// The nearest double.
#[must_use]
pub fn to_double(digits: i128, scale: u8) -> f64 {
    const EXACT: u128 = 1 << 53;
    if scale == 0 {
        return digits as f64;
    }
    if digits.unsigned_abs() <= EXACT && scale <= 22 {
        // Both are exact doubles, so the one rounding is that of the division.
        return digits as f64 / 10f64.powi(i32::from(scale));
    }
    let mut text = String::new();
    format_decimal(digits, scale, &mut text);
    text.parse().expect("decimal text is a double's")
}

/// Why a text is no DECIMAL of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// It is no number.
    Syntax,
    /// It has too many digits before the point.
    Overflow,
}

/// Reads `[+-]digits[.digits][e[+-]digits]`, spaces around it allowed; rounds half away from zero to `scale`.
pub fn parse_decimal(text: &str, precision: u8, scale: u8) -> Result<i128, DecimalError> {
    let (number, exponent) = split_exponent(text.trim().as_bytes())?;
    let (negative, number) = match number {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, number),
    };
    let point = number.iter().position(|&byte| byte == b'.').unwrap_or(number.len());
    let (whole, fraction) = (&number[..point], number.get(point + 1..).unwrap_or_default());
    if whole.is_empty() && fraction.is_empty() {
        return Err(DecimalError::Syntax);
    }
    // Digits are taken while they stand at or before the last place kept; the next one rounds.
    let kept = whole.len() as i64 + exponent + i64::from(scale);
    let (mut digits, mut round_up) = (0i128, false);
    for (index, &byte) in whole.iter().chain(fraction).enumerate() {
        if !byte.is_ascii_digit() {
            return Err(DecimalError::Syntax);
        }
        let digit = i128::from(byte - b'0');
        match (index as i64).cmp(&kept) {
            std::cmp::Ordering::Less => {
                digits = digits
                    .checked_mul(10)
                    .and_then(|d| d.checked_add(digit))
                    .ok_or(DecimalError::Overflow)?;
            }
            std::cmp::Ordering::Equal => round_up = digit >= 5,
            std::cmp::Ordering::Greater => {}
        }
    }
    let given = (whole.len() + fraction.len()) as i64;
    for _ in given..kept {
        if digits == 0 {
            break;
        }
        digits = digits.checked_mul(10).ok_or(DecimalError::Overflow)?;
    }
    digits += i128::from(round_up);
    if !fits(digits, precision) {
        return Err(DecimalError::Overflow);
    }
    Ok(if negative { -digits } else { digits })
}

/// The number before an exponent, and the exponent.
fn split_exponent(text: &[u8]) -> Result<(&[u8], i64), DecimalError> {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'e' | b'E')) else {
        return Ok((text, 0));
    };
    let digits = std::str::from_utf8(&text[at + 1..]).map_err(|_| DecimalError::Syntax)?;
    let exponent: i32 = digits.parse().map_err(|_| DecimalError::Syntax)?;
    Ok((&text[..at], i64::from(exponent)))
}

/// Appends the digits with their point: `scale` digits after it, at least one before it.
pub fn format_decimal(digits: i128, scale: u8, out: &mut String) {
    use std::fmt::Write;
    if digits < 0 {
        out.push('-');
    }
    let magnitude = digits.unsigned_abs();
    let unit = power_of_ten(scale).unsigned_abs();
    let written = write!(out, "{}", magnitude / unit);
    debug_assert!(written.is_ok(), "a String takes every text");
    if scale > 0 {
        let width = usize::from(scale);
        let written = write!(out, ".{:0width$}", magnitude % unit);
        debug_assert!(written.is_ok(), "a String takes every text");
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
