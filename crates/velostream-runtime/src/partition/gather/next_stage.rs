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
use crate::partition::offsets::Offsets;
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
    /// Whether all comes from files: then a barrier has no place among the numbers and stops nothing.
    finite: bool,
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
    Own(Box<Envelope>),
}

impl Part {
    fn envelope(&self) -> &Envelope {
        match self {
            Self::Shared(share) => &share.whole,
            Self::Own(envelope) => envelope,
        }
    }

    /// The rows of receiver `place`; `None` where all are.
    fn rows(&self, place: u16) -> Option<&[u32]> {
        let Self::Shared(share) = self else { return None };
        share.places.rows(place).map(|own| own.rows)
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
    pub fn new(mailboxes: &[Arc<Mailbox>], place: u16, finite: bool, schema: &Arc<Schema>) -> Self {
        // Woken for each batch, it would take the processor from those that send.
        mailboxes.iter().for_each(|mailbox| mailbox.set_quiet());
        Self {
            lanes: Lanes::new(mailboxes),
            place,
            finite,
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
                Event::Barrier(barrier) if self.finite => return Some(Work::Barrier(barrier)),
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
        let selected: Vec<Option<&[u32]>> = parts().map(|part| part.rows(place)).collect();
        if let ([part], [Some(rows)]) = (parts().collect::<Vec<_>>().as_slice(), selected.as_slice()) {
            changes.extend_selected(&part.envelope().batch.changes, rows);
        } else {
            let picks = self.merger.order_selected(&lanes, &selected);
            changes.extend_picked(&lanes.concat(), &picks);
        }
        let has_own = |(part, rows): &(&Part, &Option<&[u32]>)| match rows {
            Some(rows) => !rows.is_empty(),
            None => !part.envelope().batch.changes.is_empty(),
        };
        let own = parts().zip(&selected).filter(has_own);
        let records = own.flat_map(|(part, _)| &part.envelope().records).map(Arc::clone).collect();
        taken.into_iter().flatten().for_each(Part::recycle);
        let mut rows = Envelope {
            input: 0,
            batch: Batch { changes, time },
            offsets: Offsets::Rows(0),
            at_ms,
            accepted,
            through: bound,
            home: Some(Arc::clone(&self.spares)),
            appended: Vec::new(),
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
            Some(Event::Share(share)) if goes_on => Box::new(share.part(place)),
            Some(Event::Share(share)) => {
                taken.push(Part::Shared(share));
                continue;
            }
            Some(Event::Batch(envelope)) => envelope,
            _ => unreachable!("a batch is at the front"),
        };
        if goes_on {
            taken.push(Part::Own(Box::new(own.split_before(Seq(bound.0 + 1)))));
            lane.waiting.push_front(Event::Batch(own));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::partition::barrier::{Barrier, BarrierKind, Passes};
    use crate::partition::share::Places;
    use crate::partition::testing::{envelope, mailbox, silent};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use velostream_engine::router::Shares;
    use velostream_engine::time::Watermark;
    use velostream_sql::diagnostic::ErrorCode;

    const LANES: usize = 3;
    const PLACES: u16 = 2;

    /// A batch of these numbers, each with the receiver whose it is; time moves at the last of all.
    fn share(rows: &[(u64, u16)], through: u64) -> Event {
        let seqs: Vec<u64> = rows.iter().map(|&(seq, _)| seq).collect();
        let Event::Batch(mut whole) = envelope(0, &seqs, through) else { unreachable!("it is a batch") };
        whole.batch.time.advances.push((Seq(through), Watermark(through as i64)));
        let known: Vec<u16> = rows.iter().map(|&(_, place)| place).collect();
        let places = Places::Each(Shares::of(&known, PLACES));
        Event::Share(Arc::new(Share { whole: *whole, places }))
    }

    /// What comes out: numbers of rows, `|` and the number at which time stands, and what else there is.
    fn drain(inlet: &mut NextStage, found: &mut Vec<String>) {
        while let Some(work) = inlet.try_next() {
            match work {
                Work::Batch(envelope) => {
                    assert!(envelope.tail().is_some_and(|tail| tail <= envelope.through));
                    found.extend(envelope.batch.changes.seqs.iter().map(|seq| seq.0.to_string()));
                    let time = &envelope.batch.time;
                    assert!(time.advances.is_sorted() && time.before <= time.after());
                }
                Work::Barrier(_) => found.push("barrier".to_owned()),
                Work::End(_, seq) => found.push(format!("end {}", seq.0)),
                Work::ShareFailed(seq, _) => return found.push(format!("failed {}", seq.0)),
                Work::Through(_) => {}
                _ => panic!("nothing of the kind was sent"),
            }
        }
    }

    /// A lane's events for its numbers up to `last`, cut behind the numbers for which `is_cut`, with a barrier behind the
    /// half of all.
    fn events_of(
        own: &[(u64, u16)],
        (half, last): (u64, u64),
        is_cut: impl Fn(u64) -> bool,
        barrier: &dyn Fn() -> Event,
    ) -> Vec<Event> {
        let (mut events, mut rows) = (Vec::new(), Vec::new());
        for seq in 1..=last {
            rows.extend(own.iter().filter(|row| row.0 == seq));
            if is_cut(seq) || seq == half || seq == last {
                events.push(share(&std::mem::take(&mut rows), seq));
            }
            if seq == half {
                events.push(barrier());
            }
        }
        events
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        /// Each number comes by one of three lanes, with one row or two, each of which belongs to one of two receivers. Lanes
        /// are cut into batches as it comes, and their events arrive in any order; the first lane may fail.
        #[test]
        fn arrival_and_cuts_change_nothing(
            owners in prop::collection::vec((0..LANES, prop::collection::vec(0..PLACES, 1..3)), 2..30),
            cuts in prop::collection::vec(0..8_u8, 30),
            order in prop::collection::vec(0..LANES, 60),
            fails in prop::option::of(1..30_u64),
        ) {
            let lanes: Vec<Arc<Mailbox>> = (0..LANES).map(|_| mailbox()).collect();
            let mut inlet = NextStage::new(&lanes, 1, false, &Arc::new(Schema::append_only(Vec::new())));
            let (_, pass) = Passes::new(silent());
            let (last, half) = (owners.len() as u64, owners.len() as u64 / 2);
            let fails = fails.filter(|&at| at <= last);
            let barrier = || {
                let members = Arc::new(BTreeSet::new());
                Event::Barrier(Barrier { at: Seq(half), members, kind: BarrierKind::Flush(pass.clone()) })
            };
            let rows = |(seq, (lane, places)): (u64, &(usize, Vec<u16>))| {
                let lane = *lane;
                places.iter().map(|&place| (seq, lane, place)).collect::<Vec<_>>()
            };
            let numbered = || (1..=last).zip(&owners).flat_map(rows);
            let mut waiting: Vec<_> = (0..LANES).map(|lane| {
                let own: Vec<_> =
                    numbered().filter(|row| row.1 == lane).map(|(seq, _, place)| (seq, place)).collect();
                let is_cut = |seq: u64| cuts[seq as usize - 1] & (1 << lane) != 0;
                let (until, at_last) = match fails {
                    Some(at) if lane == 0 => {
                        let error = Box::new(Error::new(ErrorCode::Record, "it fails"));
                        (at - 1, Event::ShareFailed(Seq(at), error))
                    }
                    _ => (last, Event::End(0, Seq(last + 1))),
                };
                let mut events = events_of(&own, (half, until), is_cut, &barrier);
                events.push(at_last);
                events.into_iter()
            }).collect();
            let mut found = Vec::new();
            for &lane in order.iter().chain([0, 1, 2].iter().cycle().take(300)) {
                if let Some(event) = waiting[lane].next() {
                    drop(lanes[lane].push(event));
                    if found.last().is_none_or(|last: &String| !last.starts_with("failed")) {
                        drain(&mut inlet, &mut found);
                    }
                }
            }
            let until = fails.unwrap_or(last + 1);
            let own = numbered().filter(|row| row.2 == 1 && row.0 < until).map(|row| row.0);
            let mut expected: Vec<String> = own.clone().filter(|&seq| seq <= half).map(|seq| seq.to_string()).collect();
            if half < until {
                expected.push("barrier".to_owned());
            }
            expected.extend(own.filter(|&seq| seq > half).map(|seq| seq.to_string()));
            expected.push(fails.map_or(format!("end {}", last + 1), |at| format!("failed {at}")));
            prop_assert_eq!(found, expected);
        }
    }
}
