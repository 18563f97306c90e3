//! CSV bytes to records: chunks that end anywhere, quotes, byte positions.
//!
//! A record begins at the first byte that is no line end, and what it is depends on the bytes from there alone. So
//! an input can be read in ranges that begin at records.

use super::RECORD_BYTES_MAX;
use super::csv::CsvOptions;
use super::csv_plain::{Plain, Span};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How many fields are gathered before they are decoded: so many that a column is worth a loop, so few that they
/// stay in the nearest cache.
const GATHERED_FIELDS: usize = 512;

/// Splits CSV bytes into records.
pub struct CsvReader {
    delimiter: u8,
    reader: Reader,
    /// Unquoted field texts of the record in hand, one behind the other, and where each ends.
    fields: Vec<u8>,
    fields_used: usize,
    ends: Vec<usize>,
    ends_used: usize,
    spans: Vec<Span>,
    places: Vec<Place>,
    /// The record's bytes in earlier chunks; empty exactly between records.
    raw: Vec<u8>,
    /// Bytes of the input before the chunk in hand.
    position: u64,
    /// Bytes of the byte order mark seen while it is open whether the input begins with one.
    mark: Option<usize>,
    /// Whether the next record is the header.
    header: bool,
    /// Whether what comes up to the next line end belongs to a record that was refused.
    skipping: bool,
}

/// One record: its fields, its bytes and where it begins.
pub struct CsvRecord<'a> {
    /// What holds its fields, and more.
    pub bytes: &'a [u8],
    /// Where in `bytes` its fields stand.
    pub fields: &'a [Span],
    raw: &'a [u8],
    /// Byte position of its first byte.
    pub position: u64,
    /// Whether it names the columns.
    pub header: bool,
    /// Whether it was read up to its end; if not, it is longer than [`RECORD_BYTES_MAX`] and has no fields.
    pub whole: bool,
}

impl<'a> CsvRecord<'a> {
    /// How many fields.
    pub fn width(&self) -> usize {
        self.fields.len()
    }

    /// Field `index`.
    pub fn field(&self, index: usize) -> &'a [u8] {
        self.fields[index].of(self.bytes)
    }

    /// Its bytes as written, without the line end.
    pub fn raw(&self) -> &'a [u8] {
        self.raw.trim_ascii_end()
    }
}

/// Records that stand in one chunk.
pub struct CsvRecords<'a> {
    /// The chunk.
    pub bytes: &'a [u8],
    /// Where the fields stand in it, record by record.
    pub fields: &'a [Span],
    /// Up to where `bytes` are known to be UTF-8.
    pub valid_to: usize,
    places: &'a [Place],
    /// Byte position of the chunk.
    position: u64,
}

/// Where a record stands in its chunk, and its first field among all.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    first: usize,
}

impl<'a> CsvRecords<'a> {
    /// How many records.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether every record has `width` fields.
    pub fn all_have(&self, width: usize) -> bool {
        let even = self.places.iter().enumerate().all(|(index, place)| place.first == index * width);
        even && self.fields.len() == self.len() * width
    }

    /// Record `index`.
    pub fn get(&self, index: usize) -> CsvRecord<'a> {
        let Place { start, end, first } = self.places[index];
        let behind = self.places.get(index + 1).map_or(self.fields.len(), |next| next.first);
        CsvRecord {
            bytes: self.bytes,
            fields: &self.fields[first..behind],
            raw: &self.bytes[start..end],
            position: self.position + start as u64,
            header: false,
            whole: true,
        }
    }
}

/// Takes the records that a reader finds.
pub trait Take {
    fn record(&mut self, record: CsvRecord<'_>);

    fn records(&mut self, records: &CsvRecords<'_>) {
        (0..records.len()).for_each(|index| self.record(records.get(index)));
    }
}

impl<F: FnMut(CsvRecord<'_>)> Take for F {
    fn record(&mut self, record: CsvRecord<'_>) {
        self(record);
    }
}

/// How far a record in hand has come.
enum Progress {
    Complete,
    /// The chunk ends inside it.
    Cut,
    TooLong,
}

impl CsvReader {
    /// A reader at the start of an input.
    #[must_use]
    pub fn new(options: CsvOptions) -> Self {
        let mut reader = Self {
            delimiter: options.delimiter,
            reader: ReaderBuilder::new().delimiter(options.delimiter).build(),
            fields: vec![0; 1024],
            fields_used: 0,
            ends: vec![0; 64],
            ends_used: 0,
            spans: Vec::new(),
            places: Vec::new(),
            raw: Vec::new(),
            position: 0,
            mark: Some(0),
            header: options.header,
            skipping: false,
        };
        reader.forget();
        reader
    }

