//! What a receiver reports of records and rows that fail or are late.

use super::PartitionReceiver;
use crate::api::{DeadLetter, DeadRecord, LateRecord, OnError};
use crate::error::{Error, Result};
use crate::partition::mailbox::Envelope;
use crate::source::door::single;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use velostream_engine::batch::Seq;
use velostream_engine::error::RecordError;
use velostream_sql::catalog::Relation;

/// What ends a query with `stop`: nothing of its number, or behind it, is given out.
pub(super) struct Stop {
    pub seq: Seq,
    pub error: Error,
}

impl PartitionReceiver {
    /// Reports what failed or was late in a batch; with `stop` only what comes before the first failure, which ends
    /// the query, whether of a record or of a row that time made final.
    pub(super) fn report(&mut self, envelope: &Envelope) -> Option<Stop> {
        let rows = self.row_errors();
        if self.rejects.failed.is_empty() && self.rejects.late.is_empty() && rows.is_empty() {
            return None;
        }
        let input = self.input(envelope.input);
        let stop = self.first_failure(envelope, &input, &rows);
        self.report_late(envelope, &input, stop.as_ref().map(|stop| stop.seq));
        if stop.is_none() {
            self.report_records(envelope, &input);
            self.report_rows(rows);
        }
        stop
    }

    /// The same where no record is at hand, as at the end of an input: with `stop`, the first row that failed.
    pub(super) fn report_rows_of_time(&mut self) -> Result<()> {
        let rows = self.row_errors();
        if let (OnError::Stop, Some((_, error))) = (self.setup.on_error, rows.first()) {
            return Err(error.clone().into());
        }
        self.report_rows(rows);
        Ok(())
    }

    fn row_errors(&mut self) -> Vec<(Seq, RecordError)> {
        self.setup.plan.as_mut().map_or_else(Vec::new, |plan| plan.take_row_errors())
    }

    fn input(&self, input: usize) -> Arc<Relation> {
        let Some(plan) = &self.setup.plan else { unreachable!("only a plan rejects") };
        Arc::clone(&plan.inputs()[input])
    }

    fn first_failure(
        &self,
        envelope: &Envelope,
        input: &Relation,
        rows: &[(Seq, RecordError)],
    ) -> Option<Stop> {
        if self.setup.on_error != OnError::Stop {
            return None;
        }
        let of_record = self.rejects.failed.first().map(|reject| {
            let error = Error { relation: Some(input.name.to_string()), ..reject.error.clone().into() };
            Stop { seq: envelope.batch.changes.seqs[reject.row as usize], error }
        });
        let of_row = rows.first().map(|(seq, error)| Stop { seq: *seq, error: error.clone().into() });
        of_record.into_iter().chain(of_row).min_by_key(|stop| stop.seq)
    }

    /// Counts late records, up to a number where the query ends there.
    fn report_late(&mut self, envelope: &Envelope, input: &Relation, before: Option<Seq>) {
        let changes = &envelope.batch.changes;
        let counts =
            |&&(row, _): &&(u32, i64)| before.is_none_or(|before| changes.seqs[row as usize] < before);
        let late = || self.rejects.late.iter().filter(counts);
        self.setup.metrics.late.fetch_add(late().count() as u64, Ordering::Relaxed);
        self.setup.shared.dead_letters.add_late(late().map(|&(row, micros)| LateRecord {
            relation: input.name.to_string(),
            query: self.setup.query.clone(),
            schema: Arc::clone(&input.schema),
            row: single(own_columns(envelope, input), row as usize),
            late_by_ms: micros as f64 / 1e3,
        }));
    }

    fn report_records(&mut self, envelope: &Envelope, input: &Relation) {
        self.send(self.rejects.failed.iter().map(|reject| {
            let record = single(own_columns(envelope, input), reject.row as usize);
            DeadLetter {
                relation: input.name.to_string(),
                query: Some(self.setup.query.clone()),
                partition: self.setup.partition,
                offset: envelope.offset_of(reject.row as usize),
                code: reject.error.code,
                message: reject.error.message.to_string(),
                record: DeadRecord::Row(Arc::clone(&input.schema), record),
                at_ms: envelope.at_ms,
            }
        }));
    }

    /// Letters for rows of the answer that failed when time made them final; they belong to no record.
    fn report_rows(&self, errors: Vec<(Seq, RecordError)>) {
        let inputs = self.setup.plan.iter().flat_map(|plan| plan.inputs());
        let relation = inputs.map(|input| &*input.name).collect::<Vec<_>>().join(", ");
        self.send(errors.into_iter().map(|(_, error)| DeadLetter {
            relation: relation.clone(),
            query: Some(self.setup.query.clone()),
            partition: self.setup.partition,
            offset: self.offset,
            code: error.code,
            message: format!("a row of the answer: {error}"),
            record: DeadRecord::Bytes(Vec::new()),
            at_ms: 0,
        }));
    }

    fn send(&self, letters: impl ExactSizeIterator<Item = DeadLetter>) {
        if letters.len() > 0 {
            self.setup.metrics.dead_letters.fetch_add(letters.len() as u64, Ordering::Relaxed);
            self.setup.shared.dead_letters.add(letters);
            self.setup.shared.wake.wake();
        }
    }
}

/// A record's columns: a number that the plan has added is none of them.
fn own_columns<'e>(envelope: &'e Envelope, input: &Relation) -> &'e [velostream_engine::column::Column] {
    &envelope.batch.changes.columns[..input.schema.fields.len()]
}
