//! Cuts a plan into shares: receivers that run the same plan over disjoint rows and together give its answer.
//!
//! Rows that meet in state have equal keys, so a plan can be shared where the keys of its only operator with state
//! can be computed from the rows of its sources. What a record causes then comes from one share, in its order. What
//! time causes comes from all of them under one sequence number: there each row carries the number of its group's
//! first record, in a last column that the plan gets for it.

use crate::catalog::{AggregateFunction, Relation, RelationId, RelationKind};
use crate::diagnostic::Span;
use crate::expr::{same, substitute};
use crate::plan::{AggregateCall, Expr, ExprKind, JoinMethod, LogicalPlan, OverPartition, Side};
use crate::types::{DataType, Field, Schema};
use std::sync::Arc;

/// A plan that several receivers can share.
#[derive(Debug, Clone)]
pub struct Shares {
    /// What each receiver runs. Its sources, and with [`Order::ByWindow`] and [`Order::ByGroup`] its answer, have one
    /// column more than the relations: a BIGINT at the end, the row's sequence number.
    pub plan: LogicalPlan,
    /// Which rows of each source meet.
    pub routes: Vec<(RelationId, Route)>,
    /// How rows of one sequence number stand that come from several shares.
    pub order: Order,
}

/// Which rows of a source must come to the same share.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// None: whole batches can be dealt round.
    Deal,
    /// Those that agree on these expressions over the source.
    Keys(Vec<Expr>),
}

/// The order of rows of one sequence number from several shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// There are none.
    ByRecord,
    /// By event time, which is the window's end, then by the first record of the group.
    ByWindow,
    /// By the first record of the group.
    ByGroup,
}

impl Order {
    /// Whether rows have the last column.
    #[must_use]
    pub fn has_number(self) -> bool {
        self != Self::ByRecord
    }
}

/// The plan in shares; `None` where rows meet that no key tells.
#[must_use]
pub fn shares(plan: &LogicalPlan) -> Option<Shares> {
    let (is_final, body) = match plan {
        LogicalPlan::Final { input, .. } => (true, &**input),
        _ => (false, plan),
    };
    match operator(body) {
        LogicalPlan::Source { .. } => {
            let routes = vec![(stream(body)?.id, Route::Deal)];
            Some(Shares { plan: plan.clone(), routes, order: Order::ByRecord })
        }
        LogicalPlan::Aggregate { input, keys, window, schema, .. } => {
            let routes = vec![route(input, keys)?];
            let order = match (is_final, window) {
                // Sessions that end together stand by their start, which a row need not show.
                (true, Some(window)) if window.is_session() => return None,
                (true, Some(_)) => Order::ByWindow,
                (true, None) if schema.updating => Order::ByGroup,
                _ => Order::ByRecord,
            };
            let plan = if order.has_number() { numbered(plan.clone()) } else { plan.clone() };
            Some(Shares { plan, routes, order })
        }
        LogicalPlan::Over { input, partitions, schema, .. } if !(is_final && schema.updating) => {
            let routes = vec![route(input, &common_keys(partitions))?];
            Some(Shares { plan: plan.clone(), routes, order: Order::ByRecord })
        }
        LogicalPlan::Join { left, right, method: JoinMethod::Lookup { stream: side }, keys, .. } => {
            let (lefts, rights): (Vec<Expr>, Vec<Expr>) = keys.iter().cloned().unzip();
            let (stream, table) = match side {
                Side::Left => ((left, lefts), (right, rights)),
                Side::Right => ((right, rights), (left, lefts)),
            };
            let routes = vec![route(stream.0, &stream.1)?, table_route(table.0, &table.1)?];
            Some(Shares { plan: plan.clone(), routes, order: Order::ByRecord })
        }
        _ => None,
    }
}

/// What stands below the operators without state.
fn operator(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Check { input, .. } => operator(input),
        plan => plan,
    }
}

