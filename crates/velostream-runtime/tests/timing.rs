//! Threads that dawdle at random wherever others may overtake them change nothing: a query of any kind gives the same
//! bytes, and the same dead letters and late records, for any size of batches, any number of partitions, and in
//! every run.
//!
//! `TIMING_SEED` chooses the cases and the delays, `TIMING_WAYS` how many ways each query is run in; a failure names
//! its way and its seed.

#[path = "it/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "it/histories.rs"]
#[allow(dead_code)]
mod histories;
#[path = "it/wakes.rs"]
mod wakes;

use histories::{CHAINED, Found, PLAIN, Random, SHARED, SINGLE, Step, Way, long, mixed, run};
use std::sync::{Mutex, PoisonError};
use velostream_runtime::dawdle_from;

const DEFAULT_SEED: u64 = 20_261_129;
/// For each query and history.
const DEFAULT_WAYS: u64 = 2;
const MIXED_RECORDS: usize = 300;
const LONG_RECORDS: usize = 5_000;

/// Delays are the whole process's: one test at a time has them.
static ALONE: Mutex<()> = Mutex::new(());

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn random_way(random: &mut Random) -> Way {
    // Each power of two as often as the other ones.
    let scale = random.below(13);
    Way {
        partitions: random.pick(&[0, 1, 2, 3, 4, 8]),
        batch: (1 + random.below(1 << scale) as usize).min(4096),
        output_rows: random.pick(&[1, 7, 100, 10_000]),
        mailbox_batches: random.pick(&[1, 2, 8, 1000]),
        by_key: false,
    }
}

fn all_queries() -> impl Iterator<Item = (&'static str, &'static str)> {
    let plain = SHARED.iter().chain(SINGLE).map(|&sql| ("", sql));
    plain.chain(CHAINED.iter().copied())
}

fn compare(found: &Found, expected: &Found, what: &str) {
    assert_eq!(found.lines, expected.lines, "{what}");
    assert!(found.bytes == expected.bytes, "{what}: other bytes");
    assert_eq!(found.letters, expected.letters, "{what}");
    assert_eq!(found.late, expected.late, "{what}");
}

/// Every query without delays, one record after the other; then in random ways with delays.
fn check(history: &[Step]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (seed, ways) = (setting("TIMING_SEED", DEFAULT_SEED), setting("TIMING_WAYS", DEFAULT_WAYS));
    println!("TIMING_SEED={seed} TIMING_WAYS={ways}");
    let mut random = Random(seed);
    for (definitions, sql) in all_queries() {
        for on_error in ["dead_letter", "stop"] {
            dawdle_from(0);
            let expected = run(definitions, sql, on_error, history, PLAIN);
            for _ in 0..ways {
                let (way, delays) = (random_way(&mut random), random.below(u64::MAX));
                dawdle_from(delays);
                let found = run(definitions, sql, on_error, history, way);
                compare(&found, &expected, &format!("{sql}\n{on_error} {way:?}, delays {delays}"));
            }
        }
    }
    dawdle_from(0);
}

#[test]
fn delays_change_nothing_where_relations_take_turns() {
    check(&mixed(&mut Random(setting("TIMING_SEED", DEFAULT_SEED) | 1), MIXED_RECORDS));
}

#[test]
fn delays_change_nothing_in_batches_of_any_size() {
    check(&long(&mut Random(setting("TIMING_SEED", DEFAULT_SEED) | 1), LONG_RECORDS));
}
