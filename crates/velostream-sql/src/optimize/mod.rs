//! Rewrites that give the same answers for less work.
//!
//! Projections that follow each other become one, filters move below projections, a projection below an
//! aggregate moves into it, and aggregate calls that nothing reads are left out. An expression that more than
//! one place reads is computed where it stood: nothing is ever computed twice by a rewrite. An expression that
//! nothing reads is not computed, so it cannot fail either.

mod merge;
mod prune;

use crate::plan::LogicalPlan;

/// The plan to run.
#[must_use]
pub fn optimize(plan: LogicalPlan) -> LogicalPlan {
    prune::prune(merge_up(plan))
}

/// Applies the local rewrites from the sources up.
fn merge_up(plan: LogicalPlan) -> LogicalPlan {
    match plan.map_inputs(&mut merge_up) {
        LogicalPlan::Filter { input, predicate, schema } => merge::filter(*input, predicate, schema),
        LogicalPlan::Project { input, items, schema } => merge::project(*input, items, schema),
        LogicalPlan::Aggregate { input, keys, window, calls, schema } => {
            merge::aggregate(*input, keys, window, calls, schema)
        }
        plan => plan,
    }
}
