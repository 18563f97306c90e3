//! COUNT(*) and COUNT(e): the rows that count, which the mask tells.

use super::Aggregate;
use super::cells::{Cells, Kernel};

/// A plain counter.
pub(super) struct Count;

impl Kernel for Count {
    type Input = ();
    type Cell = i64;
    type Output = i64;

    #[inline]
    fn add(cell: &mut i64, (): ()) -> bool {
        *cell += 1;
        true
    }

    #[inline]
    fn retract(cell: &mut i64, (): ()) -> bool {
        *cell -= 1;
        true
    }

    fn merge(cell: &mut i64, other: &i64) -> bool {
        *cell += other;
        true
    }

    #[inline]
    fn result(&self, cell: &i64) -> Option<i64> {
        Some(*cell)
    }
}

/// The state of COUNT(*) or COUNT(e).
pub(super) fn create() -> Box<dyn Aggregate> {
    Box::new(Cells::new(Count))
}
