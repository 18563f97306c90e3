//! JSON records straight into columns: NDJSON, concatenated objects or arrays of objects.
//!
//! Directed by the schema: a member that is no column is checked and skipped without being built. A record
//! that is not JSON, or does not fit, is taken out whole; reading goes on at the next record that can be
//! told from it: behind a line end, or, in an array, behind `},` where an object begins.

use super::convert::{self, SourceFormat};
use super::json_leads::Leads;
use super::json_scan::{Cursor, Fault, Kind, StringToken, unescape};
use super::number::{NumberToken, double, integer};
use super::{Decoded, RECORD_BYTES_MAX};
use velostream_engine::column::{Column, Values};
use velostream_sql::types::{DataType, Field};

/// Decodes the records of one relation from chunks that may end anywhere.
#[derive(Debug)]
pub struct JsonDecoder {
    format: SourceFormat,
    /// Per field, its name with the closing quote: what stands behind a member's opening quote.
    quoted_names: Vec<Vec<u8>>,
    leads: Leads,
    /// Bytes of records that are not complete yet.
    pending: Vec<u8>,
    /// Bytes of the input before `pending`.
    position: u64,
    in_array: bool,
    scratch: Vec<u8>,
}

/// What stands behind the opening brace or a value.
enum Next {
    /// A member, up to its value; the column that it names.
    Member(Option<usize>),
    /// The closing brace.
    End,
}

/// Why a record is not taken.
enum Refusal {
    Fault(Fault),
    /// Well-formed, up to this offset, but not what the relation expects.
    Unfit(usize, String),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl JsonDecoder {
    /// A decoder at the start of an input.
    #[must_use]
    pub fn new(format: SourceFormat) -> Self {
        let quoted = |field: &Field| [field.name.as_bytes(), b"\""].concat();
        let quoted_names = format.fields.iter().map(quoted).collect();
        Self {
            format,
            quoted_names,
            leads: Leads::default(),
            pending: Vec::new(),
            position: 0,
            in_array: false,
            scratch: Vec::new(),
        }
    }

    /// Decodes what `chunk` completes and appends it to `out`; `end` says that nothing follows.
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Decoded) {
        self.push_within(chunk, end, u64::MAX, out);
        if end {
            self.finish(out);
        }
    }

    /// Starts afresh at a record's first byte, which is at byte `position` of the input; what earlier chunks left
    /// unfinished is forgotten, and no array is open.
    pub fn resume_at(&mut self, position: u64) {
        self.pending.clear();
        self.position = position;
        self.in_array = false;
    }

    /// Another decoder of the same relation, that starts at a record's first byte there.
    #[must_use]
    pub fn another_at(&self, position: u64) -> Self {
        Self { position, ..Self::new(self.format.clone()) }
    }

