//! The operators of a plan and how a batch runs through them.

use super::Standing;
use super::clocks::{Arrival, Clocks};
use crate::batch::{ChangeBatch, Op, Seq};
use crate::error::{RecordError, Result};
use crate::expr::{Program, RowErrors};
use crate::operators::aggregate;
use crate::operators::check::Check;
use crate::operators::join::interval::IntervalJoin;
use crate::operators::join::kept::KeptJoin;
use crate::operators::join::lookup::LookupJoin;
use crate::operators::limit::Limit;
use crate::operators::map::Map;
use crate::operators::net::Net;
use crate::operators::over::{Order, Over};
use crate::operators::table::Table;
use crate::operators::union::Union;
use crate::operators::{Arriving, Context, Joint, Operator, Stateful};
use crate::plan::{ClockId, Input, JoinPlan, NodePlan, OperatorPlan, Origin, PhysicalPlan};
use crate::state::{SnapshotReader, SnapshotWriter, State};
use crate::time::TimeRuns;
use velostream_sql::plan::{Expr, ExprKind};
use velostream_sql::types::DataType;

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

/// What a node does with its input or inputs.
enum Work {
    One(Box<dyn Operator>),
    /// With what leaves the net difference of each step.
    Two(Box<dyn Joint>, Box<Net>),
}

struct Node {
    work: Work,
    /// Where the operator only names columns of another node's output: their positions, each at most once.
    /// The columns change hands instead of being copied.
    columns: Option<Vec<usize>>,
    /// Each with its own clock.
    inputs: Vec<(Input, ClockId)>,
    time: ClockId,
    on_record: bool,
}

impl Node {
    fn stateful(&self) -> &dyn Stateful {
        match &self.work {
            Work::One(operator) => &**operator,
            Work::Two(joint, _) => &**joint,
        }
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        match &mut self.work {
            Work::One(operator) => operator.state_mut(),
            Work::Two(joint, _) => joint.state_mut(),
        }
    }
}

/// All operators in topological order; the last one's output is the plan's.
pub(super) struct Nodes {
    nodes: Vec<Node>,
    /// Each node's output; that of the last is the caller's.
    buffers: Vec<ChangeBatch>,
    /// Per node, whether something below it arrives in the call in hand; the others rest.
    active: Vec<bool>,
    clocks: Clocks,
    /// The clock of the output.
    time: ClockId,
    /// Per source a batch without rows: callers may leave out the columns of an empty one.
    nothing: Vec<ChangeBatch>,
    /// Of constant rows that do not arrive.
    no_values: Vec<ChangeBatch>,
}

impl Nodes {
    pub fn new(plan: &PhysicalPlan) -> Result<Self> {
        let nodes: Vec<Node> = plan.nodes.iter().map(make_node).collect::<Result<_>>()?;
        Ok(Self {
            active: vec![false; nodes.len()],
            nodes,
            buffers: plan.nodes.iter().map(|node| ChangeBatch::new(&node.types)).collect(),
            clocks: Clocks::new(&plan.clocks),
            time: plan.time,
            nothing: plan.sources.iter().map(|source| ChangeBatch::new(&source.types)).collect(),
            no_values: plan.values.iter().map(|values| ChangeBatch::new(&values.types)).collect(),
        })
    }

    /// Runs batches of different origins through every node that they reach. Several are one step.
    pub fn run(
        &mut self,
        arrivals: &[Arrival<'_>],
        standing: &Standing,
        out: &mut ChangeBatch,
        report: &mut Report,
    ) -> Result<()> {
        self.clocks.set(arrivals, |origin| standing.watermark(origin));
        let last = self.nodes.len() - 1;
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let (before, rest) = self.buffers.split_at_mut(index);
            let output = if index == last { &mut *out } else { &mut rest[0] };
            if index != last {
                output.clear();
            }
            let arrives = |&(input, _): &(Input, ClockId)| match input {
                Input::Origin(origin) => arrivals.iter().any(|arrival| arrival.origin == origin),
                Input::Node(input) => self.active[input],
            };
            self.active[index] = node.inputs.iter().any(arrives);
            if !self.active[index] {
                continue;
            }
            if let (Some(columns), &[(Input::Node(input), _)], true) =
                (&node.columns, &node.inputs[..], output.is_empty())
            {
                hand_over(&mut before[input], columns, output);
                continue;
            }
            let given = |input: Input| match input {
                Input::Origin(origin) => {
                    let arrival = arrivals.iter().find(|arrival| arrival.origin == origin);
                    let rows = arrival.map(|arrival| arrival.changes).filter(|changes| !changes.is_empty());
                    rows.unwrap_or(match origin {
                        Origin::Source(source) => &self.nothing[source],
                        Origin::Values(values) => &self.no_values[values],
                    })
                }
                Input::Node(input) => &before[input],
            };
            let mut context = Context {
                time: self.clocks.time(node.time),
                own: self.clocks.time(node.inputs[0].1),
                failures: if node.on_record { &mut report.failures } else { &mut report.final_failures },
                on_record: node.on_record,
                late: &mut report.late,
            };
            match (&mut node.work, &node.inputs[..]) {
                (Work::One(operator), &[(input, _)]) => {
                    operator.process(given(input), output, &mut context)?
                }
                (Work::Two(joint, net), &[left, right]) => {
                    let arriving = |(input, own)| Arriving { rows: given(input), own: self.clocks.time(own) };
                    let from = output.len();
                    joint.process(arriving(left), arriving(right), output, &mut context)?;
                    net.consolidate(output, from);
                }
                _ => unreachable!("an operator has one input, a joint two"),
            }
        }
        Ok(())
    }

