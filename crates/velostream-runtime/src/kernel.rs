//! A plan as a receiver runs it: the engine's processor with what the runtime asks of it.

use crate::error::Result;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch};
use velostream_engine::error::{RecordError, Rejects};
use velostream_engine::limits::Limits;
use velostream_engine::plan::{PhysicalPlan, PlanOptions, SourceId};
use velostream_engine::processor::QueryProcessor;
use velostream_engine::time::TimeRuns;
use velostream_sql::catalog::{Relation, RelationKind};
use velostream_sql::plan::{LogicalPlan, RelationRef};
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
}

/// A running plan with its state.
pub struct Kernel {
    processor: QueryProcessor,
    /// Whether a relation feeds it; constant rows have none.
    has_source: bool,
    schema: Arc<Schema>,
    delay_micros: i64,
}

/// The one source that every plan of today has at most.
const SOURCE: SourceId = SourceId(0);

impl Kernel {
    /// A plan, ready to run.
    pub fn new(plan: &LogicalPlan, options: &KernelOptions) -> Result<Self> {
        let plan_options = PlanOptions {
            default_grace_micros: options.default_grace_micros,
            before: options.before,
            snapshot: options.snapshot,
            keep_tables: false,
        };
        let physical = PhysicalPlan::build(plan, plan_options)?;
        let schema = Schema { updating: physical.is_updating(), ..Schema::clone(physical.schema()) };
        Ok(Self {
            processor: QueryProcessor::new(&physical, &Limits::default())?,
            has_source: !physical.sources().is_empty(),
            schema: Arc::new(schema),
            delay_micros: delay_micros(plan, options.default_grace_micros),
        })
    }

    /// Columns and key of the answer.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Applies a batch. Rejected records are in `rejects`.
    pub fn process(&mut self, batch: &Batch, out: &mut ChangeBatch, rejects: &mut Rejects) -> Result<()> {
        Ok(self.processor.process(SOURCE, batch, out, rejects)?)
    }

    /// The input ends; a plan over constant rows gives them now.
    pub fn end(&mut self, out: &mut ChangeBatch) -> Result<()> {
        self.processor.start(out)?;
        if self.has_source {
            self.processor.end(SOURCE, out)?;
        }
        Ok(())
    }

    /// Whether no further record can change the answer, as after LIMIT.
    pub fn is_complete(&self) -> bool {
        self.processor.is_finished()
    }

    /// Rows of the answer that could not be computed when time made them final, since the last call.
    pub fn take_row_errors(&mut self) -> Vec<RecordError> {
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
        ChangeBatch::new(&self.schema.fields.iter().map(|field| field.data_type).collect::<Vec<_>>())
    }

    /// The watermark of the answer: the input's, held back by what windows wait for.
    pub fn output_time(&self, time: &TimeRuns) -> TimeRuns {
        let delay = self.delay_micros;
        let advances = time.advances.iter().map(|&(seq, watermark)| (seq, watermark.delayed(delay)));
        TimeRuns { before: time.before.delayed(delay), advances: advances.collect() }
    }
}

/// The input of a node.
fn input(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Source { .. } | LogicalPlan::Values { .. } => None,
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Aggregate { input, .. }
        | LogicalPlan::Over { input, .. }
        | LogicalPlan::Check { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::Final { input, .. } => Some(input),
    }
}

/// The nodes of a plan from its root down; every node has one input at most.
fn nodes(plan: &LogicalPlan) -> impl Iterator<Item = &LogicalPlan> {
    std::iter::successors(Some(plan), |plan| input(plan))
}

/// The relation that a plan reads; `None` for constant rows.
pub fn source_of(plan: &LogicalPlan) -> Option<&Arc<Relation>> {
    nodes(plan).find_map(|node| match node {
        LogicalPlan::Source { relation, .. } => Some(&relation.0),
        _ => None,
    })
}

fn delay_micros(plan: &LogicalPlan, default_grace_micros: i64) -> i64 {
    let graces = nodes(plan).filter_map(|node| match node {
        LogicalPlan::Aggregate { window: Some(window), .. } => {
            Some(window.grace_micros.unwrap_or(default_grace_micros))
        }
        LogicalPlan::Over { input, schema, .. }
            if schema.updating && !matches!(**input, LogicalPlan::Over { .. }) =>
        {
            Some(default_grace_micros)
        }
        _ => None,
    });
    graces.fold(0, i64::saturating_add)
}

/// The same plan over what `replace` gives for its source, or over the source itself.
pub fn with_source(plan: &LogicalPlan, replace: &dyn Fn(&RelationRef) -> Option<LogicalPlan>) -> LogicalPlan {
    let mut plan = plan.clone();
    let mut node = &mut plan;
    loop {
        match node {
            LogicalPlan::Source { relation, .. } => {
                if let Some(other) = replace(relation) {
                    *node = other;
                }
                return plan;
            }
            LogicalPlan::Values { .. } => return plan,
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Aggregate { input, .. }
            | LogicalPlan::Over { input, .. }
            | LogicalPlan::Check { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::Final { input, .. } => node = input,
        }
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
