//! What the receivers of one stage give, as the input of a receiver of the next.
//!
//! Each of them sends every batch to all receivers of the next stage, of which each takes its own rows, in the order of
//! numbers. It hears by each lane how far that is, rows or not, so that nothing is guessed from silence; time is the same
//! for all. Questions, failures, the end and what was left out go on behind all that stands before them.

use super::lane::Lane;
use super::lanes::Lanes;
use crate::dead_letter::LeftOut;
use crate::partition::event::{Envelope, Event};
use crate::partition::inlet::{Intake, Work};
use crate::partition::mailbox::Mailbox;
use crate::partition::merge::Merger;
use crate::partition::share::Share;
use crate::spares::Spares;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::time::{TimeRuns, Watermark};
use velostream_sql::types::Schema;

/// The lanes of all receivers of the stage before.
pub struct NextStage {
    lanes: Lanes,
    /// Which of the batches' rows are taken.
    place: u16,
    schema: Arc<Schema>,
    /// What was left out under numbers that not all lanes have reached.
    left_out: LeftOut,
    spares: Arc<Spares>,
    merger: Merger,
    /// The largest number up to which everything was given out.
    told: Seq,
}

/// What a lane brings of a batch.
enum Part {
    /// The batch, some of whose rows are others'.
    Shared(Arc<Share>),
    /// The receiver's own rows.
    Own(Envelope),
}

impl Part {
    fn envelope(&self) -> &Envelope {
        match self {
            Self::Shared(share) => &share.whole,
            Self::Own(envelope) => envelope,
        }
    }

    /// The rows of receiver `place`; `None` where all are.
    fn rows_of(&self, place: u16) -> Option<&[u32]> {
        match self {
            Self::Shared(share) => share.places.rows_of(place),
            Self::Own(_) => None,
        }
    }

    fn has_rows_of(&self, place: u16) -> bool {
        match self.rows_of(place) {
            Some(rows) => !rows.is_empty(),
            None => !self.envelope().batch.changes.is_empty(),
        }
    }

    fn recycle(self) {
        match self {
            Self::Shared(share) => share.recycle(),
            Self::Own(envelope) => envelope.recycle(),
        }
    }
}

impl NextStage {
    /// Of receiver `place`, over a mailbox from each receiver of the stage before, which gives rows of `schema`.
    pub fn new(mailboxes: &[Arc<Mailbox>], place: u16, schema: &Arc<Schema>) -> Self {
        Self {
            lanes: Lanes::new(mailboxes),
            place,
            schema: Arc::clone(schema),
            left_out: LeftOut::default(),
            spares: Arc::default(),
            merger: Merger::default(),
            told: Seq(0),
        }
    }

    fn take(&mut self, pop: impl Fn(&Lanes, &Mailbox) -> Option<Event>) -> Option<Work> {
        loop {
            if let Some(work) = self.ready() {
                return Some(work);
            }
            let slowest = self.lanes.slowest()?;
            match pop(&self.lanes, &self.lanes.0[slowest].mailbox)? {
                Event::LeftOut(left_out) => self.left_out.append(*left_out),
                event => self.lanes.0[slowest].arrive(event),
            }
        }
    }

    fn ready(&mut self) -> Option<Work> {
        let bound = self.lanes.through();
        let left_out = self.left_out.take_through(bound);
        if !left_out.is_empty() {
            return Some(Work::LeftOut(left_out));
        }
        if let Some(envelope) = self.rows_through(bound) {
            return Some(Work::Batch(Box::new(envelope)));
        }
        if bound > self.told && bound != Seq(u64::MAX) {
            self.told = bound;
            return Some(Work::Through(bound));
        }
        if let Some((at, error)) = self.lanes.failed(bound) {
            return Some(Work::ShareFailed(at, error));
        }
        let barrier = self.lanes.aligned().map(Work::Barrier);
        barrier.or_else(|| self.lanes.ended().map(|seq| Work::End(0, seq)))
    }

