//! A running query at the engine's lowest door, for programs that make columns themselves: benchmarks and
//! tests over many records.

use crate::golden::GoldenCatalog;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::error::Rejects;
use velostream_engine::functions::registry::registry;
use velostream_engine::limits::Limits;
use velostream_engine::plan::{PhysicalPlan, PlanOptions, SourceId};
use velostream_engine::processor::QueryProcessor;
use velostream_engine::source::{SourceGate, SourceSpec};
use velostream_sql::types::DataType;

/// A processor with the doors of its sources.
pub struct Session {
    processor: QueryProcessor,
    /// In the order in which `start` names them.
    sources: Vec<Source>,
    next: Seq,
    out: ChangeBatch,
    rejects: Rejects,
}

struct Source {
    id: SourceId,
    gate: SourceGate,
    types: Vec<DataType>,
    /// Reused by `run_rows`.
    raw: ChangeBatch,
    batch: Batch,
}

impl Source {
    fn new(catalog: &GoldenCatalog, plan: &PhysicalPlan, relation: &str) -> Result<Self, String> {
        let declared = catalog.source(relation).ok_or_else(|| format!("{relation} is not declared"))?;
        let schema = &declared.relation.schema;
        let types: Vec<DataType> = schema.fields.iter().map(|field| field.data_type).collect();
        let gate = SourceGate::new(SourceSpec {
            schema: schema.clone(),
            checks: Vec::new(),
            event_time: declared.relation.event_time,
            bound_micros: declared.bound_micros,
        });
        let id = plan.source_of(declared.relation.id);
        Ok(Self {
            id: id.ok_or_else(|| format!("the query does not read {relation}"))?,
            gate: gate.map_err(|error| error.to_string())?,
            raw: ChangeBatch::new(&types),
            batch: Batch { changes: ChangeBatch::new(&types), ..Batch::default() },
            types,
        })
    }
}

impl Session {
    /// A fresh processor of a query over these relations, which the definitions declare.
    pub fn start(definitions: &[&str], sql: &str, relations: &[&str]) -> Result<Self, String> {
        let mut catalog = GoldenCatalog::default();
        for definition in definitions {
            let statements = catalog.bind(definition, registry()).map_err(|errors| errors.to_string())?;
            statements.into_iter().for_each(|statement| catalog.define(statement));
        }
        let query = catalog.query(sql, registry(), false).map_err(|errors| errors.to_string())?;
        let plan =
            PhysicalPlan::build(&query.plan, PlanOptions::default()).map_err(|error| error.to_string())?;
        let sources = relations.iter().map(|relation| Source::new(&catalog, &plan, relation));
        Ok(Self {
            processor: QueryProcessor::new(&plan, &Limits::default()).map_err(|error| error.to_string())?,
            sources: sources.collect::<Result<_, _>>()?,
            next: Seq(1),
            out: ChangeBatch::new(&plan.output_types()),
            rejects: Rejects::default(),
        })
    }

    /// No rows, in the columns of a source.
    #[must_use]
    pub fn raw(&self, source: usize) -> ChangeBatch {
        ChangeBatch::new(&self.sources[source].types)
    }

    /// The rows that `fill` appends to a source's columns, as the batch that the processor takes.
    pub fn decode(&mut self, source: usize, fill: impl FnOnce(&mut ChangeBatch)) -> Batch {
        let Source { gate, types, .. } = &mut self.sources[source];
        let mut raw = ChangeBatch::new(types);
        fill(&mut raw);
        let mut batch = Batch { changes: ChangeBatch::new(types), ..Batch::default() };
        gate.admit(&mut raw, &mut self.next, &mut batch, &mut self.rejects.failed);
        batch
    }

    /// Applies a batch; gives its changes.
    pub fn run(&mut self, source: usize, batch: &Batch) -> Result<&ChangeBatch, String> {
        self.out.clear();
        let id = self.sources[source].id;
        let done = self.processor.process(id, batch, &mut self.out, &mut self.rejects);
        done.map_err(|error| error.to_string())?;
        Ok(&self.out)
    }

    /// Decodes the rows that `fill` appends into reused buffers and applies them; gives their changes.
    pub fn run_rows(
        &mut self,
        source: usize,
        fill: impl FnOnce(&mut ChangeBatch),
    ) -> Result<&ChangeBatch, String> {
        let Source { id, gate, raw, batch, .. } = &mut self.sources[source];
        raw.clear();
        fill(raw);
        gate.admit(raw, &mut self.next, batch, &mut self.rejects.failed);
        self.out.clear();
        let done = self.processor.process(*id, batch, &mut self.out, &mut self.rejects);
        done.map_err(|error| error.to_string())?;
        Ok(&self.out)
    }

    /// Ends the inputs; gives what becomes final.
    pub fn end(&mut self) -> Result<&ChangeBatch, String> {
        self.out.clear();
        for source in &self.sources {
            self.processor.end(source.id, &mut self.out).map_err(|error| error.to_string())?;
        }
        Ok(&self.out)
    }

    /// What the state holds, in bytes.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.processor.state_bytes()
    }

    /// Groups and rows that all operators keep.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.processor.groups()
    }
}
