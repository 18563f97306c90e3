//! The operators of a plan and how a batch runs through them.

use super::Standing;
use super::clocks::{Arrival, Clocks};
use super::report::Report;
use crate::batch::{ChangeBatch, Op, Selected, Seq, head, tail};
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
use velostream_sql::plan::{Expr, Side};
use velostream_sql::types::DataType;

/// What a node does with its input or inputs.
enum Work {
    One(Box<dyn Operator>),
    /// With what leaves the net difference of each step.
    Two(Box<dyn Joint>, Box<Net>),
}

struct Node {
    work: Work,
    /// Each with its own clock.
    inputs: Vec<(Input, ClockId)>,
    time: ClockId,
    on_record: bool,
    /// Whether it has one input and no state, so that without rows it has nothing to do.
    rests_without_rows: bool,
    /// The inputs whose rows make it give some.
    feeds: Vec<Input>,
}

impl Node {
    /// Applies what is given to the node, and empties the buffers that it read.
    fn run(&mut self, given: &mut Given<'_>, output: &mut ChangeBatch, report: &mut Report) -> Result<()> {
        if self.rests_without_rows && given.rows(self.inputs[0].0).is_empty() {
            return Ok(());
        }
        let (time, own) = (given.time(self.time), self.inputs[0].1);
        let mut context = Context {
            time,
            own: if own == self.time { time } else { given.time(own) },
            failures: if self.on_record { &mut report.failures } else { &mut report.final_failures },
            on_record: self.on_record,
            is_whole: given.is_whole,
            late: &mut report.late,
            selected: given.selected(self.inputs[0].0),
        };
        match (&mut self.work, &self.inputs[..]) {
            (Work::One(operator), &[(Input::Node(at), _)]) => {
                let rows = &mut given.before[at];
                if rows.is_empty() {
                    operator.process(rows, output, &mut context)?;
                } else {
                    operator.take(rows, output, &mut context)?;
                    rows.clear();
                }
            }
            (Work::One(operator), &[(Input::Origin(origin), _)]) => {
                let rows = given.nothing.or_rows(origin, given.arrivals);
                operator.process(rows, output, &mut context)?;
            }
            (Work::Two(joint, net), &[left, right]) => {
                let from = output.len();
                joint.process(given.arriving(left), given.arriving(right), output, &mut context)?;
                net.consolidate(output, from);
                given.empty(left.0);
                given.empty(right.0);
            }
            _ => unreachable!("an operator has one input, a joint two"),
        }
        Ok(())
    }

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

/// What the nodes of a call may read: what arrives, and what the nodes before them gave.
struct Given<'a> {
    arrivals: &'a [Arrival<'a>],
    before: &'a mut [ChangeBatch],
    clocks: &'a Clocks,
    nothing: &'a Nothing,
    is_whole: bool,
}

impl<'a> Given<'a> {
    fn rows(&self, input: Input) -> &ChangeBatch {
        match input {
            Input::Origin(origin) => self.nothing.or_rows(origin, self.arrivals),
            Input::Node(at) => &self.before[at],
        }
    }

    fn time(&self, clock: ClockId) -> &'a TimeRuns {
        self.clocks.time(clock, self.arrivals)
    }

    fn arriving(&self, (input, own): (Input, ClockId)) -> Arriving<'_> {
        Arriving { rows: self.rows(input), own: self.time(own) }
    }

    /// The rows of an input that count, if not all do.
    fn selected<'b>(&self, input: Input) -> Option<Selected<'b>>
    where
        'a: 'b,
    {
        let Input::Origin(origin) = input else { return None };
        self.arrivals.iter().find(|arrival| arrival.origin == origin)?.selected
    }

    fn empty(&mut self, input: Input) {
        if let Input::Node(at) = input
            && !self.before[at].is_empty()
        {
            self.before[at].clear();
        }
    }
}

/// All operators in topological order; the last one's output is the plan's.
pub(super) struct Nodes {
    nodes: Vec<Node>,
    /// Each node's output, which the one node that reads it leaves without rows; that of the last is the caller's.
    buffers: Vec<ChangeBatch>,
    routes: Routes,
    clocks: Clocks,
    /// The clock of the output, and whether all of how it moves is kept behind a call.
    time: ClockId,
    keeps_time: bool,
    nothing: Nothing,
    /// Whether there is a LIMIT.
    can_finish: bool,
    /// The nodes that need not run any more, while a batch runs.
    idle: Vec<bool>,
}

