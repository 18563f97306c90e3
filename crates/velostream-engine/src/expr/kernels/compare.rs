//! Comparison. Doubles order as in PostgreSQL: NaN equals itself and is the greatest; texts by their bytes.

use crate::column::{Column, TextColumn};
use crate::expr::kernel::{Args, Kernel, Native, text_out};
use crate::value::interval_micros;
use std::cmp::Ordering;
use velostream_sql::plan::{BinaryOp, Interval};
use velostream_sql::types::DataType;

/// Values with the order of SQL.
trait Ordered: Native {
    fn equal(self, other: Self) -> bool;
    fn less(self, other: Self) -> bool;
}

macro_rules! ordered {
    ($($native:ty),*) => {
        $(impl Ordered for $native {
            #[inline]
            fn equal(self, other: Self) -> bool {
                self == other
            }
            #[inline]
            fn less(self, other: Self) -> bool {
                self < other
            }
        })*
    };
}

ordered!(u8, i32, i64, i128);

impl Ordered for f64 {
    #[inline]
    fn equal(self, other: Self) -> bool {
        (self == other) | (self.is_nan() & other.is_nan())
    }
    #[inline]
    fn less(self, other: Self) -> bool {
        (self < other) | (!self.is_nan() & other.is_nan())
    }
}

impl Ordered for Interval {
    fn equal(self, other: Self) -> bool {
        interval_micros(self) == interval_micros(other)
    }
    fn less(self, other: Self) -> bool {
        interval_micros(self) < interval_micros(other)
    }
}

