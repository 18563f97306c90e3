//! SUM: integers to BIGINT and decimals, checked; doubles with compensation.

use super::Aggregate;
use super::cells::{Cells, Input, Kernel, storable_cell};
use std::marker::PhantomData;
use velostream_sql::types::DataType;

/// The largest magnitude of a DECIMAL: 38 digits.
pub(super) const DECIMAL_MAX: i128 = 10_i128.pow(38) - 1;
/// Below `i64::MAX` by more than a double's rounding.
const BIGINT_SAFE: f64 = 9.0e18;
/// Below `DECIMAL_MAX` by more than a double's rounding.
pub(super) const DECIMAL_SAFE: f64 = 9.9e37;
/// Below the largest double by more than rounding adds.
const DOUBLE_SAFE: f64 = 1.0e308;

/// An exact sum and how many values it is of. Within a step it may pass the range of 128 bits and come back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DigitSum {
    pub(super) sum: i128,
    pub(super) count: i64,
    /// How often the sum has passed the range upwards; 0 wherever the result can be represented.
    carry: i32,
}
storable_cell!(DigitSum { sum: i128, count: i64, carry: i32 });

impl DigitSum {
    /// Adds `value`, which counts as `count` values.
    #[inline]
    pub(super) fn add(&mut self, value: i128, count: i64) {
        let (sum, overflow) = self.sum.overflowing_add(value);
        self.sum = sum;
        self.count += count;
        if overflow {
            self.carry += if value > 0 { 1 } else { -1 };
        }
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        self.add(other.sum, other.count);
        self.carry += other.carry;
    }

    /// Whether the sum has at most 38 digits.
    pub(super) fn fits(&self) -> bool {
        self.carry == 0 && self.sum.unsigned_abs() <= DECIMAL_MAX.unsigned_abs()
    }

    /// The magnitude of the sum.
    pub(super) fn magnitude(&self) -> f64 {
        self.sum.unsigned_abs() as f64
    }
}

/// An exact sum of integers and how many they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IntegerSum {
    pub(super) sum: i128,
    pub(super) count: i64,
}
storable_cell!(IntegerSum { sum: i128, count: i64 });

impl IntegerSum {
    /// Adds `value`, which counts as `count` values. 128 bits hold any sum of 64-bit values.
    #[inline]
    pub(super) fn add(&mut self, value: i64, count: i64) {
        self.sum += i128::from(value);
        self.count += count;
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    /// Takes `value` back.
    #[inline]
    pub(super) fn retract(&mut self, value: i64) {
        self.sum -= i128::from(value);
        self.count -= 1;
    }
}

/// SUM of INT or BIGINT.
pub(super) struct SumInteger<T>(PhantomData<T>);

impl<T: Input + Into<i64> + Send> Kernel for SumInteger<T> {
    type Input = T;
    type Cell = IntegerSum;
    type Output = i64;

    fn limit(&self) -> f64 {
        BIGINT_SAFE
    }

    fn magnitude(cell: &IntegerSum) -> f64 {
        cell.sum.unsigned_abs() as f64
    }

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
    fn result(&self, cell: &IntegerSum) -> Option<i64> {
        (cell.count != 0).then_some(cell.sum as i64)
    }

    fn verify(&self, cell: &IntegerSum) -> bool {
        i64::try_from(cell.sum).is_ok()
    }
}

/// SUM of DECIMAL.
pub(super) struct SumDecimal;

impl Kernel for SumDecimal {
    type Input = i128;
    type Cell = DigitSum;
    type Output = i128;

    fn limit(&self) -> f64 {
        DECIMAL_SAFE
    }

    fn magnitude(cell: &DigitSum) -> f64 {
        cell.magnitude()
    }

    #[inline]
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

    #[inline]
    fn result(&self, cell: &DigitSum) -> Option<i128> {
        (cell.count != 0).then_some(cell.sum)
    }

