//! A queue per group, open at both ends.

use super::{
    GroupId, SnapshotReader, SnapshotWriter, State, Storable, TextKey, read_length, read_values, write_length,
};
use crate::error::Result;
use std::collections::VecDeque;

/// What a queue can hold.
pub trait QueueEntry: Clone + Storable {
    /// Bytes owned beyond the entry itself.
    fn owned_bytes(&self) -> usize {
        0
    }
}

impl QueueEntry for i64 {}
impl QueueEntry for i128 {}
impl QueueEntry for (i64, u32) {}
impl QueueEntry for TextKey {
    fn owned_bytes(&self) -> usize {
        self.0.len()
    }
}

/// How to take a write back.
#[derive(Debug)]
enum Change<T> {
    PushedBack(GroupId),
    PoppedBack(GroupId, T),
    PoppedFront(GroupId, T),
    Inserted(GroupId, usize),
}

/// Entries in an order that the owner gives, one queue per group, with undo.
#[derive(Debug)]
pub struct GroupQueues<T> {
    queues: Vec<VecDeque<T>>,
    log: Vec<Change<T>>,
    /// At each open savepoint: length of `log` and number of groups.
    marks: Vec<(usize, usize)>,
    /// Room in all queues, entries.
    capacity: usize,
    /// Bytes that the entries own.
    owned: usize,
}

impl<T> Default for GroupQueues<T> {
    fn default() -> Self {
        Self { queues: Vec::new(), log: Vec::new(), marks: Vec::new(), capacity: 0, owned: 0 }
    }
}

impl<T: QueueEntry> GroupQueues<T> {
    /// Makes room for `groups` groups; new ones are empty.
    pub fn grow(&mut self, groups: usize) {
        if groups > self.queues.len() {
            self.queues.resize_with(groups, VecDeque::new);
        }
    }

    /// The entries of a group, front first.
    #[must_use]
    #[inline]
    pub fn queue(&self, group: GroupId) -> &VecDeque<T> {
        &self.queues[group as usize]
    }

    /// The queues of all groups.
    pub fn queues(&self) -> impl Iterator<Item = &VecDeque<T>> {
        self.queues.iter()
    }

    fn with_room(&mut self, group: GroupId, entry: &T) -> &mut VecDeque<T> {
        self.owned += entry.owned_bytes();
        let queue = &mut self.queues[group as usize];
        if queue.len() == queue.capacity() {
            let before = queue.capacity();
            queue.reserve(1);
            self.capacity += queue.capacity() - before;
        }
        queue
    }

    /// Appends an entry.
    #[inline]
    pub fn push_back(&mut self, group: GroupId, entry: T) {
        self.with_room(group, &entry).push_back(entry);
        if !self.marks.is_empty() {
            self.log.push(Change::PushedBack(group));
        }
    }

    /// Puts an entry at a position, before what stands there.
    pub fn insert(&mut self, group: GroupId, at: usize, entry: T) {
        self.with_room(group, &entry).insert(at, entry);
        if !self.marks.is_empty() {
            self.log.push(Change::Inserted(group, at));
        }
    }

    /// Takes the first entry out.
    #[inline]
    pub fn pop_front(&mut self, group: GroupId) -> Option<T> {
        let entry = self.queues[group as usize].pop_front()?;
        self.owned -= entry.owned_bytes();
        if !self.marks.is_empty() {
            self.log.push(Change::PoppedFront(group, entry.clone()));
        }
        Some(entry)
    }

    /// Takes the last entry out.
    #[inline]
    pub fn pop_back(&mut self, group: GroupId) -> Option<T> {
        let entry = self.queues[group as usize].pop_back()?;
        self.owned -= entry.owned_bytes();
        if !self.marks.is_empty() {
            self.log.push(Change::PoppedBack(group, entry.clone()));
        }
        Some(entry)
    }

    /// Takes everything out. No savepoint is open.
    pub fn clear(&mut self) {
        debug_assert!(self.marks.is_empty());
        *self = Self::default();
    }

    fn take_back(&mut self, change: Change<T>) {
        match change {
            Change::PushedBack(group) => {
                let gone = self.queues[group as usize].pop_back();
                self.owned -= gone.map_or(0, |entry| entry.owned_bytes());
            }
            Change::Inserted(group, at) => {
                let gone = self.queues[group as usize].remove(at);
                self.owned -= gone.map_or(0, |entry| entry.owned_bytes());
            }
            Change::PoppedBack(group, entry) => self.with_room(group, &entry).push_back(entry),
            Change::PoppedFront(group, entry) => self.with_room(group, &entry).push_front(entry),
        }
    }
}

impl<T: QueueEntry> State for GroupQueues<T> {
    fn savepoint(&mut self) {
        self.marks.push((self.log.len(), self.queues.len()));
    }

    fn rollback(&mut self) {
        let (log, groups) = self.marks.pop().expect("rollback follows savepoint");
        while self.log.len() > log {
            let change = self.log.pop().expect("the log is longer than its mark");
            self.take_back(change);
        }
        let gone = self.queues.drain(groups..).map(|queue| queue.capacity());
        self.capacity -= gone.sum::<usize>();
    }

    fn commit(&mut self) {
        self.marks.pop().expect("commit follows savepoint");
        if self.marks.is_empty() {
            self.log.clear();
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        write_length(self.queues.len(), writer)?;
        for queue in &self.queues {
            write_length(queue.len(), writer)?;
            queue.iter().try_for_each(|entry| entry.store(writer))?;
        }
        Ok(())
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.clear();
        for _ in 0..read_length(reader)? {
            let queue = VecDeque::from(read_values::<T>(reader)?);
            self.capacity += queue.capacity();
            self.owned += queue.iter().map(QueueEntry::owned_bytes).sum::<usize>();
            self.queues.push(queue);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.queues.capacity() * size_of::<VecDeque<T>>()
            + self.capacity * size_of::<T>()
            + self.owned
            + self.log.capacity() * size_of::<Change<T>>()
    }

    fn release(&mut self) {
        // The groups stay, each with an empty queue: whoever has made room for one may rely on it.
        self.queues.iter_mut().for_each(|queue| *queue = VecDeque::new());
        self.log = Vec::new();
        (self.capacity, self.owned) = (0, 0);
    }
}
