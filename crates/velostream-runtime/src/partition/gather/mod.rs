//! What the receivers that share a plan give, as the one answer of the plan.
//!
//! Each of them has a lane and hears of every batch, rows or not. So it is known soon up to which number all have
//! given everything; the rows up to there are merged, and what was left out is told. Time is the same for all.
//!
//! Where only each key's order counts, and so the order of each lane, rows are given on as they come. Everything
//! else still waits for all lanes: questions, the end, failures, and what was left out.

mod lane;
mod lanes;
mod merged;
mod next_stage;

pub use merged::Merged;
pub use next_stage::NextStage;

use super::event::{Envelope, Event};
use super::inlet::{Intake, Work};
use super::mailbox::Mailbox;
use super::merge::Merger;
use crate::dead_letter::LeftOut;
use lanes::Lanes;
use std::sync::Arc;
use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::time::{TimeRuns, Watermark};
use velostream_sql::shares::Order;

/// How the lanes become one answer.
pub enum Merging {
    /// By the numbers of the records.
    ByNumber(Order),
    /// As it comes.
    AsItComes,
}

/// The lanes of all receivers of one plan.
pub struct Gather {
    lanes: Lanes,
    /// The receivers' own mailboxes: they end with the answer.
    sources: Vec<Arc<Mailbox>>,
    merging: Merging,
    /// Whether all comes from files: then a barrier has no place among the numbers and stops nothing.
    finite: bool,
    /// What was left out under numbers that not all lanes have reached.
    left_out: LeftOut,
    merger: Merger,
    /// The largest number up to which everything was given out.
    told: Seq,
}

impl Gather {
    /// Over a mailbox from each receiver, whose own mailboxes are `sources`.
    pub fn new(
        mailboxes: &[Arc<Mailbox>],
        sources: Vec<Arc<Mailbox>>,
        merging: Merging,
        finite: bool,
    ) -> Self {
        Self {
            lanes: Lanes::new(mailboxes),
            sources,
            merging,
            finite,
            left_out: LeftOut::default(),
            merger: Merger::default(),
            told: Seq(0),
        }
    }

    fn arrive(&mut self, at: usize, event: Event) {
        match event {
            Event::LeftOut(left_out) => self.left_out.append(*left_out),
            event => self.lanes.0[at].arrive(event),
        }
    }

    /// By number, nothing goes on without the lane that is behind: it is the one to take from.
    fn take(&mut self) -> Option<Work> {
        loop {
            if let Some(work) = self.ready() {
                return Some(work);
            }
            let slowest = self.lanes.slowest()?;
            match self.lanes.0[slowest].mailbox.try_pop()? {
                Event::Barrier(barrier) if self.finite => return Some(Work::Barrier(barrier)),
                event => self.arrive(slowest, event),
            }
        }
    }

    /// What can be done with what is there, by whichever lane.
    fn take_any(&mut self) -> Option<Work> {
        loop {
            if let Some(work) = self.ready() {
                return Some(work);
            }
            let mut open: Vec<usize> = self.lanes.open().collect();
            open.sort_by_key(|&at| self.lanes.0[at].through);
            let mut events = open.into_iter().map(|at| (at, self.lanes.0[at].mailbox.try_pop()));
            let (at, event) = events.find_map(|(at, event)| Some((at, event?)))?;
            match event {
                Event::Barrier(barrier) if self.finite => return Some(Work::Barrier(barrier)),
                event => self.arrive(at, event),
            }
        }
    }

    fn ready(&mut self) -> Option<Work> {
        let bound = self.lanes.through();
        let left_out = self.left_out.take_through(bound);
        if !left_out.is_empty() {
            return Some(Work::LeftOut(left_out));
        }
        let rows = match self.merging {
            Merging::ByNumber(order) => self.rows_through(bound, order),
            Merging::AsItComes => self.rows_of_any(),
        };
        if let Some(merged) = rows {
            return Some(Work::Merged(Box::new(merged)));
        }
        if let Some((at, error)) = self.lanes.failed(bound) {
            return Some(Work::ShareFailed(at, error));
        }
        let barrier = self.lanes.aligned().map(Work::Barrier);
        if let Some(work) = barrier.or_else(|| self.lanes.ended().map(|seq| Work::End(0, seq))) {
            return Some(work);
        }
        if bound > self.told && bound != Seq(u64::MAX) {
            self.told = bound;
            return Some(Work::Through(bound));
        }
        None
    }

    /// The rows that a lane has; where one has failed, none that stand behind its last ones.
    fn rows_of_any(&mut self) -> Option<Merged> {
        let lanes = &mut self.lanes.0;
        let failed = lanes.iter().filter(|lane| lane.is_failed()).map(|lane| lane.through).min();
        let limit = failed.unwrap_or(Seq(u64::MAX));
        let mut taken = lanes.iter_mut().map(|lane| lane.take_through(limit));
        let parts = taken.find(|parts| !parts.is_empty())?;
        let before = lanes.iter().map(|lane| lane.watermark).min().unwrap_or(Watermark::NONE);
        let time = TimeRuns { before, advances: Vec::new() };
        let (at_ms, through) = (parts[0].at_ms, parts[parts.len() - 1].through);
        Some(Merged { parts, picks: None, numbers: Vec::new(), time, through, at_ms })
    }

