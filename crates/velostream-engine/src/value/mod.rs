//! Text forms of scalar values, the calendar and exact decimals.
//!
//! Casts, ingest and output all read and write values here, so a value has one text everywhere.
//!
//! | type | text |
//! | --- | --- |
//! | BOOLEAN | `true`, `false` |
//! | DOUBLE | the shortest that reads back, as PostgreSQL writes it: `1`, `0.1`, `1e+20`, `NaN`, `Infinity` |
//! | DECIMAL | all digits of its scale: `1.50` |
//! | DATE | `2001-01-14` |
//! | TIME | `21:55:00`, with up to six places where there is a fraction |
//! | TIMESTAMP | `2001-01-14 21:55:00+00`, with a fraction as for TIME |
//! | INTERVAL | `1 year 2 mons 3 days 04:05:06` |
//! | BYTES | `\x` and hexadecimal digits |

pub mod calendar;
pub mod decimal;
mod interval;
mod number;
mod pattern;
mod plain_pattern;
mod plain_time;
mod time;

pub use decimal::{DecimalError, format_decimal, parse_decimal};
pub use interval::{format_interval, interval_micros, parse_interval};
pub use number::{
    canonical_double_bits, format_bytes, format_double, parse_boolean, parse_bytes, parse_double, parse_int,
    shorten_double,
};
pub use pattern::{PatternError, TimestampFormat};
pub use plain_time::{parse_date, parse_time, parse_timestamp};
pub use time::{format_date, format_time, format_timestamp};
