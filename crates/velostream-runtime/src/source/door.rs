//! Where records become numbered batches: the engine's gate, then, of a table, its rows.

use super::table::TableStore;
use crate::api::{DeadLetter, DeadRecord};
use crate::error::Result;
use crate::ingest::BadRecord;
use crate::kernel::is_table;
use crate::partition::mailbox::Envelope;
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

    /// An empty batch of the relation's columns.
    pub fn empty(&self) -> ChangeBatch {
        ChangeBatch::of(&self.relation.schema)
    }

    /// The same, with buffers of earlier batches where there are any.
    pub fn fresh(&self) -> ChangeBatch {
        self.spares.take().unwrap_or_else(|| self.empty())
    }

    /// Lets rows in, of which `raw` has the values: they get numbers from `next` on and move time, and a table
    /// takes them as replacements or, with `Op::Delete`, as tombstones. Gives what happened, if anything did, and
    /// the rows that were refused.
    pub fn admit(
        &mut self,
        mut raw: ChangeBatch,
        op: Op,
        next: &mut Seq,
        now_ms: i64,
    ) -> (Option<Envelope>, Vec<Refused>) {
        let mut batch = Batch { changes: self.empty(), ..Batch::default() };
        let mut rejects = Vec::new();
        let (first, offset) = (*next, self.offset);
        self.stamp(&mut raw, op, now_ms);
        self.admit_into(&mut raw, next, &mut batch, &mut rejects);
        // Those that were refused before it got no number.
        let refused = rejects.into_iter().enumerate().map(|(before, reject)| Refused {
            row: reject.row as usize,
            offset: offset + u64::from(reject.row) - before as u64,
            record: single(&raw.columns, reject.row as usize),
            error: reject.error,
        });
        let refused = refused.collect();
        if next.0 == first.0 {
            return (None, refused);
        }
        let through = Seq(next.0 - 1);
        let home = Some(Arc::clone(&self.spares));
        let envelope = Envelope { first_seq: Some(first), home, ..envelope(batch, offset, now_ms, through) };
        (Some(envelope), refused)
    }

    /// Gives all rows of the columns of `raw` one mark and one time.
    pub fn stamp(&self, raw: &mut ChangeBatch, op: Op, now_ms: i64) {
        let count = raw.columns.first().map_or(0, Column::len);
        raw.ops.clear();
        raw.ops.resize(count, op);
        raw.event_times.clear();
        raw.event_times.resize(count, now_ms.saturating_mul(1000));
        raw.seqs.clear();
        raw.seqs.resize(count, Seq(0));
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
        Envelope { first_seq: Some(seq), ..envelope(batch, self.offset - 1, now_ms, seq) }
    }

    /// A move of time by hand; `None` when it does not move.
    pub fn advance(&mut self, next: &mut Seq, to: Watermark, now_ms: i64) -> Option<Envelope> {
        let time = self.gate.advance(to, next)?;
        let batch = Batch { changes: self.empty(), time };
        Some(envelope(batch, self.offset, now_ms, Seq(next.0 - 1)))
    }

    /// The rows of the table as the first step of a query, for which none of them is late.
    pub fn snapshot(&self, seq: Seq, now_ms: i64) -> Option<Envelope> {
        let changes = self.table.as_ref()?.rows(seq);
        let batch = Batch { changes, time: TimeRuns::reaching(self.gate.watermark(), seq) };
        Some(Envelope { first_seq: Some(seq), ..envelope(batch, 0, now_ms, seq) })
    }

    /// The letters of one call's records, refused or unreadable, in the records' order; `offset` records had passed
    /// before.
    pub fn letters(
        &self,
        offset: u64,
        refused: Vec<Refused>,
        bad: &[BadRecord],
        at_ms: i64,
    ) -> Vec<DeadLetter> {
        let count = refused.len();
        let mut letters = Vec::with_capacity(count + bad.len());
        let mut bad = bad.iter().peekable();
        for (before, one) in refused.into_iter().enumerate() {
            while let Some(bad) = bad.next_if(|bad| bad.row <= one.row) {
                letters.push(self.unreadable(bad, offset + (bad.row - before) as u64, None, at_ms));
            }
            letters.push(self.letter(one, None, at_ms));
        }
        letters.extend(bad.map(|bad| self.unreadable(bad, offset + (bad.row - count) as u64, None, at_ms)));
        letters
    }

    /// The letter of a refused row.
    pub fn letter(&self, refused: Refused, query: Option<&str>, at_ms: i64) -> DeadLetter {
        DeadLetter {
            relation: self.relation.name.to_string(),
            query: query.map(str::to_owned),
            partition: 0,
            offset: refused.offset,
            code: refused.error.code,
            message: refused.error.message.into_owned(),
            record: DeadRecord::Row(Arc::clone(&self.relation.schema), refused.record),
            at_ms,
        }
    }

    /// The letter of bytes that could not be read.
    pub fn bad_letter(&self, bad: &BadRecord, query: Option<&str>, at_ms: i64) -> DeadLetter {
        self.unreadable(bad, self.offset + bad.row as u64, query, at_ms)
    }

    fn unreadable(&self, bad: &BadRecord, offset: u64, query: Option<&str>, at_ms: i64) -> DeadLetter {
        DeadLetter {
            relation: self.relation.name.to_string(),
            query: query.map(str::to_owned),
            partition: 0,
            offset,
            code: ErrorCode::Record,
            message: format!("{} (record at byte {})", bad.message, bad.position),
            record: DeadRecord::Bytes(bad.bytes.clone()),
            at_ms,
        }
    }
}

/// A batch on its way, for a receiver's first input.
fn envelope(batch: Batch, offset: u64, at_ms: i64, through: Seq) -> Envelope {
    Envelope {
        input: 0,
        batch,
        offset,
        first_seq: None,
        at_ms,
        accepted: Instant::now(),
        through,
        home: None,
    }
}

/// A row that did not pass the gate.
pub struct Refused {
    /// Its place among the rows of the call.
    pub row: usize,
    /// The number within the relation that it would have got.
    pub offset: u64,
    /// Its content: one row.
    pub record: ChangeBatch,
    /// Why.
    pub error: RecordError,
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
