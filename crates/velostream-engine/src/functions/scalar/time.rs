//! Parts of times and arithmetic with units of time, in UTC.

use crate::error::RecordError;
use crate::functions::example::{Null, date, fails, timestamp};
use crate::functions::overload::scalar_functions;
use crate::value::calendar::{
    Civil, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, add_interval, add_months, civil_from_days,
    days_from_civil, split_timestamp,
};
use velostream_sql::plan::Interval;

/// A unit of time.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// So many microseconds; days and weeks included, since UTC has no other days.
    Micros(i64),
    /// Weeks begin on Monday.
    Week,
    /// So many months, aligned to the year 0; a century or millennium to the year 1.
    Months(i64),
}

/// Days from 1969-12-29, a Monday, to the epoch.
const EPOCH_SINCE_MONDAY_DAYS: i64 = 3;
const WEEK_MICROS: i64 = 7 * DAY_MICROS;

fn unit(name: &str) -> Result<Unit, RecordError> {
    let is = |names: &[&str]| names.iter().any(|candidate| candidate.eq_ignore_ascii_case(name));
    let unit = if is(&["microsecond", "microseconds", "us"]) {
        Unit::Micros(1)
    } else if is(&["millisecond", "milliseconds", "ms"]) {
        Unit::Micros(1_000)
    } else if is(&["second", "seconds", "sec", "s"]) {
        Unit::Micros(SECOND_MICROS)
    } else if is(&["minute", "minutes", "min", "m"]) {
        Unit::Micros(MINUTE_MICROS)
    } else if is(&["hour", "hours", "h"]) {
        Unit::Micros(HOUR_MICROS)
    } else if is(&["day", "days", "d"]) {
        Unit::Micros(DAY_MICROS)
    } else if is(&["week", "weeks", "w"]) {
        Unit::Week
    } else if is(&["month", "months", "mon"]) {
        Unit::Months(1)
    } else if is(&["quarter", "quarters"]) {
        Unit::Months(3)
    } else if is(&["year", "years", "y"]) {
        Unit::Months(12)
    } else if is(&["decade", "decades"]) {
        Unit::Months(120)
    } else if is(&["century", "centuries"]) {
        Unit::Months(1_200)
    } else if is(&["millennium", "millennia"]) {
        Unit::Months(12_000)
    } else {
        return Err(unknown_unit(name));
    };
    Ok(unit)
}

/// The unit named last; rows mostly share one.
#[derive(Default)]
struct Units {
    known: Option<(String, Unit)>,
}

impl Units {
    fn get(&mut self, name: &str) -> Result<Unit, RecordError> {
        if let Some((known, unit)) = &self.known
            && known == name
        {
            return Ok(*unit);
        }
        let unit = unit(name)?;
        self.known = Some((name.to_owned(), unit));
        Ok(unit)
    }
}

fn unknown_unit(name: &str) -> RecordError {
    RecordError::new(format!("unit of time \"{name}\" is not known"))
}

fn out_of_range() -> RecordError {
    RecordError::new("value out of range for TIMESTAMP")
}

/// The number of the unit that holds a time, counted from some fixed one.
fn ordinal(time: i64, unit: Unit) -> i64 {
    match unit {
        Unit::Micros(size) => time.div_euclid(size),
        Unit::Week => (split_timestamp(time).0 + EPOCH_SINCE_MONDAY_DAYS).div_euclid(7),
        Unit::Months(size) => {
            let Civil { year, month, .. } = civil_from_days(split_timestamp(time).0);
            (year * 12 + i64::from(month) - 1 - first_month(size)).div_euclid(size)
        }
    }
}

/// The month since the year 0 to which units of `size` months are aligned.
fn first_month(size: i64) -> i64 {
    if size > 120 { 12 } else { 0 }
}

/// The start of the unit that holds a time.
fn truncate(time: i64, unit: Unit) -> Result<i64, RecordError> {
    let number = ordinal(time, unit);
    let start = match unit {
        Unit::Micros(size) => number.checked_mul(size),
        Unit::Week => (number * 7 - EPOCH_SINCE_MONDAY_DAYS).checked_mul(DAY_MICROS),
        Unit::Months(size) => {
            let index = number * size + first_month(size);
            let (year, month) = (index.div_euclid(12), index.rem_euclid(12) as u32 + 1);
            days_from_civil(Civil { year, month, day: 1 }).checked_mul(DAY_MICROS)
        }
    };
    start.ok_or_else(out_of_range)
}

