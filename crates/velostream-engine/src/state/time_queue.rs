//! Numbers in order of time, earliest first.

use super::{SnapshotReader, SnapshotWriter, State, Storable, read_length, write_length};
use crate::error::{EngineError, Result};
use crate::time::EventTime;
use std::collections::VecDeque;

#[derive(Debug)]
enum Entry {
    /// One came in at this position.
    Added(usize),
    /// The first went.
    Taken(EventTime, u32),
}

/// A queue by time; those of one time stand in the order of their coming.
///
/// Made for times that mostly ascend: adding one costs what it has to pass from the end.
#[derive(Debug, Default)]
pub struct TimeQueue {
    entries: VecDeque<(EventTime, u32)>,
    log: Vec<Entry>,
    marks: Vec<usize>,
}

impl TimeQueue {
    /// Numbers in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a number behind those of its time.
    pub fn add(&mut self, time: EventTime, number: u32) {
        let at = match self.entries.back() {
            Some(&(last, _)) if last > time => self.entries.partition_point(|&(other, _)| other <= time),
            _ => self.entries.len(),
        };
        self.entries.insert(at, (time, number));
        if !self.marks.is_empty() {
            self.log.push(Entry::Added(at));
        }
    }

    /// The earliest time.
    #[must_use]
    pub fn first_time(&self) -> Option<EventTime> {
        self.entries.front().map(|&(time, _)| time)
    }

    /// Takes the first one out if its time is before `time`.
    pub fn take_before(&mut self, time: EventTime) -> Option<u32> {
        let (own, number) = self.entries.front().copied().filter(|&(own, _)| own < time)?;
        self.entries.pop_front();
        if !self.marks.is_empty() {
            self.log.push(Entry::Taken(own, number));
        }
        Some(number)
    }
}

impl State for TimeQueue {
    fn savepoint(&mut self) {
        self.marks.push(self.log.len());
    }

    fn rollback(&mut self) {
        let mark = self.marks.pop().expect("rollback follows savepoint");
        while self.log.len() > mark {
            match self.log.pop().expect("the log is longer than its mark") {
                Entry::Added(at) => drop(self.entries.remove(at)),
                Entry::Taken(time, number) => self.entries.push_front((time, number)),
            }
        }
    }

    fn commit(&mut self) {
        self.marks.pop().expect("commit follows savepoint");
        if self.marks.is_empty() {
            self.log.clear();
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        write_length(self.entries.len(), writer)?;
        for (time, number) in &self.entries {
            time.store(writer)?;
            number.store(writer)?;
        }
        Ok(())
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.entries.clear();
        for _ in 0..read_length(reader)? {
            let (time, number) = (i64::load(reader)?, u32::load(reader)?);
            if self.entries.back().is_some_and(|&(last, _)| last > time) {
                return Err(EngineError::Snapshot("a queue by time is damaged".into()));
            }
            self.entries.push_back((time, number));
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(EventTime, u32)>() + self.log.capacity() * size_of::<Entry>()
    }

    fn release(&mut self) {
        *self = Self::default();
    }
}
