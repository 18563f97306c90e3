//! [`Router`]: which share of a query's work a row belongs to.

use crate::batch::ChangeBatch;
use crate::error::Result;
use crate::expr::{Program, RowErrors};
use crate::state::hash_rows;
use velostream_sql::plan::Expr;

/// The hash's bits that choose the share; hash tables go by others.
const SHARE_SHIFT: u32 = 24;
const SHARE_BITS: u32 = 16;

/// Tells the share of each row by its keys, which hash as groups do: equal keys come to one share.
#[derive(Debug)]
pub struct Router {
    program: Program,
    keys: usize,
    errors: RowErrors,
    rows: Vec<u32>,
    hashes: Vec<u64>,
    shares: Vec<u16>,
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
            shares: Vec::new(),
        })
    }

    /// Gives for each row which of `count` shares it belongs to, and the hash of its keys. A row whose keys cannot be
    /// computed, which its query rejects, belongs to the first.
    pub fn route(&mut self, changes: &ChangeBatch, count: u16) -> (&[u16], &[u64]) {
        self.errors.clear();
        self.program.evaluate(changes, &mut self.errors);
        self.rows.clear();
        self.rows.extend(0..changes.len() as u32);
        hash_rows(self.keys, |key| self.program.output(key, changes), &self.rows, &mut self.hashes);
        let share = |hash: &u64| ((hash >> SHARE_SHIFT) & ((1 << SHARE_BITS) - 1)) * u64::from(count);
        self.shares.clear();
        self.shares.extend(self.hashes.iter().map(|hash| (share(hash) >> SHARE_BITS) as u16));
        for (row, _) in self.errors.drain(..) {
            self.shares[row as usize] = 0;
        }
        (&self.shares, &self.hashes)
    }
}
