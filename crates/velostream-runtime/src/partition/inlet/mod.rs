//! What comes to a receiver by several ways, in the order of sequence numbers.
//!
//! Each way, or *lane*, has a mailbox of its own in which numbers ascend, and each event says up to which number its
//! sender has sent everything. A number is taken when no other lane can bring a smaller one any more; what several
//! lanes bring under one number is one step. So neither the threads' timing nor the cut of batches shows. A barrier
//! comes by every lane that leads from the engine, and counts when it has come by all.

mod lane;
mod turns;

pub use lane::Lane;

use crate::dead_letter::LeftOut;
use crate::error::Error;
use crate::partition::barrier::Barrier;
use crate::partition::event::{Envelope, Event};
use crate::partition::gather::Merged;
use crate::partition::mailbox::Mailbox;
use crate::partition::share::Taken;
use crate::source::block_reader::BlockReader;
use lane::{Arrived, Next, Waiting, tail};
use std::time::{Duration, Instant};
use turns::Turns;
use velostream_engine::batch::Seq;

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

impl Inlet {
    /// Over these lanes, from which nothing has come.
    pub fn new(lanes: Vec<Lane>) -> Self {
        Self {
            lanes: lanes.into_iter().map(Waiting::new).collect(),
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
            may_bring && !waiting.is_blocked() && waiting.arrived.is_empty()
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
        waiting.arrive(event, self.gathers);
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
            matches!(self.lanes[lane].arrived.front(), Some(Arrived::Batch(each)) if turns.can_take(each));
        if is_step || !can_take || self.lanes.iter().any(Waiting::is_failed) {
            return None;
        }
        self.rows_before(lane, self.bound(lane, seq, known))
    }

    /// With one lane nothing has to be put in order.
    fn take_single(&mut self, mut pop: impl FnMut(&Mailbox) -> Option<Event>) -> Option<Work> {
        let waiting = self.lanes.first_mut()?;
        if let Some(arrived) = waiting.arrived.pop_front() {
            return Some(arrived.into());
        }
        let event = match (pop(&waiting.lane.mailbox)?, &waiting.lane.taker) {
            (Event::Share(share), Some(taker)) => match taker.borrow(share) {
                Ok(taken) => return Some(Work::Taken(taken)),
                Err(share) => Event::Share(share),
            },
            (event, _) => event,
        };
        Some(match waiting.lane.open(event) {
            Event::Batch(envelope) => Work::Batch(envelope),
            Event::Interlaced(rows) => {
                let through = Arrived::Through(rows.through());
                waiting.arrive(Event::Interlaced(rows), false);
                waiting.arrived.push_back(through);
                waiting.arrived.pop_front()?.into()
            }
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
        match self.lanes.iter_mut().find(|waiting| waiting.is_failed())?.arrived.pop_front() {
            Some(Arrived::Failed(error)) => Some(error),
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
                    parts.extend(waiting.take_before(Seq(seq.0 + 1)));
                }
            }
            return Work::Step(parts);
        }
        // Rows of a number come before an end behind it, whichever lanes they are in.
        let lane = self.lanes.iter().position(|waiting| waiting.begins_with(seq)).unwrap_or(lane);
        let bound = self.bound(lane, seq, known);
        if let Some(envelope) = self.rows_before(lane, bound) {
            return Work::Batch(Box::new(envelope));
        }
        if let Some(parts) = self.lanes[lane].turns_before(bound) {
            self.told = tail(&parts).unwrap_or(seq);
            return Work::Turns(parts);
        }
        let waiting = &mut self.lanes[lane];
        match waiting.arrived.pop_front() {
            Some(Arrived::End(input, seq)) => {
                waiting.lane.open_inputs -= 1;
                Work::End(input, seq)
            }
            _ => unreachable!("the front of the lane has a number: rows or an end"),
        }
    }

    /// The number up to which no other lane can bring anything before a lane's rows, which begin with number `seq`.
    fn bound(&self, lane: usize, seq: Seq, known: Option<Seq>) -> Seq {
        let others = self.lanes.iter().enumerate().filter(|&(other, _)| other != lane);
        let limit = others
            .filter_map(|(_, waiting)| match waiting.next() {
                Next::At(other) => Some(other),
                Next::Blocked | Next::Unknown(_) => None,
            })
            .min();
        let bound = limit.unwrap_or(Seq(u64::MAX)).max(Seq(seq.0 + 1));
        known.map_or(bound, |known| bound.min(Seq(known.0.saturating_add(1))))
    }

    /// The rows below `bound` of the batch at the front of a lane, if one is there.
    fn rows_before(&mut self, lane: usize, bound: Seq) -> Option<Envelope> {
        let envelope = self.lanes[lane].take_before(bound)?;
        self.told = envelope.tail().unwrap_or(self.told);
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
        let barriers: Vec<Arrived> = fronts.filter_map(|waiting| waiting.arrived.pop_front()).collect();
        barriers.into_iter().find_map(|arrived| match arrived {
            Arrived::Barrier(barrier) => Some(Work::Barrier(barrier)),
            _ => None,
        })
    }

    /// That more is known to have come than was told.
    fn news(&mut self, known: Option<Seq>) -> Option<Work> {
        let known = known.filter(|known| *known > self.told && known.0 != u64::MAX)?;
        if self.lanes.iter().any(|waiting| !waiting.arrived.is_empty()) {
            return None;
        }
        self.told = known;
        Some(Work::Through(known))
    }
}

impl From<Arrived> for Work {
    fn from(arrived: Arrived) -> Self {
        match arrived {
            Arrived::Batch(envelope) => Self::Batch(envelope),
            Arrived::Turns(parts) => Self::Turns(parts),
            Arrived::Through(seq) => Self::Through(seq),
            Arrived::Barrier(barrier) => Self::Barrier(barrier),
            Arrived::End(input, seq) => Self::End(input, seq),
            Arrived::Failed(error) => Self::Failed(error),
        }
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

#[cfg(test)]
mod tests;
