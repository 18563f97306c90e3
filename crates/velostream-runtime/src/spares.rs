//! [`Spares`]: batches whose rows have gone, kept for their buffers.
//!
//! Batches travel between threads by value. Those of one relation or query are all alike, so that the buffers of
//! the last ones serve the next: making and freeing them costs more than filling them.

use crate::partition::mailbox::batch_bytes;
use crate::sync::Mutex;
use std::sync::PoisonError;
use velostream_engine::batch::ChangeBatch;

/// Batches kept.
const SPARES_MAX: usize = 16;
/// Bytes of a batch that is still kept.
const SPARE_BYTES_MAX: usize = 512 << 10;

/// Empty batches with the columns of one relation or query.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Vec<ChangeBatch>>);

impl Spares {
    /// A batch, if one is there.
    pub fn take(&self) -> Option<ChangeBatch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps the buffers of a batch unless there are enough, or it has no columns.
    pub fn put(&self, mut batch: ChangeBatch) {
        if batch.columns.is_empty() || batch_bytes(&batch) > SPARE_BYTES_MAX {
            return;
        }
        batch.clear();
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES_MAX {
            spares.push(batch);
        }
    }
}
