//! What the threads of one engine share: where records are reported that were left out, and the state's size.

use crate::dead_letter::{DeadLetters, LeftOut};
use crate::wake::Wake;
use std::sync::atomic::AtomicU64;

/// Shared by all threads of an engine; nothing here is touched per record.
pub struct Shared {
    /// Dead letters and late records.
    pub dead_letters: DeadLetters,
    /// Wakes the caller.
    pub wake: Wake,
    /// Bytes of state of all receivers and source tables.
    pub state_bytes: AtomicU64,
    /// Bytes that they may hold together.
    pub memory_limit: u64,
}

impl Shared {
    /// Tells what a query has left out, which is in order.
    pub fn report(&self, left_out: LeftOut) {
        self.dead_letters.report(left_out);
        self.wake.wake();
    }
}
