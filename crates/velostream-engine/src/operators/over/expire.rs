//! Partitions that nothing can need any more: where every call takes rows of some last time alone, one whose rows
//! have all grown too old goes, and comes again as a new one.

use super::call::Computation;
use super::{Layout, Over, Partitions};
use crate::state::{GroupId, GroupQueues, composite_state};
use velostream_sql::plan::Frame;

/// The one queue.
const ALL: u32 = 0;

/// When to look at each partition again, the earliest first but for disordered rows.
pub(super) struct Dues {
    queue: GroupQueues<(i64, GroupId)>,
}
composite_state!(Dues { queue });

impl Dues {
    /// No partitions.
    pub(super) fn new() -> Self {
        let mut queue = GroupQueues::default();
        queue.grow(1);
        Self { queue }
    }

    /// Adds a partition, each once.
    pub(super) fn push(&mut self, due: i64, group: GroupId) {
        self.queue.push_back(ALL, (due, group));
    }

    fn pop_before(&mut self, passed: i64) -> Option<GroupId> {
        let &(due, _) = self.queue.queue(ALL).front()?;
        if due < passed { self.queue.pop_front(ALL).map(|(_, group)| group) } else { None }
    }
}

/// How old the rows are that calls take at most, if all take rows of some last time.
pub(super) fn longest_range(layout: &Layout) -> Option<i64> {
    let range = |computation: Computation| match computation {
        Computation::Slide { frame, .. } | Computation::First { frame } => match layout.frames[frame] {
            Frame::Range { micros } => Some(micros),
            Frame::Rows { .. } | Frame::Unbounded => None,
        },
        Computation::Run { .. } | Computation::Fold { .. } | Computation::Lag { .. } => None,
    };
    let ranges: Option<Vec<i64>> = layout.calls.iter().map(|call| range(call.computation)).collect();
    ranges?.into_iter().max()
}

impl Over {
    /// Takes out the partitions all of whose rows are out of any frame to come; none older than `passed` comes.
    pub(super) fn expire(&mut self, range: i64, passed: i64) {
        while let Some(group) = self.state.dues.as_mut().and_then(|dues| dues.pop_before(passed)) {
            let last = self.state.rows.order(group).back().map_or(i64::MIN, |&(time, _)| time);
            let due = last.saturating_add(range);
            if due < passed {
                self.state.remove(group, &self.layout);
            } else if let Some(dues) = &mut self.state.dues {
                dues.push(due, group);
            }
        }
    }
}

impl Partitions {
    /// Takes a partition out with all its rows.
    fn remove(&mut self, group: GroupId, layout: &Layout) {
        let Self { keys, rows, lengths, aggregates, .. } = self;
        for call in &layout.calls {
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
