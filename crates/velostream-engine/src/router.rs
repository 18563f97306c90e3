//! [`Router`]: which share of a query's work a row belongs to.

use crate::batch::ChangeBatch;
use crate::error::Result;
use crate::expr::{Program, RowErrors};
use crate::state::hash_rows;
use velostream_sql::plan::Expr;

/// The hash's bits that choose the share; hash tables go by others.
const SHARE_SHIFT: u32 = 24;
const SHARE_BITS: u32 = 16;

/// The rows of a batch by share.
#[derive(Debug, Default)]
pub struct Shares {
    /// All rows, share by share, those of each in order.
    rows: Vec<u32>,
    /// Per share, where its rows end.
    ends: Vec<u32>,
    /// The hash of each row's keys, in the batch's order.
    hashes: Vec<u64>,
}

/// Tells the share of each row by its keys, which hash as groups do: equal keys come to one share.
#[derive(Debug)]
pub struct Router {
    program: Program,
    keys: usize,
    errors: RowErrors,
    rows: Vec<u32>,
}

impl Router {
    /// By these expressions over a source's columns.
    pub fn new(keys: &[Expr]) -> Result<Self> {
        Ok(Self {
            program: Program::compile(keys)?,
            keys: keys.len(),
            errors: RowErrors::new(),
            rows: Vec::new(),
        })
    }

    /// Fills in the rows of each of `count` shares. A row whose keys cannot be computed, which its query rejects, belongs to
    /// the first.
    pub fn route(&mut self, changes: &ChangeBatch, count: u16, shares: &mut Shares) {
        self.errors.clear();
        self.program.evaluate(changes, &mut self.errors);
        self.rows.clear();
        self.rows.extend(0..changes.len() as u32);
        hash_rows(self.keys, |key| self.program.output(key, changes), &self.rows, &mut shares.hashes);
        for (row, _) in self.errors.drain(..) {
            shares.hashes[row as usize] = 0;
        }
        shares.split(count, &mut self.rows);
    }
}

impl Shares {
    /// Goes over the hashes once for each two shares: without branches, and with nothing carried from row to row but two
    /// positions, that is less than finding each row's place by counting. `others` is scratch.
    fn split(&mut self, count: u16, others: &mut Vec<u32>) {
        let Self { rows, ends, hashes } = self;
        // Each row is written where the next one of the share belongs, and stays if it is one: hence one place more.
        rows.resize(hashes.len() + 1, 0);
        others.resize(hashes.len() + 1, 0);
        ends.clear();
        let mut at = 0;
        for share in (0..u64::from(count)).step_by(2) {
            let mut other = 0;
            for (row, &hash) in hashes.iter().enumerate() {
                let of_row = share_of(hash, count);
                (rows[at], others[other]) = (row as u32, row as u32);
                at += usize::from(of_row == share);
                other += usize::from(of_row == share + 1);
            }
            ends.push(at as u32);
            if ends.len() < usize::from(count) {
                rows[at..at + other].copy_from_slice(&others[..other]);
                at += other;
                ends.push(at as u32);
            }
        }
        rows.truncate(hashes.len());
    }

    /// The rows of a share, in order.
    #[must_use]
    pub fn rows(&self, share: u16) -> &[u32] {
        let share = usize::from(share);
        let begin = share.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[begin as usize..self.ends[share] as usize]
    }

    /// The hash of each row of the batch by its keys.
    #[must_use]
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Bytes of its buffers.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<u32>() + self.hashes.capacity() * size_of::<u64>()
    }
}

#[inline]
fn share_of(hash: u64, count: u16) -> u64 {
    (((hash >> SHARE_SHIFT) & ((1 << SHARE_BITS) - 1)) * u64::from(count)) >> SHARE_BITS
}
