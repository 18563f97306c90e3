//! The Rust doors of the benchmarks: `QueryProcessor` fed with batches of 1 and of 1,024 records, already
//! decoded or from row structs. Prints one JSON object per scenario and door; a wrong answer ends the run.
//!
//! usage: bench-core RECORDS RUNS [SCENARIO [DOOR]] (`npm run bench` does it)

mod joined;
mod scenarios;
mod session;

use scenarios::{Row, Scenario, Tally};
use session::Session;
use std::time::Instant;

/// Records that are decoded ahead of the clock at a time, so that batches of one fit into memory.
const PREPARED_RECORDS: usize = 2 * 1024;
const LATENCY_RECORDS: usize = 200_000;
const TIMER_SAMPLES: usize = 10_000;

/// One way to feed a processor.
#[derive(Clone, Copy)]
struct Door {
    name: &'static str,
    batch_rows: usize,
    /// Whether rows come as structs and are decoded under the clock.
    from_structs: bool,
}

const DOORS: [Door; 4] = [
    Door { name: "core/1", batch_rows: 1, from_structs: false },
    Door { name: "core/1024", batch_rows: 1024, from_structs: false },
    Door { name: "core/1 structs", batch_rows: 1, from_structs: true },
    Door { name: "core/1024 structs", batch_rows: 1024, from_structs: true },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|argument| argument.parse::<usize>().ok());
    let (Some(records), Some(runs)) = (number(0), number(1)) else {
        eprintln!("usage: bench-core RECORDS RUNS [SCENARIO [DOOR]]");
        std::process::exit(2);
    };
    let wanted = |scenario: &Scenario| arguments.get(2).is_none_or(|id| id == scenario.id);
    let doors: Vec<Door> =
        DOORS.into_iter().filter(|door| arguments.get(3).is_none_or(|name| name == door.name)).collect();
    for scenario in scenarios::all().into_iter().filter(wanted) {
        if let Err(message) = report(&scenario, &doors, records, runs) {
            eprintln!("{}: {message}", scenario.id);
            std::process::exit(1);
        }
    }
}

fn report(scenario: &Scenario, doors: &[Door], records: usize, runs: usize) -> Result<(), String> {
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); doors.len()];
    for _ in 0..runs {
        for (door, rates) in doors.iter().zip(&mut rates) {
            rates.push(rate(scenario, *door, records)?);
        }
    }
    for (door, rates) in doors.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        let latency = if door.name == "core/1" { latency(scenario, records)? } else { String::new() };
        let per_second = rates[rates.len() / 2];
        let (id, name) = (scenario.id, door.name);
        println!(r#"{{"scenario":"{id}","door":"{name}","perSecond":{per_second:.0}{latency}}}"#);
    }
    Ok(())
}

/// Records as batches of at most `batch_rows`, each of one source; sources take turns.
fn parts(scenario: &Scenario, from: usize, to: usize, batch_rows: usize) -> Vec<(usize, Vec<Row>)> {
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

/// Records per second of one run, whose answer is checked.
fn rate(scenario: &Scenario, door: Door, records: usize) -> Result<f64, String> {
    let mut session = Session::start(scenario)?;
    let mut tally = Tally::default();
    let mut seconds = 0.0;
    let mut from = 0;
    while from < records {
        let to = records.min(from + PREPARED_RECORDS);
        let parts = parts(scenario, from, to, door.batch_rows);
        if door.from_structs {
            let started = Instant::now();
            for (source, rows) in &parts {
                session.run_rows(*source, rows, &mut tally)?;
            }
            seconds += started.elapsed().as_secs_f64();
        } else {
            let decode = |(source, rows): &(usize, Vec<Row>)| (*source, session.decode(*source, rows));
            let batches: Vec<_> = parts.iter().map(decode).collect();
            let started = Instant::now();
            for (source, batch) in &batches {
                session.run(*source, batch, &mut tally)?;
            }
            seconds += started.elapsed().as_secs_f64();
        }
        from = to;
    }
    let started = Instant::now();
    session.end(&mut tally)?;
    seconds += started.elapsed().as_secs_f64();
    let expected = (scenario.expected)(records);
    if !tally.equals(&expected) {
        return Err(format!("wrong at {}: {tally:?}, expected {expected:?}", door.name));
    }
    Ok(records as f64 / seconds)
}

/// The latency per record of batches of one, the timer's own cost subtracted, as the rest of a JSON object.
fn latency(scenario: &Scenario, records: usize) -> Result<String, String> {
    let timer = timer_nanos();
    let mut session = Session::start(scenario)?;
    let mut tally = Tally::default();
    let count = records.min(LATENCY_RECORDS);
    let mut taken: Vec<u64> = Vec::with_capacity(count);
    for at in 0..count {
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
    Ok(format!(r#","latencyNs":{{"p50":{p50},"p99":{p99},"p999":{p999}}}"#))
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
