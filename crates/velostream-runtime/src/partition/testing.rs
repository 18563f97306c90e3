//! Mailboxes and events for the tests of this folder.

use super::event::{Envelope, Event};
use super::mailbox::{Capacity, Mailbox};
use crate::wake::Wake;
use std::sync::Arc;
use std::time::Instant;
use velostream_engine::batch::{Batch, ChangeBatch, Op, Seq};
use velostream_engine::time::TimeRuns;

/// Wakes nobody.
pub fn silent() -> Wake {
    Wake::new(Arc::new(|| {}))
}

/// A mailbox without bounds to speak of.
pub fn mailbox() -> Arc<Mailbox> {
    Arc::new(Mailbox::new(Capacity { batches: 1000, bytes: usize::MAX }, silent()))
}

/// Rows of these numbers, without columns.
pub fn envelope(input: usize, seqs: &[u64], through: u64) -> Event {
    let mut changes = ChangeBatch::default();
    seqs.iter().for_each(|&seq| changes.push_mark(Op::Insert, Seq(seq), 0));
    Event::Batch(Box::new(Envelope {
        input,
        batch: Batch { changes, time: TimeRuns::default() },
        offset: 0,
        first_seq: None,
        at_ms: 0,
        accepted: Instant::now(),
        through: Seq(through),
        home: None,
        appended: Vec::new(),
        records: Vec::new(),
    }))
}
