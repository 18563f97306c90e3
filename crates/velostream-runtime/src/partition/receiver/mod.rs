//! [`PartitionReceiver`]: one query's processor and state, owned by one thread, fed by its mailboxes.

mod ending;
mod given;
mod letters;
mod output;
mod readers;
mod setup;

pub use readers::ToNextStage;
pub use setup::{FirstStage, ReceiverSetup};

use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::partition::barrier::{Barrier, BarrierKind, Reader, Subscription};
use crate::partition::event::{Envelope, Event};
use crate::partition::inlet::Work;
use crate::partition::offsets::Offsets;
use crate::partition::poison::guarded;
use crate::source::table::TableStore;
use crate::spares::Spares;
use crate::trouble::strike;
use given::Given;
use letters::Stop;
use readers::announce_events;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::error::Rejects;
use velostream_engine::time::{TimeRuns, Watermark};
use velostream_sql::diagnostic::ErrorCode;

/// How far a receiver is.
enum Phase {
    Running,
    Ended,
    Failed(Error),
}

/// What a receiver did in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionStats {
    /// Batches received.
    pub batches: u64,
    /// Whether it ended by an error.
    pub failed: bool,
}

/// Owned by one partition thread; nothing else refers to its processor.
pub struct PartitionReceiver {
    setup: ReceiverSetup,
    readers: Vec<Reader>,
    phase: Phase,
    /// Inputs that have not ended.
    open_inputs: usize,
    out: ChangeBatch,
    /// Of each batch in hand; of a step, all in the first.
    rejects: Vec<Rejects>,
    /// Rows given to readers so far.
    offset: u64,
    last: Seq,
    /// The number that is being worked on: where it fails, if it does.
    at: Seq,
    watermark: Watermark,
    state_bytes: u64,
    batches: u64,
    /// Buffers of batches that readers are done with.
    spares: Arc<Spares>,
    /// What is being worked on, where it goes to the next stage with the rows.
    records: Vec<Arc<Envelope>>,
    /// Whether a full mailbox downstream is waited for; else the caller asks `can_go_on` first.
    waits: bool,
}

impl PartitionReceiver {
    /// A receiver that has received nothing.
    pub fn new(mut setup: ReceiverSetup) -> Self {
        let out = ChangeBatch::of(&setup.schema);
        Self {
            open_inputs: setup.inlet.open_inputs(),
            readers: std::mem::take(&mut setup.readers),
            setup,
            phase: Phase::Running,
            out,
            rejects: Vec::new(),
            offset: 0,
            last: Seq(0),
            at: Seq(0),
            watermark: Watermark::NONE,
            state_bytes: 0,
            batches: 0,
            spares: Arc::default(),
            records: Vec::new(),
            waits: false,
        }
    }

    /// Receives until the mailboxes are closed, or the input has ended and nobody can ask any more. Blocking.
    pub fn run(mut self) -> PartitionStats {
        self.waits = true;
        self.begin();
        self.go_on_with_answer();
        while self.setup.serves || matches!(self.phase, Phase::Running) {
            if let Some(output) = &self.setup.output {
                output.wait_for_room(|| self.setup.inlet.announce_room());
            }
            let readers = &self.readers;
            let Some(work) = self.setup.inlet.next(&|| announce_events(readers)) else { break };
            let worked = self.setup.inlet.take_worked().as_nanos() as u64;
            self.setup.metrics.busy_nanos.fetch_add(worked, Ordering::Relaxed);
            self.handle(work);
            self.go_on_with_answer();
        }
        PartitionStats { batches: self.batches, failed: matches!(self.phase, Phase::Failed(_)) }
    }

    fn go_on_with_answer(&self) {
        self.setup.answer.iter().for_each(|answer| answer.go_on());
    }

    /// A plan over constant rows alone has nothing to wait for, and LIMIT 0 nothing to give.
    pub fn begin(&mut self) {
        let is_complete = self.setup.plan.as_ref().is_some_and(Kernel::is_complete);
        if (self.open_inputs == 0 || is_complete) && matches!(self.phase, Phase::Running) {
            let ended = guarded(|| self.complete());
            if let Err(error) = ended.and_then(|result| result) {
                self.fail(error);
            }
        }
    }

    /// Receives what is there, waiting for room downstream; with the answer complete it lets go of everything.
    pub fn serve(&mut self) {
        self.waits = true;
        while self.setup.serves || matches!(self.phase, Phase::Running) {
            if let Some(output) = &self.setup.output {
                output.wait_for_room(|| self.setup.inlet.announce_room());
            }
            let Some(work) = self.setup.inlet.try_next() else { return self.setup.inlet.announce_room() };
            self.handle(work);
        }
        self.setup.inlet.close();
    }

    /// Receives what is there while there is room downstream, on the calling thread; whether it did anything.
    pub fn pump(&mut self) -> bool {
        let mut worked = false;
        while self.can_go_on() {
            let Some(work) = self.setup.inlet.try_next() else { break };
            self.handle(work);
            worked = true;
        }
        self.setup.inlet.announce_room();
        worked
    }

