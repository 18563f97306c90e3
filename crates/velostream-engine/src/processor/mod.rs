//! `QueryProcessor`: one query over one partition's state.
//!
//! Runs the plan's operators in topological order over reused buffers. Where a record fails before anything has
//! changed for it, a batch is evaluated and applied in one go and failing rows simply stay out. Otherwise the batch
//! runs under a savepoint; if a record fails, all is rolled back and done again record by record, so that exactly
//! the failing records leave no trace but the time they moved.

mod clocks;
mod nodes;
mod redo;
mod report;
mod snapshot;

use crate::batch::{Batch, ChangeBatch, Op, Selected, Seq};
use crate::error::{EngineError, RecordError, Rejects, Result};
use crate::limits::Limits;
use crate::operators::net::Net;
use crate::plan::{Journal, Origin, PhysicalPlan, SourceId};
use crate::state::{State, StateCell, composite_state};
use crate::time::{TimeRuns, Timestamp, Watermark};
use clocks::Arrival;
use nodes::Nodes;
use report::{Report, row_of};
use velostream_sql::plan::Expr;
use velostream_sql::types::DataType;

/// How far one source has come.
struct Progress {
    watermark: StateCell<i64>,
    ended: StateCell<bool>,
}
composite_state!(Progress { watermark, ended });

/// How far everything that enters the plan has come: what the processor itself keeps between calls.
struct Standing {
    /// The last sequence number seen: what time closes by hand is shown under it.
    last: StateCell<u64>,
    sources: Vec<Progress>,
    /// Whether constant rows have been emitted.
    started: StateCell<bool>,
}
composite_state!(Standing { last, sources, started });

impl Standing {
    /// The watermark of what enters at an origin; constant rows are complete once they were emitted.
    fn watermark(&self, origin: Origin) -> Watermark {
        match origin {
            Origin::Source(source) => Watermark(*self.sources[source].watermark.get()),
            Origin::Values(_) if *self.started.get() => Watermark::END,
            Origin::Values(_) => Watermark::NONE,
        }
    }

    /// Whether nothing more enters at an origin.
    fn has_ended(&self, origin: Origin) -> bool {
        match origin {
            Origin::Source(source) => *self.sources[source].ended.get(),
            Origin::Values(_) => *self.started.get(),
        }
    }

    /// Notes how far a source has come with a batch, of which what stands behind number `until` does not count.
    fn advance(&mut self, source: usize, changes: &ChangeBatch, time: &TimeRuns, until: Option<Seq>) {
        let until = until.unwrap_or(Seq(u64::MAX));
        let counts = |&&seq: &&Seq| seq <= until;
        let moved = time.advances.iter().rfind(|&&(seq, _)| seq <= until);
        let watermark = moved.map_or(time.before, |&(_, watermark)| watermark);
        let last = changes.seqs.iter().rfind(counts).copied().unwrap_or_default();
        let last = last.max(moved.map_or(Seq(0), |&(seq, _)| seq));
        self.last.set(last.0.max(*self.last.get()));
        self.sources[source].watermark.set(watermark.0);
    }
}

/// Runs one query. Synchronous; knows no thread, clock or file.
///
/// # Contract
/// * *Batch invariance.* The changes are the same however the records are cut into batches.
/// * *Rejects.* A failing record is undone in every operator, as if it had never come, except that the time
///   it moved stays moved.
/// * *Errors.* After `Err` the processor cannot go on; drop it.
pub struct QueryProcessor {
    nodes: Nodes,
    net: Option<Net>,
    standing: Standing,
    limits: Limits,
    journal: Journal,
    /// Whether `begin` was called: a savepoint is open.
    in_transaction: bool,
    /// Savepoints open.
    depth: usize,
    /// Per source, whether its rows can go.
    updating: Vec<bool>,
    /// Whether rows have gone since memory was last given back. Goes back with a rollback, so that it leaves what
    /// operators hold as it was.
    took_back: StateCell<bool>,
    fingerprint: u64,
    output_types: Vec<DataType>,
    values: Vec<(Vec<Vec<Expr>>, Vec<DataType>)>,
    report: Report,
    row_errors: Vec<(Seq, RecordError)>,
    redo: redo::RedoScratch,
    /// The batch's time, where the processor's own is ahead of it; and that of calls without a batch.
    time: TimeRuns,
    empty: ChangeBatch,
}

