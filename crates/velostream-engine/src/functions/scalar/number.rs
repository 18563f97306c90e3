//! Functions that keep their argument's number type.

use crate::error::RecordError;
use crate::expr::kernel::Kernel;
use crate::functions::example::{Null, big, decimal, fails};
use crate::functions::overload::{CallSite, Family, Overload, Returns, scalar_functions};
use crate::value::decimal::{fits, power_of_ten, remainder, rescale};
use crate::value::shorten_double;
use velostream_sql::types::DataType;

fn too_large(data_type: &str) -> RecordError {
    RecordError::new(format!("value out of range for {data_type}"))
}

fn zero_divisor() -> RecordError {
    RecordError::new("division by zero")
}

/// Precision and scale of a DECIMAL argument.
fn size(data_type: DataType) -> (u8, u8) {
    match data_type {
        DataType::Decimal { precision, scale } => (precision, scale),
        _ => unreachable!("the registry gives DECIMAL parameters decimals"),
    }
}

/// The DECIMAL without places that holds every rounded value of another.
fn whole(arguments: &[DataType]) -> DataType {
    let (precision, scale) = size(arguments[0]);
    DataType::Decimal { precision: (precision - scale + 1).min(38), scale: 0 }
}

fn same(arguments: &[DataType]) -> DataType {
    arguments[0]
}

