//! What a receiver gives: to the sink that takes its changes, the table, the readers and the caller.

use super::PartitionReceiver;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::metrics::PartitionMetrics;
use crate::partition::event::{Envelope, Event};
use crate::partition::gather::Merged;
use crate::partition::offsets::Offsets;
use crate::sink::changes::{ChangeSink, Changes};
use crate::trouble::strike;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::time::{TimeRuns, Watermark};

impl PartitionReceiver {
    /// Gives changes on that others have computed.
    pub(super) fn pass_on(&mut self, merged: &mut Merged) -> Result<()> {
        strike(&self.setup.query, "answer", self.batches);
        self.last = merged.tail().into_iter().fold(self.last, Seq::max);
        match &mut self.setup.sink {
            Some(sink) => merged.view(|changes| take(sink.as_mut(), changes, &self.setup.metrics))?,
            None => merged.give_to(&mut self.out),
        }
        let time = std::mem::take(&mut merged.time);
        self.give_out(time, merged.at_ms, merged.through);
        self.account()
    }

    /// Gives the changes in hand to who takes them here, if somebody does.
    pub(super) fn sink(&mut self) -> Result<()> {
        if let Some(sink) = &mut self.setup.sink {
            let taken = take(sink.as_mut(), &Changes::new(&[&self.out], None), &self.setup.metrics);
            self.out.clear();
            taken?;
        }
        Ok(())
    }

    /// Counts and delivers what a batch has led to.
    pub(super) fn give_out(&mut self, time: TimeRuns, at_ms: i64, through: Seq) {
        self.batches += 1;
        let metrics = &self.setup.metrics;
        metrics.batches_in.fetch_add(1, Ordering::Relaxed);
        if time.after() != Watermark::END {
            metrics.watermark_micros.store(time.after().0, Ordering::Relaxed);
        }
        self.deliver(time, at_ms, through);
    }

    /// How time moved in the last call, as far as anybody is told.
    pub(super) fn moved(&self) -> TimeRuns {
        let Some(time) = self.setup.plan.as_ref().map(Kernel::output_time) else {
            return TimeRuns { before: self.watermark, advances: Vec::new() };
        };
        if self.readers.is_empty() {
            return TimeRuns { before: time.after(), advances: Vec::new() };
        }
        time.clone()
    }

    /// Gives the changes in hand to the table, the readers and the caller, and tells the readers how far it is.
    pub(super) fn deliver(&mut self, time: TimeRuns, at_ms: i64, through: Seq) {
        let mut records = std::mem::take(&mut self.records);
        self.watermark = time.after();
        self.setup.metrics.changes_out.fetch_add(self.out.changes() as u64, Ordering::Relaxed);
        if self.out.is_empty() && time.advances.is_empty() {
            self.publish(&mut |_| Event::Through(through));
            return;
        }
        let output = self.setup.output.clone();
        let spare = output.as_ref().map_or_else(|| self.spares.take(), |output| output.spare());
        let fresh = spare.unwrap_or_else(|| ChangeBatch::of(&self.setup.schema));
        let mut changes = std::mem::replace(&mut self.out, fresh);
        if let Some(table) = &mut self.setup.table {
            let mut applied = table.empty();
            table.apply(&changes, &mut applied);
        }
        let rows = changes.len() as u64;
        if rows == 0 {
            records.clear();
        }
        if !self.readers.is_empty() {
            let given = if output.is_some() { changes.clone() } else { std::mem::take(&mut changes) };
            self.publish_batch(Envelope {
                input: 0,
                batch: Batch { changes: given, time },
                offsets: Offsets::Rows(self.offset),
                at_ms,
                accepted: Instant::now(),
                through,
                home: Some(Arc::clone(&self.spares)),
                appended: Vec::new(),
                records,
            });
        }
        self.offset += rows;
        if let Some(output) = output {
            output.push(changes);
        }
    }
}

/// Counts changes and gives them to who takes them.
fn take(sink: &mut dyn ChangeSink, changes: &Changes<'_>, metrics: &PartitionMetrics) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let count = changes.batches().iter().map(|batch| batch.changes()).sum::<usize>();
    metrics.changes_out.fetch_add(count as u64, Ordering::Relaxed);
    sink.take(changes)
}