/// A time `count` units later.
fn add(time: i64, count: i64, unit: Unit) -> Result<i64, RecordError> {
    let later = match unit {
        Unit::Micros(size) => count.checked_mul(size).and_then(|micros| time.checked_add(micros)),
        Unit::Week => count.checked_mul(WEEK_MICROS).and_then(|micros| time.checked_add(micros)),
        Unit::Months(size) => count
            .checked_mul(size)
            .and_then(|months| i32::try_from(months).ok())
            .and_then(|months| add_interval(time, Interval { months, days: 0, micros: 0 })),
    };
    later.ok_or_else(out_of_range)
}

/// Whole units from `start` to `end`, negative if `end` is earlier.
fn whole_units(start: i64, end: i64, unit: Unit) -> Result<i64, RecordError> {
    let micros = end.checked_sub(start).ok_or_else(out_of_range)?;
    Ok(match unit {
        Unit::Micros(size) => micros / size,
        Unit::Week => micros / WEEK_MICROS,
        Unit::Months(size) => whole_months(start, end) / size,
    })
}

fn whole_months(start: i64, end: i64) -> i64 {
    let months = ordinal(end, Unit::Months(1)) - ordinal(start, Unit::Months(1));
    let (days, time) = split_timestamp(start);
    let reached = (add_months(days, months), time);
    let end = split_timestamp(end);
    if months > 0 && reached > end {
        months - 1
    } else if months < 0 && reached < end {
        months + 1
    } else {
        months
    }
}

/// A field of a time, as EXTRACT names it.
fn part(name: &str, time: i64) -> Result<f64, RecordError> {
    let (days, clock) = split_timestamp(time);
    let civil = civil_from_days(days);
    let lower = name.to_ascii_lowercase();
    let monday_based = (days + EPOCH_SINCE_MONDAY_DAYS).rem_euclid(7);
    let value = match lower.trim_end_matches('s') {
        "year" => civil.year as f64,
        "quarter" => f64::from((civil.month - 1) / 3 + 1),
        "month" => f64::from(civil.month),
        "week" => iso_week(days).1 as f64,
        "isoyear" => iso_week(days).0 as f64,
        "day" => f64::from(civil.day),
        "dow" | "dayofweek" => ((monday_based + 1) % 7) as f64,
        "isodow" => (monday_based + 1) as f64,
        "doy" | "dayofyear" => (days - year_start(civil.year) + 1) as f64,
        "hour" => (clock / HOUR_MICROS) as f64,
        "minute" => (clock / MINUTE_MICROS % 60) as f64,
        "second" => (clock % MINUTE_MICROS) as f64 / 1e6,
        "millisecond" => (clock % MINUTE_MICROS) as f64 / 1e3,
        "microsecond" => (clock % MINUTE_MICROS) as f64,
        "epoch" => time as f64 / 1e6,
        "decade" => civil.year.div_euclid(10) as f64,
        "century" | "centurie" => ((civil.year - 1).div_euclid(100) + 1) as f64,
        "millennium" | "millennia" => ((civil.year - 1).div_euclid(1000) + 1) as f64,
        _ => return Err(unknown_unit(name)),
    };
    Ok(value)
}

fn year_start(year: i64) -> i64 {
    days_from_civil(Civil { year, month: 1, day: 1 })
}

/// Year and week of ISO 8601: those of the week's Thursday.
fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - (days + EPOCH_SINCE_MONDAY_DAYS).rem_euclid(7) + 3;
    let year = civil_from_days(thursday).year;
    (year, (thursday - year_start(year)) / 7 + 1)
}

fn civil(time: i64) -> Civil {
    civil_from_days(split_timestamp(time).0)
}

fn clock(time: i64) -> i64 {
    split_timestamp(time).1
}

