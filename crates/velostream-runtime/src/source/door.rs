//! Where records become numbered batches: the engine's gate, then, of a table, its rows.

use super::table::TableStore;
use crate::api::{DeadLetter, DeadRecord};
use crate::error::Result;
use crate::ingest::BadRecord;
use crate::kernel::is_table;
use crate::partition::event::Envelope;
use crate::partition::offsets::Offsets;
use crate::spares::Spares;
use std::sync::Arc;
use std::time::Instant;
use velostream_engine::batch::{Batch, ChangeBatch, Op, Seq};
use velostream_engine::column::Column;
use velostream_engine::error::{RecordError, Reject};
use velostream_engine::source::{SourceGate, SourceSpec};
use velostream_engine::time::{TimeRuns, Watermark};
use velostream_sql::catalog::Relation;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::statement::CreateSource;

/// One source with its time and, if it is a table, its rows.
pub struct Door {
    /// The relation.
    pub relation: Arc<Relation>,
    /// The rows of a table.
    pub table: Option<TableStore>,
    /// Records that have passed.
    pub offset: u64,
    spec: SourceSpec,
    gate: SourceGate,
    spares: Arc<Spares>,
    /// What a table made of the batch before; reused.
    changes: ChangeBatch,
    /// A buffer for how the next batch moves time.
    moves: Vec<(Seq, Watermark)>,
}

impl Door {
    /// The door of a declared source, before its first record.
    pub fn new(create: &CreateSource) -> Result<Self> {
        let relation = Arc::clone(&create.relation);
        let spec = SourceSpec {
            schema: Arc::clone(&relation.schema),
            checks: create.checks.clone(),
            event_time: relation.event_time,
            bound_micros: create.bound_micros,
        };
        Ok(Self {
            changes: ChangeBatch::of(&relation.schema),
            moves: Vec::new(),
            gate: SourceGate::new(spec.clone())?,
            spec,
            table: is_table(&relation).then(|| TableStore::new(&relation.schema)),
            relation,
            offset: 0,
            spares: Arc::default(),
        })
    }

    /// The watermark after all records so far.
    pub fn watermark(&self) -> Watermark {
        self.gate.watermark()
    }

    /// Bytes of the table's rows.
    pub fn table_bytes(&self) -> usize {
        self.table.as_ref().map_or(0, TableStore::bytes)
    }

    /// From here on `rollback` takes back; gives what it needs for that.
    pub fn savepoint(&mut self) -> (Watermark, u64) {
        self.table.iter_mut().for_each(TableStore::savepoint);
        (self.gate.watermark(), self.offset)
    }

    /// Keeps what was done since the savepoint.
    pub fn commit(&mut self) {
        self.table.iter_mut().for_each(TableStore::commit);
    }

    /// Takes back what was done since the savepoint.
    pub fn rollback(&mut self, (watermark, offset): (Watermark, u64)) {
        self.table.iter_mut().for_each(TableStore::rollback);
        self.gate.set_watermark(watermark);
        self.offset = offset;
    }

    /// As before the first record, for a source without rows of its own.
    pub fn restart(&mut self) {
        self.gate.set_watermark(Watermark::NONE);
        self.offset = 0;
    }

    /// An empty batch of the relation's columns.
    pub fn empty(&self) -> ChangeBatch {
        ChangeBatch::of(&self.relation.schema)
    }

    /// The same, with buffers of earlier batches where there are any.
    pub fn fresh(&mut self) -> ChangeBatch {
        let Some(Batch { changes, time }) = self.spares.take_batch() else { return self.empty() };
        self.moves = time.advances;
        changes
    }

    /// Lets rows in, of which `raw` has the values: they get numbers from `next` on and move time, and a table
    /// takes them as replacements or, with `Op::Delete`, as tombstones. Gives what happened, if anything did, and
    /// letters for what was refused and for what could not be read, in the order of the records, to the name of the
    /// query that alone was to get them, if there is one.
    pub fn admit(
        &mut self,
        mut raw: ChangeBatch,
        bad: impl IntoIterator<Item = BadRecord>,
        op: Op,
        next: &mut Seq,
        to: (Option<&str>, i64),
    ) -> (Option<Envelope>, Vec<DeadLetter>) {
        let now_ms = to.1;
        let time = TimeRuns { advances: std::mem::take(&mut self.moves), ..TimeRuns::default() };
        let mut batch = Batch { changes: self.empty(), time };
        let mut rejects = Vec::new();
        let (first, offset) = (*next, self.offset);
        self.stamp(&mut raw, op, now_ms);
        self.admit_into(&mut raw, next, &mut batch, &mut rejects);
        let letters = self.letters(bad, rejects, &raw, offset, to);
        if next.0 == first.0 {
            return (None, letters);
        }
        let through = Seq(next.0 - 1);
        let home = Some(Arc::clone(&self.spares));
        let offsets = Offsets::Numbered { before: offset, first };
        let envelope = Envelope { offsets, home, ..envelope(batch, now_ms, through) };
        (Some(envelope), letters)
    }

