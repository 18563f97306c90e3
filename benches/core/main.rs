//! The Rust side of the benchmarks. Every command prints one JSON object per line; a wrong answer ends the run.
//!
//! usage (`npm run bench` does it):
//!   bench-core doors SCENARIO RECORDS [DOOR]            one run at each door of a `QueryProcessor`
//!   bench-core latency SCENARIO RECORDS                 one record at a time at core/1
//!   bench-core state SCENARIO DOOR RECORDS              allocations, bytes per group, peak memory
//!   bench-core steps SCENARIO DOOR fewer|more           the two runs whose instructions are subtracted
//!   bench-core partitions SCENARIO RECORDS N [FILE|structs]  one run of an engine with N partitions and as many feeds, and
//!                                                       what a core takes to write a line that the other has read
//!   bench-core bare SCENARIO RECORDS                    a bare processor over what one feed would give
//!   bench-core inserted SCENARIO RECORDS N              the same by insertion from one thread
//!   bench-core by-key SCENARIO RECORDS N [FILE|structs] the same with `order: 'key'`

mod bare;
mod blocks;
mod counting;
mod doors;
mod joined;
mod lines;
mod partitions;
mod scenarios;
mod session;
mod state;
mod stations;
mod steps;

use partitions::{How, Records};
use scenarios::Scenario;
use std::process::exit;

const USAGE: &str =
    "usage: bench-core doors|latency|state|steps|bare|partitions|inserted|by-key SCENARIO ...";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [command, id, rest @ ..] = words.as_slice() else { refuse() };
    let Some(scenario) = scenarios::all().into_iter().find(|scenario| scenario.id == *id) else {
        eprintln!("there is no scenario {id}");
        exit(2);
    };
    match run(command, &scenario, rest) {
        Ok(lines) => lines.iter().for_each(|line| println!("{line}")),
        Err(message) => {
            eprintln!("{id}: {message}");
            exit(1);
        }
    }
}

fn run(command: &str, scenario: &Scenario, rest: &[&str]) -> Result<Vec<String>, String> {
    match (command, rest) {
        ("doors", [records]) => doors::report(scenario, number(records), None),
        ("doors", [records, door]) => doors::report(scenario, number(records), Some(door)),
        ("latency", [records]) => Ok(vec![doors::latency(scenario, number(records))?]),
        ("state", [door, records]) => Ok(vec![state::report(scenario, door, number(records))?]),
        ("steps", [door, end @ ("fewer" | "more")]) => {
            steps::run(scenario, door, *end == "more").map(|()| Vec::new())
        }
        ("partitions" | "by-key", [records, partitions, path @ ..]) if path.len() < 2 => {
            let how = How { partitions: number(partitions), by_key: command == "by-key" };
            let input = match path {
                [] => Records::Feeds,
                ["structs"] => Records::Structs,
                [path, ..] => Records::File(path),
            };
            partitions::report(scenario, number(records), how, input)
        }
        ("bare", [records]) => Ok(vec![bare::report(scenario, number(records))?]),
        ("inserted", [records, partitions]) => {
            let how = How { partitions: number(partitions), by_key: false };
            partitions::report(scenario, number(records), how, Records::Insertion)
        }
        _ => refuse(),
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| refuse())
}

fn refuse() -> ! {
    eprintln!("{USAGE}");
    exit(2);
}
