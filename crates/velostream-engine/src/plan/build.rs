//! From the logical plan to operators.
//!
//! Decided here: where FINAL takes effect, who must show old rows, which tables are kept, how far time stays
//! behind, and whether batches need a savepoint.

mod over;

use super::clock::ClockPlans;
use super::{
    Built, Input, Journal, NodePlan, OperatorPlan, Origin, PhysicalPlan, PlanOptions, SourcePlan, ValuesPlan,
    explain,
};
use crate::error::{EngineError, Result};
use crate::expr::Program;
use crate::functions::aggregate::counts_every_row;
use crate::operators::aggregate::{self, AggregateSpec, WindowSpec};
use crate::operators::table::Show;
use std::sync::Arc;
use velostream_sql::catalog::Relation;
use velostream_sql::expr::for_each_column;
use velostream_sql::plan::{Expr, ExprKind, JoinKind, JoinMethod, LogicalPlan, OverPartition, Window};
use velostream_sql::types::{DataType, Schema};

pub(super) struct Builder {
    pub(super) options: PlanOptions,
    /// Whether updating relations that others keep are kept here too, since records may be rejected here whose
    /// deletions still come.
    guarded: bool,
    pub(super) nodes: Vec<NodePlan>,
    sources: Vec<SourcePlan>,
    values: Vec<ValuesPlan>,
    pub(super) clocks: ClockPlans,
    /// Whether there is an updating relation that another keeps.
    unguarded: bool,
}

/// Builds the plan.
pub(super) fn build(plan: &LogicalPlan, options: PlanOptions) -> Result<PhysicalPlan> {
    let mut builder = Builder::new(options, false);
    let mut built = builder.root(plan)?;
    if builder.unguarded && builder.is_fallible()? {
        builder = Builder::new(options, true);
        built = builder.root(plan)?;
    }
    let Builder { nodes, sources, values, clocks, .. } = builder;
    let mut physical = PhysicalPlan {
        journal: Journal::new(&nodes, sources.len(), values.len())?,
        nodes,
        sources,
        values,
        clocks: clocks.0,
        time: built.time,
        schema: Arc::clone(plan.schema()),
        options,
        updating: built.updating,
        fingerprint: 0,
    };
    physical.fingerprint = explain::fingerprint(&physical, plan);
    Ok(physical)
}

/// Types of a schema's columns.
pub(super) fn types(schema: &Schema) -> Vec<DataType> {
    schema.fields.iter().map(|field| field.data_type).collect()
}

/// The key that a table of these rows has, `None` for a multiset.
pub(super) fn table_key(schema: &Schema) -> Option<Vec<usize>> {
    schema.has_key().then(|| schema.primary_key.clone())
}

impl Builder {
    fn new(options: PlanOptions, guarded: bool) -> Self {
        Self {
            options,
            guarded,
            nodes: Vec::new(),
            sources: Vec::new(),
            values: Vec::new(),
            clocks: ClockPlans::default(),
            unguarded: false,
        }
    }

    /// Whether an operator can fail for a record.
    fn is_fallible(&self) -> Result<bool> {
        let mut nodes = self.nodes.iter();
        nodes.try_fold(false, |fails, node| Ok(fails || node.operator.is_fallible()?))
    }

    fn root(&mut self, plan: &LogicalPlan) -> Result<Built> {
        let before = self.options.before || self.options.inner || !plan.schema().has_key();
        let mut built = match plan {
            LogicalPlan::Final { .. } => self.node(plan, before)?,
            _ if self.options.snapshot => self.make_final(plan)?,
            _ => self.node(plan, before)?,
        };
        if !matches!(built.output, Input::Node(_)) {
            let operator = OperatorPlan::Map { input: types(plan.schema()), predicate: None, items: None };
            built = self.push(operator, plan.schema(), built, "Pass".to_owned());
        }
        let mut needed = vec![true; plan.schema().fields.len()];
        find_needed(plan, &mut needed, &mut self.sources);
        Ok(built)
    }

    /// Whether the subtree's answer can take rows back.
    pub(super) fn is_updating(&self, plan: &LogicalPlan) -> bool {
        match plan {
            LogicalPlan::Source { schema, .. } => schema.updating && !self.options.snapshot,
            // Groups without calls, as of DISTINCT, only come while rows only come.
            LogicalPlan::Aggregate { window, schema, .. } => schema.updating || window.is_some(),
            LogicalPlan::Over { schema, .. } => schema.updating || self.options.snapshot,
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Check { input, .. } => self.is_updating(input),
            LogicalPlan::Join { left, right, kind, method, .. } => match method {
                JoinMethod::Lookup { .. } => false,
                JoinMethod::Interval { .. } => *kind != JoinKind::Inner,
                JoinMethod::Kept => {
                    *kind != JoinKind::Inner || self.is_updating(left) || self.is_updating(right)
                }
            },
            LogicalPlan::Union { left, right, .. } => self.is_updating(left) || self.is_updating(right),
            LogicalPlan::Values { .. } | LogicalPlan::Limit { .. } | LogicalPlan::Final { .. } => false,
        }
    }

