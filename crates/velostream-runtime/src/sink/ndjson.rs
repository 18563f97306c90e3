//! Changes as NDJSON: one object per line, for sinks that need bytes and no objects.
//!
//! An append-only result gives its rows, `{"name":value,...}`. Where a result is updated each line says what
//! happened, as the change objects of the facade would: `{"op":"update","row":{...}}`, with `"before":{...}` behind
//! the row where asked for. Values are written by [`super::json`].
//!
//! [`Lines`] is a query's changes on their way out, some lines at a time.

pub use super::json::Forms;
use super::json::{ValueWriter, push_string};
use crate::api::Pull;
use crate::error::Result;
use velostream_engine::batch::{ChangeBatch, Op};
use velostream_sql::types::Schema;

/// Changes pulled at a time.
const PULL_ROWS: usize = 4096;
/// Bytes after which [`Lines`] gives what it has: what they exceed it by is part of one line.
const LINES_BYTES: usize = 256 << 10;

/// How changes are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NdjsonOptions {
    /// Of the values.
    pub forms: Forms,
    /// Whether updates have the row that they replace.
    pub before: bool,
}

/// Writes changes of one schema as lines.
#[derive(Debug)]
struct LineWriter {
    /// Per column what stands before its value: a brace or a comma, and its name.
    prefixes: Vec<Box<[u8]>>,
    values: ValueWriter,
    updating: bool,
    before: bool,
}

impl LineWriter {
    fn new(schema: &Schema, options: NdjsonOptions) -> Self {
        let prefix = |(position, name): (usize, &str)| {
            let mut prefix = vec![if position == 0 { b'{' } else { b',' }];
            push_string(name.as_bytes(), &mut prefix);
            prefix.push(b':');
            prefix.into_boxed_slice()
        };
        Self {
            prefixes: schema.fields.iter().map(|field| &*field.name).enumerate().map(prefix).collect(),
            values: ValueWriter::new(options.forms),
            updating: schema.updating,
            before: options.before,
        }
    }

    /// Appends the lines of the rows from `from` on, until `out` has `bytes_enough` bytes; the first row left.
    fn write(&mut self, changes: &ChangeBatch, from: usize, bytes_enough: usize, out: &mut Vec<u8>) -> usize {
        let mut row = from;
        while row < changes.len() && out.len() < bytes_enough {
            if self.updating {
                self.push_change(changes, row, out);
            } else {
                self.push_row(changes, row, out);
                out.push(b'\n');
            }
            row += 1;
        }
        row
    }

    fn push_change(&mut self, changes: &ChangeBatch, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(match changes.ops[row] {
            Op::Insert => br#"{"op":"insert","row":"#,
            Op::Delete => br#"{"op":"delete","row":"#,
            Op::UpdateAfter => br#"{"op":"update","row":"#,
            // Its successor says it, if at all.
            Op::UpdateBefore => return,
        });
        self.push_row(changes, row, out);
        let is_pair =
            changes.ops[row] == Op::UpdateAfter && row > 0 && changes.ops[row - 1] == Op::UpdateBefore;
        if self.before && is_pair {
            out.extend_from_slice(br#","before":"#);
            self.push_row(changes, row - 1, out);
        }
        out.extend_from_slice(b"}\n");
    }

    #[inline]
    fn push_row(&mut self, changes: &ChangeBatch, row: usize, out: &mut Vec<u8>) {
        for (column, prefix) in changes.columns.iter().zip(&self.prefixes) {
            out.extend_from_slice(prefix);
            self.values.push(column, row, out);
        }
        out.push(b'}');
    }
}

/// A query's changes as lines. Its buffers are reused: in steady state it allocates nothing.
///
/// What was pulled and not yet written is the reader's: the query's output queue counts it no more.
#[derive(Debug)]
pub struct Lines {
    writer: LineWriter,
    changes: ChangeBatch,
    /// Rows of `changes` that are written.
    written: usize,
    bytes: Vec<u8>,
}

impl Lines {
    /// No lines yet of changes of this schema.
    #[must_use]
    pub fn new(schema: &Schema, options: NdjsonOptions) -> Self {
        let changes = ChangeBatch::of(schema);
        Self { writer: LineWriter::new(schema, options), changes, written: 0, bytes: Vec::new() }
    }

    /// Writes whole lines, up to about 256 KiB of them; `pull` is asked for changes, at most so many, once those that
    /// it gave before are written. Gives [`Pull::Rows`] where [`Self::bytes`] has lines.
    pub fn fill(&mut self, mut pull: impl FnMut(usize, &mut ChangeBatch) -> Result<Pull>) -> Result<Pull> {
        self.bytes.clear();
        while self.bytes.is_empty() {
            if self.written == self.changes.len() {
                self.changes.clear();
                self.written = 0;
                let pulled = pull(PULL_ROWS, &mut self.changes)?;
                if pulled != Pull::Rows {
                    return Ok(pulled);
                }
            }
            self.written = self.writer.write(&self.changes, self.written, LINES_BYTES, &mut self.bytes);
        }
        Ok(Pull::Rows)
    }

    /// The lines that [`Self::fill`] wrote last.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
