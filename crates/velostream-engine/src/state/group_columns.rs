//! A plain vector indexed by group number.

use super::{SnapshotReader, SnapshotWriter, State, Storable, read_values, write_length};
use crate::error::Result;

/// One value per group, with undo.
///
/// Writers say which groups they are about to write and get the bare slice, so that their loops are the
/// same with and without an open savepoint.
#[derive(Debug)]
pub struct GroupColumns<T> {
    values: Vec<T>,
    /// Groups whose values were overwritten since the outermost savepoint, and these values, apart: a pair would be
    /// put together on the stack first.
    undo_groups: Vec<u32>,
    undo_values: Vec<T>,
    /// At each open savepoint: length of the undo log and of `values`.
    marks: Vec<(usize, usize)>,
}

impl<T> Default for GroupColumns<T> {
    fn default() -> Self {
        Self { values: Vec::new(), undo_groups: Vec::new(), undo_values: Vec::new(), marks: Vec::new() }
    }
}

impl<T: Clone + Default> GroupColumns<T> {
    /// Groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no groups.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values.
    #[must_use]
    #[inline]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Makes room for `groups` groups; new ones hold the default.
    #[inline]
    pub fn grow(&mut self, groups: usize) {
        let known = self.values.len();
        if groups == known + 1 {
            self.values.push(T::default());
        } else if groups > known {
            self.values.resize(groups, T::default());
        }
    }

    /// Adds a group with this value.
    #[inline]
    pub fn push(&mut self, value: T) {
        self.values.push(value);
    }

    /// The values, of which the caller writes none but those of `groups`.
    #[inline]
    pub fn write(&mut self, groups: &[u32]) -> &mut [T] {
        if !self.marks.is_empty() {
            self.note(groups);
        }
        &mut self.values
    }

    /// Notes the values of groups that are about to be written.
    #[cold]
    fn note(&mut self, groups: &[u32]) {
        self.undo_groups.extend_from_slice(groups);
        self.undo_values.extend(groups.iter().map(|&group| self.values[group as usize].clone()));
    }

    /// Gives one group another value.
    #[inline]
    pub fn set(&mut self, group: u32, value: T) {
        self.write(&[group])[group as usize] = value;
    }

    /// Takes all groups out and keeps the buffer. No savepoint is open.
    pub fn clear(&mut self) {
        debug_assert!(self.marks.is_empty());
        self.values.clear();
    }
}

impl<T: Clone + Default + Storable> State for GroupColumns<T> {
    fn savepoint(&mut self) {
        self.marks.push((self.undo_groups.len(), self.values.len()));
    }

    fn rollback(&mut self) {
        let (undo, groups) = self.marks.pop().expect("rollback follows savepoint");
        let old = self.undo_groups.drain(undo..).zip(self.undo_values.drain(undo..));
        for (group, value) in old.rev() {
            self.values[group as usize] = value;
        }
        self.values.truncate(groups);
    }

    fn commit(&mut self) {
        self.marks.pop().expect("commit follows savepoint");
        if self.marks.is_empty() {
            self.undo_groups.clear();
            self.undo_values.clear();
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        write_length(self.values.len(), writer)?;
        self.values.iter().try_for_each(|value| value.store(writer))
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.values = read_values(reader)?;
        Ok(())
    }

    fn bytes(&self) -> usize {
        let values = self.values.capacity() + self.undo_values.capacity();
        values * size_of::<T>() + self.undo_groups.capacity() * size_of::<u32>()
    }

    fn release(&mut self) {
        *self = Self::default();
    }
}
