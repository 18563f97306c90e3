//! Which watermark counts where in a plan, decided once.
//!
//! A node sees two clocks. By its *time* results become final: the smallest watermark of all that feeds it. By its
//! *own* clock a row is late: the watermark of the input partition that the row belongs to.

use super::Built;

/// Where a batch enters a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A source, by position.
    Source(usize),
    /// Constant rows, by position.
    Values(usize),
}

/// A clock, by its position in the plan.
pub(crate) type ClockId = usize;

/// How a clock is computed from those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClockPlan {
    /// The watermark of what enters here.
    Origin(Origin),
    /// Another clock, held back by so many microseconds.
    Behind { clock: ClockId, micros: i64 },
    /// The smallest of several.
    Least(Vec<ClockId>),
    /// The smallest of those whose inputs have rows in the batch in hand: the clock of these rows.
    OfArrival(Vec<ClockId>),
}

/// The clocks of a plan under construction; equal ones are one.
#[derive(Default)]
pub(super) struct ClockPlans(pub Vec<ClockPlan>);

impl ClockPlans {
    fn intern(&mut self, plan: ClockPlan) -> ClockId {
        match self.0.iter().position(|known| *known == plan) {
            Some(known) => known,
            None => {
                self.0.push(plan);
                self.0.len() - 1
            }
        }
    }

    /// The clock of an origin.
    pub fn origin(&mut self, origin: Origin) -> ClockId {
        self.intern(ClockPlan::Origin(origin))
    }

    /// A clock that stays `micros` behind another.
    pub fn behind(&mut self, clock: ClockId, micros: i64) -> ClockId {
        if micros == 0 { clock } else { self.intern(ClockPlan::Behind { clock, micros }) }
    }

    /// The time of a node over both inputs.
    pub fn least(&mut self, left: &Built, right: &Built) -> ClockId {
        if left.time == right.time {
            left.time
        } else {
            self.intern(ClockPlan::Least(vec![left.time, right.time]))
        }
    }

    /// The own clock of rows that come from either input and stay their rows.
    pub fn of_arrival(&mut self, left: &Built, right: &Built) -> ClockId {
        if left.own == right.own {
            left.own
        } else {
            self.intern(ClockPlan::OfArrival(vec![left.own, right.own]))
        }
    }
}
