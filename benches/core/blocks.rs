//! Rows as row blocks, the form in which the engine takes them (`velostream_runtime::ingest::rows`).

use crate::scenarios::Row;

const NUMBER: u8 = 1;
const INTEGER: u8 = 2;
const TEXT: u8 = 3;
const HEADER_BYTES: usize = 16;

enum Cell<'a> {
    Double(f64),
    Integer(i64),
    Text(&'a str),
    /// Crosses as milliseconds.
    Time {
        micros: i64,
    },
}

fn cells(row: &Row) -> Vec<Cell<'_>> {
    use Cell::{Double, Integer, Text, Time};
    match row {
        Row::Order { order_id, customer_id, order_date, total_amount } => {
            let customer = Integer(i64::from(*customer_id));
            vec![Integer(*order_id), customer, Text(order_date), Double(*total_amount)]
        }
        Row::Trade { symbol, price, quantity } => {
            vec![Text(symbol), Double(*price), Integer(i64::from(*quantity))]
        }
        Row::Quote { symbol, price, ts_micros: micros }
        | Row::Price { symbol, price, time_micros: micros } => {
            vec![Text(symbol), Double(*price), Time { micros: *micros }]
        }
        Row::Timed { trader_id, symbol, price, quantity, trade_time_micros: micros } => {
            let quantity = Integer(i64::from(*quantity));
            vec![Text(trader_id), Text(symbol), Double(*price), quantity, Time { micros: *micros }]
        }
        Row::TimedTrade { symbol, price, quantity, time_micros: micros } => {
            let quantity = Integer(i64::from(*quantity));
            vec![Text(symbol), Double(*price), quantity, Time { micros: *micros }]
        }
        Row::Instrument { symbol, sector, lot } => {
            vec![Text(symbol), Text(sector), Integer(i64::from(*lot))]
        }
        Row::Measurement { station, t } => vec![Text(station), Double(*t)],
    }
}

/// The rows, all of one relation, as one block.
pub fn block(rows: &[Row]) -> Vec<u8> {
    let cells: Vec<Vec<Cell<'_>>> = rows.iter().map(cells).collect();
    let mut block = vec![0; HEADER_BYTES];
    let mut heap = Vec::new();
    for column in 0..cells.first().map_or(0, Vec::len) {
        let (mut tags, mut slots) = (Vec::new(), Vec::new());
        for row in &cells {
            let (tag, slot) = encode(&row[column], &mut heap);
            tags.push(tag);
            slots.extend(slot);
        }
        tags.resize(tags.len().next_multiple_of(8), 0);
        block.extend(tags);
        block.extend(slots);
    }
    for (at, value) in [rows.len(), block.len(), heap.len(), 0].into_iter().enumerate() {
        block[at * 4..at * 4 + 4].copy_from_slice(&word(value));
    }
    block.extend(heap);
    block
}

fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).expect("a block is small").to_le_bytes()
}

fn encode(cell: &Cell<'_>, heap: &mut Vec<u8>) -> (u8, [u8; 8]) {
    match cell {
        Cell::Double(value) => (NUMBER, value.to_le_bytes()),
        Cell::Integer(value) => (INTEGER, value.to_le_bytes()),
        Cell::Time { micros } => (NUMBER, (*micros as f64 / 1000.0).to_le_bytes()),
        Cell::Text(text) => {
            let mut slot = [0; 8];
            slot[..4].copy_from_slice(&word(heap.len()));
            slot[4..].copy_from_slice(&word(text.len()));
            heap.extend(text.as_bytes());
            (TEXT, slot)
        }
    }
}
