//! Rows that have most numbers from the first to the last, one each: where a row stands follows from its number.

use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::column::Pick;

const NOBODY: Pick = Pick { part: u32::MAX, row: u32::MAX };
/// Numbers for each row, up to which it is worth while to have a place for each number.
const NUMBERS_MAX: usize = 2;

/// The order of the rows of all lanes by their numbers, which `numbers` gives of a batch; `None` where few of the numbers
/// between the first and the last are there, or one comes twice. Each lane is a number of batches that ascend together.
///
/// As where each record changes one group: nothing is compared, and no row's place waits for that of another.
pub fn order<'b, Of: Fn(usize) -> Seq>(
    lanes: &[Vec<&'b ChangeBatch>],
    numbers: impl Fn(&'b ChangeBatch) -> Of,
) -> Option<Vec<Pick>> {
    let batches = || lanes.iter().flatten().map(|batch| (batch.len(), numbers(batch)));
    let filled = || batches().filter(|&(rows, _)| rows > 0);
    let first = filled().map(|(_, number)| number(0)).min()?;
    let last = filled().map(|(rows, number)| number(rows - 1)).max()?;
    let rows: usize = batches().map(|(rows, _)| rows).sum();
    let places = usize::try_from(last.0 - first.0).ok()?.checked_add(1)?;
    if places < rows || places > rows.saturating_mul(NUMBERS_MAX) {
        return None;
    }
    let mut picks = vec![NOBODY; places];
    for (part, (rows, number)) in (0..).zip(batches()) {
        debug_assert!((1..rows).all(|row| number(row - 1) <= number(row)), "a lane has its rows in order");
        for row in 0..rows {
            picks[(number(row).0 - first.0) as usize] = Pick { part, row: row as u32 };
        }
    }
    // As many as there are rows, unless one took another's place.
    (close_up(&mut picks) == rows).then_some(picks)
}

/// Leaves out the places that nobody has; how many are left.
fn close_up(picks: &mut Vec<Pick>) -> usize {
    let mut taken = 0;
    for at in 0..picks.len() {
        let pick = picks[at];
        picks[taken] = pick;
        taken += usize::from(pick.part != NOBODY.part);
    }
    picks.truncate(taken);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::testing::changes;
    use proptest::prelude::*;

    /// A number, and which of three lanes has it.
    type Row = (u64, usize);

    /// A lane's numbers, in batches of so many, with an empty one before them.
    fn batches(rows: &[Row], lane: usize, of: usize) -> Vec<ChangeBatch> {
        let seqs: Vec<u64> = rows.iter().filter(|row| row.1 == lane).map(|row| row.0).collect();
        std::iter::once(&[][..]).chain(seqs.chunks(of)).map(changes).collect()
    }

    proptest! {
        #[test]
        fn is_the_order_by_number_where_most_are_there_once(
            owners in prop::collection::vec(0..3_usize, 1..40),
            moved in prop::collection::vec((0..40_usize, 1..50_u64), 0..4),
            of in 1..20_usize,
        ) {
            let mut rows: Vec<Row> = (7..).zip(owners).collect();
            let count = rows.len();
            moved.iter().for_each(|&(at, by)| rows[at % count].0 += by);
            rows.sort_unstable();
            let lanes: Vec<_> = (0..3).map(|lane| batches(&rows, lane, of)).collect();
            let views: Vec<Vec<&ChangeBatch>> = lanes.iter().map(|lane| lane.iter().collect()).collect();
            let picks = views.concat().into_iter().zip(0..).flat_map(|(batch, part)| {
                (0..).zip(&batch.seqs).map(move |(row, &seq)| (seq, Pick { part, row }))
            });
            let mut expected: Vec<(Seq, Pick)> = picks.collect();
            expected.sort_unstable();
            let numbers: Vec<u64> = expected.iter().map(|(seq, _)| seq.0).collect();
            let is_once = numbers.is_sorted_by(|one, other| one < other);
            let is_dense = is_once && numbers[count - 1] - numbers[0] < (NUMBERS_MAX * count) as u64;
            let expected: Vec<Pick> = expected.into_iter().map(|(_, pick)| pick).collect();
            let by_number = |batch: &ChangeBatch| { let seqs = batch.seqs.clone(); move |row: usize| seqs[row] };
            prop_assert_eq!(order(&views, by_number), is_dense.then_some(expected));
        }
    }
}
