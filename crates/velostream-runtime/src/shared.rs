//! What the threads of one engine share: where records are reported that were left out, and the state's size.

use crate::dead_letter::DeadLetters;
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
