//! What a query keeps and asks for: allocations per thousand records once state and buffers have their size,
//! bytes per group, and the process's peak memory.

use crate::counting::allocations;
use crate::doors::{self, PREPARED_RECORDS};
use crate::scenarios::{Scenario, Tally};
use crate::session::Session;

/// Share of the records after which is counted.
const WARM_UP_SHARE: f64 = 0.4;

pub fn report(scenario: &Scenario, door: &str, records: usize) -> Result<String, String> {
    let door = doors::named(door)?;
    let warm_up = ((records as f64 * WARM_UP_SHARE) as usize).next_multiple_of(PREPARED_RECORDS);
    let mut session = Session::start(scenario)?;
    let mut tally = Tally::default();
    let mut counted = 0;
    for from in (0..records).step_by(PREPARED_RECORDS) {
        let to = records.min(from + PREPARED_RECORDS);
        let batches = doors::batches(&mut session, scenario, from, to, door.batch_rows);
        let before = allocations();
        for (source, batch) in &batches {
            session.run(*source, batch, &mut tally)?;
        }
        if from >= warm_up {
            counted += allocations() - before;
        }
    }
    let (state_bytes, groups) = (session.state_bytes(), session.groups());
    session.end(&mut tally)?;
    doors::check(scenario, records, &tally, door.name)?;
    let per_thousand = counted as f64 * 1000.0 / records.saturating_sub(warm_up).max(1) as f64;
    let peak = peak_bytes().map_or("null".to_owned(), |bytes| bytes.to_string());
    Ok(format!(
        r#"{{"allocationsPerThousand":{per_thousand:.3},"stateBytes":{state_bytes},"groups":{groups},"peakBytes":{peak}}}"#
    ))
}

/// The most that the process ever held in memory, where the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
