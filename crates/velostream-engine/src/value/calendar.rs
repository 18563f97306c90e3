//! The proleptic Gregorian calendar over days and microseconds since 1970-01-01, in UTC.
//!
//! The conversions are those of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

use velostream_sql::plan::Interval;

/// Microseconds of a second.
pub const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
/// Microseconds of an hour.
pub const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
/// Microseconds of a day.
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year; 0 is 1 BC.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u32,
    /// Day of the month, from 1.
    pub day: u32,
}

/// The calendar's name of a day.
#[must_use]
pub fn civil_from_days(days: i64) -> Civil {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 } as u32;
    Civil { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
}

/// The day with this name; year, month and day must make a date.
#[must_use]
pub fn days_from_civil(Civil { year, month, day }: Civil) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_index = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Days of a month.
#[must_use]
pub fn days_of_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day and the microseconds since its midnight.
#[must_use]
pub fn split_timestamp(micros: i64) -> (i64, i64) {
    (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS))
}

/// The same day of the month `months` later, or the month's last if it has no such day.
#[must_use]
pub fn add_months(days: i64, months: i64) -> i64 {
    let civil = civil_from_days(days);
    let index = civil.year * 12 + i64::from(civil.month) - 1 + months;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) as u32 + 1);
    days_from_civil(Civil { year, month, day: civil.day.min(days_of_month(year, month)) })
}

/// A timestamp plus an interval: months first, then days, then microseconds.
#[must_use]
pub fn add_interval(micros: i64, interval: Interval) -> Option<i64> {
    let mut micros = micros;
    if interval.months != 0 {
        let (days, time) = split_timestamp(micros);
        let days = add_months(days, i64::from(interval.months));
        micros = days.checked_mul(DAY_MICROS)?.checked_add(time)?;
    }
    micros.checked_add(i64::from(interval.days) * DAY_MICROS)?.checked_add(interval.micros)
}
