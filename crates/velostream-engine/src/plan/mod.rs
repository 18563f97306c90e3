//! The physical plan: operators in topological order, ready to be made into any number of processors.

mod build;
mod clock;
mod explain;
mod joint;
mod journal;

pub(crate) use clock::{ClockId, ClockPlan, Origin};
pub(crate) use journal::Journal;

use crate::error::{EngineError, Result};
use crate::operators::aggregate::AggregateSpec;
use crate::operators::join::JoinSpec;
use crate::operators::join::interval::Bounds;
use crate::operators::over::OverSpec;
use crate::operators::table::Show;
use std::sync::Arc;
use velostream_sql::catalog::{Relation, RelationId};
use velostream_sql::plan::{Expr, LogicalPlan, Side};
use velostream_sql::types::{DataType, Schema};

/// A source of a plan, by its position in [`PhysicalPlan::sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub usize);

/// How a plan is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// Grace of windows that declare none, microseconds.
    pub default_grace_micros: i64,
    /// Whether updates show the old row before the new one.
    pub before: bool,
    /// Whether the plan answers once: every relation's current rows come as inserts, then the end.
    pub snapshot: bool,
    /// Whether the answer is the input of an operator elsewhere: steps stand as operators give them, updates with the old row.
    pub inner: bool,
    /// Whether source tables are given as records and tombstones, and the plan keeps their rows. Otherwise
    /// they are given as changes, updates as pairs.
    pub keep_tables: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { default_grace_micros: 0, before: false, snapshot: false, inner: false, keep_tables: true }
    }
}

/// What feeds a plan.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// The relation.
    pub relation: Arc<Relation>,
    /// Its id.
    pub id: RelationId,
    /// Its columns, all of which a batch has.
    pub types: Vec<DataType>,
    /// Which of the columns the plan reads.
    pub needed: Vec<bool>,
    /// Whether the plan keeps the table's rows, so that a batch holds records and tombstones, not changes.
    pub keeps_table: bool,
}

impl SourcePlan {
    /// Where the plan reads the relation once more: a file in FROM has the event time that one of the places gives it.
    fn take_event_time_of(&mut self, relation: &Arc<Relation>) -> Result<()> {
        match (self.relation.event_time, relation.event_time) {
            (None, Some(_)) => self.relation = Arc::clone(relation),
            (Some(one), Some(other)) if one != other => {
                let name = &relation.name;
                let text =
                    format!("{name} has one event time in a query: declare it twice with CREATE STREAM");
                return Err(EngineError::Unsupported(text));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Where a node's rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Origin(Origin),
    Node(usize),
}

/// A subtree that has become nodes.
#[derive(Clone, Copy)]
struct Built {
    output: Input,
    /// Whether it can take rows back.
    updating: bool,
    /// Whether its rows come in the step of the record that caused them.
    on_record: bool,
    /// The clocks of its output.
    time: ClockId,
    own: ClockId,
}

/// What a node does.
#[derive(Debug, Clone)]
pub(crate) enum OperatorPlan {
    Map { input: Vec<DataType>, predicate: Option<Expr>, items: Option<Vec<Expr>> },
    Aggregate(Box<AggregateSpec>),
    Over(Box<OverSpec>),
    Order { columns: Vec<usize>, grace_micros: i64 },
    Table { key: Option<Vec<usize>>, show: Show },
    Check(Vec<(Expr, Arc<str>)>),
    Limit(u64),
    Union,
    Join { spec: Box<JoinSpec>, method: JoinPlan, key: Option<Vec<usize>> },
}

/// How the sides of a join meet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JoinPlan {
    Interval { bounds: Bounds, is_final: bool },
    Lookup { stream: Side },
    Kept,
}

/// A node of the plan.
#[derive(Debug, Clone)]
pub(crate) struct NodePlan {
    pub operator: OperatorPlan,
    /// One, or two where the operator is a joint, each with the clock by which its rows are late.
    pub inputs: Vec<(Input, ClockId)>,
    /// Types of the output's columns.
    pub types: Vec<DataType>,
    /// By which results become final at the node.
    pub time: ClockId,
    /// Whether rows reach the node in the step of the record that caused them, not when time makes them final.
    pub on_record: bool,
    /// The node's line in EXPLAIN.
    pub line: String,
}

/// Constant rows.
#[derive(Debug, Clone)]
pub(crate) struct ValuesPlan {
    pub rows: Vec<Vec<Expr>>,
    pub types: Vec<DataType>,
}

/// A plan of operators; immutable, shared by the processors made from it.
#[derive(Debug, Clone)]
pub struct PhysicalPlan {
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) sources: Vec<SourcePlan>,
    pub(crate) values: Vec<ValuesPlan>,
    pub(crate) clocks: Vec<ClockPlan>,
    /// By which the output's rows become final.
    pub(crate) time: ClockId,
    pub(crate) schema: Arc<Schema>,
    pub(crate) options: PlanOptions,
    /// Whether the output can take rows back.
    pub(crate) updating: bool,
    /// Which batches run under a savepoint.
    pub(crate) journal: Journal,
    pub(crate) fingerprint: u64,
}

impl PhysicalPlan {
    /// Chooses operators and modes for a logical plan.
    pub fn build(plan: &LogicalPlan, options: PlanOptions) -> Result<Self> {
        build::build(plan, options)
    }

