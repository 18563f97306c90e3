//! The scenarios of the benchmarks as rows of named values, at tiny sizes; for the tests of the record-at-a-time
//! engine.

use velostream_runtime::{Literal, StreamRecord};

pub struct Scenario {
    pub id: &'static str,
    pub definitions: &'static str,
    pub sql: &'static str,
    /// Record number `i`, with the relation where there are several.
    pub record: fn(usize) -> StreamRecord,
    /// How many changes 600 records cause, the end included.
    pub changes: usize,
}

pub const RECORDS: usize = 600;

const ORDERS: &str =
    "CREATE STREAM orders (order_id BIGINT, customer_id INT, order_date STRING, total_amount DOUBLE)";
const SELECTION: &str =
    "SELECT order_id, customer_id, order_date, total_amount FROM orders WHERE total_amount > 100";
const PRICED: &str = "CREATE STREAM market_data (symbol STRING, price DOUBLE, quantity INT)";
const TIMED: &str = "CREATE STREAM market_data (trader_id STRING, symbol STRING, price DOUBLE, quantity INT, \
    trade_time TIMESTAMP, WATERMARK FOR trade_time AS trade_time)";

macro_rules! windowed {
    ($emit:literal) => {
        concat!(
            "SELECT trader_id, symbol, window_start, COUNT(*) AS trade_count, AVG(price) AS avg_price, ",
            "SUM(quantity) AS total_quantity, SUM(price * quantity) AS total_value ",
            "FROM market_data WINDOW TUMBLING (trade_time, INTERVAL '1' SECOND) GROUP BY trader_id, symbol EMIT ",
            $emit
        )
    };
}

const EVENTS: &str = "
    CREATE STREAM person (id BIGINT, name STRING, state STRING, ts TIMESTAMP, WATERMARK FOR ts AS ts);
    CREATE STREAM auction (id BIGINT, seller BIGINT, category INT, ts TIMESTAMP, WATERMARK FOR ts AS ts);
    CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, ts TIMESTAMP, \
        WATERMARK FOR ts AS ts)";

/// Every scenario. Windows of a minute are of a second here, so that some of them close.
pub const ALL: [Scenario; 18] = [
    Scenario {
        id: "s0",
        definitions: ORDERS,
        sql: SELECTION,
        record: |i| order(i, 150 + i % 100),
        changes: 600,
    },
    Scenario {
        id: "s0-half",
        definitions: ORDERS,
        sql: SELECTION,
        record: |i| order(i, i % 200),
        changes: 297,
    },
    Scenario {
        id: "s0-few",
        definitions: ORDERS,
        sql: "SELECT order_id, customer_id, order_date, total_amount FROM orders WHERE total_amount > 590",
        record: |i| order(i, i % 10_000),
        changes: 9,
    },
    Scenario {
        id: "s0b",
        definitions: ORDERS,
        sql: "SELECT customer_id, COUNT(*) AS n, SUM(total_amount) AS total FROM orders GROUP BY customer_id \
            EMIT CHANGES",
        record: |i| order(i % 50, 150 + i % 100),
        changes: 600,
    },
    Scenario {
        id: "s1",
        definitions: "CREATE STREAM market_data (symbol STRING, price DOUBLE, ts TIMESTAMP, WATERMARK FOR ts AS ts)",
        sql: "SELECT symbol, price, AVG(price) OVER (PARTITION BY symbol ORDER BY ts \
            ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) AS moving_avg FROM market_data",
        record: |i| trade(i, 10).with("ts", Literal::Timestamp(i as i64 * 1_000_000)),
        changes: 600,
    },
    Scenario {
        id: "s2",
        definitions: PRICED,
        sql: "SELECT symbol, COUNT(*) AS trade_count, AVG(price) AS avg_price, MIN(price) AS min_price, \
            MAX(price) AS max_price, SUM(quantity) AS total_quantity FROM market_data GROUP BY symbol EMIT CHANGES",
        record: |i| trade(i, 20),
        changes: 600,
    },
    Scenario {
        id: "s2b",
        definitions: "CREATE STREAM trades (symbol STRING, price DOUBLE, quantity INT, ts TIMESTAMP, \
                WATERMARK FOR ts AS ts);
            CREATE STREAM quotes (symbol STRING, bid DOUBLE, ts TIMESTAMP, WATERMARK FOR ts AS ts)",
        sql: "SELECT t.symbol, COUNT(*) AS n, SUM(t.price - q.bid) AS spread FROM trades t \
            JOIN quotes q WITHIN 1 SECOND ON t.symbol = q.symbol WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY t.symbol \
            EMIT FINAL",
        record: trade_or_quote,
        changes: 60,
    },
    Scenario { id: "s3a", definitions: TIMED, sql: windowed!("FINAL"), record: timed, changes: 600 },
    Scenario { id: "s3b", definitions: TIMED, sql: windowed!("CHANGES"), record: timed, changes: 600 },
    Scenario {
        id: "s4",
        definitions: "CREATE TABLE instruments (symbol STRING PRIMARY KEY, sector STRING, lot INT);
            CREATE STREAM trades (symbol STRING, price DOUBLE, quantity INT)",
        sql: "SELECT t.symbol, t.price * i.lot AS value, i.sector FROM trades t \
            JOIN instruments i ON t.symbol = i.symbol",
        record: |i| {
            if i < 100 { instrument(i) } else { trade(i, 100).to("trades") }
        },
        changes: 500,
    },
    Scenario {
        id: "s5",
        definitions: "CREATE STREAM measurements (station STRING, t DOUBLE)",
        sql: "SELECT station, MIN(t) AS lo, AVG(t) AS mean, MAX(t) AS hi FROM measurements GROUP BY station \
            EMIT FINAL",
        record: |i| {
            let tenths = (i * 7919 % 1999) as f64 - 999.0;
            StreamRecord::new().with("station", format!("S{}", i % 40)).with("t", tenths / 10.0)
        },
        changes: 40,
    },
    Scenario {
        id: "q0",
        definitions: EVENTS,
        sql: "SELECT auction, bidder, price, ts FROM bid",
        record: bid,
        changes: 600,
    },
    Scenario {
        id: "q1",
        definitions: EVENTS,
        sql: "SELECT auction, bidder, 0.908 * price AS price, ts FROM bid",
        record: bid,
        changes: 600,
    },
    Scenario {
        id: "q2",
        definitions: EVENTS,
        sql: "SELECT auction, price FROM bid WHERE auction % 123 = 0",
        record: bid,
        changes: 240,
    },
    Scenario {
        id: "q3",
        definitions: EVENTS,
        sql: "SELECT p.name, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id \
            WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
        record: person_or_auction,
        changes: 150,
    },
    Scenario {
        id: "q8",
        definitions: EVENTS,
        sql: "SELECT p.id, p.name, a.id AS auction FROM person p JOIN auction a WITHIN 10 SECONDS \
            ON p.id = a.seller",
        record: person_or_auction,
        changes: 300,
    },
    Scenario {
        id: "q11",
        definitions: EVENTS,
        sql: "SELECT bidder, COUNT(*) AS bid_count, window_start, window_end FROM bid WINDOW SESSION (10 SECONDS) \
            GROUP BY bidder EMIT FINAL",
        record: bid,
        changes: 30,
    },
    Scenario {
        id: "q17",
        definitions: EVENTS,
        sql: "SELECT auction, COUNT(*) AS total_bids, COUNT(*) FILTER (WHERE price < 300) AS low, \
            MIN(price) AS least, MAX(price) AS most, AVG(price) AS mean, SUM(price) AS total FROM bid \
            GROUP BY auction",
        record: bid,
        changes: 600,
    },
];