/// The stream whose records alone feed the plan, without state between; each record has a number of its own.
fn stream(plan: &LogicalPlan) -> Option<&Relation> {
    match operator(plan) {
        LogicalPlan::Source { relation, .. }
            if relation.0.is_source && relation.0.kind == RelationKind::Stream =>
        {
            Some(&relation.0)
        }
        _ => None,
    }
}

/// How a stream's records are to be routed so that rows of `plan` with equal `keys` meet.
fn route(plan: &LogicalPlan, keys: &[Expr]) -> Option<(RelationId, Route)> {
    let relation = stream(plan)?;
    let keys: Vec<Expr> = keys.iter().map(|key| over_source(key.clone(), plan)).collect();
    (!keys.is_empty()).then_some((relation.id, Route::Keys(keys)))
}

/// The same for a source table, whose rows must stay in one share while they are replaced.
fn table_route(plan: &LogicalPlan, keys: &[Expr]) -> Option<(RelationId, Route)> {
    let LogicalPlan::Source { relation, schema } = operator(plan) else { return None };
    let keys: Vec<Expr> = keys.iter().map(|key| over_source(key.clone(), plan)).collect();
    let of_key = |key: &Expr| matches!(key.kind, ExprKind::Column(at) if schema.primary_key.contains(&at));
    let stays = relation.0.is_source && !keys.is_empty() && keys.iter().all(of_key);
    stays.then_some((relation.0.id, Route::Keys(keys)))
}

/// An expression over a plan without state as one over the plan's source.
fn over_source(expr: Expr, plan: &LogicalPlan) -> Expr {
    match plan {
        LogicalPlan::Filter { input, .. } | LogicalPlan::Check { input, .. } => over_source(expr, input),
        LogicalPlan::Project { input, items, .. } => over_source(substitute(expr, items), input),
        _ => expr,
    }
}

/// The keys that all PARTITION BYs have.
fn common_keys(partitions: &[OverPartition]) -> Vec<Expr> {
    let Some((first, others)) = partitions.split_first() else { return Vec::new() };
    let is_common = |key: &&Expr| others.iter().all(|other| other.keys.iter().any(|one| same(one, key)));
    first.keys.iter().filter(is_common).cloned().collect()
}

/// The plan with one column more, at the end: of a source's row its number, of a group the number of its first record.
fn numbered(plan: LogicalPlan) -> LogicalPlan {
    let wider = |schema: &Schema| {
        let mut schema = schema.clone();
        schema.fields.push(Field::new("#", DataType::BigInt, false));
        Arc::new(schema)
    };
    match plan {
        LogicalPlan::Source { relation, schema } => LogicalPlan::Source { relation, schema: wider(&schema) },
        LogicalPlan::Filter { input, predicate, schema } => {
            LogicalPlan::Filter { input: Box::new(numbered(*input)), predicate, schema: wider(&schema) }
        }
        LogicalPlan::Check { input, checks, schema } => {
            LogicalPlan::Check { input: Box::new(numbered(*input)), checks, schema: wider(&schema) }
        }
        LogicalPlan::Project { input, mut items, schema } => {
            let input = Box::new(numbered(*input));
            items.push(number(&input));
            LogicalPlan::Project { input, items, schema: wider(&schema) }
        }
        LogicalPlan::Aggregate { input, keys, window, mut calls, schema } => {
            let input = Box::new(numbered(*input));
            calls.push(AggregateCall {
                function: AggregateFunction::Min,
                argument: Some(number(&input)),
                distinct: false,
                filter: None,
                data_type: DataType::BigInt,
                nullable: false,
            });
            LogicalPlan::Aggregate { input, keys, window, calls, schema: wider(&schema) }
        }
        LogicalPlan::Final { input, schema } => {
            LogicalPlan::Final { input: Box::new(numbered(*input)), schema: wider(&schema) }
        }
        other => unreachable!("{other:?} is no part of a plan that is numbered"),
    }
}

/// The last column of a numbered plan.
fn number(plan: &LogicalPlan) -> Expr {
    Expr {
        kind: ExprKind::Column(plan.schema().fields.len() - 1),
        data_type: DataType::BigInt,
        nullable: false,
        span: Span::default(),
    }
}
