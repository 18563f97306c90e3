//! Waiting for whichever of several mailboxes has something.

use crate::sync::{Condvar, Mutex};
use crate::wake::Wake;
use std::sync::{Arc, PoisonError};

/// Rings when something has come by any of several mailboxes.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    signal: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !std::mem::take(&mut *rung) {
            rung = self.signal.wait(rung).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// How a gather whose lanes are taken as they come is told that one of them has something.
#[derive(Clone)]
pub struct AnyLane {
    bell: Arc<Bell>,
    wake: Wake,
}

impl AnyLane {
    /// Without mailboxes, which are given [`AnyLane::wake`].
    pub fn new() -> Self {
        let bell = Arc::new(Bell::default());
        let ringing = Arc::clone(&bell);
        Self { bell, wake: Wake::new(Arc::new(move || ringing.ring())) }
    }

    /// What the lanes' mailboxes wake.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Before a look at the mailboxes, so that what comes after it rings.
    pub(super) fn begin_look(&self) {
        self.wake.clear();
    }

    /// Until something has come since the last look began.
    pub(super) fn wait(&self) {
        self.bell.wait();
    }
}
