//! What comes to a receiver by several ways, in the order of sequence numbers.
//!
//! Each way, or *lane*, has a mailbox of its own in which numbers ascend, and each event says up to which number its
//! sender has sent everything. A number is taken when no other lane can bring a smaller one any more; what several
//! lanes bring under one number is one step. So neither the threads' timing nor the cut of batches shows. A barrier
//! comes by every lane that leads from the engine, and counts when it has come by all.

use super::barrier::Barrier;
use super::event::{Envelope, Event};
use super::gather::Merged;
use super::mailbox::Mailbox;
use super::share::{Taken, Taker};
use super::turns::Turns;
use crate::dead_letter::LeftOut;
use crate::error::Error;
use crate::source::block_reader::BlockReader;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    fn open(&mut self, event: Event) -> Event {
        match (event, &mut self.taker) {
            (Event::Share(share), Some(taker)) => Event::Batch(Box::new(taker.take(share))),
            (event, _) => event,
        }
    }
}

/// Where a receiver gets its work.
pub trait Intake: Send {
    /// How many inputs have not ended at first.
    fn open_inputs(&self) -> usize;

    /// What is to be done next, waiting for it, and calling `before` first if it waits; `None` once a mailbox is closed.
    fn next(&mut self, before: &dyn Fn()) -> Option<Work>;

    /// What is to be done next, if it is there.
    fn try_next(&mut self) -> Option<Work>;

    /// How long it has worked itself since the last call, reading files.
    fn take_worked(&mut self) -> Duration {
        Duration::ZERO
    }

    /// Lets senders that wait for room go on where there is some: nothing is taken for now.
    fn announce_room(&self);

    /// Closes every mailbox.
    fn close(&self);
}

/// A lane with what was taken from its mailbox and waits for its turn.
struct Waiting {
    lane: Lane,
    events: VecDeque<Event>,
    /// Up to this number everything has come.
    through: Seq,
}

/// What is to be done next.
pub enum Work {
    /// Rows of one input.
    Batch(Box<Envelope>),
    /// Rows of one input that stand among those of others.
    Taken(Taken),
    /// Rows of several inputs, all of one number.
    Step(Vec<Envelope>),
    /// Rows of several inputs, one batch of each, whose numbers take turns.
    Turns(Vec<Envelope>),
    /// Rows that several receivers gave, in one order.
    Merged(Box<Merged>),
    /// Everything up to this number has come, and nothing is to be done for it.
    Through(Seq),
    /// What other receivers have left out, in order.
    LeftOut(LeftOut),
    /// A barrier, which has come by every lane.
    Barrier(Barrier),
    /// An input ends.
    End(usize, Seq),
    /// What comes in has failed.
    Failed(Box<Error>),
    /// A receiver of what is merged has failed at this number.
    ShareFailed(Seq, Box<Error>),
}

/// All lanes of a receiver.
pub struct Inlet {
    lanes: Vec<Waiting>,
    /// Whether rows of several inputs are gathered where they take turns.
    gathers: bool,
    /// What the receiver does for the files that it reads with others, while nothing else has come.
    reader: Option<BlockReader>,
    worked: Duration,
    /// The largest number up to which everything was given out.
    told: Seq,
}

/// What a lane can bring next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Rows or an end of this number.
    At(Seq),
    /// Nothing before the barrier at its front has come by all lanes.
    Blocked,
    /// Nothing up to this number.
    Unknown(Seq),
}

impl Waiting {
    /// Takes in an event from the mailbox.
    fn arrive(&mut self, event: Event) {
        match event {
            Event::Batch(envelope) => {
                self.through = self.through.max(envelope.through);
                if envelope.head().is_some() {
                    self.events.push_back(Event::Batch(envelope));
                }
            }
            Event::Beginning(envelopes) => {
                envelopes.into_iter().for_each(|each| self.arrive(Event::Batch(Box::new(each))))
            }
            Event::Share(_) => unreachable!("a lane that shares has a taker"),
            Event::LeftOut(_) | Event::ShareFailed(..) => unreachable!("it goes to where shares are merged"),
            Event::Through(seq) => self.through = self.through.max(seq),
            Event::Barrier(barrier) => {
                // Over files it has no place among the numbers.
                if self.lane.carries_barriers {
                    self.through = self.through.max(barrier.at);
                }
                self.events.push_back(Event::Barrier(barrier));
            }
            Event::End(input, seq) => {
                self.through = self.through.max(seq);
                self.events.push_back(Event::End(input, seq));
            }
            Event::Failed(error) => self.events.push_back(Event::Failed(error)),
        }
    }

