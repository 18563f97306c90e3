//! Time patterns whose fields have fixed places: year, month and day, with or without hour, minute and second.

use super::plain_time::{days, digits, micros};
use crate::value::calendar::DAY_MICROS;

/// Where the fields of a pattern stand, and the bytes between them.
///
/// Reads texts in which every field has all its digits, and leaves others to the pattern's general meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainPattern {
    /// What a text looks like: digits stand for themselves, the rest for equal bytes.
    shape: Vec<Place>,
    /// Where year, month, day, hour, minute and second begin.
    fields: [Option<usize>; FIELDS.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Digit,
    Byte(u8),
}

const FIELDS: [u8; 6] = *b"YmdHMS";

impl PlainPattern {
    /// The fixed places of a strftime pattern; `None` if it has others.
    pub fn new(strftime: &str) -> Option<Self> {
        let mut shape = Vec::new();
        let mut fields = [None; FIELDS.len()];
        let mut bytes = strftime.bytes();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let letter = bytes.next()?;
                let field = FIELDS.iter().position(|&field| field == letter)?;
                if fields[field].replace(shape.len()).is_some() {
                    return None;
                }
                shape.extend(std::iter::repeat_n(Place::Digit, if letter == b'Y' { 4 } else { 2 }));
            } else if byte == b' ' || byte.is_ascii_graphic() {
                shape.push(Place::Byte(byte));
            } else {
                return None;
            }
        }
        let [year, month, day, hour, minute, second] = fields.map(|field| field.is_some());
        let complete = year && month && day && hour >= minute && minute >= second;
        complete.then_some(Self { shape, fields })
    }

    /// Reads a text as microseconds since the epoch; `None` if it may be read in another way.
    pub fn parse(&self, text: &[u8]) -> Option<i64> {
        let fits = |(&byte, &place): (&u8, &Place)| match place {
            Place::Digit => byte.is_ascii_digit(),
            Place::Byte(expected) => byte == expected,
        };
        if text.len() != self.shape.len() || !text.iter().zip(&self.shape).all(fits) {
            return None;
        }
        let [year, month, day, hour, minute, second] = self.fields;
        let two = |field: Option<usize>| match field {
            Some(at) => digits(*text.get(at..)?.first_chunk::<2>()?),
            None => Some(0),
        };
        let year = digits(*text.get(year?..)?.first_chunk::<4>()?)?;
        let days = days(year, two(month)?, two(day)?)?;
        Some(i64::from(days) * DAY_MICROS + micros(two(hour)?, two(minute)?, two(second)?)?)
    }
}
