//! [`PartitionReceiver`]: one query's processor and state, owned by one thread, fed by its mailbox.

use super::mailbox::{Envelope, Event, Mailbox, RowsRequest};
use super::poison::guarded;
use crate::api::{DeadLetter, DeadRecord, LateRecord, OnError};
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::metrics::PartitionMetrics;
use crate::shared::Shared;
use crate::sink::memory::OutputQueue;
use crate::source::door::single;
use crate::source::table::TableStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::error::Rejects;
use velostream_engine::time::{TimeRuns, Watermark};
use velostream_sql::catalog::Relation;
use velostream_sql::diagnostic::ErrorCode;

/// What a receiver is made of.
pub struct ReceiverSetup {
    /// Which partition.
    pub partition: usize,
    /// The query's id or name, for letters.
    pub query: String,
    /// The relation that comes in; `None` for constant rows.
    pub input: Option<Arc<Relation>>,
    /// The plan.
    pub kernel: Kernel,
    /// Where the input comes from.
    pub mailbox: Arc<Mailbox>,
    /// Where the caller reads, if it does.
    pub output: Option<Arc<OutputQueue>>,
    /// The rows of the table that the query maintains, if it does.
    pub table: Option<TableStore>,
    /// Whether other queries and the caller may still ask after the end: so with derived relations.
    pub serves: bool,
    /// What happens to rejected records.
    pub on_error: OnError,
    /// Letters, wake, size.
    pub shared: Arc<Shared>,
    /// Counters.
    pub metrics: Arc<PartitionMetrics>,
    /// Set when the input has ended or failed and all of it is given out.
    pub finished: Arc<AtomicBool>,
}

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
    readers: Vec<Arc<Mailbox>>,
    phase: Phase,
    out: ChangeBatch,
    rejects: Rejects,
    /// Rows given to readers so far.
    offset: u64,
    last: Seq,
    watermark: Watermark,
    state_bytes: u64,
    batches: u64,
    /// Whether a full mailbox downstream is waited for; else the caller asks `can_go_on` first.
    waits: bool,
}

impl PartitionReceiver {
    /// A receiver that has received nothing.
    pub fn new(setup: ReceiverSetup) -> Self {
        let out = setup.kernel.empty();
        Self {
            setup,
            readers: Vec::new(),
            phase: Phase::Running,
            out,
            rejects: Rejects::default(),
            offset: 0,
            last: Seq(0),
            watermark: Watermark::NONE,
            state_bytes: 0,
            batches: 0,
            waits: false,
        }
    }

    /// Receives until the mailbox is closed, or the input has ended and nobody can ask any more. Blocking.
    pub fn run(mut self) -> PartitionStats {
        self.waits = true;
        while self.setup.serves || matches!(self.phase, Phase::Running) {
            if let Some(output) = &self.setup.output {
                output.wait_for_room();
            }
            let Some(event) = self.setup.mailbox.pop() else { break };
            self.handle(event);
        }
        PartitionStats { batches: self.batches, failed: matches!(self.phase, Phase::Failed(_)) }
    }

    /// Receives what is there while there is room downstream, on the calling thread; whether it did anything.
    pub fn pump(&mut self) -> bool {
        let mut worked = false;
        while self.can_go_on() {
            let Some(event) = self.setup.mailbox.try_pop() else { break };
            self.handle(event);
            worked = true;
        }
        worked
    }

    fn can_go_on(&self) -> bool {
        self.setup.output.as_ref().is_none_or(|output| output.has_room())
            && self.readers.iter().all(|reader| reader.has_room())
    }

    fn handle(&mut self, event: Event) {
        let poisoned = guarded(|| self.dispatch(event));
        if let Err(error) = poisoned.and_then(|result| result) {
            self.fail(error);
        }
    }

