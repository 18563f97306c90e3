//! Arithmetic of numbers. Overflow and division by zero fail the row.

use crate::error::RecordError;
use crate::expr::kernel::{Kernel, Native};
use crate::expr::kernels::time_arithmetic;
use crate::value::decimal;
use velostream_sql::plan::BinaryOp;
use velostream_sql::types::DataType;

/// `-e`.
pub(in crate::expr) fn negate(data_type: DataType) -> Option<Kernel> {
    let kernel = match data_type {
        DataType::Int => Kernel::try_unary(i32::checked_neg, |_| out_of_range(DataType::Int)),
        DataType::BigInt => Kernel::try_unary(i64::checked_neg, |_| out_of_range(DataType::BigInt)),
        DataType::Double => Kernel::unary(|value: f64| -value),
        DataType::Decimal { .. } => Kernel::unary(|value: i128| -value),
        DataType::Interval => time_arithmetic::negate_interval(),
        _ => return None,
    };
    Some(kernel)
}

/// The kernel of an arithmetic operator.
pub(in crate::expr) fn binary(
    op: BinaryOp,
    left: DataType,
    right: DataType,
    result: DataType,
) -> Option<Kernel> {
    match (left, right, result) {
        (DataType::Int, DataType::Int, DataType::Int) => integers::<i32>(op, result),
        (DataType::BigInt, DataType::BigInt, DataType::BigInt) => integers::<i64>(op, result),
        (DataType::Double, DataType::Double, DataType::Double) => doubles(op),
        (
            DataType::Decimal { scale: a, .. },
            DataType::Decimal { scale: b, .. },
            DataType::Decimal { precision, scale },
        ) => decimals(op, [a, b], precision, scale),
        _ => time_arithmetic::binary(op, left, right, result),
    }
}

/// The error of a value that does not fit its type.
pub(super) fn out_of_range(data_type: DataType) -> RecordError {
    RecordError::new(match data_type {
        DataType::Int => "value out of range for INT",
        DataType::BigInt => "value out of range for BIGINT",
        DataType::Double => "value out of range for DOUBLE",
        DataType::Decimal { .. } => "value out of range for DECIMAL",
        DataType::Interval => "value out of range for INTERVAL",
        DataType::Date => "value out of range for DATE",
        _ => "value out of range for TIMESTAMP",
    })
}

fn zero_divisor() -> RecordError {
    RecordError::new("division by zero")
}

/// What the two integer types share.
trait Integer: Native + PartialEq {
    fn add(self, other: Self) -> Option<Self>;
    fn subtract(self, other: Self) -> Option<Self>;
    fn multiply(self, other: Self) -> Option<Self>;
    fn divide(self, other: Self) -> Option<Self>;
    /// 0 for MIN % -1, as in PostgreSQL.
    fn remainder(self, other: Self) -> Option<Self>;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// The distance counts modulo the width, as in PostgreSQL.
    fn shift_left(self, distance: Self) -> Self;
    fn shift_right(self, distance: Self) -> Self;
}

macro_rules! integer {
    ($($native:ty),*) => {
        $(impl Integer for $native {
            fn add(self, other: Self) -> Option<Self> { self.checked_add(other) }
            fn subtract(self, other: Self) -> Option<Self> { self.checked_sub(other) }
            fn multiply(self, other: Self) -> Option<Self> { self.checked_mul(other) }
            fn divide(self, other: Self) -> Option<Self> { self.checked_div(other) }
            fn remainder(self, other: Self) -> Option<Self> {
                if other == 0 { None } else { Some(self.wrapping_rem(other)) }
            }
            fn and(self, other: Self) -> Self { self & other }
            fn or(self, other: Self) -> Self { self | other }
            fn xor(self, other: Self) -> Self { self ^ other }
            fn shift_left(self, distance: Self) -> Self { self.wrapping_shl(distance as u32) }
            fn shift_right(self, distance: Self) -> Self { self.wrapping_shr(distance as u32) }
        })*
    };
}

