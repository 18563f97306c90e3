//! What the receivers that share a plan give, as the one answer of the plan.
//!
//! Each of them has a lane and hears of every batch, rows or not. So it is known soon up to which number all have
//! given everything; the rows up to there are merged. Time is the same for all, and taken from the first lane.

use super::inlet::{Intake, Work};
use super::mailbox::{Barrier, Envelope, Event, Mailbox};
use super::merge::merge;
use crate::spares::Spares;
use std::collections::VecDeque;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::time::TimeRuns;
use velostream_sql::shares::Order;
use velostream_sql::types::DataType;

/// One receiver's lane, with what was taken from its mailbox and waits.
struct Lane {
    mailbox: Arc<Mailbox>,
    waiting: VecDeque<Event>,
    /// What became final at the end of the input. It has the number of the last record, as in all lanes.
    finals: Vec<Envelope>,
    /// Up to this number everything has come.
    through: Seq,
}

/// The lanes of all receivers of one plan.
pub struct Gather {
    lanes: Vec<Lane>,
    order: Order,
    types: Vec<DataType>,
    spares: Arc<Spares>,
    /// The largest number up to which everything was given out.
    told: Seq,
}

impl Lane {
    fn arrive(&mut self, event: Event) {
        let event = match event {
            Event::Batch(envelope) if envelope.head().is_some_and(|head| head <= self.through) => {
                self.finals.push(*envelope);
                return;
            }
            event => event,
        };
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
    /// Over the receivers' mailboxes. Rows have these types; with an order by numbers they come with one column
    /// more, which is left out.
    pub fn new(mailboxes: &[Arc<Mailbox>], order: Order, types: Vec<DataType>) -> Self {
        let lane = |mailbox: &Arc<Mailbox>| Lane {
            mailbox: Arc::clone(mailbox),
            waiting: VecDeque::new(),
            finals: Vec::new(),
            through: Seq(0),
        };
        let lanes = mailboxes.iter().map(lane).collect();
        Self { lanes, order, types, spares: Arc::default(), told: Seq(0) }
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
            let finals = self.lanes.iter_mut().map(|lane| std::mem::take(&mut lane.finals)).collect();
            let finals = self.merged(finals, self.told);
            return Some(finals.map_or_else(|| self.end(), |envelope| Work::Batch(Box::new(envelope))));
        }
        if bound > self.told && bound != Seq(u64::MAX) {
            self.told = bound;
            return Some(Work::Through(bound));
        }
        None
    }

    /// What was taken from the lanes, in order, with how time moved. It is all up to number `through`.
    fn merged(&mut self, taken: Vec<Vec<Envelope>>, through: Seq) -> Option<Envelope> {
        let first = taken.iter().flatten().next()?;
        let (at_ms, accepted) = (first.at_ms, first.accepted);
        let time = time_of(&taken[0]);
        let mut changes = self.spares.take().unwrap_or_else(|| ChangeBatch::new(&self.types));
        if self.order.has_number() {
            changes.columns.push(velostream_engine::column::Column::new(DataType::BigInt));
        }
        let parts: Vec<Envelope> = taken.into_iter().filter_map(joined).collect();
        let rows: Vec<&ChangeBatch> = parts.iter().map(|part| &part.batch.changes).collect();
        merge(&rows, self.order, &mut changes);
        parts.into_iter().for_each(Envelope::recycle);
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
            last: None,
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
        self.lanes.iter().for_each(|lane| lane.mailbox.close());
    }
}

/// How time moved over a receiver's batches.
fn time_of(parts: &[Envelope]) -> TimeRuns {
    let mut times = parts.iter().map(|part| &part.batch.time);
    let Some(first) = times.next() else { return TimeRuns::default() };
    let mut time = first.clone();
    times.for_each(|more| time.advances.extend_from_slice(&more.advances));
    time
}

/// A receiver's batches as one.
fn joined(parts: Vec<Envelope>) -> Option<Envelope> {
    let mut parts = parts.into_iter();
    let mut first = parts.next()?;
    for part in parts {
        first.batch.changes.extend_range(&part.batch.changes, 0, part.batch.changes.len());
        part.recycle();
    }
    Some(first)
}
