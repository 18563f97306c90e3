//! One scenario's query, for one run.

use crate::scenarios::{Row, Scenario, Tally};
use velostream_engine::batch::{Batch, ChangeBatch, Op, Seq};
use velostream_engine::column::Column;

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

    /// The columns of rows of a source.
    pub fn columns(&self, source: usize, rows: &[Row]) -> Vec<Column> {
        let mut columns = self.query.raw(source).columns;
        rows.iter().for_each(|row| row.append(&mut columns));
        columns
    }

    /// Lets such rows in, applies them and takes their changes, whose numbers must ascend from `last` on as a partition's must.
    pub fn run_columns(
        &mut self,
        source: usize,
        mut columns: Vec<Column>,
        last: &mut Seq,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let take = |raw: &mut ChangeBatch| {
            std::mem::swap(&mut raw.columns, &mut columns);
            let count = raw.columns.first().map_or(0, Column::len);
            raw.ops.resize(count, Op::Insert);
            raw.event_times.resize(count, 0);
        };
        let changes = self.query.run_rows(source, take)?;
        for &seq in &changes.seqs {
            if seq < *last {
                return Err("the changes are not in order".to_owned());
            }
            *last = seq;
        }
        (self.scenario.take)(changes, tally);
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
