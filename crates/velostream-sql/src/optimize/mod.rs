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
    match plan {
        LogicalPlan::Source { .. } | LogicalPlan::Values { .. } => plan,
        LogicalPlan::Filter { input, predicate, schema } => {
            merge::filter(merge_up(*input), predicate, schema)
        }
        LogicalPlan::Project { input, items, schema } => merge::project(merge_up(*input), items, schema),
        LogicalPlan::Aggregate { input, keys, window, calls, schema } => {
            merge::aggregate(merge_up(*input), keys, window, calls, schema)
        }
        LogicalPlan::Check { input, checks, schema } => {
            LogicalPlan::Check { input: Box::new(merge_up(*input)), checks, schema }
        }
        LogicalPlan::Limit { input, count, schema } => {
            LogicalPlan::Limit { input: Box::new(merge_up(*input)), count, schema }
        }
        LogicalPlan::Final { input, schema } => {
            LogicalPlan::Final { input: Box::new(merge_up(*input)), schema }
        }
    }
}
