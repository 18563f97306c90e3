//! The homes of state: a few containers that implement undo, snapshot, restore and size accounting once.
//!
//! Operators are written on top of them and contain none of that.

use crate::error::Result;

/// What every container can do.
///
/// # Contract
/// * *Undo.* After `savepoint`, any writes, and `rollback`, the container is as before. Savepoints nest;
///   `commit` keeps the writes and folds them into the enclosing savepoint, if there is one. Without an open
///   savepoint nothing is logged. Proved by a property per container.
/// * *Snapshot.* `restore` of what `snapshot` wrote gives an equal container, whatever it held before.
///   Never called with a savepoint open.
/// * *Size.* `bytes` is what it holds now, capacities included, in constant or amortised constant time.
pub trait State {
    /// Opens a (nested) transaction.
    fn savepoint(&mut self);
    /// Ends the innermost transaction and takes its writes back.
    fn rollback(&mut self);
    /// Ends the innermost transaction and keeps its writes.
    fn commit(&mut self);
    /// Writes everything.
    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()>;
    /// Replaces everything.
    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()>;
    /// Bytes held.
    fn bytes(&self) -> usize;
}

/// Where a snapshot goes: little-endian values in a row, the reader asks for the same in the same order.
pub trait SnapshotWriter {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Where a snapshot comes from.
pub trait SnapshotReader {
    /// Fills `bytes`; too few left is an error.
    fn read(&mut self, bytes: &mut [u8]) -> Result<()>;
}