    fn next(&self) -> Next {
        match self.events.front() {
            Some(Event::Batch(envelope)) => Next::At(envelope.head().unwrap_or_default()),
            Some(Event::End(_, seq)) => Next::At(*seq),
            Some(Event::Barrier(_)) => Next::Blocked,
            _ if self.lane.open_inputs == 0 => Next::Unknown(Seq(u64::MAX)),
            _ => Next::Unknown(self.through),
        }
    }

    fn is_blocked(&self) -> bool {
        matches!(self.events.front(), Some(Event::Barrier(_)))
    }

    fn is_failed(&self) -> bool {
        matches!(self.events.front(), Some(Event::Failed(_)))
    }

    /// Whether rows, or moves of time, from number `seq` on come next.
    fn begins_with(&self, seq: Seq) -> bool {
        matches!(self.events.front(), Some(Event::Batch(each)) if each.head() == Some(seq))
    }

    /// How many of the next batches begin with number `seq`.
    fn batches_of(&self, seq: Seq) -> usize {
        let begins = |event: &&Event| matches!(event, Event::Batch(each) if each.head() == Some(seq));
        self.events.iter().take_while(begins).count()
    }
}

impl Inlet {
    /// Over these lanes, from which nothing has come.
    pub fn new(lanes: Vec<Lane>) -> Self {
        let waiting = |lane| Waiting { lane, events: VecDeque::new(), through: Seq(0) };
        Self {
            lanes: lanes.into_iter().map(waiting).collect(),
            gathers: false,
            reader: None,
            worked: Duration::ZERO,
            told: Seq(0),
        }
    }

    /// Giving small batches of several inputs that take turns together, if `gathers`.
    pub fn gathering(self, gathers: bool) -> Self {
        Self { gathers, ..self }
    }

    /// With what the receiver reads itself.
    pub fn with_reader(self, reader: Option<BlockReader>) -> Self {
        Self { reader, ..self }
    }

    fn take(&mut self, mut pop: impl FnMut(&Mailbox) -> Option<Event>) -> Option<Work> {
        if self.lanes.len() == 1 && !self.gathers {
            return self.take_single(pop);
        }
        loop {
            match self.ready() {
                Some(Work::Batch(envelope)) if self.gathers => return Some(self.gather(envelope)),
                Some(work) => return Some(work),
                None => self.fetch(&mut pop)?,
            }
        }
    }

    /// Takes in the next event of the lane that is behind.
    fn fetch(&mut self, mut pop: impl FnMut(&Mailbox) -> Option<Event>) -> Option<()> {
        let candidates = self.lanes.iter_mut().filter(|waiting| {
            let may_bring = waiting.lane.open_inputs > 0 || waiting.lane.carries_barriers;
            may_bring && !waiting.is_blocked() && waiting.events.is_empty()
        });
        let slowest = candidates.min_by_key(|waiting| match waiting.next() {
            Next::Unknown(seq) => seq,
            Next::At(_) | Next::Blocked => Seq(u64::MAX),
        });
        let waiting = match slowest {
            Some(waiting) => waiting,
            // Everything has ended; what may still come are questions, by the first way.
            None => self.lanes.first_mut()?,
        };
        let event = pop(&waiting.lane.mailbox)?;
        let event = waiting.lane.open(event);
        waiting.arrive(event);
        Some(())
    }

    /// The batch with those behind it that are there, where they are small.
    fn gather(&mut self, envelope: Box<Envelope>) -> Work {
        let mut turns = match Turns::begin(envelope) {
            Ok(turns) => turns,
            Err(envelope) => return Work::Batch(envelope),
        };
        while turns.wants_more() {
            let known = self.known_through();
            let next = match self.first() {
                Some((seq, _)) if known.is_none_or(|known| seq <= known) => {
                    self.next_rows(seq, known, &turns)
                }
                _ if self.fetch(Mailbox::try_pop).is_some() => continue,
                _ => None,
            };
            let Some(envelope) = next else { break };
            turns.add(envelope);
        }
        turns.into_work()
    }