    /// What feeds the plan, in the order of [`SourceId`].
    #[must_use]
    pub fn sources(&self) -> &[SourcePlan] {
        &self.sources
    }

    /// The source that is this relation.
    #[must_use]
    pub fn source_of(&self, relation: RelationId) -> Option<SourceId> {
        self.sources.iter().position(|source| source.id == relation).map(SourceId)
    }

    /// The output's schema. `updating` in it says what the query says; see [`Self::is_updating`].
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Types of the output's columns.
    #[must_use]
    pub fn output_types(&self) -> Vec<DataType> {
        self.schema.fields.iter().map(|field| field.data_type).collect()
    }

    /// Whether the output can take rows back.
    #[must_use]
    pub fn is_updating(&self) -> bool {
        self.updating
    }

    /// Whether a record of a source may fail when operators have changed for it, so that its batches run under a
    /// savepoint.
    #[must_use]
    pub fn is_journaled(&self, source: SourceId) -> bool {
        self.journal.sources[source.0]
    }

    /// Whether a record may be left out: because something fails for it, or because it comes too late.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        self.journal.fails || self.uses_time()
    }

    /// The keys by which a source's rows are grouped, if they are, and before anything else is done with them: then the
    /// processor takes some rows of a batch as well as all.
    #[must_use]
    pub fn selects(&self, source: SourceId) -> Option<&[Expr]> {
        let reads = |node: &&NodePlan| {
            node.inputs.iter().any(|&(input, _)| input == Input::Origin(Origin::Source(source.0)))
        };
        let mut readers = self.nodes.iter().filter(reads);
        match (readers.next(), readers.next()) {
            (Some(NodePlan { operator: OperatorPlan::Aggregate(spec), .. }), None)
                if !self.is_journaled(source) =>
            {
                Some(&spec.keys)
            }
            _ => None,
        }
    }

    /// Whether batches of several sources whose records take turns can be applied together: not where rows of either stand
    /// in one input of an operator, which are late each by the time of its own source.
    #[must_use]
    pub fn takes_turns(&self) -> bool {
        !self.clocks.iter().any(|clock| matches!(clock, ClockPlan::OfArrival(_)))
    }

    /// Whether the plan uses event time: it has windows, joins by time or OVER.
    #[must_use]
    pub fn uses_time(&self) -> bool {
        let uses = |node: &NodePlan| match &node.operator {
            OperatorPlan::Aggregate(spec) => spec.window.is_some(),
            OperatorPlan::Join { method, .. } => matches!(method, JoinPlan::Interval { .. }),
            OperatorPlan::Over(_) | OperatorPlan::Order { .. } => true,
            _ => false,
        };
        self.nodes.iter().any(uses)
    }

    /// The lines of EXPLAIN: the output first, inputs indented below.
    #[must_use]
    pub fn explain(&self) -> Vec<String> {
        explain::explain(self)
    }
}
