//! The scenarios as Rust sees them: row structs, how they become columns, and what the answer must be.

use crate::{joined, stations};
use std::collections::HashMap;
use std::hint::black_box;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::column::{Column, Values};

/// What a run has seen of its changes.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub changes: u64,
    pub checksum: f64,
}

impl Tally {
    pub fn add(&mut self, weight: f64) {
        self.changes += 1;
        self.checksum += weight;
    }

    /// What both have seen.
    pub fn merge(&mut self, other: &Self) {
        self.changes += other.changes;
        self.checksum += other.checksum;
    }

    /// Whether both have seen the same, but for the last digits of sums.
    pub fn equals(&self, other: &Self) -> bool {
        self.changes == other.changes && (self.checksum - other.checksum).abs() <= 1e-9 * other.checksum.abs()
    }
}

/// A record of any scenario.
pub enum Row {
    Order { order_id: i64, customer_id: i32, order_date: &'static str, total_amount: f64 },
    Trade { symbol: String, price: f64, quantity: i32 },
    Quote { symbol: String, price: f64, ts_micros: i64 },
    Timed { trader_id: String, symbol: String, price: f64, quantity: i32, trade_time_micros: i64 },
    Price { symbol: String, price: f64, time_micros: i64 },
    TimedTrade { symbol: String, price: f64, quantity: i32, time_micros: i64 },
    Instrument { symbol: String, sector: String, lot: i32 },
    Measurement { station: String, t: f64 },
}

/// A scenario; see `benches/scenarios.ts` for the same in JavaScript.
pub struct Scenario {
    pub id: &'static str,
    /// The sources of the records, which take turns.
    pub relations: &'static [&'static str],
    /// A table that is full before the first record, and its rows.
    pub table: Option<&'static str>,
    pub table_rows: fn() -> Vec<Row>,
    pub definitions: &'static [&'static str],
    /// How a file of its records is written.
    pub file_options: &'static str,
    pub sql: &'static str,
    pub row: fn(usize) -> Row,
    /// Reads every changed row as a struct and tallies it.
    pub take: fn(&ChangeBatch, &mut Tally),
    pub expected: fn(usize) -> Tally,
}

const ORDERS: &str =
    "CREATE STREAM orders (order_id BIGINT, customer_id INT, order_date STRING, total_amount DOUBLE)";
const SELECTION: &str =
    "SELECT order_id, customer_id, order_date, total_amount FROM orders WHERE total_amount > 100";
const SELECTION_OF_FEW: &str =
    "SELECT order_id, customer_id, order_date, total_amount FROM orders WHERE total_amount > 9900";
pub const TIMED: &str = "CREATE STREAM market_data (trader_id STRING, symbol STRING, price DOUBLE, quantity INT, \
    trade_time TIMESTAMP, WATERMARK FOR trade_time AS trade_time)";
const MINUTE_MICROS: i64 = 60_000_000;

macro_rules! windowed {
    ($emit:literal) => {
        concat!(
            "SELECT trader_id, symbol, window_start, COUNT(*) AS trade_count, AVG(price) AS avg_price, ",
            "SUM(quantity) AS total_quantity, SUM(price * quantity) AS total_value ",
            "FROM market_data WINDOW TUMBLING (trade_time, INTERVAL '1' MINUTE) GROUP BY trader_id, symbol EMIT ",
            $emit
        )
    };
}

macro_rules! hopping {
    ($emit:literal) => {
        concat!(
            "SELECT symbol, window_start, COUNT(*) AS n, SUM(quantity) AS total, MAX(quantity) AS most ",
            "FROM market_data WINDOW HOPPING (SIZE 60 SECONDS, ADVANCE BY 1 SECOND) GROUP BY symbol EMIT ",
            $emit
        )
    };
}

macro_rules! sessions {
    ($emit:literal) => {
        concat!(
            "SELECT trader_id, window_start, window_end, COUNT(*) AS n, SUM(quantity) AS total ",
            "FROM market_data WINDOW SESSION (5 SECONDS) GROUP BY trader_id EMIT ",
            $emit
        )
    };
}

