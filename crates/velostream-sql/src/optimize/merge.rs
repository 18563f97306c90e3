//! Rewrites of a node and its input, by putting a projection's expressions where its columns are read.

use crate::bind::balanced;
use crate::expr::{children, for_each_column, substitute};
use crate::plan::{AggregateCall, BinaryOp, Expr, ExprKind, LogicalPlan, Window};
use crate::types::Schema;
use std::sync::Arc;

/// Whether an expression costs nothing to compute again.
fn is_free(expr: &Expr) -> bool {
    children(expr).is_empty() && !matches!(expr.kind, ExprKind::Call { .. })
}

/// Whether reading these items from these places computes nothing twice.
fn computed_once<'e>(items: &[Expr], readers: impl IntoIterator<Item = &'e Expr>) -> bool {
    let mut reads = vec![0_usize; items.len()];
    for reader in readers {
        for_each_column(reader, &mut |column| reads[column] += 1);
    }
    items.iter().zip(reads).all(|(item, reads)| reads <= 1 || is_free(item))
}

/// Two filters are one; a filter over a projection that it reads plain columns of goes below it.
pub(super) fn filter(input: LogicalPlan, predicate: Expr, schema: Arc<Schema>) -> LogicalPlan {
    match input {
        LogicalPlan::Filter { input, predicate: first, schema } => {
            let predicate = balanced(BinaryOp::And, vec![first, predicate]);
            LogicalPlan::Filter { input, predicate, schema }
        }
        LogicalPlan::Project { input, items, schema } if reads_free(&predicate, &items) => {
            let predicate = substitute(predicate, &items);
            let input_schema = Arc::clone(input.schema());
            let input = Box::new(filter(*input, predicate, input_schema));
            LogicalPlan::Project { input, items, schema }
        }
        input => LogicalPlan::Filter { input: Box::new(input), predicate, schema },
    }
}

fn reads_free(predicate: &Expr, items: &[Expr]) -> bool {
    let mut free = true;
    for_each_column(predicate, &mut |column| free &= is_free(&items[column]));
    free
}

/// A projection of a projection is one, where nothing is computed twice; one that changes nothing is none.
pub(super) fn project(input: LogicalPlan, items: Vec<Expr>, schema: Arc<Schema>) -> LogicalPlan {
    let (input, items) = match input {
        LogicalPlan::Project { input, items: below, .. } if computed_once(&below, &items) => {
            let items = items.into_iter().map(|item| substitute(item, &below)).collect();
            (*input, items)
        }
        input => (input, items),
    };
    let in_place = |(at, item): (usize, &Expr)| matches!(item.kind, ExprKind::Column(column) if column == at);
    if schema == *input.schema() && items.iter().enumerate().all(in_place) {
        return input;
    }
    LogicalPlan::Project { input: Box::new(input), items, schema }
}

/// An aggregate computes the columns of a projection below it itself.
pub(super) fn aggregate(
    input: LogicalPlan,
    keys: Vec<Expr>,
    window: Option<Window>,
    calls: Vec<AggregateCall>,
    schema: Arc<Schema>,
) -> LogicalPlan {
    let LogicalPlan::Project { input: below, items, schema: projected } = input else {
        return LogicalPlan::Aggregate { input: Box::new(input), keys, window, calls, schema };
    };
    let readers = keys
        .iter()
        .chain(window.iter().filter_map(|window| window.time.as_ref()))
        .chain(calls.iter().flat_map(|call| call.argument.iter().chain(&call.filter)));
    if !computed_once(&items, readers) {
        let input = Box::new(LogicalPlan::Project { input: below, items, schema: projected });
        return LogicalPlan::Aggregate { input, keys, window, calls, schema };
    }
    let over = |expr: Expr| substitute(expr, &items);
    let keys = keys.into_iter().map(over).collect();
    let window = window.map(|window| Window { time: window.time.map(over), ..window });
    let calls = calls
        .into_iter()
        .map(|call| AggregateCall {
            argument: call.argument.map(over),
            filter: call.filter.map(over),
            ..call
        })
        .collect();
    LogicalPlan::Aggregate { input: below, keys, window, calls, schema }
}