/// Which nodes a batch reaches; the others rest.
struct Routes {
    sources: Vec<Vec<usize>>,
    values: Vec<Vec<usize>>,
    /// The nodes that any of several batches reaches.
    merged: Vec<usize>,
}

impl Routes {
    fn new(plan: &PhysicalPlan) -> Self {
        let source = |at| reached(&plan.nodes, Origin::Source(at));
        let values = |at| reached(&plan.nodes, Origin::Values(at));
        Self {
            sources: (0..plan.sources.len()).map(source).collect(),
            values: (0..plan.values.len()).map(values).collect(),
            merged: Vec::new(),
        }
    }

    fn of(&self, origin: Origin) -> &[usize] {
        match origin {
            Origin::Source(source) => &self.sources[source],
            Origin::Values(values) => &self.values[values],
        }
    }

    /// The nodes that batches of different origins reach, in order.
    fn of_all(&mut self, arrivals: &[Arrival<'_>]) -> &[usize] {
        if let &[Arrival { origin, .. }] = arrivals {
            return self.of(origin);
        }
        let mut merged = std::mem::take(&mut self.merged);
        merged.clear();
        arrivals.iter().for_each(|arrival| merged.extend_from_slice(self.of(arrival.origin)));
        merged.sort_unstable();
        merged.dedup();
        self.merged = merged;
        &self.merged
    }
}

/// The nodes that rows of an origin reach.
fn reached(nodes: &[NodePlan], origin: Origin) -> Vec<usize> {
    let mut reached = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let comes = |&(input, _): &(Input, ClockId)| match input {
            Input::Origin(other) => other == origin,
            Input::Node(at) => reached.contains(&at),
        };
        if node.inputs.iter().any(comes) {
            reached.push(index);
        }
    }
    reached
}

/// Batches without rows in place of those that do not arrive, or whose columns the caller left out.
struct Nothing {
    sources: Vec<ChangeBatch>,
    values: Vec<ChangeBatch>,
}

