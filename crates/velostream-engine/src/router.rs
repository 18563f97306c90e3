//! [`Router`]: which share of a query's work a row belongs to.

use crate::batch::{ChangeBatch, Selected};
use crate::error::Result;
use crate::expr::{Program, RowErrors};
use crate::state::hash_rows;
use velostream_sql::plan::Expr;

/// The hash's bits that choose the share; hash tables go by others.
const SHARE_SHIFT: u32 = 24;
const SHARE_BITS: u32 = 16;

/// Whose the rows of a batch are: for each share its rows, ascending, with the hashes of their keys.
#[derive(Debug, Default)]
pub struct Shares {
    rows: Vec<u32>,
    hashes: Vec<u64>,
    /// Where each share ends in them; what stands behind the last one counts for nothing.
    ends: Vec<usize>,
}

/// Tells the share of each row by its keys, which hash as groups do: equal keys come to one share.
#[derive(Debug)]
pub struct Router {
    program: Program,
    keys: usize,
    errors: RowErrors,
    /// All rows of a batch, and their hashes.
    rows: Vec<u32>,
    hashes: Vec<u64>,
}

impl Router {
    /// By these expressions over a source's columns.
    pub fn new(keys: &[Expr]) -> Result<Self> {
        let (program, errors) = (Program::compile(keys)?, RowErrors::new());
        Ok(Self { program, keys: keys.len(), errors, rows: Vec::new(), hashes: Vec::new() })
    }

    /// Fills in whose the rows are, of `count` shares. A row whose keys cannot be computed, which its query rejects, belongs to
    /// the first.
    pub fn route(&mut self, changes: &ChangeBatch, count: u16, shares: &mut Shares) {
        let Self { program, keys, errors, rows, hashes } = self;
        errors.clear();
        program.evaluate(changes, errors);
        rows.extend(rows.len() as u32..changes.len() as u32);
        hash_rows(*keys, |key| program.output(key, changes), &rows[..changes.len()], hashes);
        for (row, _) in errors.drain(..) {
            hashes[row as usize] = 0;
        }
        shares.fill(hashes, count);
    }
}

impl Shares {
    /// Of rows whose shares, of so many, are known.
    #[must_use]
    pub fn of(known: &[u16], count: u16) -> Self {
        let first_of =
            |&share: &u16| (u64::from(share) << SHARE_BITS).div_ceil(u64::from(count)) << SHARE_SHIFT;
        let hashes: Vec<u64> = known.iter().map(first_of).collect();
        let mut shares = Self::default();
        shares.fill(&hashes, count);
        shares
    }

    /// The rows of a share.
    #[must_use]
    pub fn rows(&self, share: u16) -> Selected<'_> {
        let share = usize::from(share);
        let begin = share.checked_sub(1).map_or(0, |before| self.ends[before]);
        let own = begin..self.ends[share];
        Selected { rows: &self.rows[own.clone()], hashes: Some(&self.hashes[own]) }
    }

    /// Bytes of its buffers.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<u32>() + self.hashes.capacity() * size_of::<u64>()
    }

    /// Tells rows with these hashes apart.
    fn fill(&mut self, all: &[u64], count: u16) {
        if self.rows.len() < all.len() {
            self.rows.resize(all.len(), 0);
            self.hashes.resize(all.len(), 0);
        }
        self.ends.clear();
        match count {
            2 => self.fill_two(all),
            _ => self.fill_any(all, count),
        }
    }

    /// Counts each share's rows, which tells where it begins, and puts each row where the next one of its share belongs.
    fn fill_any(&mut self, all: &[u64], count: u16) {
        let Self { rows, hashes, ends } = self;
        ends.resize(usize::from(count), 0);
        all.iter().for_each(|&hash| ends[share_of(hash, count)] += 1);
        let mut begin = 0;
        for end in ends.iter_mut() {
            begin += std::mem::replace(end, begin);
        }
        for (row, &hash) in (0..).zip(all) {
            let at = &mut ends[share_of(hash, count)];
            (rows[*at], hashes[*at]) = (row, hash);
            *at += 1;
        }
    }

    /// The same without positions in memory, which each row would wait for: the second share has the rows that the first
    /// has not.
    fn fill_two(&mut self, all: &[u64]) {
        let Self { rows, hashes, ends } = self;
        let second = all.len() - all.iter().map(|&hash| share_of(hash, 2)).sum::<usize>();
        let mut first = 0;
        for (row, &hash) in all.iter().enumerate() {
            let is_second = share_of(hash, 2);
            let at = if is_second == 1 { second + row - first } else { first };
            (rows[at], hashes[at]) = (row as u32, hash);
            first += 1 - is_second;
        }
        ends.extend([second, all.len()]);
    }
}

/// Whose a row is, of so many shares.
#[inline]
fn share_of(hash: u64, count: u16) -> usize {
    let bits = (hash >> SHARE_SHIFT) & ((1 << SHARE_BITS) - 1);
    ((bits * u64::from(count)) >> SHARE_BITS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_has_a_range_of_hashes_as_long_as_the_others() {
        for count in [1, 2, 3, 7, 1000, u16::MAX] {
            let mut lengths = vec![0_u32; usize::from(count)];
            let mut last = 0;
            for bits in 0..1 << SHARE_BITS {
                let share = share_of(bits << SHARE_SHIFT | 0xff_ffff, count);
                assert!(share == last || share == last + 1, "{bits} of {count}");
                (last, lengths[share]) = (share, lengths[share] + 1);
            }
            let (least, most) = (lengths.iter().min(), lengths.iter().max());
            assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{count}");
            let known: Vec<u16> = (0..count).rev().collect();
            let shares = Shares::of(&known, count);
            assert!((0..count).all(|share| shares.rows(share).rows == [u32::from(count - 1 - share)]));
        }
    }
}
