//! The doors of a `QueryProcessor`: batches of 1 and of 1,024 records, already decoded or from row structs.

use crate::scenarios::{Row, Scenario, Tally};
use crate::session::Session;
use std::time::Instant;
use velostream_engine::batch::Batch;

/// Records that are decoded ahead of the clock at a time, so that batches of one fit into memory.
pub const PREPARED_RECORDS: usize = 2 * 1024;
/// Records of an untimed run before, so that code and memory are there.
const WARM_UP_RECORDS: usize = 50_000;
const TIMER_SAMPLES: usize = 10_000;

/// One way to feed a processor.
#[derive(Clone, Copy)]
pub struct Door {
    pub name: &'static str,
    pub batch_rows: usize,
    /// Whether rows come as structs and are decoded under the clock.
    from_structs: bool,
}

const DOORS: [Door; 4] = [
    Door { name: "core/1", batch_rows: 1, from_structs: false },
    Door { name: "core/1024", batch_rows: 1024, from_structs: false },
    Door { name: "core/1 structs", batch_rows: 1, from_structs: true },
    Door { name: "core/1024 structs", batch_rows: 1024, from_structs: true },
];

pub fn named(name: &str) -> Result<Door, String> {
    DOORS.into_iter().find(|door| door.name == name).ok_or_else(|| format!("there is no door {name}"))
}

/// One run at each door, or at one.
pub fn report(scenario: &Scenario, records: usize, wanted: Option<&str>) -> Result<Vec<String>, String> {
    let doors = DOORS.into_iter().filter(|door| wanted.is_none_or(|name| name == door.name));
    let line = |door: Door| {
        self::seconds(scenario, door, records.min(WARM_UP_RECORDS))?;
        let seconds = seconds(scenario, door, records)?;
        let (id, name) = (scenario.id, door.name);
        Ok(format!(r#"{{"scenario":"{id}","door":"{name}","seconds":{seconds:.9}}}"#))
    };
    doors.map(line).collect()
}

/// Records as batches of at most `batch_rows`, each of one source; sources take turns.
pub fn parts(scenario: &Scenario, from: usize, to: usize, batch_rows: usize) -> Vec<(usize, Vec<Row>)> {
    let sources = scenario.relations.len();
    let mut parts = Vec::new();
    for at in (from..to).step_by(batch_rows * sources) {
        let end = to.min(at + batch_rows * sources);
        for source in 0..sources {
            let rows: Vec<Row> = (at + source..end).step_by(sources).map(scenario.row).collect();
            if !rows.is_empty() {
                parts.push((source, rows));
            }
        }
    }
    parts
}

/// The same, decoded.
pub fn batches(
    session: &mut Session<'_>,
    scenario: &Scenario,
    from: usize,
    to: usize,
    batch_rows: usize,
) -> Vec<(usize, Batch)> {
    let parts = parts(scenario, from, to, batch_rows);
    parts.iter().map(|(source, rows)| (*source, session.decode(*source, rows))).collect()
}

/// Requires the answer over so many records.
pub fn check(scenario: &Scenario, records: usize, tally: &Tally, place: &str) -> Result<(), String> {
    let expected = (scenario.expected)(records);
    if tally.equals(&expected) {
        return Ok(());
    }
    Err(format!("wrong at {place}: {tally:?}, expected {expected:?}"))
}

/// Seconds of one run, whose answer is checked.
pub fn seconds(scenario: &Scenario, door: Door, records: usize) -> Result<f64, String> {
    let mut session = Session::start(scenario)?;
    let mut tally = Tally::default();
    let mut seconds = 0.0;
    for from in (0..records).step_by(PREPARED_RECORDS) {
        let to = records.min(from + PREPARED_RECORDS);
        if door.from_structs {
            let parts = parts(scenario, from, to, door.batch_rows);
            let started = Instant::now();
            for (source, rows) in &parts {
                session.run_rows(*source, rows, &mut tally)?;
            }
            seconds += started.elapsed().as_secs_f64();
        } else {
            let batches = batches(&mut session, scenario, from, to, door.batch_rows);
            let started = Instant::now();
            for (source, batch) in &batches {
                session.run(*source, batch, &mut tally)?;
            }
            seconds += started.elapsed().as_secs_f64();
        }
    }
    let started = Instant::now();
    session.end(&mut tally)?;
    seconds += started.elapsed().as_secs_f64();
    check(scenario, records, &tally, door.name)?;
    Ok(seconds)
}

/// The latency per record of batches of one, the timer's own cost subtracted.
pub fn latency(scenario: &Scenario, records: usize) -> Result<String, String> {
    let timer = timer_nanos();
    let mut session = Session::start(scenario)?;
    let mut tally = Tally::default();
    let mut taken: Vec<u64> = Vec::with_capacity(records);
    for at in 0..records {
        let source = at % scenario.relations.len();
        let batch = session.decode(source, &[(scenario.row)(at)]);
        let started = Instant::now();
        session.run(source, &batch, &mut tally)?;
        let nanos = started.elapsed().as_nanos() as u64;
        taken.push(nanos.saturating_sub(timer));
    }
    taken.sort_unstable();
    let at = |share: f64| taken[((taken.len() as f64 * share) as usize).min(taken.len() - 1)];
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    Ok(format!(r#"{{"scenario":"{}","p50":{p50},"p99":{p99},"p999":{p999}}}"#, scenario.id))
}

/// The median of what two readings of the clock differ by with nothing in between.
fn timer_nanos() -> u64 {
    let sample = || {
        let started = Instant::now();
        started.elapsed().as_nanos() as u64
    };
    let mut samples: Vec<u64> = (0..TIMER_SAMPLES).map(|_| sample()).collect();
    samples.sort_unstable();
    samples[samples.len() / 2]
}