    fn can_go_on(&self) -> bool {
        self.setup.output.as_ref().is_none_or(|output| output.has_room())
            && self.readers.iter().all(|reader| reader.mailbox.has_room())
    }

    fn handle(&mut self, work: Work) {
        let poisoned = guarded(|| self.dispatch(work));
        if let Err(error) = poisoned.and_then(|result| result) {
            self.fail(error);
        }
    }

    fn dispatch(&mut self, work: Work) -> Result<()> {
        let running = matches!(self.phase, Phase::Running);
        match work {
            Work::Batch(envelope) if running && self.sends_records(&envelope) => {
                self.batch_sent_on(*envelope)
            }
            Work::Batch(envelope) if running => {
                self.batch(Given::Batch(&envelope, None))?;
                envelope.recycle();
                Ok(())
            }
            Work::Merged(mut merged) if running => {
                self.pass_on(&mut merged)?;
                merged.recycle();
                Ok(())
            }
            Work::Taken(taken) if running => {
                let applied = self.batch(Given::Batch(taken.whole(), taken.rows()));
                taken.recycle();
                applied
            }
            // It may bring nothing, as where an empty table begins.
            Work::Step(envelopes) if envelopes.is_empty() => Ok(()),
            Work::Step(envelopes) if running => {
                self.keep_records(&envelopes);
                self.batch(Given::Step(&envelopes))
            }
            Work::Turns(envelopes) if running => {
                self.keep_records(&envelopes);
                self.batch(Given::Turns(&envelopes))?;
                envelopes.into_iter().for_each(Envelope::recycle);
                Ok(())
            }
            Work::End(input, seq) if running => self.end_input(input, seq),
            Work::Through(seq) if running => {
                self.publish(&mut |_| Event::Through(seq));
                Ok(())
            }
            Work::Barrier(barrier) => {
                self.barrier(barrier);
                Ok(())
            }
            Work::Failed(error) => Err(*error),
            Work::ShareFailed(seq, error) => {
                self.at = seq;
                Err(*error)
            }
            Work::LeftOut(left_out) if running => {
                self.tell(left_out);
                Ok(())
            }
            // After the end, or a failure, nothing of the kind counts.
            Work::Batch(_)
            | Work::Merged(_)
            | Work::Taken(_)
            | Work::Step(_)
            | Work::Turns(_)
            | Work::End(..)
            | Work::Through(_)
            | Work::LeftOut(_) => Ok(()),
        }
    }

    /// Passes a barrier on, or answers what it asks.
    fn barrier(&mut self, barrier: Barrier) {
        match &barrier.kind {
            BarrierKind::Subscribe(subscription)
                if subscription.of == self.setup.id && !self.setup.is_share =>
            {
                self.subscribe(subscription, barrier.at);
            }
            _ => {
                // Over files it comes by one receiver of several, and goes on by one.
                let count = if self.setup.is_share && self.setup.finite { 1 } else { usize::MAX };
                let is_member = |reader: &&Reader| barrier.members.contains(&reader.pipeline);
                for reader in self.readers.iter().filter(is_member).take(count) {
                    drop(reader.mailbox.push(Event::Barrier(barrier.clone())));
                }
            }
        }
    }

    /// Whether records go to the next stage with the rows that are made from them.
    fn sends_records(&self, envelope: &Envelope) -> bool {
        let next = self.setup.next_stage.as_ref();
        next.and_then(|next| next.records_of).is_some_and(|input| input == envelope.input)
    }

    /// Keeps what goes to the next stage of what comes together.
    fn keep_records(&mut self, envelopes: &[Envelope]) {
        let sent = envelopes.iter().filter(|envelope| self.sends_records(envelope));
        self.records = sent.cloned().map(Arc::new).collect();
    }

    /// Applies a batch whose records go to the next stage with the rows that are made from them.
    fn batch_sent_on(&mut self, envelope: Envelope) -> Result<()> {
        let envelope = Arc::new(envelope);
        self.records.push(Arc::clone(&envelope));
        self.batch(Given::Batch(&envelope, None))?;
        if let Some(envelope) = Arc::into_inner(envelope) {
            envelope.recycle();
        }
        Ok(())
    }