/// Every scenario of this build.
pub fn all() -> Vec<Scenario> {
    let selection = |id, row, expected| Scenario {
        id,
        definitions: &[ORDERS],
        sql: SELECTION,
        row,
        take: take_orders,
        expected,
        ..over(&["orders"])
    };
    let windowed = |id, sql, expected| Scenario {
        id,
        definitions: &[TIMED],
        sql,
        row: timed,
        take: take_windows,
        expected,
        ..over(&["market_data"])
    };
    vec![
        selection(
            "s0",
            |i| order(i, 150.0 + (i % 100) as f64),
            |n| expected_orders(n, 100.0, |i| 150.0 + (i % 100) as f64),
        ),
        selection(
            "s0-half",
            |i| order(i, (i % 200) as f64),
            |n| expected_orders(n, 100.0, |i| (i % 200) as f64),
        ),
        Scenario {
            sql: SELECTION_OF_FEW,
            ..selection(
                "s0-few",
                |i| order(i, (i % 10_000) as f64),
                |n| expected_orders(n, 9900.0, |i| (i % 10_000) as f64),
            )
        },
        Scenario {
            id: "s0b",
            definitions: &[ORDERS],
            sql: "SELECT customer_id, COUNT(*) AS n, SUM(total_amount) AS total FROM orders \
                GROUP BY customer_id EMIT CHANGES",
            row: |i| order(i, 150.0 + (i % 100) as f64),
            take: take_customers,
            expected: expected_customers,
            ..over(&["orders"])
        },
        Scenario {
            id: "s2",
            definitions: &["CREATE STREAM market_data (symbol STRING, price DOUBLE, quantity INT)"],
            sql: "SELECT symbol, COUNT(*) AS trade_count, AVG(price) AS avg_price, MIN(price) AS min_price, \
                MAX(price) AS max_price, SUM(quantity) AS total_quantity FROM market_data \
                GROUP BY symbol EMIT CHANGES",
            row: |i| Row::Trade {
                symbol: format!("SYM{}", i % 200),
                price: (100 + i % 100) as f64,
                quantity: (i % 1000) as i32,
            },
            take: take_symbols,
            expected: expected_symbols,
            ..over(&["market_data"])
        },
        Scenario {
            id: "s1",
            definitions: &[
                "CREATE STREAM market_data (symbol STRING, price DOUBLE, ts TIMESTAMP, WATERMARK FOR ts AS ts)",
            ],
            sql: "SELECT symbol, price, AVG(price) OVER (PARTITION BY symbol ORDER BY ts \
                ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) AS moving_avg FROM market_data",
            row: |i| Row::Quote {
                symbol: format!("SYM{}", i % 10),
                price: (100 + i % 50) as f64,
                ts_micros: i as i64 * 1_000_000,
            },
            take: take_averages,
            expected: expected_averages,
            ..over(&["market_data"])
        },
        windowed("s3a", windowed!("FINAL"), |n| expected_windows(n, true)),
        windowed("s3b", windowed!("CHANGES"), |n| expected_windows(n, false)),
        Scenario { take: take_hops, ..windowed("hopping", hopping!("FINAL"), |n| expected_hops(n, true)) },
        Scenario {
            take: take_hops,
            ..windowed("hopping-changes", hopping!("CHANGES"), |n| expected_hops(n, false))
        },
        Scenario {
            row: burst,
            take: take_sessions,
            ..windowed("session", sessions!("FINAL"), |n| expected_sessions(n, true))
        },
        Scenario {
            row: burst,
            take: take_sessions,
            ..windowed("session-changes", sessions!("CHANGES"), |n| expected_sessions(n, false))
        },
        joined::spreads(),
        joined::lookups(),
        stations::stations(),
    ]
}

/// What a scenario without a table leaves open.
pub fn over(relations: &'static [&'static str]) -> Scenario {
    Scenario {
        id: "",
        relations,
        table: None,
        table_rows: Vec::new,
        definitions: &[],
        file_options: "format = 'json'",
        sql: "",
        row: |i| order(i, 0.0),
        take: take_orders,
        expected: |_| Tally::default(),
    }
}

fn order(i: usize, total_amount: f64) -> Row {
    Row::Order { order_id: i as i64, customer_id: (i % 1000) as i32, order_date: "2024-01-15", total_amount }
}

fn timed(i: usize) -> Row {
    timed_at(i, 1_000_000 + i as i64 * 10)
}

/// The trade of s3a at a time in milliseconds.
pub fn timed_at(i: usize, time_millis: i64) -> Row {
    Row::Timed {
        trader_id: format!("T{}", i % 53),
        symbol: format!("SYM{}", i % 97),
        price: (100 + i % 50) as f64,
        quantity: (i % 1000) as i32,
        trade_time_micros: time_millis * 1000,
    }
}

/// Two traders take turns for a hundred records, which is a second, then the next two; each pair comes again
/// after 53 seconds.
fn burst(i: usize) -> Row {
    match timed(i) {
        Row::Timed { symbol, price, quantity, trade_time_micros, .. } => {
            let trader_id = format!("T{}", i / 100 % 53 * 2 + i % 2);
            Row::Timed { trader_id, symbol, price, quantity, trade_time_micros }
        }
        other => other,
    }
}

impl Row {
    /// Appends the row to its source's columns, with a mark.
    pub fn push(&self, to: &mut ChangeBatch) {
        self.append(&mut to.columns);
        to.push_mark(Op::Insert, Seq(0), 0);
    }

