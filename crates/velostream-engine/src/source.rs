//! `SourceGate`: what every record passes before it gets a number.
//!
//! Checks NOT NULL and CHECK, reads the event time, numbers what it admits and moves the watermark. Records
//! that it refuses get no number and move no time. Its only state is the watermark.

use crate::batch::{Batch, ChangeBatch, Op, Seq};
use crate::column::Values;
use crate::error::{RecordError, Reject, Result};
use crate::operators::check::Conditions;
use crate::time::{EventTime, TimeRuns, Watermark};
use std::sync::Arc;
use velostream_sql::plan::Expr;
use velostream_sql::types::{DataType, Schema};

/// What a source declares.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// Columns and key.
    pub schema: Arc<Schema>,
    /// CHECKs with their texts.
    pub checks: Vec<(Expr, Arc<str>)>,
    /// Position of the event-time column: TIMESTAMP, or BIGINT in milliseconds.
    pub event_time: Option<usize>,
    /// How far the watermark stays behind the largest event time, microseconds.
    pub bound_micros: i64,
}

/// The door of one source.
pub struct SourceGate {
    spec: SourceSpec,
    /// Columns that may not be NULL, and whether that holds for tombstones as well: so with keys.
    required: Vec<(usize, bool)>,
    conditions: Conditions,
    watermark: Watermark,
    /// Rows admitted of the batch in hand.
    admitted: Vec<u32>,
    /// Per row of the batch in hand, whether it is refused.
    refused: Vec<bool>,
}

