//! SQL data types, fields and schemas: what a column is, without any values.

use std::fmt;
use std::sync::Arc;

/// Largest number of digits of a DECIMAL.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// A scalar SQL type. Nested types (ARRAY, MAP, STRUCT, JSON) are refused by the binder for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// The type of a bare NULL; coerces to every other type and never reaches a column.
    Null,
    /// TRUE or FALSE.
    Boolean,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    BigInt,
    /// IEEE 754 double.
    Double,
    /// Exact decimal: `precision` digits in all, `scale` of them after the point; at most 38.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// UTF-8 text.
    String,
    /// Bytes.
    Bytes,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// Months, days and microseconds; only as a literal.
    Interval,
}

impl DataType {
    /// Whether arithmetic is defined on it.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::BigInt | Self::Double | Self::Decimal { .. })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::String => f.write_str("STRING"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Interval => f.write_str("INTERVAL"),
        }
    }
}

/// A named, typed column of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Spelled as declared; compared without regard to case unless it was quoted.
    pub name: Arc<str>,
    /// Its type.
    pub data_type: DataType,
    /// Whether NULL may stand in it.
    pub nullable: bool,
}

impl Field {
    /// A field of this name, type and nullability.
    pub fn new(name: impl Into<Arc<str>>, data_type: DataType, nullable: bool) -> Self {
        Self { name: name.into(), data_type, nullable }
    }
}

/// The columns of a relation, in order, with what is known of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// The columns, in order.
    pub fields: Vec<Field>,
    /// Positions of the primary key's columns; empty when rows have none.
    pub primary_key: Vec<usize>,
    /// Whether rows can be updated or deleted; an append-only relation says false.
    pub updating: bool,
    /// Positions of the window bounds `(window_start, window_end)`, when the relation is windowed.
    pub window: Option<(usize, usize)>,
    /// Whether there is never more than one row, as of an aggregate without GROUP BY: it has a key of no columns.
    pub single_row: bool,
}

impl Schema {
    /// An append-only schema without key.
    #[must_use]
    pub fn append_only(fields: Vec<Field>) -> Self {
        Self { fields, ..Self::default() }
    }

    /// Whether a row can be told from the others by its key.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.single_row || !self.primary_key.is_empty()
    }

    /// The position of the column called `name`, without regard to case.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name.eq_ignore_ascii_case(name))
    }
}