    /// The rows from number `seq` on, which come next, if no other lane has any of that number and `turns` can take them.
    fn next_rows(&mut self, seq: Seq, known: Option<Seq>, turns: &Turns) -> Option<Envelope> {
        let lane = self.lanes.iter().position(|waiting| waiting.begins_with(seq))?;
        let is_step = self.lanes.iter().map(|waiting| waiting.batches_of(seq)).sum::<usize>() > 1;
        let can_take =
            matches!(self.lanes[lane].events.front(), Some(Event::Batch(each)) if turns.can_take(each));
        if is_step || !can_take || self.lanes.iter().any(Waiting::is_failed) {
            return None;
        }
        self.rows_of(lane, seq, known)
    }

    /// With one lane nothing has to be put in order.
    fn take_single(&mut self, mut pop: impl FnMut(&Mailbox) -> Option<Event>) -> Option<Work> {
        let Waiting { lane, .. } = self.lanes.first_mut()?;
        let event = match (pop(&lane.mailbox)?, &lane.taker) {
            (Event::Share(share), Some(taker)) => match taker.borrow(share) {
                Ok(taken) => return Some(Work::Taken(taken)),
                Err(share) => Event::Share(share),
            },
            (event, _) => event,
        };
        Some(match lane.open(event) {
            Event::Batch(envelope) => Work::Batch(envelope),
            Event::Share(_) => unreachable!("a lane that shares has a taker"),
            Event::LeftOut(_) | Event::ShareFailed(..) => unreachable!("it goes to where shares are merged"),
            Event::Beginning(envelopes) => Work::Step(envelopes),
            Event::Through(seq) => Work::Through(seq),
            Event::Barrier(barrier) => Work::Barrier(barrier),
            Event::End(input, seq) => Work::End(input, seq),
            Event::Failed(error) => Work::Failed(error),
        })
    }

    /// What can be done with what has come.
    fn ready(&mut self) -> Option<Work> {
        if let Some(error) = self.failed() {
            return Some(Work::Failed(error));
        }
        let known = self.known_through();
        match self.first() {
            Some((seq, lane)) if known.is_none_or(|known| seq <= known) => Some(self.give(seq, lane, known)),
            _ => self.aligned().or_else(|| self.news(known)),
        }
    }

    /// The smallest number at the front of a lane, and which lane.
    fn first(&self) -> Option<(Seq, usize)> {
        let heads = self.lanes.iter().enumerate().filter_map(|(lane, waiting)| match waiting.next() {
            Next::At(seq) => Some((seq, lane)),
            Next::Blocked | Next::Unknown(_) => None,
        });
        heads.min()
    }

    /// The smallest number up to which the lanes that bring nothing now have sent everything.
    fn known_through(&self) -> Option<Seq> {
        let unknown = self.lanes.iter().filter_map(|waiting| match waiting.next() {
            Next::Unknown(seq) => Some(seq),
            Next::At(_) | Next::Blocked => None,
        });
        unknown.min()
    }

    fn failed(&mut self) -> Option<Box<Error>> {
        match self.lanes.iter_mut().find(|waiting| waiting.is_failed())?.events.pop_front() {
            Some(Event::Failed(error)) => Some(error),
            _ => None,
        }
    }

    /// Gives out what has number `seq`, the smallest one, and as much of its lane as no other can come before.
    fn give(&mut self, seq: Seq, lane: usize, known: Option<Seq>) -> Work {
        let step: usize = self.lanes.iter().map(|waiting| waiting.batches_of(seq)).sum();
        if step > 1 {
            self.told = seq;
            let mut parts = Vec::with_capacity(step);
            for waiting in &mut self.lanes {
                while waiting.begins_with(seq) {
                    parts.extend(take_before(&mut waiting.events, Seq(seq.0 + 1)));
                }
            }
            return Work::Step(parts);
        }
        // Rows of a number come before an end behind it, whichever lanes they are in.
        let lane = self.lanes.iter().position(|waiting| waiting.begins_with(seq)).unwrap_or(lane);
        if let Some(envelope) = self.rows_of(lane, seq, known) {
            return Work::Batch(Box::new(envelope));
        }
        let waiting = &mut self.lanes[lane];
        match waiting.events.pop_front() {
            Some(Event::End(input, seq)) => {
                waiting.lane.open_inputs -= 1;
                Work::End(input, seq)
            }
            _ => unreachable!("the front of the lane has a number: rows or an end"),
        }
    }

