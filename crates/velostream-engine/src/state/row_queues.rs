//! Rows in the order of their times, one queue per group.

use super::{GroupId, GroupQueues, RowStore, Slots, SnapshotReader, SnapshotWriter, State};
use crate::column::Column;
use crate::error::{EngineError, Result};
use crate::time::EventTime;
use std::collections::VecDeque;
use velostream_sql::types::DataType;

/// Per group a queue of rows that ascends by time; rows of one time stand in the order in which they came. The
/// values lie in shared columns by slot, and slots are used again.
#[derive(Debug)]
pub struct RowQueues {
    rows: RowStore,
    /// Time and slot of each row.
    order: GroupQueues<(EventTime, u32)>,
    slots: Slots,
}

impl RowQueues {
    /// No rows of these types.
    #[must_use]
    pub fn new(types: &[DataType]) -> Self {
        Self { rows: RowStore::new(types), order: GroupQueues::default(), slots: Slots::default() }
    }

    /// Makes room for `groups` groups; new ones are empty.
    pub fn grow(&mut self, groups: usize) {
        self.order.grow(groups);
    }

    /// Time and slot of each row of a group, in order.
    #[must_use]
    #[inline]
    pub fn order(&self, group: GroupId) -> &VecDeque<(EventTime, u32)> {
        self.order.queue(group)
    }

    /// The columns, indexed by slot.
    #[must_use]
    #[inline]
    pub fn columns(&self) -> &[Column] {
        self.rows.columns()
    }

    /// Slots, free ones included.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// How many rows of a group are not younger than `time`.
    #[must_use]
    pub fn count_until(&self, group: GroupId, time: EventTime) -> usize {
        self.order(group).partition_point(|&(other, _)| other <= time)
    }

    /// How many rows of a group are older than `time`.
    #[must_use]
    pub fn count_before(&self, group: GroupId, time: EventTime) -> usize {
        self.order(group).partition_point(|&(other, _)| other < time)
    }

    #[inline]
    fn put<'a>(&mut self, source: impl Fn(usize) -> &'a Column, row: usize) -> u32 {
        let slot = self.slots.take();
        if slot as usize == self.rows.len() {
            self.rows.push(source, row);
        } else {
            self.rows.set(slot, source, row);
        }
        slot
    }

    /// Appends row `row` of the columns that `source` gives, which is not older than the group's last; gives its slot.
    #[inline]
    pub fn push<'a>(
        &mut self,
        group: GroupId,
        time: EventTime,
        source: impl Fn(usize) -> &'a Column,
        row: usize,
    ) -> u32 {
        debug_assert!(self.order(group).back().is_none_or(|&(last, _)| last <= time), "rows ascend by time");
        let slot = self.put(source, row);
        self.order.push_back(group, (time, slot));
        slot
    }

    /// Puts a row behind all that are not younger; gives its position.
    pub fn insert<'a>(
        &mut self,
        group: GroupId,
        time: EventTime,
        source: impl Fn(usize) -> &'a Column,
        row: usize,
    ) -> usize {
        let at = self.count_until(group, time);
        let slot = self.put(source, row);
        self.order.insert(group, at, (time, slot));
        at
    }

    /// Takes the group's first row out.
    #[inline]
    pub fn drop_front(&mut self, group: GroupId) {
        if let Some((_, slot)) = self.order.pop_front(group) {
            self.slots.put_back(slot);
        }
    }

    /// Whether every slot in use stands in one queue, and every queue ascends.
    fn is_consistent(&self) -> bool {
        let mut queued = vec![false; self.rows.len()];
        let mut mark = |slot: u32| match queued.get_mut(slot as usize) {
            Some(queued) => !std::mem::replace(queued, true),
            None => false,
        };
        let mut sound = self.slots.capacity() == self.rows.len();
        for queue in self.order.queues() {
            sound &= queue.iter().all(|&(_, slot)| mark(slot));
            sound &= queue.iter().is_sorted_by_key(|&(time, _)| time);
        }
        sound && self.order.queues().map(VecDeque::len).sum::<usize>() == self.slots.len()
    }
}

impl State for RowQueues {
    fn savepoint(&mut self) {
        self.rows.savepoint();
        self.order.savepoint();
        self.slots.savepoint();
    }

    fn rollback(&mut self) {
        self.rows.rollback();
        self.order.rollback();
        self.slots.rollback();
    }

    fn commit(&mut self) {
        self.rows.commit();
        self.order.commit();
        self.slots.commit();
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.rows.snapshot(writer)?;
        self.order.snapshot(writer)?;
        self.slots.snapshot(writer)
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.rows.restore(reader)?;
        self.order.restore(reader)?;
        self.slots.restore(reader)?;
        if self.is_consistent() {
            Ok(())
        } else {
            Err(EngineError::Snapshot("queued rows are damaged".into()))
        }
    }

    fn bytes(&self) -> usize {
        self.rows.bytes() + self.order.bytes() + self.slots.bytes()
    }

    fn release(&mut self) {
        self.rows.release();
        self.order.release();
        self.slots.release();
    }
}
