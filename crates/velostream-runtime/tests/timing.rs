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

use histories::{
    CHAINED, Found, INTO_ONE, PLAIN, Random, SHARED, SINGLE, STAGED, Step, Way, long, mixed, run,
};
use std::sync::{Mutex, PoisonError};
use velostream_runtime::{EngineOptions, Feed, Rows, dawdle_from};

const DEFAULT_SEED: u64 = 20_261_129;
/// For each query and history.
const DEFAULT_WAYS: u64 = 2;
const MIXED_RECORDS: usize = 300;
const LONG_RECORDS: usize = 5_000;
const FILE_RECORDS: u64 = 20_000;

/// Queries over a relation `f`, and over it and itself.
const OF_ONE: [&str; 6] = [
    "SELECT k, 12 / v AS share FROM f",
    "SELECT k, COUNT(*) AS n, SUM(12 / v) AS x FROM f GROUP BY k EMIT CHANGES",
    "SELECT k, window_start, COUNT(*) AS n FROM f WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT a.k, a.v, b.v AS w FROM f a JOIN f b WITHIN 1 SECOND ON a.k = b.k AND a.v < b.v",
    "SELECT COUNT(*) AS n, SUM(v) AS sum FROM f",
    "SELECT n, COUNT(*) AS groups FROM (SELECT k, COUNT(*) AS n FROM f GROUP BY k) AS c GROUP BY n EMIT CHANGES",
];

/// Queries over a file `f`, a file `g` and a file of names.
const OF_FILES: [&str; 6] = [
    "SELECT k, 12 / v AS x FROM f UNION ALL SELECT k, 12 / (v - 1) FROM g",
    "SELECT f.k, f.v, 12 / (f.v - g.v) AS w FROM f JOIN g WITHIN 1 SECOND ON f.k = g.k",
    "SELECT g.k, window_start, COUNT(*) AS n FROM f JOIN g WITHIN 1 SECOND ON f.k = g.k WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY g.k EMIT FINAL",
    "SELECT k, window_start, SUM(12 / v) AS x FROM (SELECT k, v, t FROM f UNION ALL SELECT k, v, t FROM g) AS u WINDOW TUMBLING (SIZE 3 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT name, COUNT(*) AS n, SUM(12 / v) AS x FROM f JOIN names ON f.k = names.k GROUP BY name EMIT CHANGES",
    "SELECT name, window_start, COUNT(*) AS n FROM f LEFT JOIN names ON f.k = names.k WINDOW TUMBLING (SIZE 3 SECONDS) GROUP BY name EMIT FINAL",
];

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
        sinks: random.below(3) == 0,
    }
}

fn all_queries() -> impl Iterator<Item = (&'static str, &'static str)> {
    let plain = SHARED.iter().chain(STAGED).chain(INTO_ONE).chain(SINGLE).map(|&sql| ("", sql));
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
            // Most queries end with their first records.
            let ways = if on_error == "stop" { ways.div_ceil(2) } else { ways };
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

/// What a query over a file gives, and its letters.
fn of_file(path: &str, sql: &str, way: Way) -> (Vec<String>, Vec<String>) {
    let Way { partitions, output_rows, mailbox_batches, batch, .. } = way;
    let options = EngineOptions { partitions, output_rows, mailbox_batches, ..EngineOptions::default() };
    let file_block_bytes = 16 * batch;
    let mut t =
        harness::Harness::new(EngineOptions { dead_letter_capacity: 100_000, file_block_bytes, ..options });
    t.exec(&format!(
        "CREATE STREAM f (k STRING, v INT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '3' SECOND)
           WITH (connector = 'file', path = '{path}', format = 'csv', timestamp_format = '%s');
         CREATE STREAM g (k STRING, v INT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '3' SECOND)
           WITH (connector = 'file', path = '{path}.g', format = 'csv', timestamp_format = '%s');
         CREATE TABLE names (k STRING PRIMARY KEY, name STRING)
           WITH (connector = 'file', path = '{path}.names', format = 'csv')"
    ));
    let query = t.query(sql);
    let lines = t.drain(query);
    (lines, t.letters())
}

#[test]
fn delays_change_nothing_of_files() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (seed, ways) = (setting("TIMING_SEED", DEFAULT_SEED), setting("TIMING_WAYS", DEFAULT_WAYS));
    println!("TIMING_SEED={seed} TIMING_WAYS={ways}");
    let mut random = Random(seed);
    let line = |at: u64, random: &mut Random| {
        format!("k{},{},{}\n", random.below(40), random.below(10), 100 + at / 4 - random.below(4))
    };
    let path = std::env::temp_dir().join(format!("velostream-timing-{}.csv", std::process::id()));
    let name = path.to_str().expect("it is text");
    let other = format!("{name}.g");
    for file in [name, &other] {
        let rows: String = (0..FILE_RECORDS).map(|at| line(at, &mut random)).collect();
        std::fs::write(file, "k,v,t\n".to_owned() + &rows).expect("the file is written");
    }
    let names: String = (0..38).map(|k| format!("k{k},n{}\n", k % 7)).collect();
    std::fs::write(format!("{name}.names"), "k,name\n".to_owned() + &names).expect("the file is written");
    for sql in OF_ONE.iter().chain(&OF_FILES).copied() {
        dawdle_from(0);
        let expected = of_file(name, sql, PLAIN);
        for _ in 0..ways {
            let (way, delays) = (random_way(&mut random), random.below(u64::MAX));
            dawdle_from(delays);
            let found = of_file(name, sql, way);
            assert!(found == expected, "{sql}\n{way:?}, delays {delays}");
        }
    }
    dawdle_from(0);
    std::fs::remove_file(format!("{name}.names")).expect("the file is there");
    std::fs::remove_file(other).expect("the file is there");
    std::fs::remove_file(&path).expect("the file is there");
}

