//! How a receiver ends: with its inputs, with an answer that nothing changes any more, or by an error.

use super::{PartitionReceiver, Phase};
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::partition::event::Event;
use std::sync::atomic::Ordering;
use velostream_engine::batch::Seq;
use velostream_engine::time::TimeRuns;

impl PartitionReceiver {
    pub(super) fn end_input(&mut self, input: usize, seq: Seq) -> Result<()> {
        self.last = self.last.max(seq);
        self.at = seq;
        if let Some(plan) = &mut self.setup.plan {
            plan.pass(seq);
            plan.end(input, &mut self.out)?;
        }
        self.open_inputs = self.open_inputs.saturating_sub(1);
        if self.open_inputs == 0 || self.setup.plan.as_ref().is_some_and(Kernel::is_complete) {
            return self.complete();
        }
        self.report_rows_of_time()?;
        self.sink()?;
        let time = self.moved();
        self.deliver(time, 0, seq);
        Ok(())
    }

    /// All inputs have ended, or no record changes anything any more.
    pub(super) fn complete(&mut self) -> Result<()> {
        self.end_plan()?;
        self.sink()?;
        self.end();
        Ok(())
    }

    /// Takes what the end makes final.
    pub(super) fn end_plan(&mut self) -> Result<()> {
        if let Some(plan) = &mut self.setup.plan {
            plan.end_all(&mut self.out)?;
        }
        self.report_rows_of_time()
    }

    /// The answer is complete: the last changes go out, then the end.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Ended;
        self.setup.sink = None;
        let time = TimeRuns { before: self.watermark, advances: Vec::new() };
        let last = self.last;
        // Without changes it says nothing yet of the end's own number, of which the end makes more in a next stage.
        if !self.out.is_empty() {
            self.deliver(time, 0, last);
        }
        self.publish(&mut |input| Event::End(input, last));
        if let Some(output) = &self.setup.output {
            output.end();
        }
        self.finish();
    }

    /// The query ends with an error, here and in all that reads it.
    pub fn fail(&mut self, error: Error) {
        if matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        self.release();
        let (at, is_share) = (self.at, self.setup.is_share);
        let mut inherited = error.clone();
        if !is_share {
            inherited.message = format!("{} has failed: {}", self.setup.query, error.message);
        }
        self.publish(&mut |_| {
            let error = Box::new(inherited.clone());
            if is_share { Event::ShareFailed(at, error) } else { Event::Failed(error) }
        });
        if let Some(output) = &self.setup.output {
            output.fail(error.clone());
        }
        self.phase = Phase::Failed(error);
        self.finish();
    }

    /// Lets go of all state: nothing will be asked of it.
    pub(super) fn release(&mut self) {
        self.setup.plan = None;
        self.setup.table = None;
        self.setup.sink = None;
        self.records.clear();
        self.out.clear();
        let bytes = std::mem::take(&mut self.state_bytes);
        self.setup.shared.state_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.setup.metrics.state_bytes.store(0, Ordering::Relaxed);
    }

    fn finish(&self) {
        self.setup.finished.store(true, Ordering::Release);
        self.setup.shared.wake.wake();
    }
}
