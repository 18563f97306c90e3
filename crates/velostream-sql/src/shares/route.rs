//! By what the rows of a plan's sources must be told apart, so that rows that meet come to one share.

use super::{Route, operator};
use crate::catalog::{Relation, RelationId, RelationKind};
use crate::expr::{for_each_column, map_columns, substitute};
use crate::plan::{Expr, ExprKind, JoinKind, JoinMethod, LogicalPlan, Side};

/// The routes of a plan's sources, each once.
pub(super) type Routes = Vec<(RelationId, Route)>;

/// Of a plan without state over a stream.
pub(super) fn dealt(plan: &LogicalPlan) -> Option<Routes> {
    Some(vec![(stream(plan)?.id, Route::Deal)])
}

/// So that rows of `plan` that agree on all of `keys` come to one share.
pub(super) fn by_keys(plan: &LogicalPlan, keys: &[Expr]) -> Option<Routes> {
    if keys.is_empty() {
        return None;
    }
    match plan {
        LogicalPlan::Filter { input, .. } | LogicalPlan::Check { input, .. } => by_keys(input, keys),
        LogicalPlan::Project { input, items, .. } => {
            let keys: Vec<Expr> = keys.iter().map(|key| substitute(key.clone(), items)).collect();
            by_keys(input, &keys)
        }
        // Its groups, or partitions, are parts of those that `keys` make.
        LogicalPlan::Aggregate { input, keys: inner, .. } => {
            let keys = over_columns(keys, inner.len())?.map(|key| substitute(key, inner));
            by_keys(input, &keys.collect::<Vec<_>>())
        }
        LogicalPlan::Over { input, columns, partitions, .. } => {
            let keys = over_columns(keys, columns.len())?.map(|key| map_columns(key, &mut |at| columns[at]));
            let keys: Vec<Expr> = keys.collect();
            let is_key = |at: usize| {
                partitions.iter().all(|partition| partition.keys.iter().any(|key| is_column(key, at)))
            };
            only_columns(&keys, is_key).then(|| by_keys(input, &keys))?
        }
        LogicalPlan::Join { .. } => of_join(plan, Some(keys)),
        LogicalPlan::Source { .. } => Some(vec![(stream(plan)?.id, Route::Keys(keys.to_vec()))]),
        _ => None,
    }
}

/// So that the rows of both sides that can match come to one share, and where `keys` are given also joined rows that
/// agree on all of them: by all of the join's keys, or by those that are among `keys`.
pub(super) fn of_join(plan: &LogicalPlan, keys: Option<&[Expr]>) -> Option<Routes> {
    let LogicalPlan::Join { left, right, kind, method, keys: pairs, columns, .. } = plan else { return None };
    let width = left.schema().fields.len();
    let is_among = |(one, other): &(Expr, Expr)| {
        let shows = |key: &Expr| match key.kind {
            ExprKind::Column(at) if columns[at] < width => is_column(one, columns[at]),
            ExprKind::Column(at) => is_column(other, columns[at] - width),
            _ => false,
        };
        keys.is_none_or(|keys| keys.iter().any(shows))
    };
    let chosen = pairs.iter().filter(|pair| is_among(pair)).cloned();
    let (lefts, rights): (Vec<Expr>, Vec<Expr>) = chosen.unzip();
    let (first, second) = match method {
        // A column of the side that may miss is NULL for rows that agree on nothing.
        _ if keys.is_some() && *kind != JoinKind::Inner => return None,
        JoinMethod::Lookup { stream: Side::Left } => (by_keys(left, &lefts)?, of_table(right, &rights)?),
        JoinMethod::Lookup { stream: Side::Right } => (by_keys(right, &rights)?, of_table(left, &lefts)?),
        JoinMethod::Interval { .. } if *kind == JoinKind::Inner => {
            (by_keys(left, &lefts)?, by_keys(right, &rights)?)
        }
        JoinMethod::Interval { .. } | JoinMethod::Kept => return None,
    };
    both(first, second)
}

/// The keys, if they are over the first `count` columns alone.
fn over_columns(keys: &[Expr], count: usize) -> Option<impl Iterator<Item = Expr>> {
    only_columns(keys, |at| at < count).then(|| keys.iter().cloned())
}

fn only_columns(exprs: &[Expr], is_allowed: impl Fn(usize) -> bool) -> bool {
    let mut all = true;
    exprs.iter().for_each(|expr| for_each_column(expr, &mut |at| all &= is_allowed(at)));
    all
}

fn is_column(expr: &Expr, column: usize) -> bool {
    matches!(expr.kind, ExprKind::Column(at) if at == column)
}

/// The routes of two sides; a source that is on both must have one.
fn both(mut first: Routes, second: Routes) -> Option<Routes> {
    for (id, route) in second {
        match first.iter().find(|(known, _)| *known == id) {
            None => first.push((id, route)),
            Some((_, known)) if is_same(known, &route) => {}
            Some(_) => return None,
        }
    }
    Some(first)
}

fn is_same(left: &Route, right: &Route) -> bool {
    match (left, right) {
        (Route::Keys(left), Route::Keys(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(one, other)| crate::expr::same(one, other))
        }
        _ => false,
    }
}

/// The stream whose records alone feed a plan, without state between; each record has a number of its own.
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

/// Of a source table that is looked up, whose rows must stay in one share while they are replaced.
fn of_table(plan: &LogicalPlan, keys: &[Expr]) -> Option<Routes> {
    let LogicalPlan::Source { relation, schema } = operator(plan) else { return None };
    let keys: Vec<Expr> = keys.iter().map(|key| over_source(key.clone(), plan)).collect();
    let of_key = |key: &Expr| matches!(key.kind, ExprKind::Column(at) if schema.primary_key.contains(&at));
    let stays = relation.0.is_source && !keys.is_empty() && keys.iter().all(of_key);
    stays.then(|| vec![(relation.0.id, Route::Keys(keys))])
}

/// An expression over a plan without state as one over the plan's source.
fn over_source(expr: Expr, plan: &LogicalPlan) -> Expr {
    match plan {
        LogicalPlan::Filter { input, .. } | LogicalPlan::Check { input, .. } => over_source(expr, input),
        LogicalPlan::Project { input, items, .. } => over_source(substitute(expr, items), input),
        _ => expr,
    }
}
