//! Which rows of a column are not NULL.

use super::spread::spread;

/// A mask of one byte per row (1 valid, 0 NULL) that is not kept while no row is NULL.
///
/// The row count is the column's; `mask` is empty exactly while every row so far is valid.
#[derive(Debug, Clone, Default)]
pub struct Validity {
    mask: Vec<u8>,
}

impl PartialEq for Validity {
    fn eq(&self, other: &Self) -> bool {
        match (self.mask(), other.mask()) {
            (None, None) => true,
            (Some(a), Some(b)) => a == b,
            (Some(mask), None) | (None, Some(mask)) => mask.iter().all(|&valid| valid != 0),
        }
    }
}

impl Validity {
    /// The mask, or `None` when every row is valid.
    #[must_use]
    #[inline]
    pub fn mask(&self) -> Option<&[u8]> {
        if self.mask.is_empty() { None } else { Some(&self.mask) }
    }

    /// Whether row `row` is not NULL.
    #[must_use]
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        self.mask.is_empty() || self.mask[row] != 0
    }

    /// Appends a row to a column that had `rows` rows.
    #[inline]
    pub fn push(&mut self, rows: usize, valid: bool) {
        if !self.mask.is_empty() {
            self.mask.push(u8::from(valid));
        } else if !valid {
            self.mask.resize(rows, 1);
            self.mask.push(0);
        }
    }

    /// Appends `count` valid rows to a column that had `rows` rows.
    pub fn extend_valid(&mut self, rows: usize, count: usize) {
        if !self.mask.is_empty() {
            self.mask.resize(rows + count, 1);
        }
    }

    /// Appends rows `from..to` of `other` to a column that had `rows` rows.
    pub fn extend_range(&mut self, rows: usize, other: &Self, from: usize, to: usize) {
        match other.mask() {
            None => self.extend_valid(rows, to - from),
            Some(mask) => self.extend_mask(rows, mask[from..to].iter().copied()),
        }
    }

    /// Appends the selected rows of `other` to a column that had `rows` rows.
    pub fn extend_selected(&mut self, rows: usize, other: &Self, selected: &[u32]) {
        match other.mask() {
            None => self.extend_valid(rows, selected.len()),
            Some(mask) => self.extend_mask(rows, selected.iter().map(|&row| mask[row as usize])),
        }
    }

    /// Appends one row per byte, 1 valid and 0 NULL, to a column that had `rows` rows.
    pub fn extend_mask(&mut self, rows: usize, mask: impl Iterator<Item = u8>) {
        if self.mask.is_empty() {
            self.mask.resize(rows, 1);
        }
        self.mask.extend(mask);
    }

    /// Marks row `row` of a column of `rows` rows.
    pub fn set(&mut self, rows: usize, row: usize, valid: bool) {
        if self.mask.is_empty() && !valid {
            self.mask.resize(rows, 1);
        }
        if let Some(byte) = self.mask.get_mut(row) {
            *byte = u8::from(valid);
        }
    }

    /// Makes NULL whatever is NULL in `other`, a mask of the column's rows.
    #[inline]
    pub fn intersect(&mut self, other: &[u8]) {
        if self.mask.is_empty() {
            self.mask.extend_from_slice(other);
        } else {
            for (valid, &other) in self.mask.iter_mut().zip(other) {
                *valid &= other;
            }
        }
    }

    /// Moves row `i` to row `rows[i]` of `total`, as [`super::Column::spread`].
    pub(super) fn spread(&mut self, rows: &[u32], total: usize) {
        if !self.mask.is_empty() {
            spread(&mut self.mask, rows, total);
        }
    }

    /// Forgets all rows.
    #[inline]
    pub fn clear(&mut self) {
        self.mask.clear();
    }

    /// Keeps the first `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        self.mask.truncate(rows);
    }

    /// Bytes held.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.mask.capacity()
    }
}
