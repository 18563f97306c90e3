//! The SQL types that the rows of a scalar function's kernel read and write.

use crate::column::{Column, TextColumn};
use crate::error::RecordError;
use crate::expr::RowErrors;
use crate::expr::kernel::{Args, Native, text_out};
use crate::functions::overload::Family;

/// A parameter: how a kernel reads it.
pub(crate) trait Parameter {
    /// Its type in signatures.
    const FAMILY: Family;
    /// The column's rows.
    type Rows<'a>: Copy;
    /// One value.
    type Value<'a>;
    /// The rows of argument `index`.
    fn rows<'a>(args: &Args<'a>, index: usize) -> Self::Rows<'a>;
    /// The value of one row.
    fn value<'a>(rows: Self::Rows<'a>, row: usize) -> Self::Value<'a>;
}

/// A result that is written value by value.
pub(crate) trait Returned: Parameter {
    /// What the kernel gives.
    type Given: Default;
    /// Replaces the values of `out`.
    fn fill(out: &mut Column, values: impl Iterator<Item = Self::Given>);
}

macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident: $native:ty as $given:ty, $from:expr, $to:expr;)*) => {
        $($(#[$doc])*
        pub(crate) struct $name;

        impl Parameter for $name {
            const FAMILY: Family = Family::$name;
            type Rows<'a> = &'a [$native];
            type Value<'a> = $given;
            #[inline]
            fn rows<'a>(args: &Args<'a>, index: usize) -> Self::Rows<'a> {
                args.values::<$native>(index)
            }
            #[inline]
            fn value<'a>(rows: Self::Rows<'a>, row: usize) -> Self::Value<'a> {
                $from(rows[row])
            }
        }

        impl Returned for $name {
            type Given = $given;
            #[inline]
            fn fill(out: &mut Column, values: impl Iterator<Item = $given>) {
                <$native>::fill(out, values.map($to));
            }
        })*
    };
}

parameters! {
    /// BOOLEAN.
    Boolean: u8 as bool, |value| value != 0, u8::from;
    /// INT.
    Int: i32 as i32, |value| value, |value| value;
    /// BIGINT.
    BigInt: i64 as i64, |value| value, |value| value;
    /// DOUBLE.
    Double: f64 as f64, |value| value, |value| value;
    /// DATE, days since the epoch.
    Date: i32 as i32, |value| value, |value| value;
    /// TIMESTAMP, microseconds since the epoch.
    Timestamp: i64 as i64, |value| value, |value| value;
}

/// STRING.
pub(crate) struct Text;

impl Parameter for Text {
    const FAMILY: Family = Family::Text;
    type Rows<'a> = &'a TextColumn;
    type Value<'a> = &'a str;
    #[inline]
    fn rows<'a>(args: &Args<'a>, index: usize) -> Self::Rows<'a> {
        args.text(index)
    }
    #[inline]
    fn value<'a>(rows: Self::Rows<'a>, row: usize) -> Self::Value<'a> {
        rows.str(row)
    }
}

/// BYTES.
pub(crate) struct Bytes;

impl Parameter for Bytes {
    const FAMILY: Family = Family::Bytes;
    type Rows<'a> = &'a TextColumn;
    type Value<'a> = &'a [u8];
    #[inline]
    fn rows<'a>(args: &Args<'a>, index: usize) -> Self::Rows<'a> {
        args.text(index)
    }
    #[inline]
    fn value<'a>(rows: Self::Rows<'a>, row: usize) -> Self::Value<'a> {
        rows.get(row)
    }
}

/// What a kernel's row comes to: a value, NULL or an error.
pub(crate) trait Outcome {
    /// The value.
    type Value;
    /// Whether it can be NULL.
    const NULLABLE: bool;
    /// Whether it can be an error.
    const FALLIBLE: bool;
    /// All three.
    fn settle(self) -> Result<Option<Self::Value>, RecordError>;
}

/// Values that are no outcome by themselves.
pub(crate) trait Plain {}
impl Plain for () {}
impl Plain for bool {}
impl Plain for i32 {}
impl Plain for i64 {}
impl Plain for f64 {}

impl<T: Plain> Outcome for T {
    type Value = T;
    const NULLABLE: bool = false;
    const FALLIBLE: bool = false;
    #[inline]
    fn settle(self) -> Result<Option<T>, RecordError> {
        Ok(Some(self))
    }
}

impl<T: Plain> Outcome for Option<T> {
    type Value = T;
    const NULLABLE: bool = true;
    const FALLIBLE: bool = false;
    #[inline]
    fn settle(self) -> Result<Self, RecordError> {
        Ok(self)
    }
}

impl<T: Plain> Outcome for Result<T, RecordError> {
    type Value = T;
    const NULLABLE: bool = false;
    const FALLIBLE: bool = true;
    #[inline]
    fn settle(self) -> Result<Option<T>, RecordError> {
        self.map(Some)
    }
}

impl<T: Plain> Outcome for Result<Option<T>, RecordError> {
    type Value = T;
    const NULLABLE: bool = true;
    const FALLIBLE: bool = true;
    #[inline]
    fn settle(self) -> Self {
        self
    }
}

/// Rows that came to NULL, as a run over the output collects them.
fn set_nulls(out: &mut Column, rows: usize, nulls: &[u32]) {
    for &row in nulls {
        out.validity.set(rows, row as usize, false);
    }
}

/// Settles one row: its value, or the default where it is NULL, not live or failed.
#[inline]
fn settle_row<O: Outcome<Value: Default>>(
    row: usize,
    outcome: O,
    nulls: &mut Vec<u32>,
    errors: &mut RowErrors,
) -> O::Value {
    match outcome.settle() {
        Ok(Some(value)) => value,
        Ok(None) => {
            nulls.push(row as u32);
            O::Value::default()
        }
        Err(error) => {
            errors.push((row as u32, error));
            O::Value::default()
        }
    }
}

/// Computes the live rows of a result of type `R`.
#[inline]
pub(crate) fn run_values<R: Returned, O: Outcome<Value = R::Given>>(
    args: &Args<'_>,
    out: &mut Column,
    errors: &mut RowErrors,
    mut compute: impl FnMut(usize) -> O,
) {
    // Does not allocate until a row comes to NULL.
    let mut nulls = Vec::new();
    let row = |row| {
        if args.is_live(row) {
            settle_row(row, compute(row), &mut nulls, errors)
        } else {
            R::Given::default()
        }
    };
    R::fill(out, (0..args.rows).map(row));
    set_nulls(out, args.rows, &nulls);
}

/// Computes the live rows of a text, which `compute` appends to the empty buffer it gets.
#[inline]
pub(crate) fn run_texts<O: Outcome<Value = ()>>(
    args: &Args<'_>,
    out: &mut Column,
    errors: &mut RowErrors,
    buffer: &mut String,
    mut compute: impl FnMut(usize, &mut String) -> O,
) {
    let mut nulls = Vec::new();
    let texts = text_out(out);
    texts.truncate(0);
    for row in 0..args.rows {
        buffer.clear();
        if args.is_live(row) {
            let before = nulls.len() + errors.len();
            settle_row(row, compute(row, buffer), &mut nulls, errors);
            if nulls.len() + errors.len() > before {
                buffer.clear();
            }
        }
        texts.push(buffer.as_bytes());
    }
    set_nulls(out, args.rows, &nulls);
}
