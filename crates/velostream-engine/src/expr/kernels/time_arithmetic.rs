//! Arithmetic of dates, times, timestamps and intervals, as in PostgreSQL with the zone UTC.

use crate::expr::kernel::{Kernel, Native};
use crate::expr::kernels::arithmetic::out_of_range;
use crate::value::calendar::{DAY_MICROS, add_interval};
use velostream_sql::plan::{BinaryOp, Interval};
use velostream_sql::types::DataType;

/// `-interval`.
pub(super) fn negate_interval() -> Kernel {
    Kernel::try_unary(negate, |_| out_of_range(DataType::Interval))
}

fn negate(interval: Interval) -> Option<Interval> {
    Some(Interval {
        months: interval.months.checked_neg()?,
        days: interval.days.checked_neg()?,
        micros: interval.micros.checked_neg()?,
    })
}

fn add(a: Interval, b: Interval) -> Option<Interval> {
    Some(Interval {
        months: a.months.checked_add(b.months)?,
        days: a.days.checked_add(b.days)?,
        micros: a.micros.checked_add(b.micros)?,
    })
}

fn multiply(interval: Interval, factor: i64) -> Option<Interval> {
    let small = i32::try_from(factor).ok();
    let scale = |value: i32| if value == 0 { Some(0) } else { value.checked_mul(small?) };
    Some(Interval {
        months: scale(interval.months)?,
        days: scale(interval.days)?,
        micros: interval.micros.checked_mul(factor)?,
    })
}

/// The whole days and the rest of a distance in time.
fn distance(later: i64, earlier: i64) -> Option<Interval> {
    let micros = later.checked_sub(earlier)?;
    Some(Interval { months: 0, days: i32::try_from(micros / DAY_MICROS).ok()?, micros: micros % DAY_MICROS })
}

fn fallible<A: Native, B: Native, O: Native>(
    result: DataType,
    f: impl Fn(A, B) -> Option<O> + Send + 'static,
) -> Option<Kernel> {
    Some(Kernel::try_binary(f, move |_, _| out_of_range(result)))
}

/// The kernel of an operator with a date, time, timestamp or interval.
pub(super) fn binary(op: BinaryOp, left: DataType, right: DataType, result: DataType) -> Option<Kernel> {
    use DataType::{BigInt, Date, Int, Interval as Span, Time, Timestamp};
    let midnight = |date: i32| i64::from(date) * DAY_MICROS;
    match (op, left, right) {
        (BinaryOp::Add, Timestamp, Span) => fallible(result, add_interval),
        (BinaryOp::Add, Span, Timestamp) => fallible(result, |by, time| add_interval(time, by)),
        (BinaryOp::Subtract, Timestamp, Span) => fallible(result, |time, by| add_interval(time, negate(by)?)),
        (BinaryOp::Add, Date, Span) => fallible(result, move |date, by| add_interval(midnight(date), by)),
        (BinaryOp::Add, Span, Date) => fallible(result, move |by, date| add_interval(midnight(date), by)),
        (BinaryOp::Subtract, Date, Span) => {
            fallible(result, move |date, by| add_interval(midnight(date), negate(by)?))
        }
        (BinaryOp::Add, Time, Span) => {
            Some(Kernel::binary(|time: i64, by: Interval| wrap_day(time, by.micros)))
        }
        (BinaryOp::Add, Span, Time) => {
            Some(Kernel::binary(|by: Interval, time: i64| wrap_day(time, by.micros)))
        }
        (BinaryOp::Subtract, Time, Span) => {
            Some(Kernel::binary(|time: i64, by: Interval| wrap_day(time, -(by.micros % DAY_MICROS))))
        }
        (BinaryOp::Subtract, Timestamp, Timestamp) => fallible(result, distance),
        (BinaryOp::Subtract, Time, Time) => Some(Kernel::binary(|later: i64, earlier: i64| Interval {
            months: 0,
            days: 0,
            micros: later - earlier,
        })),
        (BinaryOp::Add, Date, Int) => fallible(result, |date: i32, days: i32| date.checked_add(days)),
        (BinaryOp::Add, Int, Date) => fallible(result, |days: i32, date: i32| date.checked_add(days)),
        (BinaryOp::Subtract, Date, Int) => fallible(result, |date: i32, days: i32| date.checked_sub(days)),
        (BinaryOp::Subtract, Date, Date) if result == Int => {
            fallible(result, |later: i32, earlier: i32| later.checked_sub(earlier))
        }
        (BinaryOp::Subtract, Date, Date) if result == Span => {
            fallible(result, move |later, earlier| distance(midnight(later), midnight(earlier)))
        }
        (BinaryOp::Add, Span, Span) => fallible(result, add),
        (BinaryOp::Subtract, Span, Span) => fallible(result, |a, b| add(a, negate(b)?)),
        (BinaryOp::Multiply, Span, Int) => fallible(result, |by, n: i32| multiply(by, i64::from(n))),
        (BinaryOp::Multiply, Int, Span) => fallible(result, |n: i32, by| multiply(by, i64::from(n))),
        (BinaryOp::Multiply, Span, BigInt) => fallible(result, multiply),
        (BinaryOp::Multiply, BigInt, Span) => fallible(result, |n, by| multiply(by, n)),
        _ => None,
    }
}

/// The time of day `by` microseconds later, whatever the day.
fn wrap_day(time: i64, by: i64) -> i64 {
    (time + by % DAY_MICROS).rem_euclid(DAY_MICROS)
}
