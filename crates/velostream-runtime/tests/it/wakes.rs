//! What tells the driver that something has changed.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use velostream_runtime::Waker;

/// Longest that a test waits for a wake before it fails.
const WAKE_SECONDS_MAX: u64 = 20;

pub struct Wakes(Receiver<()>);

impl Wakes {
    pub fn new() -> (Waker, Self) {
        let (sender, wakes): (Sender<()>, _) = channel();
        let sender = Mutex::new(sender);
        let waker = Arc::new(move || {
            drop(sender.lock().map(|sender| sender.send(())));
        });
        (waker, Self(wakes))
    }

    pub fn wait(&self) {
        self.0.recv_timeout(Duration::from_secs(WAKE_SECONDS_MAX)).expect("a wake comes in time");
    }
}