    /// Appends the row to its source's columns.
    pub fn append(&self, columns: &mut [Column]) {
        match self {
            Self::Order { order_id, customer_id, order_date, total_amount } => {
                push_i64(&mut columns[0], *order_id);
                push_i32(&mut columns[1], *customer_id);
                push_text(&mut columns[2], order_date);
                push_f64(&mut columns[3], *total_amount);
            }
            Self::Trade { symbol, price, quantity } => {
                push_text(&mut columns[0], symbol);
                push_f64(&mut columns[1], *price);
                push_i32(&mut columns[2], *quantity);
            }
            Self::Quote { symbol, price, ts_micros } => {
                push_text(&mut columns[0], symbol);
                push_f64(&mut columns[1], *price);
                push_i64(&mut columns[2], *ts_micros);
            }
            Self::Timed { trader_id, symbol, price, quantity, trade_time_micros } => {
                push_text(&mut columns[0], trader_id);
                push_text(&mut columns[1], symbol);
                push_f64(&mut columns[2], *price);
                push_i32(&mut columns[3], *quantity);
                push_i64(&mut columns[4], *trade_time_micros);
            }
            Self::Price { symbol, price, time_micros } => {
                push_text(&mut columns[0], symbol);
                push_f64(&mut columns[1], *price);
                push_i64(&mut columns[2], *time_micros);
            }
            Self::TimedTrade { symbol, price, quantity, time_micros } => {
                push_text(&mut columns[0], symbol);
                push_f64(&mut columns[1], *price);
                push_i32(&mut columns[2], *quantity);
                push_i64(&mut columns[3], *time_micros);
            }
            Self::Instrument { symbol, sector, lot } => {
                push_text(&mut columns[0], symbol);
                push_text(&mut columns[1], sector);
                push_i32(&mut columns[2], *lot);
            }
            Self::Measurement { station, t } => {
                push_text(&mut columns[0], station);
                push_f64(&mut columns[1], *t);
            }
        }
    }
}

macro_rules! push {
    ($name:ident, $variant:ident, $value:ty) => {
        fn $name(column: &mut Column, value: $value) {
            let Values::$variant(values) = &mut column.values else { unreachable!("the schema says so") };
            let row = values.len();
            values.push(value);
            column.validity.push(row, true);
        }
    };
}
push!(push_i32, I32, i32);
push!(push_i64, I64, i64);
push!(push_f64, F64, f64);

fn push_text(column: &mut Column, value: &str) {
    let Values::Text(values) = &mut column.values else { unreachable!("the schema says so") };
    let row = values.len();
    values.push(value.as_bytes());
    column.validity.push(row, true);
}

macro_rules! get {
    ($name:ident, $variant:ident, $value:ty) => {
        pub fn $name(column: &Column) -> &[$value] {
            let Values::$variant(values) = &column.values else { unreachable!("the schema says so") };
            values
        }
    };
}
get!(i32s, I32, i32);
get!(i64s, I64, i64);
get!(f64s, F64, f64);

pub fn text(column: &Column, row: usize) -> &[u8] {
    let Values::Text(values) = &column.values else { unreachable!("the schema says so") };
    values.get(row)
}

/// Rows that are additions; the old halves of updates are not changes of their own.
pub fn shown(out: &ChangeBatch) -> impl Iterator<Item = usize> {
    out.ops.iter().enumerate().filter(|(_, op)| op.is_addition()).map(|(row, _)| row)
}

fn take_orders(out: &ChangeBatch, tally: &mut Tally) {
    let [ids, customers, dates, totals] = out.columns.as_slice() else { unreachable!("four columns") };
    let (ids, customers, totals) = (i64s(ids), i32s(customers), f64s(totals));
    for row in shown(out) {
        black_box((ids[row], customers[row], text(dates, row)));
        tally.add(totals[row]);
    }
}

fn take_customers(out: &ChangeBatch, tally: &mut Tally) {
    let [customers, counts, totals] = out.columns.as_slice() else { unreachable!("three columns") };
    let (customers, counts, totals) = (i32s(customers), i64s(counts), f64s(totals));
    for row in shown(out) {
        black_box(customers[row]);
        tally.add(counts[row] as f64 + totals[row]);
    }
}

fn take_symbols(out: &ChangeBatch, tally: &mut Tally) {
    let [symbols, counts, means, least, most, quantities] = out.columns.as_slice() else {
        unreachable!("six columns")
    };
    let (counts, quantities) = (i64s(counts), i64s(quantities));
    let (means, least, most) = (f64s(means), f64s(least), f64s(most));
    for row in shown(out) {
        black_box((text(symbols, row), means[row], least[row], most[row]));
        tally.add((counts[row] + quantities[row]) as f64);
    }
}

