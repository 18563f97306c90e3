//! Sessions of keys in time and, where rows can go, the moments that they are made of.

use super::{GroupId, Slots, SnapshotReader, SnapshotWriter, State, Storable};
use crate::error::{EngineError, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Bytes of a tree entry besides what it holds: its share of the node.
const ENTRY_OVERHEAD: usize = 8;

/// What a stretch of time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// A session.
    Session = 0,
    /// All rows of a key at one time.
    Moment = 1,
}

/// A stretch of a key's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Session {
    /// The key's group.
    pub key: GroupId,
    /// The time of the first row.
    pub first: i64,
    /// The time of the last row.
    pub last: i64,
    /// When its first row came, in order of coming.
    pub birth: u64,
    /// Rows in it.
    pub rows: i64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    layer: Layer,
    session: Session,
    /// Under which time a session waits to become due: at most its last.
    queued: i64,
}

/// What happened to a number while a savepoint is open.
#[derive(Debug)]
enum Entry {
    Opened(GroupId),
    Changed(GroupId, Session),
    Closed(GroupId),
}

/// Stretches under numbers, in order of key and beginning; those of one key and layer begin at different times.
///
/// Sessions wait to become due in a queue that is brought up to date only when they seem to be, so that a session
/// that grows costs nothing there.
#[derive(Debug, Default)]
pub struct Sessions {
    numbers: Slots,
    /// What stands under each number; nothing that counts under a free one.
    slots: Vec<Slot>,
    by_first: BTreeMap<(Layer, GroupId, i64), GroupId>,
    queue: BTreeSet<(i64, GroupId)>,
    log: Vec<Entry>,
    marks: Vec<usize>,
}

impl Sessions {
    /// Open sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no session is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// One more than the largest number given so far.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.numbers.capacity()
    }

    /// The stretch under a number.
    #[must_use]
    pub fn get(&self, id: GroupId) -> &Session {
        &self.slots[id as usize].session
    }

    /// The stretch of a key that begins last of those that begin at `time` or before.
    #[must_use]
    pub fn at_or_before(&self, layer: Layer, key: GroupId, time: i64) -> Option<GroupId> {
        let range = self.by_first.range((layer, key, i64::MIN)..=(layer, key, time));
        range.last().map(|(_, &id)| id)
    }

    /// The stretch of a key that begins first of those that begin after `time`.
    #[must_use]
    pub fn after(&self, layer: Layer, key: GroupId, time: i64) -> Option<GroupId> {
        let range = (Bound::Excluded((layer, key, time)), Bound::Included((layer, key, i64::MAX)));
        self.by_first.range(range).next().map(|(_, &id)| id)
    }

    /// Gives a stretch a number.
    pub fn open(&mut self, layer: Layer, session: Session) -> GroupId {
        let id = self.numbers.take();
        let slot = Slot { layer, session, queued: session.last };
        self.slots.resize(self.capacity(), slot);
        self.slots[id as usize] = slot;
        self.enter(id);
        self.note(Entry::Opened(id));
        id
    }

    /// Makes another stretch of the one under a number, of the same key.
    pub fn set(&mut self, id: GroupId, session: Session) {
        let before = self.replace(id, session);
        self.note(Entry::Changed(id, before));
    }

    /// Takes a stretch out; its number is used again.
    pub fn close(&mut self, id: GroupId) {
        self.leave(id);
        self.numbers.put_back(id);
        self.note(Entry::Closed(id));
    }

    fn note(&mut self, entry: Entry) {
        if !self.marks.is_empty() {
            self.log.push(entry);
        }
    }

    /// A time before which no session ends; the earliest end, or too early.
    #[must_use]
    pub fn first_due(&self) -> Option<i64> {
        self.queue.first().map(|&(queued, _)| queued)
    }

    /// Appends the sessions whose last row is at `time` or before.
    pub fn due(&mut self, time: i64, ids: &mut Vec<GroupId>) {
        let mut passed = Bound::Unbounded;
        while let Some(&(queued, id)) = self.queue.range((passed, Bound::Unbounded)).next()
            && queued <= time
        {
            if self.get(id).last == queued {
                ids.push(id);
            } else {
                self.requeue(id);
            }
            passed = Bound::Excluded((queued, id));
        }
    }

    fn requeue(&mut self, id: GroupId) {
        let slot = &mut self.slots[id as usize];
        self.queue.remove(&(slot.queued, id));
        slot.queued = slot.session.last;
        self.queue.insert((slot.queued, id));
    }

    fn place(slot: &Slot) -> (Layer, GroupId, i64) {
        (slot.layer, slot.session.key, slot.session.first)
    }

    /// Enters what stands in a slot.
    fn enter(&mut self, id: GroupId) {
        let slot = &mut self.slots[id as usize];
        slot.queued = slot.session.last;
        let other = self.by_first.insert(Self::place(slot), id);
        debug_assert!(other.is_none(), "stretches of one key begin at different times");
        if slot.layer == Layer::Session {
            self.queue.insert((slot.queued, id));
        }
    }

    fn leave(&mut self, id: GroupId) {
        let slot = &self.slots[id as usize];
        self.by_first.remove(&Self::place(slot));
        if slot.layer == Layer::Session {
            self.queue.remove(&(slot.queued, id));
        }
    }

    fn replace(&mut self, id: GroupId, session: Session) -> Session {
        let slot = &mut self.slots[id as usize];
        let before = slot.session;
        debug_assert_eq!(before.key, session.key);
        if before.first != session.first {
            self.by_first.remove(&Self::place(slot));
            slot.session = session;
            self.by_first.insert(Self::place(slot), id);
        }
        slot.session = session;
        if slot.layer == Layer::Session && slot.queued > session.last {
            self.requeue(id);
        }
        before
    }

    /// Appends the slot of the next number as a snapshot has it.
    fn load_slot(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        let (is_free, is_moment) = (bool::load(reader)?, bool::load(reader)?);
        let layer = if is_moment { Layer::Moment } else { Layer::Session };
        let session = Session::load(reader)?;
        let slot = Slot { layer, session, queued: session.last };
        self.slots.push(slot);
        if is_free {
            return Ok(());
        }
        if self.by_first.contains_key(&Self::place(&slot)) {
            return Err(EngineError::Snapshot("the sessions are damaged".into()));
        }
        self.enter(self.slots.len() as u32 - 1);
        Ok(())
    }
}

