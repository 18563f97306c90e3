//! CSV records to columns: RFC 4180 quoting, any one-byte delimiter, with or without a header line.
//!
//! An empty field is NULL, quoted or not. Header names are matched to columns without regard to case; header
//! columns that the relation has not are ignored, columns that the header has not are NULL.

use super::convert::{self, SourceFormat};
use super::csv_plain::Span;
use super::csv_reader::{CsvReader, CsvRecord};
use super::{Decoded, RECORD_BYTES_MAX};
use std::collections::HashSet;

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

/// Decodes the CSV records of one relation from chunks that may end anywhere.
pub struct CsvDecoder {
    reader: CsvReader,
    options: CsvOptions,
    format: SourceFormat,
    /// Per field of a record, the column it goes to; by position until a header was read.
    targets: Vec<Option<Target>>,
    /// How many columns there are targets for.
    named: u32,
}

/// The column that a field goes to.
#[derive(Debug, Clone, Copy)]
struct Target {
    column: usize,
    /// Whether an earlier field goes there as well; the last one counts.
    repeats: bool,
}

impl CsvDecoder {
    /// A decoder at the start of an input.
    #[must_use]
    pub fn new(format: SourceFormat, options: CsvOptions) -> Self {
        let columns = format.fields.len();
        let (targets, named) = targets((0..columns).map(Some));
        Self { reader: CsvReader::new(options), options, format, targets, named }
    }

    /// Decodes what `chunk` completes and appends it to `out`; `end` says that nothing follows.
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Decoded) {
        self.push_until(chunk, end, u64::MAX, out);
    }

    /// Starts afresh at a record's first byte, which is at byte `position` of the input.
    ///
    /// What earlier chunks left unfinished is forgotten; neither a byte order mark nor a header is expected. The
    /// columns that a header named before stay.
    pub fn resume_at(&mut self, position: u64) {
        self.reader.resume_at(position);
    }

    /// Another decoder of the same input, with the same columns, that starts at a record's first byte there.
    #[must_use]
    pub fn another_at(&self, position: u64) -> Self {
        let mut reader = CsvReader::new(self.options);
        reader.resume_at(position);
        let Self { options, named, .. } = *self;
        Self { reader, options, format: self.format.clone(), targets: self.targets.clone(), named }
    }

    /// Like [`push`](Self::push), but takes only records that begin before byte `limit` of the input; the header is
    /// read wherever it stands.
    ///
    /// Gives the position of the first record that begins at or behind `limit`, or the input's length where there
    /// is none, and forgets the rest of the chunk: [`resume_at`](Self::resume_at) this position goes on, here or in
    /// another decoder, as if there had been no limit. `None` while that needs more bytes. A record begins at its
    /// first byte that is no line end.
    pub fn push_until(&mut self, chunk: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64> {
        let Self { reader, format, targets, named, .. } = self;
        reader.push(chunk, end, limit, &mut |record| {
            if record.header && record.whole {
                let columns = (0..record.width()).map(|index| column_of(format, record.field(index)));
                (*targets, *named) = self::targets(columns);
                return;
            }
            match decode(&record, format, targets, out) {
                Ok(()) => out.finish_row(*named),
                Err(message) => {
                    out.undo_row();
                    out.push_bad(record.raw(), record.position, message);
                }
            }
        })
    }
}

/// The targets of fields that go to these columns, and how many columns these are.
fn targets(columns: impl Iterator<Item = Option<usize>>) -> (Vec<Option<Target>>, u32) {
    let mut seen = HashSet::new();
    let targets = columns.map(|column| {
        let column = column?;
        Some(Target { column, repeats: !seen.insert(column) })
    });
    let targets = targets.collect();
    (targets, seen.len() as u32)
}

fn column_of(format: &SourceFormat, name: &[u8]) -> Option<usize> {
    let name = name.trim_ascii();
    let exact = format.fields.iter().position(|field| field.name.as_bytes() == name);
    exact.or_else(|| format.fields.iter().position(|field| field.name.as_bytes().eq_ignore_ascii_case(name)))
}

fn decode(
    record: &CsvRecord<'_>,
    format: &SourceFormat,
    targets: &[Option<Target>],
    out: &mut Decoded,
) -> Result<(), String> {
    if record.width() != targets.len() {
        return Err(misfit(record, targets.len()));
    }
    for (&Span { start, end }, target) in record.fields.iter().zip(targets) {
        let Some(Target { column: index, repeats }) = *target else { continue };
        let column = &mut out.columns[index];
        if repeats {
            column.truncate(out.rows);
        }
        if start == end {
            column.push_null();
        } else if !convert::push_usual(column, record.bytes, start..end, record.valid_to) {
            let text = &record.bytes[start..end];
            convert::push_text(column, text, format.timestamp_format.as_ref())
                .map_err(|message| format!("{}: {message}", format.fields[index].name))?;
        }
    }
    Ok(())
}

#[cold]
fn misfit(record: &CsvRecord<'_>, expected: usize) -> String {
    if record.whole {
        format!("{} fields where {expected} are expected", record.width())
    } else {
        format!("it is longer than {RECORD_BYTES_MAX} bytes; perhaps a quote is not closed")
    }
}
