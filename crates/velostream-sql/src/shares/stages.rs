//! Cuts a plan in two where a later operator has other keys than an earlier one.
//!
//! Each stage has receivers of its own; those of the second take the rows of the first in the order of their numbers,
//! by keys of their own. That is one receiver's answer if
//! * the first stage gives one row at most for each number, and takes none back: then a number has all its rows in one
//!   receiver of the second, and no other row to stand before or behind. Or it changes one row at most, as where it keeps
//!   groups, and the second has a group for the old one and for the new one: their changes stand as groups do, those that go
//!   first, then by the groups' first records;
//! * a record that the second stage leaves out is nowhere in the first, which has gone on by then: either the first
//!   keeps nothing of records, as where they look up a table, or the second leaves none out. So what the second would
//!   compute from a row, and may fail for, the first computes where that is needed.

use super::{Order, Route, Shares, operator, shares};
use crate::bind::holds_key;
use crate::catalog::{Relation, RelationId, RelationKind};
use crate::explain::expression;
use crate::plan::{Expr, ExprKind, JoinMethod, LogicalPlan, RelationRef, Side, WindowKind};
use crate::types::{Field, Schema};
use std::sync::Arc;

/// A plan in two stages, each of which several receivers can share.
#[derive(Debug, Clone)]
pub struct Stages {
    /// Over the plan's sources.
    pub first: Shares,
    /// Over the first one's rows, for which [`Self::between`] stands.
    pub second: Shares,
    /// The stream whose records the first stage's rows are, or were made from.
    pub stream: Arc<Relation>,
    /// The first stage's answer, as the second one's source.
    pub between: Arc<Relation>,
    /// Whether the second stage may leave records out.
    pub leaves_out: bool,
}

/// The plan in two stages, cut as far up as can be: the second shared by keys, as it stands or with what it computes from a
/// row computed in the first, or else one receiver's; `None` where none of its operators can be told apart. `leaves_out`
/// says of a plan whether it may leave records out, because it fails for them or because they come too late.
#[must_use]
pub fn stages(plan: &LogicalPlan, leaves_out: &dyn Fn(&LogicalPlan) -> bool) -> Option<Stages> {
    let by_keys = |plan: &LogicalPlan| uppermost(plan, &|below| cut(plan, below, leaves_out));
    let to_one = |plan: &LogicalPlan| uppermost(plan, &|below| cut_to_one(plan, below, leaves_out));
    by_keys(plan)
        .or_else(|| by_keys(&with_columns(plan)?))
        .or_else(|| to_one(plan))
        .or_else(|| to_one(&with_columns(plan)?))
}

/// The uppermost cut there is.
fn uppermost(plan: &LogicalPlan, cut: &dyn Fn(&LogicalPlan) -> Option<Stages>) -> Option<Stages> {
    let mut below = plan;
    loop {
        below = input_of_state(below)?;
        if let Some(stages) = cut(below) {
            return Some(stages);
        }
    }
}

/// The same plan whose uppermost aggregate finds in columns what it computes from a row; nothing where it does already, or
/// there is none.
fn with_columns(plan: &LogicalPlan) -> Option<LogicalPlan> {
    match plan {
        LogicalPlan::Filter { input, .. } | LogicalPlan::Project { input, .. } => {
            let input = with_columns(input)?;
            Some(plan.clone().map_inputs(&mut |_| input.clone()))
        }
        LogicalPlan::Aggregate { input, keys, window: None, calls, schema } => {
            let (mut keys, mut calls) = (keys.clone(), calls.clone());
            let of_calls = calls.iter_mut().flat_map(|call| call.argument.iter_mut().chain(&mut call.filter));
            let (mut items, mut fields) = (Vec::new(), Vec::new());
            for expr in keys.iter_mut().chain(of_calls) {
                let text = expression(expr, input.schema());
                fields.push(Field::new(text, expr.data_type, expr.nullable));
                let column = Expr { kind: ExprKind::Column(items.len()), ..expr.clone() };
                items.push(std::mem::replace(expr, column));
            }
            if items.iter().all(|item| matches!(item.kind, ExprKind::Column(_))) {
                return None;
            }
            let computed = Schema { updating: input.schema().updating, ..Schema::append_only(fields) };
            let input =
                Box::new(LogicalPlan::Project { input: input.clone(), items, schema: Arc::new(computed) });
            Some(LogicalPlan::Aggregate { input, keys, window: None, calls, schema: Arc::clone(schema) })
        }
        _ => None,
    }
}

/// What comes to the uppermost operator with state, if that has one input.
fn input_of_state(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Final { input, .. }
        | LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Check { input, .. } => input_of_state(input),
        LogicalPlan::Aggregate { input, .. } | LogicalPlan::Over { input, .. } => Some(input),
        _ => None,
    }
}

/// A cut between two stages whose rows are both told apart by keys.
fn cut(plan: &LogicalPlan, below: &LogicalPlan, leaves_out: &dyn Fn(&LogicalPlan) -> bool) -> Option<Stages> {
    let single = stream_of_single_rows(below);
    let stream = single.or_else(|| stream_of_single_changes(below))?;
    let first = shares(below)?;
    let (between, above) = parts(plan, below);
    let mut second = shares(&above)?;
    if single.is_none() {
        if !shows_groups(&above) {
            return None;
        }
        second.order = Order::ByGroup;
    }
    let leaves_out = leaves_out(&above);
    let is_sound = !leaves_out || !keeps_records(below);
    is_sound.then(|| Stages { first, second, stream: Arc::clone(stream), between, leaves_out })
}

