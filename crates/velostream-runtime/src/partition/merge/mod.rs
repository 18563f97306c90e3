//! Changes of several producers, in the order of their sequence numbers.

mod dense;
mod path;

use path::merge;
use std::cmp::Ordering;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::column::{Pick, Values};
use velostream_engine::time::EventTime;
use velostream_sql::shares::Order;

/// Buffers of a merge; reused.
#[derive(Default)]
pub struct Merger {
    by_number: Lists<Seq>,
    by_rank: Lists<Rank>,
}

/// Where a row stands: by its number, those that go before those that come, each by window, where that counts, and by the
/// number in its last column.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Rank {
    seq_and_stays: u64,
    window: i64,
    number: i64,
}

impl Rank {
    /// What comes before the number.
    fn window(&self) -> (u64, i64) {
        (self.seq_and_stays, self.window)
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |rank: &Self| (rank.seq_and_stays, rank.window, rank.number);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    /// Without branches: rows of one window come from both sides in an order that is as good as random.
    fn lt(&self, other: &Self) -> bool {
        let (numbers, windows) = (self.number < other.number, self.window == other.window);
        let windows = (self.window < other.window) | windows & numbers;
        let same = self.seq_and_stays == other.seq_and_stays;
        (self.seq_and_stays < other.seq_and_stays) | same & windows
    }
}

impl Merger {
    /// The order of the rows of all lanes, whose batches count as parts one lane after the other. Each lane is a number of
    /// batches that ascend together. Rows of one number that come from several lanes stand in the given order, else in
    /// that of the lanes, so that the result depends on nothing but the rows.
    pub fn order(&mut self, lanes: &[Vec<&ChangeBatch>], order: Order) -> Vec<Pick> {
        match order {
            Order::ByRecord => self.order_by_number(lanes, numbers),
            Order::ByWindow => self.order_by_rank(lanes, |part| ranks(part, &part.event_times)),
            Order::ByGroup => self.order_by_rank(lanes, |part| ranks(part, &[])),
        }
    }

    fn order_by_number<'b, Of: Fn(usize) -> Seq>(
        &mut self,
        lanes: &[Vec<&'b ChangeBatch>],
        numbers: impl Fn(&'b ChangeBatch) -> Of,
    ) -> Vec<Pick> {
        dense::order(lanes, &numbers).unwrap_or_else(|| self.by_number.order(lanes, numbers))
    }

    /// Mostly all rows are of one window that closes, so that only the numbers differ.
    fn order_by_rank<'b, Of: Fn(usize) -> Rank>(
        &mut self,
        lanes: &[Vec<&'b ChangeBatch>],
        ranks: impl Fn(&'b ChangeBatch) -> Of,
    ) -> Vec<Pick> {
        let batches = lanes.iter().flatten().filter(|batch| !batch.is_empty());
        let ends = batches.flat_map(|batch| [0, batch.len() - 1].map(|row| ranks(batch)(row).window()));
        if ends.is_sorted_by(|one, other| one == other) {
            return self.order_by_number(lanes, |batch| {
                let ranks = ranks(batch);
                move |row| Seq(ranks(row).number as u64)
            });
        }
        self.by_rank.order(lanes, ranks)
    }

    /// The order of some rows of all lanes: of each batch those that `selected` has for it, or all. By number; no two lanes
    /// have rows of the same one.
    pub fn order_selected(&mut self, lanes: &[Vec<&ChangeBatch>], selected: &[Option<&[u32]>]) -> Vec<Pick> {
        self.by_number.order_selected(lanes, |part| selected[part], numbers)
    }
}

/// The numbers of a batch's rows.
fn numbers(part: &ChangeBatch) -> impl Fn(usize) -> Seq {
    let seqs = part.seqs.as_slice();
    |row| seqs[row]
}

/// The ranks of a batch's rows, whose windows count where there are some.
fn ranks<'p>(part: &'p ChangeBatch, windows: &'p [EventTime]) -> impl Fn(usize) -> Rank {
    let numbers = match part.columns.last().map(|column| &column.values) {
        Some(Values::I64(numbers)) => numbers.as_slice(),
        _ => &[],
    };
    let (seqs, ops) = (part.seqs.as_slice(), part.ops.as_slice());
    let of = |values: &[i64], row: usize| values.get(row).copied().unwrap_or_default();
    move |row| Rank {
        // An old row stands before the one that replaces it.
        seq_and_stays: seqs[row].0 << 1 | u64::from(ops[row] != Op::Delete),
        window: of(windows, row),
        number: of(numbers, row),
    }
}

/// Rows by their keys, one list per lane.
struct Lists<K> {
    entries: Vec<(K, Pick)>,
    merged: Vec<(K, Pick)>,
    /// Where each list ends.
    ends: Vec<usize>,
}

impl<K> Default for Lists<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), merged: Vec::new(), ends: Vec::new() }
    }
}