fn order(i: usize, total_amount: usize) -> StreamRecord {
    StreamRecord::new()
        .with("order_id", i as i64)
        .with("customer_id", (i % 1000) as i32)
        .with("order_date", "2024-01-15")
        .with("total_amount", total_amount as f64)
}

fn trade(i: usize, symbols: usize) -> StreamRecord {
    StreamRecord::new()
        .with("symbol", format!("SYM{}", i % symbols))
        .with("price", (100 + i % 100) as f64)
        .with("quantity", (i % 1000) as i32)
}

fn timed(i: usize) -> StreamRecord {
    trade(i, 97)
        .with("trader_id", format!("T{}", i % 53))
        .with("trade_time", Literal::Timestamp((1_000_000 + i as i64 * 10) * 1000))
}

fn trade_or_quote(record: usize) -> StreamRecord {
    let i = record / 2;
    let at = |millis: i64| Literal::Timestamp(millis * 1000);
    if record.is_multiple_of(2) {
        return trade(i, 20).with("ts", at(i as i64 * 10)).to("trades");
    }
    let quote = StreamRecord::new().with("symbol", format!("SYM{}", i % 20));
    quote.with("bid", (99 + i % 100) as f64).with("ts", at(i as i64 * 10 + 5)).to("quotes")
}

fn instrument(j: usize) -> StreamRecord {
    StreamRecord::new()
        .with("symbol", format!("SYM{j}"))
        .with("sector", format!("S{}", j % 11))
        .with("lot", (1 + j % 9) as i32)
        .to("instruments")
}

fn bid(i: usize) -> StreamRecord {
    StreamRecord::new()
        .with("auction", (i % 10 * 41) as i64)
        .with("bidder", (i % 30) as i64)
        .with("price", (100 + i * 37 % 900) as i64)
        .with("channel", "web")
        .with("ts", Literal::Timestamp(i as i64 * 100_000))
}

fn person_or_auction(record: usize) -> StreamRecord {
    let (i, ts) = ((record / 2) as i64, Literal::Timestamp(record as i64 * 100_000));
    if record.is_multiple_of(2) {
        let state = ["OR", "ID", "CA", "WA"][record / 2 % 4];
        let person = StreamRecord::new().with("id", i).with("name", format!("person {i}"));
        return person.with("state", state).with("ts", ts).to("person");
    }
    let auction = StreamRecord::new().with("id", 1000 + i).with("seller", i);
    auction.with("category", (10 + i % 2) as i32).with("ts", ts).to("auction")
}