integer!(i32, i64);

fn integers<T: Integer>(op: BinaryOp, data_type: DataType) -> Option<Kernel> {
    let overflow = move |_, _| out_of_range(data_type);
    let quotient_error = move |_: T, divisor: T| {
        if divisor == T::default() { zero_divisor() } else { out_of_range(data_type) }
    };
    let kernel = match op {
        BinaryOp::Add => Kernel::try_binary(T::add, overflow),
        BinaryOp::Subtract => Kernel::try_binary(T::subtract, overflow),
        BinaryOp::Multiply => Kernel::try_binary(T::multiply, overflow),
        BinaryOp::Divide => Kernel::try_binary(T::divide, quotient_error),
        BinaryOp::Modulo => Kernel::try_binary(T::remainder, quotient_error),
        BinaryOp::BitAnd => Kernel::binary(T::and),
        BinaryOp::BitOr => Kernel::binary(T::or),
        BinaryOp::BitXor => Kernel::binary(T::xor),
        BinaryOp::ShiftLeft => Kernel::binary(T::shift_left),
        BinaryOp::ShiftRight => Kernel::binary(T::shift_right),
        _ => return None,
    };
    Some(kernel)
}

/// IEEE 754 arithmetic, save that division by zero and overflow fail as PostgreSQL's do. Infinities and NaN
/// that come in are values.
fn doubles(op: BinaryOp) -> Option<Kernel> {
    let overflow = |_, _| out_of_range(DataType::Double);
    let quotient_error =
        |_, divisor: f64| if divisor == 0.0 { zero_divisor() } else { out_of_range(DataType::Double) };
    let kernel = match op {
        BinaryOp::Add => Kernel::try_doubles(|a, b| a + b, overflows, overflow),
        BinaryOp::Subtract => Kernel::try_doubles(|a, b| a - b, overflows, overflow),
        BinaryOp::Multiply => Kernel::try_doubles(|a, b| a * b, overflows, overflow),
        BinaryOp::Divide => Kernel::try_doubles(
            |a, b| a / b,
            |result, a, b| b == 0.0 || overflows(result, a, b),
            quotient_error,
        ),
        BinaryOp::Modulo => Kernel::try_doubles(|a, b| a % b, |_, _, b| b == 0.0, |_, _| zero_divisor()),
        _ => return None,
    };
    Some(kernel)
}

/// Whether the result is infinite although neither operand is.
fn overflows(result: f64, a: f64, b: f64) -> bool {
    result.is_infinite() && a.is_finite() && b.is_finite()
}

fn decimals(op: BinaryOp, scales: [u8; 2], precision: u8, scale: u8) -> Option<Kernel> {
    type Operation = fn(i128, i128, [u8; 2], u8, u8) -> Option<i128>;
    let operation: Operation = match op {
        BinaryOp::Add if scales == [scale, scale] => {
            return Some(Kernel::try_binary(
                move |a: i128, b: i128| a.checked_add(b).filter(|&sum| decimal::fits(sum, precision)),
                |_, _| out_of_range(DataType::Decimal { precision: 38, scale: 0 }),
            ));
        }
        BinaryOp::Add => decimal::add,
        BinaryOp::Subtract => decimal::subtract,
        BinaryOp::Multiply => decimal::multiply,
        BinaryOp::Divide => decimal::divide,
        BinaryOp::Modulo => decimal::remainder,
        _ => return None,
    };
    let divides = matches!(op, BinaryOp::Divide | BinaryOp::Modulo);
    Some(Kernel::try_binary(
        move |a: i128, b: i128| operation(a, b, scales, precision, scale),
        move |_, b: i128| {
            if divides && b == 0 {
                zero_divisor()
            } else {
                out_of_range(DataType::Decimal { precision, scale })
            }
        },
    ))
}