impl QueryProcessor {
    /// A processor with empty state.
    pub fn new(plan: &PhysicalPlan, limits: &Limits) -> Result<Self> {
        let output_types = plan.output_types();
        let schema = &plan.schema;
        let key = schema.has_key().then(|| schema.primary_key.clone());
        let progress =
            || Progress { watermark: StateCell::new(Watermark::NONE.0), ended: StateCell::new(false) };
        Ok(Self {
            nodes: Nodes::new(plan)?,
            net: (plan.updating && !plan.options.inner)
                .then(|| Net::new(&output_types, key, plan.options.before)),
            standing: Standing {
                last: StateCell::new(0),
                sources: plan.sources.iter().map(|_| progress()).collect(),
                started: StateCell::new(false),
            },
            limits: *limits,
            journal: plan.journal.clone(),
            in_transaction: false,
            depth: 0,
            updating: plan.sources.iter().map(|source| source.relation.schema.updating).collect(),
            took_back: StateCell::new(false),
            fingerprint: plan.fingerprint,
            output_types,
            values: plan.values.iter().map(|values| (values.rows.clone(), values.types.clone())).collect(),
            report: Report::default(),
            row_errors: Vec::new(),
            redo: redo::RedoScratch::default(),
            time: TimeRuns::default(),
            empty: ChangeBatch::default(),
        })
    }

    /// Types of the output's columns: what `out` must have.
    #[must_use]
    pub fn output_types(&self) -> &[DataType] {
        &self.output_types
    }

    /// The hot path: applies a batch and appends its changes to `out`, which the caller reuses. Rows of
    /// records that fail go to `rejects`, which is not cleared; `Err` means the processor cannot go on.
    pub fn process(
        &mut self,
        input: SourceId,
        batch: &Batch,
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        self.process_batch(input, (batch, None), false, out, rejects)
    }

    /// The same for some rows of a batch, which others take the rest of; its time is everybody's. Of a source of which the
    /// plan can ([`PhysicalPlan::selects`]).
    pub fn process_selected(
        &mut self,
        input: SourceId,
        batch: &Batch,
        selected: Selected<'_>,
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        debug_assert!(!self.journal.sources[input.0] && selected.rows.is_sorted());
        self.process_batch(input, (batch, Some(selected)), false, out, rejects)
    }

    /// The same for one record that is to happen whole or not at all, of a source that is not journaled: if it is
    /// rejected, everything is as if it had never come, time included.
    pub fn process_whole(
        &mut self,
        input: SourceId,
        record: &Batch,
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        debug_assert!(!self.journal.sources[input.0] && record.changes.len() <= 1);
        self.process_batch(input, (record, None), true, out, rejects)
    }

