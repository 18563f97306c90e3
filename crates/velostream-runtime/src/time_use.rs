//! Whether a plan reads event time: where it does not, a record needs no clock.

use velostream_sql::expr::children;
use velostream_sql::plan::{Expr, ExprKind, JoinMethod, LogicalPlan};

/// Whether a value, or a row's place, may depend on a row's event time.
pub fn reads_event_time(plan: &LogicalPlan) -> bool {
    let mut is_read = false;
    plan.for_each(&mut |node| is_read |= is_timed(node) || exprs(node).into_iter().any(reads_row_time));
    is_read
}

/// Whether what a node keeps or shows goes by event time, as where windows close.
fn is_timed(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::Aggregate { window, .. } => window.is_some(),
        LogicalPlan::Join { method, .. } => matches!(method, JoinMethod::Interval { .. }),
        LogicalPlan::Over { .. } => true,
        LogicalPlan::Source { .. }
        | LogicalPlan::Values { .. }
        | LogicalPlan::Filter { .. }
        | LogicalPlan::Project { .. }
        | LogicalPlan::Union { .. }
        | LogicalPlan::Check { .. }
        | LogicalPlan::Limit { .. }
        | LogicalPlan::Final { .. } => false,
    }
}

/// The expressions of a node that is not timed.
fn exprs(node: &LogicalPlan) -> Vec<&Expr> {
    match node {
        LogicalPlan::Values { rows, .. } => rows.iter().flatten().collect(),
        LogicalPlan::Filter { predicate, .. } => vec![predicate],
        LogicalPlan::Project { items, .. } => items.iter().collect(),
        LogicalPlan::Check { checks, .. } => checks.iter().map(|(check, _)| check).collect(),
        LogicalPlan::Aggregate { keys, calls, .. } => {
            let of_calls = calls.iter().flat_map(|call| call.argument.iter().chain(&call.filter));
            keys.iter().chain(of_calls).collect()
        }
        LogicalPlan::Join { keys, residual, .. } => {
            keys.iter().flat_map(|(left, right)| [left, right]).chain(residual).collect()
        }
        _ => Vec::new(),
    }
}

fn reads_row_time(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::RowTime) || children(expr).into_iter().any(reads_row_time)
}