/// A key, a value, a time in seconds.
type Record = (u64, u64, u64);

/// Feeds with blocks of random sizes, some of none.
fn blocks_of_feeds(random: &mut Random) -> Vec<Vec<Vec<Record>>> {
    let mut second = 100;
    let mut record = |random: &mut Random| {
        second += random.below(2);
        (random.below(40), random.below(10), second - random.below(4))
    };
    let mut block = |random: &mut Random| {
        let rows = random.below(100);
        (0..rows).map(|_| record(random)).collect()
    };
    let mut feed = |random: &mut Random| {
        let blocks = random.below(100);
        (0..blocks).map(|_| block(random)).collect()
    };
    (0..3).map(|_| feed(random)).collect()
}

/// What a query over feeds gives, and its letters.
fn of_feeds(blocks: &[Vec<Vec<Record>>], sql: &str, way: Way) -> (Vec<String>, Vec<String>) {
    let Way { partitions, output_rows, mailbox_batches, .. } = way;
    let options = EngineOptions { partitions, output_rows, mailbox_batches, ..EngineOptions::default() };
    let mut t = harness::Harness::new(EngineOptions { dead_letter_capacity: 100_000, ..options });
    t.exec("CREATE STREAM f (k STRING, v INT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '3' SECOND)");
    let feed = |blocks: &Vec<Vec<Record>>| -> Box<dyn Feed> {
        let mut blocks = blocks.clone().into_iter();
        Box::new(move |rows: &mut Rows| {
            let block = blocks.next().unwrap_or_default();
            for (k, v, second) in block {
                rows.push((format!("k{k}"), v as i32, second as i64 * 1_000_000))?;
            }
            Ok(blocks.len() > 0)
        })
    };
    let id = t.engine.relation("f").expect("it exists").id;
    t.engine.feed(id, blocks.iter().map(feed).collect()).expect("it takes feeds");
    let query = t.query(sql);
    let lines = t.drain(query);
    (lines, t.letters())
}

#[test]
fn delays_change_nothing_of_feeds() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (seed, ways) = (setting("TIMING_SEED", DEFAULT_SEED), setting("TIMING_WAYS", DEFAULT_WAYS));
    println!("TIMING_SEED={seed} TIMING_WAYS={ways}");
    let mut random = Random(seed);
    for sql in OF_ONE {
        let blocks = blocks_of_feeds(&mut random);
        dawdle_from(0);
        let expected = of_feeds(&blocks, sql, PLAIN);
        assert!(!expected.0.is_empty(), "{sql}");
        for _ in 0..2 * ways {
            let (way, delays) = (random_way(&mut random), random.below(u64::MAX));
            dawdle_from(delays);
            let found = of_feeds(&blocks, sql, way);
            assert!(found == expected, "{sql}\n{way:?}, delays {delays}");
        }
    }
    dawdle_from(0);
}
