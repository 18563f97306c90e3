//! One receiver's lane to where shares are merged.

use crate::partition::event::{Envelope, Event};
use crate::partition::mailbox::Mailbox;
use std::collections::VecDeque;
use std::sync::Arc;
use velostream_engine::batch::Seq;
use velostream_engine::time::Watermark;

/// One receiver's lane, with what was taken from its mailbox and waits.
pub(super) struct Lane {
    pub mailbox: Arc<Mailbox>,
    pub waiting: VecDeque<Event>,
    /// Up to this number everything has come.
    pub through: Seq,
    /// The receiver's time, as far as it was told.
    pub watermark: Watermark,
}

impl Lane {
    /// From which nothing has come.
    pub fn new(mailbox: &Arc<Mailbox>) -> Self {
        let mailbox = Arc::clone(mailbox);
        Self { mailbox, waiting: VecDeque::new(), through: Seq(0), watermark: Watermark::NONE }
    }

    /// Takes in an event from the mailbox.
    pub fn arrive(&mut self, event: Event) {
        if let Event::Batch(envelope) = &event {
            self.watermark = envelope.batch.time.after();
        }
        self.through = match &event {
            Event::Batch(envelope) => self.through.max(envelope.through),
            Event::Share(share) => self.through.max(share.whole.through),
            Event::Through(seq) => self.through.max(*seq),
            Event::Barrier(barrier) => self.through.max(barrier.at),
            Event::End(..) => Seq(u64::MAX),
            _ => self.through,
        };
        if !matches!(event, Event::Through(_)) {
            self.waiting.push_back(event);
        }
    }

    /// Whether nothing may be taken from the mailbox before the others are as far.
    pub fn is_stopped(&self) -> bool {
        matches!(self.waiting.back(), Some(Event::Barrier(_) | Event::ShareFailed(..)))
    }

    /// Whether the receiver has failed behind what waits.
    pub fn is_failed(&self) -> bool {
        matches!(self.waiting.back(), Some(Event::ShareFailed(..)))
    }

    /// Takes out what is numbered up to `bound`.
    pub fn take_through(&mut self, bound: Seq) -> Vec<Envelope> {
        let mut taken = Vec::new();
        while let Some(Event::Batch(envelope)) = self.waiting.front_mut() {
            if envelope.head().is_some_and(|head| head > bound) {
                break;
            }
            if envelope.tail().is_some_and(|tail| tail > bound) {
                taken.push(envelope.split_before(Seq(bound.0 + 1)));
                break;
            }
            if let Some(Event::Batch(envelope)) = self.waiting.pop_front() {
                taken.push(*envelope);
            }
        }
        taken
    }
}