impl<K: Copy + Ord> Lists<K> {
    /// All rows of the lanes by their keys, which `keys` gives of a batch, those of equal keys by the lanes.
    fn order<'b, Of: Fn(usize) -> K>(
        &mut self,
        lanes: &[Vec<&'b ChangeBatch>],
        keys: impl Fn(&'b ChangeBatch) -> Of,
    ) -> Vec<Pick> {
        if let [one, two] = lanes
            && let ([one], [two]) = (one.as_slice(), two.as_slice())
        {
            let rows = [one.len(), two.len()];
            let mut picks = vec![Pick::default(); rows[0] + rows[1]];
            merge(rows, keys(one), keys(two), |to, is_second, row| {
                picks[to] = Pick { part: u32::from(is_second), row: row as u32 };
            });
            return picks;
        }
        self.order_selected(lanes, |_| None, keys)
    }

    /// The same of the selected rows of the lanes' batches, where some are.
    fn order_selected<'s, 'b, Of: Fn(usize) -> K>(
        &mut self,
        lanes: &[Vec<&'b ChangeBatch>],
        selected: impl Fn(usize) -> Option<&'s [u32]>,
        keys: impl Fn(&'b ChangeBatch) -> Of,
    ) -> Vec<Pick> {
        self.list(lanes, selected, keys);
        while self.ends.len() > 1 {
            self.merge_pairs();
        }
        self.entries.iter().map(|&(_, pick)| pick).collect()
    }

    fn list<'s, 'b, Of: Fn(usize) -> K>(
        &mut self,
        lanes: &[Vec<&'b ChangeBatch>],
        selected: impl Fn(usize) -> Option<&'s [u32]>,
        keys: impl Fn(&'b ChangeBatch) -> Of,
    ) {
        self.entries.clear();
        self.ends.clear();
        let mut part = 0;
        for lane in lanes {
            let begin = self.entries.len();
            for batch in lane {
                let key = keys(batch);
                let entry = |row: u32| (key(row as usize), Pick { part, row });
                match selected(part as usize) {
                    Some(rows) => self.entries.extend(rows.iter().copied().map(entry)),
                    None => self.entries.extend((0..batch.len() as u32).map(entry)),
                }
                part += 1;
            }
            let own = &self.entries[begin..];
            debug_assert!(own.is_sorted_by_key(|&(key, _)| key), "a lane has its rows in order");
            self.ends.push(self.entries.len());
        }
    }

    /// Makes one list of each two neighbours.
    fn merge_pairs(&mut self) {
        let Self { entries, merged, ends } = self;
        // As long as the other, whatever stands in it.
        merged.truncate(entries.len());
        merged.extend_from_slice(&entries[merged.len()..]);
        let (mut begin, mut pairs) = (0, Vec::with_capacity(ends.len().div_ceil(2)));
        for pair in ends.chunks(2) {
            let (middle, end) = (pair[0], pair[pair.len() - 1]);
            let (left, right) = (&entries[begin..middle], &entries[middle..end]);
            let out = &mut merged[begin..end];
            let rows = [left.len(), right.len()];
            merge(
                rows,
                |row| left[row].0,
                |row| right[row].0,
                |to, is_second, row| {
                    out[to] = if is_second { right[row] } else { left[row] };
                },
            );
            pairs.push(end);
            begin = end;
        }
        *ends = pairs;
        std::mem::swap(entries, merged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use velostream_sql::types::DataType;

    /// What becomes of a group: the marks of its rows.
    const CHANGES: [&[Op]; 3] = [&[Op::Insert], &[Op::Delete], &[Op::UpdateBefore, Op::UpdateAfter]];

    /// A step's rows, each with its mark and the number of its group.
    type Row = (u64, Op, i64);

    fn batch(rows: &[Row]) -> ChangeBatch {
        let mut batch = ChangeBatch::new(&[DataType::BigInt]);
        for &(seq, op, number) in rows {
            let Values::I64(numbers) = &mut batch.columns[0].values else { unreachable!("it is BIGINT") };
            numbers.push(number);
            batch.columns[0].validity.extend_valid(batch.ops.len(), 1);
            batch.push_mark(op, Seq(seq), 0);
        }
        batch
    }

    proptest! {
        /// Each step changes some groups, of three lanes. In each lane, and in the whole, groups that go come first, all by
        /// their numbers; an old row stands before the new one.
        #[test]
        fn groups_of_a_step_stand_by_their_first_records_and_those_that_go_before_the_others(
            steps in prop::collection::vec(prop::collection::btree_map(0..6_i64, (0..3_usize, 0..3_usize), 0..4), 1..20),
            of in 1..9_usize,
        ) {
            let mut lanes = vec![Vec::new(); 3];
            let mut expected: Vec<Row> = Vec::new();
            for (seq, step) in (1..).zip(&steps) {
                for goes in [true, false] {
                    let groups = step.iter().filter(|(_, (_, change))| (CHANGES[*change][0] == Op::Delete) == goes);
                    for (&number, &(lane, change)) in groups {
                        let rows = CHANGES[change].iter().map(|&op| (seq, op, number));
                        lanes[lane].extend(rows.clone());
                        expected.extend(rows);
                    }
                }
            }
            let batches: Vec<Vec<ChangeBatch>> =
                lanes.iter().map(|rows| rows.chunks(of).map(batch).collect()).collect();
            let views: Vec<Vec<&ChangeBatch>> = batches.iter().map(|lane| lane.iter().collect()).collect();
            let parts: Vec<&[Row]> = lanes.iter().flat_map(|rows| rows.chunks(of)).collect();
            let picks = Merger::default().order(&views, Order::ByGroup);
            let found: Vec<Row> = picks.iter().map(|pick| parts[pick.part as usize][pick.row as usize]).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
