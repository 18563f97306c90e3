//! `KeptJoin`: both sides' rows are kept, and changes of either revise the result.
//!
//! A change of one side meets the other side as it stands: after a step of both, the pairs that came are those of
//! the new rows with the old ones of the other side, and of the other's new rows with all. Rows that stay without
//! a match are counted: the first match takes such a row back, the last one that goes brings it again.

use super::matching::Matching;
use super::output::{Joined, Output};
use super::runs::{Run, Runs};
use super::side::{Keyed, Keys};
use super::{JoinSpec, other};
use crate::batch::{ChangeBatch, Op, Seq};
use crate::column::NO_ROW;
use crate::error::Result;
use crate::operators::{Arriving, Context, Joint, Stateful};
use crate::state::{KeyedRows, State, composite_state};
use velostream_sql::plan::Side;

/// The rows of both sides.
pub(super) struct Rows {
    pub left: KeyedRows,
    pub right: KeyedRows,
}
composite_state!(Rows { left, right });

impl Rows {
    pub fn new(spec: &JoinSpec) -> Self {
        Self { left: KeyedRows::new(&spec.rows(Side::Left)), right: KeyedRows::new(&spec.rows(Side::Right)) }
    }

    /// A side's rows and the other's.
    pub fn both(&mut self, side: Side) -> (&mut KeyedRows, &mut KeyedRows) {
        match side {
            Side::Left => (&mut self.left, &mut self.right),
            Side::Right => (&mut self.right, &mut self.left),
        }
    }
}

/// The operator.
pub struct KeptJoin {
    spec: JoinSpec,
    left_keys: Keys,
    right_keys: Keys,
    rows: Rows,
    matching: Matching,
    output: Output,
}

impl KeptJoin {
    /// Over no rows.
    pub fn new(spec: JoinSpec) -> Result<Self> {
        Ok(Self {
            left_keys: Keys::new(&spec.left)?,
            right_keys: Keys::new(&spec.right)?,
            rows: Rows::new(&spec),
            matching: Matching::new(&spec)?,
            output: Output::new(&spec),
            spec,
        })
    }

    fn apply(&mut self, run: Run, rows: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) {
        let Self { spec, left_keys, right_keys, rows: kept, matching, output } = self;
        let keys = if run.side == Side::Left { left_keys } else { right_keys };
        let keyed = keys.of(rows);
        let (own, others) = kept.both(run.side);
        matching.find(run, keyed, others, |_, _| true, ctx);
        let mut work = Work { spec, side: run.side, keyed, own, others, output, shows_alone: true };
        let mut replaced = None;
        for row in (run.from..run.to).filter(|&row| keyed.is_fine(row)) {
            let slots = &matching.pairs.slots[matching.pairs.of_row(row - run.from)];
            if let Some(slot) = replaced.take() {
                work.replace(slot, row, slots);
                continue;
            }
            replaced = keyed.replaced(row, run.to, work.own);
            match (replaced, rows.ops[row].is_addition()) {
                (Some(_), _) => work.show_pairs(row, slots, Op::Delete),
                (None, true) => drop(work.add(row, slots)),
                (None, false) => work.remove(row, slots),
            }
        }
        output.flush(run.side, &rows.columns, others.columns(), out);
    }
}

/// The changes of a run, one after the other.
pub(super) struct Work<'a> {
    pub spec: &'a JoinSpec,
    pub side: Side,
    pub keyed: Keyed<'a>,
    pub own: &'a mut KeyedRows,
    pub others: &'a mut KeyedRows,
    pub output: &'a mut Output,
    /// Whether rows without a match are shown now.
    pub shows_alone: bool,
}

impl Work<'_> {
    /// A row comes, which matches these of the other side; its slot, if it is kept for others to come.
    pub fn add(&mut self, row: usize, slots: &[u32]) -> Option<u32> {
        self.show_pairs(row, slots, Op::Insert);
        if !self.keyed.can_match(row) {
            return None;
        }
        let slot = self.own.add(&self.keyed, self.keyed.hash(row), self.keyed.rows, row);
        self.own.set_matches(slot, self.count(slots));
        Some(slot)
    }

    /// A row takes the place of one that has gone.
    fn replace(&mut self, slot: u32, row: usize, slots: &[u32]) {
        self.show_pairs(row, slots, Op::Insert);
        self.own.replace(slot, self.keyed.rows, row);
        self.own.set_matches(slot, self.count(slots));
    }

    fn count(&self, slots: &[u32]) -> i64 {
        slots.iter().map(|&slot| self.others.count(slot)).sum()
    }

    fn remove(&mut self, row: usize, slots: &[u32]) {
        if self.keyed.can_match(row) {
            // A row that never came, because its record was refused, changes nothing.
            let Some(slot) = self.own.find(self.keyed.rows, row) else { return };
            self.own.remove(slot);
        }
        self.show_pairs(row, slots, Op::Delete);
    }

    /// Shows the pairs of a row that comes or goes, and what of the other side loses or gets back its stand alone.
    fn show_pairs(&mut self, row: usize, slots: &[u32], op: Op) {
        let rows = self.keyed.rows;
        let (seq, time) = (rows.seqs[row], rows.event_times[row]);
        if slots.is_empty() && self.shows_alone && self.spec.keeps(self.side) {
            self.output.push(self.side, Joined::alone(row as u32, op, seq, time), 1);
        }
        for &slot in slots {
            let (count, other_time) = (self.others.count(slot), self.others.time(slot));
            if self.spec.keeps(other(self.side)) {
                let by = if op == Op::Insert { 1 } else { -1 };
                let alone = match self.others.add_matches(slot, by) {
                    (0, _) => Some(Op::Delete),
                    (_, 0) => Some(Op::Insert),
                    _ => None,
                };
                if let Some(op) = alone.filter(|_| self.shows_alone) {
                    let alone = Joined { own: NO_ROW, other: slot, op, seq, event_time: other_time };
                    self.output.push(self.side, alone, count);
                }
            }
            let joined = Joined { own: row as u32, other: slot, op, seq, event_time: time.max(other_time) };
            self.output.push(self.side, joined, count);
        }
    }
}

impl Joint for KeptJoin {
    fn process(
        &mut self,
        left: Arriving<'_>,
        right: Arriving<'_>,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) -> Result<()> {
        self.left_keys.evaluate(left.rows, ctx);
        self.right_keys.evaluate(right.rows, ctx);
        let mut runs = Runs::new(left.rows, right.rows, Side::Left);
        while let Some(run) = runs.next_until(Seq(u64::MAX)) {
            let rows = if run.side == Side::Left { left.rows } else { right.rows };
            self.apply(run, rows, out, ctx);
        }
        Ok(())
    }
}

impl Stateful for KeptJoin {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.rows)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.rows)
    }

    fn groups(&self) -> usize {
        self.rows.left.len() + self.rows.right.len()
    }
}