    /// The rows at the front of a lane, from number `seq` on, before which no other lane can bring anything.
    fn rows_of(&mut self, lane: usize, seq: Seq, known: Option<Seq>) -> Option<Envelope> {
        let others = self.lanes.iter().enumerate().filter(|&(other, _)| other != lane);
        let limit = others
            .filter_map(|(_, waiting)| match waiting.next() {
                Next::At(other) => Some(other),
                Next::Blocked | Next::Unknown(_) => None,
            })
            .min();
        let bound = limit.unwrap_or(Seq(u64::MAX)).max(Seq(seq.0 + 1));
        let bound = known.map_or(bound, |known| bound.min(Seq(known.0.saturating_add(1))));
        let envelope = take_before(&mut self.lanes[lane].events, bound)?;
        self.told = envelope.tail().unwrap_or(seq);
        Some(envelope)
    }

    /// A barrier that has come by every lane that carries it.
    fn aligned(&mut self) -> Option<Work> {
        let blocked = self.lanes.iter().any(Waiting::is_blocked);
        let all = self.lanes.iter().filter(|waiting| waiting.lane.carries_barriers).all(Waiting::is_blocked);
        if !blocked || !all {
            return None;
        }
        let fronts = self.lanes.iter_mut().filter(|waiting| waiting.is_blocked());
        let barriers: Vec<Event> = fronts.filter_map(|waiting| waiting.events.pop_front()).collect();
        barriers.into_iter().find_map(|event| match event {
            Event::Barrier(barrier) => Some(Work::Barrier(barrier)),
            _ => None,
        })
    }

    /// That more is known to have come than was told.
    fn news(&mut self, known: Option<Seq>) -> Option<Work> {
        let known = known.filter(|known| *known > self.told && known.0 != u64::MAX)?;
        if self.lanes.iter().any(|waiting| !waiting.events.is_empty()) {
            return None;
        }
        self.told = known;
        Some(Work::Through(known))
    }
}

impl Intake for Inlet {
    fn open_inputs(&self) -> usize {
        self.lanes.iter().map(|waiting| waiting.lane.open_inputs).sum()
    }

    fn next(&mut self, before: &dyn Fn()) -> Option<Work> {
        let wait = |mailbox: &Mailbox| {
            before();
            mailbox.pop()
        };
        let Some(mut reader) = self.reader.take() else {
            return self.take(|mailbox| mailbox.try_pop().or_else(|| wait(mailbox)));
        };
        let mut worked = Duration::ZERO;
        let work = self.take(|mailbox| {
            loop {
                if let Some(event) = mailbox.try_pop() {
                    return Some(event);
                }
                let begun = Instant::now();
                if !reader.work() {
                    return wait(mailbox);
                }
                worked += begun.elapsed();
            }
        });
        self.reader = Some(reader);
        self.worked += worked;
        work
    }

    fn take_worked(&mut self) -> Duration {
        std::mem::take(&mut self.worked)
    }

    fn try_next(&mut self) -> Option<Work> {
        self.take(|mailbox| mailbox.try_pop())
    }

    fn announce_room(&self) {
        self.lanes.iter().for_each(|waiting| waiting.lane.mailbox.announce_room());
    }

    fn close(&self) {
        self.reader.iter().for_each(BlockReader::close);
        self.lanes.iter().for_each(|waiting| waiting.lane.mailbox.close());
    }
}