    fn push(&mut self, operator: OperatorPlan, schema: &Schema, input: Built, line: String) -> Built {
        let Built { output, time, own, on_record, .. } = input;
        let types = types(schema);
        self.nodes.push(NodePlan { operator, inputs: vec![(output, own)], types, time, on_record, line });
        Built { output: Input::Node(self.nodes.len() - 1), ..input }
    }

    /// Rows as they enter the plan.
    fn entry(&mut self, origin: Origin, updating: bool) -> Built {
        let clock = self.clocks.origin(origin);
        let output = Input::Origin(origin);
        Built { output, updating, on_record: true, time: clock, own: clock }
    }

    /// Builds a subtree; `before` says whether its updates must show the old row.
    pub(super) fn node(&mut self, plan: &LogicalPlan, before: bool) -> Result<Built> {
        match plan {
            LogicalPlan::Source { relation, schema } => self.source(&relation.0, schema),
            LogicalPlan::Values { rows, schema } => {
                self.values.push(ValuesPlan { rows: rows.clone(), types: types(schema) });
                Ok(self.entry(Origin::Values(self.values.len() - 1), false))
            }
            LogicalPlan::Project { .. } | LogicalPlan::Filter { .. } => self.map(plan, before, false),
            LogicalPlan::Aggregate { .. } => self.aggregate(plan, before, false),
            LogicalPlan::Join { .. } => self.join(plan, false),
            LogicalPlan::Union { left, right, schema } => {
                let inputs = (self.node(left, true)?, self.node(right, true)?);
                Ok(self.union(inputs, schema))
            }
            LogicalPlan::Over { .. } => self.over(plan, false),
            LogicalPlan::Check { .. } => self.check(plan, before, false),
            LogicalPlan::Limit { input, count, schema } => {
                let built = if !self.is_updating(input) {
                    self.node(input, false)?
                } else if self.options.snapshot {
                    self.make_final(input)?
                } else {
                    let text = "LIMIT without ORDER BY over an updating result is for snapshots only";
                    return Err(EngineError::Unsupported(text.into()));
                };
                Ok(self.push(OperatorPlan::Limit(*count), schema, built, format!("Limit {count}")))
            }
            LogicalPlan::Final { input, .. } => self.make_final(input),
        }
    }

    /// Builds a subtree whose rows come once, when they can no longer change.
    fn make_final(&mut self, plan: &LogicalPlan) -> Result<Built> {
        if !self.is_updating(plan) {
            return self.node(plan, false);
        }
        if is_final_below(plan, true)? { self.final_node(plan) } else { self.keep_until_end(plan) }
    }

    /// Builds a chain of stateless nodes over what emits final rows.
    fn final_node(&mut self, plan: &LogicalPlan) -> Result<Built> {
        match plan {
            LogicalPlan::Aggregate { .. } => self.aggregate(plan, false, true),
            LogicalPlan::Join { method: JoinMethod::Interval { .. }, .. } => self.join(plan, true),
            LogicalPlan::Over { .. } => self.over(plan, true),
            LogicalPlan::Union { left, right, schema } => {
                let inputs = (self.make_final(left)?, self.make_final(right)?);
                Ok(self.union(inputs, schema))
            }
            LogicalPlan::Check { .. } => self.check(plan, false, true),
            LogicalPlan::Project { .. } | LogicalPlan::Filter { .. } => self.map(plan, false, true),
            _ => self.keep_until_end(plan),
        }
    }

    /// Builds a subtree and keeps its rows until the end of the input.
    fn keep_until_end(&mut self, plan: &LogicalPlan) -> Result<Built> {
        let schema = plan.schema();
        let key = table_key(schema);
        let built = self.node(plan, key.is_none())?;
        let line = "EmitFinal: keeps rows until the end of input".to_owned();
        let built = self.push(OperatorPlan::Table { key, show: Show::AtEnd }, schema, built, line);
        Ok(Built { updating: false, on_record: false, ..built })
    }

    fn input_of(&mut self, plan: &LogicalPlan, before: bool, is_final: bool) -> Result<Built> {
        if is_final { self.final_node(plan) } else { self.node(plan, before) }
    }

