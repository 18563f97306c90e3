//! Sessions of keys in time and, where rows can go, the moments that they are made of.

use super::{
    GroupId, SnapshotReader, SnapshotWriter, State, Storable, read_length, read_values, write_length,
};
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
    session: Session,
    layer: Layer,
    /// Under which time a session waits to become due: at most its last.
    queued: i64,
}

/// What happened to a number while a savepoint is open.
#[derive(Debug)]
enum Entry {
    /// Given to a stretch; whether it was used before.
    Opened { id: GroupId, reused: bool },
    /// Its stretch was another.
    Changed { id: GroupId, before: Session },
    /// Its stretch went.
    Closed { id: GroupId },
}

/// Stretches under numbers, in order of key and beginning; those of one key and layer begin at different times.
///
/// A number released while a savepoint is open is used again only after it ended. Sessions wait to become due in
/// a queue that is brought up to date only when they seem to be, so that a session that grows costs nothing there.
#[derive(Debug, Default)]
pub struct Sessions {
    slots: Vec<Slot>,
    by_first: BTreeMap<(Layer, GroupId, i64), GroupId>,
    queue: BTreeSet<(i64, GroupId)>,
    free: Vec<GroupId>,
    /// Released under an open savepoint.
    pending: Vec<GroupId>,
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
        self.slots.len()
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
        let slot = Slot { session, layer, queued: session.last };
        let reused = self.free.pop();
        let id = match reused {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("sessions are limited by memory")
            }
        };
        self.enter(id);
        if !self.marks.is_empty() {
            self.log.push(Entry::Opened { id, reused: reused.is_some() });
        }
        id
    }

    /// Makes another stretch of the one under a number, of the same key.
    pub fn set(&mut self, id: GroupId, session: Session) {
        let before = self.replace(id, session);
        if !self.marks.is_empty() {
            self.log.push(Entry::Changed { id, before });
        }
    }

    /// Takes a stretch out; its number is used again.
    pub fn close(&mut self, id: GroupId) {
        self.leave(id);
        if self.marks.is_empty() {
            self.free.push(id);
        } else {
            self.pending.push(id);
            self.log.push(Entry::Closed { id });
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

    fn clear(&mut self) {
        debug_assert!(self.marks.is_empty());
        self.slots.clear();
        self.by_first.clear();
        self.queue.clear();
        self.free.clear();
    }

    fn load_slot(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        let damaged = || EngineError::Snapshot("the sessions are damaged".into());
        let layer = match u8::load(reader)? {
            0 => Some(Layer::Session),
            1 => Some(Layer::Moment),
            2 => None,
            _ => return Err(damaged()),
        };
        let session = match layer {
            Some(_) => Session::load(reader)?,
            None => Session::default(),
        };
        let slot = Slot { session, layer: layer.unwrap_or(Layer::Session), queued: session.last };
        let id = u32::try_from(self.slots.len()).map_err(|_| damaged())?;
        if layer.is_some() && self.by_first.contains_key(&Self::place(&slot)) {
            return Err(damaged());
        }
        self.slots.push(slot);
        if layer.is_some() {
            self.enter(id);
        } else {
            self.free.push(id);
        }
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
        self.marks.push(self.log.len());
    }

    fn rollback(&mut self) {
        let mark = self.marks.pop().expect("rollback follows savepoint");
        while self.log.len() > mark {
            match self.log.pop().expect("the log is longer than its mark") {
                Entry::Opened { id, reused } => {
                    self.leave(id);
                    if reused {
                        self.free.push(id);
                    } else {
                        self.slots.pop();
                    }
                }
                Entry::Changed { id, before } => {
                    self.replace(id, before);
                }
                Entry::Closed { id } => {
                    self.pending.pop();
                    self.enter(id);
                }
            }
        }
    }

    fn commit(&mut self) {
        self.marks.pop().expect("commit follows savepoint");
        if self.marks.is_empty() {
            self.log.clear();
            self.free.append(&mut self.pending);
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        write_length(self.slots.len(), writer)?;
        let mut is_free = vec![false; self.slots.len()];
        self.free.iter().for_each(|&id| is_free[id as usize] = true);
        for (slot, is_free) in self.slots.iter().zip(is_free) {
            if is_free {
                2_u8.store(writer)?;
            } else {
                (slot.layer as u8).store(writer)?;
                slot.session.store(writer)?;
            }
        }
        write_length(self.free.len(), writer)?;
        self.free.iter().try_for_each(|id| id.store(writer))
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.clear();
        for _ in 0..read_length(reader)? {
            self.load_slot(reader)?;
        }
        let mut free: Vec<GroupId> = read_values(reader)?;
        let found = std::mem::take(&mut self.free);
        self.free.clone_from(&free);
        free.sort_unstable();
        if free == found { Ok(()) } else { Err(EngineError::Snapshot("the sessions are damaged".into())) }
    }

    fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.by_first.len()
                * (size_of::<(Layer, GroupId, i64)>() + size_of::<GroupId>() + ENTRY_OVERHEAD)
            + self.queue.len() * (size_of::<(i64, GroupId)>() + ENTRY_OVERHEAD)
            + (self.free.capacity() + self.pending.capacity()) * size_of::<GroupId>()
            + self.log.capacity() * size_of::<Entry>()
    }

    fn release(&mut self) {
        *self = Self::default();
    }
}
