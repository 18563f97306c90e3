//! The two runs whose instructions are subtracted: equal in all but how many records are applied.
//!
//! Both decode the same records and compute both expected answers; where a run ends, a window has just been
//! filled, so that the end costs the same too.

use crate::doors::{batches, named};
use crate::scenarios::{Scenario, Tally};
use crate::session::Session;

/// Records of s3a's first window, whose time does not begin at its start.
const FIRST_WINDOW_RECORDS: usize = 2000;
const WINDOW_RECORDS: usize = 6000;
/// `benches/instructions.ts` divides by the difference.
const FEWER: usize = FIRST_WINDOW_RECORDS + 5 * WINDOW_RECORDS;
const MORE: usize = FIRST_WINDOW_RECORDS + 10 * WINDOW_RECORDS;

pub fn run(scenario: &Scenario, door: &str, more: bool) -> Result<(), String> {
    let door = named(door)?;
    let mut session = Session::start(scenario)?;
    let first = batches(&mut session, scenario, 0, FEWER, door.batch_rows);
    let second = batches(&mut session, scenario, FEWER, MORE, door.batch_rows);
    let expected = [(scenario.expected)(FEWER), (scenario.expected)(MORE)];
    let mut tally = Tally::default();
    for (source, batch) in first.iter().chain(second.iter().take(if more { second.len() } else { 0 })) {
        session.run(*source, batch, &mut tally)?;
    }
    session.end(&mut tally)?;
    let expected = expected[usize::from(more)];
    if tally.equals(&expected) {
        return Ok(());
    }
    Err(format!("wrong at {}: {tally:?}, expected {expected:?}", door.name))
}
