//! A processor without an engine over the blocks that a feed would give: what one partition is to be no slower than.
//!
//! As there, the rows were made before the clock, pass the source's gate under it, and come in no cache.

use crate::doors::{check, parts};
use crate::partitions::BLOCK_ROWS;
use crate::scenarios::{Row, Scenario, Tally};
use crate::session::Session;
use std::time::Instant;
use velostream_engine::batch::Seq;
use velostream_engine::column::Column;

/// One run.
pub fn report(scenario: &Scenario, records: usize) -> Result<String, String> {
    let mut session = Session::start(scenario)?;
    let block = |from: usize| parts(scenario, from, records.min(from + BLOCK_ROWS), BLOCK_ROWS);
    let rows: Vec<(usize, Vec<Row>)> = (0..records).step_by(BLOCK_ROWS).flat_map(block).collect();
    let blocks: Vec<(usize, Vec<Column>)> =
        rows.iter().map(|(source, rows)| (*source, session.columns(*source, rows))).collect();
    drop(rows);
    let mut tally = Tally::default();
    let mut last = Seq(0);
    let started = Instant::now();
    for (source, block) in blocks {
        session.run_columns(source, block, &mut last, &mut tally)?;
    }
    session.end(&mut tally)?;
    let seconds = started.elapsed().as_secs_f64();
    check(scenario, records, &tally, "a bare processor")?;
    Ok(format!(r#"{{"seconds":{seconds:.9}}}"#))
}
