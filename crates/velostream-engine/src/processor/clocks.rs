//! How time moves through a plan in one call: every clock of the plan, computed from what arrives.

use crate::batch::{ChangeBatch, Selected, Seq};
use crate::plan::{ClockId, ClockPlan, Origin};
use crate::time::{TimeRuns, Watermark};

/// A batch that enters the plan.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub origin: Origin,
    pub changes: &'a ChangeBatch,
    pub time: &'a TimeRuns,
    /// The rows that count, if not all do.
    pub selected: Option<Selected<'a>>,
}

/// The clocks of a running plan. Recomputed by each call from its arrivals and the sources' watermarks: no state.
pub(super) struct Clocks {
    plans: Vec<ClockPlan>,
    times: Vec<TimeRuns>,
    /// Whether what the clock belongs to arrives in the call in hand.
    active: Vec<bool>,
    scratch: Merge,
}

/// Buffers of the merge of several clocks.
#[derive(Default)]
struct Merge {
    inputs: Vec<ClockId>,
    /// Per input, how many of its moves are passed.
    passed: Vec<usize>,
}

impl Clocks {
    pub fn new(plans: &[ClockPlan]) -> Self {
        Self {
            times: vec![TimeRuns::default(); plans.len()],
            active: vec![false; plans.len()],
            plans: plans.to_vec(),
            scratch: Merge::default(),
        }
    }

    /// Computes every clock. What does not arrive stands where `standing` says.
    pub fn set(&mut self, arrivals: &[Arrival<'_>], standing: impl Fn(Origin) -> Watermark) {
        let Self { plans, times, active, scratch } = self;
        for (id, plan) in plans.iter().enumerate() {
            let (known, rest) = times.split_at_mut(id);
            let time = &mut rest[0];
            active[id] = match plan {
                ClockPlan::Origin(origin) => {
                    let arrival = arrivals.iter().find(|arrival| arrival.origin == *origin);
                    time.advances.clear();
                    match arrival {
                        Some(arrival) => {
                            time.before = arrival.time.before;
                            time.advances.extend_from_slice(&arrival.time.advances);
                        }
                        None => time.before = standing(*origin),
                    }
                    arrival.is_some()
                }
                ClockPlan::Behind { clock, micros } => {
                    delay(&known[*clock], *micros, time);
                    active[*clock]
                }
                ClockPlan::Least(inputs) => {
                    scratch.least(known, inputs.iter().copied(), time);
                    inputs.iter().any(|&input| active[input])
                }
                ClockPlan::OfArrival(inputs) => {
                    let any = inputs.iter().any(|&input| active[input]);
                    let counts = |input: &ClockId| active[*input] || !any;
                    scratch.least(known, inputs.iter().copied().filter(counts), time);
                    any
                }
            };
        }
    }

    /// How a clock moves in the call in hand.
    pub fn time(&self, clock: ClockId) -> &TimeRuns {
        &self.times[clock]
    }
}

impl Merge {
    /// Fills `least` with the smallest of some clocks.
    fn least(&mut self, known: &[TimeRuns], inputs: impl Iterator<Item = ClockId>, least: &mut TimeRuns) {
        let Self { inputs: clocks, passed } = self;
        clocks.clear();
        clocks.extend(inputs);
        passed.clear();
        passed.resize(clocks.len(), 0);
        let standing = |passed: &[usize]| {
            let each = clocks.iter().zip(passed).map(|(&clock, &passed)| {
                let time = &known[clock];
                passed.checked_sub(1).map_or(time.before, |last| time.advances[last].1)
            });
            each.min().unwrap_or(Watermark::NONE)
        };
        least.before = standing(passed);
        least.advances.clear();
        let mut reached = least.before;
        loop {
            let heads = clocks
                .iter()
                .zip(passed.iter())
                .filter_map(|(&clock, &passed)| known[clock].advances.get(passed).map(|&(seq, _)| seq));
            let Some(seq) = heads.min() else { return };
            for (&clock, passed) in clocks.iter().zip(passed.iter_mut()) {
                *passed += usize::from(moves_at(&known[clock], *passed, seq));
            }
            let now = standing(passed);
            if now > reached {
                reached = now;
                least.advances.push((seq, now));
            }
        }
    }
}

fn moves_at(time: &TimeRuns, next: usize, seq: Seq) -> bool {
    time.advances.get(next).is_some_and(|&(at, _)| at == seq)
}

/// Fills `delayed` with `time`, its watermarks `micros` earlier.
fn delay(time: &TimeRuns, micros: i64, delayed: &mut TimeRuns) {
    delayed.before = time.before.delayed(micros);
    delayed.advances.clear();
    delayed.advances.extend(time.advances.iter().map(|&(seq, watermark)| (seq, watermark.delayed(micros))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(before: i64, advances: &[(u64, i64)]) -> TimeRuns {
        let advances = advances.iter().map(|&(seq, micros)| (Seq(seq), Watermark(micros))).collect();
        TimeRuns { before: Watermark(before), advances }
    }

    #[test]
    fn the_smallest_of_two_clocks_moves_when_the_slower_one_does() {
        let known = [runs(10, &[(1, 20), (4, 50)]), runs(5, &[(2, 15), (3, 30), (4, 40)])];
        let mut least = TimeRuns::default();
        Merge::default().least(&known, [0, 1].into_iter(), &mut least);
        assert_eq!(least, runs(5, &[(2, 15), (3, 20), (4, 40)]));
    }

    #[test]
    fn a_clock_that_knows_nothing_holds_the_other_back() {
        let known = [runs(10, &[(1, 20)]), TimeRuns::default()];
        let mut least = TimeRuns::default();
        Merge::default().least(&known, [0, 1].into_iter(), &mut least);
        assert_eq!(least, TimeRuns::default());
    }
}
