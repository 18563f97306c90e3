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
    times: Vec<Clock>,
    scratch: Merge,
}

/// How a clock moves in the call in hand.
#[derive(Clone, Default)]
struct Clock {
    /// By computation.
    own: TimeRuns,
    /// As the time of this arrival, which is not copied: each record may move it.
    arrived: Option<usize>,
    /// Whether what the clock belongs to arrives.
    active: bool,
}

impl Clock {
    fn time<'t>(&'t self, arrivals: &'t [Arrival<'_>]) -> &'t TimeRuns {
        self.arrived.map_or(&self.own, |at| arrivals[at].time)
    }
}

/// Clocks that are computed, and what arrived.
#[derive(Clone, Copy)]
struct Known<'a> {
    times: &'a [Clock],
    arrivals: &'a [Arrival<'a>],
}

impl<'a> Known<'a> {
    fn time(&self, clock: ClockId) -> &'a TimeRuns {
        self.times[clock].time(self.arrivals)
    }
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
        let times = vec![Clock::default(); plans.len()];
        Self { times, plans: plans.to_vec(), scratch: Merge::default() }
    }

    /// Computes every clock. What does not arrive stands where `standing` says.
    pub fn set(&mut self, arrivals: &[Arrival<'_>], standing: impl Fn(Origin) -> Watermark) {
        let Self { plans, times, scratch } = self;
        for (id, plan) in plans.iter().enumerate() {
            let (times, rest) = times.split_at_mut(id);
            let Clock { own, arrived, active } = &mut rest[0];
            let known = Known { times, arrivals };
            let any = |inputs: &[ClockId]| inputs.iter().any(|&input| times[input].active);
            *active = match plan {
                ClockPlan::Origin(origin) => {
                    *arrived = arrivals.iter().position(|arrival| arrival.origin == *origin);
                    if arrived.is_none() {
                        own.before = standing(*origin);
                        own.advances.clear();
                    }
                    arrived.is_some()
                }
                ClockPlan::Behind { clock, micros } => {
                    delay(known.time(*clock), *micros, own);
                    times[*clock].active
                }
                ClockPlan::Least(inputs) => {
                    scratch.least(known, inputs.iter().copied(), own);
                    any(inputs)
                }
                ClockPlan::OfArrival(inputs) => {
                    let any = any(inputs);
                    let counts = |input: &ClockId| times[*input].active || !any;
                    scratch.least(known, inputs.iter().copied().filter(counts), own);
                    any
                }
            };
        }
    }

    /// How a clock moves in the call in hand, of these arrivals.
    pub fn time<'t>(&'t self, clock: ClockId, arrivals: &'t [Arrival<'_>]) -> &'t TimeRuns {
        self.times[clock].time(arrivals)
    }

    /// Keeps how a clock moved for behind the call: all of it, or from where to where.
    pub fn keep(&mut self, clock: ClockId, arrivals: &[Arrival<'_>], whole: bool) {
        let Clock { own, arrived, .. } = &mut self.times[clock];
        let untold = |advances: &[(Seq, Watermark)]| if whole { 0 } else { advances.len().saturating_sub(1) };
        match arrived.take().map(|at| arrivals[at].time) {
            Some(TimeRuns { before, advances }) => {
                own.before = *before;
                own.advances.clear();
                own.advances.extend_from_slice(&advances[untold(advances)..]);
            }
            None => drop(own.advances.drain(..untold(&own.advances))),
        }
    }

    /// How a clock that was kept moved in the last call.
    pub fn kept(&self, clock: ClockId) -> &TimeRuns {
        &self.times[clock].own
    }
}

impl Merge {
    /// Fills `least` with the smallest of some clocks.
    fn least(&mut self, known: Known<'_>, inputs: impl Iterator<Item = ClockId>, least: &mut TimeRuns) {
        let Self { inputs: clocks, passed } = self;
        clocks.clear();
        clocks.extend(inputs);
        passed.clear();
        passed.resize(clocks.len(), 0);
        let standing = |passed: &[usize]| {
            let each = clocks.iter().zip(passed).map(|(&clock, &passed)| {
                let time = known.time(clock);
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
                .filter_map(|(&clock, &passed)| known.time(clock).advances.get(passed).map(|&(seq, _)| seq));
            let Some(seq) = heads.min() else { return };
            for (&clock, passed) in clocks.iter().zip(passed.iter_mut()) {
                *passed += usize::from(moves_at(known.time(clock), *passed, seq));
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

    fn least(known: [TimeRuns; 2]) -> TimeRuns {
        let times = known.map(|own| Clock { own, ..Clock::default() });
        let mut least = TimeRuns::default();
        Merge::default().least(Known { times: &times, arrivals: &[] }, [0, 1].into_iter(), &mut least);
        least
    }

    #[test]
    fn of_a_clock_that_is_kept_in_part_the_last_move_is_left() {
        let (changes, time) = (ChangeBatch::default(), runs(0, &[(1, 20), (3, 50)]));
        let origin = Origin::Source(0);
        let arrivals = [Arrival { origin, changes: &changes, time: &time, selected: None }];
        let mut clocks = Clocks::new(&[ClockPlan::Origin(origin), ClockPlan::Behind { clock: 0, micros: 5 }]);
        let mut kept = |whole: bool, arrivals: &[Arrival<'_>]| {
            clocks.set(arrivals, |_| Watermark(70));
            [0, 1].map(|clock| {
                clocks.keep(clock, arrivals, whole);
                clocks.kept(clock).clone()
            })
        };
        assert_eq!(kept(true, &arrivals), [time.clone(), runs(-5, &[(1, 15), (3, 45)])]);
        assert_eq!(kept(false, &arrivals), [runs(0, &[(3, 50)]), runs(-5, &[(3, 45)])]);
        assert_eq!(kept(false, &[]), [runs(70, &[]), runs(65, &[])]);
    }

    #[test]
    fn the_smallest_of_two_clocks_moves_when_the_slower_one_does() {
        let known = [runs(10, &[(1, 20), (4, 50)]), runs(5, &[(2, 15), (3, 30), (4, 40)])];
        assert_eq!(least(known), runs(5, &[(2, 15), (3, 20), (4, 40)]));
    }

    #[test]
    fn a_clock_that_knows_nothing_holds_the_other_back() {
        assert_eq!(least([runs(10, &[(1, 20)]), TimeRuns::default()]), TimeRuns::default());
    }
}
