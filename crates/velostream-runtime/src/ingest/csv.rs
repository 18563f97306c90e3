//! CSV records to columns: RFC 4180 quoting, any one-byte delimiter, with or without a header line.
//!
//! An empty field is NULL, quoted or not. Header names are matched to columns without regard to case; header
//! columns that the relation has not are ignored, columns that the header has not are NULL.

use super::convert::{self, SourceFormat};
use super::csv_reader::{CsvReader, CsvRecord};
use super::{Decoded, RECORD_BYTES_MAX};

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
    targets: Vec<Option<usize>>,
}

impl CsvDecoder {
    /// A decoder at the start of an input.
    #[must_use]
    pub fn new(format: SourceFormat, options: CsvOptions) -> Self {
        let targets = (0..format.fields.len()).map(Some).collect();
        Self { reader: CsvReader::new(options), options, format, targets }
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
        Self { reader, options: self.options, format: self.format.clone(), targets: self.targets.clone() }
    }

    /// Like [`push`](Self::push), but takes only records that begin before byte `limit` of the input; the header is
    /// read wherever it stands.
    ///
    /// Gives the position of the first record that begins at or behind `limit`, or the input's length where there
    /// is none, and forgets the rest of the chunk: [`resume_at`](Self::resume_at) this position goes on, here or in
    /// another decoder, as if there had been no limit. `None` while that needs more bytes. A record begins at its
    /// first byte that is no line end.
    pub fn push_until(&mut self, chunk: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64> {
        let Self { reader, format, targets, .. } = self;
        reader.push(chunk, end, limit, &mut |record| {
            if record.header && record.whole {
                *targets = (0..record.width()).map(|index| column_of(format, record.field(index))).collect();
                return;
            }
            match decode(&record, format, targets, out) {
                Ok(()) => out.finish_row(0),
                Err(message) => {
                    out.undo_row();
                    out.push_bad(record.raw(), record.position, message);
                }
            }
        })
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
    if !record.whole {
        return Err(format!("it is longer than {RECORD_BYTES_MAX} bytes; perhaps a quote is not closed"));
    }
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
