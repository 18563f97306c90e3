//! [`Router`]: which share of a query's work a row belongs to.

use crate::batch::ChangeBatch;
use crate::error::Result;
use crate::expr::{Program, RowErrors};
use crate::state::hash_rows;
use std::ops::Range;
use velostream_sql::plan::Expr;

/// The hash's bits that choose the share; hash tables go by others.
const SHARE_SHIFT: u32 = 24;
const SHARE_BITS: u32 = 16;

/// The rows of a batch by share.
#[derive(Debug)]
pub struct Shares {
    /// All rows, share by share, those of each in order.
    pub rows: Vec<u32>,
    /// The hashes of their keys.
    pub hashes: Vec<u64>,
    /// Per share, where its rows end.
    pub ends: Vec<u32>,
}

/// Tells the share of each row by its keys, which hash as groups do: equal keys come to one share.
#[derive(Debug)]
pub struct Router {
    program: Program,
    keys: usize,
    errors: RowErrors,
    rows: Vec<u32>,
    hashes: Vec<u64>,
}

impl Router {
    /// By these expressions over a source's columns.
    pub fn new(keys: &[Expr]) -> Result<Self> {
        Ok(Self {
            program: Program::compile(keys)?,
            keys: keys.len(),
            errors: RowErrors::new(),
            rows: Vec::new(),
            hashes: Vec::new(),
        })
    }

    /// Gives the rows of each of `count` shares. A row whose keys cannot be computed, which its query rejects, belongs to
    /// the first.
    pub fn route(&mut self, changes: &ChangeBatch, count: u16) -> Shares {
        self.errors.clear();
        self.program.evaluate(changes, &mut self.errors);
        self.rows.clear();
        self.rows.extend(0..changes.len() as u32);
        hash_rows(self.keys, |key| self.program.output(key, changes), &self.rows, &mut self.hashes);
        for (row, _) in self.errors.drain(..) {
            self.hashes[row as usize] = 0;
        }
        Shares::of(&self.hashes, count)
    }
}

impl Shares {
    /// Goes over the hashes once for each share: without branches, and with nothing carried from row to row but one
    /// position, that is less than finding each row's place by counting.
    fn of(hashes: &[u64], count: u16) -> Self {
        // Each row is written where the next one of the share belongs, and stays if it is one: hence one place more.
        let (mut rows, mut sorted) = (vec![0; hashes.len() + 1], vec![0; hashes.len() + 1]);
        let mut at = 0;
        let ends = (0..u64::from(count)).map(|share| {
            for (row, &hash) in hashes.iter().enumerate() {
                (rows[at], sorted[at]) = (row as u32, hash);
                at += usize::from(share_of(hash, count) == share);
            }
            at as u32
        });
        let ends = ends.collect();
        rows.truncate(hashes.len());
        sorted.truncate(hashes.len());
        Self { rows, hashes: sorted, ends }
    }

    /// Where the rows of a share are.
    #[must_use]
    pub fn range(&self, share: u16) -> Range<usize> {
        let share = usize::from(share);
        let begin = share.checked_sub(1).map_or(0, |before| self.ends[before]);
        begin as usize..self.ends[share] as usize
    }
}

#[inline]
fn share_of(hash: u64, count: u16) -> u64 {
    (((hash >> SHARE_SHIFT) & ((1 << SHARE_BITS) - 1)) * u64::from(count)) >> SHARE_BITS
}
