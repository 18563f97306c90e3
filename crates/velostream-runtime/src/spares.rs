//! [`Spares`]: batches whose rows have gone, and whose these were, kept for their buffers.
//!
//! Batches travel between threads by value. Those of one relation or query are all alike, so that the buffers of
//! the last ones serve the next: making and freeing them costs more than filling them.

use crate::partition::event::batch_bytes;
use crate::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::router::Shares;
use velostream_engine::time::Watermark;

/// Batches kept.
const SPARES_MAX: usize = 16;
/// Bytes of all that are kept: a few of the largest that windows make when they close, or many small ones.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// Empty batches with the columns of one relation or query.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    batches: Vec<Batch>,
    shares: Vec<Shares>,
    bytes: usize,
}

impl Spares {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch, if one is there.
    pub fn take_batch(&self) -> Option<Batch> {
        let mut kept = self.lock();
        let batch = kept.batches.pop()?;
        kept.bytes -= capacity_bytes(&batch);
        Some(batch)
    }

    /// The columns and marks of one.
    pub fn take(&self) -> Option<ChangeBatch> {
        Some(self.take_batch()?.changes)
    }

    /// Keeps the buffers of a batch unless there are enough, or it has no columns.
    pub fn put_batch(&self, mut batch: Batch) {
        if batch.changes.columns.is_empty() {
            return;
        }
        batch.changes.clear();
        batch.time.advances.clear();
        let bytes = capacity_bytes(&batch);
        let mut kept = self.lock();
        if kept.batches.len() < SPARES_MAX && kept.bytes + bytes <= SPARE_BYTES_MAX {
            kept.bytes += bytes;
            kept.batches.push(batch);
        }
    }

    /// The same for columns and marks alone.
    pub fn put(&self, changes: ChangeBatch) {
        self.put_batch(Batch { changes, ..Batch::default() });
    }

    /// Whose rows are whose, to be filled in.
    pub fn take_shares(&self) -> Shares {
        let mut kept = self.lock();
        let shares = kept.shares.pop().unwrap_or_default();
        kept.bytes -= shares.capacity_bytes();
        shares
    }

    /// Keeps these buffers unless there are enough.
    pub fn put_shares(&self, shares: Shares) {
        let bytes = shares.capacity_bytes();
        let mut kept = self.lock();
        if kept.shares.len() < SPARES_MAX && kept.bytes + bytes <= SPARE_BYTES_MAX {
            kept.bytes += bytes;
            kept.shares.push(shares);
        }
    }
}

fn capacity_bytes(batch: &Batch) -> usize {
    batch_bytes(&batch.changes) + batch.time.advances.capacity() * size_of::<(Seq, Watermark)>()
}