    /// Whether the next record is the header.
    pub fn awaits_header(&self) -> bool {
        self.header
    }

    /// Goes to a record's first byte at this position of the input, behind the header.
    pub fn resume_at(&mut self, position: u64) {
        self.forget();
        self.position = position;
        self.mark = None;
        self.header = false;
        self.skipping = false;
    }

    /// Drops the record in hand.
    fn forget(&mut self) {
        self.reader.reset();
        // At its first byte csv-core would skip a byte order mark, which only the input's start may have.
        self.reader.read_record(b"\n", &mut self.fields, &mut self.ends);
        self.fields_used = 0;
        self.ends_used = 0;
        self.raw.clear();
    }

    /// Gives `to` every record that begins before the position `limit` and that `chunk` completes; `end` says
    /// that nothing follows. The header comes whatever the limit.
    ///
    /// Gives the position of the first record that begins at or behind `limit`, or of the input's end: the reader
    /// then stands there and has forgotten the rest of the chunk. `None` while that needs more bytes.
    pub fn push(&mut self, chunk: &[u8], end: bool, limit: u64, to: &mut impl Take) -> Option<u64> {
        let mut rest = chunk;
        if let Some(seen) = self.mark {
            let more = BYTE_ORDER_MARK[seen..].iter().zip(chunk).take_while(|(a, b)| a == b).count();
            if seen + more == BYTE_ORDER_MARK.len() {
                self.mark = None;
                self.position = BYTE_ORDER_MARK.len() as u64;
                rest = &chunk[more..];
            } else if more == chunk.len() && !end {
                self.mark = Some(seen + more);
                return None;
            } else {
                self.mark = None;
                if let Some(position) = self.read(&BYTE_ORDER_MARK[..seen], false, limit, to) {
                    return Some(position);
                }
            }
        }
        let found = self.read(rest, end, limit, to);
        if end {
            self.forget();
            self.skipping = false;
            return Some(found.unwrap_or(self.position));
        }
        found
    }

