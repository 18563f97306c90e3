//! `IntervalJoin`: rows of two streams whose event times are close.
//!
//! A row is late when its own watermark is beyond its time plus the bound and the grace; otherwise it matches every
//! row within the bound. A row is kept until the smallest watermark rules out that one may come which matches it.
//! As changes, an outer row is shown alone at once and taken back by its first match; as final rows, it is shown
//! when it is dropped without a match.

use super::JoinSpec;
use super::kept::{Rows, Work};
use super::matching::Matching;
use super::output::{Joined, Output};
use super::runs::{Run, Runs};
use super::side::Keys;
use crate::batch::{ChangeBatch, Op, Seq};
use crate::error::Result;
use crate::operators::{Arriving, Context, Joint, Stateful};
use crate::state::{State, TimeQueue, composite_state};
use crate::time::{EventTime, Watermark};
use velostream_sql::plan::Side;

/// How close the times must be: `left - before <= right <= left + after`. All in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How much earlier the right row may be; negative where it must be later.
    pub before: i64,
    /// How much later; negative where it must be earlier.
    pub after: i64,
    /// How long after that a row is still taken.
    pub grace: i64,
}

impl Bounds {
    /// How far a side's own watermark may be beyond a row's time.
    fn patience(&self, side: Side) -> i64 {
        let bound = match side {
            Side::Left => self.after,
            Side::Right => self.before,
        };
        bound.max(0).saturating_add(self.grace)
    }

    /// How far the smallest watermark may be beyond a row's time while a match may still come.
    #[must_use]
    pub fn keep(&self, side: Side) -> i64 {
        let (bound, other) = match side {
            Side::Left => (self.after, self.before),
            Side::Right => (self.before, self.after),
        };
        bound.saturating_add(other.max(0)).saturating_add(self.grace)
    }

    /// How far the output's time stays behind the smallest watermark: by what a pair's later row may be late, or,
    /// where rows without a match are shown, by as long as they are kept.
    #[must_use]
    pub fn hold(&self, shows_unmatched: bool) -> i64 {
        let of = |side| {
            if shows_unmatched { self.keep(side).max(self.patience(side)) } else { self.patience(side) }
        };
        of(Side::Left).max(of(Side::Right))
    }

    fn admit(&self, left: EventTime, right: EventTime) -> bool {
        left.saturating_sub(self.before) <= right && right <= left.saturating_add(self.after)
    }
}

/// The rows of both sides, and in which order time drops them.
struct Held {
    rows: Rows,
    left: TimeQueue,
    right: TimeQueue,
}
composite_state!(Held { rows, left, right });

/// The operator.
pub struct IntervalJoin {
    spec: JoinSpec,
    bounds: Bounds,
    is_final: bool,
    left_keys: Keys,
    right_keys: Keys,
    state: Held,
    matching: Matching,
    output: Output,
}

impl IntervalJoin {
    /// Over no rows. `is_final` is whether rows without a match are shown when they are dropped.
    pub fn new(spec: JoinSpec, bounds: Bounds, is_final: bool) -> Result<Self> {
        let rows = Rows::new(&spec);
        Ok(Self {
            left_keys: Keys::new(&spec.left)?,
            right_keys: Keys::new(&spec.right)?,
            state: Held { rows, left: TimeQueue::default(), right: TimeQueue::default() },
            matching: Matching::new(&spec)?,
            output: Output::new(&spec),
            spec,
            bounds,
            is_final,
        })
    }

    fn apply(&mut self, run: Run, rows: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) {
        let Self { spec, bounds, is_final, left_keys, right_keys, state, matching, output } = self;
        let (keys, queue) = match run.side {
            Side::Left => (left_keys, &mut state.left),
            Side::Right => (right_keys, &mut state.right),
        };
        let keyed = keys.of(rows);
        let (own, others) = state.rows.both(run.side);
        let times = &rows.event_times;
        let kept = &*others;
        let admits = |row: usize, slot: u32| match run.side {
            Side::Left => bounds.admit(times[row], kept.time(slot)),
            Side::Right => bounds.admit(kept.time(slot), times[row]),
        };
        matching.find(run, keyed, others, admits, ctx);
        let waits = |row: usize| *is_final && keyed.can_match(row);
        let mut work = Work { spec, side: run.side, keyed, own, others, output, shows_alone: true };
        for row in (run.from..run.to).filter(|&row| keyed.is_fine(row)) {
            let pairs = matching.pairs.of_row(row - run.from);
            work.shows_alone = !waits(row);
            if let Some(slot) = work.add(row, &matching.pairs.slots[pairs]) {
                queue.add(times[row], slot);
            }
        }
        output.flush(run.side, &rows.columns, others.columns(), out);
    }