    fn source(&mut self, relation: &Arc<Relation>, schema: &Arc<Schema>) -> Result<Built> {
        let updating = schema.updating && !self.options.snapshot;
        let own = relation.is_source && self.options.keep_tables;
        self.unguarded |= updating && !own;
        let keeps = updating && (own || self.guarded);
        let index = self.sources.iter().position(|source| source.id == relation.id).unwrap_or_else(|| {
            self.sources.push(SourcePlan {
                relation: Arc::clone(relation),
                id: relation.id,
                types: types(schema),
                needed: vec![keeps; schema.fields.len()],
                keeps_table: updating && own,
            });
            self.sources.len() - 1
        });
        self.sources[index].take_event_time_of(relation)?;
        let built = self.entry(Origin::Source(index), updating);
        if !keeps {
            return Ok(built);
        }
        let key = table_key(schema);
        let line = match &key {
            Some(key) => format!("Table keyed by {}", explain::names(schema, key)),
            None => "Table without key".to_owned(),
        };
        Ok(self.push(OperatorPlan::Table { key, show: Show::Changes }, schema, built, line))
    }

    /// `Project` and the `Filter` below it become one node.
    fn map(&mut self, plan: &LogicalPlan, before: bool, is_final: bool) -> Result<Built> {
        let (items, below) = match plan {
            LogicalPlan::Project { input, items, .. } => (Some(items), &**input),
            _ => (None, plan),
        };
        let (predicate, below) = match below {
            LogicalPlan::Filter { input, predicate, .. } => (Some(predicate), &**input),
            _ => (None, below),
        };
        let shows_every_change = items.is_none_or(|items| keeps_changes(items, below));
        let built = self.input_of(below, before || predicate.is_some() || !shows_every_change, is_final)?;
        if predicate.is_none() && items.is_some_and(|items| is_identity(items, below.schema())) {
            return Ok(built);
        }
        let line = explain::map_line(predicate, items, below.schema(), plan.schema());
        let operator = OperatorPlan::Map {
            input: types(below.schema()),
            predicate: predicate.cloned(),
            items: items.cloned(),
        };
        Ok(self.push(operator, plan.schema(), built, line))
    }

    fn check(&mut self, plan: &LogicalPlan, before: bool, is_final: bool) -> Result<Built> {
        let LogicalPlan::Check { input, checks, schema } = plan else {
            unreachable!("called for a Check");
        };
        let built = self.input_of(input, before, is_final)?;
        let texts: Vec<&str> = checks.iter().map(|(_, text)| &**text).collect();
        let line = format!("Check {}", texts.join(", "));
        Ok(self.push(OperatorPlan::Check(checks.clone()), schema, built, line))
    }

    fn aggregate(&mut self, plan: &LogicalPlan, before: bool, is_final: bool) -> Result<Built> {
        let LogicalPlan::Aggregate { input, keys, window, calls, schema } = plan else {
            unreachable!("called for an Aggregate");
        };
        let built = self.node(input, true)?;
        let spec = AggregateSpec {
            keys: keys.clone(),
            window: window.as_ref().map(|window| self.window(window)),
            calls: calls.clone(),
            types: types(schema),
            updating_input: built.updating,
            identity: identity(input.schema()),
            is_final,
            before,
            row_of_nothing: self.options.snapshot,
        };
        aggregate::create(spec.clone())?;
        let grace = spec.window.as_ref().map_or(0, |window| window.grace);
        let line = explain::aggregate_line(&spec, input.schema(), schema);
        let built = self.push(OperatorPlan::Aggregate(Box::new(spec)), schema, built, line);
        // What an aggregate gives is one input partition, held back by its grace.
        let time = self.clocks.behind(built.time, grace);
        Ok(Built {
            updating: self.is_updating(plan) && !is_final,
            on_record: built.on_record && !is_final,
            time,
            own: time,
            ..built
        })
    }

    fn window(&self, window: &Window) -> WindowSpec {
        let grace = window.grace_micros.unwrap_or(self.options.default_grace_micros);
        WindowSpec { kind: window.kind, grace, time: window.time.clone() }
    }
}

/// The columns that tell rows apart.
fn identity(schema: &Schema) -> Vec<usize> {
    if schema.has_key() { schema.primary_key.clone() } else { (0..schema.fields.len()).collect() }
}

/// Whether rows become final below the plan's stateless nodes: in an operator that has a FINAL of its own, or, where
/// none of the nodes can fail for a record, in a table by the primary key, which keeps the order of the first records.
fn is_final_below(plan: &LogicalPlan, infallible: bool) -> Result<bool> {
    let stays = |exprs: &[Expr]| Ok::<_, EngineError>(infallible && Program::compile(exprs)?.is_infallible());
    match plan {
        LogicalPlan::Aggregate { .. }
        | LogicalPlan::Over { .. }
        | LogicalPlan::Union { .. }
        | LogicalPlan::Join { method: JoinMethod::Interval { .. }, .. } => Ok(true),
        LogicalPlan::Filter { input, predicate, .. } => {
            is_final_below(input, stays(std::slice::from_ref(predicate))?)
        }
        LogicalPlan::Project { input, items, .. } => is_final_below(input, stays(items)?),
        LogicalPlan::Check { input, .. } => is_final_below(input, false),
        _ => Ok(infallible && plan.schema().has_key()),
    }
}

