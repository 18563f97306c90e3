//! Changes of several producers, in the order of their sequence numbers.

use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::column::{Pick, Values};
use velostream_sql::shares::Order;

/// Buffers of a merge; reused.
#[derive(Default)]
pub struct Merger {
    by_number: Lists<Seq>,
    by_rank: Lists<Rank>,
}

/// Where a row stands among those of its number: those that go before those that come, each by window, where that
/// counts, and by the number in its last column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    seq: Seq,
    comes: bool,
    window: i64,
    number: i64,
}

impl Merger {
    /// The order of the rows of all lanes, whose batches count as parts one lane after the other. Each lane is a number of
    /// batches that ascend together. Rows of one number that come from several lanes stand in the given order, else in
    /// that of the lanes, so that the result depends on nothing but the rows.
    pub fn order(&mut self, lanes: &[Vec<&ChangeBatch>], order: Order) -> Vec<Pick> {
        match order {
            Order::ByRecord => self.by_number.merge(lanes, |part, row| part.seqs[row]),
            Order::ByWindow | Order::ByGroup => {
                let rank = |part: &ChangeBatch, row: usize| rank(part, row, order == Order::ByWindow);
                self.by_rank.merge(lanes, rank)
            }
        }
    }
}

fn rank(part: &ChangeBatch, row: usize, by_window: bool) -> Rank {
    let number = match part.columns.last().map(|column| &column.values) {
        Some(Values::I64(values)) => values[row],
        _ => 0,
    };
    let window = if by_window { part.event_times[row] } else { 0 };
    Rank { seq: part.seqs[row], comes: part.ops[row].is_addition(), window, number }
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
    /// All rows of the lanes by their keys, those of equal keys by the lanes.
    fn merge(&mut self, lanes: &[Vec<&ChangeBatch>], key: impl Fn(&ChangeBatch, usize) -> K) -> Vec<Pick> {
        self.list(lanes, key);
        while self.ends.len() > 1 {
            self.merge_pairs();
        }
        self.entries.iter().map(|&(_, pick)| pick).collect()
    }

    fn list(&mut self, lanes: &[Vec<&ChangeBatch>], key: impl Fn(&ChangeBatch, usize) -> K) {
        self.entries.clear();
        self.ends.clear();
        let mut part = 0;
        for lane in lanes {
            let begin = self.entries.len();
            for batch in lane {
                let entry = |row: usize| (key(batch, row), Pick { part, row: row as u32 });
                self.entries.extend((0..batch.len()).map(entry));
                part += 1;
            }
            let own = &self.entries[begin..];
            debug_assert!(own.is_sorted_by_key(|&(key, _)| key), "a lane has its rows in order");
            self.ends.push(self.entries.len());
        }
    }

    /// Makes one list of each two neighbours.
    fn merge_pairs(&mut self) {
        self.merged.clear();
        let mut begin = 0;
        let mut ends = Vec::with_capacity(self.ends.len().div_ceil(2));
        for pair in self.ends.chunks(2) {
            let (middle, end) = (pair[0], pair[pair.len() - 1]);
            merge_two(&self.entries[begin..middle], &self.entries[middle..end], &mut self.merged);
            ends.push(end);
            begin = end;
        }
        self.ends = ends;
        std::mem::swap(&mut self.entries, &mut self.merged);
    }
}

/// Appends two lists as one. Which of them comes next is as good as random, so nothing branches on it.
fn merge_two<K: Copy + Ord>(left: &[(K, Pick)], right: &[(K, Pick)], merged: &mut Vec<(K, Pick)>) {
    let (mut at, mut other) = (0, 0);
    while let (Some(one), Some(two)) = (left.get(at), right.get(other)) {
        let takes_right = two.0 < one.0;
        merged.push(if takes_right { *two } else { *one });
        other += usize::from(takes_right);
        at += usize::from(!takes_right);
    }
    merged.extend_from_slice(&left[at..]);
    merged.extend_from_slice(&right[other..]);
}