    fn process_batch(
        &mut self,
        input: SourceId,
        (batch, selected): (&Batch, Option<Selected<'_>>),
        is_whole: bool,
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        debug_assert!(batch.changes.seqs.is_sorted(), "sequence numbers ascend");
        self.open(input)?;
        self.start(out)?;
        self.report.clear();
        if self.finished_at().is_some() {
            return Ok(());
        }
        let from = out.len();
        let standing = self.watermark(input);
        let own_time = (standing > batch.time.before).then(|| {
            let mut own = std::mem::take(&mut self.time);
            catch_up(&batch.time, standing, &mut own);
            own
        });
        let time = own_time.as_ref().unwrap_or(&batch.time);
        let origin = Origin::Source(input.0);
        let arrival = Arrival { origin, changes: &batch.changes, time, selected };
        let result = if is_whole {
            self.nodes.run_whole(arrival, &self.standing, out, &mut self.report)
        } else {
            self.run(&[arrival], self.journal.sources[input.0], out)
        };
        if is_whole && !self.report.failures.is_empty() {
            out.truncate(from);
        } else {
            let until = self.finished_at();
            self.standing.advance(input.0, &batch.changes, time, until);
        }
        if let Some(own) = own_time {
            self.time = own;
        }
        result?;
        let place = |seq| row_of(&batch.changes.seqs, seq).map(|row| (0, row));
        self.report.settle(place, std::slice::from_mut(rejects), &mut self.row_errors);
        self.note_deletes(input, batch);
        self.settle(out, from)
    }

    /// Applies what one record, or the beginning, caused in several sources as one step: all rows have one
    /// sequence number. A failing step is row 0 of `rejects`.
    pub fn process_step(
        &mut self,
        inputs: &[(SourceId, &Batch)],
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        let from = self.apply_several(inputs, self.journal.others, out)?;
        let step = inputs.iter().find_map(|(_, batch)| batch.changes.seqs.first());
        let place = |seq| step.filter(|&&found| found == seq).map(|_| (0, 0));
        self.report.settle(place, std::slice::from_mut(rejects), &mut self.row_errors);
        self.settle(out, from)
    }

    /// Applies batches of several sources whose records took turns, as [`Self::process`] would record by record in the order
    /// of their numbers, of which no two sources share any. Each source has its rejects. Only where
    /// [`PhysicalPlan::takes_turns`].
    pub fn process_turns(
        &mut self,
        inputs: &[(SourceId, &Batch)],
        out: &mut ChangeBatch,
        rejects: &mut [Rejects],
    ) -> Result<()> {
        debug_assert_eq!(inputs.len(), rejects.len());
        let is_journaled = inputs.iter().any(|(source, _)| self.journal.sources[source.0]);
        let from = self.apply_several(inputs, is_journaled, out)?;
        let place = |seq| {
            let each = inputs.iter().enumerate();
            each.filter_map(|(at, (_, batch))| Some((at, row_of(&batch.changes.seqs, seq)?))).next()
        };
        self.report.settle(place, rejects, &mut self.row_errors);
        self.settle(out, from)
    }

    /// Applies batches of several sources by their numbers; gives where what they led to begins.
    fn apply_several(
        &mut self,
        inputs: &[(SourceId, &Batch)],
        is_journaled: bool,
        out: &mut ChangeBatch,
    ) -> Result<usize> {
        inputs.iter().try_for_each(|&(input, _)| self.open(input))?;
        self.start(out)?;
        self.report.clear();
        let from = out.len();
        if self.finished_at().is_some() {
            return Ok(from);
        }
        let mut times = Vec::with_capacity(inputs.len());
        for &(input, batch) in inputs {
            let mut time = TimeRuns::default();
            catch_up(&batch.time, self.watermark(input).max(batch.time.before), &mut time);
            times.push(time);
        }
        let both = inputs.iter().zip(&times);
        let arrivals: Vec<Arrival<'_>> = both
            .map(|(&(input, batch), time)| Arrival {
                origin: Origin::Source(input.0),
                changes: &batch.changes,
                time,
                selected: None,
            })
            .collect();
        let result = self.run(&arrivals, is_journaled, out);
        let until = self.finished_at();
        for (&(input, batch), time) in inputs.iter().zip(&times) {
            self.standing.advance(input.0, &batch.changes, time, until);
        }
        result?;
        inputs.iter().for_each(|&(input, batch)| self.note_deletes(input, batch));
        Ok(from)
    }

    /// Runs arrivals, by their numbers, under a savepoint where they need one: to leave out what fails, and, so that batches
    /// make no difference, to leave out what stands behind a LIMIT.
    fn run(&mut self, arrivals: &[Arrival<'_>], is_journaled: bool, out: &mut ChangeBatch) -> Result<()> {
        let Self { nodes, standing, report, redo, .. } = self;
        if !is_journaled && !nodes.can_finish() {
            return nodes.run(arrivals, standing, out, report);
        }
        let (from, before) = (out.len(), report.mark());
        nodes.savepoint();
        nodes.run(arrivals, standing, out, report)?;
        let has_failed = is_journaled && report.failures.len() > before.failures;
        if !has_failed && !nodes.is_reached_amid(arrivals) {
            nodes.commit();
            return Ok(());
        }
        nodes.rollback();
        out.truncate(from);
        report.truncate(before);
        redo.run(redo::Again { nodes, standing, out, report }, arrivals)?;
        nodes.tell_time(arrivals, standing);
        Ok(())
    }

    /// Consolidates what was appended from row `from` on and looks at the limits.
    fn settle(&mut self, out: &mut ChangeBatch, from: usize) -> Result<()> {
        if let Some(net) = &mut self.net {
            net.consolidate(out, from);
        }
        debug_assert!(out.seqs[from..].is_sorted(), "output keeps the order of sequence numbers");
        self.give_back();
        if self.limits.state_bytes == u64::MAX {
            return Ok(());
        }
        let used = self.state_bytes();
        if used > self.limits.state_bytes {
            return Err(EngineError::Limit { used, limit: self.limits.state_bytes });
        }
        Ok(())
    }

    fn note_deletes(&mut self, SourceId(source): SourceId, batch: &Batch) {
        if self.updating[source] && batch.changes.ops.contains(&Op::Delete) {
            self.took_back.set(true);
        }
    }

    /// Gives the memory of what is empty back, once rows have gone and nothing can be rolled back.
    fn give_back(&mut self) {
        if self.depth == 0 && *self.took_back.get() {
            self.took_back.set(false);
            self.nodes.release_empty(self.limits.spare_bytes);
        }
    }

    /// A source of the plan whose input has not ended.
    fn open(&self, input: SourceId) -> Result<()> {
        match self.standing.sources.get(input.0) {
            None => Err(EngineError::State("the plan has no such source")),
            Some(source) if *source.ended.get() => Err(EngineError::State("the input has ended")),
            Some(_) => Ok(()),
        }
    }

    /// Emits what needs no input: the plan's constant rows, as one step before everything. Does nothing when
    /// called again, or where the plan has none. A plan without sources is complete then.
    pub fn start(&mut self, out: &mut ChangeBatch) -> Result<()> {
        if *self.standing.started.get() || self.values.is_empty() {
            return Ok(());
        }
        self.report.clear();
        let from = out.len();
        let time = TimeRuns { before: Watermark::NONE, advances: vec![(Seq(0), Watermark::END)] };
        let mut constants = Vec::with_capacity(self.values.len());
        for (rows, types) in &self.values {
            constants.push(nodes::constant_rows(rows, types, &mut self.row_errors)?);
        }
        let each = constants.iter().enumerate();
        let arrivals: Vec<Arrival<'_>> = each
            .map(|(index, changes)| Arrival {
                origin: Origin::Values(index),
                changes,
                time: &time,
                selected: None,
            })
            .collect();
        self.run(&arrivals, self.journal.others, out)?;
        self.standing.started.set(true);
        self.report.settle(|_| None, &mut [], &mut self.row_errors);
        self.settle(out, from)
    }

    /// Takes notice that `seq` is given out, so that what becomes final at the end comes behind it.
    pub fn pass(&mut self, seq: Seq) {
        if seq.0 > *self.standing.last.get() {
            self.standing.last.set(seq.0);
        }
    }

    /// Moves one source's watermark; what becomes final goes to `out` under the last sequence number. A
    /// watermark that is not ahead changes nothing.
    pub fn advance_time(
        &mut self,
        input: SourceId,
        watermark: Timestamp,
        out: &mut ChangeBatch,
    ) -> Result<()> {
        let before = self.watermark(input);
        if Watermark(watermark) <= before || self.has_ended(input) {
            return Ok(());
        }
        self.start(out)?;
        let seq = Seq(*self.standing.last.get());
        let time = TimeRuns { before, advances: vec![(seq, Watermark(watermark))] };
        let empty = std::mem::take(&mut self.empty);
        self.report.clear();
        let from = out.len();
        let origin = Origin::Source(input.0);
        let arrival = Arrival { origin, changes: &empty, time: &time, selected: None };
        let result = self.run(&[arrival], self.journal.sources[input.0], out);
        self.standing.advance(input.0, &empty, &time, None);
        self.empty = empty;
        result?;
        self.report.settle(|_| None, &mut [], &mut self.row_errors);
        self.settle(out, from)
    }

    /// Ends one source: everything still open becomes final. Does nothing when called again.
    pub fn end(&mut self, input: SourceId, out: &mut ChangeBatch) -> Result<()> {
        if self.has_ended(input) {
            return Ok(());
        }
        self.advance_time(input, Watermark::END.0, out)?;
        self.standing.sources[input.0].ended.set(true);
        Ok(())
    }

    /// From here on `rollback` undoes everything since the last `commit`, in every operator.
    pub fn begin(&mut self) {
        if !self.in_transaction {
            self.in_transaction = true;
            self.savepoint();
        }
    }

    /// Keeps everything so far; `rollback` goes back to here. Does nothing before `begin`.
    pub fn commit(&mut self) {
        if self.in_transaction {
            self.commit_savepoint();
            self.savepoint();
        }
    }

    /// Goes back to the last `commit`, or to `begin`. Does nothing before `begin`.
    pub fn rollback(&mut self) {
        if self.in_transaction {
            self.rollback_savepoint();
            self.savepoint();
        }
    }

    /// Keeps everything so far and leaves the mode that `begin` entered.
    pub fn finish_transaction(&mut self) {
        if std::mem::replace(&mut self.in_transaction, false) {
            self.commit_savepoint();
        }
    }

    /// Opens a savepoint inside whatever is open: for a call that is to happen whole or not at all.
    pub fn savepoint(&mut self) {
        self.depth += 1;
        self.nodes.savepoint();
        self.standing.savepoint();
        self.took_back.savepoint();
    }

    /// Keeps what was done since the innermost savepoint.
    pub fn commit_savepoint(&mut self) {
        self.nodes.commit();
        self.standing.commit();
        self.took_back.commit();
        self.depth -= 1;
        self.give_back();
    }

    /// Takes back what was done since the innermost savepoint, moves of time included.
    pub fn rollback_savepoint(&mut self) {
        self.nodes.rollback();
        self.standing.rollback();
        self.took_back.rollback();
        self.depth -= 1;
    }

    /// Rows of the answer that could not be computed when time made them final, in order, each with
    /// the number under which it failed. They belong to no record. Taking them clears them.
    pub fn take_row_errors(&mut self) -> Vec<(Seq, RecordError)> {
        std::mem::take(&mut self.row_errors)
    }

    /// Bytes of state held by all operators.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.nodes.bytes() as u64
    }

    /// Groups and rows kept by all operators.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.nodes.groups()
    }