impl Storable for Session {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.key.store(writer)?;
        self.first.store(writer)?;
        self.last.store(writer)?;
        self.birth.store(writer)?;
        self.rows.store(writer)
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        Ok(Self {
            key: u32::load(reader)?,
            first: i64::load(reader)?,
            last: i64::load(reader)?,
            birth: u64::load(reader)?,
            rows: i64::load(reader)?,
        })
    }
}

impl State for Sessions {
    fn savepoint(&mut self) {
        self.numbers.savepoint();
        self.marks.push(self.log.len());
    }

    fn rollback(&mut self) {
        let mark = self.marks.pop().expect("rollback follows savepoint");
        while self.log.len() > mark {
            match self.log.pop().expect("the log is longer than its mark") {
                Entry::Opened(id) => self.leave(id),
                Entry::Changed(id, before) => {
                    self.replace(id, before);
                }
                Entry::Closed(id) => self.enter(id),
            }
        }
        self.numbers.rollback();
        self.slots.truncate(self.numbers.capacity());
    }

    fn commit(&mut self) {
        self.numbers.commit();
        self.marks.pop().expect("commit follows savepoint");
        if self.marks.is_empty() {
            self.log.clear();
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.numbers.snapshot(writer)?;
        let mut is_free = vec![true; self.slots.len()];
        self.by_first.values().for_each(|&id| is_free[id as usize] = false);
        for (slot, is_free) in self.slots.iter().zip(is_free) {
            is_free.store(writer)?;
            (slot.layer == Layer::Moment && !is_free).store(writer)?;
            if is_free { Session::default() } else { slot.session }.store(writer)?;
        }
        Ok(())
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.slots.clear();
        self.by_first.clear();
        self.queue.clear();
        self.numbers.restore(reader)?;
        (0..self.numbers.capacity()).try_for_each(|_| self.load_slot(reader))
    }

    fn bytes(&self) -> usize {
        let of_first = size_of::<(Layer, GroupId, i64)>() + size_of::<GroupId>() + ENTRY_OVERHEAD;
        self.numbers.bytes()
            + self.slots.capacity() * size_of::<Slot>()
            + self.by_first.len() * of_first
            + self.queue.len() * (size_of::<(i64, GroupId)>() + ENTRY_OVERHEAD)
            + self.log.capacity() * size_of::<Entry>()
    }

    fn release(&mut self) {
        *self = Self::default();
    }
}
