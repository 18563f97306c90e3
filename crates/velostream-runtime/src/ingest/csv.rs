//! CSV records to columns: RFC 4180 quoting, any one-byte delimiter, with or without a header line.
//!
//! An empty field is NULL, quoted or not. Header names are matched to columns without regard to case; header
//! columns that the relation has not are ignored, columns that the header has not are NULL.

use super::convert::{self, SourceFormat};
use super::csv_column;
use super::csv_reader::{CsvReader, CsvRecord, CsvRecords, Take};
use super::{Decoded, RECORD_BYTES_MAX};
use std::collections::HashSet;
use std::ops::Range;
use velostream_engine::column::Column;

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
    rows: Rows,
}

/// Decodes records to rows.
#[derive(Clone)]
struct Rows {
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
        Self { reader: CsvReader::new(options), options, rows: Rows { format, targets, named } }
    }

    /// Decodes what `chunk` completes and appends it to `out`; `end` says that nothing follows.
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Decoded) {
        self.push_until(chunk, end, u64::MAX, out);
    }

    /// Whether the line that names the columns has not come.
    #[must_use]
    pub fn awaits_header(&self) -> bool {
        self.reader.awaits_header()
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
        Self { reader, options: self.options, rows: self.rows.clone() }
    }

    /// Like [`push`](Self::push), but takes only records that begin before byte `limit` of the input; the header is
    /// read wherever it stands.
    ///
    /// Gives the position of the first record that begins at or behind `limit`, or the input's length where there
    /// is none, and forgets the rest of the chunk: [`resume_at`](Self::resume_at) this position goes on, here or in
    /// another decoder, as if there had been no limit. `None` while that needs more bytes. A record begins at its
    /// first byte that is no line end.
    pub fn push_until(&mut self, chunk: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64> {
        let Self { reader, rows, .. } = self;
        reader.push(chunk, end, limit, &mut Taking { rows, out })
    }
}

/// Takes records in: rows, or the header.
struct Taking<'a> {
    rows: &'a mut Rows,
    out: &'a mut Decoded,
}

impl Take for Taking<'_> {
    fn record(&mut self, record: CsvRecord<'_>) {
        if record.header && record.whole {
            self.rows.read_header(&record);
        } else {
            self.rows.decode(&record, self.out);
        }
    }

    fn records(&mut self, records: &CsvRecords<'_>) {
        if !records.all_have(self.rows.targets.len()) {
            (0..records.len()).for_each(|index| self.record(records.get(index)));
            return;
        }
        let (mut from, mut step) = (0, records.len());
        while from < records.len() {
            let to = records.len().min(from + step);
            let good = self.rows.decode_columns(records, from..to, self.out);
            // Few at first behind a bad record, where more are bad: what is taken too far is done again.
            step *= 2;
            if good < to {
                self.rows.decode(&records.get(good), self.out);
                step = 1;
            }
            from = (good + 1).min(to);
        }
    }
}

impl Rows {
    fn read_header(&mut self, record: &CsvRecord<'_>) {
        let columns = (0..record.width()).map(|index| column_of(&self.format, record.field(index)));
        (self.targets, self.named) = targets(columns);
    }

    /// Decodes one record, and says of a bad one what is wrong.
    fn decode(&self, record: &CsvRecord<'_>, out: &mut Decoded) {
        match self.push_fields(record, out) {
            Ok(()) => out.finish_rows(1, self.named),
            Err(message) => {
                out.undo_row();
                out.push_bad(record.raw(), record.position, message);
            }
        }
    }

    fn push_fields(&self, record: &CsvRecord<'_>, out: &mut Decoded) -> Result<(), String> {
        if !record.whole {
            return Err(format!("it is longer than {RECORD_BYTES_MAX} bytes; perhaps a quote is not closed"));
        }
        if record.width() != self.targets.len() {
            return Err(format!("{} fields where {} are expected", record.width(), self.targets.len()));
        }
        let timestamp_format = self.format.timestamp_format.as_ref();
        for (span, target) in record.fields.iter().zip(&self.targets) {
            let Some(target) = target else { continue };
            let column = target.place(out);
            if span.is_empty() {
                column.push_null();
            } else {
                let pushed = convert::push_text(column, span.of(record.bytes), timestamp_format);
                pushed.map_err(|message| format!("{}: {message}", self.format.fields[target.column].name))?;
            }
        }
        Ok(())
    }

    /// Decodes records, all of the expected width, column by column, up to the first bad one, whose number it gives,
    /// or to the end.
    fn decode_columns(&self, records: &CsvRecords<'_>, rows: Range<usize>, out: &mut Decoded) -> usize {
        let width = self.targets.len();
        let Range { start: from, end: mut to } = rows;
        // What does not fit shortens what is taken, and the columns so far are done again.
        while from < to {
            let bad = self.targets.iter().enumerate().find_map(|(index, target)| {
                let column = target.as_ref()?.place(out);
                let fields = records.fields[from * width..to * width].iter().skip(index).step_by(width);
                csv_column::push_fields(column, fields, records, self.format.timestamp_format.as_ref()).err()
            });
            let Some(bad) = bad else {
                out.finish_rows(to - from, self.named);
                break;
            };
            out.undo_row();
            to = from + bad;
        }
        to
    }
}

impl Target {
    /// The column, without what an earlier field put there.
    fn place<'a>(&self, out: &'a mut Decoded) -> &'a mut Column {
        let column = &mut out.columns[self.column];
        if self.repeats {
            column.truncate(out.rows);
        }
        column
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
