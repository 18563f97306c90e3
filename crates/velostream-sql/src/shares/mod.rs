//! Cuts a plan into shares: receivers that run the same plan over disjoint rows and together give its answer.
//!
//! Rows that meet in state have equal keys, so a plan can be shared where the keys of its operators with state
//! can be computed from the rows of its sources: of several operators, one above the other, the last one's keys, which
//! must be among those of the others. What a record causes then comes from one share, in its order. What
//! time causes comes from all of them under one sequence number: there each row carries the number of its group's
//! first record, in a last column that the plan gets for it.
//!
//! Where a later operator has other keys than an earlier one, a plan may be cut in two such stages, see [`stages`].

mod number;
mod route;
mod stages;

pub use stages::{Stages, stages};

use crate::catalog::RelationId;
use crate::expr::same;
use crate::plan::{Expr, LogicalPlan, OverPartition};

/// A plan that several receivers can share.
#[derive(Debug, Clone)]
pub struct Shares {
    /// What is shared.
    pub plan: LogicalPlan,
    /// Which rows of each source meet.
    pub routes: Vec<(RelationId, Route)>,
    /// How rows of one sequence number stand that come from several shares.
    pub order: Order,
}

impl Shares {
    /// What each receiver runs so that rows can be put in order. With [`Order::ByWindow`] and [`Order::ByGroup`] its
    /// answer has one column more, a BIGINT at the end: the sequence number of the group's first record.
    #[must_use]
    pub fn numbered(&self) -> LogicalPlan {
        if self.order.has_number() { number::numbered(self.plan.clone()) } else { self.plan.clone() }
    }

    /// Whether all rows come to one share.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.routes.iter().any(|(_, route)| matches!(route, Route::Keys(keys) if keys.is_empty()))
    }
}

/// Which rows of a source must come to the same share.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// None: whole batches can be dealt round.
    Deal,
    /// Those that agree on these expressions over the source; without any, all.
    Keys(Vec<Expr>),
}

/// The order of rows of one sequence number from several shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// There are none.
    ByRecord,
    /// By event time, which is the window's end, then by the first record of the group.
    ByWindow,
    /// By the first record of the group.
    ByGroup,
}

impl Order {
    /// Whether rows have the last column.
    #[must_use]
    pub fn has_number(self) -> bool {
        self != Self::ByRecord
    }
}

/// The plan in shares; `None` where rows meet that no key tells.
#[must_use]
pub fn shares(plan: &LogicalPlan) -> Option<Shares> {
    let (is_final, body) = match plan {
        LogicalPlan::Final { input, .. } => (true, &**input),
        _ => (false, plan),
    };
    let (routes, order) = match operator(body) {
        LogicalPlan::Source { .. } => (route::dealt(body)?, Order::ByRecord),
        LogicalPlan::Aggregate { input, keys, window, schema, .. } => {
            let order = match (is_final, window) {
                // Sessions that end together stand by their start, which a row need not show.
                (true, Some(window)) if window.is_session() => return None,
                (true, Some(_)) => Order::ByWindow,
                (true, None) if schema.updating => Order::ByGroup,
                _ => Order::ByRecord,
            };
            if order.has_number() && keeps_groups(input) {
                // The first record of a group of groups may not be the first that is left.
                return None;
            }
            (route::by_keys(input, keys)?, order)
        }
        LogicalPlan::Over { input, partitions, schema, .. } if !(is_final && schema.updating) => {
            (route::by_keys(input, &common_keys(partitions))?, Order::ByRecord)
        }
        join @ LogicalPlan::Join { .. } => (route::of_join(join, None)?, Order::ByRecord),
        _ => return None,
    };
    Some(Shares { plan: plan.clone(), routes, order })
}

/// What stands below the operators without state.
fn operator(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Check { input, .. } => operator(input),
        plan => plan,
    }
}

/// Whether rows of a plan stand for groups, which come and go.
fn keeps_groups(plan: &LogicalPlan) -> bool {
    match operator(plan) {
        LogicalPlan::Aggregate { .. } | LogicalPlan::Over { .. } => true,
        LogicalPlan::Join { left, right, .. } => keeps_groups(left) || keeps_groups(right),
        _ => false,
    }
}

/// The keys that all PARTITION BYs have.
fn common_keys(partitions: &[OverPartition]) -> Vec<Expr> {
    let Some((first, others)) = partitions.split_first() else { return Vec::new() };
    let is_common = |key: &&Expr| others.iter().all(|other| other.keys.iter().any(|one| same(one, key)));
    first.keys.iter().filter(is_common).cloned().collect()
}
