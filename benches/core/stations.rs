//! s5: the least, mean and largest temperature of each of 408 stations; see `benches/stations.ts`.

use crate::scenarios::{Row, Scenario, Tally, f64s, over, shown, text};
use std::hint::black_box;
use velostream_engine::batch::ChangeBatch;

const BEGINNINGS: [&str; 24] = [
    "Al", "Bar", "Cor", "Dun", "Est", "Fal", "Gren", "Hol", "Ist", "Jor", "Kal", "Lim", "Mar", "Nor", "Ost",
    "Pal", "Quin", "Ros", "Sal", "Tor", "Ulm", "Val", "Wes", "Zan",
];
const ENDINGS: [&str; 17] = [
    "a", "berg", "chester", "dorf", "field", "gate", "ham", "haven", "ia", "kirk", "mouth", "o", "port",
    "stad", "ton", "ville", "wick",
];
const STATIONS: usize = BEGINNINGS.len() * ENDINGS.len();
/// From -99.9 to 99.9 in tenths.
const TENTHS: u32 = 1999;
const TENTHS_LEAST: i32 = -999;

pub fn stations() -> Scenario {
    Scenario {
        id: "s5",
        definitions: &["CREATE STREAM measurements (station STRING, t DOUBLE)"],
        file_options: "format = 'csv', delimiter = ';', header = 'false'",
        sql: "SELECT station, MIN(t) AS lo, AVG(t) AS mean, MAX(t) AS hi FROM measurements GROUP BY station \
            EMIT FINAL",
        row: |i| {
            let (station, tenths) = measurement(i);
            Row::Measurement { station: name(station), t: f64::from(tenths) / 10.0 }
        },
        take: take_stations,
        expected: expected_stations,
        ..over(&["measurements"])
    }
}

/// Scrambles a number; the finalizer of MurmurHash3, which is in the public domain.
fn scrambled(number: u32) -> u32 {
    let mut x = number;
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

/// Station and temperature in tenths of record `i`.
fn measurement(i: usize) -> (usize, i32) {
    let first = scrambled(i as u32);
    let second = scrambled(first ^ 0x9e37_79b9);
    (first as usize % STATIONS, (second % TENTHS) as i32 + TENTHS_LEAST)
}

fn name(station: usize) -> String {
    let (beginning, ending) = (BEGINNINGS[station % BEGINNINGS.len()], ENDINGS[station / BEGINNINGS.len()]);
    format!("{beginning}{ending}")
}

fn take_stations(out: &ChangeBatch, tally: &mut Tally) {
    let [stations, least, means, most] = out.columns.as_slice() else { unreachable!("four columns") };
    let (least, means, most) = (f64s(least), f64s(means), f64s(most));
    for row in shown(out) {
        black_box(text(stations, row));
        tally.add(most[row] - least[row] + means[row].abs());
    }
}

fn expected_stations(records: usize) -> Tally {
    let mut groups = [(0_i64, 0_i64, i32::MAX, i32::MIN); STATIONS];
    for i in 0..records {
        let (station, tenths) = measurement(i);
        let (count, total, least, most) = &mut groups[station];
        *count += 1;
        *total += i64::from(tenths);
        *least = tenths.min(*least);
        *most = tenths.max(*most);
    }
    let mut tally = Tally::default();
    for (count, total, least, most) in groups.into_iter().filter(|(count, ..)| *count > 0) {
        let mean = total as f64 / count as f64;
        tally.add((f64::from(most - least) + mean.abs()) / 10.0);
    }
    tally
}
