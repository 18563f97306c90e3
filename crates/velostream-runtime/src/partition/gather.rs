//! What the receivers that share a plan give, as the one answer of the plan.
//!
//! Each of them has a lane and hears of every batch, rows or not. So it is known soon up to which number all have
//! given everything; the rows up to there are merged. Time is the same for all.

use super::inlet::{Intake, Work};
use super::mailbox::{Barrier, Envelope, Event, Mailbox};
use super::merge::Merger;
use crate::spares::Spares;
use std::collections::VecDeque;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::column::Column;
use velostream_engine::time::{TimeRuns, Watermark};
use velostream_sql::shares::Order;
use velostream_sql::types::{DataType, Schema};

/// One receiver's lane, with what was taken from its mailbox and waits.
struct Lane {
    mailbox: Arc<Mailbox>,
    waiting: VecDeque<Event>,
    /// Up to this number everything has come.
    through: Seq,
}

/// The lanes of all receivers of one plan.
pub struct Gather {
    lanes: Vec<Lane>,
    /// The receivers' own mailboxes: they end with the answer.
    sources: Vec<Arc<Mailbox>>,
    order: Order,
    schema: Arc<Schema>,
    spares: Arc<Spares>,
    merger: Merger,
    /// The largest number up to which everything was given out.
    told: Seq,
}

