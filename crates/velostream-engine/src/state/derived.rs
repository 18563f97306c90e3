//! What is computed from other state and kept so that it need not be computed again.

use super::{SnapshotReader, SnapshotWriter, State};
use crate::error::Result;

/// A value that can be made anew at any time. It is lost when anything is taken back or restored, and no part of a
/// snapshot.
#[derive(Debug, Default)]
pub struct Derived<T> {
    value: Option<T>,
    bytes: usize,
}

impl<T> Derived<T> {
    /// The value, if it is there.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Takes the value out, if it is there.
    pub fn take(&mut self) -> Option<T> {
        self.bytes = 0;
        self.value.take()
    }

    /// Keeps a value that holds `bytes` bytes.
    pub fn keep(&mut self, value: T, bytes: usize) {
        (self.value, self.bytes) = (Some(value), bytes);
    }
}

impl<T> State for Derived<T> {
    fn savepoint(&mut self) {}

    fn rollback(&mut self) {
        self.take();
    }

    fn commit(&mut self) {}

    fn snapshot(&self, _writer: &mut dyn SnapshotWriter) -> Result<()> {
        Ok(())
    }

    fn restore(&mut self, _reader: &mut dyn SnapshotReader) -> Result<()> {
        self.take();
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn release(&mut self) {
        self.take();
    }
}
