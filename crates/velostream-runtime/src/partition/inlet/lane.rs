//! [`Lane`]: one way to a receiver; with what has come by it and waits for its turn.

use crate::error::Error;
use crate::partition::barrier::Barrier;
use crate::partition::event::{Envelope, Event};
use crate::partition::mailbox::Mailbox;
use crate::partition::share::Taker;
use std::collections::VecDeque;
use std::sync::Arc;
use velostream_engine::batch::Seq;

/// One way to a receiver.
pub struct Lane {
    /// Where its events arrive.
    pub mailbox: Arc<Mailbox>,
    /// How many inputs come by it that have not ended.
    pub open_inputs: usize,
    /// Whether it leads from the engine, so that every barrier comes by it; not from files alone.
    pub carries_barriers: bool,
    /// How the receiver takes its rows of batches that others share.
    pub taker: Option<Taker>,
}

impl Lane {
    /// The event, with the receiver's own rows.
    pub(super) fn open(&mut self, event: Event) -> Event {
        match (event, &mut self.taker) {
            (Event::Share(share), Some(taker)) => Event::Batch(Box::new(taker.take(share))),
            (event, _) => event,
        }
    }

    /// Which receiver of a plan takes from it.
    pub(super) fn place(&self) -> u16 {
        self.taker.as_ref().map_or(0, Taker::place)
    }
}

/// A lane with what was taken from its mailbox and waits for its turn.
pub struct Waiting {
    pub lane: Lane,
    pub arrived: VecDeque<Arrived>,
    /// Up to this number everything has come.
    through: Seq,
}

/// What has come by a lane.
pub enum Arrived {
    /// Rows of one input, or moves of its time.
    Batch(Box<Envelope>),
    /// Rows of several whose numbers take turns, one batch of each.
    Turns(Vec<Envelope>),
    /// Up to this number everything has come, and nothing is to be done for it.
    Through(Seq),
    /// A barrier, which counts when it has come by all lanes.
    Barrier(Barrier),
    /// An input ends.
    End(usize, Seq),
    /// What comes in has failed.
    Failed(Box<Error>),
}

/// What a lane can bring next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Rows or an end of this number.
    At(Seq),
    /// Nothing before the barrier at its front has come by all lanes.
    Blocked,
    /// Nothing up to this number.
    Unknown(Seq),
}

impl Waiting {
    /// A lane from which nothing has come.
    pub fn new(lane: Lane) -> Self {
        Self { lane, arrived: VecDeque::new(), through: Seq(0) }
    }

    /// Takes in an event from the mailbox. Rows of several inputs stay together if those that take turns are gathered.
    pub fn arrive(&mut self, event: Event, gathers: bool) {
        match event {
            Event::Interlaced(rows) if gathers => {
                self.through = self.through.max(rows.through());
                let parts = rows.take(self.lane.place());
                if head(&parts).is_some() {
                    self.arrived.push_back(Arrived::Turns(parts));
                } else {
                    parts.into_iter().for_each(Envelope::recycle);
                }
            }
            Event::Interlaced(rows) => {
                self.through = self.through.max(rows.through());
                let runs = rows.runs(self.lane.place());
                self.arrived.extend(runs.into_iter().map(|run| Arrived::Batch(Box::new(run))));
            }
            Event::Batch(envelope) => {
                self.through = self.through.max(envelope.through);
                if envelope.head().is_some() {
                    self.arrived.push_back(Arrived::Batch(envelope));
                }
            }
            Event::Beginning(envelopes) => {
                envelopes.into_iter().for_each(|each| self.arrive(Event::Batch(Box::new(each)), gathers))
            }
            Event::Share(_) => unreachable!("a lane that shares has a taker"),
            Event::LeftOut(_) | Event::ShareFailed(..) => unreachable!("it goes to where shares are merged"),
            Event::Through(seq) => self.through = self.through.max(seq),
            Event::Barrier(barrier) => {
                // Over files it has no place among the numbers.
                if self.lane.carries_barriers {
                    self.through = self.through.max(barrier.at);
                }
                self.arrived.push_back(Arrived::Barrier(barrier));
            }
            Event::End(input, seq) => {
                self.through = self.through.max(seq);
                self.arrived.push_back(Arrived::End(input, seq));
            }
            Event::Failed(error) => self.arrived.push_back(Arrived::Failed(error)),
        }
    }

    pub fn next(&self) -> Next {
        match self.arrived.front() {
            Some(Arrived::Batch(envelope)) => Next::At(envelope.head().unwrap_or_default()),
            Some(Arrived::Turns(parts)) => Next::At(head(parts).unwrap_or_default()),
            Some(Arrived::End(_, seq)) => Next::At(*seq),
            Some(Arrived::Barrier(_)) => Next::Blocked,
            _ if self.lane.open_inputs == 0 => Next::Unknown(Seq(u64::MAX)),
            _ => Next::Unknown(self.through),
        }
    }

    pub fn is_blocked(&self) -> bool {
        matches!(self.arrived.front(), Some(Arrived::Barrier(_)))
    }

    pub fn is_failed(&self) -> bool {
        matches!(self.arrived.front(), Some(Arrived::Failed(_)))
    }

    /// Whether rows, or moves of time, from number `seq` on come next.
    pub fn begins_with(&self, seq: Seq) -> bool {
        matches!(self.arrived.front(), Some(Arrived::Batch(each)) if each.head() == Some(seq))
    }

    /// How many of the next batches begin with number `seq`. Those of what comes interlaced no other lane has.
    pub fn batches_of(&self, seq: Seq) -> usize {
        let begins = |arrived: &&Arrived| matches!(arrived, Arrived::Batch(each) if each.head() == Some(seq));
        self.arrived.iter().take_while(begins).count()
    }

    /// Takes what is numbered below `bound` off the envelope at the front, if there is one. More may come by other
    /// lanes behind it, so it says no more than its own rows.
    pub fn take_before(&mut self, bound: Seq) -> Option<Envelope> {
        let Some(Arrived::Batch(envelope)) = self.arrived.front_mut() else { return None };
        if envelope.tail().is_some_and(|tail| tail >= bound) {
            return Some(envelope.split_before(bound));
        }
        match self.arrived.pop_front() {
            Some(Arrived::Batch(envelope)) => {
                let through = envelope.tail().unwrap_or(envelope.through);
                Some(Envelope { through, ..*envelope })
            }
            _ => None,
        }
    }

    /// The same for what is at the front of rows that take turns.
    pub fn turns_before(&mut self, bound: Seq) -> Option<Vec<Envelope>> {
        let Some(Arrived::Turns(parts)) = self.arrived.front_mut() else { return None };
        let mut before = if tail(parts).is_some_and(|tail| tail >= bound) {
            parts.iter_mut().map(|part| part.split_before(bound)).collect()
        } else {
            let parts = std::mem::take(parts);
            self.arrived.pop_front();
            parts
        };
        let through = tail(&before).unwrap_or_default();
        before.iter_mut().for_each(|part| part.through = through);
        Some(before)
    }
}

/// The first number of rows that take turns.
fn head(parts: &[Envelope]) -> Option<Seq> {
    parts.iter().filter_map(Envelope::head).min()
}

/// The last one.
pub fn tail(parts: &[Envelope]) -> Option<Seq> {
    parts.iter().filter_map(Envelope::tail).max()
}