fn take_averages(out: &ChangeBatch, tally: &mut Tally) {
    let [symbols, prices, means] = out.columns.as_slice() else { unreachable!("three columns") };
    let (prices, means) = (f64s(prices), f64s(means));
    for row in shown(out) {
        black_box((text(symbols, row), prices[row]));
        tally.add(means[row]);
    }
}

fn take_windows(out: &ChangeBatch, tally: &mut Tally) {
    let [traders, symbols, starts, counts, means, quantities, values] = out.columns.as_slice() else {
        unreachable!("seven columns")
    };
    let (starts, counts, quantities) = (i64s(starts), i64s(counts), i64s(quantities));
    let (means, values) = (f64s(means), f64s(values));
    for row in shown(out) {
        black_box((text(traders, row), text(symbols, row), starts[row], means[row], quantities[row]));
        tally.add(counts[row] as f64 + values[row]);
    }
}

fn take_hops(out: &ChangeBatch, tally: &mut Tally) {
    let [symbols, starts, counts, totals, most] = out.columns.as_slice() else {
        unreachable!("five columns")
    };
    let (starts, counts, totals, most) = (i64s(starts), i64s(counts), i64s(totals), i32s(most));
    for row in shown(out) {
        black_box((text(symbols, row), starts[row], totals[row], most[row]));
        tally.add(counts[row] as f64);
    }
}

fn take_sessions(out: &ChangeBatch, tally: &mut Tally) {
    let [traders, starts, ends, counts, totals] = out.columns.as_slice() else {
        unreachable!("five columns")
    };
    let (starts, ends, counts, totals) = (i64s(starts), i64s(ends), i64s(counts), i64s(totals));
    for row in shown(out) {
        black_box((text(traders, row), starts[row], ends[row], totals[row]));
        tally.add(counts[row] as f64);
    }
}

fn expected_orders(records: usize, bound: f64, amount: fn(usize) -> f64) -> Tally {
    let mut tally = Tally::default();
    (0..records).map(amount).filter(|amount| *amount > bound).for_each(|amount| tally.add(amount));
    tally
}

fn expected_customers(records: usize) -> Tally {
    let mut tally = Tally::default();
    let mut groups = vec![(0.0, 0.0); 1000];
    for i in 0..records {
        let (count, total) = &mut groups[i % 1000];
        *count += 1.0;
        *total += 150.0 + (i % 100) as f64;
        tally.add(*count + *total);
    }
    tally
}

fn expected_symbols(records: usize) -> Tally {
    let mut tally = Tally::default();
    let mut groups = vec![(0.0, 0.0); 200];
    for i in 0..records {
        let (count, quantity) = &mut groups[i % 200];
        *count += 1.0;
        *quantity += (i % 1000) as f64;
        tally.add(*count + *quantity);
    }
    tally
}

fn expected_averages(records: usize) -> Tally {
    let mut tally = Tally::default();
    let price = |i: usize| (100 + i % 50) as f64;
    let mut sums = [0.0; 10];
    for i in 0..records {
        let sum = &mut sums[i % 10];
        *sum += price(i);
        if i >= 1000 {
            *sum -= price(i - 1000);
        }
        tally.add(*sum / (i / 10 + 1).min(100) as f64);
    }
    tally
}

fn expected_windows(records: usize, is_final: bool) -> Tally {
    let mut tally = Tally::default();
    let mut groups: HashMap<(usize, usize, i64), (f64, f64)> = HashMap::new();
    for i in 0..records {
        let start = (1_000_000 + i as i64 * 10) * 1000 / MINUTE_MICROS;
        let (count, value) = groups.entry((i % 53, i % 97, start)).or_default();
        *count += 1.0;
        *value += ((100 + i % 50) * (i % 1000)) as f64;
        if !is_final {
            tally.add(*count + *value);
        }
    }
    if is_final {
        groups.values().for_each(|(count, value)| tally.add(count + value));
    }
    tally
}

/// Each record is in the sixty windows that end within a minute of it.
fn expected_hops(records: usize, is_final: bool) -> Tally {
    let mut tally = Tally::default();
    let mut groups: HashMap<(usize, i64), f64> = HashMap::new();
    for i in 0..records {
        let second = (1_000_000 + i as i64 * 10) / 1000;
        for end in second + 1..=second + 60 {
            let count = groups.entry((i % 97, end)).or_default();
            *count += 1.0;
            if !is_final {
                tally.add(*count);
            }
        }
    }
    if is_final {
        groups.values().for_each(|count| tally.add(*count));
    }
    tally
}

fn expected_sessions(records: usize, is_final: bool) -> Tally {
    let mut tally = Tally::default();
    for i in 0..records {
        let count = i % 100 / 2 + 1;
        let is_last = i % 100 >= 98 || i + 2 >= records;
        if !is_final || is_last {
            tally.add(count as f64);
        }
    }
    tally
}
