//! Scalar functions as data: names, overloads, documentation and examples, and the macro that declares them.

use crate::expr::kernel::Kernel;
use crate::functions::example::Example;
use std::fmt;
use velostream_sql::types::DataType;

/// One call of a function, as its kernel is made for it.
pub(crate) struct CallSite<'a> {
    /// Types of the arguments.
    pub arguments: &'a [DataType],
    /// The type of the result.
    pub returns: DataType,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Boolean,
    Int,
    BigInt,
    Double,
    Decimal,
    Text,
    Bytes,
    Date,
    Timestamp,
    /// Any type; all parameters of this kind get one common type.
    Common,
}

impl Family {
    /// The type that a value of type `given` is cast to, and how far that is; `None` where it does not fit.
    pub fn accept(self, given: DataType) -> Option<(DataType, u32)> {
        use DataType as T;
        let exact = match self {
            Self::Boolean => T::Boolean,
            Self::Int => T::Int,
            Self::BigInt => T::BigInt,
            Self::Double => T::Double,
            Self::Decimal => return accept_decimal(given),
            Self::Text => T::String,
            Self::Bytes => T::Bytes,
            Self::Date => T::Date,
            Self::Timestamp => T::Timestamp,
            Self::Common => return Some((given, 0)),
        };
        let distance = match (given, exact) {
            (given, exact) if given == exact => 0,
            (T::Null, _) => 0,
            (T::Int, T::BigInt) | (T::Date, T::Timestamp) => 1,
            (T::Decimal { .. }, T::Double) => 2,
            (T::Int | T::BigInt, T::Double) => 3,
            _ => return None,
        };
        Some((exact, distance))
    }

    /// The name in signatures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Int => "INT",
            Self::BigInt => "BIGINT",
            Self::Double => "DOUBLE",
            Self::Decimal => "DECIMAL",
            Self::Text => "STRING",
            Self::Bytes => "BYTES",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::Common => "ANY",
        }
    }

    /// A type of the family, to make a kernel for inspection.
    pub fn representative(self) -> DataType {
        match self {
            Self::Decimal => DataType::Decimal { precision: 10, scale: 2 },
            Self::Common => DataType::Int,
            other => other.accept(DataType::Null).map_or(DataType::Int, |(data_type, _)| data_type),
        }
    }
}

fn accept_decimal(given: DataType) -> Option<(DataType, u32)> {
    match given {
        DataType::Decimal { .. } => Some((given, 0)),
        DataType::Null => Some((DataType::Decimal { precision: 38, scale: 0 }, 0)),
        DataType::Int => Some((DataType::Decimal { precision: 10, scale: 0 }, 2)),
        DataType::BigInt => Some((DataType::Decimal { precision: 19, scale: 0 }, 2)),
        _ => None,
    }
}

/// The type of a result.
#[derive(Clone, Copy)]
pub(crate) enum Returns {
    /// Always this one.
    Always(DataType),
    /// By the arguments' types.
    Of(fn(&[DataType]) -> DataType),
}

impl Returns {
    /// For these arguments.
    pub fn resolve(self, arguments: &[DataType]) -> DataType {
        match self {
            Self::Always(data_type) => data_type,
            Self::Of(resolve) => resolve(arguments),
        }
    }
}

/// One signature with its kernel.
pub(crate) struct Overload {
    /// Names and types.
    pub parameters: &'static [(&'static str, Family)],
    /// Whether the last parameter may be repeated.
    pub variadic: bool,
    /// The result.
    pub returns: Returns,
    /// Whether the result can be NULL although no argument is.
    pub nullable: bool,
    /// Makes the kernel for a call.
    pub make: fn(&CallSite<'_>) -> Kernel,
}

/// A function of SQL.
pub(crate) struct Function {
    /// The main name, upper case, then the aliases.
    pub names: &'static [&'static str],
    /// Its kind, as the reference groups functions.
    pub group: &'static str,
    /// Documentation, one sentence or more.
    pub documentation: &'static str,
    /// Signatures; of several that fit equally well the first is taken.
    pub overloads: Vec<Overload>,
    /// Arguments and results.
    pub examples: Vec<Example>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names[0])
    }
}

/// The Rust type of a row's outcome: `T`, `Option<T>`, `Result<T, RecordError>` or both.
macro_rules! outcome {
    ($given:ty;) => { $given };
    ($given:ty; null) => { Option<$given> };
    ($given:ty; error) => { Result<$given, $crate::error::RecordError> };
    ($given:ty; null error) => { Result<Option<$given>, $crate::error::RecordError> };
}
pub(crate) use outcome;

