//! The operators of a plan and how a batch runs through them.

use crate::batch::{ChangeBatch, Op, Seq};
use crate::error::{RecordError, Result};
use crate::expr::{Program, RowErrors};
use crate::operators::aggregate::Aggregate;
use crate::operators::check::Check;
use crate::operators::limit::Limit;
use crate::operators::map::Map;
use crate::operators::table::Table;
use crate::operators::{Context, Operator};
use crate::plan::{Input, NodePlan, OperatorPlan, PhysicalPlan};
use crate::state::{SnapshotReader, SnapshotWriter, State};
use crate::time::TimeRuns;
use velostream_sql::plan::{Expr, ExprKind};
use velostream_sql::types::DataType;

/// Where a batch enters the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Source(usize),
    Values(usize),
}

/// What went wrong in a run.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Records that failed.
    pub failures: Vec<(Seq, RecordError)>,
    /// Rows that failed when time made them final.
    pub final_failures: Vec<(Seq, RecordError)>,
    /// Records that some window left out.
    pub late: Vec<(Seq, i64)>,
}

/// How much a report held at some point.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReportMark {
    pub failures: usize,
    final_failures: usize,
    late: usize,
}

impl Report {
    pub fn clear(&mut self) {
        self.truncate(ReportMark { failures: 0, final_failures: 0, late: 0 });
    }

    pub fn mark(&self) -> ReportMark {
        ReportMark {
            failures: self.failures.len(),
            final_failures: self.final_failures.len(),
            late: self.late.len(),
        }
    }

    pub fn truncate(&mut self, mark: ReportMark) {
        self.failures.truncate(mark.failures);
        self.final_failures.truncate(mark.final_failures);
        self.late.truncate(mark.late);
    }
}

struct Node {
    operator: Box<dyn Operator>,
    /// Where the operator only names columns of another node's output: their positions, each at most once.
    /// The columns change hands instead of being copied.
    columns: Option<Vec<usize>>,
    input: Input,
    /// By how much time stays behind at the input, and the runs so delayed.
    delay: i64,
    delayed: TimeRuns,
    on_record: bool,
}

/// All operators in topological order; the last one's output is the plan's.
pub(super) struct Nodes {
    nodes: Vec<Node>,
    /// Each node's output; that of the last is the caller's.
    buffers: Vec<ChangeBatch>,
    /// Per source a batch without rows: callers may leave out the columns of an empty one.
    nothing: Vec<ChangeBatch>,
}

impl Nodes {
    pub fn new(plan: &PhysicalPlan) -> Result<Self> {
        let nodes = plan.nodes.iter().map(make_node).collect::<Result<_>>()?;
        let buffers = plan.nodes.iter().map(|node| ChangeBatch::new(&node.types)).collect();
        let nothing = plan.sources.iter().map(|source| ChangeBatch::new(&source.types)).collect();
        Ok(Self { nodes, buffers, nothing })
    }

    /// Runs a batch through every node that it reaches.
    pub fn run(
        &mut self,
        origin: Origin,
        changes: &ChangeBatch,
        time: &TimeRuns,
        out: &mut ChangeBatch,
        report: &mut Report,
    ) -> Result<()> {
        let last = self.nodes.len() - 1;
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let (before, rest) = self.buffers.split_at_mut(index);
            if let (Some(columns), Input::Node(input)) = (&node.columns, node.input) {
                let output = if index == last { &mut *out } else { &mut rest[0] };
                if index != last {
                    output.clear();
                }
                if output.is_empty() {
                    hand_over(&mut before[input], columns, output);
                    continue;
                }
            }
            let input = match node.input {
                Input::Source(source) if origin == Origin::Source(source) => {
                    if changes.is_empty() {
                        &self.nothing[source]
                    } else {
                        changes
                    }
                }
                Input::Values(values) if origin == Origin::Values(values) => changes,
                Input::Source(_) | Input::Values(_) => continue,
                Input::Node(input) => &before[input],
            };
            let time = if node.delay == 0 {
                time
            } else {
                delay(time, node.delay, &mut node.delayed);
                &node.delayed
            };
            let output = if index == last { &mut *out } else { &mut rest[0] };
            if index != last {
                output.clear();
            }
            let failures = if node.on_record { &mut report.failures } else { &mut report.final_failures };
            let mut context = Context { time, failures, on_record: node.on_record, late: &mut report.late };
            node.operator.process(input, output, &mut context)?;
        }
        Ok(())
    }

    fn states(&self) -> impl Iterator<Item = &dyn State> {
        self.nodes.iter().filter_map(|node| node.operator.state())
    }

    fn each_state(&mut self, mut f: impl FnMut(&mut dyn State)) {
        for node in &mut self.nodes {
            if let Some(state) = node.operator.state_mut() {
                f(state);
            }
        }
    }

    pub fn groups(&self) -> usize {
        self.nodes.iter().map(|node| node.operator.groups()).sum()
    }

    pub fn is_finished(&self) -> bool {
        self.nodes.iter().any(|node| node.operator.is_finished())
    }
}

