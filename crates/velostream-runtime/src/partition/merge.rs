//! Changes of several producers, in the order of their sequence numbers.

use std::cmp::Ordering;
use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::column::{Pick, Values};
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
    seq_and_comes: u64,
    window: i64,
    number: i64,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |rank: &Self| (rank.seq_and_comes, rank.window, rank.number);
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
        let same = self.seq_and_comes == other.seq_and_comes;
        (self.seq_and_comes < other.seq_and_comes) | same & windows
    }
}

impl Merger {
    /// The order of the rows of all lanes, whose batches count as parts one lane after the other. Each lane is a number of
    /// batches that ascend together. Rows of one number that come from several lanes stand in the given order, else in
    /// that of the lanes, so that the result depends on nothing but the rows.
    pub fn order(&mut self, lanes: &[Vec<&ChangeBatch>], order: Order) -> Vec<Pick> {
        match order {
            Order::ByRecord => self.by_number.order(lanes, |part, row| part.seqs[row]),
            Order::ByWindow => self.by_rank.order(lanes, |part, row| rank(part, row, part.event_times[row])),
            Order::ByGroup => self.by_rank.order(lanes, |part, row| rank(part, row, 0)),
        }
    }

    /// The order of some rows of all lanes: of each batch those that `selected` has for it, or all. By number; no two lanes
    /// have rows of the same one.
    pub fn order_selected(&mut self, lanes: &[Vec<&ChangeBatch>], selected: &[Option<&[u32]>]) -> Vec<Pick> {
        self.by_number.order_selected(lanes, |part| selected[part], |part, row| part.seqs[row])
    }
}

#[inline]
fn rank(part: &ChangeBatch, row: usize, window: i64) -> Rank {
    let number = match part.columns.last().map(|column| &column.values) {
        Some(Values::I64(values)) => values[row],
        _ => 0,
    };
    let seq_and_comes = part.seqs[row].0 << 1 | u64::from(part.ops[row].is_addition());
    Rank { seq_and_comes, window, number }
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
    fn order(&mut self, lanes: &[Vec<&ChangeBatch>], key: impl Fn(&ChangeBatch, usize) -> K) -> Vec<Pick> {
        if let [one, two] = lanes
            && let ([one], [two]) = (one.as_slice(), two.as_slice())
        {
            return order_of_two([one, two], key);
        }
        self.order_selected(lanes, |_| None, key)
    }

    /// The same of the selected rows of the lanes' batches, where some are.
    fn order_selected<'s>(
        &mut self,
        lanes: &[Vec<&ChangeBatch>],
        selected: impl Fn(usize) -> Option<&'s [u32]>,
        key: impl Fn(&ChangeBatch, usize) -> K,
    ) -> Vec<Pick> {
        self.list(lanes, selected, key);
        while self.ends.len() > 1 {
            self.merge_pairs();
        }
        self.entries.iter().map(|&(_, pick)| pick).collect()
    }

    fn list<'s>(
        &mut self,
        lanes: &[Vec<&ChangeBatch>],
        selected: impl Fn(usize) -> Option<&'s [u32]>,
        key: impl Fn(&ChangeBatch, usize) -> K,
    ) {
        self.entries.clear();
        self.ends.clear();
        let mut part = 0;
        for lane in lanes {
            let begin = self.entries.len();
            for batch in lane {
                let entry = |row: u32| (key(batch, row as usize), Pick { part, row });
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

/// The same of two batches.
fn order_of_two<K: Ord>(batches: [&ChangeBatch; 2], key: impl Fn(&ChangeBatch, usize) -> K) -> Vec<Pick> {
    let [one, two] = batches;
    let mut picks = Vec::with_capacity(one.len() + two.len());
    let (mut at, mut other) = (0, 0);
    while at < one.len() && other < two.len() {
        let takes_other = key(two, other) < key(one, at);
        let row = if takes_other { other } else { at };
        picks.push(Pick { part: u32::from(takes_other), row: row as u32 });
        other += usize::from(takes_other);
        at += usize::from(!takes_other);
    }
    picks.extend((at..one.len()).map(|row| Pick { part: 0, row: row as u32 }));
    picks.extend((other..two.len()).map(|row| Pick { part: 1, row: row as u32 }));
    picks
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