impl Lane {
    fn arrive(&mut self, event: Event) {
        self.through = match &event {
            Event::Batch(envelope) => self.through.max(envelope.through),
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
    fn is_stopped(&self) -> bool {
        matches!(self.waiting.back(), Some(Event::Barrier(_) | Event::Failed(_)))
    }

    /// Takes out what is numbered up to `bound`.
    fn take_through(&mut self, bound: Seq) -> Vec<Envelope> {
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

impl Gather {
    /// Over a mailbox from each receiver, whose own mailboxes are `sources`. Rows are of `schema`; with an order by
    /// numbers they come with one column more, which is left out.
    pub fn new(
        mailboxes: &[Arc<Mailbox>],
        sources: Vec<Arc<Mailbox>>,
        order: Order,
        schema: Arc<Schema>,
    ) -> Self {
        let lane = |mailbox: &Arc<Mailbox>| Lane {
            mailbox: Arc::clone(mailbox),
            waiting: VecDeque::new(),
            through: Seq(0),
        };
        let lanes = mailboxes.iter().map(lane).collect();
        Self {
            lanes,
            sources,
            order,
            schema,
            spares: Arc::default(),
            merger: Merger::default(),
            told: Seq(0),
        }
    }

    fn take(&mut self, pop: impl Fn(&Mailbox) -> Option<Event>) -> Option<Work> {
        loop {
            if let Some(work) = self.ready() {
                return Some(work);
            }
            let open = self.lanes.iter_mut().filter(|lane| !lane.is_stopped());
            let slowest = open.min_by_key(|lane| lane.through)?;
            let event = pop(&slowest.mailbox)?;
            slowest.arrive(event);
        }
    }

    fn ready(&mut self) -> Option<Work> {
        let bound = self.lanes.iter().map(|lane| lane.through).min()?;
        let taken = self.lanes.iter_mut().map(|lane| lane.take_through(bound)).collect();
        if let Some(envelope) = self.merged(taken, bound) {
            return Some(Work::Batch(Box::new(envelope)));
        }
        if let Some(work) = self.failed(bound).or_else(|| self.aligned()) {
            return Some(work);
        }
        if self.lanes.iter().all(|lane| matches!(lane.waiting.front(), Some(Event::End(..)))) {
            return Some(self.end());
        }
        if bound > self.told && bound != Seq(u64::MAX) {
            self.told = bound;
            return Some(Work::Through(bound));
        }
        None
    }

    /// What was taken from the lanes, in order, with how time moved. It is all up to number `through`.
    fn merged(&mut self, taken: Vec<Vec<Envelope>>, through: Seq) -> Option<Envelope> {
        // A receiver without rows is silent while time stands still: whoever speaks tells all of time.
        let speaks = taken.iter().find(|parts| !parts.is_empty())?;
        let (at_ms, accepted, time) = (speaks[0].at_ms, speaks[0].accepted, time_of(speaks));
        let mut changes = self.spares.take().unwrap_or_else(|| ChangeBatch::of(&self.schema));
        if self.order.has_number() {
            changes.columns.push(Column::new(DataType::BigInt));
        }
        let lanes: Vec<Vec<&ChangeBatch>> = taken.iter().map(|lane| rows_of(lane)).collect();
        self.merger.merge(&lanes, self.order, &mut changes);
        taken.into_iter().flatten().for_each(Envelope::recycle);
        if self.order.has_number() {
            changes.columns.pop();
        }
        let tail = changes.seqs.last().copied().unwrap_or_default();
        let through = if through == Seq(u64::MAX) { tail } else { through };
        self.told = self.told.max(through);
        Some(Envelope {
            input: 0,
            batch: Batch { changes, time },
            offset: 0,
            first_seq: None,
            at_ms,
            accepted,
            through,
            home: Some(Arc::clone(&self.spares)),
        })
    }

    /// A receiver's failure, once all others are as far.
    fn failed(&mut self, bound: Seq) -> Option<Work> {
        let at_bound = |lane: &&mut Lane| {
            lane.through == bound && matches!(lane.waiting.front(), Some(Event::Failed(_)))
        };
        match self.lanes.iter_mut().find(at_bound)?.waiting.pop_front() {
            Some(Event::Failed(error)) => Some(Work::Failed(error)),
            _ => None,
        }
    }

    /// A barrier that has come by all lanes.
    fn aligned(&mut self) -> Option<Work> {
        let blocked = |lane: &Lane| matches!(lane.waiting.front(), Some(Event::Barrier(_)));
        if !self.lanes.iter().all(blocked) {
            return None;
        }
        let mut barriers = self.lanes.iter_mut().filter_map(|lane| match lane.waiting.pop_front() {
            Some(Event::Barrier(barrier)) => Some(barrier),
            _ => None,
        });
        let first: Option<Barrier> = barriers.next();
        barriers.for_each(drop);
        first.map(Work::Barrier)
    }

    /// The end, to which all have come.
    fn end(&mut self) -> Work {
        let ends = self.lanes.iter_mut().filter_map(|lane| match lane.waiting.pop_front() {
            Some(Event::End(_, seq)) => Some(seq),
            _ => None,
        });
        Work::End(0, ends.max().unwrap_or_default())
    }
}

impl Intake for Gather {
    fn open_inputs(&self) -> usize {
        1
    }

    fn next(&mut self) -> Option<Work> {
        self.take(|mailbox| mailbox.pop())
    }

    fn try_next(&mut self) -> Option<Work> {
        self.take(|mailbox| mailbox.try_pop())
    }

    fn announce_room(&self) {
        self.lanes.iter().for_each(|lane| lane.mailbox.announce_room());
    }

    fn close(&self) {
        self.lanes.iter().map(|lane| &lane.mailbox).chain(&self.sources).for_each(|mailbox| mailbox.close());
    }
}

fn rows_of(lane: &[Envelope]) -> Vec<&ChangeBatch> {
    lane.iter().map(|part| &part.batch.changes).collect()
}

/// How time moved over a receiver's batches.
fn time_of(parts: &[Envelope]) -> TimeRuns {
    let before = parts.first().map_or(Watermark::NONE, |part| part.batch.time.before);
    let advances = parts.iter().flat_map(|part| &part.batch.time.advances).copied();
    TimeRuns { before, advances: advances.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::mailbox::{BarrierKind, Passes};
    use crate::partition::testing::{envelope, mailbox, silent};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// What comes out: numbers of rows, 0 for the barrier, and the end.
    fn drain(gather: &mut Gather, found: &mut Vec<String>) {
        while let Some(work) = gather.try_next() {
            match work {
                Work::Batch(envelope) => {
                    found.extend(envelope.batch.changes.seqs.iter().map(|seq| seq.0.to_string()));
                    assert!(envelope.batch.changes.seqs.iter().all(|&seq| seq <= envelope.through));
                }
                Work::Barrier(_) => found.push("barrier".to_owned()),
                Work::End(..) => found.push("end".to_owned()),
                Work::Through(_) => {}
                Work::Step(_) | Work::Failed(_) => panic!("nothing of the kind was sent"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        /// Each number is one of three lanes'; all hear of every batch, in any order of arrival.
        #[test]
        fn arrival_changes_nothing(
            owners in prop::collection::vec(0..3_usize, 1..30),
            size in 1..6_usize,
            order in prop::collection::vec(0..3_usize, 60),
            finals in prop::collection::vec(any::<bool>(), 3),
        ) {
            let lanes: Vec<Arc<Mailbox>> = (0..3).map(|_| mailbox()).collect();
            let mut gather = Gather::new(&lanes, Vec::new(), Order::ByRecord, Arc::new(Schema::append_only(Vec::new())));
            let (_, pass) = Passes::new(silent());
            let last = owners.len() as u64;
            let batches: Vec<Vec<u64>> =
                (1..=last).collect::<Vec<_>>().chunks(size).map(<[u64]>::to_vec).collect();
            let half = batches.len() / 2;
            let events = |lane: usize| {
                let mut events = Vec::new();
                for (at, batch) in batches.iter().enumerate() {
                    if at == half {
                        let (at, members) = (Seq(batch[0] - 1), Arc::new(BTreeSet::new()));
                        let kind = BarrierKind::Flush(pass.clone());
                        events.push(Event::Barrier(Barrier { at, members, kind }));
                    }
                    let own: Vec<u64> =
                        batch.iter().copied().filter(|&seq| owners[seq as usize - 1] == lane).collect();
                    let through = batch[batch.len() - 1];
                    events.push(if own.is_empty() { Event::Through(Seq(through)) } else { envelope(0, &own, through) });
                }
                if finals[lane] {
                    events.push(envelope(0, &[last + 1], last + 1));
                }
                events.push(Event::End(0, Seq(last + 1)));
                events.into_iter()
            };
            let mut waiting: Vec<_> = (0..3).map(events).collect();
            let mut found = Vec::new();
            for &lane in order.iter().chain([0, 1, 2].iter().cycle().take(300)) {
                if let Some(event) = waiting[lane].next() {
                    drop(lanes[lane].push(event));
                    drain(&mut gather, &mut found);
                }
            }
            let mut expected = Vec::new();
            for (at, batch) in batches.iter().enumerate() {
                if at == half {
                    expected.push("barrier".to_owned());
                }
                expected.extend(batch.iter().map(u64::to_string));
            }
            expected.extend(finals.iter().filter(|&&has| has).map(|_| (last + 1).to_string()));
            expected.push("end".to_owned());
            prop_assert_eq!(found, expected);
        }
    }
}
