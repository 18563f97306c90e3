//! The lanes of all receivers of one stage: how far all are, and what waits for all.

use super::lane::Lane;
use crate::error::Error;
use crate::partition::barrier::Barrier;
use crate::partition::event::Event;
use crate::partition::mailbox::Mailbox;
use std::sync::Arc;
use velostream_engine::batch::Seq;

/// One lane for each receiver.
pub(super) struct Lanes(pub Vec<Lane>);

impl Lanes {
    /// Over a mailbox from each receiver.
    pub fn new(mailboxes: &[Arc<Mailbox>]) -> Self {
        Self(mailboxes.iter().map(Lane::new).collect())
    }

    /// Up to this number everything has come.
    pub fn through(&self) -> Seq {
        self.0.iter().map(|lane| lane.through).min().unwrap_or_default()
    }

    /// The lanes from which something may be taken.
    pub fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.0.len()).filter(|&at| !self.0[at].is_stopped())
    }

    /// The lane that is behind, without which nothing goes on by number.
    pub fn slowest(&self) -> Option<usize> {
        self.open().min_by_key(|&at| self.0[at].through)
    }

    /// A receiver's failure and its number, once all others are as far as `bound`; of those that fail at one number it is
    /// that of a record, else the first by its text. Nothing more is expected of that receiver.
    pub fn failed(&mut self, bound: Seq) -> Option<(Seq, Box<Error>)> {
        let furthest_behind = self.0.iter().enumerate().filter(|(_, lane)| lane.through == bound);
        let failures = furthest_behind.filter_map(|(place, lane)| match lane.waiting.front() {
            Some(Event::ShareFailed(at, error)) => {
                Some(((*at, error.relation.is_none(), &error.message), place))
            }
            _ => None,
        });
        let ((at, ..), place) = failures.min()?;
        let may_fail_before = |lane: &Lane| lane.through < at && !lane.is_failed();
        if self.0.iter().any(may_fail_before) {
            return None;
        }
        let lane = &mut self.0[place];
        lane.through = Seq(u64::MAX);
        match lane.waiting.pop_front() {
            Some(Event::ShareFailed(at, error)) => Some((at, error)),
            _ => None,
        }
    }

    /// A barrier that has come by all lanes.
    pub fn aligned(&mut self) -> Option<Barrier> {
        let blocked = |lane: &Lane| matches!(lane.waiting.front(), Some(Event::Barrier(_)));
        if !self.0.iter().all(blocked) {
            return None;
        }
        let mut barriers = self.0.iter_mut().filter_map(|lane| match lane.waiting.pop_front() {
            Some(Event::Barrier(barrier)) => Some(barrier),
            _ => None,
        });
        let first: Option<Barrier> = barriers.next();
        barriers.for_each(drop);
        first
    }

    /// The end, once all have come to it.
    pub fn ended(&mut self) -> Option<Seq> {
        let has_ended = |lane: &Lane| matches!(lane.waiting.front(), Some(Event::End(..)));
        if !self.0.iter().all(has_ended) {
            return None;
        }
        let ends = self.0.iter_mut().filter_map(|lane| match lane.waiting.pop_front() {
            Some(Event::End(_, seq)) => Some(seq),
            _ => None,
        });
        ends.max()
    }

    /// Lets senders that wait for room go on where there is some.
    pub fn announce_room(&self) {
        self.0.iter().for_each(|lane| lane.mailbox.announce_room());
    }
}