/// Whether every update of `input` is one of the items' row, so that no comparison is needed: the items are
/// plain columns, and among them all that can change or one that always does.
fn keeps_changes(items: &[Expr], input: &LogicalPlan) -> bool {
    let mut kept = vec![false; input.schema().fields.len()];
    for item in items {
        let ExprKind::Column(position) = item.kind else { return false };
        kept[position] = true;
    }
    let fixed = match input {
        LogicalPlan::Aggregate { calls, .. } => {
            let first = kept.len() - calls.len();
            if calls.iter().zip(&kept[first..]).any(|(call, &kept)| kept && counts_every_row(call)) {
                return true;
            }
            (0..first).collect()
        }
        _ => input.schema().primary_key.clone(),
    };
    (0..kept.len()).all(|position| kept[position] || fixed.contains(&position))
}

/// Whether the items are all columns of the input as they stand, so that only names change.
fn is_identity(items: &[Expr], input: &Schema) -> bool {
    let stands = |(position, item): (usize, &Expr)| matches!(item.kind, ExprKind::Column(column) if column == position);
    items.len() == input.fields.len() && items.iter().enumerate().all(stands)
}

/// Marks the sources' columns that are needed to compute the `needed` columns of `plan`.
fn find_needed(plan: &LogicalPlan, needed: &mut Vec<bool>, sources: &mut [SourcePlan]) {
    fn mark(needed: &mut [bool], expr: &Expr) {
        for_each_column(expr, &mut |column| needed[column] = true);
    }
    match plan {
        LogicalPlan::Source { relation, .. } => {
            let of_relation = sources.iter_mut().filter(|source| source.id == relation.0.id);
            for source in of_relation {
                source.needed.iter_mut().zip(needed.iter()).for_each(|(known, &more)| *known |= more);
            }
        }
        LogicalPlan::Values { .. } => {}
        LogicalPlan::Union { left, right, .. } => {
            find_needed(left, &mut needed.clone(), sources);
            find_needed(right, needed, sources);
        }
        LogicalPlan::Join { left, right, keys, residual, columns, .. } => {
            let width = left.schema().fields.len();
            let mut both = vec![false; width + right.schema().fields.len()];
            columns.iter().zip(needed.iter()).for_each(|(&column, &needed)| both[column] |= needed);
            residual.iter().for_each(|expr| mark(&mut both, expr));
            let mut of_right = both.split_off(width);
            keys.iter().for_each(|(left, _)| mark(&mut both, left));
            keys.iter().for_each(|(_, right)| mark(&mut of_right, right));
            find_needed(left, &mut both, sources);
            find_needed(right, &mut of_right, sources);
        }
        LogicalPlan::Limit { input, .. } | LogicalPlan::Final { input, .. } => {
            find_needed(input, needed, sources);
        }
        LogicalPlan::Filter { input, predicate, .. } => {
            mark(needed, predicate);
            find_needed(input, needed, sources);
        }
        LogicalPlan::Check { input, checks, .. } => {
            checks.iter().for_each(|(check, _)| mark(needed, check));
            find_needed(input, needed, sources);
        }
        LogicalPlan::Project { input, items, .. } => {
            let mut below = vec![false; input.schema().fields.len()];
            items.iter().for_each(|item| mark(&mut below, item));
            find_needed(input, &mut below, sources);
        }
        LogicalPlan::Over { input, columns, partitions, .. } => {
            let mut below = vec![false; input.schema().fields.len()];
            columns.iter().zip(needed.iter()).for_each(|(&column, &needed)| below[column] |= needed);
            partitions.iter().flat_map(OverPartition::columns).for_each(|expr| mark(&mut below, expr));
            find_needed(input, &mut below, sources);
        }
        LogicalPlan::Aggregate { input, keys, window, calls, .. } => {
            let mut below = vec![false; input.schema().fields.len()];
            let time = window.iter().filter_map(|window| window.time.as_ref());
            let of_calls = calls.iter().flat_map(|call| call.argument.iter().chain(&call.filter));
            keys.iter().chain(time).chain(of_calls).for_each(|expr| mark(&mut below, expr));
            if window.as_ref().is_some_and(Window::is_session) && input.schema().updating {
                identity(input.schema()).into_iter().for_each(|column| below[column] = true);
            }
            find_needed(input, &mut below, sources);
        }
    }
}
