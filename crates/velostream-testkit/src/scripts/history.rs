//! Histories: what comes and stays, and excursions that are rolled back.

use super::{RELATIONS, Random};
use velostream_engine::batch::Op;
use velostream_sql::plan::Literal;

/// One record of a source: `id, k, g, v, ts`, or a tombstone of a table, of which `id` counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// `Insert` or `Delete`.
    pub op: Op,
    /// In the order of the columns.
    pub row: [Literal; 5],
}

/// What a processor is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A batch of records of a relation, by its place in [`RELATIONS`].
    Batch(usize, Vec<Given>),
    /// The watermark of a relation moves, microseconds.
    Advance(usize, i64),
    /// A relation ends.
    End(usize),
}

/// A part of a history.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It stays.
    Keep(Event),
    /// All of it is rolled back.
    Excursion(Vec<Event>),
    /// A transaction begins; excursions go back to the last commit.
    Begin,
    /// All so far is kept, the transaction goes on.
    Commit,
}

/// A random history for a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// In order.
    pub steps: Vec<Step>,
}

/// Where a history stands.
struct Writer<'a> {
    random: &'a mut Random,
    /// Relations that the query reads, by their places.
    read: &'a [usize],
    now_seconds: i64,
    next_id: i64,
    /// Of so many values one is such that some expression fails for it.
    failing: usize,
}

impl Script {
    /// A history over the relations that a query reads.
    pub fn random(random: &mut Random, read: &[usize]) -> Self {
        let failing = *random.pick(&[3, 5, 1000]);
        let mut writer = Writer { random, read, now_seconds: 100, next_id: 0, failing };
        let count = 3 + writer.random.below(14);
        Self { steps: (0..count).map(|_| writer.step()).collect() }
    }
}

impl Writer<'_> {
    fn step(&mut self) -> Step {
        match self.random.below(10) {
            0 => Step::Begin,
            1 => Step::Commit,
            2..=4 => self.excursion(),
            _ => {
                let event = self.event(false);
                Step::Keep(event)
            }
        }
    }

    /// The time of an excursion goes back with it.
    fn excursion(&mut self) -> Step {
        let now = self.now_seconds;
        let count = 1 + self.random.below(4);
        let events = (0..count).map(|_| self.event(true)).collect();
        self.now_seconds = now;
        Step::Excursion(events)
    }

    fn event(&mut self, may_end: bool) -> Event {
        let relation = *self.random.pick(self.read);
        if self.random.once_in(8) {
            self.now_seconds += self.random.between(0, 12);
            return Event::Advance(relation, (self.now_seconds - 3) * 1_000_000);
        }
        if may_end && self.random.once_in(10) {
            return Event::End(relation);
        }
        let count = if self.random.once_in(3) { 1 } else { 1 + self.random.below(6) };
        let is_table = RELATIONS[relation] >= "a" && RELATIONS[relation] <= "b";
        Event::Batch(relation, (0..count).map(|_| self.given(is_table)).collect())
    }

    fn given(&mut self, is_table: bool) -> Given {
        let random = &mut *self.random;
        let step = if random.once_in(20) { 15 } else { 3 };
        self.now_seconds += random.between(0, step);
        let id = if is_table { random.between(0, 5) } else { self.next_id };
        self.next_id += 1;
        if is_table && random.once_in(4) {
            let nothing = [Literal::BigInt(id), Literal::Null, Literal::Null, Literal::Null, Literal::Null];
            return Given { op: Op::Delete, row: nothing };
        }
        let v = if random.once_in(self.failing) {
            *random.pick(&[0, 0, 1, -3, 95])
        } else {
            random.between(2, 7)
        };
        let v = if random.once_in(15) { Literal::Null } else { Literal::BigInt(v) };
        let text = *random.pick(&["x", "y", "a text that is too long for a view"]);
        let k = if random.once_in(12) { Literal::Null } else { text.into() };
        let time = self.now_seconds - random.between(0, 6);
        let g = random.between(0, 3);
        Given { op: Op::Insert, row: [id.into(), k, g.into(), v, Literal::Timestamp(time * 1_000_000)] }
    }
}