    /// Like [`push`](Self::push), but takes only records that begin before byte `limit` of the input. An array counts
    /// as one record, which begins at its bracket: [`in_array`](Self::in_array) tells that the limit has no effect yet.
    ///
    /// Gives the position of the first record that begins at or behind `limit`, or the input's length where there
    /// is none, and forgets the rest of the chunk: [`resume_at`](Self::resume_at) this position goes on, here or in
    /// another decoder, as if there had been no limit. `None` while that needs more bytes. A record begins at its
    /// first byte that is no white space.
    pub fn push_until(&mut self, chunk: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64> {
        let mut found = self.push_within(chunk, end, limit, out);
        if end {
            found = found.or(Some(self.position));
            self.finish(out);
        }
        if let Some(position) = found {
            self.resume_at(position);
        }
        found
    }

    /// Whether an array of records is open. An input that begins with one cannot be read in ranges.
    #[must_use]
    pub fn in_array(&self) -> bool {
        self.in_array
    }

    /// Decodes what begins before `limit`, and stops at the first record that does not, at the position given.
    fn push_within(&mut self, chunk: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64> {
        let mut rest = chunk;
        if !self.pending.is_empty()
            && let Some(line) = memchr::memchr(b'\n', chunk)
        {
            // Most often the line ends the record in hand, and what follows need not be copied.
            let (first, others) = chunk.split_at(line + 1);
            if let Some(found) = self.push_pending(first, end && others.is_empty(), limit, out) {
                return Some(found);
            }
            rest = others;
        }
        if !self.pending.is_empty() {
            return self.push_pending(rest, end, limit, out);
        }
        let (consumed, reached) = self.decode(rest, end, limit, out);
        self.pending.extend_from_slice(&rest[consumed..]);
        self.position += consumed as u64;
        reached.then_some(self.position)
    }

    /// Appends `bytes` to what is pending and decodes what is complete then.
    fn push_pending(&mut self, bytes: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64> {
        self.pending.extend_from_slice(bytes);
        // Only a brace, a bracket or a line end can complete a record or show that it is broken.
        let telling = memchr::memchr3(b'}', b']', b'\n', bytes).is_some();
        if !telling && !end && self.pending.len() <= RECORD_BYTES_MAX {
            return None;
        }
        let mut pending = std::mem::take(&mut self.pending);
        let (consumed, reached) = self.decode(&pending, end, limit, out);
        pending.drain(..consumed);
        self.pending = pending;
        self.position += consumed as u64;
        reached.then_some(self.position)
    }

    fn finish(&mut self, out: &mut Decoded) {
        if std::mem::take(&mut self.in_array) {
            out.push_bad(b"", self.position, "the array of records is not closed".to_owned());
        }
        self.pending.clear();
        self.position = 0;
    }

    /// Decodes whole records that begin before `limit` from the front of `bytes`; gives how many bytes they took, and
    /// whether the next record begins there at or behind `limit`.
    fn decode(&mut self, bytes: &[u8], end: bool, limit: u64, out: &mut Decoded) -> (usize, bool) {
        let valid_to = match simdutf8::basic::from_utf8(bytes) {
            Ok(_) => bytes.len(),
            Err(_) => simdutf8::compat::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len),
        };
        let mut cursor = Cursor { bytes, at: self.byte_order_mark(bytes) };
        loop {
            cursor.skip_space();
            let start = cursor.at;
            if !self.in_array && start < bytes.len() && self.position + start as u64 >= limit {
                return (start, true);
            }
            match bytes.get(start) {
                None => return (start, false),
                Some(b'[') if !self.in_array => self.in_array = true,
                Some(b',') if self.in_array => {}
                Some(b']') if self.in_array => self.in_array = false,
                _ => {
                    match self.record(&mut cursor, (valid_to, end), out) {
                        Ok(named) => out.finish_row(named),
                        Err(Refusal::Fault(Fault::Incomplete))
                            if !end && bytes.len() - start <= RECORD_BYTES_MAX =>
                        {
                            out.undo_row();
                            return (start, false);
                        }
                        Err(refusal) => {
                            out.undo_row();
                            let Some(next) = self.refuse(bytes, start, end, refusal, out) else {
                                return (start, false);
                            };
                            cursor.at = next;
                        }
                    }
                    continue;
                }
            }
            cursor.at = start + 1;
        }
    }

    fn byte_order_mark(&self, bytes: &[u8]) -> usize {
        if self.position == 0 && bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
    }

    /// Hands the refused record on and gives the offset to go on from, or `None` to wait for more bytes.
    fn refuse(
        &self,
        bytes: &[u8],
        start: usize,
        end: bool,
        refusal: Refusal,
        out: &mut Decoded,
    ) -> Option<usize> {
        let (next, message) = match refusal {
            Refusal::Unfit(next, message) => (next, message),
            Refusal::Fault(fault) => {
                let full = end || bytes.len() - start > RECORD_BYTES_MAX;
                let next = resume(bytes, start, self.in_array).or(full.then_some(bytes.len()))?;
                let message = match fault {
                    Fault::Incomplete => "malformed JSON: the record does not end".to_owned(),
                    Fault::Malformed(at, expected) => {
                        format!("malformed JSON: expected {expected} at byte {} of the record", at - start)
                    }
                };
                (next, message)
            }
        };
        out.push_bad(bytes[start..next].trim_ascii_end(), self.position + start as u64, message);
        Some(next)
    }

    /// Reads the record at the cursor into the columns, which may be left uneven if it fails; gives how many
    /// columns it names at least.
    fn record(
        &mut self,
        cursor: &mut Cursor<'_>,
        (valid_to, end): (usize, bool),
        out: &mut Decoded,
    ) -> Result<u32, Refusal> {
        let start = cursor.at;
        if cursor.bytes[start] != b'{' {
            return Err(other_value(cursor, self.in_array, end));
        }
        cursor.at += 1;
        let mut unfit = None;
        let named = self.members(cursor, out, &mut unfit)?;
        let record = &cursor.bytes[start..cursor.at];
        if cursor.at > valid_to && simdutf8::basic::from_utf8(record).is_err() {
            return Err(Refusal::Unfit(cursor.at, "invalid UTF-8".to_owned()));
        }
        match unfit {
            None => Ok(named),
            Some(message) => Err(Refusal::Unfit(cursor.at, message)),
        }
    }

    /// Reads what follows the opening brace, the closing one included.
    fn members(
        &mut self,
        cursor: &mut Cursor<'_>,
        out: &mut Decoded,
        unfit: &mut Option<String>,
    ) -> Result<u32, Fault> {
        let row = out.rows;
        // One bit for every 64th column: where none is set, the record has not named the column before.
        let mut seen = 0u64;
        let mut expected = 0;
        for place in 0.. {
            let found = match self.leads.find(place, &cursor.bytes[cursor.at..]) {
                Some((length, column)) => {
                    cursor.at += length;
                    column
                }
                None => match self.lead(cursor, place, expected)? {
                    Next::Member(column) => column,
                    Next::End => break,
                },
            };
            let Some(index) = found else {
                cursor.skip_value()?;
                continue;
            };
            expected = index + 1;
            let column = &mut out.columns[index];
            let bit = 1 << (index % 64);
            if seen & bit != 0 {
                column.truncate(row);
            }
            seen |= bit;
            if Self::usual_value(cursor, column) {
                continue;
            }
            if let Some(message) = self.value(cursor, column)? {
                let name = &self.format.fields[index].name;
                unfit.get_or_insert_with(|| format!("{name}: {message}"));
            }
        }
        Ok(seen.count_ones())
    }

    /// Reads up to the value of the member at `place`, whose column is first taken to be `expected`, and keeps
    /// what it read for the records that follow.
    fn lead(&mut self, cursor: &mut Cursor<'_>, place: usize, expected: usize) -> Result<Next, Fault> {
        let start = cursor.at;
        match cursor.peek()? {
            b'}' => {
                cursor.at += 1;
                return Ok(Next::End);
            }
            b',' if place > 0 => cursor.at += 1,
            _ if place > 0 => return Err(Fault::Malformed(cursor.at, "a comma or }")),
            _ => {}
        }
        if cursor.peek()? != b'"' {
            return Err(Fault::Malformed(cursor.at, "a member name in quotes"));
        }
        let column = self.member(cursor, expected)?;
        cursor.expect(b':', "a colon")?;
        cursor.skip_space();
        self.leads.keep(place, &cursor.bytes[start..cursor.at], column);
        Ok(Next::Member(column))
    }

    /// Reads a member's name and gives its column; `expected` is the one to try first.
    #[inline]
    fn member(&mut self, cursor: &mut Cursor<'_>, expected: usize) -> Result<Option<usize>, Fault> {
        if let Some(name) = self.quoted_names.get(expected)
            && cursor.bytes[cursor.at + 1..].starts_with(name)
        {
            cursor.at += 1 + name.len();
            return Ok(Some(expected));
        }
        let token = cursor.string()?;
        let name = text(token, &mut self.scratch);
        Ok(self.format.fields.iter().position(|field| field.name.as_bytes() == name))
    }

    /// Appends the value at the cursor to `column` if it is what most values are, a text without escapes or a short
    /// number, and fits; otherwise the cursor stays.
    #[inline(always)]
    fn usual_value(cursor: &mut Cursor<'_>, column: &mut Column) -> bool {
        let start = cursor.at;
        match cursor.bytes.get(start) {
            Some(b'"') if column.data_type == DataType::String => {
                if let Some(value) = cursor.plain_string() {
                    push_string(column, value);
                    return true;
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                if let Some(number) = cursor.short_number() {
                    if push_number(column, &number) == Some(true) {
                        return true;
                    }
                    cursor.at = start;
                }
            }
            _ => {}
        }
        false
    }

    /// Appends the value at the cursor to `column`, or gives the reason why it does not fit.
    fn value(&mut self, cursor: &mut Cursor<'_>, column: &mut Column) -> Result<Option<String>, Fault> {
        cursor.skip_space();
        let start = cursor.at;
        let kind = cursor.kind()?;
        match kind {
            Kind::Null => {
                cursor.word("null")?;
                column.push_null();
                return Ok(None);
            }
            Kind::String => {
                let token = cursor.string()?;
                let value = text(token, &mut self.scratch);
                return Ok(string_value(column, value, &self.format));
            }
            Kind::Number => {
                let number = cursor.number()?;
                match push_number(column, &number) {
                    Some(true) => return Ok(None),
                    Some(false) => return Ok(Some(convert::unfit(column.data_type, number.text))),
                    None => {}
                }
            }
            Kind::True | Kind::False => {
                cursor.word(if kind == Kind::True { "true" } else { "false" })?;
                if let Values::Bool(values) = &mut column.values {
                    values.push(u8::from(kind == Kind::True));
                    column.validity.push(values.len() - 1, true);
                    return Ok(None);
                }
            }
            Kind::Nested => {
                cursor.skip_value()?;
            }
        }
        let raw = &cursor.bytes[start..cursor.at];
        if self.format.json_text && column.data_type == DataType::String {
            return Ok(convert::push_text(column, raw, None).err());
        }
        Ok(Some(convert::unfit(column.data_type, raw)))
    }
}

/// A string token's value; `scratch` holds it where it was escaped.
fn text<'a>(token: StringToken<'a>, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !token.escaped {
        return token.raw;
    }
    scratch.clear();
    unescape(token, scratch);
    scratch
}

/// Text fits text, bytes (base64), dates and times, and exact decimals; never the other numbers.
fn string_value(column: &mut Column, value: &[u8], format: &SourceFormat) -> Option<String> {
    match column.data_type {
        DataType::String => {
            push_string(column, value);
            None
        }
        DataType::Bytes
        | DataType::Date
        | DataType::Time
        | DataType::Timestamp
        | DataType::Decimal { .. } => {
            convert::push_text(column, value, format.timestamp_format.as_ref()).err()
        }
        other => Some(convert::unfit(other, value)),
    }
}

/// Appends a value of a STRING column; invalid UTF-8 is found over the whole record.
#[inline]
fn push_string(column: &mut Column, value: &[u8]) {
    if let Values::Text(values) = &mut column.values {
        values.push(value);
        column.validity.push(values.len() - 1, true);
    }
}

/// Appends a number that the column's type can hold; `None` where it takes no numbers at all.
#[inline]
fn push_number(column: &mut Column, number: &NumberToken<'_>) -> Option<bool> {
    let rows = column.len();
    let data_type = column.data_type;
    let pushed = match &mut column.values {
        Values::F64(values) => double(number).map(|value| values.push(value)),
        Values::I32(values) if data_type == DataType::Int => {
            integer(number).and_then(|value| i32::try_from(value).ok()).map(|value| values.push(value))
        }
        Values::I64(values) if data_type == DataType::BigInt => {
            integer(number).map(|value| values.push(value))
        }
        Values::I64(values) if data_type == DataType::Timestamp => {
            epoch_micros(number).map(|value| values.push(value))
        }
        Values::I128(values) => std::str::from_utf8(number.text)
            .ok()
            .and_then(|text| convert::parse_decimal(text, data_type))
            .map(|value| values.push(value)),
        _ => return None,
    };
    if pushed.is_some() {
        column.validity.push(rows, true);
    }
    Some(pushed.is_some())
}

/// Epoch milliseconds, fractions kept to the microsecond.
fn epoch_micros(number: &NumberToken<'_>) -> Option<i64> {
    if let Some(millis) = integer(number) {
        return millis.checked_mul(1_000);
    }
    let micros = (double(number)? * 1_000.0).round();
    // The first double past the largest 64-bit integer is 2^63.
    (micros.abs() < 9_223_372_036_854_775_808.0).then_some(micros as i64)
}

/// Why a value in the place of a record is refused: one that stands alone in its line, or in an array, is passed over alone.
fn other_value(cursor: &mut Cursor<'_>, in_array: bool, end: bool) -> Refusal {
    let start = cursor.at;
    let refused = Fault::Malformed(start, "an object").into();
    let skipped = cursor.skip_value();
    let value = skipped.as_deref().unwrap_or(&cursor.bytes[start..]);
    match skipped {
        // As it would be if the line came whole.
        _ if value.contains(&b'\n') => return refused,
        Ok(_) => {}
        Err(Fault::Incomplete) if !end => return Fault::Incomplete.into(),
        Err(_) => return refused,
    }
    let behind = cursor.bytes[cursor.at..].iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
    match behind {
        None if !end => Fault::Incomplete.into(),
        None | Some(b'\n') => Refusal::Unfit(cursor.at, "expected an object".to_owned()),
        Some(b',' | b']') if in_array => Refusal::Unfit(cursor.at, "expected an object".to_owned()),
        Some(_) => refused,
    }
}

/// Where reading goes on behind a broken record that begins at `start`: at an object that follows a brace,
/// in an array with a comma between; behind the line end, in an array only if an object follows. `None` while
/// more bytes may tell, so that the answer is the same wherever chunks end.
fn resume(bytes: &[u8], start: usize, in_array: bool) -> Option<usize> {
    let follows = |from: usize| {
        let space = bytes[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        (from + space, bytes.get(from + space).copied())
    };
    memchr::memchr2_iter(b'\n', b'}', &bytes[start..]).find_map(|offset| {
        let behind = start + offset + 1;
        let (next, byte) = follows(behind);
        match (bytes[behind - 1], byte) {
            (b'\n', _) if !in_array => Some(behind),
            (b'\n', Some(b'{')) => Some(next),
            (b'}', Some(b'{')) if !in_array => Some(next),
            (b'}', Some(b',')) if in_array && follows(next + 1).1 == Some(b'{') => Some(next),
            _ => None,
        }
    })
}
