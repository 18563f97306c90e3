//! Partitions that nothing can need any more: where every call takes rows of some last time alone, one whose rows
//! have all grown too old goes, and comes again as a new one.

use super::call::{Call, Computation};
use super::lane::{Lane, Partitions};
use crate::state::{GroupId, GroupQueues, composite_state};
use velostream_sql::plan::Frame;

/// The one queue.
const ALL: u32 = 0;

/// When to look at each partition again, the earliest first but for disordered rows.
pub(super) struct Dues {
    queue: GroupQueues<(i64, GroupId)>,
    /// The age at which rows leave every frame, microseconds.
    range: i64,
}
composite_state!(Dues { queue });

impl Dues {
    /// No partitions; `None` where calls can need a partition for ever.
    pub(super) fn new(calls: &[Call]) -> Option<Self> {
        let range = |call: &Call| match (call.computation, call.spec.frame) {
            (Computation::Lag { .. }, _) => None,
            (_, Frame::Range { micros }) => Some(micros),
            (_, Frame::Rows { .. } | Frame::Unbounded) => None,
        };
        let ranges: Option<Vec<i64>> = calls.iter().map(range).collect();
        let range = ranges?.into_iter().max()?;
        let mut queue = GroupQueues::default();
        queue.grow(1);
        Some(Self { queue, range })
    }

    /// Adds a partition, each once, whose last row is of this time.
    pub(super) fn push(&mut self, last: i64, group: GroupId) {
        self.queue.push_back(ALL, (last.saturating_add(self.range), group));
    }

    fn pop_before(&mut self, passed: i64) -> Option<GroupId> {
        let &(due, _) = self.queue.queue(ALL).front()?;
        if due < passed { self.queue.pop_front(ALL).map(|(_, group)| group) } else { None }
    }
}

impl Lane {
    /// Takes out the partitions all of whose rows are out of any frame to come; none older than `passed` comes.
    pub(super) fn expire(&mut self, passed: i64) {
        while let Some(dues) = &mut self.state.dues
            && let Some(group) = dues.pop_before(passed)
        {
            let last = self.state.rows.order(group).back().map_or(i64::MIN, |&(time, _)| time);
            if last.saturating_add(dues.range) < passed {
                self.remove(group);
            } else {
                dues.push(last, group);
            }
        }
    }

    /// Takes a partition out with all its rows.
    fn remove(&mut self, group: GroupId) {
        let Partitions { keys, rows, lengths, aggregates, .. } = &mut self.state;
        for call in &self.layout.calls {
            let Computation::Slide { aggregate, frame } = call.computation else { continue };
            let (aggregate, columns) = (&mut aggregates[aggregate], call.kept(rows));
            let out = rows.order(group).len() - lengths[frame].values()[group as usize] as usize;
            for &(_, slot) in rows.order(group).range(out..) {
                // Whatever a sum has lost on the way down, it begins anew.
                let _ = aggregate.retract_one(&columns, slot, group);
            }
            aggregate.reset(group);
        }
        lengths.iter_mut().for_each(|lengths| lengths.set(group, 0));
        while !rows.order(group).is_empty() {
            rows.drop_front(group);
        }
        keys.remove(group);
    }
}
