//! Changes of several producers, in the order of their sequence numbers.

use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::column::{Pick, Values};
use velostream_sql::shares::Order;

/// Buffers of a merge; reused.
#[derive(Default)]
pub struct Merger {
    by_number: Lists<Seq>,
    by_rank: Lists<Rank>,
    picks: Vec<Pick>,
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
    /// Appends some rows of all lanes to `out`, which has the same columns: of each batch those that `selected` has for it,
    /// or all. By number; no two lanes have rows of the same one.
    pub fn merge_selected(
        &mut self,
        lanes: &[Vec<&ChangeBatch>],
        selected: &[Option<&[u32]>],
        out: &mut ChangeBatch,
    ) {
        let parts: Vec<&ChangeBatch> = lanes.iter().flatten().copied().collect();
        if let ([part], [Some(rows)]) = (parts.as_slice(), selected) {
            return out.extend_selected(part, rows);
        }
        self.picks.clear();
        self.by_number.merge(lanes, |part| selected[part], |part, row| part.seqs[row], &mut self.picks);
        out.extend_picked(&parts, &self.picks);
    }

    /// Appends the rows of all lanes to `out`, which has the same columns. Each lane is a number of batches that ascend
    /// together. Rows of one number that come from several lanes stand in the given order, else in that of the lanes, so
    /// that the result depends on nothing but the rows.
    pub fn merge(&mut self, lanes: &[Vec<&ChangeBatch>], order: Order, out: &mut ChangeBatch) {
        let parts: Vec<&ChangeBatch> = lanes.iter().flatten().copied().collect();
        if let [part] = parts.as_slice() {
            return out.extend_range(part, 0, part.len());
        }
        self.picks.clear();
        match order {
            Order::ByRecord => {
                self.by_number.merge(lanes, |_| None, |part, row| part.seqs[row], &mut self.picks);
            }
            Order::ByWindow | Order::ByGroup => {
                let rank = |part: &ChangeBatch, row: usize| rank(part, row, order == Order::ByWindow);
                self.by_rank.merge(lanes, |_| None, rank, &mut self.picks);
            }
        }
        out.extend_picked(&parts, &self.picks);
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
    /// Appends the selected rows of the lanes' batches, or all of them, by their keys, those of equal keys by the lanes.
    fn merge<'s>(
        &mut self,
        lanes: &[Vec<&ChangeBatch>],
        selected: impl Fn(usize) -> Option<&'s [u32]>,
        key: impl Fn(&ChangeBatch, usize) -> K,
        picks: &mut Vec<Pick>,
    ) {
        self.list(lanes, selected, key);
        while self.ends.len() > 1 {
            self.merge_pairs();
        }
        picks.extend(self.entries.iter().map(|&(_, pick)| pick));
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