impl Nothing {
    /// The rows that arrive at an origin.
    fn or_rows<'a>(&'a self, origin: Origin, arrivals: &[Arrival<'a>]) -> &'a ChangeBatch {
        let arrival = arrivals.iter().find(|arrival| arrival.origin == origin);
        match (arrival, origin) {
            (Some(arrival), _) if !arrival.changes.is_empty() => arrival.changes,
            (_, Origin::Source(source)) => &self.sources[source],
            (_, Origin::Values(values)) => &self.values[values],
        }
    }
}

impl Nodes {
    pub fn new(plan: &PhysicalPlan) -> Result<Self> {
        Ok(Self {
            nodes: plan.nodes.iter().map(make_node).collect::<Result<_>>()?,
            buffers: plan.nodes.iter().map(|node| ChangeBatch::new(&node.types)).collect(),
            routes: Routes::new(plan),
            clocks: Clocks::new(&plan.clocks),
            time: plan.time,
            keeps_time: true,
            nothing: Nothing {
                sources: plan.sources.iter().map(|source| ChangeBatch::new(&source.types)).collect(),
                values: plan.values.iter().map(|values| ChangeBatch::new(&values.types)).collect(),
            },
            can_finish: plan.nodes.iter().any(|node| matches!(node.operator, OperatorPlan::Limit(_))),
            idle: Vec::new(),
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
        self.run_all(arrivals, false, standing, out, report)
    }

    /// The same for one record that, if it fails, is to leave nothing, the move of its time included. Such a record
    /// fails before any node has changed for it (`plan::journal`).
    pub fn run_whole(
        &mut self,
        arrival: Arrival<'_>,
        standing: &Standing,
        out: &mut ChangeBatch,
        report: &mut Report,
    ) -> Result<()> {
        self.run_all(&[arrival], true, standing, out, report)?;
        if !report.failures.is_empty() {
            self.buffers.iter_mut().for_each(ChangeBatch::clear);
        }
        Ok(())
    }

    fn run_all(
        &mut self,
        arrivals: &[Arrival<'_>],
        is_whole: bool,
        standing: &Standing,
        out: &mut ChangeBatch,
        report: &mut Report,
    ) -> Result<()> {
        let Self { nodes, buffers, routes, clocks, nothing, time, keeps_time, can_finish, idle } = self;
        if *can_finish {
            Self::mark_idle(nodes, idle);
        }
        clocks.set(arrivals, |origin| standing.watermark(origin));
        let last = nodes.len() - 1;
        for &index in routes.of_all(arrivals) {
            if *can_finish && idle[index] {
                continue;
            }
            let (before, rest) = buffers.split_at_mut(index);
            let output = if index == last { &mut *out } else { &mut rest[0] };
            let mut given = Given { arrivals, before, clocks, nothing, is_whole };
            nodes[index].run(&mut given, output, report)?;
            if is_whole && !report.failures.is_empty() {
                break;
            }
        }
        clocks.keep(*time, arrivals, *keeps_time);
        Ok(())
    }

    /// Computes how these arrivals move the output's watermark, which were not run as a whole.
    pub fn tell_time(&mut self, arrivals: &[Arrival<'_>], standing: &Standing) {
        self.clocks.set(arrivals, |origin| standing.watermark(origin));
        self.clocks.keep(self.time, arrivals, self.keeps_time);
    }

    /// Whether it is asked for all of how the output's watermark moves, or from where to where.
    pub fn keep_output_time(&mut self, whole: bool) {
        self.keeps_time = whole;
    }

    /// How the output's watermark moved in the last call.
    pub fn output_time(&self) -> &TimeRuns {
        self.clocks.kept(self.time)
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

    /// The number behind which nothing changes the answer any more but the end; `None` while a record may.
    pub fn finished_at(&self, standing: &Standing) -> Option<Seq> {
        // Asked for every batch, which may be one record.
        if self.can_finish { self.node_finished_at(self.nodes.len() - 1, standing) } else { None }
    }

    /// The same of what a node gives: it is finished itself, or all that feeds it.
    fn node_finished_at(&self, at: usize, standing: &Standing) -> Option<Seq> {
        let node = &self.nodes[at];
        let of_input = |input: &Input| match *input {
            Input::Node(at) => self.node_finished_at(at, standing),
            Input::Origin(origin) => standing.has_ended(origin).then_some(Seq(0)),
        };
        node.stateful().finished_at().or_else(|| {
            let mut inputs = node.feeds.iter().map(of_input);
            inputs.try_fold(Seq(0), |last, input| Some(last.max(input?)))
        })
    }

    /// Whether there is a LIMIT.
    pub fn can_finish(&self) -> bool {
        self.can_finish
    }

    /// Whether one of these arrivals' numbers but the last is that at which a LIMIT was reached.
    pub fn is_reached_amid(&self, arrivals: &[Arrival<'_>]) -> bool {
        if !self.can_finish {
            return false;
        }
        let heads = arrivals.iter().filter_map(|arrival| head(arrival.changes, arrival.time));
        let tails = arrivals.iter().filter_map(|arrival| tail(arrival.changes, arrival.time));
        let (Some(head), Some(tail)) = (heads.min(), tails.max()) else { return false };
        let mut reached = self.nodes.iter().filter_map(|node| node.stateful().finished_at());
        reached.any(|at| head <= at && at < tail)
    }

    /// Marks the nodes that feed nothing but a LIMIT that is reached.
    fn mark_idle(nodes: &[Node], idle: &mut Vec<bool>) {
        idle.clear();
        idle.resize(nodes.len(), false);
        for (at, node) in nodes.iter().enumerate().rev() {
            let is_over = idle[at] || node.stateful().finished_at().is_some();
            let below = node.inputs.iter().filter_map(|&(input, _)| match input {
                Input::Node(below) => Some(below),
                Input::Origin(_) => None,
            });
            below.for_each(|below| idle[below] = is_over);
        }
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
    let feeds = match &plan.operator {
        OperatorPlan::Join { method: JoinPlan::Lookup { stream: Side::Left }, .. } => &plan.inputs[..1],
        OperatorPlan::Join { method: JoinPlan::Lookup { stream: Side::Right }, .. } => &plan.inputs[1..],
        _ => &plan.inputs,
    };
    let rests_without_rows = matches!(&work, Work::One(operator) if operator.state().is_none());
    Ok(Node {
        rests_without_rows,
        work,
        inputs: plan.inputs.clone(),
        time: plan.time,
        on_record: plan.on_record,
        feeds: feeds.iter().map(|&(input, _)| input).collect(),
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