impl SourceGate {
    /// A door through which nothing has come.
    pub fn new(spec: SourceSpec) -> Result<Self> {
        let conditions = Conditions::new(&spec.checks)?;
        let schema = &spec.schema;
        let is_key = |index: usize| schema.updating && schema.primary_key.contains(&index);
        let each = schema.fields.iter().enumerate().map(|(index, field)| (index, is_key(index), field));
        let required = each.filter(|&(_, key, field)| key || !field.nullable);
        Ok(Self {
            required: required.map(|(index, key, _)| (index, key)).collect(),
            spec,
            conditions,
            watermark: Watermark::NONE,
            admitted: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// The watermark after everything admitted so far; all that a rollback must put back.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// Puts an earlier watermark back.
    pub fn set_watermark(&mut self, watermark: Watermark) {
        self.watermark = watermark;
    }

    /// Admits the rows of `raw`: `Insert` for records, `Delete` for tombstones, of which only key columns
    /// count. `raw.event_times` are the times given with the rows or of their arrival; where a column is
    /// declared, it counts instead. Sequence numbers of `raw` are ignored: admitted rows get `next` and on,
    /// and `next` moves behind the last.
    ///
    /// Fills `out`; refused rows go to `rejects` in the order of their rows. While none is refused, `raw` and
    /// `out` exchange their buffers, so that nothing is copied; otherwise `raw` keeps its rows.
    pub fn admit(
        &mut self,
        raw: &mut ChangeBatch,
        next: &mut Seq,
        out: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) {
        let before = rejects.len();
        self.refused.clear();
        self.refused.resize(raw.len(), false);
        self.refuse_nulls(raw, rejects);
        self.read_times(raw, rejects);
        self.refuse_violations(raw, rejects);
        let some_refused = rejects.len() > before;
        if some_refused {
            rejects[before..].sort_by_key(|reject| reject.row);
        }
        self.pass_on(raw, some_refused, out);
        self.number(next, out);
    }

    /// Moves the watermark by hand, or to its end: what to tell the plan, if it moved at all.
    pub fn advance(&mut self, watermark: Watermark, next: &mut Seq) -> Option<TimeRuns> {
        if watermark <= self.watermark {
            return None;
        }
        let before = std::mem::replace(&mut self.watermark, watermark);
        let seq = *next;
        next.0 += 1;
        Some(TimeRuns { before, advances: vec![(seq, watermark)] })
    }

    fn refuse(refused: &mut [bool], row: u32, error: RecordError, rejects: &mut Vec<Reject>) {
        if !std::mem::replace(&mut refused[row as usize], true) {
            rejects.push(Reject { row, error });
        }
    }

    fn refuse_nulls(&mut self, raw: &ChangeBatch, rejects: &mut Vec<Reject>) {
        for &(index, key) in &self.required {
            let Some(mask) = raw.columns[index].validity.mask() else { continue };
            let field = &self.spec.schema.fields[index];
            for (row, &valid) in mask.iter().enumerate() {
                if valid == 0 && (key || raw.ops[row] == Op::Insert) {
                    let error = RecordError::constraint(format!("{} must not be NULL", field.name));
                    Self::refuse(&mut self.refused, row as u32, error, rejects);
                }
            }
        }
    }

    fn read_times(&mut self, raw: &mut ChangeBatch, rejects: &mut Vec<Reject>) {
        let Some(position) = self.spec.event_time else { return };
        let column = &raw.columns[position];
        let Values::I64(values) = &column.values else {
            unreachable!("the binder takes TIMESTAMP and BIGINT columns as event time");
        };
        let factor = if column.data_type == DataType::BigInt { 1_000 } else { 1 };
        for (row, (&value, time)) in values.iter().zip(&mut raw.event_times).enumerate() {
            if raw.ops[row] == Op::Delete {
                // A tombstone names a key and no time: it stands where time stands.
                if self.watermark != Watermark::NONE && self.watermark != Watermark::END {
                    *time = self.watermark.0;
                }
                continue;
            }
            let read = if column.validity.is_valid(row) { value.checked_mul(factor) } else { None };
            match read {
                Some(micros) => *time = micros,
                None => {
                    let name = &self.spec.schema.fields[position].name;
                    let problem = if column.is_null(row) { "NULL" } else { "out of range" };
                    let error = RecordError::new(format!("the event time {name} is {problem}"));
                    Self::refuse(&mut self.refused, row as u32, error, rejects);
                }
            }
        }
    }

    fn refuse_violations(&mut self, raw: &ChangeBatch, rejects: &mut Vec<Reject>) {
        let refused = &mut self.refused;
        self.conditions.check(raw, |row, error| Self::refuse(refused, row, error, rejects));
    }

    fn pass_on(&mut self, raw: &mut ChangeBatch, some_refused: bool, out: &mut Batch) {
        let changes = &mut out.changes;
        changes.clear();
        if !some_refused {
            std::mem::swap(raw, changes);
            changes.seqs.clear();
            return;
        }
        self.admitted.clear();
        self.admitted.extend((0..raw.len() as u32).filter(|&row| !self.refused[row as usize]));
        for (to, from) in changes.columns.iter_mut().zip(&raw.columns) {
            to.extend_selected(from, &self.admitted);
        }
        changes.ops.extend(self.admitted.iter().map(|&row| raw.ops[row as usize]));
        changes.event_times.extend(self.admitted.iter().map(|&row| raw.event_times[row as usize]));
    }

    /// Numbers the admitted rows and notes where the watermark moves.
    fn number(&mut self, next: &mut Seq, out: &mut Batch) {
        out.time.before = self.watermark;
        out.time.advances.clear();
        let bound = self.spec.bound_micros;
        let numbers = next.0..next.0 + out.changes.len() as u64;
        next.0 = numbers.end;
        let ChangeBatch { event_times, ops, .. } = &out.changes;
        // Rows up to this time do not move the watermark.
        let mut passed = None;
        for ((&time, &op), number) in event_times.iter().zip(ops).zip(numbers.clone()) {
            if passed.is_some_and(|passed| time <= passed) || op != Op::Insert {
                continue;
            }
            let watermark = Watermark(time.saturating_sub(bound).max(EventTime::MIN + 1));
            if watermark > self.watermark {
                self.watermark = watermark;
                out.time.advances.push((Seq(number), watermark));
            }
            passed = Some(self.watermark.0.saturating_add(bound));
        }
        out.changes.seqs.extend(numbers.map(Seq));
    }
}
