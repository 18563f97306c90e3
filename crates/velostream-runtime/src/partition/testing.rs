//! Mailboxes and events for the tests of this folder.

use super::event::{Envelope, Event};
use super::interlaced::{Interlaced, Strand};
use super::mailbox::{Capacity, Mailbox};
use super::offsets::Offsets;
use super::share::{Places, Share};
use crate::wake::Wake;
use std::collections::BTreeSet;
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
pub fn changes(seqs: &[u64]) -> ChangeBatch {
    let mut changes = ChangeBatch::default();
    seqs.iter().for_each(|&seq| changes.push_mark(Op::Insert, Seq(seq), 0));
    changes
}

/// A batch of them.
pub fn envelope(input: usize, seqs: &[u64], through: u64) -> Event {
    Event::Batch(Box::new(Envelope {
        input,
        batch: Batch { changes: changes(seqs), time: TimeRuns::default() },
        offsets: Offsets::Rows(0),
        at_ms: 0,
        accepted: Instant::now(),
        through: Seq(through),
        home: None,
        appended: Vec::new(),
        records: Vec::new(),
    }))
}

/// Rows of several inputs, with their numbers; each input's are the last ones of its block.
pub fn interlaced(rows: &[(usize, u64)]) -> Event {
    let inputs: BTreeSet<usize> = rows.iter().map(|&(input, _)| input).collect();
    let strand = |input: usize| {
        let seqs: Vec<Seq> = rows.iter().filter(|row| row.0 == input).map(|row| Seq(row.1)).collect();
        let own: Vec<u64> = (0..seqs.len() as u64 + 2).collect();
        let Event::Batch(whole) = envelope(input, &own, 0) else { unreachable!("a batch") };
        Strand {
            block: Arc::new(Share { whole: *whole, places: Places::One(0) }),
            rows: 2..own.len(),
            seqs: seqs.into(),
            time: TimeRuns::default(),
            before: 0,
        }
    };
    Event::Interlaced(Arc::new(Interlaced::new(inputs.into_iter().map(strand).collect())))
}
