//! One column more through a plan: of a source's row its number, of a group's the number of its first record.

use crate::catalog::AggregateFunction;
use crate::diagnostic::Span;
use crate::expr::map_columns;
use crate::plan::{AggregateCall, BinaryOp, Expr, ExprKind, JoinMethod, LogicalPlan, Side};
use crate::types::{DataType, Field, Schema};
use std::sync::Arc;

/// The plan with the column at its end.
pub(super) fn numbered(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Source { relation, schema } => {
            LogicalPlan::Source { relation, schema: wider(&schema, 1) }
        }
        LogicalPlan::Filter { input, predicate, schema } => {
            LogicalPlan::Filter { input: Box::new(numbered(*input)), predicate, schema: wider(&schema, 1) }
        }
        LogicalPlan::Check { input, checks, schema } => {
            LogicalPlan::Check { input: Box::new(numbered(*input)), checks, schema: wider(&schema, 1) }
        }
        LogicalPlan::Project { input, mut items, schema } => {
            let input = Box::new(numbered(*input));
            items.push(last_column(&input));
            LogicalPlan::Project { input, items, schema: wider(&schema, 1) }
        }
        LogicalPlan::Aggregate { input, keys, window, mut calls, schema } => {
            let input = Box::new(numbered(*input));
            calls.push(AggregateCall {
                function: AggregateFunction::Min,
                argument: Some(last_column(&input)),
                distinct: false,
                filter: None,
                data_type: DataType::BigInt,
                nullable: false,
            });
            LogicalPlan::Aggregate { input, keys, window, calls, schema: wider(&schema, 1) }
        }
        LogicalPlan::Final { input, schema } => {
            LogicalPlan::Final { input: Box::new(numbered(*input)), schema: wider(&schema, 1) }
        }
        join @ LogicalPlan::Join { .. } => numbered_join(join),
        other => unreachable!("{other:?} is no part of a plan that is numbered"),
    }
}

/// Of a joined row it is the number of the record that completed it: of a look-up the stream's, else the larger one.
fn numbered_join(plan: LogicalPlan) -> LogicalPlan {
    let LogicalPlan::Join { left, right, kind, method, keys, residual, mut columns, schema } = plan else {
        unreachable!("called for a join");
    };
    let side = |input: Box<LogicalPlan>, counts: bool| {
        if counts { Box::new(numbered(*input)) } else { input }
    };
    let width = left.schema().fields.len();
    let left = side(left, !matches!(method, JoinMethod::Lookup { stream: Side::Right }));
    let right = side(right, !matches!(method, JoinMethod::Lookup { stream: Side::Left }));
    let new_width = left.schema().fields.len();
    let mut moved = |column: usize| if column < width { column } else { column - width + new_width };
    columns.iter_mut().for_each(|column| *column = moved(*column));
    let residual = residual.map(|residual| map_columns(residual, &mut moved));
    let numbers = match method {
        JoinMethod::Lookup { stream: Side::Left } => vec![width],
        JoinMethod::Lookup { stream: Side::Right } => vec![new_width + right.schema().fields.len() - 1],
        _ => vec![width, new_width + right.schema().fields.len() - 1],
    };
    let (shown, added) = (columns.len(), numbers.len());
    columns.extend(numbers);
    let joined = wider(&schema, added);
    let join = LogicalPlan::Join { left, right, kind, method, keys, residual, columns, schema: joined };
    if added == 1 {
        return join;
    }
    let fields = schema.fields.iter().enumerate();
    let mut items: Vec<Expr> =
        fields.map(|(at, field)| column(at, field.data_type, field.nullable)).collect();
    items.push(larger(shown));
    LogicalPlan::Project { input: Box::new(join), items, schema: wider(&schema, 1) }
}

/// The larger of the numbers in a column and in the next one.
fn larger(at: usize) -> Expr {
    let number = |at: usize| column(at, DataType::BigInt, false);
    let (left, right) = (Box::new(number(at)), Box::new(number(at + 1)));
    let is_larger = ExprKind::Binary { op: BinaryOp::Greater, left, right };
    let is_larger = Expr { kind: is_larger, data_type: DataType::Boolean, ..number(at) };
    let branches = vec![(is_larger, number(at))];
    Expr { kind: ExprKind::Case { branches, otherwise: Some(Box::new(number(at + 1))) }, ..number(at) }
}

/// The schema with more numbers at its end.
fn wider(schema: &Schema, numbers: usize) -> Arc<Schema> {
    let mut schema = schema.clone();
    schema.fields.extend((0..numbers).map(|_| Field::new("#", DataType::BigInt, false)));
    Arc::new(schema)
}

/// The last column of a numbered plan.
fn last_column(plan: &LogicalPlan) -> Expr {
    column(plan.schema().fields.len() - 1, DataType::BigInt, false)
}

fn column(at: usize, data_type: DataType, nullable: bool) -> Expr {
    Expr { kind: ExprKind::Column(at), data_type, nullable, span: Span::default() }
}
