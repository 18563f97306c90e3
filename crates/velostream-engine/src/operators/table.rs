//! `Table`: keeps a relation's rows, by key or as a multiset.
//!
//! Over a source table it turns replacements and tombstones into the table's changes, updates as pairs. Over
//! an updating result it makes EMIT FINAL: nothing is shown until the end of the input, then every row once, in
//! order of first insertion.
//!
//! A deletion of a row that is not there changes nothing: its record was rejected, or the key never came.

use crate::batch::{ChangeBatch, Op, Seq};
use crate::error::Result;
use crate::operators::{Context, Operator, Stateful};
use crate::state::{
    GroupColumns, GroupId, KeyColumns, KeyTable, RowStore, State, composite_state, hash_rows, rows_equal,
};
use crate::time::Watermark;
use velostream_sql::types::DataType;

/// No row.
const NONE: u32 = u32::MAX;

/// When a table shows its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// After each step, as changes.
    Changes,
    /// At the end of the input.
    AtEnd,
}

/// Rows by slot; a slot is the number of a key.
struct Rows {
    keys: KeyTable,
    rows: RowStore,
    times: GroupColumns<i64>,
    /// How often each row stands in a table without key.
    counts: GroupColumns<i64>,
}
composite_state!(Rows { keys, rows, times, counts });

/// A slot that a step has touched.
struct Touched {
    slot: GroupId,
    birth: u64,
    /// Its row before the step, among the old rows.
    old: u32,
    /// How often the row stood there before.
    count: i64,
}

/// The operator.
pub struct Table {
    /// Positions of the key's columns; of all columns where the table has none.
    key: Vec<usize>,
    is_multiset: bool,
    show: Show,
    state: Rows,
    rows: Vec<u32>,
    hashes: Vec<u64>,
    touched: Vec<Touched>,
    /// Per slot, its place in `touched` and 1; 0 for the others.
    places: Vec<u32>,
    /// Rows from before the step.
    old: ChangeBatch,
}

impl Table {
    /// An empty table of rows of these types; without `key` it is a multiset.
    #[must_use]
    pub fn new(types: &[DataType], key: Option<Vec<usize>>, show: Show) -> Self {
        let is_multiset = key.is_none();
        let key = key.unwrap_or_else(|| (0..types.len()).collect());
        let key_types: Vec<DataType> = key.iter().map(|&position| types[position]).collect();
        let state = Rows {
            keys: KeyTable::new(&key_types),
            rows: RowStore::new(types),
            times: GroupColumns::default(),
            counts: GroupColumns::default(),
        };
        Self {
            key,
            is_multiset,
            show,
            state,
            rows: Vec::new(),
            hashes: Vec::new(),
            touched: Vec::new(),
            places: Vec::new(),
            old: ChangeBatch::new(types),
        }
    }

    fn apply_row(&mut self, input: &ChangeBatch, row: usize) {
        let adds = input.ops[row].is_addition();
        let Self { key, state, hashes, .. } = self;
        let is_multiset = self.is_multiset;
        let keys = KeyColumns { columns: &input.columns, positions: key };
        let hash = hashes[row];
        let found = state.keys.find(&keys, hash, row);
        let slot = match found {
            Some(slot) => slot,
            None if adds => state.keys.insert(&keys, hash, row),
            None => return,
        };
        self.touch(slot, found.is_some());
        let state = &mut self.state;
        if adds {
            if found.is_none() || !is_multiset {
                state.put(slot, input, row);
            }
            let count = if is_multiset { state.counts.values()[slot as usize] + 1 } else { 1 };
            state.counts.set(slot, count);
        } else {
            let count = state.counts.values()[slot as usize];
            state.counts.set(slot, if is_multiset { (count - 1).max(0) } else { 0 });
        }
    }

