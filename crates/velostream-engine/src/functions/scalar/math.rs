//! Functions of real numbers, over DOUBLE.

use crate::error::RecordError;
use crate::functions::example::{Null, fails};
use crate::functions::overload::scalar_functions;

fn domain(message: &'static str) -> RecordError {
    RecordError::new(message)
}

/// Checks a logarithm's argument.
fn positive(value: f64) -> Result<f64, RecordError> {
    if value <= 0.0 {
        Err(domain("cannot take the logarithm of a number that is not positive"))
    } else {
        Ok(value)
    }
}

/// Checks the argument of an inverse sine or cosine.
fn unit(value: f64) -> Result<f64, RecordError> {
    if value.abs() > 1.0 { Err(domain("input is out of range")) } else { Ok(value) }
}

/// A finite result, unless an operand was not finite.
fn finite(result: f64, operands: &[f64]) -> Result<f64, RecordError> {
    if result.is_infinite() && operands.iter().all(|operand| operand.is_finite()) {
        Err(domain("value out of range for DOUBLE"))
    } else {
        Ok(result)
    }
}

fn power(base: f64, exponent: f64) -> Result<f64, RecordError> {
    if base == 0.0 && exponent < 0.0 {
        return Err(domain("zero raised to a negative power is undefined"));
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(domain("a negative number raised to a non-integer power yields a complex result"));
    }
    finite(base.powf(exponent), &[base, exponent])
}

scalar_functions! { "Mathematics";
    /// `base` to the power of `exponent`.
    POWER POW {
        [(base: Double, exponent: Double) => Double or error { power(base, exponent) }]
        (2, 10) => 1024.0;
        (0, -1) => fails("zero raised to a negative power is undefined");
        (-8, 0.5) => fails("a negative number raised to a non-integer power yields a complex result");
    }
    /// The square root.
    SQRT {
        [(value: Double) => Double or error {
            if value < 0.0 { Err(domain("cannot take the square root of a negative number")) } else { Ok(value.sqrt()) }
        }]
        (9) => 3.0;
        (-1) => fails("cannot take the square root of a negative number");
        (Null) => Null;
    }
    /// The cube root.
    CBRT {
        [(value: Double) => Double { value.cbrt() }]
        (-27) => -3.0;
    }
    /// e to the power of the value.
    EXP {
        [(value: Double) => Double or error { finite(value.exp(), &[value]) }]
        (0) => 1.0;
        (1000) => fails("value out of range for DOUBLE");
    }
    /// The natural logarithm.
    LN {
        [(value: Double) => Double or error { Ok(positive(value)?.ln()) }]
        (1) => 0.0;
        (0) => fails("cannot take the logarithm of a number that is not positive");
    }
    /// The logarithm to base 10, or to `base` where two arguments are given.
    LOG {
        [(value: Double) => Double or error { Ok(positive(value)?.log10()) }]
        [(base: Double, value: Double) => Double or error {
            let divisor = positive(base)?.ln();
            if divisor == 0.0 { Err(domain("division by zero")) } else { Ok(positive(value)?.ln() / divisor) }
        }]
        (1000) => 3.0;
        (2, 8) => 3.0;
        (1, 8) => fails("division by zero");
    }
    /// The logarithm to base 10.
    LOG10 {
        [(value: Double) => Double or error { Ok(positive(value)?.log10()) }]
        (100) => 2.0;
    }
    /// The logarithm to base 2.
    LOG2 {
        [(value: Double) => Double or error { Ok(positive(value)?.log2()) }]
        (8) => 3.0;
    }
    /// The ratio of a circle's circumference to its diameter.
    PI {
        [() => Double { std::f64::consts::PI }]
        () => std::f64::consts::PI;
    }
    /// The base of the natural logarithm.
    E {
        [() => Double { std::f64::consts::E }]
        () => std::f64::consts::E;
    }
    /// Radians as degrees.
    DEGREES {
        [(radians: Double) => Double { radians.to_degrees() }]
        (std::f64::consts::PI) => 180.0;
    }
    /// Degrees as radians.
    RADIANS {
        [(degrees: Double) => Double { degrees.to_radians() }]
        (180) => std::f64::consts::PI;
    }
    /// The sine of an angle in radians.
    SIN {
        [(radians: Double) => Double { radians.sin() }]
        (0) => 0.0;
    }
    /// The cosine of an angle in radians.
    COS {
        [(radians: Double) => Double { radians.cos() }]
        (0) => 1.0;
    }
    /// The tangent of an angle in radians.
    TAN {
        [(radians: Double) => Double { radians.tan() }]
        (0) => 0.0;
    }
    /// The cotangent of an angle in radians.
    COT {
        [(radians: Double) => Double or error {
            if radians == 0.0 { Err(domain("division by zero")) } else { Ok(1.0 / radians.tan()) }
        }]
        (0) => fails("division by zero");
    }
    /// The angle in radians with this sine.
    ASIN {
        [(value: Double) => Double or error { Ok(unit(value)?.asin()) }]
        (0) => 0.0;
        (2) => fails("input is out of range");
    }
    /// The angle in radians with this cosine.
    ACOS {
        [(value: Double) => Double or error { Ok(unit(value)?.acos()) }]
        (1) => 0.0;
    }
    /// The angle in radians with this tangent.
    ATAN {
        [(value: Double) => Double { value.atan() }]
        (0) => 0.0;
    }
    /// The angle in radians of the point (`x`, `y`).
    ATAN2 {
        [(y: Double, x: Double) => Double { y.atan2(x) }]
        (0, 1) => 0.0;
    }
    /// The hyperbolic sine.
    SINH {
        [(value: Double) => Double or error { finite(value.sinh(), &[value]) }]
        (0) => 0.0;
    }
    /// The hyperbolic cosine.
    COSH {
        [(value: Double) => Double or error { finite(value.cosh(), &[value]) }]
        (0) => 1.0;
    }
    /// The hyperbolic tangent.
    TANH {
        [(value: Double) => Double { value.tanh() }]
        (0) => 0.0;
    }
}
