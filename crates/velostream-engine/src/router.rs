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

/// Whose each row of a batch is, of so many shares, by the hashes of its keys.
#[derive(Debug, Default)]
pub struct Shares {
    hashes: Vec<u64>,
    count: u16,
}

/// Rows of a batch, ascending, with the hashes of their keys.
#[derive(Debug, Default)]
pub struct Own {
    rows: Vec<u32>,
    hashes: Vec<u64>,
    /// How many they are; what stands behind them counts for nothing.
    count: usize,
}

/// Tells the share of each row by its keys, which hash as groups do: equal keys come to one share.
#[derive(Debug)]
pub struct Router {
    program: Program,
    keys: usize,
    errors: RowErrors,
    /// All rows of a batch.
    rows: Vec<u32>,
}

impl Router {
    /// By these expressions over a source's columns.
    pub fn new(keys: &[Expr]) -> Result<Self> {
        let (program, errors) = (Program::compile(keys)?, RowErrors::new());
        Ok(Self { program, keys: keys.len(), errors, rows: Vec::new() })
    }

    /// Fills in whose each row is, of `count` shares. A row whose keys cannot be computed, which its query rejects, belongs to
    /// the first.
    pub fn route(&mut self, changes: &ChangeBatch, count: u16, shares: &mut Shares) {
        let Self { program, keys, errors, rows } = self;
        errors.clear();
        program.evaluate(changes, errors);
        rows.extend(rows.len() as u32..changes.len() as u32);
        let hashes = &mut shares.hashes;
        hash_rows(*keys, |key| program.output(key, changes), &rows[..changes.len()], hashes);
        for (row, _) in errors.drain(..) {
            hashes[row as usize] = 0;
        }
        shares.count = count;
    }
}

impl Shares {
    /// Of rows whose shares, of so many, are known.
    #[must_use]
    pub fn of(known: &[u16], count: u16) -> Self {
        let hash = |&share: &u16| first_of(share, count) << SHARE_SHIFT;
        Self { hashes: known.iter().map(hash).collect(), count }
    }

    /// Finds the rows of a share among those of `range`. Without branches and with nothing carried from row to row but one
    /// position: who takes a share does it in less time than another would need to write it down.
    pub fn select(&self, share: u16, range: Range<usize>, own: &mut Own) {
        let all = &self.hashes[range.clone()];
        own.make_room(all.len());
        let Own { rows, hashes, count } = own;
        let first = first_of(share, self.count);
        let values = first_of(share + 1, self.count) - first;
        let mut at = 0;
        for (row, &hash) in (range.start as u32..).zip(all) {
            // A row is written where the next one of the share belongs, and stays if it is one.
            (rows[at], hashes[at]) = (row, hash);
            at += usize::from(bits_of(hash).wrapping_sub(first) < values);
        }
        *count = at;
    }

    /// Bytes of its buffers.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.hashes.capacity() * size_of::<u64>()
    }
}

impl Own {
    /// None.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    fn make_room(&mut self, rows: usize) {
        if self.rows.len() < rows {
            self.rows.resize(rows, 0);
            self.hashes.resize(rows, 0);
        }
    }

    /// Which rows, in order.
    #[must_use]
    pub fn rows(&self) -> &[u32] {
        &self.rows[..self.count]
    }

    /// The hashes of their keys.
    #[must_use]
    pub fn hashes(&self) -> &[u64] {
        &self.hashes[..self.count]
    }
}

fn bits_of(hash: u64) -> u64 {
    (hash >> SHARE_SHIFT) & ((1 << SHARE_BITS) - 1)
}

/// The first value of the bits that belongs to a share, of so many.
fn first_of(share: u16, count: u16) -> u64 {
    (u64::from(share) << SHARE_BITS).div_ceil(u64::from(count))
}
