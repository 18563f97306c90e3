//! Numbers for rows that come and go, used again.

use super::{SnapshotReader, SnapshotWriter, State, Storable, read_values, write_length};
use crate::error::{EngineError, Result};

#[derive(Debug)]
enum Entry {
    /// The next number was given.
    Fresh,
    /// A number was given again.
    Reused(u32),
    /// A number came back.
    Released,
}

/// Dense numbers from 0 on.
///
/// A number that comes back while a savepoint is open is given again only after it ended, so that a rollback
/// finds what stands under it in place.
#[derive(Debug, Default)]
pub struct Slots {
    /// How many numbers were ever given.
    given: u32,
    free: Vec<u32>,
    /// Came back under an open savepoint.
    pending: Vec<u32>,
    log: Vec<Entry>,
    marks: Vec<usize>,
}

impl Slots {
    /// One more than the largest number given so far.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.given as usize
    }

    /// Numbers in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.capacity() - self.free.len() - self.pending.len()
    }

    /// Whether no number is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives a number.
    pub fn take(&mut self) -> u32 {
        let reused = self.free.pop();
        if !self.marks.is_empty() {
            self.log.push(reused.map_or(Entry::Fresh, Entry::Reused));
        }
        reused.unwrap_or_else(|| {
            self.given = self.given.checked_add(1).expect("rows are limited by memory");
            self.given - 1
        })
    }

    /// Takes a number back.
    pub fn put_back(&mut self, slot: u32) {
        if self.marks.is_empty() {
            self.free.push(slot);
        } else {
            self.pending.push(slot);
            self.log.push(Entry::Released);
        }
    }
}

impl State for Slots {
    fn savepoint(&mut self) {
        self.marks.push(self.log.len());
    }

    fn rollback(&mut self) {
        let mark = self.marks.pop().expect("rollback follows savepoint");
        while self.log.len() > mark {
            match self.log.pop().expect("the log is longer than its mark") {
                Entry::Fresh => self.given -= 1,
                Entry::Reused(slot) => self.free.push(slot),
                Entry::Released => drop(self.pending.pop()),
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
        self.given.store(writer)?;
        write_length(self.free.len(), writer)?;
        self.free.iter().try_for_each(|slot| slot.store(writer))
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.given = u32::load(reader)?;
        self.free = read_values(reader)?;
        if self.free.iter().any(|&slot| slot >= self.given) {
            return Err(EngineError::Snapshot("the numbers of rows are damaged".into()));
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        (self.free.capacity() + self.pending.capacity()) * 4 + self.log.capacity() * size_of::<Entry>()
    }

    fn release(&mut self) {
        *self = Self::default();
    }
}