    /// Keeps what stood in a slot before the step.
    fn touch(&mut self, slot: GroupId, stood: bool) {
        let state = &mut self.state;
        state.grow();
        self.places.resize(self.places.len().max(state.keys.capacity()), 0);
        if self.places[slot as usize] != 0 {
            return;
        }
        let mut touched = Touched { slot, birth: state.keys.birth(slot), old: NONE, count: 0 };
        if stood {
            touched.old = self.old.len() as u32;
            touched.count = state.counts.values()[slot as usize];
            for (column, from) in self.old.columns.iter_mut().zip(state.rows.columns()) {
                column.push_from(from, slot as usize);
            }
            self.old.push_mark(Op::UpdateBefore, Seq(0), state.times.values()[slot as usize]);
        }
        self.touched.push(touched);
        self.places[slot as usize] = self.touched.len() as u32;
    }

    /// Ends a step: slots without rows are freed, the others shown where they changed.
    fn end_step(&mut self, seq: Seq, out: &mut ChangeBatch) {
        self.touched.sort_unstable_by_key(|touched| touched.birth);
        let Self { touched, places, state, old, .. } = self;
        let shows = self.show == Show::Changes;
        for touched in touched.iter() {
            let slot = touched.slot;
            places[slot as usize] = 0;
            let count = state.counts.values()[slot as usize];
            if shows && touched.old != NONE {
                for _ in count..touched.count {
                    push_old(out, old, touched.old, Op::Delete, seq);
                }
            }
            if count == 0 {
                state.keys.remove(slot);
            }
        }
        for touched in touched.drain(..).filter(|_| shows) {
            let slot = touched.slot as usize;
            let count = state.counts.values()[slot];
            for _ in touched.count..count {
                state.push_row(out, slot, Op::Insert, seq);
            }
            let stays = count > 0 && count == touched.count;
            if stays && !rows_equal(&old.columns, touched.old as usize, state.rows.columns(), slot) {
                push_old(out, old, touched.old, Op::UpdateBefore, seq);
                state.push_row(out, slot, Op::UpdateAfter, seq);
            }
        }
        old.clear();
    }

    fn finish(&mut self, out: &mut ChangeBatch, ctx: &Context<'_>) {
        let Some(&(seq, Watermark::END)) = ctx.time.advances.last() else { return };
        let mut slots = Vec::new();
        self.state.keys.in_order(&mut slots);
        for slot in slots {
            for _ in 0..self.state.counts.values()[slot as usize] {
                self.state.push_row(out, slot as usize, Op::Insert, seq);
            }
            self.state.counts.set(slot, 0);
            self.state.keys.remove(slot);
        }
    }
}

/// Appends a row from before the step.
fn push_old(out: &mut ChangeBatch, old: &ChangeBatch, row: u32, op: Op, seq: Seq) {
    out.push_row(old, row as usize, op);
    *out.seqs.last_mut().expect("a row was appended") = seq;
}

impl Rows {
    /// Brings all columns to the number of slots; the rows themselves follow with `put`.
    fn grow(&mut self) {
        let slots = self.keys.capacity();
        self.times.grow(slots);
        self.counts.grow(slots);
    }

    fn put(&mut self, slot: GroupId, input: &ChangeBatch, row: usize) {
        if slot as usize == self.rows.len() {
            self.rows.push(|index| &input.columns[index], row);
        } else {
            self.rows.set(slot, |index| &input.columns[index], row);
        }
        self.times.set(slot, input.event_times[row]);
    }

    fn push_row(&self, out: &mut ChangeBatch, slot: usize, op: Op, seq: Seq) {
        for (column, from) in out.columns.iter_mut().zip(self.rows.columns()) {
            column.push_from(from, slot);
        }
        out.push_mark(op, seq, self.times.values()[slot]);
    }
}

impl Operator for Table {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        self.rows.clear();
        self.rows.extend(0..input.len() as u32);
        let key = &self.key;
        hash_rows(key.len(), |index| &input.columns[key[index]], &self.rows, &mut self.hashes);
        let mut at = 0;
        while at < input.len() {
            let seq = input.seqs[at];
            let end = at + input.seqs[at..].iter().take_while(|&&other| other == seq).count();
            for row in at..end {
                self.apply_row(input, row);
            }
            self.end_step(seq, out);
            at = end;
        }
        if self.show == Show::AtEnd {
            self.finish(out, ctx);
        }
        Ok(())
    }
}

impl Stateful for Table {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.state)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.state)
    }

    fn groups(&self) -> usize {
        self.state.keys.len()
    }
}