    /// Applies what has come.
    fn batch(&mut self, given: Given<'_>) -> Result<()> {
        let Some(plan) = &mut self.setup.plan else { unreachable!("called where there is a plan") };
        let (parts, first) = (given.parts(), given.first());
        let begin = Instant::now();
        plan.keep_output_time(self.setup.tells_time && !self.readers.is_empty());
        let rejects = if let Given::Turns(_) = given { parts.len() } else { 1 };
        self.rejects.resize_with(self.rejects.len().max(rejects), Rejects::default);
        self.rejects.iter_mut().for_each(Rejects::clear);
        self.at = given.tail().unwrap_or(first.through);
        let later = if self.setup.first_stage.is_some() { "later" } else { "" };
        strike(&self.setup.query, format_args!("{later}{}", self.setup.partition), self.batches);
        let batches = || parts.iter().map(|part| (part.input, &part.batch)).collect::<Vec<_>>();
        let (out, rejected) = (&mut self.out, &mut self.rejects[..rejects]);
        match given {
            Given::Batch(part, None) => plan.process(part.input, &part.batch, out, &mut rejected[0])?,
            Given::Batch(part, Some(selected)) => {
                plan.process_selected(part.input, &part.batch, selected, out, &mut rejected[0])?;
            }
            Given::Step(_) => plan.process_step(&batches(), out, &mut rejected[0])?,
            Given::Turns(_) => plan.process_turns(&batches(), out, rejected)?,
        }
        let finished = plan.finished_at().map(|at| at.max(self.last));
        self.last = finished.or(given.tail()).into_iter().fold(self.last, Seq::max);
        let mut time = self.moved();
        let mut through = first.through;
        let mut stop =
            self.report(if let Given::Turns(parts) = given { parts } else { std::slice::from_ref(first) });
        if let Some(last) = finished {
            time.advances.retain(|&(seq, _)| seq <= last);
            through = last;
            // What is final then belongs to the step of the last record.
            stop = stop.map_or_else(|| self.end_plan().err().map(|error| Stop { seq: last, error }), Some);
        }
        if let Some(stop) = &stop {
            let kept = self.out.seqs.partition_point(|&seq| seq < stop.seq);
            self.out.truncate(kept);
            time.advances.retain(|&(seq, _)| seq < stop.seq);
            through = Seq(stop.seq.0 - 1);
            self.at = stop.seq;
        }
        let metrics = Arc::clone(&self.setup.metrics);
        let records = given.records();
        metrics.records_in.fetch_add(records, Ordering::Relaxed);
        let end = Instant::now();
        metrics.busy_nanos.fetch_add((end - begin).as_nanos() as u64, Ordering::Relaxed);
        if records > 0 {
            metrics.latency.add(end - first.accepted, records);
        }
        self.sink()?;
        self.give_out(time, first.at_ms, through);
        if let Some(stop) = stop {
            return Err(stop.error);
        }
        self.account()?;
        if finished.is_some() {
            self.end();
        }
        Ok(())
    }

    /// Publishes the size of the state; past the engine's limit, the receiver that has grown fails.
    fn account(&mut self) -> Result<()> {
        let table = self.setup.table.as_ref().map_or(0, TableStore::bytes);
        let (held, groups) =
            self.setup.plan.as_ref().map_or((0, 0), |plan| (plan.state_bytes(), plan.groups()));
        let bytes = (held + table) as u64;
        let shared = &self.setup.shared;
        let before = std::mem::replace(&mut self.state_bytes, bytes);
        self.setup.metrics.state_bytes.store(bytes, Ordering::Relaxed);
        self.setup.metrics.groups.store(groups as u64, Ordering::Relaxed);
        if bytes <= before {
            shared.state_bytes.fetch_sub(before - bytes, Ordering::Relaxed);
            return Ok(());
        }
        let total = shared.state_bytes.fetch_add(bytes - before, Ordering::Relaxed) + (bytes - before);
        if total <= shared.memory_limit {
            return Ok(());
        }
        let limit = shared.memory_limit;
        let message = format!("the state of all queries, {total} bytes, is past the limit of {limit} bytes");
        Err(Error::new(ErrorCode::Limit, message).with_hint("raise memoryLimit, or keep fewer groups"))
    }

    /// Adds a reader, behind everything up to number `through`; of a table it gets the rows first, none of which is
    /// late for it.
    fn subscribe(&mut self, subscription: &Subscription, through: Seq) {
        let Reader { mailbox, input, .. } = &subscription.reader;
        if let Phase::Failed(error) = &self.phase {
            drop(mailbox.push(Event::Failed(Box::new(error.clone()))));
            return;
        }
        let ended = matches!(self.phase, Phase::Ended);
        // What a file still brings has numbers of its own, which come after these rows.
        let reads_file = self.setup.finite && !ended;
        let (seq, through) = if reads_file { (self.last, self.last) } else { (subscription.at, through) };
        let changes = match &self.setup.table {
            Some(table) => table.rows(seq),
            None => ChangeBatch::of(&self.setup.schema),
        };
        let envelope = Envelope {
            input: *input,
            batch: Batch { changes, time: TimeRuns::reaching(self.watermark, seq) },
            offsets: Offsets::Rows(0),
            at_ms: 0,
            accepted: Instant::now(),
            through,
            home: None,
            appended: Vec::new(),
            records: Vec::new(),
        };
        drop(mailbox.push(Event::Batch(Box::new(envelope))));
        if ended || subscription.once {
            drop(mailbox.push(Event::End(*input, through)));
        }
        // Questions come by this way also when no rows do, so that nothing else may tell which readers are gone.
        if !subscription.once {
            self.readers.retain(|reader| !reader.mailbox.is_closed());
            self.readers.push(subscription.reader.clone());
        }
    }
}

impl Drop for PartitionReceiver {
    fn drop(&mut self) {
        self.setup.inlet.close();
        self.setup.shared.state_bytes.fetch_sub(self.state_bytes, Ordering::Relaxed);
    }
}
