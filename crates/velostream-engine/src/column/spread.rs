//! Moving the rows of a column apart, in place.

use super::{Column, Values};

impl Column {
    /// Moves row `i` to row `rows[i]` of `total`, for all rows of the column; `rows` ascend. The other rows hold anything
    /// then, without being NULL for certain or valid for certain.
    pub(crate) fn spread(&mut self, rows: &[u32], total: usize) {
        debug_assert_eq!(self.len(), rows.len());
        each!(&mut self.values, v => spread(v, rows, total), text => text.spread(rows, total));
        self.validity.spread(rows, total);
    }
}

/// From the last row on: none moves down, so that none is written over before it has moved.
pub(super) fn spread<T: Copy + Default>(values: &mut Vec<T>, rows: &[u32], total: usize) {
    values.resize(total, T::default());
    for (at, &row) in rows.iter().enumerate().rev() {
        values[row as usize] = values[at];
    }
}
