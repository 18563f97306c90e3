//! A plan as a receiver runs it: the engine's processor with what the runtime asks of it.

use crate::error::Result;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Selected, Seq};
use velostream_engine::error::{RecordError, Rejects};
use velostream_engine::limits::Limits;
use velostream_engine::plan::{PhysicalPlan, PlanOptions, SourceId};
use velostream_engine::processor::QueryProcessor;
use velostream_engine::time::TimeRuns;
use velostream_sql::catalog::{Relation, RelationKind};
use velostream_sql::plan::{Expr, LogicalPlan, RelationRef};
use velostream_sql::types::Schema;

/// How a plan is to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelOptions {
    /// Whether updates come with the old row.
    pub before: bool,
    /// Grace of windows that declare none.
    pub default_grace_micros: i64,
    /// The plan answers once, at its end: an aggregate without groups then gives its row even of no input.
    pub snapshot: bool,
    /// The answer is the input of an operator of another kernel, as it would be within one.
    pub inner: bool,
}

impl KernelOptions {
    fn of_plan(&self) -> PlanOptions {
        PlanOptions {
            default_grace_micros: self.default_grace_micros,
            before: self.before,
            snapshot: self.snapshot,
            inner: self.inner,
            keep_tables: false,
        }
    }
}

/// The lines of a plan as it would run.
pub fn explain(plan: &LogicalPlan, options: &KernelOptions) -> Result<Vec<String>> {
    Ok(PhysicalPlan::build(plan, options.of_plan())?.explain())
}

/// A running plan with its state.
pub struct Kernel {
    processor: QueryProcessor,
    /// What feeds it, in the order of the positions that the calls take.
    inputs: Vec<Arc<Relation>>,
    schema: Arc<Schema>,
    /// Per input, whether its batches run under a savepoint.
    journaled: Vec<bool>,
    /// Per input, the keys by which its rows are grouped before anything else, if they are.
    selects: Vec<Option<Vec<Expr>>>,
    takes_turns: bool,
}

impl Kernel {
    /// A plan, ready to run.
    pub fn new(plan: &LogicalPlan, options: &KernelOptions) -> Result<Self> {
        let physical = PhysicalPlan::build(plan, options.of_plan())?;
        let schema = Schema { updating: physical.is_updating(), ..Schema::clone(physical.schema()) };
        Ok(Self {
            processor: QueryProcessor::new(&physical, &Limits::default())?,
            inputs: physical.sources().iter().map(|source| Arc::clone(&source.relation)).collect(),
            schema: Arc::new(schema),
            journaled: (0..physical.sources().len()).map(|at| physical.is_journaled(SourceId(at))).collect(),
            takes_turns: physical.sources().len() > 1 && physical.takes_turns(),
            selects: (0..physical.sources().len())
                .map(|at| physical.selects(SourceId(at)).map(<[Expr]>::to_vec))
                .collect(),
        })
    }

    /// Columns and key of the answer.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What feeds the plan; none where it has constant rows alone.
    pub fn inputs(&self) -> &[Arc<Relation>] {
        &self.inputs
    }

    /// Their names, as letters give them.
    pub fn input_names(&self) -> String {
        self.inputs.iter().map(|input| &*input.name).collect::<Vec<_>>().join(", ")
    }

    /// Whether a record of an input may fail when operators have changed for it.
    pub fn is_journaled(&self, input: usize) -> bool {
        self.journaled[input]
    }

    /// Applies a batch of an input. Rejected records are in `rejects`.
    pub fn process(
        &mut self,
        input: usize,
        batch: &Batch,
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        Ok(self.processor.process(SourceId(input), batch, out, rejects)?)
    }

    /// The keys by which rows of an input are grouped, if some rows of a batch can be applied as well as all.
    pub fn selects(&self, input: usize) -> Option<&[Expr]> {
        self.selects[input].as_deref()
    }

    /// Applies some rows of a batch of an input of which that can be done.
    pub fn process_selected(
        &mut self,
        input: usize,
        batch: &Batch,
        selected: Selected<'_>,
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        Ok(self.processor.process_selected(SourceId(input), batch, selected, out, rejects)?)
    }

    /// Applies one record of an input that is not journaled; if it is rejected, it leaves nothing, time included.
    pub fn process_whole(
        &mut self,
        input: usize,
        record: &Batch,
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        Ok(self.processor.process_whole(SourceId(input), record, out, rejects)?)
    }

    /// Applies what came to several inputs in one step, all of one number. If it is rejected, it is row 0.
    pub fn process_step(
        &mut self,
        inputs: &[(usize, &Batch)],
        out: &mut ChangeBatch,
        rejects: &mut Rejects,
    ) -> Result<()> {
        let inputs: Vec<_> = inputs.iter().map(|&(input, batch)| (SourceId(input), batch)).collect();
        Ok(self.processor.process_step(&inputs, out, rejects)?)
    }

    /// Whether batches of several inputs whose records take turns can be applied together.
    pub fn takes_turns(&self) -> bool {
        self.takes_turns
    }