    fn read(&mut self, chunk: &[u8], end: bool, limit: u64, to: &mut impl Take) -> Option<u64> {
        let mut at = self.skip_refused(chunk);
        let valid_to = self.valid_to(chunk);
        loop {
            if self.raw.is_empty() {
                at = self.read_plain(chunk, at, valid_to, limit, to);
                at += chunk[at..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
                let position = self.position + at as u64;
                if at < chunk.len() && position >= limit && !self.header {
                    self.position = position;
                    return Some(position);
                }
            }
            if at == chunk.len() && (self.raw.is_empty() || !end) {
                break;
            }
            let start = at;
            match self.read_record(chunk, &mut at, end) {
                Progress::Complete => self.hand_out(&chunk[start..at], start, to),
                Progress::Cut => {
                    self.raw.extend_from_slice(&chunk[start..]);
                    break;
                }
                Progress::TooLong => {
                    self.raw.extend_from_slice(&chunk[start..at]);
                    if let Some(position) = self.refuse(at, limit, to) {
                        return Some(position);
                    }
                    at += self.skip_refused(&chunk[at..]);
                }
            }
        }
        self.position += chunk.len() as u64;
        None
    }

    /// Up to where the fields of `chunk` are known to be UTF-8.
    fn valid_to(&self, chunk: &[u8]) -> usize {
        // Another delimiter could cut a character.
        if !self.delimiter.is_ascii() {
            return 0;
        }
        match simdutf8::basic::from_utf8(chunk) {
            Ok(_) => chunk.len(),
            Err(_) => simdutf8::compat::from_utf8(chunk).map_or_else(|e| e.valid_up_to(), str::len),
        }
    }

    /// Reads the records from `at` that need no copying and gives where the first other one begins: one that is
    /// written in another way, that the chunk does not complete, that is too long or that begins behind the limit.
    fn read_plain(
        &mut self,
        chunk: &[u8],
        at: usize,
        valid_to: usize,
        limit: u64,
        to: &mut impl Take,
    ) -> usize {
        if self.header || !Plain::reads(self.delimiter) {
            return at;
        }
        let stop = usize::try_from(limit.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let mut plain = Plain::new(chunk, self.delimiter, at);
        loop {
            let more = self.gather(&mut plain, stop);
            to.records(&CsvRecords {
                bytes: chunk,
                fields: &self.spans,
                valid_to,
                places: &self.places,
                position: self.position,
            });
            if !more {
                return plain.at;
            }
        }
    }

    /// Gathers some of the records that begin before the offset `stop`, and says whether there may be more.
    #[inline(never)]
    fn gather(&mut self, plain: &mut Plain<'_>, stop: usize) -> bool {
        self.spans.clear();
        self.places.clear();
        while self.spans.len() < GATHERED_FIELDS {
            let first = self.spans.len();
            match plain.record(&mut self.spans) {
                Some((start, end)) if start < stop && end - start <= RECORD_BYTES_MAX => {
                    self.places.push(Place { start, end, first });
                }
                other => {
                    self.spans.truncate(first);
                    if let Some((start, _)) = other {
                        plain.at = start;
                    }
                    return false;
                }
            }
        }
        true
    }

    /// Reads on in the record in hand, of which `raw` holds what earlier chunks had.
    fn read_record(&mut self, chunk: &[u8], at: &mut usize, end: bool) -> Progress {
        // The last byte may be the line end.
        let room = RECORD_BYTES_MAX + 1 - self.raw.len();
        let stop = chunk.len().min(*at + room);
        let full = stop == *at + room;
        loop {
            // To csv-core empty input means the end, so an exhausted chunk is not shown to it before that.
            if *at == stop && (full || !end) {
                return if full { Progress::TooLong } else { Progress::Cut };
            }
            let (result, read, written, ended) = self.reader.read_record(
                &chunk[*at..stop],
                &mut self.fields[self.fields_used..],
                &mut self.ends[self.ends_used..],
            );
            *at += read;
            self.fields_used += written;
            self.ends_used += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => return Progress::Complete,
            }
        }
    }

    /// Hands out the record in hand, whose last bytes, `tail`, stand at `start` of the chunk.
    fn hand_out(&mut self, tail: &[u8], start: usize, to: &mut impl Take) {
        let position = self.position + start as u64 - self.raw.len() as u64;
        let raw = if self.raw.is_empty() {
            tail
        } else {
            self.raw.extend_from_slice(tail);
            &self.raw
        };
        self.spans.clear();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let spans = starts.zip(&self.ends[..self.ends_used]).map(|(start, &end)| Span { start, end });
        self.spans.extend(spans);
        to.record(CsvRecord {
            bytes: &self.fields[..self.fields_used],
            fields: &self.spans,
            raw,
            position,
            header: std::mem::take(&mut self.header),
            whole: true,
        });
        self.raw.clear();
        self.fields_used = 0;
        self.ends_used = 0;
    }

    /// Hands out the record in hand, all of it in `raw` and read up to `at` of the chunk, as one that is too long.
    ///
    /// Most often a quote does not close. What follows is read again from the first line behind its last quote:
    /// there no quote can open before `at`, so nothing is read a third time.
    fn refuse(&mut self, at: usize, limit: u64, to: &mut impl Take) -> Option<u64> {
        let raw = std::mem::take(&mut self.raw);
        let chunk_position = self.position;
        let position = chunk_position + at as u64 - raw.len() as u64;
        to.record(CsvRecord {
            bytes: b"",
            fields: &[],
            raw: &raw,
            position,
            header: self.header,
            whole: false,
        });
        self.forget();
        let unquoted = memchr::memrchr(b'"', &raw).map_or(0, |quote| quote + 1);
        let Some(line) = memchr::memchr2(b'\n', b'\r', &raw[unquoted..]) else {
            self.skipping = true;
            return None;
        };
        let next = unquoted + line;
        self.position = position + next as u64;
        let found = self.read(&raw[next..], false, limit, to);
        if found.is_none() {
            self.position = chunk_position;
        }
        found
    }

    /// How many bytes at the start of `chunk` belong to a refused record.
    fn skip_refused(&mut self, chunk: &[u8]) -> usize {
        if !self.skipping {
            return 0;
        }
        let line = memchr::memchr2(b'\n', b'\r', chunk);
        self.skipping = line.is_none();
        line.unwrap_or(chunk.len())
    }
}
