//! CSV records to columns: RFC 4180 quoting, any one-byte delimiter, with or without a header line.
//!
//! An empty field is NULL, quoted or not. Header names are matched to columns without regard to case; header
//! columns that the relation has not are ignored, columns that the header has not are NULL.

use super::convert::{self, SourceFormat};
use super::{Decoded, RECORD_BYTES_MAX};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// How a CSV text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between fields.
    pub delimiter: u8,
    /// Whether the first line names the columns.
    pub header: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: b',', header: true }
    }
}

/// Splits CSV bytes into records; chunks may end anywhere.
pub struct CsvReader {
    reader: Reader,
    /// Unquoted field texts of the record in hand, one behind the other, and where each ends.
    fields: Vec<u8>,
    fields_used: usize,
    ends: Vec<usize>,
    ends_used: usize,
    /// The record's bytes in earlier chunks.
    raw: Vec<u8>,
    /// Bytes of the input before the chunk in hand.
    position: u64,
    started: bool,
}

/// One record: its fields, its bytes and where it begins.
pub struct CsvRecord<'a> {
    fields: &'a [u8],
    ends: &'a [usize],
    /// As written, without the line end.
    pub raw: &'a [u8],
    /// Byte position of its first byte.
    pub position: u64,
}

impl<'a> CsvRecord<'a> {
    /// How many fields.
    pub fn width(&self) -> usize {
        self.ends.len()
    }

    /// Field `index`.
    pub fn field(&self, index: usize) -> &'a [u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.fields[start..self.ends[index]]
    }
}

impl CsvReader {
    /// A reader at the start of an input.
    #[must_use]
    pub fn new(delimiter: u8) -> Self {
        Self {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            fields: vec![0; 1024],
            fields_used: 0,
            ends: vec![0; 64],
            ends_used: 0,
            raw: Vec::new(),
            position: 0,
            started: false,
        }
    }

    /// Calls `each` for every record that `chunk` completes; `end` says that nothing follows.
    pub fn push(&mut self, chunk: &[u8], end: bool, each: &mut dyn FnMut(CsvRecord<'_>)) {
        let mut at = self.skip_byte_order_mark(chunk);
        let mut start = at;
        loop {
            // To csv-core empty input means the end, so an exhausted chunk is not shown to it before that.
            if at == chunk.len() && !end {
                break;
            }
            let (result, read, written, ended) = self.reader.read_record(
                &chunk[at..],
                &mut self.fields[self.fields_used..],
                &mut self.ends[self.ends_used..],
            );
            at += read;
            self.fields_used += written;
            self.ends_used += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    self.hand_out(&chunk[start..at], start, each);
                    start = at;
                }
                ReadRecordResult::End => break,
            }
        }
        self.keep_rest(&chunk[start..at], end);
        self.position += chunk.len() as u64;
    }

    fn skip_byte_order_mark(&mut self, chunk: &[u8]) -> usize {
        let first = !std::mem::replace(&mut self.started, true);
        if first && chunk.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
    }

    fn hand_out(&mut self, tail: &[u8], start: usize, each: &mut dyn FnMut(CsvRecord<'_>)) {
        let position = self.position + start as u64 - self.raw.len() as u64;
        let raw = if self.raw.is_empty() {
            tail
        } else {
            self.raw.extend_from_slice(tail);
            &self.raw
        };
        let lead = raw.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let raw = raw[lead..].trim_ascii_end();
        let ends = &self.ends[..self.ends_used];
        each(CsvRecord {
            fields: &self.fields[..self.fields_used],
            ends,
            raw,
            position: position + lead as u64,
        });
        self.raw.clear();
        self.fields_used = 0;
        self.ends_used = 0;
    }

    fn keep_rest(&mut self, rest: &[u8], end: bool) {
        if end {
            self.raw.clear();
        } else if self.raw.len() + rest.len() <= RECORD_BYTES_MAX {
            self.raw.extend_from_slice(rest);
        }
    }
}

/// Decodes the CSV records of one relation from chunks that may end anywhere.
pub struct CsvDecoder {
    reader: CsvReader,
    format: SourceFormat,
    header: bool,
    /// Per field of a record, the column it goes to; by position until a header was read.
    targets: Vec<Option<usize>>,
}

impl CsvDecoder {
    /// A decoder at the start of an input.
    #[must_use]
    pub fn new(format: SourceFormat, options: CsvOptions) -> Self {
        let targets = (0..format.fields.len()).map(Some).collect();
        Self { reader: CsvReader::new(options.delimiter), format, header: options.header, targets }
    }

    /// Decodes what `chunk` completes and appends it to `out`; `end` says that nothing follows.
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Decoded) {
        let Self { reader, format, header, targets } = self;
        reader.push(chunk, end, &mut |record| {
            if std::mem::take(header) {
                *targets = (0..record.width()).map(|index| column_of(format, record.field(index))).collect();
                return;
            }
            match decode(&record, format, targets, out) {
                Ok(()) => out.finish_row(0),
                Err(message) => {
                    out.undo_row();
                    out.push_bad(record.raw, record.position, message);
                }
            }
        });
    }
}

fn column_of(format: &SourceFormat, name: &[u8]) -> Option<usize> {
    let name = name.trim_ascii();
    let exact = format.fields.iter().position(|field| field.name.as_bytes() == name);
    exact.or_else(|| format.fields.iter().position(|field| field.name.as_bytes().eq_ignore_ascii_case(name)))
}

fn decode(
    record: &CsvRecord<'_>,
    format: &SourceFormat,
    targets: &[Option<usize>],
    out: &mut Decoded,
) -> Result<(), String> {
    if record.width() != targets.len() {
        return Err(format!("{} fields where {} are expected", record.width(), targets.len()));
    }
    for (index, target) in targets.iter().enumerate() {
        let Some(target) = *target else { continue };
        let column = &mut out.columns[target];
        column.truncate(out.rows);
        let field = record.field(index);
        if field.is_empty() {
            column.push_null();
        } else {
            convert::push_text(column, field, format.timestamp_format.as_ref())
                .map_err(|message| format!("{}: {message}", format.fields[target].name))?;
        }
    }
    Ok(())
}
