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

/// Rows of a batch, ascending, with the hashes of their keys.
#[derive(Debug, Default)]
struct Hashed {
    rows: Vec<u32>,
    hashes: Vec<u64>,
}

/// The rows of a batch by share: all of them, share by share, those of each in order.
#[derive(Debug, Default)]
pub struct Shares {
    all: Hashed,
    /// Per share, where its rows end.
    ends: Vec<u32>,
}

/// Tells the share of each row by its keys, which hash as groups do: equal keys come to one share.
#[derive(Debug)]
pub struct Router {
    program: Program,
    keys: usize,
    errors: RowErrors,
    /// The batch in hand.
    batch: Hashed,
    /// Rows of every second share.
    others: Hashed,
}

impl Router {
    /// By these expressions over a source's columns.
    pub fn new(keys: &[Expr]) -> Result<Self> {
        Ok(Self {
            program: Program::compile(keys)?,
            keys: keys.len(),
            errors: RowErrors::new(),
            batch: Hashed::default(),
            others: Hashed::default(),
        })
    }

    /// Fills in the rows of each of `count` shares. A row whose keys cannot be computed, which its query rejects, belongs to
    /// the first.
    pub fn route(&mut self, changes: &ChangeBatch, count: u16, shares: &mut Shares) {
        self.errors.clear();
        self.program.evaluate(changes, &mut self.errors);
        let Hashed { rows, hashes } = &mut self.batch;
        rows.clear();
        rows.extend(0..changes.len() as u32);
        hash_rows(self.keys, |key| self.program.output(key, changes), rows, hashes);
        for (row, _) in self.errors.drain(..) {
            hashes[row as usize] = 0;
        }
        shares.split(hashes, count, &mut self.others);
    }
}

impl Shares {
    /// Of rows whose shares, of so many, are known, and no hashes.
    #[must_use]
    pub fn of(known: &[u16], count: u16) -> Self {
        let mut shares = Self::default();
        for share in 0..count {
            let rows = (0..known.len() as u32).filter(|&row| known[row as usize] == share);
            shares.all.rows.extend(rows);
            shares.ends.push(shares.all.rows.len() as u32);
        }
        shares.all.hashes.resize(known.len(), 0);
        shares
    }

    /// Goes over the hashes once for each two shares: without branches, and with nothing carried from row to row but two
    /// positions, that is less than finding each row's place by counting. `others` is scratch.
    fn split(&mut self, hashes: &[u64], count: u16, others: &mut Hashed) {
        let Self { all, ends } = self;
        all.resize(hashes.len() + 1);
        others.resize(hashes.len() + 1);
        ends.clear();
        let mut at = 0;
        for share in (0..u64::from(count)).step_by(2) {
            let mut other = 0;
            for (row, &hash) in hashes.iter().enumerate() {
                let of_row = share_of(hash, count);
                // A row is written where the next one of the share belongs, and stays if it is one: hence one place more.
                all.put(at, row, hash);
                others.put(other, row, hash);
                at += usize::from(of_row == share);
                other += usize::from(of_row == share + 1);
            }
            ends.push(at as u32);
            if ends.len() < usize::from(count) {
                all.rows[at..at + other].copy_from_slice(&others.rows[..other]);
                all.hashes[at..at + other].copy_from_slice(&others.hashes[..other]);
                at += other;
                ends.push(at as u32);
            }
        }
        all.resize(hashes.len());
    }

    fn range(&self, share: u16) -> Range<usize> {
        let share = usize::from(share);
        let begin = share.checked_sub(1).map_or(0, |before| self.ends[before]);
        begin as usize..self.ends[share] as usize
    }

    /// The rows of a share, in order.
    #[must_use]
    pub fn rows(&self, share: u16) -> &[u32] {
        &self.all.rows[self.range(share)]
    }

    /// The hashes of their keys.
    #[must_use]
    pub fn hashes(&self, share: u16) -> &[u64] {
        &self.all.hashes[self.range(share)]
    }

    /// Bytes of its buffers.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.all.rows.capacity() * size_of::<u32>() + self.all.hashes.capacity() * size_of::<u64>()
    }
}

impl Hashed {
    fn resize(&mut self, rows: usize) {
        self.rows.resize(rows, 0);
        self.hashes.resize(rows, 0);
    }

    #[inline]
    fn put(&mut self, at: usize, row: usize, hash: u64) {
        self.rows[at] = row as u32;
        self.hashes[at] = hash;
    }
}

#[inline]
fn share_of(hash: u64, count: u16) -> u64 {
    (((hash >> SHARE_SHIFT) & ((1 << SHARE_BITS) - 1)) * u64::from(count)) >> SHARE_BITS
}