    fn verify(&self, cell: &DigitSum) -> bool {
        cell.fits()
    }
}

/// A compensated sum of doubles: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher
/// Summen" (1974). NaN and infinities are counted apart, so that taking them back leaves no trace.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DoubleSum {
    sum: f64,
    compensation: f64,
    finite: i64,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
}
storable_cell!(DoubleSum {
    sum: f64,
    compensation: f64,
    finite: i64,
    nans: i64,
    infinities: i64,
    negative_infinities: i64
});

impl DoubleSum {
    /// Adds `value`, or takes it back where `count` is -1.
    #[inline]
    fn add(&mut self, value: f64, count: i64) -> bool {
        if !value.is_finite() {
            self.add_special(value, count);
            return true;
        }
        self.finite += count;
        if count < 0 && self.finite == 0 {
            (self.sum, self.compensation) = (0.0, 0.0);
            return true;
        }
        self.accumulate(if count < 0 { -value } else { value })
    }

    /// Adds a finite value to the sum and what rounding takes off it to the compensation.
    #[inline]
    fn accumulate(&mut self, value: f64) -> bool {
        let sum = self.sum + value;
        self.compensation +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
        sum.is_finite()
    }

    /// Adds another sum.
    fn merge(&mut self, other: &Self) -> bool {
        self.finite += other.finite;
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.negative_infinities += other.negative_infinities;
        self.compensation += other.compensation;
        self.accumulate(other.sum)
    }

    #[cold]
    fn add_special(&mut self, value: f64, count: i64) {
        if value.is_nan() {
            self.nans += count;
        } else if value > 0.0 {
            self.infinities += count;
        } else {
            self.negative_infinities += count;
        }
    }

    /// How many values there are.
    #[inline]
    fn count(&self) -> i64 {
        self.finite + self.nans + self.infinities + self.negative_infinities
    }

    /// The sum.
    #[inline]
    fn total(&self) -> f64 {
        if self.nans | self.infinities | self.negative_infinities == 0 {
            return self.sum + self.compensation;
        }
        match (self.nans, self.infinities, self.negative_infinities) {
            (0, _, 0) => f64::INFINITY,
            (0, 0, _) => f64::NEG_INFINITY,
            _ => f64::NAN,
        }
    }

    /// The magnitude of the sum.
    fn magnitude(&self) -> f64 {
        self.sum.abs()
    }
}

/// SUM of DOUBLE, or AVG where `MEAN`.
pub(super) struct OverDoubles<const MEAN: bool>;

impl<const MEAN: bool> Kernel for OverDoubles<MEAN> {
    type Input = f64;
    type Cell = DoubleSum;
    type Output = f64;

    fn limit(&self) -> f64 {
        DOUBLE_SAFE
    }

    fn magnitude(cell: &DoubleSum) -> f64 {
        cell.magnitude()
    }

    #[inline]
    fn add(cell: &mut DoubleSum, value: f64) -> bool {
        cell.add(value, 1)
    }

    #[inline]
    fn retract(cell: &mut DoubleSum, value: f64) -> bool {
        cell.add(value, -1)
    }

    fn merge(cell: &mut DoubleSum, other: &DoubleSum) -> bool {
        cell.merge(other)
    }

    #[inline]
    fn result(&self, cell: &DoubleSum) -> Option<f64> {
        let count = cell.count();
        (count != 0).then(|| if MEAN { cell.total() / count as f64 } else { cell.total() })
    }
}

/// The kernel of SUM over integers of one width.
pub(super) fn integers<T>() -> SumInteger<T> {
    SumInteger(PhantomData)
}

/// The state of SUM; `None` where the type has none.
pub(super) fn create(argument: DataType) -> Option<Box<dyn Aggregate>> {
    Some(match argument {
        DataType::Int => Box::new(Cells::new(integers::<i32>())),
        DataType::BigInt => Box::new(Cells::new(integers::<i64>())),
        DataType::Decimal { .. } => Box::new(Cells::new(SumDecimal)),
        DataType::Double => Box::new(Cells::new(OverDoubles::<false>)),
        _ => return None,
    })
}
