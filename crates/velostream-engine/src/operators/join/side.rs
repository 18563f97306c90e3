//! One input's rows of the batch in hand with their keys.

use super::SideSpec;
use crate::batch::{ChangeBatch, Op};
use crate::column::Column;
use crate::error::Result;
use crate::expr::{Program, RowErrors};
use crate::operators::{Arriving, Context};
use crate::state::{KeySource, KeyedRows, hash_rows, values_equal};

/// The keys of one input, compiled, and what they gave for the batch in hand.
pub(super) struct Keys {
    program: Program,
    count: usize,
    hashes: Vec<u64>,
    /// Per row, whether it takes part: its keys did not fail.
    fine: Vec<bool>,
    /// Per row, whether a key is NULL, which matches nothing; empty while none is.
    null: Vec<bool>,
    rows: Vec<u32>,
    errors: RowErrors,
}

/// Rows with their keys.
#[derive(Clone, Copy)]
pub(super) struct Keyed<'a> {
    pub rows: &'a ChangeBatch,
    keys: &'a Keys,
}

impl Keys {
    pub fn new(spec: &SideSpec) -> Result<Self> {
        Ok(Self {
            program: Program::compile(&spec.keys)?,
            count: spec.keys.len(),
            hashes: Vec::new(),
            fine: Vec::new(),
            null: Vec::new(),
            rows: Vec::new(),
            errors: RowErrors::new(),
        })
    }

    /// Computes the keys of a batch; rows for which one fails take no part.
    pub fn evaluate(&mut self, input: &ChangeBatch, ctx: &mut Context<'_>) {
        let rows = input.len();
        self.fine.clear();
        self.fine.resize(rows, true);
        self.null.clear();
        self.hashes.clear();
        if rows == 0 {
            return;
        }
        self.errors.clear();
        self.program.evaluate(input, &mut self.errors);
        for (row, error) in self.errors.drain(..) {
            self.fine[row as usize] = false;
            ctx.failures.push((input.seqs[row as usize], error));
        }
        self.rows.clear();
        self.rows.extend(0..rows as u32);
        let program = &self.program;
        hash_rows(self.count, |index| program.output(index, input), &self.rows, &mut self.hashes);
        for index in 0..self.count {
            let Some(mask) = program.output(index, input).validity.mask() else { continue };
            self.null.resize(rows, false);
            self.null.iter_mut().zip(mask).for_each(|(null, &valid)| *null |= valid == 0);
        }
    }

    /// Leaves out and reports the rows of which the own watermark is more than `patience` microseconds ahead.
    pub fn leave_out_late(&mut self, arriving: Arriving<'_>, patience: i64, ctx: &mut Context<'_>) {
        let Arriving { rows, own } = arriving;
        let (mut standing, mut moved) = (own.before, 0);
        for row in 0..rows.len() {
            let (seq, time) = (rows.seqs[row], rows.event_times[row]);
            while own.advances.get(moved).is_some_and(|&(at, _)| at < seq) {
                standing = own.advances[moved].1;
                moved += 1;
            }
            if standing.0 > time.saturating_add(patience) && self.fine[row] {
                self.fine[row] = false;
                ctx.late.push((seq, standing.0.saturating_sub(time)));
            }
        }
    }

    /// The batch with what was computed of it.
    pub fn of<'a>(&'a self, rows: &'a ChangeBatch) -> Keyed<'a> {
        Keyed { rows, keys: self }
    }
}

impl Keyed<'_> {
    /// The hash of a row's key.
    pub fn hash(&self, row: usize) -> u64 {
        self.keys.hashes[row]
    }

    /// The slot in which a row stands that the next one replaces under the same key and identity: then it keeps
    /// its place among the rows of its key.
    pub fn replaced(&self, row: usize, end: usize, kept: &mut KeyedRows) -> Option<u32> {
        let (rows, next) = (self.rows, row + 1);
        let pair = next < end && rows.ops[row] == Op::UpdateBefore && rows.ops[next] == Op::UpdateAfter;
        let both = |is: &dyn Fn(usize) -> bool| is(row) && is(next);
        if !pair || !both(&|row| self.is_fine(row) && self.can_match(row)) {
            return None;
        }
        let same = |index| values_equal(self.key(index), row, self.key(index), next);
        if self.hash(row) != self.hash(next) || !(0..self.keys.count).all(same) {
            return None;
        }
        let slot = kept.find(rows, row)?;
        (kept.find(rows, next) == Some(slot)).then_some(slot)
    }

    /// Whether a row takes part.
    pub fn is_fine(&self, row: usize) -> bool {
        self.keys.fine[row]
    }

    /// Whether a row can have a match.
    pub fn can_match(&self, row: usize) -> bool {
        !self.keys.null.get(row).is_some_and(|&null| null)
    }
}

impl KeySource for Keyed<'_> {
    fn key(&self, index: usize) -> &Column {
        self.keys.program.output(index, self.rows)
    }
}
