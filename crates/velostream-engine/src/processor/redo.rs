//! A batch again, record by record, after it failed as a whole.

use super::Standing;
use super::clocks::Arrival;
use super::nodes::Nodes;
use super::report::Report;
use crate::batch::{ChangeBatch, Seq};
use crate::error::Result;
use crate::state::State;
use crate::time::TimeRuns;

/// One step of each arrival as a batch of its own; reused.
#[derive(Default)]
pub(super) struct RedoScratch {
    steps: Vec<Step>,
    empty: ChangeBatch,
}

/// What an arrival has of the step in hand, and how far it has come.
#[derive(Default)]
struct Step {
    changes: ChangeBatch,
    time: TimeRuns,
    row: usize,
    moved: usize,
}

impl Step {
    fn at_the_beginning(arrival: &Arrival<'_>) -> Self {
        let time = TimeRuns { before: arrival.time.before, advances: Vec::new() };
        Self { changes: ChangeBatch::like(arrival.changes), time, row: 0, moved: 0 }
    }

    /// The number of the next row or move of time.
    fn next(&self, arrival: &Arrival<'_>) -> Option<Seq> {
        let row = arrival.changes.seqs.get(self.row).copied();
        let moved = arrival.time.advances.get(self.moved).map(|&(seq, _)| seq);
        row.into_iter().chain(moved).min()
    }

    /// Goes on to what has number `seq`, which may be nothing.
    fn go_on(&mut self, arrival: &Arrival<'_>, seq: Seq) {
        let Arrival { changes, time, .. } = arrival;
        let from = self.row;
        self.row += changes.seqs[from..].iter().take_while(|&&other| other == seq).count();
        self.changes.clear();
        self.changes.extend_range(changes, from, self.row);
        self.time.before = self.time.after();
        let advance = time.advances.get(self.moved).filter(|&&(at, _)| at == seq).copied();
        self.moved += usize::from(advance.is_some());
        self.time.advances.clear();
        self.time.advances.extend(advance);
    }
}

/// What runs again, and where its results go.
pub(super) struct Again<'a> {
    pub nodes: &'a mut Nodes,
    pub standing: &'a Standing,
    pub out: &'a mut ChangeBatch,
    pub report: &'a mut Report,
}

impl RedoScratch {
    /// Runs every step, by number, under a savepoint of its own, until nothing changes the answer any more. One that fails is
    /// undone and only moves time.
    pub fn run(&mut self, mut again: Again<'_>, arrivals: &[Arrival<'_>]) -> Result<()> {
        let mut steps = std::mem::take(&mut self.steps);
        steps.clear();
        steps.extend(arrivals.iter().map(Step::at_the_beginning));
        let next =
            |steps: &[Step]| steps.iter().zip(arrivals).filter_map(|(step, whole)| step.next(whole)).min();
        let mut result = Ok(());
        while let (Some(seq), Ok(())) = (next(&steps), &result) {
            if again.nodes.finished_at(again.standing).is_some() {
                break;
            }
            steps.iter_mut().zip(arrivals).for_each(|(step, whole)| step.go_on(whole, seq));
            let both = steps.iter().zip(arrivals);
            let parts: Vec<Arrival<'_>> = both
                .map(|(step, whole)| Arrival { changes: &step.changes, time: &step.time, ..*whole })
                .collect();
            result = self.run_step(&mut again, &parts);
        }
        self.steps = steps;
        result
    }

    fn run_step(&self, again: &mut Again<'_>, arrivals: &[Arrival<'_>]) -> Result<()> {
        let Again { nodes, standing, out, report } = again;
        let (from, before) = (out.len(), report.mark());
        nodes.savepoint();
        nodes.run(arrivals, standing, out, report)?;
        if report.failures.len() == before.failures {
            nodes.commit();
            return Ok(());
        }
        nodes.rollback();
        out.truncate(from);
        let failures = report.failures.split_off(before.failures);
        report.truncate(before);
        report.failures.extend(failures);
        let only_time: Vec<Arrival<'_>> =
            arrivals.iter().map(|arrival| Arrival { changes: &self.empty, ..*arrival }).collect();
        nodes.run(&only_time, standing, out, report)
    }
}
