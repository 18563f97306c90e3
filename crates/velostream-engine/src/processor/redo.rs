//! A batch again, record by record, after it failed as a whole.

use super::Standing;
use super::clocks::Arrival;
use super::nodes::{Nodes, Report};
use crate::batch::{ChangeBatch, Seq};
use crate::error::Result;
use crate::state::State;
use crate::time::{TimeRuns, Watermark};

/// One record as a batch of its own; reused.
#[derive(Default)]
pub(super) struct RedoScratch {
    step: ChangeBatch,
    empty: ChangeBatch,
    time: TimeRuns,
}

/// What runs again, and where its results go.
pub(super) struct Again<'a> {
    pub nodes: &'a mut Nodes,
    pub standing: &'a Standing,
    pub out: &'a mut ChangeBatch,
    pub report: &'a mut Report,
}

impl RedoScratch {
    /// Runs every record under a savepoint of its own. One that fails is undone and only moves time. Several
    /// arrivals are one step.
    pub fn run(&mut self, mut again: Again<'_>, arrivals: &[Arrival<'_>]) -> Result<()> {
        let &[arrival] = arrivals else { return self.run_step(&mut again, arrivals) };
        let Arrival { changes, time, .. } = arrival;
        self.step = ChangeBatch::like(changes);
        let (mut row, mut moved, mut standing) = (0, 0, time.before);
        while row < changes.len() || moved < time.advances.len() {
            let next_row = changes.seqs.get(row).copied();
            let next_move = time.advances.get(moved).map(|&(seq, _)| seq);
            let Some(seq) = next_row.into_iter().chain(next_move).min() else { break };
            let from = row;
            row += changes.seqs[row..].iter().take_while(|&&other| other == seq).count();
            let advance = time.advances.get(moved).filter(|&&(at, _)| at == seq).copied();
            moved += usize::from(advance.is_some());
            self.step.clear();
            self.step.extend_range(changes, from, row);
            self.set_time(standing, advance);
            let (step, time) = (std::mem::take(&mut self.step), std::mem::take(&mut self.time));
            let result = self.run_step(&mut again, &[Arrival { changes: &step, time: &time, ..arrival }]);
            (self.step, self.time) = (step, time);
            result?;
            standing = self.time.after();
        }
        Ok(())
    }

    fn set_time(&mut self, before: Watermark, advance: Option<(Seq, Watermark)>) {
        self.time.before = before;
        self.time.advances.clear();
        self.time.advances.extend(advance);
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
