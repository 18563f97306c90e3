//! What a plan does with event time, where that decides what a call must do for it.

use velostream_sql::expr::children;
use velostream_sql::plan::{Expr, ExprKind, JoinMethod, LogicalPlan};

/// The uses of event time in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeUse {
    /// Whether state may change when time moves, as where windows close.
    pub moves_state: bool,
    /// Whether a value, or a row's place, may depend on a row's event time.
    pub is_read: bool,
}

impl TimeUse {
    /// The uses in a plan and in all that it is made of.
    pub fn of(plan: &LogicalPlan) -> Self {
        let mut uses = Self::default();
        plan.for_each(&mut |node| {
            let moves_state = node_moves_state(node);
            uses.moves_state |= moves_state;
            uses.is_read |= moves_state || exprs(node).into_iter().any(reads_row_time);
        });
        uses
    }
}

fn node_moves_state(node: &LogicalPlan) -> bool {
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

/// The expressions of a node whose state does not move with time.
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
