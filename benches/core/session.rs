//! One processor with the door of its source, for one run.

use crate::scenarios::{Row, Scenario, Tally};
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::error::Rejects;
use velostream_engine::functions::registry::registry;
use velostream_engine::limits::Limits;
use velostream_engine::plan::{PhysicalPlan, PlanOptions, SourceId};
use velostream_engine::processor::QueryProcessor;
use velostream_engine::source::{SourceGate, SourceSpec};
use velostream_sql::types::DataType;
use velostream_testkit::golden::GoldenCatalog;

const SOURCE: SourceId = SourceId(0);

/// A running query.
pub struct Session<'a> {
    scenario: &'a Scenario,
    processor: QueryProcessor,
    gate: SourceGate,
    types: Vec<DataType>,
    next: Seq,
    /// Reused by `run_rows`.
    raw: ChangeBatch,
    batch: Batch,
    out: ChangeBatch,
    rejects: Rejects,
}

impl<'a> Session<'a> {
    /// A fresh processor of the scenario's query.
    pub fn start(scenario: &'a Scenario) -> Result<Self, String> {
        let mut catalog = GoldenCatalog::default();
        let statements =
            catalog.bind(scenario.definition, registry()).map_err(|errors| errors.to_string())?;
        statements.into_iter().for_each(|statement| catalog.define(statement));
        let query = catalog.query(scenario.sql, registry(), false).map_err(|errors| errors.to_string())?;
        let declared = catalog.source(scenario.relation).ok_or("the source is not declared")?;
        let schema = &declared.relation.schema;
        let types: Vec<DataType> = schema.fields.iter().map(|field| field.data_type).collect();
        let plan =
            PhysicalPlan::build(&query.plan, PlanOptions::default()).map_err(|error| error.to_string())?;
        let gate = SourceGate::new(SourceSpec {
            schema: schema.clone(),
            checks: Vec::new(),
            event_time: declared.relation.event_time,
            bound_micros: declared.bound_micros,
        });
        Ok(Self {
            scenario,
            processor: QueryProcessor::new(&plan, &Limits::default()).map_err(|error| error.to_string())?,
            gate: gate.map_err(|error| error.to_string())?,
            next: Seq(1),
            raw: ChangeBatch::new(&types),
            batch: Batch { changes: ChangeBatch::new(&types), ..Batch::default() },
            out: ChangeBatch::new(&plan.output_types()),
            rejects: Rejects::default(),
            types,
        })
    }

    /// Rows as the batch that a processor takes.
    pub fn decode(&mut self, rows: &[Row]) -> Batch {
        let mut raw = ChangeBatch::new(&self.types);
        rows.iter().for_each(|row| row.push(&mut raw));
        let mut batch = Batch { changes: ChangeBatch::new(&self.types), ..Batch::default() };
        self.gate.admit(&mut raw, &mut self.next, &mut batch, &mut self.rejects.failed);
        batch
    }

    /// Applies a batch and takes its changes.
    pub fn run(&mut self, batch: &Batch, tally: &mut Tally) -> Result<(), String> {
        self.out.clear();
        let done = self.processor.process(SOURCE, batch, &mut self.out, &mut self.rejects);
        done.map_err(|error| error.to_string())?;
        (self.scenario.take)(&self.out, tally);
        Ok(())
    }

    /// Decodes rows into reused buffers, applies them and takes their changes.
    pub fn run_rows(&mut self, rows: &[Row], tally: &mut Tally) -> Result<(), String> {
        self.raw.clear();
        rows.iter().for_each(|row| row.push(&mut self.raw));
        self.gate.admit(&mut self.raw, &mut self.next, &mut self.batch, &mut self.rejects.failed);
        self.out.clear();
        let done = self.processor.process(SOURCE, &self.batch, &mut self.out, &mut self.rejects);
        done.map_err(|error| error.to_string())?;
        (self.scenario.take)(&self.out, tally);
        Ok(())
    }

    /// Ends the input and takes what becomes final.
    pub fn end(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.out.clear();
        self.processor.end(SOURCE, &mut self.out).map_err(|error| error.to_string())?;
        (self.scenario.take)(&self.out, tally);
        Ok(())
    }
}
