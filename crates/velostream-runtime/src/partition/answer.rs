//! [`Answer`]: where the receivers that share a plan put what they give together.

use super::poison::guarded;
use super::receiver::PartitionReceiver;
use crate::sync::{AtomicUsize, Mutex};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// The receiver without a plan that merges what the others give. It has no thread: whoever has sent something to it
/// lets it go on, so that nothing has to be woken, and half of what is merged was computed by the same processor.
///
/// One thread at a time works on it. The others only say that there is more: who works looks again until nobody has
/// said so. It may wait for room downstream meanwhile, as every receiver may; the others then wait for room in their lanes.
pub struct Answer {
    receiver: Mutex<PartitionReceiver>,
    /// How often somebody has sent something since the receiver was last left without work.
    untold: AtomicUsize,
}

impl Answer {
    /// To which nothing was sent.
    pub fn new(receiver: PartitionReceiver) -> Self {
        Self { receiver: Mutex::new(receiver), untold: AtomicUsize::new(0) }
    }

    /// Does what can be done with what has come, or leaves it to whoever is at it.
    pub fn go_on(&self) {
        if self.untold.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let seen = self.untold.load(Ordering::Acquire);
            if let Err(error) = guarded(|| receiver.serve()) {
                receiver.fail(error);
            }
            if self.untold.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return;
            }
        }
    }
}