    /// How the output's watermark moved in the last call.
    pub fn output_time(&self) -> &TimeRuns {
        self.clocks.time(self.time)
    }

    fn states(&self) -> impl Iterator<Item = &dyn State> {
        self.nodes.iter().filter_map(|node| node.stateful().state())
    }

    fn each_state(&mut self, mut f: impl FnMut(&mut dyn State)) {
        for node in &mut self.nodes {
            if let Some(state) = node.state_mut() {
                f(state);
            }
        }
    }

    pub fn groups(&self) -> usize {
        self.nodes.iter().map(|node| node.stateful().groups()).sum()
    }

    /// Gives the memory of operators back that have no groups and rows any more but more than `spare_bytes`.
    pub fn release_empty(&mut self, spare_bytes: usize) {
        for node in self.nodes.iter_mut().filter(|node| node.stateful().groups() == 0) {
            if let Some(state) = node.state_mut().filter(|state| state.bytes() > spare_bytes) {
                state.release();
            }
        }
    }

    pub fn is_finished(&self) -> bool {
        self.nodes.iter().any(|node| node.stateful().is_finished())
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
            if let Some(state) = node.state_mut() {
                state.restore(reader)?;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.states().map(State::bytes).sum()
    }

    fn release(&mut self) {
        self.each_state(|state| state.release());
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
    let work = match &plan.operator {
        OperatorPlan::Map { input, predicate, items } => {
            Work::One(Box::new(Map::new(input, predicate.as_ref(), items.as_deref())?))
        }
        OperatorPlan::Aggregate(spec) => Work::One(aggregate::create((**spec).clone())?),
        OperatorPlan::Table { key, show } => Work::One(Box::new(Table::new(&plan.types, key.clone(), *show))),
        OperatorPlan::Check(checks) => Work::One(Box::new(Check::new(checks)?)),
        OperatorPlan::Limit(count) => Work::One(Box::new(Limit::new(*count))),
        OperatorPlan::Union => Work::Two(Box::new(Union), Box::new(Net::new(&plan.types, None, true))),
        OperatorPlan::Join { spec, method, key } => {
            let joint: Box<dyn Joint> = match *method {
                JoinPlan::Interval { bounds, is_final } => {
                    Box::new(IntervalJoin::new((**spec).clone(), bounds, is_final)?)
                }
                JoinPlan::Lookup { stream } => Box::new(LookupJoin::new(spec, stream)?),
                JoinPlan::Kept => Box::new(KeptJoin::new((**spec).clone())?),
            };
            Work::Two(joint, Box::new(Net::new(&plan.types, key.clone(), true)))
        }
        OperatorPlan::Over(spec) => Work::One(Box::new(Over::new((**spec).clone())?)),
        OperatorPlan::Order { columns, grace_micros } => {
            Work::One(Box::new(Order::new(columns.clone(), &plan.types, *grace_micros)))
        }
    };
    Ok(Node {
        work,
        columns: named_columns(&plan.operator),
        inputs: plan.inputs.clone(),
        time: plan.time,
        on_record: plan.on_record,
    })
}

/// Evaluates constant rows; those that fail are left out.
pub(super) fn constant_rows(
    rows: &[Vec<Expr>],
    types: &[DataType],
    failures: &mut Vec<(Seq, RecordError)>,
) -> Result<ChangeBatch> {
    let mut nothing = ChangeBatch::default();
    nothing.push_mark(Op::Insert, Seq(0), 0);
    let mut out = ChangeBatch::new(types);
    for row in rows {
        let mut program = Program::compile(row)?;
        let mut errors = RowErrors::new();
        program.evaluate(&nothing, &mut errors);
        if let Some((_, error)) = errors.pop() {
            failures.push((Seq(0), error));
            continue;
        }
        for (index, column) in out.columns.iter_mut().enumerate() {
            column.push_from(program.output(index, &nothing), 0);
        }
        out.push_mark(Op::Insert, Seq(0), 0);
    }
    Ok(out)
}
