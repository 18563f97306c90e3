//! Scenarios of joins: s2b and s4; see `benches/join-scenarios.ts`.

use crate::scenarios::{Row, Scenario, Tally, f64s, i64s, over, shown, text};
use std::hint::black_box;
use velostream_engine::batch::ChangeBatch;

const SYMBOLS: usize = 200;
const INSTRUMENTS: usize = 10_000;
/// Trades, and as many quotes, in ten seconds.
const WINDOW_PAIRS: usize = 1000;

/// s2b: a windowed aggregate over an interval join; trades and quotes take turns.
pub fn spreads() -> Scenario {
    Scenario {
        id: "s2b",
        definitions: &[
            "CREATE STREAM trades (symbol STRING, price DOUBLE, quantity INT, ts TIMESTAMP, \
                WATERMARK FOR ts AS ts)",
            "CREATE STREAM quotes (symbol STRING, bid DOUBLE, ts TIMESTAMP, WATERMARK FOR ts AS ts)",
        ],
        sql: "SELECT t.symbol, COUNT(*) AS n, SUM(t.price - q.bid) AS spread FROM trades t \
            JOIN quotes q WITHIN 1 SECOND ON t.symbol = q.symbol WINDOW TUMBLING (SIZE 10 SECONDS) \
            GROUP BY t.symbol EMIT FINAL",
        row: trade_or_quote,
        take: take_spreads,
        expected: expected_spreads,
        ..over(&["trades", "quotes"])
    }
}

/// s4: each trade with its instrument, which the table holds before the first record.
pub fn lookups() -> Scenario {
    Scenario {
        id: "s4",
        table: Some("instruments"),
        table_rows: || (0..INSTRUMENTS).map(instrument).collect(),
        definitions: &[
            "CREATE TABLE instruments (symbol STRING PRIMARY KEY, sector STRING, lot INT)",
            "CREATE STREAM trades (symbol STRING, price DOUBLE, quantity INT)",
        ],
        sql: "SELECT t.symbol, t.price * i.lot AS value, i.sector FROM trades t \
            JOIN instruments i ON t.symbol = i.symbol",
        row: |i| Row::Trade {
            symbol: format!("SYM{}", i % INSTRUMENTS),
            price: (100 + i % 100) as f64,
            quantity: (i % 1000) as i32,
        },
        take: take_lookups,
        expected: expected_lookups,
        ..over(&["trades"])
    }
}

fn trade_or_quote(record: usize) -> Row {
    let i = record / 2;
    let symbol = format!("SYM{}", i % SYMBOLS);
    if record % 2 == 1 {
        return Row::Price { symbol, price: (99 + i % 100) as f64, time_micros: (i as i64 * 10 + 5) * 1000 };
    }
    let price = (100 + i % 100) as f64;
    Row::TimedTrade { symbol, price, quantity: (i % 1000) as i32, time_micros: i as i64 * 10_000 }
}

fn lot(j: usize) -> usize {
    1 + j % 9
}

fn instrument(j: usize) -> Row {
    Row::Instrument { symbol: format!("SYM{j}"), sector: format!("S{}", j % 11), lot: lot(j) as i32 }
}

fn take_spreads(out: &ChangeBatch, tally: &mut Tally) {
    let [symbols, counts, spreads] = out.columns.as_slice() else { unreachable!("three columns") };
    let (counts, spreads) = (i64s(counts), f64s(spreads));
    for row in shown(out) {
        black_box(text(symbols, row));
        tally.add(counts[row] as f64 + spreads[row]);
    }
}

fn take_lookups(out: &ChangeBatch, tally: &mut Tally) {
    let [symbols, values, sectors] = out.columns.as_slice() else { unreachable!("three columns") };
    let values = f64s(values);
    for row in shown(out) {
        black_box((text(symbols, row), text(sectors, row)));
        tally.add(values[row]);
    }
}

/// Each trade meets one quote, five milliseconds later in the same window, which is one cheaper.
fn expected_spreads(records: usize) -> Tally {
    let pairs = records / 2;
    let windows = (0..pairs).step_by(WINDOW_PAIRS).map(|from| (pairs - from).min(SYMBOLS));
    Tally { changes: windows.sum::<usize>() as u64, checksum: 2.0 * pairs as f64 }
}

fn expected_lookups(records: usize) -> Tally {
    let mut tally = Tally::default();
    (0..records).for_each(|i| tally.add(((100 + i % 100) * lot(i % INSTRUMENTS)) as f64));
    tally
}
