//! Decimal numbers as text, as JSON and CSV have them: tokens, read eight digits at a time, and their values.

use std::ops::Range;

/// A number token: `mantissa * 10^exponent`, exact if `exact`.
#[derive(Debug, Clone, Copy)]
pub struct NumberToken<'a> {
    pub text: &'a [u8],
    pub negative: bool,
    pub mantissa: u64,
    pub exponent: i32,
    pub exact: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Fewer than two chunks of eight, so that the second one shows the end.
const SHORT_DIGITS_MAX: usize = 15;

/// 10^n at n.
pub const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The powers of ten that are exact doubles.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The number of at most 15 digits, at most eight of them decimals, without exponent or leading zeros, that stands
/// at `start`, if one is there.
///
/// Apart from the reading of other numbers, so that the usual token stays in registers.
#[inline(always)]
pub fn short(bytes: &[u8], start: usize) -> Option<NumberToken<'_>> {
    let negative = bytes.get(start) == Some(&b'-');
    let whole = start + usize::from(negative);
    let (mut count, mut mantissa) = leading_digits(*bytes.get(whole..)?.first_chunk()?);
    if count == 8 {
        let (more, value) = leading_digits(*bytes.get(whole + 8..)?.first_chunk()?);
        mantissa = mantissa * POWERS[more] + value;
        count += more;
    }
    let leading_zero = bytes[whole] == b'0' && count > 1;
    let mut at = whole + count;
    let mut decimals = 0;
    if bytes.get(at) == Some(&b'.') {
        let (more, value) = leading_digits(*bytes.get(at + 1..)?.first_chunk()?);
        if more == 0 || count + more > SHORT_DIGITS_MAX {
            return None;
        }
        mantissa = mantissa * POWERS[more] + value;
        decimals = more;
        at += 1 + more;
    }
    let ends = !matches!(bytes.get(at), None | Some(b'0'..=b'9' | b'e' | b'E'));
    if count == 0 || count > SHORT_DIGITS_MAX || leading_zero || !ends {
        return None;
    }
    let text = &bytes[start..at];
    Some(NumberToken { text, negative, mantissa, exponent: -(decimals as i32), exact: true })
}

/// A number of at most eight characters: `mantissa / 10^decimals`.
#[derive(Debug, Clone, Copy)]
pub struct Compact {
    negative: bool,
    mantissa: u64,
    /// At most seven.
    decimals: u32,
}

impl Compact {
    /// The number that `bytes[place]` is, if that is at most eight digits, of which some may be decimals, behind at
    /// most one minus; also with leading zeros, or with no digit before the point.
    ///
    /// Reads the eight bytes that end with it in one piece, takes the point out and adds the digits pairwise.
    #[inline(always)]
    pub fn read(bytes: &[u8], place: Range<usize>) -> Option<Self> {
        let negative = bytes.get(place.start) == Some(&b'-');
        let length = place.end.wrapping_sub(place.start).wrapping_sub(usize::from(negative));
        if !(1..=8).contains(&length) {
            return None;
        }
        let word = u64::from_le_bytes(*bytes.get(..place.end)?.last_chunk()?);
        let values = (word ^ (ONES * u64::from(b'0'))) & (u64::MAX << (64 - 8 * length));
        let points = values ^ (ONES * u64::from(b'.' ^ b'0'));
        // Only the lowest byte found is sure; one more point is no digit and is seen below.
        let point = points.wrapping_sub(ONES) & !points & (ONES * 0x80);
        let (digits, decimals) = if point == 0 {
            (values, 0)
        } else {
            let below = point.trailing_zeros() - 7;
            let low = values & ((1 << below) - 1);
            (low << 8 | (values >> below >> 8) << below << 8, 7 - below / 8)
        };
        let others = (digits.wrapping_add(ONES * 0x76) | digits) & (ONES * 0x80);
        if others != 0 || (point != 0 && decimals == 0) {
            return None;
        }
        Some(Self { negative, mantissa: eight_digits(digits), decimals })
    }

    /// The nearest double; see [`double`].
    #[inline(always)]
    pub fn double(self) -> f64 {
        let size = self.mantissa as i64 as f64 / EXACT_POWERS[self.decimals as usize % 8];
        if self.negative { -size } else { size }
    }

    /// The integer, if it is written as one.
    #[inline(always)]
    pub fn integer(self) -> Option<i64> {
        let size = self.mantissa as i64;
        (self.decimals == 0).then_some(if self.negative { -size } else { size })
    }
}

/// How many decimal digits the bytes begin with, and the number that these are.
///
/// The digits are added pairwise, as Johnny Lee and Daniel Lemire describe it ("Quickly parsing eight digits",
/// 2018).
#[inline]
pub fn leading_digits(bytes: [u8; 8]) -> (usize, u64) {
    let values = u64::from_le_bytes(bytes) ^ (ONES * u64::from(b'0'));
    // A carry out of a byte that is no digit only reaches those behind it.
    let others = (values.wrapping_add(ONES * 0x76) | values) & (ONES * 0x80);
    let count = (others.trailing_zeros() / 8) as usize;
    if count == 0 {
        return (0, 0);
    }
    (count, eight_digits(values << (64 - 8 * count)))
}

/// The number whose digits are the bytes, the first one lowest.
#[inline]
fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// The nearest double; `None` past the largest one. One multiplication or division of exact doubles rounds
/// once, as W. D. Clinger showed ("How to Read Floating Point Numbers Accurately", 1990).
#[inline]
pub fn double(number: &NumberToken<'_>) -> Option<f64> {
    const EXACT_MAX: u64 = 1 << 53;
    let power = EXACT_POWERS.get(number.exponent.unsigned_abs() as usize);
    let size = match power {
        Some(power) if number.exact && number.mantissa <= EXACT_MAX => {
            // Signed, since that is one instruction.
            let mantissa = number.mantissa as i64 as f64;
            match number.exponent {
                0 => mantissa,
                1.. => mantissa * power,
                _ => mantissa / power,
            }
        }
        _ => {
            let value: f64 = std::str::from_utf8(number.text).ok()?.parse().ok()?;
            return value.is_finite().then_some(value);
        }
    };
    Some(if number.negative { -size } else { size })
}

/// The exact integer, also of `1.0` or `1e3`.
#[inline]
pub fn integer(number: &NumberToken<'_>) -> Option<i64> {
    if number.exponent == 0 && number.exact && number.mantissa <= i64::MAX as u64 {
        let size = number.mantissa as i64;
        return Some(if number.negative { -size } else { size });
    }
    scaled_integer(number)
}

/// An integer with an exponent or of the largest size.
fn scaled_integer(number: &NumberToken<'_>) -> Option<i64> {
    let mut mantissa = i128::from(number.mantissa);
    if number.exponent != 0 {
        let factor = 10i128.checked_pow(number.exponent.unsigned_abs())?;
        mantissa = if number.exponent > 0 {
            mantissa.checked_mul(factor)?
        } else if mantissa % factor == 0 {
            mantissa / factor
        } else {
            return None;
        };
    }
    if !number.exact {
        return None;
    }
    i64::try_from(if number.negative { -mantissa } else { mantissa }).ok()
}