/// Takes what is numbered below `bound` off the envelope at the front, if there is one. More may come by other
/// lanes behind it, so it says no more than its own rows.
fn take_before(events: &mut VecDeque<Event>, bound: Seq) -> Option<Envelope> {
    let Some(Event::Batch(envelope)) = events.front_mut() else { return None };
    if envelope.tail().is_some_and(|tail| tail >= bound) {
        return Some(envelope.split_before(bound));
    }
    match events.pop_front() {
        Some(Event::Batch(envelope)) => {
            let through = envelope.tail().unwrap_or(envelope.through);
            Some(Envelope { through, ..*envelope })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::barrier::{BarrierKind, Passes};
    use crate::partition::testing::{envelope, mailbox, silent};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn barrier(at: u64, kind: &BarrierKind) -> Event {
        Event::Barrier(Barrier { at: Seq(at), members: Arc::new(BTreeSet::new()), kind: kind.clone() })
    }

    /// What an inlet gives out, one entry per number and input, or the barrier.
    fn drain(inlet: &mut Inlet, found: &mut Vec<(u64, Vec<usize>)>) {
        while let Some(work) = inlet.try_next() {
            match work {
                Work::Batch(envelope) => {
                    let seqs = envelope.batch.changes.seqs;
                    found.extend(seqs.into_iter().map(|seq| (seq.0, vec![envelope.input])));
                }
                Work::Step(parts) => {
                    let seq = parts[0].batch.changes.seqs[0];
                    assert!(
                        parts.iter().all(|part| part.batch.changes.seqs.iter().all(|&other| other == seq))
                    );
                    found.push((seq.0, parts.iter().map(|part| part.input).collect()));
                }
                Work::Barrier(barrier) => found.push((barrier.at.0, vec![usize::MAX])),
                Work::Turns(parts) => {
                    let rows = parts
                        .iter()
                        .flat_map(|part| part.batch.changes.seqs.iter().map(|seq| (seq.0, vec![part.input])));
                    let mut rows: Vec<_> = rows.collect();
                    rows.sort();
                    found.append(&mut rows);
                }
                Work::End(input, seq) => found.push((seq.0, vec![1000 + input])),
                Work::Through(_) | Work::LeftOut(_) => {}
                Work::Failed(error) | Work::ShareFailed(_, error) => panic!("{error:?}"),
                Work::Merged(_) | Work::Taken(_) => panic!("nothing of the kind was sent"),
            }
        }
    }

    /// For each of some numbers which of three lanes has a row of it; lanes cut their rows into batches, and events
    /// of different lanes arrive in any order.
    fn cases() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Vec<u8>)> {
        (
            prop::collection::vec(0..8_u8, 1..40),
            prop::collection::vec(0..3_u8, 200),
            prop::collection::vec(0..3_u8, 40),
        )
    }

    proptest! {
        #[test]
        fn arrival_and_cuts_change_nothing((rows, order, cuts) in cases(), gathers: bool) {
            let lanes: Vec<Arc<Mailbox>> = (0..3).map(|_| mailbox()).collect();
            let mut inlet = Inlet::new(lanes.iter().map(|lane| Lane {
                mailbox: Arc::clone(lane), open_inputs: 1, carries_barriers: true, taker: None,
            }).collect()).gathering(gathers);
            let half = rows.len() as u64 / 2;
            let (_, pass) = Passes::new(silent());
            let kind = BarrierKind::Flush(pass);
            let events = |lane: usize| {
                let mut events = Vec::new();
                let mut batch: Vec<u64> = Vec::new();
                for (at, mask) in rows.iter().enumerate() {
                    let seq = at as u64 + 1;
                    if seq == half + 1 {
                        events.push(envelope(lane, &std::mem::take(&mut batch), half));
                        events.push(barrier(half, &kind));
                    }
                    if mask & (1 << lane) != 0 {
                        batch.push(seq);
                    }
                    if cuts[at] as usize == lane {
                        events.push(envelope(lane, &std::mem::take(&mut batch), seq));
                    }
                }
                let last = rows.len() as u64;
                events.push(envelope(lane, &batch, last));
                events.push(Event::End(lane, Seq(last)));
                events.into_iter()
            };
            let mut waiting: Vec<_> = (0..3).map(events).collect();
            let mut found = Vec::new();
            for lane in order.iter().map(|&lane| lane as usize).chain((0..3).cycle().take(400)) {
                if let Some(event) = waiting[lane].next() {
                    drop(lanes[lane].push(event));
                    drain(&mut inlet, &mut found);
                }
            }
            let mut expected: Vec<(u64, Vec<usize>)> = Vec::new();
            for (at, mask) in rows.iter().enumerate() {
                let seq = at as u64 + 1;
                if seq == half + 1 {
                    expected.push((half, vec![usize::MAX]));
                }
                let of: Vec<usize> = (0..3).filter(|lane| mask & (1 << lane) != 0).collect();
                if !of.is_empty() {
                    expected.push((seq, of));
                }
            }
            expected.extend((0..3).map(|input| (rows.len() as u64, vec![1000 + input])));
            prop_assert_eq!(found, expected);
        }
    }
}