    /// The number at which a LIMIT was reached that nothing but the end goes by; records behind it change nothing.
    #[must_use]
    pub fn finished_at(&self) -> Option<Seq> {
        self.nodes.finished_at(&self.standing)
    }

    /// Whether nothing can come any more: a LIMIT is reached, or every source has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let ended = self.standing.sources.iter().all(|source| *source.ended.get());
        self.finished_at().is_some() || (ended && (self.values.is_empty() || *self.standing.started.get()))
    }

    /// Whether a source has ended; one that the plan does not have never ends.
    fn has_ended(&self, input: SourceId) -> bool {
        self.standing.sources.get(input.0).is_some_and(|source| *source.ended.get())
    }

    /// Whether [`Self::output_time`] is to have every move of the watermark, as at first, or the last one of each call alone,
    /// which spares a copy.
    pub fn keep_output_time(&mut self, whole: bool) {
        self.nodes.keep_output_time(whole);
    }

    /// How the watermark of the output moved in the last call.
    #[must_use]
    pub fn output_time(&self) -> &TimeRuns {
        self.nodes.output_time()
    }

    /// The watermark of a source.
    #[must_use]
    pub fn watermark(&self, input: SourceId) -> Watermark {
        self.standing
            .sources
            .get(input.0)
            .map_or(Watermark::NONE, |source| Watermark(*source.watermark.get()))
    }
}

/// Leaves of a batch's time what lies ahead of a watermark that was moved by hand.
fn catch_up(time: &TimeRuns, standing: Watermark, own: &mut TimeRuns) {
    own.before = standing;
    own.advances.clear();
    own.advances.extend(time.advances.iter().filter(|&&(_, watermark)| watermark > standing));
}
