//! Changes of several producers, in the order of their sequence numbers.

use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::column::{Pick, Values};
use velostream_sql::shares::Order;

/// A row to be merged.
#[derive(Clone, Copy)]
struct Entry {
    seq: Seq,
    pick: Pick,
}

/// Buffers of a merge; reused.
#[derive(Default)]
pub struct Merger {
    entries: Vec<Entry>,
    merged: Vec<Entry>,
    /// Where the entries of each lane end.
    ends: Vec<usize>,
    picks: Vec<Pick>,
}

impl Merger {
    /// Appends the rows of all lanes to `out`, which has the same columns. Each lane is a number of batches that ascend
    /// together. Rows of one number that come from several lanes stand in the given order, else in that of the lanes, so
    /// that the result depends on nothing but the rows.
    pub fn merge(&mut self, lanes: &[Vec<&ChangeBatch>], order: Order, out: &mut ChangeBatch) {
        let parts: Vec<&ChangeBatch> = lanes.iter().flatten().copied().collect();
        if let [part] = parts.as_slice() {
            return out.extend_range(part, 0, part.len());
        }
        self.list(lanes);
        while self.ends.len() > 1 {
            self.merge_pairs();
        }
        if order != Order::ByRecord {
            let entries = self.entries.as_mut_slice();
            let steps = entries.chunk_by_mut(|left, right| left.seq == right.seq);
            steps.for_each(|step| sort_step(&parts, lanes, order, step));
        }
        self.picks.clear();
        self.picks.extend(self.entries.iter().map(|entry| entry.pick));
        out.extend_picked(&parts, &self.picks);
    }

    /// Takes the rows of each lane in.
    fn list(&mut self, lanes: &[Vec<&ChangeBatch>]) {
        self.entries.clear();
        self.ends.clear();
        let mut part = 0;
        for lane in lanes {
            for batch in lane {
                let rows = (0_u32..).zip(&batch.seqs);
                self.entries.extend(rows.map(|(row, &seq)| Entry { seq, pick: Pick { part, row } }));
                part += 1;
            }
            self.ends.push(self.entries.len());
        }
    }

    /// Makes one lane of each two neighbours.
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
fn merge_two(left: &[Entry], right: &[Entry], merged: &mut Vec<Entry>) {
    let (mut at, mut other) = (0, 0);
    while let (Some(one), Some(two)) = (left.get(at), right.get(other)) {
        let takes_right = two.seq < one.seq;
        merged.push(if takes_right { *two } else { *one });
        other += usize::from(takes_right);
        at += usize::from(!takes_right);
    }
    merged.extend_from_slice(&left[at..]);
    merged.extend_from_slice(&right[other..]);
}

/// Sorts the rows of one number if they come from several lanes: those that go before those that come, each in the given
/// order.
fn sort_step(parts: &[&ChangeBatch], lanes: &[Vec<&ChangeBatch>], order: Order, step: &mut [Entry]) {
    let (Some(first), Some(last)) = (step.first(), step.last()) else { return };
    if lane_of(lanes, first.pick) == lane_of(lanes, last.pick) {
        return;
    }
    let key = |pick: Pick| {
        let (part, row) = (parts[pick.part as usize], pick.row as usize);
        let window = if order == Order::ByWindow { part.event_times[row] } else { 0 };
        (part.ops[row].is_addition(), window, number(part, row), pick)
    };
    step.sort_unstable_by(|left, right| key(left.pick).cmp(&key(right.pick)));
}

fn lane_of(lanes: &[Vec<&ChangeBatch>], pick: Pick) -> usize {
    let mut parts = 0;
    lanes
        .iter()
        .take_while(|lane| {
            parts += lane.len();
            parts <= pick.part as usize
        })
        .count()
}

/// The number in a row's last column.
fn number(batch: &ChangeBatch, row: usize) -> i64 {
    match batch.columns.last().map(|column| &column.values) {
        Some(Values::I64(values)) => values[row],
        _ => 0,
    }
}