    /// Drops the rows that `watermark` leaves without matches to come, earliest first.
    fn expire(&mut self, watermark: Watermark, seq: Seq, out: &mut ChangeBatch) {
        let limit = |side| match watermark {
            Watermark::END => i64::MAX,
            Watermark(micros) => micros.saturating_sub(self.bounds.keep(side)),
        };
        let (left_limit, right_limit) = (limit(Side::Left), limit(Side::Right));
        let Held { rows, left, right } = &mut self.state;
        loop {
            let due = |queue: &TimeQueue, limit: EventTime| queue.first_time().filter(|&time| time < limit);
            let side = match (due(left, left_limit), due(right, right_limit)) {
                (None, None) => break,
                (Some(left), Some(right)) if right < left => Side::Right,
                (None, Some(_)) => Side::Right,
                _ => Side::Left,
            };
            let taken = match side {
                Side::Left => left.take_before(left_limit),
                Side::Right => right.take_before(right_limit),
            };
            let slot = taken.expect("a row is due");
            let (own, _) = rows.both(side);
            if self.is_final && self.spec.keeps(side) && own.matches(slot) == 0 {
                self.output.push(side, Joined::alone(slot, Op::Insert, seq, own.time(slot)), 1);
            }
            own.remove(slot);
        }
        self.output.flush(Side::Left, rows.left.columns(), rows.right.columns(), out);
    }

    /// The watermark that drops the first of the rows kept and in hand; beyond every one where that shows nothing.
    fn next_due(&self, left: &ChangeBatch, right: &ChangeBatch) -> i64 {
        let due = |kept: &TimeQueue, rows: &ChangeBatch, side: Side| {
            let first = kept.first_time().into_iter().chain(rows.event_times.iter().copied()).min();
            first.map_or(i64::MAX, |time| time.saturating_add(self.bounds.keep(side)))
        };
        due(&self.state.left, left, Side::Left).min(due(&self.state.right, right, Side::Right))
    }
}

impl Joint for IntervalJoin {
    fn process(
        &mut self,
        left: Arriving<'_>,
        right: Arriving<'_>,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) -> Result<()> {
        self.left_keys.evaluate(left.rows, ctx);
        self.right_keys.evaluate(right.rows, ctx);
        self.left_keys.leave_out_late(left, self.bounds.patience(Side::Left), ctx);
        self.right_keys.leave_out_late(right, self.bounds.patience(Side::Right), ctx);
        let mut runs = Runs::new(left.rows, right.rows, Side::Left);
        let time = ctx.time;
        let cuts = self.is_final && self.spec.kind != velostream_sql::plan::JoinKind::Inner;
        let due = if cuts { self.next_due(left.rows, right.rows) } else { i64::MAX };
        for &(seq, watermark) in time.advances.iter().filter(|&&(_, watermark)| cuts && watermark.0 > due) {
            while let Some(run) = runs.next_until(seq) {
                self.apply(run, if run.side == Side::Left { left.rows } else { right.rows }, out, ctx);
            }
            self.expire(watermark, seq, out);
        }
        while let Some(run) = runs.next_until(Seq(u64::MAX)) {
            self.apply(run, if run.side == Side::Left { left.rows } else { right.rows }, out, ctx);
        }
        if let Some(&(seq, watermark)) = time.advances.last() {
            self.expire(watermark, seq, out);
        }
        Ok(())
    }
}

impl Stateful for IntervalJoin {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.state)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.state)
    }

    fn groups(&self) -> usize {
        self.state.rows.left.len() + self.state.rows.right.len()
    }
}
