//! The homes of state: a few containers that implement undo, snapshot, restore and size accounting once.
//!
//! Operators are written on top of them and contain none of that.

mod cell;
mod codec;
mod derived;
mod group_columns;
mod group_queues;
mod key_table;
mod keyed_rows;
mod ordered_counts;
mod panes;
mod row_hash;
mod row_queues;
mod row_store;
mod sessions;
mod slots;
mod time_queue;

pub use cell::StateCell;
pub use codec::{SliceReader, Storable, read_length, read_values, write_length};
pub use derived::Derived;
pub use group_columns::GroupColumns;
pub use group_queues::{GroupQueues, QueueEntry};
pub use key_table::{GroupId, KeyColumns, KeySource, KeyTable};
pub use keyed_rows::{KeyedRows, KeyedRowsSpec};
pub use ordered_counts::{CountKey, OrderedCounts, TextKey};
pub use panes::{Pane, Panes};
pub use row_hash::{ColumnKey, hash_rows, rows_equal, values_equal};
pub use row_queues::RowQueues;
pub use row_store::RowStore;
pub use sessions::{Layer, Session, Sessions};
pub use slots::Slots;
pub use time_queue::TimeQueue;

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
    /// Gives the memory back that groups and rows have taken, of which there are none any more. Single values stay.
    /// Never called with a savepoint open.
    fn release(&mut self);
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

impl SnapshotWriter for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl<S: State + ?Sized> State for Box<S> {
    fn savepoint(&mut self) {
        (**self).savepoint();
    }

    fn rollback(&mut self) {
        (**self).rollback();
    }

    fn commit(&mut self) {
        (**self).commit();
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        (**self).snapshot(writer)
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        (**self).restore(reader)
    }

    fn bytes(&self) -> usize {
        (**self).bytes()
    }

    fn release(&mut self) {
        (**self).release();
    }
}

/// The state of a container that is there only in some modes; which mode does not change.
impl<S: State> State for Option<S> {
    fn savepoint(&mut self) {
        self.iter_mut().for_each(State::savepoint);
    }

    fn rollback(&mut self) {
        self.iter_mut().for_each(State::rollback);
    }

    fn commit(&mut self) {
        self.iter_mut().for_each(State::commit);
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.iter().try_for_each(|state| state.snapshot(writer))
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.iter_mut().try_for_each(|state| state.restore(reader))
    }

    fn bytes(&self) -> usize {
        self.as_ref().map_or(0, State::bytes)
    }

    fn release(&mut self) {
        self.iter_mut().for_each(State::release);
    }
}

/// As many containers as the plan has of a kind; how many does not change.
impl<S: State> State for Vec<S> {
    fn savepoint(&mut self) {
        self.iter_mut().for_each(State::savepoint);
    }

    fn rollback(&mut self) {
        self.iter_mut().for_each(State::rollback);
    }

    fn commit(&mut self) {
        self.iter_mut().for_each(State::commit);
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.iter().try_for_each(|state| state.snapshot(writer))
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.iter_mut().try_for_each(|state| state.restore(reader))
    }

    fn bytes(&self) -> usize {
        self.iter().map(State::bytes).sum()
    }

    fn release(&mut self) {
        self.iter_mut().for_each(State::release);
    }
}

/// Makes a struct whose named fields are containers a container itself: `Type { a, b }`, or
/// `impl<K: Bound> Type<K> { a }`.
#[macro_export]
#[doc(hidden)]
macro_rules! composite_state {
    (impl<$($generic:ident : $bound:path),*> $name:ty { $($field:ident),+ $(,)? }) => {
        impl<$($generic: $bound),*> $crate::state::State for $name {
            fn savepoint(&mut self) {
                $($crate::state::State::savepoint(&mut self.$field);)+
            }

            fn rollback(&mut self) {
                $($crate::state::State::rollback(&mut self.$field);)+
            }

            fn commit(&mut self) {
                $($crate::state::State::commit(&mut self.$field);)+
            }

            fn snapshot(&self, writer: &mut dyn $crate::state::SnapshotWriter) -> $crate::error::Result<()> {
                $($crate::state::State::snapshot(&self.$field, writer)?;)+
                Ok(())
            }

            fn restore(&mut self, reader: &mut dyn $crate::state::SnapshotReader) -> $crate::error::Result<()> {
                $($crate::state::State::restore(&mut self.$field, reader)?;)+
                Ok(())
            }

            fn bytes(&self) -> usize {
                0 $(+ $crate::state::State::bytes(&self.$field))+
            }

            fn release(&mut self) {
                $($crate::state::State::release(&mut self.$field);)+
            }
        }
    };
    ($name:ty { $($field:ident),+ $(,)? }) => {
        $crate::state::composite_state!(impl<> $name { $($field),+ });
    };
}
pub(crate) use composite_state;
