//! One scenario's query, for one run.

use crate::scenarios::{Row, Scenario, Tally};
use velostream_engine::batch::{Batch, ChangeBatch};

/// A running query whose changes are tallied.
pub struct Session<'a> {
    scenario: &'a Scenario,
    query: velostream_testkit::session::Session,
}

fn push_all(rows: &[Row]) -> impl FnOnce(&mut ChangeBatch) {
    move |raw| rows.iter().for_each(|row| row.push(raw))
}

impl<'a> Session<'a> {
    /// A fresh processor of the scenario's query, with the rows that are there before the first record.
    pub fn start(scenario: &'a Scenario) -> Result<Self, String> {
        let relations: Vec<&str> = scenario.relations.iter().chain(&scenario.table).copied().collect();
        let query =
            velostream_testkit::session::Session::start(scenario.definitions, scenario.sql, &relations)?;
        let mut session = Self { scenario, query };
        if scenario.table.is_some() {
            session.run_rows(scenario.relations.len(), &(scenario.table_rows)(), &mut Tally::default())?;
        }
        Ok(session)
    }

    /// Rows of a source as the batch that a processor takes.
    pub fn decode(&mut self, source: usize, rows: &[Row]) -> Batch {
        self.query.decode(source, push_all(rows))
    }

    /// Applies a batch and takes its changes.
    pub fn run(&mut self, source: usize, batch: &Batch, tally: &mut Tally) -> Result<(), String> {
        (self.scenario.take)(self.query.run(source, batch)?, tally);
        Ok(())
    }

    /// Decodes rows into reused buffers, applies them and takes their changes.
    pub fn run_rows(&mut self, source: usize, rows: &[Row], tally: &mut Tally) -> Result<(), String> {
        (self.scenario.take)(self.query.run_rows(source, push_all(rows))?, tally);
        Ok(())
    }

    /// Ends the inputs and takes what becomes final.
    pub fn end(&mut self, tally: &mut Tally) -> Result<(), String> {
        (self.scenario.take)(self.query.end()?, tally);
        Ok(())
    }

    /// What the state holds, in bytes.
    pub fn state_bytes(&self) -> u64 {
        self.query.state_bytes()
    }

    /// Groups and rows that all operators keep.
    pub fn groups(&self) -> usize {
        self.query.groups()
    }
}
