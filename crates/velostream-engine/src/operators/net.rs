//! `Net`: the last thing before the output. Leaves of each step its net difference, marked as the query shows it.
//!
//! Within one step equal rows with opposite marks cancel, and a delete and an insert with one shown primary key
//! are one update. Deletes come first, then updates and inserts in the order in which operators gave them.

use crate::batch::{ChangeBatch, Op};
use crate::column::Column;
use crate::state::{hash_rows, values_equal};
use hashbrown::HashTable;

/// What becomes of a row that goes.
const OPEN: u32 = u32::MAX;
const CANCELLED: u32 = u32::MAX - 1;

/// Consolidates the steps of an updating result. Keeps nothing between calls.
#[derive(Default)]
pub struct Net {
    /// The shown primary key; `None` where rows cannot be told by it.
    key: Option<Vec<usize>>,
    /// Whether updates show the old row.
    before: bool,
    /// The rows to show with their marks.
    shown: Vec<u32>,
    ops: Vec<Op>,
    rebuilt: ChangeBatch,
    step: StepScratch,
}

#[derive(Default)]
struct StepScratch {
    /// Rows that go, and for each the place in `additions` that it is one update with.
    removals: Vec<u32>,
    partners: Vec<u32>,
    /// Rows that come, and for each the place in `removals`, or CANCELLED.
    additions: Vec<u32>,
    sources: Vec<u32>,
    hashes: Vec<u64>,
    other_hashes: Vec<u64>,
    table: HashTable<u32>,
}

impl Net {
    /// `key` are the positions of the shown primary key, `None` where there is none.
    #[must_use]
    pub fn new(types: &[velostream_sql::types::DataType], key: Option<Vec<usize>>, before: bool) -> Self {
        Self { key, before, rebuilt: ChangeBatch::new(types), ..Self::default() }
    }

    /// Consolidates the rows of `out` from row `from` on.
    pub fn consolidate(&mut self, out: &mut ChangeBatch, from: usize) {
        if out.seqs[from..].windows(2).all(|pair| pair[0] != pair[1]) {
            return;
        }
        self.shown.clear();
        self.ops.clear();
        let mut at = from;
        while at < out.len() {
            let seq = out.seqs[at];
            let end = at + out.seqs[at..].iter().take_while(|&&other| other == seq).count();
            self.step(out, at, end);
            at = end;
        }
        self.rebuilt.clear();
        for (to, column) in self.rebuilt.columns.iter_mut().zip(&out.columns) {
            to.extend_selected(column, &self.shown);
        }
        self.rebuilt.seqs.extend(self.shown.iter().map(|&row| out.seqs[row as usize]));
        self.rebuilt.event_times.extend(self.shown.iter().map(|&row| out.event_times[row as usize]));
        self.rebuilt.ops.extend_from_slice(&self.ops);
        out.truncate(from);
        out.extend_range(&self.rebuilt, 0, self.rebuilt.len());
    }

    fn show(&mut self, row: u32, op: Op) {
        self.shown.push(row);
        self.ops.push(op);
    }

    fn step(&mut self, out: &ChangeBatch, from: usize, to: usize) {
        let rows = from as u32..to as u32;
        match &out.ops[from..to] {
            [op] => self.show(rows.start, *op),
            [Op::UpdateBefore, Op::UpdateAfter] => {
                if (out.columns.iter()).any(|column| !values_equal(column, from, column, from + 1)) {
                    self.show_update(out, rows.start, rows.start + 1);
                }
            }
            _ => self.long_step(out, rows),
        }
    }

    fn show_update(&mut self, out: &ChangeBatch, before: u32, after: u32) {
        let same_key = self.key.as_ref().is_some_and(|key| {
            let same = |&at: &usize| {
                values_equal(&out.columns[at], before as usize, &out.columns[at], after as usize)
            };
            key.iter().all(same)
        });
        if !same_key {
            self.show(before, Op::Delete);
            self.show(after, Op::Insert);
            return;
        }
        if self.before {
            self.show(before, Op::UpdateBefore);
        }
        self.show(after, Op::UpdateAfter);
    }

    /// A step of many rows: first equal rows cancel, then what goes and comes under one key is paired.
    fn long_step(&mut self, out: &ChangeBatch, rows: std::ops::Range<u32>) {
        let step = &mut self.step;
        let comes = |row: &u32| out.ops[*row as usize].is_addition();
        step.removals.clear();
        step.removals.extend(rows.clone().filter(|row| !comes(row)));
        step.additions.clear();
        step.additions.extend(rows.filter(comes));
        step.partners.clear();
        step.partners.resize(step.removals.len(), OPEN);
        step.sources.clear();
        step.sources.resize(step.additions.len(), OPEN);
        step.pair(out.columns.len(), |index| &out.columns[index], true);
        if let Some(key) = &self.key {
            step.pair(key.len(), |index| &out.columns[key[index]], false);
        }
        for index in 0..self.step.removals.len() {
            if self.step.partners[index] == OPEN {
                self.show(self.step.removals[index], Op::Delete);
            }
        }
        for index in 0..self.step.additions.len() {
            let row = self.step.additions[index];
            match self.step.sources[index] {
                CANCELLED => {}
                OPEN if self.is_lone_update(out, row) => self.show(row, Op::UpdateAfter),
                OPEN => self.show(row, Op::Insert),
                removal => {
                    if self.before {
                        self.show(self.step.removals[removal as usize], Op::UpdateBefore);
                    }
                    self.show(row, Op::UpdateAfter);
                }
            }
        }
    }

    /// Whether a row replaces one that was not given.
    fn is_lone_update(&self, out: &ChangeBatch, row: u32) -> bool {
        let row = row as usize;
        out.ops[row] == Op::UpdateAfter && (row == 0 || out.ops[row - 1] != Op::UpdateBefore)
    }
}

impl StepScratch {
    /// Pairs open removals with open additions that are equal in `count` columns: they cancel or become an update.
    fn pair<'a>(&mut self, count: usize, column: impl Fn(usize) -> &'a Column, cancels: bool) {
        let Self { removals, partners, additions, sources, hashes, other_hashes, table } = self;
        hash_rows(count, &column, removals, hashes);
        hash_rows(count, &column, additions, other_hashes);
        table.clear();
        for (place, &hash) in hashes.iter().enumerate() {
            if partners[place] == OPEN {
                table.insert_unique(hash, place as u32, |&other| hashes[other as usize]);
            }
        }
        for (place, &hash) in other_hashes.iter().enumerate() {
            if sources[place] != OPEN {
                continue;
            }
            let row = additions[place] as usize;
            let found = table.find_entry(hash, |&removal| {
                let other = removals[removal as usize] as usize;
                (0..count).all(|index| values_equal(column(index), other, column(index), row))
            });
            if let Ok(entry) = found {
                let (removal, _) = entry.remove();
                partners[removal as usize] = if cancels { CANCELLED } else { place as u32 };
                sources[place] = if cancels { CANCELLED } else { removal };
            }
        }
    }
}