impl State for Nodes {
    fn savepoint(&mut self) {
        self.each_state(|state| state.savepoint());
    }

    fn rollback(&mut self) {
        self.each_state(|state| state.rollback());
    }

    fn commit(&mut self) {
        self.each_state(|state| state.commit());
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.states().try_for_each(|state| state.snapshot(writer))
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        for node in &mut self.nodes {
            if let Some(state) = node.operator.state_mut() {
                state.restore(reader)?;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.states().map(State::bytes).sum()
    }
}

/// Exchanges the columns of `from`, as positioned, and its marks with those of `to`, which is empty.
fn hand_over(from: &mut ChangeBatch, columns: &[usize], to: &mut ChangeBatch) {
    for (column, &position) in to.columns.iter_mut().zip(columns) {
        std::mem::swap(column, &mut from.columns[position]);
    }
    std::mem::swap(&mut to.ops, &mut from.ops);
    std::mem::swap(&mut to.seqs, &mut from.seqs);
    std::mem::swap(&mut to.event_times, &mut from.event_times);
}

/// The positions of a projection's columns if it does nothing but name each of them once.
fn named_columns(operator: &OperatorPlan) -> Option<Vec<usize>> {
    let OperatorPlan::Map { predicate: None, items: Some(items), .. } = operator else { return None };
    let mut columns = Vec::new();
    for item in items {
        match item.kind {
            ExprKind::Column(position) if !columns.contains(&position) => columns.push(position),
            _ => return None,
        }
    }
    Some(columns)
}

fn make_node(plan: &NodePlan) -> Result<Node> {
    let operator: Box<dyn Operator> = match &plan.operator {
        OperatorPlan::Map { input, predicate, items } => {
            Box::new(Map::new(input, predicate.as_ref(), items.as_deref())?)
        }
        OperatorPlan::Aggregate(spec) => Box::new(Aggregate::new((**spec).clone())?),
        OperatorPlan::Table { key, show } => Box::new(Table::new(&plan.types, key.clone(), *show)),
        OperatorPlan::Check(checks) => Box::new(Check::new(checks)?),
        OperatorPlan::Limit(count) => Box::new(Limit::new(*count)),
    };
    Ok(Node {
        operator,
        columns: named_columns(&plan.operator),
        input: plan.input,
        delay: plan.delay,
        delayed: TimeRuns::default(),
        on_record: plan.on_record,
    })
}

/// Fills `delayed` with `time`, its watermarks `micros` earlier.
fn delay(time: &TimeRuns, micros: i64, delayed: &mut TimeRuns) {
    delayed.before = time.before.delayed(micros);
    delayed.advances.clear();
    delayed.advances.extend(time.advances.iter().map(|&(seq, watermark)| (seq, watermark.delayed(micros))));
}

/// Evaluates constant rows; those that fail are left out.
pub(super) fn constant_rows(
    rows: &[Vec<Expr>],
    types: &[DataType],
    failures: &mut Vec<RecordError>,
) -> Result<ChangeBatch> {
    let mut nothing = ChangeBatch::default();
    nothing.push_mark(Op::Insert, Seq(0), 0);
    let mut out = ChangeBatch::new(types);
    for row in rows {
        let mut program = Program::compile(row)?;
        let mut errors = RowErrors::new();
        program.evaluate(&nothing, &mut errors);
        if let Some((_, error)) = errors.pop() {
            failures.push(error);
            continue;
        }
        for (index, column) in out.columns.iter_mut().enumerate() {
            column.push_from(program.output(index, &nothing), 0);
        }
        out.push_mark(Op::Insert, Seq(0), 0);
    }
    Ok(out)
}
