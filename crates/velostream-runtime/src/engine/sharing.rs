//! Queries whose work several receivers share.

use super::Engine;
use crate::partition::share::Taker;
use crate::pipeline::Purpose;
use std::sync::Arc;
use velostream_sql::catalog::{Relation, RelationId};
use velostream_sql::explain::expression;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::shares::{Order, Route, Shares, shares};
use velostream_sql::types::DataType;

/// A plan in shares, and by how many receivers.
pub(super) struct Sharing {
    /// The shares.
    pub shares: Shares,
    /// Receivers, at least 2.
    pub count: usize,
}

impl Engine {
    /// How a query's work is shared; `None` where one receiver does it.
    pub(super) fn sharing(&self, plan: &LogicalPlan, purpose: Purpose) -> Option<Sharing> {
        let count = self.options.partitions;
        let is_standing = matches!(purpose, Purpose::Query | Purpose::Derived(_));
        if count < 2 || !is_standing {
            return None;
        }
        Some(Sharing { shares: shares(plan)?, count })
    }
}

impl Engine {
    /// A line that says how many receivers a query would have, and whose each source's rows are; none where the engine
    /// has no several.
    pub(super) fn explain_sharing(&self, plan: &LogicalPlan) -> Option<String> {
        if self.options.partitions < 2 {
            return None;
        }
        let Some(sharing) = self.sharing(plan, Purpose::Query) else {
            return Some("Partitions: 1, because no key tells which rows meet".to_owned());
        };
        let source = |(id, route): &(RelationId, Route)| {
            let relation = &self.catalog.get(*id)?.relation;
            Some(match route {
                Route::Deal => format!("{} dealt round", relation.name),
                Route::Keys(keys) => {
                    let keys = keys.iter().map(|key| expression(key, &relation.schema));
                    format!("{} by {}", relation.name, keys.collect::<Vec<_>>().join(", "))
                }
            })
        };
        let sources: Vec<String> = sharing.shares.routes.iter().filter_map(source).collect();
        Some(format!("Partitions: {}, {}", sharing.count, sources.join("; ")))
    }
}

impl Sharing {
    /// The routes of these inputs.
    pub fn routes(&self, inputs: &[Arc<Relation>]) -> Vec<Route> {
        let of = |relation: &Arc<Relation>| self.shares.routes.iter().find(|(id, _)| *id == relation.id);
        inputs.iter().map(|relation| of(relation).map_or(Route::Deal, |(_, route)| route.clone())).collect()
    }

    /// How receiver `place` takes its rows of these inputs.
    pub fn taker(&self, place: usize, inputs: &[Arc<Relation>]) -> Taker {
        let numbered = self.shares.order != Order::ByRecord;
        let types = |relation: &Arc<Relation>| {
            let of_fields = relation.schema.fields.iter().map(|field| field.data_type);
            of_fields.chain(numbered.then_some(DataType::BigInt)).collect()
        };
        Taker::new(place as u16, inputs.iter().map(types).collect(), numbered)
    }
}