    /// The receiver's rows of all lanes up to number `bound`, in order, with how time moved; nothing where there is neither.
    fn rows_through(&mut self, bound: Seq) -> Option<Envelope> {
        let place = self.place;
        let taken: Vec<Vec<Part>> =
            self.lanes.0.iter_mut().map(|lane| take_through(lane, bound, place)).collect();
        // A receiver without rows is silent while time stands still: whoever speaks tells all of time.
        let speaks = taken.iter().find(|parts| !parts.is_empty())?;
        let (first, time) = (speaks[0].envelope(), time_of(speaks));
        let (at_ms, accepted) = (first.at_ms, first.accepted);
        let mut changes = self.spares.take().unwrap_or_else(|| ChangeBatch::of(&self.schema));
        let lanes: Vec<Vec<&ChangeBatch>> = taken.iter().map(|parts| batches_of(parts)).collect();
        let parts = || taken.iter().flatten();
        let selected: Vec<Option<&[u32]>> = parts().map(|part| part.rows_of(place)).collect();
        self.merger.merge_selected(&lanes, &selected, &mut changes);
        let own = parts().filter(|part| part.has_rows_of(place));
        let records = own.flat_map(|part| &part.envelope().records).map(Arc::clone).collect();
        taken.into_iter().flatten().for_each(Part::recycle);
        let mut rows = Envelope {
            input: 0,
            batch: Batch { changes, time },
            offset: 0,
            first_seq: None,
            at_ms,
            accepted,
            through: bound,
            home: Some(Arc::clone(&self.spares)),
            records,
        };
        let Some(tail) = rows.tail() else {
            rows.recycle();
            return None;
        };
        if bound == Seq(u64::MAX) {
            rows.through = tail.max(self.told);
        }
        self.told = rows.through;
        Some(rows)
    }
}

impl Intake for NextStage {
    fn open_inputs(&self) -> usize {
        1
    }

    fn next(&mut self, before: &dyn Fn()) -> Option<Work> {
        self.take(|lanes, mailbox| {
            mailbox.try_pop().or_else(|| {
                lanes.announce_room();
                before();
                mailbox.pop()
            })
        })
    }

    fn try_next(&mut self) -> Option<Work> {
        self.take(|_, mailbox| mailbox.try_pop())
    }

    fn announce_room(&self) {
        self.lanes.announce_room();
    }

    fn close(&self) {
        self.lanes.0.iter().for_each(|lane| lane.mailbox.close());
    }
}

/// Takes out of a lane what is numbered up to `bound`: batches whole, or the rows of receiver `place` where one goes on
/// behind it, as where a receiver has failed in the midst of it.
fn take_through(lane: &mut Lane, bound: Seq, place: u16) -> Vec<Part> {
    let mut taken = Vec::new();
    loop {
        let envelope = match lane.waiting.front() {
            Some(Event::Share(share)) => &share.whole,
            Some(Event::Batch(envelope)) => envelope,
            _ => return taken,
        };
        if envelope.head().is_some_and(|head| head > bound) {
            return taken;
        }
        let goes_on = envelope.tail().is_some_and(|tail| tail > bound);
        let mut own = match lane.waiting.pop_front() {
            Some(Event::Share(share)) if goes_on => share.part(place),
            Some(Event::Share(share)) => {
                taken.push(Part::Shared(share));
                continue;
            }
            Some(Event::Batch(envelope)) => *envelope,
            _ => unreachable!("a batch is at the front"),
        };
        if goes_on {
            taken.push(Part::Own(own.split_before(Seq(bound.0 + 1))));
            lane.waiting.push_front(Event::Batch(Box::new(own)));
            return taken;
        }
        taken.push(Part::Own(own));
    }
}

fn batches_of(parts: &[Part]) -> Vec<&ChangeBatch> {
    parts.iter().map(|part| &part.envelope().batch.changes).collect()
}

/// How time moved over a lane's batches.
fn time_of(parts: &[Part]) -> TimeRuns {
    let times = || parts.iter().map(|part| &part.envelope().batch.time);
    let before = times().next().map_or(Watermark::NONE, |time| time.before);
    TimeRuns { before, advances: times().flat_map(|time| &time.advances).copied().collect() }
}
