//! `LookupJoin`: each row of a stream with what a table holds on its arrival.
//!
//! Keeps the table's rows by key. A row of the stream sees the changes numbered up to its own, and what it gave is
//! never revised: the result is append-only and has the stream's times.

use super::matching::Matching;
use super::output::{Joined, Output};
use super::runs::Runs;
use super::side::Keys;
use super::{JoinSpec, other};
use crate::batch::{ChangeBatch, Op, Seq};
use crate::error::Result;
use crate::operators::{Arriving, Context, Joint, Stateful};
use crate::state::{KeyedRows, State};
use velostream_sql::plan::Side;

/// The operator.
pub struct LookupJoin {
    stream: Side,
    keeps_stream: bool,
    keys: Keys,
    table_keys: Keys,
    table: KeyedRows,
    matching: Matching,
    output: Output,
}

impl LookupJoin {
    /// Over an empty table.
    pub fn new(spec: &JoinSpec, stream: Side) -> Result<Self> {
        Ok(Self {
            stream,
            keeps_stream: spec.keeps(stream),
            keys: Keys::new(spec.side(stream))?,
            table_keys: Keys::new(spec.side(other(stream)))?,
            table: KeyedRows::new(&spec.rows(other(stream))),
            matching: Matching::new(spec)?,
            output: Output::new(spec),
        })
    }

    /// Applies changes of the table.
    fn change(&mut self, changes: &ChangeBatch, from: usize, to: usize) {
        let keyed = self.table_keys.of(changes);
        let mut replaced = None;
        for row in (from..to).filter(|&row| keyed.is_fine(row) && keyed.can_match(row)) {
            if let Some(slot) = replaced.take() {
                self.table.replace(slot, changes, row);
                continue;
            }
            replaced = keyed.replaced(row, to, &mut self.table);
            if replaced.is_some() {
                continue;
            }
            if changes.ops[row].is_addition() {
                self.table.add(&keyed, keyed.hash(row), changes, row);
            } else if let Some(slot) = self.table.find(changes, row) {
                self.table.remove(slot);
            }
        }
    }
}

impl Joint for LookupJoin {
    fn process(
        &mut self,
        left: Arriving<'_>,
        right: Arriving<'_>,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) -> Result<()> {
        let (stream, table) = match self.stream {
            Side::Left => (left.rows, right.rows),
            Side::Right => (right.rows, left.rows),
        };
        self.keys.evaluate(stream, ctx);
        self.table_keys.evaluate(table, ctx);
        let mut runs = Runs::new(left.rows, right.rows, other(self.stream));
        while let Some(run) = runs.next_until(Seq(u64::MAX)) {
            if run.side != self.stream {
                self.change(table, run.from, run.to);
                continue;
            }
            let keyed = self.keys.of(stream);
            self.matching.find(run, keyed, &self.table, |_, _| true, ctx);
            let pairs = &self.matching.pairs;
            for row in run.from..run.to {
                let (seq, time) = (stream.seqs[row], stream.event_times[row]);
                let found = pairs.of_row(row - run.from);
                if found.is_empty() && self.keeps_stream && keyed.is_fine(row) {
                    self.output.push(self.stream, Joined::alone(row as u32, Op::Insert, seq, time), 1);
                }
                for &slot in &pairs.slots[found] {
                    let joined =
                        Joined { own: row as u32, other: slot, op: Op::Insert, seq, event_time: time };
                    self.output.push(self.stream, joined, self.table.count(slot));
                }
            }
            self.output.flush(self.stream, &stream.columns, self.table.columns(), out);
        }
        Ok(())
    }
}

impl Stateful for LookupJoin {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.table)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.table)
    }

    fn groups(&self) -> usize {
        self.table.len()
    }
}
