//! One coalesced signal from any thread to the caller's: something has changed.

use crate::api::Waker;
use crate::sync::AtomicBool;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Calls the waker once until the caller has taken notice.
#[derive(Clone)]
pub struct Wake {
    waker: Waker,
    pending: Arc<AtomicBool>,
}

impl Wake {
    pub fn new(waker: Waker) -> Self {
        Self { waker, pending: Arc::new(AtomicBool::new(false)) }
    }

    /// Wakes the caller, unless a wake is already on its way.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            (self.waker)();
        }
    }

    /// The caller has noticed: what changes from now on wakes again.
    pub fn clear(&self) {
        self.pending.store(false, Ordering::Release);
    }
}
