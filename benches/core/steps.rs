//! The two runs whose instructions are subtracted: equal in all but how many records are applied.
//!
//! Both decode the same records and compute both expected answers; where a run ends, a window has just been
//! filled, so that the end costs the same too.

use crate::doors::{Door, batches, named};
use crate::scenarios::{Scenario, Tally};
use crate::session::Session;

/// Records of s3a's first window, whose time does not begin at its start.
const FIRST_WINDOW_RECORDS: usize = 2000;
const WINDOW_RECORDS: usize = 6000;
const WINDOWS: usize = 5;

/// Windows that only the longer run fills: start and preparation vary by some ten thousand instructions from run to
/// run, which must not be seen in a record's. `benches/snapshot.ts` divides by their records.
fn windows_between(door: Door) -> usize {
    if door.batch_rows == 1 { 5 } else { 20 }
}

pub fn run(scenario: &Scenario, door: &str, more: bool) -> Result<(), String> {
    let door = named(door)?;
    let records = FIRST_WINDOW_RECORDS + WINDOWS * WINDOW_RECORDS;
    let all = records + windows_between(door) * WINDOW_RECORDS;
    let mut session = Session::start(scenario)?;
    let first = batches(&mut session, scenario, 0, records, door.batch_rows);
    let second = batches(&mut session, scenario, records, all, door.batch_rows);
    let expected = [(scenario.expected)(records), (scenario.expected)(all)];
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
