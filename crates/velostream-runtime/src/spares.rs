//! [`Spares`]: batches whose rows have gone, and whose these were, kept for their buffers.
//!
//! Batches travel between threads by value. Those of one relation or query are all alike, so that the buffers of
//! the last ones serve the next: making and freeing them costs more than filling them.

use crate::partition::event::batch_bytes;
use crate::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;
use velostream_engine::batch::ChangeBatch;
use velostream_engine::router::Shares;

/// Batches kept.
const SPARES_MAX: usize = 16;
/// Bytes of all that are kept: a few of the largest that windows make when they close, or many small ones.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// Empty batches with the columns of one relation or query.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    batches: Vec<ChangeBatch>,
    shares: Vec<Shares>,
    bytes: usize,
}

impl Spares {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch, if one is there.
    pub fn take(&self) -> Option<ChangeBatch> {
        let mut kept = self.lock();
        let batch = kept.batches.pop()?;
        kept.bytes -= batch_bytes(&batch);
        Some(batch)
    }

    /// Keeps the buffers of a batch unless there are enough, or it has no columns.
    pub fn put(&self, mut batch: ChangeBatch) {
        if batch.columns.is_empty() {
            return;
        }
        batch.clear();
        let bytes = batch_bytes(&batch);
        let mut kept = self.lock();
        if kept.batches.len() < SPARES_MAX && kept.bytes + bytes <= SPARE_BYTES_MAX {
            kept.bytes += bytes;
            kept.batches.push(batch);
        }
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
