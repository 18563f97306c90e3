//! AVG: of integers an exact sum divided once; of decimals exact and half-up; of doubles compensated.

use super::Aggregate;
use super::cells::{Cells, Input, Kernel};
use super::sum::{DECIMAL_MAX, DECIMAL_SAFE, DigitSum, IntegerSum, OverDoubles};
use std::marker::PhantomData;
use velostream_sql::types::DataType;

/// AVG of INT or BIGINT. A 128-bit sum of 64-bit values cannot overflow.
pub(super) struct AvgInteger<T>(PhantomData<T>);

impl<T: Input + Into<i64> + Send> Kernel for AvgInteger<T> {
    type Input = T;
    type Cell = IntegerSum;
    type Output = f64;

    #[inline]
    fn add(cell: &mut IntegerSum, value: T) -> bool {
        cell.add(value.into(), 1);
        true
    }

    #[inline]
    fn retract(cell: &mut IntegerSum, value: T) -> bool {
        cell.retract(value.into());
        true
    }

    fn merge(cell: &mut IntegerSum, other: &IntegerSum) -> bool {
        cell.merge(other);
        true
    }

    #[inline]
    fn result(&self, cell: &IntegerSum) -> Option<f64> {
        (cell.count != 0).then(|| cell.sum as f64 / cell.count as f64)
    }
}

/// AVG of DECIMAL.
pub(super) struct AvgDecimal {
    /// Ten to the power of the digits that the result has more than the argument.
    shift: i128,
}

/// `sum * shift / count`, half away from zero; `None` where it has more than 38 digits.
fn mean(sum: i128, count: i64, shift: i128) -> Option<i128> {
    let count = i128::from(count);
    let (whole, rest) = (sum / count, sum % count);
    let scaled = rest * shift;
    let (mut part, left) = (scaled / count, scaled % count);
    if left.abs() * 2 >= count {
        part += sum.signum();
    }
    let mean = whole.checked_mul(shift)?.checked_add(part)?;
    (mean.unsigned_abs() <= DECIMAL_MAX.unsigned_abs()).then_some(mean)
}

impl Kernel for AvgDecimal {
    type Input = i128;
    type Cell = DigitSum;
    type Output = i128;

    fn limit(&self) -> f64 {
        DECIMAL_SAFE / self.shift as f64
    }

    fn magnitude(cell: &DigitSum) -> f64 {
        cell.magnitude()
    }

    fn add(cell: &mut DigitSum, value: i128) -> bool {
        cell.add(value, 1);
        true
    }

    fn retract(cell: &mut DigitSum, value: i128) -> bool {
        cell.add(-value, -1);
        true
    }

    fn merge(cell: &mut DigitSum, other: &DigitSum) -> bool {
        cell.merge(other);
        true
    }

    fn result(&self, cell: &DigitSum) -> Option<i128> {
        if cell.count == 0 { None } else { mean(cell.sum, cell.count, self.shift) }
    }

    fn verify(&self, cell: &DigitSum) -> bool {
        cell.fits() && (cell.count == 0 || mean(cell.sum, cell.count, self.shift).is_some())
    }
}

/// The kernel of AVG over integers of one width.
pub(super) fn integers<T>() -> AvgInteger<T> {
    AvgInteger(PhantomData)
}

/// The kernel of AVG over decimals.
pub(super) fn decimals(argument_scale: u8, result: DataType) -> AvgDecimal {
    let scale = match result {
        DataType::Decimal { scale, .. } => scale,
        _ => argument_scale,
    };
    AvgDecimal { shift: 10_i128.pow(u32::from(scale.saturating_sub(argument_scale))) }
}

/// The state of AVG; `None` where the type has none.
pub(super) fn create(argument: DataType, result: DataType) -> Option<Box<dyn Aggregate>> {
    Some(match argument {
        DataType::Int => Box::new(Cells::new(integers::<i32>())),
        DataType::BigInt => Box::new(Cells::new(integers::<i64>())),
        DataType::Decimal { scale, .. } => Box::new(Cells::new(decimals(scale, result))),
        DataType::Double => Box::new(Cells::new(OverDoubles::<true>)),
        _ => return None,
    })
}
