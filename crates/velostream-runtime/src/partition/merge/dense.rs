//! Rows that have all numbers from the first to the last, one each: a row's place is its number.

use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::column::Pick;

const NOBODY: Pick = Pick { part: u32::MAX, row: u32::MAX };

/// The order of the rows of all lanes, each a number of batches that ascend together; `None` where numbers are missing or come
/// twice. As where each record changes one group: nothing is compared, and no row's place waits for that of another.
pub fn order(lanes: &[Vec<&ChangeBatch>]) -> Option<Vec<Pick>> {
    let batches = || lanes.iter().flatten().map(|batch| batch.seqs.as_slice());
    let first: Seq = batches().filter_map(|seqs| seqs.first().copied()).min()?;
    let last = batches().filter_map(|seqs| seqs.last().copied()).max()?;
    let rows = batches().map(<[Seq]>::len).sum::<usize>();
    if last.0 - first.0 != rows as u64 - 1 {
        return None;
    }
    let mut picks = vec![NOBODY; rows];
    for (part, seqs) in (0..).zip(batches()) {
        for (row, seq) in (0..).zip(seqs) {
            picks[(seq.0 - first.0) as usize] = Pick { part, row };
        }
    }
    // As many rows as places: where none is free, none was given twice.
    let is_free = |pick: &Pick| pick.part == NOBODY.part;
    let free: usize = picks.iter().map(|pick| usize::from(is_free(pick))).sum();
    (free == 0).then_some(picks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::testing::changes;
    use proptest::prelude::*;

    /// A number, and which of two lanes has it.
    type Row = (u64, usize);

    /// A lane's numbers, in batches of so many.
    fn batches(rows: &[Row], lane: usize, of: usize) -> Vec<ChangeBatch> {
        let seqs: Vec<u64> = rows.iter().filter(|row| row.1 == lane).map(|row| row.0).collect();
        seqs.chunks(of).map(changes).collect()
    }

    proptest! {
        #[test]
        fn is_the_order_by_number_where_each_is_there_once(
            owners in prop::collection::vec(0..2_usize, 1..40),
            moved in prop::collection::vec(0..40_usize, 0..3),
            of in 1..20_usize,
        ) {
            let mut rows: Vec<Row> = (7..).zip(owners).collect();
            let count = rows.len();
            moved.iter().for_each(|at| rows[at % count].0 += 1);
            rows.sort_unstable();
            let lanes: Vec<_> = (0..2).map(|lane| batches(&rows, lane, of)).collect();
            let views: Vec<Vec<&ChangeBatch>> = lanes.iter().map(|lane| lane.iter().collect()).collect();
            let picks = views.concat().into_iter().zip(0..).flat_map(|(batch, part)| {
                (0..).zip(&batch.seqs).map(move |(row, &seq)| (seq, Pick { part, row }))
            });
            let mut expected: Vec<(Seq, Pick)> = picks.collect();
            expected.sort_unstable();
            let is_dense = expected.windows(2).all(|two| two[1].0.0 == two[0].0.0 + 1);
            let expected: Vec<Pick> = expected.into_iter().map(|(_, pick)| pick).collect();
            prop_assert_eq!(order(&views), is_dense.then_some(expected));
        }
    }
}
