//! One column more for groups: the number of their first record.

use crate::catalog::AggregateFunction;
use crate::diagnostic::Span;
use crate::plan::{AggregateCall, Expr, ExprKind, LogicalPlan};
use crate::types::{DataType, Field, Schema};
use std::sync::Arc;

/// A plan of groups, with the column at its end.
pub(super) fn numbered(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Aggregate { input, keys, window, mut calls, schema } => {
            calls.push(AggregateCall {
                function: AggregateFunction::FirstNumber,
                argument: None,
                distinct: false,
                filter: None,
                data_type: DataType::BigInt,
                nullable: false,
            });
            LogicalPlan::Aggregate { input, keys, window, calls, schema: wider(&schema) }
        }
        LogicalPlan::Filter { input, predicate, schema } => {
            LogicalPlan::Filter { input: Box::new(numbered(*input)), predicate, schema: wider(&schema) }
        }
        LogicalPlan::Check { input, checks, schema } => {
            LogicalPlan::Check { input: Box::new(numbered(*input)), checks, schema: wider(&schema) }
        }
        LogicalPlan::Project { input, mut items, schema } => {
            let input = Box::new(numbered(*input));
            items.push(last_column(&input));
            LogicalPlan::Project { input, items, schema: wider(&schema) }
        }
        LogicalPlan::Final { input, schema } => {
            LogicalPlan::Final { input: Box::new(numbered(*input)), schema: wider(&schema) }
        }
        other => unreachable!("{other:?} stands above no groups"),
    }
}

/// The schema with the number at its end.
fn wider(schema: &Schema) -> Arc<Schema> {
    let mut schema = schema.clone();
    schema.fields.push(Field::new("#", DataType::BigInt, false));
    Arc::new(schema)
}

/// The last column of a numbered plan.
fn last_column(plan: &LogicalPlan) -> Expr {
    let at = plan.schema().fields.len() - 1;
    Expr { kind: ExprKind::Column(at), data_type: DataType::BigInt, nullable: false, span: Span::default() }
}