    fn dispatch(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Batch(envelope) if matches!(self.phase, Phase::Running) => self.batch(&envelope)?,
            Event::Batch(_) => {}
            Event::Flush(pass) => {
                for reader in &self.readers {
                    drop(reader.push(Event::Flush(pass.again())));
                }
            }
            Event::Rows(request) => self.rows(&request),
            Event::Forward(reader, event) => drop(reader.push(*event)),
            Event::Subscribe(reader) => self.subscribe(reader),
            Event::End if matches!(self.phase, Phase::Running) => {
                self.setup.kernel.end(&mut self.out)?;
                self.report_rows();
                self.end();
            }
            Event::End => {}
            Event::Failed(error) => return Err(*error),
        }
        Ok(())
    }

    fn batch(&mut self, envelope: &Envelope) -> Result<()> {
        let begin = Instant::now();
        let records = envelope.batch.changes.len() as u64;
        self.rejects.failed.clear();
        self.rejects.late.clear();
        self.setup.kernel.process(&envelope.batch, &mut self.out, &mut self.rejects)?;
        self.batches += 1;
        let marks =
            [envelope.batch.changes.seqs.last(), envelope.batch.time.advances.last().map(|(seq, _)| seq)];
        self.last = marks.into_iter().flatten().copied().fold(self.last, Seq::max);
        let metrics = Arc::clone(&self.setup.metrics);
        metrics.records_in.fetch_add(records, Ordering::Relaxed);
        metrics.batches_in.fetch_add(1, Ordering::Relaxed);
        metrics.changes_out.fetch_add(self.out.len() as u64, Ordering::Relaxed);
        let stop = self.report(envelope);
        self.report_rows();
        let time = self.setup.kernel.output_time(&envelope.batch.time);
        metrics.watermark_micros.store(envelope.batch.time.after().0, Ordering::Relaxed);
        metrics.busy_nanos.fetch_add(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
        if records > 0 {
            metrics.latency.add(envelope.accepted.elapsed(), records);
        }
        self.deliver(time, envelope.at_ms);
        if let Some(error) = stop {
            return Err(error);
        }
        self.account()?;
        if self.setup.kernel.is_complete() {
            self.end();
        }
        Ok(())
    }

    /// Letters for what was rejected or late; with `stop`, the error that ends the query, and nothing that comes
    /// after the record stays in the output.
    fn report(&mut self, envelope: &Envelope) -> Option<Error> {
        let rejects = std::mem::take(&mut self.rejects);
        let input =
            self.setup.input.as_ref().filter(|_| !rejects.failed.is_empty() || !rejects.late.is_empty());
        let Some(input) = input.map(Arc::clone) else {
            self.rejects = rejects;
            return None;
        };
        let changes = &envelope.batch.changes;
        let metrics = &self.setup.metrics;
        metrics.late.fetch_add(rejects.late.len() as u64, Ordering::Relaxed);
        self.setup.shared.dead_letters.add_late(rejects.late.iter().map(|&(row, micros)| LateRecord {
            relation: input.name.to_string(),
            query: self.setup.query.clone(),
            schema: Arc::clone(&input.schema),
            row: single(&changes.columns, row as usize),
            late_by_ms: micros as f64 / 1e3,
        }));
        if let (OnError::Stop, Some(reject)) = (self.setup.on_error, rejects.failed.first()) {
            let seq = changes.seqs[reject.row as usize];
            let kept = self.out.seqs.partition_point(|&other| other < seq);
            self.out.truncate(kept);
            let mut error = Error::from(reject.error.clone());
            error.relation = Some(input.name.to_string());
            self.rejects = rejects;
            return Some(error);
        }
        metrics.dead_letters.fetch_add(rejects.failed.len() as u64, Ordering::Relaxed);
        self.setup.shared.dead_letters.add(rejects.failed.iter().map(|reject| DeadLetter {
            relation: input.name.to_string(),
            query: Some(self.setup.query.clone()),
            partition: self.setup.partition,
            offset: envelope.offset_of(reject.row as usize),
            code: reject.error.code,
            message: reject.error.message.to_string(),
            record: DeadRecord::Row(Arc::clone(&input.schema), single(&changes.columns, reject.row as usize)),
            at_ms: envelope.at_ms,
        }));
        self.setup.shared.wake.wake();
        self.rejects = rejects;
        None
    }

    /// Letters for rows of the answer that failed when time made them final; they belong to no record.
    fn report_rows(&mut self) {
        let errors = self.setup.kernel.take_row_errors();
        if errors.is_empty() {
            return;
        }
        let relation = self.setup.input.as_ref().map_or_else(String::new, |input| input.name.to_string());
        self.setup.metrics.dead_letters.fetch_add(errors.len() as u64, Ordering::Relaxed);
        self.setup.shared.dead_letters.add(errors.into_iter().map(|error| DeadLetter {
            relation: relation.clone(),
            query: Some(self.setup.query.clone()),
            partition: self.setup.partition,
            offset: self.offset,
            code: error.code,
            message: format!("a row of the answer: {error}"),
            record: DeadRecord::Bytes(Vec::new()),
            at_ms: 0,
        }));
        self.setup.shared.wake.wake();
    }

    /// Gives the changes in hand to the table, the readers and the caller.
    fn deliver(&mut self, time: TimeRuns, at_ms: i64) {
        self.watermark = time.after();
        if self.out.is_empty() && time.advances.is_empty() {
            return;
        }
        let fresh = self.setup.kernel.empty();
        let changes = std::mem::replace(&mut self.out, fresh);
        if let Some(table) = &mut self.setup.table {
            let mut applied = table.empty();
            table.apply(&changes, &mut applied);
        }
        if !self.readers.is_empty() {
            let envelope = Envelope {
                batch: Batch { changes: changes.clone(), time },
                offset: self.offset,
                first_seq: None,
                at_ms,
                accepted: Instant::now(),
            };
            self.publish(&|| Event::Batch(Box::new(envelope.clone())));
        }
        self.offset += changes.len() as u64;
        if let Some(output) = &self.setup.output {
            output.push(changes);
        }
    }

    /// Sends an event to every reader and forgets those that are gone.
    fn publish(&mut self, event: &dyn Fn() -> Event) {
        let waits = self.waits;
        self.readers.retain(|reader| {
            let sent = if waits { reader.push_when_room(event()) } else { reader.push(event()) };
            sent.is_ok()
        });
    }

    /// Publishes the size of the state; past the engine's limit, the receiver that has grown fails.
    fn account(&mut self) -> Result<()> {
        let table = self.setup.table.as_ref().map_or(0, TableStore::bytes);
        let bytes = (self.setup.kernel.state_bytes() + table) as u64;
        let shared = &self.setup.shared;
        let before = std::mem::replace(&mut self.state_bytes, bytes);
        self.setup.metrics.state_bytes.store(bytes, Ordering::Relaxed);
        self.setup.metrics.groups.store(self.setup.kernel.groups() as u64, Ordering::Relaxed);
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

    fn rows(&self, request: &RowsRequest) {
        request.answer(match (&self.phase, &self.setup.table) {
            (Phase::Failed(error), _) => Err(error.clone()),
            (_, Some(table)) => Ok(table.rows(self.last)),
            (_, None) => Err(Error::new(ErrorCode::Unsupported, "a stream keeps no rows")),
        });
        self.setup.shared.wake.wake();
    }

    /// Adds a reader; of a table it gets the rows first.
    fn subscribe(&mut self, reader: Arc<Mailbox>) {
        if let Phase::Failed(error) = &self.phase {
            drop(reader.push(Event::Failed(Box::new(error.clone()))));
            return;
        }
        let changes = match &self.setup.table {
            Some(table) => table.rows(self.last),
            None => self.setup.kernel.empty(),
        };
        let time = TimeRuns { before: self.watermark, advances: Vec::new() };
        let envelope = Envelope {
            batch: Batch { changes, time },
            offset: 0,
            first_seq: None,
            at_ms: 0,
            accepted: Instant::now(),
        };
        drop(reader.push(Event::Batch(Box::new(envelope))));
        if matches!(self.phase, Phase::Ended) {
            drop(reader.push(Event::End));
        } else {
            self.readers.push(reader);
        }
    }

    /// The answer is complete: the last changes go out, then the end.
    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.setup.metrics.changes_out.fetch_add(self.out.len() as u64, Ordering::Relaxed);
        let time = TimeRuns { before: self.watermark, advances: Vec::new() };
        self.deliver(time, 0);
        self.publish(&|| Event::End);
        if let Some(output) = &self.setup.output {
            output.end();
        }
        self.finish();
    }

    /// The query ends with an error, here and in all that reads it.
    fn fail(&mut self, error: Error) {
        if matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        let fresh = self.setup.kernel.empty();
        self.out = fresh;
        let mut inherited = error.clone();
        inherited.message = format!("{} has failed: {}", self.setup.query, error.message);
        self.publish(&|| Event::Failed(Box::new(inherited.clone())));
        if let Some(output) = &self.setup.output {
            output.fail(error.clone());
        }
        self.phase = Phase::Failed(error);
        self.finish();
    }

    fn finish(&self) {
        self.setup.finished.store(true, Ordering::Release);
        self.setup.shared.wake.wake();
    }
}

impl Drop for PartitionReceiver {
    fn drop(&mut self) {
        self.setup.mailbox.close();
        self.setup.shared.state_bytes.fetch_sub(self.state_bytes, Ordering::Relaxed);
    }
}
