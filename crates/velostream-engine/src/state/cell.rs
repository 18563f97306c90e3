//! One value of an operator.

use super::{SnapshotReader, SnapshotWriter, State, Storable};
use crate::error::Result;

/// A single value with undo.
#[derive(Debug, Default)]
pub struct StateCell<T> {
    value: T,
    /// The value at each open savepoint.
    saved: Vec<T>,
}

impl<T: Clone> StateCell<T> {
    /// A cell that holds `value`.
    pub fn new(value: T) -> Self {
        Self { value, saved: Vec::new() }
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Replaces the value.
    pub fn set(&mut self, value: T) {
        self.value = value;
    }
}

impl<T: Clone + Storable> State for StateCell<T> {
    fn savepoint(&mut self) {
        self.saved.push(self.value.clone());
    }

    fn rollback(&mut self) {
        self.value = self.saved.pop().expect("rollback follows savepoint");
    }

    fn commit(&mut self) {
        self.saved.pop().expect("commit follows savepoint");
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.value.store(writer)
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.value = T::load(reader)?;
        Ok(())
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }

    fn release(&mut self) {}
}
