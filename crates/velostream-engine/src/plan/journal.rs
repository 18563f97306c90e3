//! Which batches run under a savepoint, decided once.
//!
//! A row that fails is left out by the node in which it fails. Nothing more is needed where the record is nowhere
//! else: no operator before that node keeps anything of it, and no other row of its step goes another way.

use super::{Input, JoinPlan, NodePlan, OperatorPlan, Origin};
use crate::error::Result;
use crate::expr::Program;
use crate::operators::join::JoinSpec;
use velostream_sql::plan::{AggregateCall, Expr, ExprKind, Side};

/// Which batches need a savepoint.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    /// Whether anything can fail for a record, or for a row that time makes final.
    pub fails: bool,
    /// Those of each source that come alone.
    pub sources: Vec<bool>,
    /// Constant rows, and what comes to several sources as one step.
    pub others: bool,
}

impl Journal {
    /// That of these nodes, over so many sources and lists of constant rows.
    pub(super) fn new(nodes: &[NodePlan], sources: usize, values: usize) -> Result<Self> {
        let fallible = nodes.iter().map(|node| node.operator.is_fallible()).collect::<Result<Vec<_>>>()?;
        let fails = fallible.contains(&true);
        let is_needed = |origin| fails && leaves_trace(nodes, &fallible, origin);
        let joins = nodes.iter().any(|node| node.inputs.len() > 1);
        Ok(Self {
            fails,
            // Constant rows come with the first record, and go with it.
            sources: (0..sources)
                .map(|source| fails && values > 0 || is_needed(Origin::Source(source)))
                .collect(),
            others: fails && joins || (0..values).any(|at| is_needed(Origin::Values(at))),
        })
    }

    /// Whether any batch needs one.
    pub fn is_any(&self) -> bool {
        self.others || self.sources.contains(&true)
    }
}

/// What there is of a record when its rows leave a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// Nothing: none of its rows comes so far.
    Absent,
    /// One row at most, and nothing that stays behind.
    Row,
    /// Several rows, or state.
    More,
}

/// Whether a record that enters at `origin` may fail when more of it exists than the row that fails.
fn leaves_trace(nodes: &[NodePlan], fallible: &[bool], origin: Origin) -> bool {
    let mut traces: Vec<Trace> = Vec::with_capacity(nodes.len());
    for (node, &fails) in nodes.iter().zip(fallible) {
        let of_input = |input: Input| match input {
            Input::Origin(other) if other == origin => Trace::Row,
            Input::Origin(_) => Trace::Absent,
            Input::Node(at) => traces[at],
        };
        let inputs = node.inputs.iter().zip([Side::Left, Side::Right]);
        let coming: Vec<(Side, Trace)> = inputs
            .map(|(&(input, _), side)| (side, of_input(input)))
            .filter(|&(_, trace)| trace != Trace::Absent)
            .collect();
        traces.push(match coming[..] {
            [] => Trace::Absent,
            [(side, trace)] => {
                // A join may fail for one pair and not for the next.
                let is_partial = trace == Trace::More || matches!(node.operator, OperatorPlan::Join { .. });
                if fails && is_partial && node.on_record {
                    return true;
                }
                node.operator.trace(side, trace)
            }
            // What fails on one way may be applied on the other.
            _ => return true,
        });
    }
    false
}

impl OperatorPlan {
    /// What there is of a record behind the operator, of which `trace` comes to one side; the other, if there is one,
    /// gets nothing.
    fn trace(&self, side: Side, trace: Trace) -> Trace {
        match self {
            Self::Map { .. } | Self::Check(_) | Self::Union => trace,
            // The table's rows show nothing when they come.
            Self::Join { method: JoinPlan::Lookup { stream }, .. } if *stream != side => Trace::Absent,
            Self::Join { method: JoinPlan::Lookup { stream }, spec, .. } if finds_one(spec, *stream) => trace,
            Self::Aggregate(_)
            | Self::Over(_)
            | Self::Order { .. }
            | Self::Table { .. }
            | Self::Limit(_)
            | Self::Join { .. } => Trace::More,
        }
    }

    /// Whether it can fail for a row.
    pub(super) fn is_fallible(&self) -> Result<bool> {
        match self {
            Self::Map { predicate, items, .. } => {
                let lists = [predicate.as_ref().map(std::slice::from_ref), items.as_deref()];
                any_fails(lists.into_iter().flatten())
            }
            Self::Aggregate(spec) => {
                let times = spec.window.as_ref().is_some_and(|window| window.time.is_some());
                Ok(times || spec.is_fallible() || any_fails([&*given(&spec.keys, &spec.calls)])?)
            }
            Self::Over(spec) => Ok(spec.is_fallible()),
            Self::Check(_) => Ok(true),
            Self::Join { spec, .. } => spec.is_fallible(),
            Self::Order { .. } | Self::Table { .. } | Self::Limit(_) | Self::Union => Ok(false),
        }
    }
}

/// Whether a row of the stream has one match at most: the other side has a primary key, which the join's key holds.
fn finds_one(spec: &JoinSpec, stream: Side) -> bool {
    let table = match stream {
        Side::Left => &spec.right,
        Side::Right => &spec.left,
    };
    let is_key = |&position: &usize| {
        table.keys.iter().any(|key| matches!(key.kind, ExprKind::Column(column) if column == position))
    };
    table.primary_key.as_ref().is_some_and(|key| key.iter().all(is_key))
}

/// An aggregate's keys, arguments and filters.
fn given(keys: &[Expr], calls: &[AggregateCall]) -> Vec<Expr> {
    let of_calls = calls.iter().flat_map(|call| call.argument.iter().chain(&call.filter));
    keys.iter().chain(of_calls).cloned().collect()
}

/// Whether one of these lists of expressions can fail for a row.
fn any_fails<'a>(lists: impl IntoIterator<Item = &'a [Expr]>) -> Result<bool> {
    for exprs in lists {
        if !Program::compile(exprs)?.is_infallible() {
            return Ok(true);
        }
    }
    Ok(false)
}