    /// The rows of all lanes up to number `through`, in order, with how time moved.
    fn rows_through(&mut self, through: Seq, order: Order) -> Option<Merged> {
        let taken: Vec<Vec<Envelope>> =
            self.lanes.0.iter_mut().map(|lane| lane.take_through(through)).collect();
        // A receiver without rows is silent while time stands still: whoever speaks tells all of time.
        let speaks = taken.iter().find(|parts| !parts.is_empty())?;
        let (at_ms, time) = (speaks[0].at_ms, time_of(speaks));
        let picks = (taken.iter().filter(|lane| !lane.is_empty()).count() > 1).then(|| {
            let lanes: Vec<Vec<&ChangeBatch>> = taken.iter().map(|lane| rows_of(lane)).collect();
            self.merger.order(&lanes, order)
        });
        let mut parts: Vec<Envelope> = taken.into_iter().flatten().collect();
        let last_column = |part: &mut Envelope| part.batch.changes.columns.pop();
        let numbers =
            if order.has_number() { parts.iter_mut().filter_map(last_column).collect() } else { Vec::new() };
        let tail = parts.iter().filter_map(Envelope::tail).max().unwrap_or_default();
        let through = if through == Seq(u64::MAX) { tail } else { through };
        self.told = self.told.max(through);
        Some(Merged { parts, picks, numbers, time, through, at_ms })
    }
}

impl Intake for Gather {
    fn open_inputs(&self) -> usize {
        1
    }

    /// It never waits: it has no thread, and whoever sends to it asks it again.
    fn next(&mut self, _before: &dyn Fn()) -> Option<Work> {
        self.try_next()
    }

    fn try_next(&mut self) -> Option<Work> {
        match self.merging {
            Merging::ByNumber(_) => self.take(),
            Merging::AsItComes => self.take_any(),
        }
    }

    fn announce_room(&self) {
        self.lanes.announce_room();
    }

    fn close(&self) {
        self.lanes
            .0
            .iter()
            .map(|lane| &lane.mailbox)
            .chain(&self.sources)
            .for_each(|mailbox| mailbox.close());
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
    use crate::error::Error;
    use crate::partition::barrier::{Barrier, BarrierKind, Passes};
    use crate::partition::testing::{envelope, mailbox, silent};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use velostream_sql::diagnostic::ErrorCode;

    /// What comes out: numbers of rows, 0 for the barrier, and the end.
    fn drain(gather: &mut Gather, found: &mut Vec<String>) {
        while let Some(work) = gather.try_next() {
            match work {
                Work::Merged(merged) => {
                    let seqs = seqs(&merged);
                    found.extend(seqs.iter().map(|seq| seq.0.to_string()));
                    assert!(seqs.iter().all(|&seq| seq <= merged.through));
                }
                Work::Barrier(_) => found.push("barrier".to_owned()),
                Work::End(..) => found.push("end".to_owned()),
                Work::Through(_) | Work::LeftOut(_) => {}
                Work::Batch(_)
                | Work::Taken(_)
                | Work::Step(_)
                | Work::Turns(_)
                | Work::Failed(_)
                | Work::ShareFailed(..) => {
                    panic!("nothing of the kind was sent")
                }
            }
        }
    }

    /// The numbers of the rows, in their order.
    fn seqs(merged: &Merged) -> Vec<Seq> {
        merged.view(|changes| changes.order().map(|(part, row)| changes.batches()[part].seqs[row]).collect())
    }

    /// The lanes of a gather that takes rows as they come.
    fn as_it_comes(count: usize) -> (Vec<Arc<Mailbox>>, Gather) {
        let lanes: Vec<Arc<Mailbox>> = (0..count).map(|_| mailbox()).collect();
        let gather = Gather::new(&lanes, Vec::new(), Merging::AsItComes, false);
        (lanes, gather)
    }

    fn send(lane: &Mailbox, events: Vec<Event>) {
        events.into_iter().for_each(|event| drop(lane.push(event)));
    }

    #[test]
    fn as_it_comes_rows_wait_for_no_other_lane_and_all_else_does() {
        let (lanes, mut gather) = as_it_comes(2);
        let mut found = Vec::new();
        let (_, pass) = Passes::new(silent());
        let barrier = || {
            let (at, members) = (Seq(5), Arc::new(BTreeSet::new()));
            Event::Barrier(Barrier { at, members, kind: BarrierKind::Flush(pass.clone()) })
        };
        send(&lanes[0], vec![envelope(0, &[3, 5], 5), barrier(), envelope(0, &[7], 7)]);
        drain(&mut gather, &mut found);
        assert_eq!(found, ["3", "5"], "of the lane that is ahead");
        send(&lanes[1], vec![envelope(0, &[4], 5), barrier(), envelope(0, &[6], 7), Event::End(0, Seq(8))]);
        drain(&mut gather, &mut found);
        assert_eq!(found[2..5], ["4", "barrier", "7"].map(str::to_owned));
        assert_eq!(found[5..], ["6"], "the end waits");
        send(&lanes[0], vec![Event::End(0, Seq(8))]);
        drain(&mut gather, &mut found);
        assert_eq!(found[6..], ["end"]);
    }

    #[test]
    fn as_it_comes_a_failure_comes_behind_all_that_stands_before_it() {
        let (lanes, mut gather) = as_it_comes(2);
        let mut found = Vec::new();
        let error = Box::new(Error::new(ErrorCode::Record, "it fails"));
        send(&lanes[0], vec![envelope(0, &[2], 4), Event::ShareFailed(Seq(5), error)]);
        drain(&mut gather, &mut found);
        assert_eq!(found, ["2"], "the other lane may have more before it");
        send(&lanes[1], vec![envelope(0, &[1, 4, 6], 6)]);
        let mut numbers = Vec::new();
        let failure = loop {
            match gather.try_next().expect("it fails at last") {
                Work::Merged(merged) => numbers.extend(seqs(&merged)),
                Work::ShareFailed(_, error) => break error,
                _ => {}
            }
        };
        assert_eq!((numbers, &*failure.message), (vec![Seq(1), Seq(4)], "it fails"));
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
            let mut gather = Gather::new(&lanes, Vec::new(), Merging::ByNumber(Order::ByRecord), false);
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