/// Declares one signature. The body computes a row from the parameters, which are Rust values; a text is
/// appended to the buffer named behind `Text`. `or null` makes it an `Option`, `or error` a `Result`.
/// `with name: Type` is a state kept from row to row, such as a compiled pattern.
macro_rules! overload {
    (($($parameter:ident: $family:ident),*) $(with $state:ident: $state_type:ty)?
        => Text($buffer:ident) $(or $flag:ident)* $body:block) => {{
        use $crate::functions::parameter::{self, Parameter};
        type Row = $crate::functions::overload::outcome!((); $($flag)*);
        $crate::functions::overload::Overload {
            parameters: &[$((stringify!($parameter), <parameter::$family as Parameter>::FAMILY)),*],
            variadic: false,
            returns: $crate::functions::overload::Returns::Always(velostream_sql::types::DataType::String),
            nullable: <Row as parameter::Outcome>::NULLABLE,
            make: |_| {
                $(let mut $state = <$state_type>::default();)?
                let mut text = String::new();
                let fallible = <Row as parameter::Outcome>::FALLIBLE;
                $crate::expr::kernel::Kernel::by_row(fallible, move |args, out, errors| {
                    #[allow(unused_mut, unused_variables)]
                    let mut index = 0;
                    $(
                        let $parameter = <parameter::$family as Parameter>::rows(args, index);
                        #[allow(unused_assignments)]
                        { index += 1; }
                    )*
                    parameter::run_texts(args, out, errors, &mut text, |row, $buffer: &mut String| -> Row {
                        $(let $parameter = <parameter::$family as Parameter>::value($parameter, row);)*
                        $body
                    });
                })
            },
        }
    }};
    (($($parameter:ident: $family:ident),*) $(with $state:ident: $state_type:ty)?
        => $result:ident $(or $flag:ident)* $body:block) => {{
        use $crate::functions::parameter::{self, Parameter, Returned};
        type Row = $crate::functions::overload::outcome!(<parameter::$result as Returned>::Given; $($flag)*);
        $crate::functions::overload::Overload {
            parameters: &[$((stringify!($parameter), <parameter::$family as Parameter>::FAMILY)),*],
            variadic: false,
            returns: $crate::functions::overload::Returns::Of(|_| {
                <parameter::$result as Parameter>::FAMILY.representative()
            }),
            nullable: <Row as parameter::Outcome>::NULLABLE,
            make: |_| {
                $(let mut $state = <$state_type>::default();)?
                let fallible = <Row as parameter::Outcome>::FALLIBLE;
                $crate::expr::kernel::Kernel::by_row(fallible, move |args, out, errors| {
                    #[allow(unused_mut, unused_variables)]
                    let mut index = 0;
                    $(
                        let $parameter = <parameter::$family as Parameter>::rows(args, index);
                        #[allow(unused_assignments)]
                        { index += 1; }
                    )*
                    parameter::run_values::<parameter::$result, Row>(args, out, errors, |row| -> Row {
                        #[allow(clippy::let_unit_value)]
                        let _ = row;
                        $(let $parameter = <parameter::$family as Parameter>::value($parameter, row);)*
                        $body
                    });
                })
            },
        }
    }};
    (custom $overload:expr) => { $overload };
}
pub(crate) use overload;

/// Declares the functions of one group: documentation, names, signatures with kernels, examples.
macro_rules! scalar_functions {
    ($group:literal; $(
        $(#[doc = $documentation:literal])+
        $($name:ident)+ {
            $([$($overload:tt)+])+
            $(($($argument:expr),*) => $expected:expr;)+
        }
    )*) => {
        /// The functions of this group.
        pub(super) fn functions() -> Vec<$crate::functions::overload::Function> {
            vec![$($crate::functions::overload::Function {
                names: &[$(stringify!($name)),+],
                group: $group,
                documentation: concat!($($documentation, "\n"),+),
                overloads: vec![$($crate::functions::overload::overload!($($overload)+)),+],
                examples: vec![$($crate::functions::example::Example {
                    arguments: vec![$($argument.into()),*],
                    expected: $expected.into(),
                }),+],
            }),*]
        }
    };
}
pub(crate) use scalar_functions;
