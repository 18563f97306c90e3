//! What a receiver reports of records and rows that fail or are late.
//!
//! Letters come in the order of the records that caused them, whatever the batches. Where several receivers share a
//! plan, they go the way of the changes, to be merged by number. A receiver of a second stage tells of the records from
//! which its rows were made.

use super::PartitionReceiver;
use crate::api::{DeadLetter, DeadRecord, LateRecord, OnError};
use crate::dead_letter::LeftOut;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::partition::event::Envelope;
use crate::source::door::single;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use velostream_engine::batch::Seq;
use velostream_engine::error::{RecordError, Reject, Rejects};
use velostream_sql::catalog::Relation;

/// What ends a query with `stop`: nothing of its number, or behind it, is given out.
pub(super) struct Stop {
    pub seq: Seq,
    pub error: Error,
}

/// A batch with what was rejected of it.
struct Rejected<'a> {
    envelope: &'a Envelope,
    input: Arc<Relation>,
    rejects: &'a Rejects,
}

impl PartitionReceiver {
    /// Reports what failed or was late in batches; with `stop` only what comes before the first failure, which ends
    /// the query, whether of a record or of a row that time made final.
    pub(super) fn report(&mut self, parts: &[Envelope]) -> Option<Stop> {
        let rows = self.row_errors();
        let is_clean = |rejects: &Rejects| rejects.failed.is_empty() && rejects.late.is_empty();
        if self.rejects.iter().all(is_clean) && rows.is_empty() {
            return None;
        }
        let rejects = std::mem::take(&mut self.rejects);
        let each: Vec<Rejected<'_>> = parts
            .iter()
            .zip(&rejects)
            .map(|(envelope, rejects)| Rejected { envelope, input: self.input(envelope.input), rejects })
            .collect();
        let stop = self.first_failure(&each, &rows);
        let before = stop.as_ref().map(|stop| stop.seq);
        let late = each.iter().flat_map(|of| self.late(of, before)).collect();
        let mut letters = Vec::new();
        if stop.is_none() {
            letters.extend(each.iter().flat_map(|of| self.letters_of_records(of)));
            letters.extend(self.letters_of_rows(rows));
        }
        self.rejects = rejects;
        self.leave_out(LeftOut { letters, late });
        stop
    }

    /// The same where no record is at hand, as at the end of an input: with `stop`, the first row that failed.
    pub(super) fn report_rows_of_time(&mut self) -> Result<()> {
        let rows = self.row_errors();
        if let (OnError::Stop, Some((_, error))) = (self.setup.on_error, rows.first()) {
            return Err(error.clone().into());
        }
        let letters = self.letters_of_rows(rows);
        self.leave_out(LeftOut { letters, late: Vec::new() });
        Ok(())
    }

    /// Of one number by what is said of them: the order of the groups is not known here.
    fn row_errors(&mut self) -> Vec<(Seq, RecordError)> {
        let mut rows = self.setup.plan.as_mut().map_or_else(Vec::new, |plan| plan.take_row_errors());
        rows.sort_by(|(seq, one), (other_seq, other)| (seq, &one.message).cmp(&(other_seq, &other.message)));
        rows
    }

    /// The relation whose records come by an input.
    fn input(&self, input: usize) -> Arc<Relation> {
        if let Some(first) = &self.setup.first_stage {
            return Arc::clone(&first.stream);
        }
        let Some(plan) = &self.setup.plan else { unreachable!("only a plan rejects") };
        Arc::clone(&plan.inputs()[input])
    }

    fn first_failure(&self, each: &[Rejected<'_>], rows: &[(Seq, RecordError)]) -> Option<Stop> {
        if self.setup.on_error != OnError::Stop {
            return None;
        }
        let of_records = each.iter().filter_map(|Rejected { envelope, input, rejects }| {
            let reject = rejects.failed.first()?;
            let error = Error { relation: Some(input.name.to_string()), ..reject.error.clone().into() };
            Some(Stop { seq: envelope.batch.changes.seqs[reject.row as usize], error })
        });
        let of_row = rows.first().map(|(seq, error)| Stop { seq: *seq, error: error.clone().into() });
        of_records.chain(of_row).min_by_key(|stop| stop.seq)
    }

    /// Late records, up to a number where the query ends there.
    fn late(&self, of: &Rejected<'_>, before: Option<Seq>) -> Vec<(Seq, LateRecord)> {
        let Rejected { envelope, input, rejects } = of;
        let seqs = &envelope.batch.changes.seqs;
        let numbered = rejects.late.iter().map(|&(row, micros)| (seqs[row as usize], row, micros));
        let counted = numbered.filter(|&(seq, ..)| before.is_none_or(|before| seq < before));
        let record = |(seq, row, micros): (Seq, u32, i64)| {
            let (envelope, row) = envelope.record(row as usize);
            let late = LateRecord {
                relation: input.name.to_string(),
                query: self.setup.query.clone(),
                schema: Arc::clone(&input.schema),
                row: single(own_columns(envelope, input), row),
                late_by_ms: micros as f64 / 1e3,
            };
            (seq, late)
        };
        counted.map(record).collect()
    }

    fn letters_of_records(&self, of: &Rejected<'_>) -> Vec<(Seq, DeadLetter)> {
        let Rejected { envelope, input, rejects } = of;
        let letter = |reject: &Reject| {
            let seq = envelope.batch.changes.seqs[reject.row as usize];
            let (envelope, row) = envelope.record(reject.row as usize);
            let record = single(own_columns(envelope, input), row);
            let letter = DeadLetter {
                relation: input.name.to_string(),
                query: Some(self.setup.query.clone()),
                partition: self.setup.partition,
                offset: envelope.offset_of(row),
                code: reject.error.code,
                message: reject.error.message.to_string(),
                record: DeadRecord::Row(Arc::clone(&input.schema), record),
                at_ms: envelope.at_ms_of(row),
            };
            (seq, letter)
        };
        rejects.failed.iter().map(letter).collect()
    }

    /// Letters for rows of the answer that failed when time made them final; they belong to no record.
    fn letters_of_rows(&self, errors: Vec<(Seq, RecordError)>) -> Vec<(Seq, DeadLetter)> {
        let relation = match (&self.setup.first_stage, &self.setup.plan) {
            (Some(first), _) => first.inputs.clone(),
            (None, plan) => plan.as_ref().map(Kernel::input_names).unwrap_or_default(),
        };
        let letter = |(seq, error): (Seq, RecordError)| {
            let letter = DeadLetter {
                relation: relation.clone(),
                query: Some(self.setup.query.clone()),
                partition: self.setup.partition,
                offset: 0,
                code: error.code,
                message: format!("a row of the answer: {error}"),
                record: DeadRecord::Bytes(Vec::new()),
                at_ms: 0,
            };
            (seq, letter)
        };
        errors.into_iter().map(letter).collect()
    }

    /// Counts what was left out and lets it be told.
    fn leave_out(&mut self, mut left_out: LeftOut) {
        if left_out.is_empty() {
            return;
        }
        let metrics = &self.setup.metrics;
        metrics.dead_letters.fetch_add(left_out.letters.len() as u64, Ordering::Relaxed);
        metrics.late.fetch_add(left_out.late.len() as u64, Ordering::Relaxed);
        left_out.sort();
        self.tell(left_out);
    }
}

/// A record's columns: a number that the plan has added is none of them.
fn own_columns<'e>(envelope: &'e Envelope, input: &Relation) -> &'e [velostream_engine::column::Column] {
    &envelope.batch.changes.columns[..input.schema.fields.len()]
}
