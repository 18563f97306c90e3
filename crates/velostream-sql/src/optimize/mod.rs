//! Rewrites that give the same answers for less work.

use crate::plan::LogicalPlan;

/// The plan to run.
#[must_use]
pub fn optimize(plan: LogicalPlan) -> LogicalPlan {
    plan
}