    /// Applies batches of several inputs by their numbers, of which no two inputs share any. Each has its rejects.
    pub fn process_turns(
        &mut self,
        inputs: &[(usize, &Batch)],
        out: &mut ChangeBatch,
        rejects: &mut [Rejects],
    ) -> Result<()> {
        let inputs: Vec<_> = inputs.iter().map(|&(input, batch)| (SourceId(input), batch)).collect();
        Ok(self.processor.process_turns(&inputs, out, rejects)?)
    }

    /// Takes notice that `seq` is given out, so that what becomes final at the end comes behind it.
    pub fn pass(&mut self, seq: Seq) {
        self.processor.pass(seq);
    }

    /// An input ends.
    pub fn end(&mut self, input: usize, out: &mut ChangeBatch) -> Result<()> {
        self.processor.start(out)?;
        Ok(self.processor.end(SourceId(input), out)?)
    }

    /// Every input ends, one after another in the order of the relations' making; constant rows come if nothing else does.
    pub fn end_all(&mut self, out: &mut ChangeBatch) -> Result<()> {
        self.processor.start(out)?;
        self.by_age().into_iter().try_for_each(|input| self.end(input, out))
    }

    /// The inputs, the oldest relation first: the order of what is done to all.
    pub fn by_age(&self) -> Vec<usize> {
        let mut inputs: Vec<usize> = (0..self.inputs.len()).collect();
        inputs.sort_by_key(|&input| self.inputs[input].id);
        inputs
    }

    /// The number at which a LIMIT was reached behind which no record changes the answer.
    pub fn finished_at(&self) -> Option<Seq> {
        self.processor.finished_at()
    }

    /// Whether no further record can change the answer, as after LIMIT.
    pub fn is_complete(&self) -> bool {
        self.processor.is_finished()
    }

    /// Rows of the answer that could not be computed when time made them final, since the last call, each with the
    /// number under which it failed.
    pub fn take_row_errors(&mut self) -> Vec<(Seq, RecordError)> {
        self.processor.take_row_errors()
    }

    /// From here on `rollback` takes back; savepoints nest.
    pub fn savepoint(&mut self) {
        self.processor.savepoint();
    }

    /// Keeps what was done since the innermost savepoint.
    pub fn commit(&mut self) {
        self.processor.commit_savepoint();
    }

    /// Takes back what was done since the innermost savepoint.
    pub fn rollback(&mut self) {
        self.processor.rollback_savepoint();
    }

    /// Bytes of state.
    pub fn state_bytes(&self) -> usize {
        self.processor.state_bytes() as usize
    }

    /// Groups kept.
    pub fn groups(&self) -> usize {
        self.processor.groups()
    }

    /// An empty batch of the answer's columns.
    pub fn empty(&self) -> ChangeBatch {
        ChangeBatch::of(&self.schema)
    }

    /// Whether [`Self::output_time`] is to have every move, or the last one of each call alone.
    pub fn keep_output_time(&mut self, whole: bool) {
        self.processor.keep_output_time(whole);
    }

    /// How the watermark of the answer moved in the last call: the inputs', held back by what operators wait for.
    pub fn output_time(&self) -> &TimeRuns {
        self.processor.output_time()
    }
}

/// Whether a plan may leave records out, because it fails for them or because they come too late.
pub fn leaves_out(plan: &LogicalPlan, options: &KernelOptions) -> Result<bool> {
    Ok(PhysicalPlan::build(plan, options.of_plan())?.leaves_out())
}

/// The relations that a plan reads, each once; none for constant rows.
pub fn sources_of(plan: &LogicalPlan) -> Vec<&Arc<Relation>> {
    let mut sources: Vec<&Arc<Relation>> = Vec::new();
    plan.for_each(&mut |node| {
        if let LogicalPlan::Source { relation, .. } = node
            && sources.iter().all(|known| known.id != relation.0.id)
        {
            sources.push(&relation.0);
        }
    });
    sources
}

/// The same plan over what `replace` gives for its sources, or over the sources themselves.
pub fn with_sources(plan: LogicalPlan, replace: &dyn Fn(&RelationRef) -> Option<LogicalPlan>) -> LogicalPlan {
    match &plan {
        LogicalPlan::Source { relation, .. } => replace(relation).unwrap_or(plan),
        _ => plan.map_inputs(&mut |input| with_sources(input, replace)),
    }
}

/// The plan that gives the answer once, at the end of its input: updating rows wait until they are final.
pub fn once(plan: &LogicalPlan) -> LogicalPlan {
    if !plan.schema().updating {
        return match plan {
            LogicalPlan::Limit { input, count, schema } => {
                LogicalPlan::Limit { input: Box::new(once(input)), count: *count, schema: Arc::clone(schema) }
            }
            plan => plan.clone(),
        };
    }
    if let LogicalPlan::Limit { input, count, schema } = plan {
        let schema = Arc::new(Schema { updating: false, ..Schema::clone(schema) });
        return LogicalPlan::Limit { input: Box::new(once(input)), count: *count, schema };
    }
    let schema = Arc::new(Schema { updating: false, ..Schema::clone(plan.schema()) });
    LogicalPlan::Final { input: Box::new(plan.clone()), schema }
}

/// Whether a relation's rows are kept.
pub fn is_table(relation: &Relation) -> bool {
    relation.kind == RelationKind::Table
}