/// Whether `op` is one of the six comparisons.
pub(in crate::expr) fn is_comparison(op: BinaryOp) -> bool {
    use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    matches!(op, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
}

/// The kernel of a comparison of two values of one type.
pub(in crate::expr) fn comparison(op: BinaryOp, left: DataType, right: DataType) -> Option<Kernel> {
    if !comparable(left, right) {
        return None;
    }
    match left {
        DataType::Boolean => natives::<u8>(op),
        DataType::Int | DataType::Date => natives::<i32>(op),
        DataType::BigInt | DataType::Time | DataType::Timestamp => natives::<i64>(op),
        DataType::Double => natives::<f64>(op),
        DataType::Decimal { .. } => natives::<i128>(op),
        DataType::Interval => natives::<Interval>(op),
        DataType::String | DataType::Bytes => texts(op),
        DataType::Null => None,
    }
}

/// Whether two types compare without a cast: equal, or decimals of one scale.
fn comparable(left: DataType, right: DataType) -> bool {
    match (left, right) {
        (DataType::Decimal { scale: a, .. }, DataType::Decimal { scale: b, .. }) => a == b,
        _ => left == right,
    }
}

fn natives<T: Ordered>(op: BinaryOp) -> Option<Kernel> {
    let kernel = match op {
        BinaryOp::Equal => Kernel::binary(|a: T, b: T| u8::from(a.equal(b))),
        BinaryOp::NotEqual => Kernel::binary(|a: T, b: T| u8::from(!a.equal(b))),
        BinaryOp::Less => Kernel::binary(|a: T, b: T| u8::from(a.less(b))),
        BinaryOp::LessOrEqual => Kernel::binary(|a: T, b: T| u8::from(!b.less(a))),
        BinaryOp::Greater => Kernel::binary(|a: T, b: T| u8::from(b.less(a))),
        BinaryOp::GreaterOrEqual => Kernel::binary(|a: T, b: T| u8::from(!a.less(b))),
        _ => return None,
    };
    Some(kernel)
}

fn texts(op: BinaryOp) -> Option<Kernel> {
    let kernel = match op {
        BinaryOp::Equal => equal_texts(0),
        BinaryOp::NotEqual => equal_texts(1),
        BinaryOp::Less => text_rows(|a, b, row| a.get(row) < b.get(row)),
        BinaryOp::LessOrEqual => text_rows(|a, b, row| a.get(row).cmp(b.get(row)) != Ordering::Greater),
        BinaryOp::Greater => text_rows(|a, b, row| a.get(row) > b.get(row)),
        BinaryOp::GreaterOrEqual => text_rows(|a, b, row| a.get(row).cmp(b.get(row)) != Ordering::Less),
        _ => return None,
    };
    Some(kernel)
}

/// 1 for equal texts, or for different ones if `negated` is 1.
fn equal_texts(negated: u8) -> Kernel {
    Kernel::strict(move |args, out| {
        let (a, b) = (args.text(0), args.text(1));
        let views = a.views()[..args.rows].iter().zip(&b.views()[..args.rows]).enumerate();
        let equal = views.map(|(row, (x, y))| {
            let same = if x.is_inline() { x == y } else { a.equals(row, b, row) };
            u8::from(same) ^ negated
        });
        u8::fill(out, equal);
    })
}

fn text_rows(test: impl Fn(&TextColumn, &TextColumn, usize) -> bool + Send + 'static) -> Kernel {
    Kernel::strict(move |args, out| {
        let (a, b) = (args.text(0), args.text(1));
        u8::fill(out, (0..args.rows).map(|row| u8::from(test(a, b, row))));
    })
}

/// IS DISTINCT FROM and IS NOT DISTINCT FROM: comparison with NULL as a value.
pub(in crate::expr) fn distinct(op: BinaryOp, left: DataType, right: DataType) -> Option<Kernel> {
    if !comparable(left, right) {
        return None;
    }
    let same = u8::from(op == BinaryOp::NotDistinct);
    match left {
        DataType::Boolean => Some(distinct_natives::<u8>(same)),
        DataType::Int | DataType::Date => Some(distinct_natives::<i32>(same)),
        DataType::BigInt | DataType::Time | DataType::Timestamp => Some(distinct_natives::<i64>(same)),
        DataType::Double => Some(distinct_natives::<f64>(same)),
        DataType::Decimal { .. } => Some(distinct_natives::<i128>(same)),
        DataType::Interval => Some(distinct_natives::<Interval>(same)),
        DataType::String | DataType::Bytes => Some(Kernel::with_nulls(move |args, out| {
            let (a, b) = (args.text(0), args.text(1));
            distinct_rows(args, out, same, |row| a.equals(row, b, row));
        })),
        DataType::Null => None,
    }
}

fn distinct_natives<T: Ordered>(same: u8) -> Kernel {
    Kernel::with_nulls(move |args, out| {
        let (a, b) = (args.values::<T>(0), args.values::<T>(1));
        distinct_rows(args, out, same, |row| a[row].equal(b[row]));
    })
}

/// `same` for rows whose operands are both NULL, or both not NULL and `equal`; else its complement.
fn distinct_rows(args: &Args<'_>, out: &mut Column, same: u8, equal: impl Fn(usize) -> bool) {
    let (mask_a, mask_b) = (args.mask(0), args.mask(1));
    let valid = |mask: Option<&[u8]>, row: usize| mask.map_or(1, |mask| mask[row]);
    u8::fill(
        out,
        (0..args.rows).map(|row| {
            let (a, b) = (valid(mask_a, row), valid(mask_b, row));
            let equal = (a == b) & ((a == 0) | equal(row));
            u8::from(equal) ^ same ^ 1
        }),
    );
}

/// The greatest (or least) of the arguments that are not NULL; NULL where all are.
pub(crate) fn extreme(data_type: DataType, greatest: bool) -> Kernel {
    match data_type {
        DataType::Boolean | DataType::Null => extreme_natives::<u8>(greatest),
        DataType::Int | DataType::Date => extreme_natives::<i32>(greatest),
        DataType::BigInt | DataType::Time | DataType::Timestamp => extreme_natives::<i64>(greatest),
        DataType::Double => extreme_natives::<f64>(greatest),
        DataType::Decimal { .. } => extreme_natives::<i128>(greatest),
        DataType::Interval => extreme_natives::<Interval>(greatest),
        DataType::String | DataType::Bytes => Kernel::with_nulls(move |args, out| {
            let texts = text_out(out);
            texts.truncate(0);
            for row in 0..args.rows {
                let values = (0..args.len()).filter(|&index| !args.column(index).is_null(row));
                let values = values.map(|index| args.text(index).get(row));
                let value = if greatest { values.max() } else { values.min() };
                texts.push(value.unwrap_or_default());
            }
            any_valid(args, out);
        }),
    }
}

fn extreme_natives<T: Ordered>(greatest: bool) -> Kernel {
    Kernel::with_nulls(move |args, out| {
        T::fill(out, args.values::<T>(0).iter().copied());
        let best = T::vector(&mut out.values);
        for index in 1..args.len() {
            for (row, (best, &value)) in best.iter_mut().zip(args.values::<T>(index)).enumerate() {
                let known = (0..index).any(|earlier| !args.column(earlier).is_null(row));
                let better = if greatest { best.less(value) } else { value.less(*best) };
                if !args.column(index).is_null(row) && (better || !known) {
                    *best = value;
                }
            }
        }
        any_valid(args, out);
    })
}

/// Makes NULL the rows of which every argument is.
fn any_valid(args: &Args<'_>, out: &mut Column) {
    for row in 0..args.rows {
        if (0..args.len()).all(|index| args.column(index).is_null(row)) {
            out.validity.set(args.rows, row, false);
        }
    }
}