    /// The letters of rows that were refused, of which `raw` has the values, and of what could not be read between
    /// them. Each has the number of the relation's records before it.
    fn letters(
        &self,
        bad: impl IntoIterator<Item = BadRecord>,
        rejects: Vec<Reject>,
        raw: &ChangeBatch,
        offset: u64,
        (query, at_ms): (Option<&str>, i64),
    ) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        let mut rejects = rejects.into_iter().peekable();
        let mut refused = 0;
        let letter = |row: u64, refused: u64, code, message, record| DeadLetter {
            relation: self.relation.name.to_string(),
            query: query.map(str::to_owned),
            partition: 0,
            offset: offset + row - refused,
            code,
            message,
            record,
            at_ms,
        };
        let refuse = |reject: Reject, letters: &mut Vec<DeadLetter>, refused: &mut u64| {
            let record = single(&raw.columns, reject.row as usize);
            let record = DeadRecord::Row(Arc::clone(&self.relation.schema), record);
            let RecordError { code, message, .. } = reject.error;
            letters.push(letter(u64::from(reject.row), *refused, code, message.into_owned(), record));
            *refused += 1;
        };
        for bad in bad {
            while let Some(reject) = rejects.next_if(|reject| (reject.row as usize) < bad.row) {
                refuse(reject, &mut letters, &mut refused);
            }
            let message = format!("{} (record at byte {})", bad.message, bad.position);
            let record = DeadRecord::Bytes(bad.bytes);
            letters.push(letter(bad.row as u64, refused, ErrorCode::Record, message, record));
        }
        rejects.for_each(|reject| refuse(reject, &mut letters, &mut refused));
        letters
    }

    /// Gives all rows of the columns of `raw` one mark and one time.
    pub fn stamp(&self, raw: &mut ChangeBatch, op: Op, now_ms: i64) {
        let count = raw.columns.first().map_or(0, Column::len);
        raw.ops.clear();
        raw.ops.resize(count, op);
        raw.event_times.clear();
        raw.event_times.resize(count, now_ms.saturating_mul(1000));
        // The gate numbers what it admits.
        raw.seqs.clear();
    }

    /// Lets rows in over buffers that the caller reuses: of `raw`, columns, marks and times are given, and it keeps
    /// its rows only if some are refused; `batch` has the relation's columns.
    pub fn admit_into(
        &mut self,
        raw: &mut ChangeBatch,
        next: &mut Seq,
        batch: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) {
        let first = *next;
        self.gate.admit(raw, next, batch, rejects);
        self.offset += next.0 - first.0;
        if let Some(table) = &mut self.table {
            self.changes.clear();
            table.apply(&batch.changes, &mut self.changes);
            std::mem::swap(&mut self.changes, &mut batch.changes);
        }
    }

    /// The first of these new rows that the declaration forbids; they move nothing.
    pub fn first_violation(&self, rows: &ChangeBatch) -> Result<Option<(u32, RecordError)>> {
        let spec = SourceSpec { event_time: None, ..self.spec.clone() };
        let mut rejects = Vec::new();
        let mut batch = Batch { changes: self.empty(), ..Batch::default() };
        SourceGate::new(spec)?.admit(&mut rows.clone(), &mut Seq(0), &mut batch, &mut rejects);
        Ok(rejects.into_iter().next().map(|reject| (reject.row, reject.error)))
    }

    /// No move of time.
    fn standing(&self) -> TimeRuns {
        TimeRuns { before: self.gate.watermark(), advances: Vec::new() }
    }

    /// Changes that are one step at `seq`, as of an UPDATE; rows move no time.
    pub fn step(&mut self, changes: ChangeBatch, seq: Seq, now_ms: i64) -> Envelope {
        let batch = Batch { changes, time: self.standing() };
        self.offset += 1;
        let offsets = Offsets::Numbered { before: self.offset - 1, first: seq };
        Envelope { offsets, ..envelope(batch, now_ms, seq) }
    }

    /// A move of time by hand; `None` when it does not move.
    pub fn advance(&mut self, next: &mut Seq, to: Watermark, now_ms: i64) -> Option<Envelope> {
        let time = self.gate.advance(to, next)?;
        let batch = Batch { changes: self.empty(), time };
        Some(envelope(batch, now_ms, Seq(next.0 - 1)))
    }

    /// The rows of the table as the first step of a query, for which none of them is late.
    pub fn snapshot(&self, seq: Seq, now_ms: i64) -> Option<Envelope> {
        let changes = self.table.as_ref()?.rows(seq);
        let batch = Batch { changes, time: TimeRuns::reaching(self.gate.watermark(), seq) };
        Some(Envelope {
            offsets: Offsets::Numbered { before: 0, first: seq },
            ..envelope(batch, now_ms, seq)
        })
    }
}

/// A batch on its way, for a receiver's first input.
fn envelope(batch: Batch, at_ms: i64, through: Seq) -> Envelope {
    Envelope {
        input: 0,
        batch,
        offsets: Offsets::Rows(0),
        at_ms,
        accepted: Instant::now(),
        through,
        home: None,
        appended: Vec::new(),
        records: Vec::new(),
    }
}

/// A batch of one row.
pub fn single(columns: &[Column], row: usize) -> ChangeBatch {
    let mut batch = ChangeBatch::default();
    for column in columns {
        let mut one = Column::new(column.data_type);
        one.push_from(column, row);
        batch.columns.push(one);
    }
    batch.push_mark(Op::Insert, Seq(0), 0);
    batch
}