scalar_functions! { "Time";
    /// The start of the `unit` (`microsecond` to `millennium`; a week begins on Monday) that holds the time.
    DATE_TRUNC {
        [(unit: Text, time: Timestamp) with units: Units => Timestamp or error { truncate(time, units.get(unit)?) }]
        ("hour", timestamp("2001-01-14 21:55:12")) => timestamp("2001-01-14 21:00:00");
        ("week", timestamp("2001-01-14 21:55:12")) => timestamp("2001-01-08");
        ("quarter", timestamp("2001-05-14")) => timestamp("2001-04-01");
        ("century", timestamp("2000-05-14")) => timestamp("1901-01-01");
        ("day", Null) => Null;
        ("moon", timestamp("2001-01-14")) => fails("unit of time \"moon\" is not known");
    }
    /// A field of the time: `year`, `quarter`, `month`, `week`, `day`, `dow` (Sunday is 0), `isodow`, `doy`,
    /// `hour`, `minute`, `second` with its fraction, `epoch` and others. EXTRACT is the same.
    DATE_PART {
        [(field: Text, time: Timestamp) => Double or error { part(field, time) }]
        ("hour", timestamp("2001-01-14 21:55:12")) => 21.0;
        ("second", timestamp("2001-01-14 21:55:12.5")) => 12.5;
        ("dow", timestamp("2001-01-14")) => 0.0;
        ("week", timestamp("2001-01-14")) => 2.0;
        ("epoch", timestamp("1970-01-02")) => 86400.0;
        ("doy", date("2001-02-01")) => 32.0;
    }
    /// The year.
    YEAR {
        [(time: Timestamp) => Int { civil(time).year as i32 }]
        (timestamp("2001-01-14 21:55:12")) => 2001;
        (date("1969-12-31")) => 1969;
    }
    /// The quarter of the year, 1 to 4.
    QUARTER {
        [(time: Timestamp) => Int { (civil(time).month as i32 - 1) / 3 + 1 }]
        (timestamp("2001-04-14")) => 2;
    }
    /// The month, 1 to 12.
    MONTH {
        [(time: Timestamp) => Int { civil(time).month as i32 }]
        (timestamp("2001-01-14 21:55:12")) => 1;
    }
    /// The week of ISO 8601, 1 to 53.
    WEEK {
        [(time: Timestamp) => Int { iso_week(split_timestamp(time).0).1 as i32 }]
        (date("2001-01-01")) => 1;
        (date("2000-01-01")) => 52;
    }
    /// The day of the month, 1 to 31.
    DAY DAYOFMONTH {
        [(time: Timestamp) => Int { civil(time).day as i32 }]
        (timestamp("2001-01-14 21:55:12")) => 14;
    }
    /// The day of the week; Sunday is 1, as in Flink SQL.
    DAYOFWEEK {
        [(time: Timestamp) => Int { (split_timestamp(time).0 + 4).rem_euclid(7) as i32 + 1 }]
        (date("2001-01-14")) => 1;
    }
    /// The day of the year, 1 to 366.
    DAYOFYEAR {
        [(time: Timestamp) => Int { (split_timestamp(time).0 - year_start(civil(time).year) + 1) as i32 }]
        (date("2000-12-31")) => 366;
    }
    /// The hour, 0 to 23.
    HOUR {
        [(time: Timestamp) => Int { (clock(time) / HOUR_MICROS) as i32 }]
        (timestamp("2001-01-14 21:55:12")) => 21;
    }
    /// The minute, 0 to 59.
    MINUTE {
        [(time: Timestamp) => Int { (clock(time) / MINUTE_MICROS % 60) as i32 }]
        (timestamp("2001-01-14 21:55:12")) => 55;
    }
    /// The second, 0 to 59.
    SECOND {
        [(time: Timestamp) => Int { (clock(time) / SECOND_MICROS % 60) as i32 }]
        (timestamp("2001-01-14 21:55:12.5")) => 12;
    }
    /// The time `count` units later. A month later is the same day of the month, or its last.
    DATEADD DATE_ADD TIMESTAMPADD {
        [(unit: Text, count: BigInt, time: Timestamp) with units: Units => Timestamp or error { add(time, count, units.get(unit)?) }]
        ("day", 2, timestamp("2001-01-14 21:55:12")) => timestamp("2001-01-16 21:55:12");
        ("month", 1, timestamp("2001-01-31")) => timestamp("2001-02-28");
        ("hour", -1, date("2001-01-01")) => timestamp("2000-12-31 23:00");
    }
    /// The time `count` units earlier.
    DATESUB DATE_SUB TIMESTAMPSUB {
        [(unit: Text, count: BigInt, time: Timestamp) with units: Units => Timestamp or error {
            add(time, count.checked_neg().ok_or_else(out_of_range)?, units.get(unit)?)
        }]
        ("month", 1, timestamp("2001-03-31")) => timestamp("2001-02-28");
    }
    /// How many boundaries of `unit` lie between `start` and `end`; negative if `end` is earlier.
    DATEDIFF DATE_DIFF {
        [(unit: Text, start: Timestamp, end: Timestamp) with units: Units => BigInt or error {
            let unit = units.get(unit)?;
            Ok(ordinal(end, unit) - ordinal(start, unit))
        }]
        ("day", timestamp("2001-01-14 23:59"), timestamp("2001-01-15 00:01")) => crate::functions::example::big(1);
        ("month", date("2001-01-31"), date("2001-02-01")) => crate::functions::example::big(1);
    }
    /// How many whole units lie between `start` and `end`; negative if `end` is earlier.
    TIMESTAMPDIFF {
        [(unit: Text, start: Timestamp, end: Timestamp) with units: Units => BigInt or error { whole_units(start, end, units.get(unit)?) }]
        ("day", timestamp("2001-01-14 23:59"), timestamp("2001-01-15 00:01")) => crate::functions::example::big(0);
        ("month", date("2001-01-31"), date("2001-02-28")) => crate::functions::example::big(1);
        ("month", date("2001-01-15"), date("2001-02-14")) => crate::functions::example::big(0);
    }
}