/// A cut above groups, whose rows all come to one receiver, in order: it may do anything with them but leave records out.
fn cut_to_one(
    plan: &LogicalPlan,
    below: &LogicalPlan,
    leaves_out: &dyn Fn(&LogicalPlan) -> bool,
) -> Option<Stages> {
    let LogicalPlan::Aggregate { input, .. } = operator(below) else { return None };
    let stream = stream_of_single_rows(input)?;
    let first = shares(below)?;
    let (between, above) = parts(plan, below);
    let second =
        Shares { routes: vec![(between.id, Route::Keys(Vec::new()))], plan: above, order: Order::ByRecord };
    let is_sound = !leaves_out(&second.plan);
    is_sound.then(|| Stages { first, second, stream: Arc::clone(stream), between, leaves_out: false })
}

/// The relation of a first stage's rows, and the plan over it.
fn parts(plan: &LogicalPlan, below: &LogicalPlan) -> (Arc<Relation>, LogicalPlan) {
    let between = between(below);
    let (relation, schema) = (Arc::new(RelationRef(Arc::clone(&between))), Arc::clone(&between.schema));
    let above = replaced(plan, below, &LogicalPlan::Source { relation, schema });
    (between, above)
}

/// The stream of a plan that gives one row at most for each of its records, under the record's number, and takes none
/// back.
fn stream_of_single_rows(plan: &LogicalPlan) -> Option<&Arc<Relation>> {
    match operator(plan) {
        // That it is a source and no table is for all that is shared.
        LogicalPlan::Source { relation, .. } => Some(&relation.0),
        LogicalPlan::Join { left, right, method: JoinMethod::Lookup { stream }, keys, .. } => {
            let (stream, is_unique) = match stream {
                Side::Left => (left, is_unique(right.schema(), keys.iter().map(|(_, right)| right))),
                Side::Right => (right, is_unique(left.schema(), keys.iter().map(|(left, _)| left))),
            };
            is_unique.then(|| stream_of_single_rows(stream))?
        }
        // DISTINCT.
        LogicalPlan::Aggregate { input, window: None, schema, .. }
        | LogicalPlan::Over { input, schema, .. }
            if !schema.updating =>
        {
            stream_of_single_rows(input)
        }
        _ => None,
    }
}

/// The stream of a plan each of whose records changes one row at most, under the record's number: of groups, in one window
/// each.
fn stream_of_single_changes(plan: &LogicalPlan) -> Option<&Arc<Relation>> {
    match operator(plan) {
        LogicalPlan::Aggregate { input, window, .. }
            if window.as_ref().is_none_or(|window| matches!(window.kind, WindowKind::Tumbling { .. })) =>
        {
            stream_of_single_rows(input)
        }
        _ => None,
    }
}

/// Whether a plan groups the rows of its source and shows these groups as they change, each with its key and as long as it
/// has rows: so no two that a record changes cancel each other, and a record makes one of them at most.
fn shows_groups(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Project { input, schema, .. } => schema.has_key() && shows_groups(input),
        LogicalPlan::Aggregate { input, window: None, .. } => matches!(**input, LogicalPlan::Source { .. }),
        _ => false,
    }
}

/// Whether rows that agree on `keys` are one.
fn is_unique<'e>(schema: &Schema, keys: impl Iterator<Item = &'e Expr> + Clone) -> bool {
    schema.has_key() && holds_key(schema, keys)
}

/// Whether something of a record stays in a plan that gives single rows: in all but tables that it looks up.
fn keeps_records(plan: &LogicalPlan) -> bool {
    match operator(plan) {
        LogicalPlan::Source { .. } => false,
        LogicalPlan::Join { left, method: JoinMethod::Lookup { stream: Side::Left }, .. } => {
            keeps_records(left)
        }
        LogicalPlan::Join { right, method: JoinMethod::Lookup { stream: Side::Right }, .. } => {
            keeps_records(right)
        }
        _ => true,
    }
}

/// A stream of a plan's rows, which no catalogue knows.
fn between(plan: &LogicalPlan) -> Arc<Relation> {
    Arc::new(Relation {
        id: RelationId(u32::MAX),
        name: "first stage".into(),
        kind: RelationKind::Stream,
        schema: Arc::clone(plan.schema()),
        definition: None,
        checks: Vec::new(),
        is_source: true,
        event_time: None,
        in_order: false,
    })
}

/// The plan, a chain down to `below`, with `source` in that one's place.
fn replaced(plan: &LogicalPlan, below: &LogicalPlan, source: &LogicalPlan) -> LogicalPlan {
    if std::ptr::eq(plan, below) {
        return source.clone();
    }
    match plan.inputs()[..] {
        [input] => plan.clone().map_inputs(&mut |_| replaced(input, below, source)),
        _ => unreachable!("a plan is cut below operators of one input"),
    }
}
