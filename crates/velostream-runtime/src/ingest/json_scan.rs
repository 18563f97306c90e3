//! A cursor over JSON text: tokens without building values.
//!
//! Running out of bytes is a fault of its own, since the rest may come with the next chunk.

use super::number::{self, NumberToken, POWERS, leading_digits};

/// Deepest nesting of values that are skipped.
const DEPTH_MAX: usize = 128;

/// Why a token could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end inside the token.
    Incomplete,
    /// Not JSON; the offset and what was expected there.
    Malformed(usize, &'static str),
}

/// A place in JSON text.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

/// A string token, without its quotes.
#[derive(Debug, Clone, Copy)]
pub struct StringToken<'a> {
    pub raw: &'a [u8],
    pub escaped: bool,
}

/// What kind of value stands at the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    Number,
    True,
    False,
    Null,
    Nested,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space, which stays.
    #[inline]
    pub fn peek(&mut self) -> Result<u8, Fault> {
        self.skip_space();
        self.bytes.get(self.at).copied().ok_or(Fault::Incomplete)
    }

    #[inline]
    pub fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.peek()? != byte {
            return Err(Fault::Malformed(self.at, what));
        }
        self.at += 1;
        Ok(())
    }

    /// Which kind of value comes; the cursor stands at its first byte.
    #[inline]
    pub fn kind(&mut self) -> Result<Kind, Fault> {
        match self.peek()? {
            b'"' => Ok(Kind::String),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            b't' => Ok(Kind::True),
            b'f' => Ok(Kind::False),
            b'n' => Ok(Kind::Null),
            b'{' | b'[' => Ok(Kind::Nested),
            _ => Err(Fault::Malformed(self.at, "a value")),
        }
    }

    /// Reads the word of a TRUE, FALSE or NULL whose first byte was seen.
    pub fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        let rest = &self.bytes[self.at..];
        let seen = rest.len().min(word.len());
        if rest[..seen] != word.as_bytes()[..seen] {
            return Err(Fault::Malformed(self.at, "a value"));
        }
        if seen < word.len() {
            return Err(Fault::Incomplete);
        }
        self.at += seen;
        Ok(())
    }

    /// Reads a string without escapes whose opening quote the cursor stands at, if one is there.
    #[inline(always)]
    pub fn plain_string(&mut self) -> Option<&'a [u8]> {
        let start = self.at + 1;
        let end = special(self.bytes, start);
        if self.bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some(&self.bytes[start..end])
    }

    /// Reads a string whose opening quote the cursor stands at.
    pub fn string(&mut self) -> Result<StringToken<'a>, Fault> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at = special(self.bytes, at);
            match self.bytes.get(at) {
                None => return Err(Fault::Incomplete),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                Some(_) => return Err(Fault::Malformed(at, "no control character in a text")),
            }
        }
        self.at = at + 1;
        Ok(StringToken { raw: &self.bytes[start..at], escaped })
    }

    /// Checks the escape sequence at `at` and gives the offset behind it.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        match self.bytes.get(at + 1) {
            None => Err(Fault::Incomplete),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                for offset in 2..6 {
                    match self.bytes.get(at + offset) {
                        None => return Err(Fault::Incomplete),
                        Some(byte) if byte.is_ascii_hexdigit() => {}
                        Some(_) => return Err(Fault::Malformed(at + offset, "four hexadecimal digits")),
                    }
                }
                Ok(at + 6)
            }
            Some(_) => Err(Fault::Malformed(at + 1, "an escape character")),
        }
    }

    /// Reads a [`number::short`], if one is there.
    #[inline(always)]
    pub fn short_number(&mut self) -> Option<NumberToken<'a>> {
        let token = number::short(self.bytes, self.at)?;
        self.at += token.text.len();
        Some(token)
    }

    /// Reads a number whose first byte the cursor stands at.
    pub fn number(&mut self) -> Result<NumberToken<'a>, Fault> {
        let start = self.at;
        let negative = self.bytes.get(start) == Some(&b'-');
        let mut at = start + usize::from(negative);
        let mut digits = Digits::default();
        let whole = at;
        at = digits.read(self.bytes, at)?;
        if self.bytes[whole] == b'0' && at > whole + 1 {
            return Err(Fault::Malformed(whole, "a number without leading zeros"));
        }
        let mut exponent = 0i32;
        if self.bytes.get(at) == Some(&b'.') {
            let fraction = at + 1;
            at = digits.read(self.bytes, fraction)?;
            exponent = -i32::try_from(at - fraction).unwrap_or(i32::MAX);
        }
        if let Some(b'e' | b'E') = self.bytes.get(at) {
            let (end, written) = self.exponent(at + 1)?;
            at = end;
            exponent = exponent.saturating_add(written);
        }
        if at >= self.bytes.len() {
            return Err(Fault::Incomplete);
        }
        self.at = at;
        let Digits { mantissa, overflowed } = digits;
        Ok(NumberToken { text: &self.bytes[start..at], negative, mantissa, exponent, exact: !overflowed })
    }

    fn exponent(&self, start: usize) -> Result<(usize, i32), Fault> {
        let sign = self.bytes.get(start).ok_or(Fault::Incomplete)?;
        let first = start + usize::from(matches!(sign, b'+' | b'-'));
        let mut digits = Digits::default();
        let end = digits.read(self.bytes, first)?;
        let size =
            if digits.overflowed { i32::MAX } else { i32::try_from(digits.mantissa).unwrap_or(i32::MAX) };
        Ok((end, if *sign == b'-' { -size } else { size }))
    }

    /// Reads over one value of any kind, checking it, and gives its text.
    pub fn skip_value(&mut self) -> Result<&'a [u8], Fault> {
        self.skip_space();
        let start = self.at;
        self.skip_nested(0)?;
        Ok(&self.bytes[start..self.at])
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), Fault> {
        match self.kind()? {
            Kind::String => self.string().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::True => self.word("true"),
            Kind::False => self.word("false"),
            Kind::Null => self.word("null"),
            Kind::Nested if depth == DEPTH_MAX => {
                Err(Fault::Malformed(self.at, "at most 128 levels of nesting"))
            }
            Kind::Nested => self.skip_members(depth),
        }
    }

    fn skip_members(&mut self, depth: usize) -> Result<(), Fault> {
        let object = self.bytes[self.at] == b'{';
        let close = if object { b'}' } else { b']' };
        self.at += 1;
        if self.peek()? == close {
            self.at += 1;
            return Ok(());
        }
        loop {
            if object {
                if self.peek()? != b'"' {
                    return Err(Fault::Malformed(self.at, "a member name in quotes"));
                }
                self.string()?;
                self.expect(b':', "a colon")?;
            }
            self.skip_nested(depth + 1)?;
            match self.peek()? {
                b',' => self.at += 1,
                byte if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => {
                    return Err(Fault::Malformed(
                        self.at,
                        if object { "a comma or }" } else { "a comma or ]" },
                    ));
                }
            }
        }
    }
}

