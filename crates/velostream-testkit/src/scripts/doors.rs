//! What histories are given through: the random queries' relations, their plans, and the doors of their sources.

use super::{DEFINITIONS, Given, RELATIONS};
use crate::golden::GoldenCatalog;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::functions::registry::registry;
use velostream_engine::plan::{PhysicalPlan, PlanOptions, SourceId};
use velostream_engine::source::{SourceGate, SourceSpec};
use velostream_engine::time::Watermark;
use velostream_sql::types::DataType;

/// A number from the environment, or its default.
///
/// # Panics
/// Where it is no number.
#[must_use]
pub fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The relations that random queries read.
///
/// # Panics
/// Where a definition is refused.
#[must_use]
pub fn catalog() -> GoldenCatalog {
    let mut catalog = GoldenCatalog::default();
    for definition in DEFINITIONS {
        let bound =
            catalog.bind(definition, registry()).unwrap_or_else(|errors| panic!("{definition}\n{errors}"));
        bound.into_iter().for_each(|statement| catalog.define(statement));
    }
    catalog
}

/// The plan of a query; `None` where the language refuses it.
#[must_use]
pub fn plan(catalog: &GoldenCatalog, sql: &str) -> Option<PhysicalPlan> {
    let query = catalog.query(sql, registry(), false).ok()?;
    PhysicalPlan::build(&query.plan, PlanOptions::default()).ok()
}

/// A source of a plan: its place among the relations, and its door.
pub struct Source {
    /// By its place in [`RELATIONS`].
    pub relation: usize,
    /// In the plan.
    pub id: SourceId,
    /// Its door.
    pub gate: SourceGate,
    types: Vec<DataType>,
}

/// The doors of all sources of a plan.
pub struct Doors {
    /// In the order of the relations.
    pub sources: Vec<Source>,
    /// The next record's number.
    pub next: Seq,
}

impl Doors {
    /// Through which nothing has come.
    ///
    /// # Panics
    /// Where the checks of a relation do not compile.
    #[must_use]
    pub fn new(catalog: &GoldenCatalog, plan: &PhysicalPlan) -> Self {
        let source = |(relation, name): (usize, &&str)| {
            let declared = catalog.source(name).expect("it is defined");
            let schema = &declared.relation.schema;
            let spec = SourceSpec {
                schema: schema.clone(),
                checks: declared.checks.clone(),
                event_time: declared.relation.event_time,
                bound_micros: declared.bound_micros,
            };
            Some(Source {
                relation,
                id: plan.source_of(declared.relation.id)?,
                gate: SourceGate::new(spec).expect("the checks compile"),
                types: schema.fields.iter().map(|field| field.data_type).collect(),
            })
        };
        Self { sources: RELATIONS.iter().enumerate().filter_map(source).collect(), next: Seq(1) }
    }

    /// The door of a relation.
    ///
    /// # Panics
    /// Where the plan does not read it.
    pub fn source(&mut self, relation: usize) -> &mut Source {
        let mut sources = self.sources.iter_mut();
        sources.find(|source| source.relation == relation).expect("histories are of read relations")
    }

    /// The batch that enters of some records, which may have no rows.
    pub fn admit(&mut self, relation: usize, given: &[Given]) -> (SourceId, Batch) {
        let mut next = self.next;
        let source = self.source(relation);
        let mut raw = ChangeBatch::new(&source.types);
        for record in given {
            raw.columns.iter_mut().zip(&record.row).for_each(|(column, value)| column.push_literal(value));
            raw.push_mark(record.op, Seq(0), 0);
        }
        let mut batch = Batch { changes: ChangeBatch::new(&source.types), ..Batch::default() };
        source.gate.admit(&mut raw, &mut next, &mut batch, &mut Vec::new());
        let id = source.id;
        self.next = next;
        (id, batch)
    }

    /// The move of a relation's watermark to `micros`, where it is one.
    pub fn advance(&mut self, relation: usize, micros: i64) -> Option<(SourceId, Batch)> {
        let mut next = self.next;
        let source = self.source(relation);
        let time = source.gate.advance(Watermark(micros), &mut next)?;
        let moved = (source.id, Batch { changes: ChangeBatch::new(&source.types), time });
        self.next = next;
        Some(moved)
    }
}