fn decimal_overload(returns: fn(&[DataType]) -> DataType, make: fn(&CallSite<'_>) -> Kernel) -> Overload {
    Overload {
        parameters: &[("value", Family::Decimal)],
        variadic: false,
        returns: Returns::Of(returns),
        nullable: false,
        make,
    }
}

/// A kernel that takes a DECIMAL to one without places by way of floor and remainder.
fn to_whole(site: &CallSite<'_>, adjust: fn(i128, i128) -> i128) -> Kernel {
    let unit = power_of_ten(size(site.arguments[0]).1);
    Kernel::unary(move |digits: i128| adjust(digits.div_euclid(unit), digits.rem_euclid(unit)))
}

/// Rounds DECIMALs to a number of places without changing their scale.
fn to_places(site: &CallSite<'_>, round: fn(i128, u8, u8) -> Option<i128>) -> Kernel {
    let (precision, scale) = size(site.arguments[0]);
    Kernel::try_binary(
        move |digits: i128, places: i32| {
            if places >= i32::from(scale) {
                return Some(digits);
            }
            let cut = u8::try_from(i64::from(scale) - i64::from(places)).unwrap_or(u8::MAX);
            if cut > 38 { Some(0) } else { round(digits, cut, precision) }
        },
        |_, _| too_large("DECIMAL"),
    )
}

fn round_cut(digits: i128, cut: u8, precision: u8) -> Option<i128> {
    let rounded = rescale(digits, cut, 38, 0)?;
    rounded.checked_mul(power_of_ten(cut)).filter(|&digits| fits(digits, precision))
}

fn trunc_cut(digits: i128, cut: u8, _precision: u8) -> Option<i128> {
    let unit = power_of_ten(cut);
    Some(digits / unit * unit)
}

fn decimal_places(make: fn(&CallSite<'_>) -> Kernel) -> Overload {
    Overload {
        parameters: &[("value", Family::Decimal), ("places", Family::Int)],
        variadic: false,
        returns: Returns::Of(same),
        nullable: false,
        make,
    }
}

fn modulo(site: &CallSite<'_>) -> Kernel {
    let scales = [size(site.arguments[0]).1, size(site.arguments[1]).1];
    let (precision, scale) = size(site.returns);
    Kernel::try_binary(
        move |a: i128, b: i128| remainder(a, b, scales, precision, scale),
        |_, b| if b == 0 { zero_divisor() } else { too_large("DECIMAL") },
    )
}

fn modulo_type(arguments: &[DataType]) -> DataType {
    let ((pa, sa), (pb, sb)) = (size(arguments[0]), size(arguments[1]));
    let scale = sa.max(sb);
    DataType::Decimal { precision: ((pa - sa).max(pb - sb) + scale).clamp(1, 38), scale }
}

scalar_functions! { "Numbers";
    /// The distance from zero.
    ABS {
        [(value: Int) => Int or error { value.checked_abs().ok_or_else(|| too_large("INT")) }]
        [(value: BigInt) => BigInt or error { value.checked_abs().ok_or_else(|| too_large("BIGINT")) }]
        [(value: Double) => Double { value.abs() }]
        [custom decimal_overload(same, |_| Kernel::unary(i128::abs))]
        (-3) => 3;
        (2.5) => 2.5;
        (decimal("-1.50", 10)) => decimal("1.50", 10);
        (Null) => Null;
        (i32::MIN) => fails("value out of range for INT");
    }
    /// -1, 0 or 1, as the value is negative, zero or positive.
    SIGN {
        [(value: Int) => Int { value.signum() }]
        [(value: BigInt) => Int { value.signum() as i32 }]
        [(value: Double) => Double { if value == 0.0 || value.is_nan() { value } else { value.signum() } }]
        [custom Overload {
            returns: Returns::Always(DataType::Int),
            ..decimal_overload(same, |_| Kernel::unary(|digits: i128| digits.signum() as i32))
        }]
        (-3) => -1;
        (0.0) => 0.0;
        (decimal("0.05", 10)) => 1;
    }
    /// The smallest whole number that is not less.
    CEIL CEILING {
        [(value: Int) => Int { value }]
        [(value: BigInt) => BigInt { value }]
        [(value: Double) => Double { value.ceil() }]
        [custom decimal_overload(whole, |site| to_whole(site, |floor, rest| floor + i128::from(rest > 0)))]
        (1.2) => 2.0;
        (decimal("-1.50", 10)) => decimal("-1", 9);
        (7) => 7;
    }
    /// The greatest whole number that is not more.
    FLOOR {
        [(value: Int) => Int { value }]
        [(value: BigInt) => BigInt { value }]
        [(value: Double) => Double { value.floor() }]
        [custom decimal_overload(whole, |site| to_whole(site, |floor, _| floor))]
        (-1.2) => -2.0;
        (decimal("1.99", 10)) => decimal("1", 9);
    }
    /// The nearest value with `places` digits after the point (0 if not given; negative: before it). A half
    /// goes away from zero, save for a DOUBLE without `places`, which goes to the even neighbour. A DECIMAL
    /// with `places` keeps its scale.
    ROUND {
        [(value: Int) => Int { value }]
        [(value: BigInt) => BigInt { value }]
        [(value: Double) => Double { value.round_ties_even() }]
        [custom decimal_overload(whole, |site| {
            let scale = size(site.arguments[0]).1;
            Kernel::try_unary(move |digits: i128| rescale(digits, scale, 38, 0), |_| too_large("DECIMAL"))
        })]
        [(value: Double, places: Int) => Double { shorten_double(value, places, true) }]
        [custom decimal_places(|site| to_places(site, round_cut))]
        (2.5) => 2.0;
        (1.005, 2) => 1.01;
        (-2.345, 2) => -2.35;
        (1234.5, -2) => 1200.0;
        (decimal("2.50", 10)) => decimal("3", 9);
        (decimal("2.345", 10), 2) => decimal("2.350", 10);
        (decimal("99.99", 4), 1) => fails("value out of range for DECIMAL");
    }
    /// The value cut off after `places` digits (0 if not given).
    TRUNC TRUNCATE {
        [(value: Int) => Int { value }]
        [(value: BigInt) => BigInt { value }]
        [(value: Double) => Double { value.trunc() }]
        [custom decimal_overload(whole, |site| {
            to_whole(site, |floor, rest| floor + i128::from(floor < 0 && rest > 0))
        })]
        [(value: Double, places: Int) => Double { shorten_double(value, places, false) }]
        [custom decimal_places(|site| to_places(site, trunc_cut))]
        (-1.9) => -1.0;
        (2.75, 1) => 2.7;
        (decimal("-1.99", 10)) => decimal("-1", 9);
        (decimal("1.999", 10), 1) => decimal("1.900", 10);
    }
    /// The remainder of a division; it has the sign of the dividend.
    MOD {
        [(dividend: Int, divisor: Int) => Int or error {
            if divisor == 0 { Err(zero_divisor()) } else { Ok(dividend.wrapping_rem(divisor)) }
        }]
        [(dividend: BigInt, divisor: BigInt) => BigInt or error {
            if divisor == 0 { Err(zero_divisor()) } else { Ok(dividend.wrapping_rem(divisor)) }
        }]
        [custom Overload {
            parameters: &[("dividend", Family::Decimal), ("divisor", Family::Decimal)],
            ..decimal_overload(modulo_type, modulo)
        }]
        [(dividend: Double, divisor: Double) => Double or error {
            if divisor == 0.0 { Err(zero_divisor()) } else { Ok(dividend % divisor) }
        }]
        (-7, 3) => -1;
        (big(7), 3) => big(1);
        (decimal("5.5", 10), 2) => decimal("1.5", 11);
        (1, 0) => fails("division by zero");
    }
}