#[derive(Default)]
struct Digits {
    mantissa: u64,
    overflowed: bool,
}

impl Digits {
    /// Reads at least one digit at `at` and gives the offset behind the last.
    #[inline]
    fn read(&mut self, bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
        let start = at;
        // Eight more digits fit where there are at most ten.
        if self.mantissa < 10_000_000_000
            && let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>)
        {
            let (count, value) = leading_digits(*chunk);
            self.mantissa = self.mantissa * POWERS[count] + value;
            at += count;
            if (1..8).contains(&count) {
                return Ok(at);
            }
        }
        while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10)
        {
            // 10^18 keeps one more digit within 64 bits.
            if self.mantissa >= 1_000_000_000_000_000_000 {
                self.overflowed = true;
            }
            self.mantissa = self.mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        match at {
            _ if at > start => Ok(at),
            _ if at >= bytes.len() => Err(Fault::Incomplete),
            _ => Err(Fault::Malformed(at, "a digit")),
        }
    }
}

/// The offset of the next quote, backslash or control character at or behind `at`, eight bytes at a step.
///
/// The tests on eight bytes are those of Sean Eron Anderson's "Bit Twiddling Hacks" (haszero, hasless).
#[inline]
fn special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
        at += 1;
    }
    at
}

/// Appends the value of an escaped string token to `out`. A lone surrogate becomes U+FFFD.
pub fn unescape(token: StringToken<'_>, out: &mut Vec<u8>) {
    let raw = token.raw;
    let mut at = 0;
    while at < raw.len() {
        let next = memchr::memchr(b'\\', &raw[at..]).map_or(raw.len(), |offset| at + offset);
        out.extend_from_slice(&raw[at..next]);
        at = next;
        if at == raw.len() {
            return;
        }
        let simple = match raw[at + 1] {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                at = unescape_unit(raw, at, out);
                continue;
            }
            other => other,
        };
        out.push(simple);
        at += 2;
    }
}

/// Appends the character of the `\uXXXX` (or surrogate pair) at `at` and gives the offset behind it.
fn unescape_unit(raw: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| {
        raw[at + 2..at + 6]
            .iter()
            .fold(0u32, |sum, &byte| sum * 16 + (byte as char).to_digit(16).unwrap_or(0))
    };
    let first = unit(at);
    let mut end = at + 6;
    let mut code = first;
    if (0xD800..0xDC00).contains(&first) && raw.get(end..end + 2) == Some(b"\\u") {
        let second = unit(end);
        if (0xDC00..0xE000).contains(&second) {
            code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            end += 6;
        }
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    end
}
