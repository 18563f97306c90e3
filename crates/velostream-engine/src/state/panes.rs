//! One pane of state per open window, or per stretch of time.

use super::{SnapshotReader, SnapshotWriter, State, Storable, read_length, write_length};
use crate::error::{EngineError, Result};

/// The state of one pane.
pub trait Pane: State {
    /// Takes everything out and keeps the buffers. No savepoint is open.
    fn clear(&mut self);
    /// Brings columns that belong together to one length after a restore.
    fn restored(&mut self);
}

/// Most empty panes kept for windows to come.
const SPARE_MAX: usize = 64;

#[derive(Debug)]
struct Entry<K, P> {
    key: K,
    /// How many savepoints were open when the pane was made, or folded into since: it has no part in them.
    made_at: usize,
    pane: Box<P>,
}

/// Panes by their keys. Closing one is taking it out; it serves again.
pub struct Panes<K, P> {
    /// Ascending by key.
    open: Vec<Entry<K, P>>,
    /// Empty panes for windows to come.
    spare: Vec<Box<P>>,
    make: Box<dyn Fn() -> P + Send>,
    /// Panes taken out since the outermost savepoint.
    undo: Vec<Entry<K, P>>,
    marks: Vec<usize>,
}

impl<K: Copy + Ord + Storable, P: Pane> Panes<K, P> {
    /// No panes; `make` makes an empty one.
    pub fn new(make: Box<dyn Fn() -> P + Send>) -> Self {
        Self { open: Vec::new(), spare: Vec::new(), make, undo: Vec::new(), marks: Vec::new() }
    }

    /// Open windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no window is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The smallest key.
    #[must_use]
    pub fn first_key(&self) -> Option<K> {
        self.open.first().map(|entry| entry.key)
    }

    /// The pane at a position of the order by key.
    pub fn at(&mut self, index: usize) -> &mut P {
        &mut self.open[index].pane
    }

    /// All panes with their keys, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &P)> {
        self.open.iter().map(|entry| (entry.key, &*entry.pane))
    }

    /// The position of a pane, if it is open.
    #[must_use]
    #[inline]
    pub fn find(&self, key: K) -> Option<usize> {
        match self.open.last() {
            Some(last) if last.key == key => Some(self.open.len() - 1),
            _ => self.open.binary_search_by_key(&key, |entry| entry.key).ok(),
        }
    }

    /// The position of a pane, which is opened if it is not there.
    #[inline]
    pub fn find_or_open(&mut self, key: K) -> usize {
        self.find(key).unwrap_or_else(|| self.open(key))
    }

    /// Opens a pane that is not there; its position.
    #[cold]
    fn open(&mut self, key: K) -> usize {
        let index = self.open.partition_point(|entry| entry.key < key);
        let pane = self.spare.pop().unwrap_or_else(|| Box::new((self.make)()));
        self.open.insert(index, Entry { key, made_at: self.marks.len(), pane });
        index
    }

    /// Takes the pane at a position out.
    pub fn close(&mut self, index: usize) {
        let entry = self.open.remove(index);
        if self.marks.is_empty() {
            self.recycle(entry);
        } else {
            self.undo.push(entry);
        }
    }

    fn recycle(&mut self, mut entry: Entry<K, P>) {
        if self.spare.len() < SPARE_MAX {
            entry.pane.clear();
            self.spare.push(entry.pane);
        }
    }

    /// Ends the innermost savepoint inside a pane, unless the pane is younger.
    fn commit_entry(entry: &mut Entry<K, P>, level: usize) {
        if entry.made_at >= level {
            entry.made_at = level - 1;
        } else {
            entry.pane.commit();
        }
    }
}

impl<K: Copy + Ord + Storable, P: Pane> State for Panes<K, P> {
    fn savepoint(&mut self) {
        self.marks.push(self.undo.len());
        self.open.iter_mut().for_each(|entry| entry.pane.savepoint());
    }

    fn rollback(&mut self) {
        let level = self.marks.len();
        let mark = self.marks.pop().expect("rollback follows savepoint");
        while self.undo.len() > mark {
            let entry = self.undo.pop().expect("the log is longer than its mark");
            let index = self.open.partition_point(|other| other.key < entry.key);
            // A window closed and opened again inside the savepoint: the younger pane goes.
            while self.open.get(index).is_some_and(|other| other.key == entry.key) {
                self.open.remove(index);
            }
            self.open.insert(index, entry);
        }
        let mut index = 0;
        while index < self.open.len() {
            if self.open[index].made_at >= level {
                self.open.remove(index);
            } else {
                self.open[index].pane.rollback();
                index += 1;
            }
        }
    }

    fn commit(&mut self) {
        let level = self.marks.len();
        let mark = self.marks.pop().expect("commit follows savepoint");
        self.open.iter_mut().for_each(|entry| Self::commit_entry(entry, level));
        self.undo[mark..].iter_mut().for_each(|entry| Self::commit_entry(entry, level));
        if self.marks.is_empty() {
            while let Some(entry) = self.undo.pop() {
                self.recycle(entry);
            }
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        write_length(self.open.len(), writer)?;
        for entry in &self.open {
            entry.key.store(writer)?;
            entry.pane.snapshot(writer)?;
        }
        Ok(())
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.open.clear();
        for _ in 0..read_length(reader)? {
            let key = K::load(reader)?;
            if self.open.last().is_some_and(|last| last.key >= key) {
                return Err(EngineError::Snapshot("the windows are damaged".into()));
            }
            let mut pane = Box::new((self.make)());
            pane.restore(reader)?;
            pane.restored();
            self.open.push(Entry { key, made_at: 0, pane });
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let entries = self.open.iter().chain(&self.undo).map(|entry| entry.pane.bytes());
        entries.sum::<usize>() + self.spare.iter().map(|pane| pane.bytes()).sum::<usize>()
    }

    fn release(&mut self) {
        self.open = Vec::new();
        self.spare = Vec::new();
        self.undo = Vec::new();
    }
}
