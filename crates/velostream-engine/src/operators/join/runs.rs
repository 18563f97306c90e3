//! The order in which the changes of two inputs are applied.

use crate::batch::{ChangeBatch, Seq};
use velostream_sql::plan::Side;

/// Rows `from..to` of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub side: Side,
    pub from: usize,
    pub to: usize,
}

/// Walks two inputs by sequence number.
pub(super) struct Runs<'a> {
    left: &'a ChangeBatch,
    right: &'a ChangeBatch,
    /// Which side's rows of one number come first.
    first: Side,
    at_left: usize,
    at_right: usize,
}

impl<'a> Runs<'a> {
    pub fn new(left: &'a ChangeBatch, right: &'a ChangeBatch, first: Side) -> Self {
        Self { left, right, first, at_left: 0, at_right: 0 }
    }

    /// The next run of rows that all come before the other side's next row, and none beyond number `last`.
    pub fn next_until(&mut self, last: Seq) -> Option<Run> {
        let left = self.left.seqs.get(self.at_left).copied().filter(|&seq| seq <= last);
        let right = self.right.seqs.get(self.at_right).copied().filter(|&seq| seq <= last);
        let side = match (left, right) {
            (None, None) => return None,
            (Some(_), None) => Side::Left,
            (None, Some(_)) => Side::Right,
            (Some(left), Some(right)) if left == right => self.first,
            (Some(left), Some(right)) => {
                if left < right {
                    Side::Left
                } else {
                    Side::Right
                }
            }
        };
        let (rows, at, other) = match side {
            Side::Left => (self.left, &mut self.at_left, right),
            Side::Right => (self.right, &mut self.at_right, left),
        };
        let comes_first = side == self.first;
        let takes =
            |seq: Seq| seq <= last && other.is_none_or(|other| seq < other || comes_first && seq == other);
        let from = *at;
        *at = from + rows.seqs[from..].partition_point(|&seq| takes(seq));
        Some(Run { side, from, to: *at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Op;

    fn batch(seqs: &[u64]) -> ChangeBatch {
        let mut batch = ChangeBatch::default();
        seqs.iter().for_each(|&seq| batch.push_mark(Op::Insert, Seq(seq), 0));
        batch
    }

    #[test]
    fn runs_alternate_by_number_and_stop_at_a_bound() {
        let (left, right) = (batch(&[1, 2, 5, 5, 9]), batch(&[3, 5, 6]));
        let mut runs = Runs::new(&left, &right, Side::Right);
        let mut found = Vec::new();
        for last in [6, u64::MAX] {
            while let Some(Run { side, from, to }) = runs.next_until(Seq(last)) {
                found.push((side == Side::Left, from, to));
            }
        }
        let expected = [(true, 0, 2), (false, 0, 2), (true, 2, 4), (false, 2, 3), (true, 4, 5)];
        assert_eq!(found, expected);
    }
}
