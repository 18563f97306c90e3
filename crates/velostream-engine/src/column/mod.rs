//! Typed column vectors whose buffers are reused.
//!
//! A column is a vector of values of one type and a validity mask. Values at NULL positions are defaults
//! and never read. Clearing keeps the capacity, so steady state allocates nothing.

/// Runs one expression for whichever vector a [`Values`] holds.
macro_rules! each {
    ($values:expr, $v:ident => $body:expr) => {
        each!($values, $v => $body, $v => $body)
    };
    ($values:expr, $v:ident => $body:expr, $text:ident => $text_body:expr) => {
        match $values {
            Values::Bool($v) => $body,
            Values::I32($v) => $body,
            Values::I64($v) => $body,
            Values::F64($v) => $body,
            Values::I128($v) => $body,
            Values::Text($text) => $text_body,
            Values::Interval($v) => $body,
        }
    };
}

mod pick;
mod spread;
mod text;
mod validity;

pub use pick::Pick;
pub use text::{TextColumn, TextView};
pub use validity::Validity;

use velostream_sql::plan::{Interval, Literal};
use velostream_sql::types::DataType;

/// Stands among the numbers of rows for a row of NULLs.
pub const NO_ROW: u32 = u32::MAX;

/// The values of a column. DATE is `I32`; BIGINT, TIME and TIMESTAMP are `I64`; BOOLEAN is one byte, 0 or 1;
/// STRING and BYTES are `Text`.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// BOOLEAN.
    Bool(Vec<u8>),
    /// INT, DATE.
    I32(Vec<i32>),
    /// BIGINT, TIME (microseconds), TIMESTAMP (microseconds).
    I64(Vec<i64>),
    /// DOUBLE.
    F64(Vec<f64>),
    /// DECIMAL, digits without point; the scale stands in the type.
    I128(Vec<i128>),
    /// STRING, BYTES.
    Text(TextColumn),
    /// INTERVAL; only inside expressions.
    Interval(Vec<Interval>),
}

/// A typed column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What its values mean.
    pub data_type: DataType,
    /// The values.
    pub values: Values,
    /// Which of them are not NULL.
    pub validity: Validity,
}

/// Puts the default value wherever `mask` is 0.
fn blank<T: Copy + Default>(values: &mut [T], mask: &[u8]) {
    for (value, &valid) in values.iter_mut().zip(mask) {
        *value = if valid != 0 { *value } else { T::default() };
    }
}

impl Column {
    /// An empty column.
    #[must_use]
    pub fn new(data_type: DataType) -> Self {
        let values = match data_type {
            DataType::Boolean | DataType::Null => Values::Bool(Vec::new()),
            DataType::Int | DataType::Date => Values::I32(Vec::new()),
            DataType::BigInt | DataType::Time | DataType::Timestamp => Values::I64(Vec::new()),
            DataType::Double => Values::F64(Vec::new()),
            DataType::Decimal { .. } => Values::I128(Vec::new()),
            DataType::String | DataType::Bytes => Values::Text(TextColumn::default()),
            DataType::Interval => Values::Interval(Vec::new()),
        };
        Self { data_type, values, validity: Validity::default() }
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(&self.values, v => v.len())
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the first `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        each!(&mut self.values, v => v.truncate(rows));
        self.validity.truncate(rows);
    }

    /// Exchanges all rows with a column of the same physical type.
    pub fn exchange_rows(&mut self, other: &mut Self) {
        debug_assert_eq!(std::mem::discriminant(&self.values), std::mem::discriminant(&other.values));
        std::mem::swap(&mut self.values, &mut other.values);
        std::mem::swap(&mut self.validity, &mut other.validity);
    }

    /// Takes all rows out and keeps the buffers.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Whether row `row` is NULL.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        !self.validity.is_valid(row)
    }

    /// Appends a NULL.
    pub fn push_null(&mut self) {
        let rows = self.len();
        match &mut self.values {
            Values::Bool(v) => v.push(0),
            Values::I32(v) => v.push(0),
            Values::I64(v) => v.push(0),
            Values::F64(v) => v.push(0.0),
            Values::I128(v) => v.push(0),
            Values::Text(v) => v.push(b""),
            Values::Interval(v) => v.push(Interval::default()),
        }
        self.validity.push(rows, false);
    }

    /// Appends row `row` of `other`, a column of the same physical type.
    pub fn push_from(&mut self, other: &Self, row: usize) {
        if self.validity.mask().is_some() || other.validity.mask().is_some() {
            self.validity.push(self.len(), other.validity.is_valid(row));
        }
        match (&mut self.values, &other.values) {
            (Values::Bool(to), Values::Bool(from)) => to.push(from[row]),
            (Values::I32(to), Values::I32(from)) => to.push(from[row]),
            (Values::I64(to), Values::I64(from)) => to.push(from[row]),
            (Values::F64(to), Values::F64(from)) => to.push(from[row]),
            (Values::I128(to), Values::I128(from)) => to.push(from[row]),
            (Values::Text(to), Values::Text(from)) => to.push_from(from, row),
            (Values::Interval(to), Values::Interval(from)) => to.push(from[row]),
            _ => unreachable!("columns of one field have one physical type"),
        }
    }

    /// Appends rows `from..to` of `other`, a column of the same physical type.
    pub fn extend_range(&mut self, other: &Self, from: usize, to: usize) {
        if to == from + 1 {
            return self.push_from(other, from);
        }
        let rows = self.len();
        match (&mut self.values, &other.values) {
            (Values::Bool(out), Values::Bool(v)) => out.extend_from_slice(&v[from..to]),
            (Values::I32(out), Values::I32(v)) => out.extend_from_slice(&v[from..to]),
            (Values::I64(out), Values::I64(v)) => out.extend_from_slice(&v[from..to]),
            (Values::F64(out), Values::F64(v)) => out.extend_from_slice(&v[from..to]),
            (Values::I128(out), Values::I128(v)) => out.extend_from_slice(&v[from..to]),
            (Values::Text(out), Values::Text(v)) => out.extend_range(v, from, to),
            (Values::Interval(out), Values::Interval(v)) => out.extend_from_slice(&v[from..to]),
            _ => unreachable!("columns of one field have one physical type"),
        }
        self.validity.extend_range(rows, &other.validity, from, to);
    }

    /// Appends the rows of `other`, a column of the same physical type, that `rows` selects, in its order.
    pub fn extend_selected(&mut self, other: &Self, rows: &[u32]) {
        if let &[row] = rows {
            return self.push_from(other, row as usize);
        }
        let before = self.len();
        macro_rules! gather {
            ($out:expr, $v:expr) => {
                $out.extend(rows.iter().map(|&row| $v[row as usize]))
            };
        }
        match (&mut self.values, &other.values) {
            (Values::Bool(out), Values::Bool(v)) => gather!(out, v),
            (Values::I32(out), Values::I32(v)) => gather!(out, v),
            (Values::I64(out), Values::I64(v)) => gather!(out, v),
            (Values::F64(out), Values::F64(v)) => gather!(out, v),
            (Values::I128(out), Values::I128(v)) => gather!(out, v),
            (Values::Text(out), Values::Text(v)) => out.extend_selected(v, rows),
            (Values::Interval(out), Values::Interval(v)) => gather!(out, v),
            _ => unreachable!("columns of one field have one physical type"),
        }
        self.validity.extend_selected(before, &other.validity, rows);
    }

    /// Appends the rows of `other` that `rows` selects, in its order, and NULL for [`NO_ROW`].
    pub fn extend_optional(&mut self, other: &Self, rows: &[u32]) {
        if !rows.contains(&NO_ROW) {
            return self.extend_selected(other, rows);
        }
        for &row in rows {
            if row == NO_ROW { self.push_null() } else { self.push_from(other, row as usize) }
        }
    }

    /// Appends a constant that has the column's type.
    pub fn push_literal(&mut self, literal: &Literal) {
        let rows = self.len();
        match (&mut self.values, literal) {
            (_, Literal::Null) => return self.push_null(),
            (Values::Bool(v), Literal::Boolean(value)) => v.push(u8::from(*value)),
            (Values::I32(v), Literal::Int(value) | Literal::Date(value)) => v.push(*value),
            (Values::I64(v), Literal::BigInt(value) | Literal::Time(value) | Literal::Timestamp(value)) => {
                v.push(*value);
            }
            (Values::F64(v), Literal::Double(value)) => v.push(*value),
            (Values::I128(v), Literal::Decimal(value)) => v.push(*value),
            (Values::Text(v), Literal::String(value)) => v.push(value.as_bytes()),
            (Values::Text(v), Literal::Bytes(value)) => v.push(value),
            (Values::Interval(v), Literal::Interval(value)) => v.push(*value),
            _ => unreachable!("the binder gives literals the type of their place"),
        }
        self.validity.push(rows, true);
    }

    /// Row `row` as a constant of the column's type; for edges and tests, not for the record path.
    #[must_use]
    pub fn literal(&self, row: usize) -> Literal {
        if self.is_null(row) {
            return Literal::Null;
        }
        match &self.values {
            Values::Bool(v) => Literal::Boolean(v[row] != 0),
            Values::I32(v) if self.data_type == DataType::Date => Literal::Date(v[row]),
            Values::I32(v) => Literal::Int(v[row]),
            Values::I64(v) => match self.data_type {
                DataType::Time => Literal::Time(v[row]),
                DataType::Timestamp => Literal::Timestamp(v[row]),
                _ => Literal::BigInt(v[row]),
            },
            Values::F64(v) => Literal::Double(v[row]),
            Values::I128(v) => Literal::Decimal(v[row]),
            Values::Text(v) if self.data_type == DataType::Bytes => Literal::Bytes(v.get(row).into()),
            Values::Text(v) => Literal::String(String::from_utf8_lossy(v.get(row)).into()),
            Values::Interval(v) => Literal::Interval(v[row]),
        }
    }

    /// Appends copies of row 0 until there are `rows` rows; for constants.
    pub fn repeat_first(&mut self, rows: usize) {
        let before = self.len();
        if before >= rows {
            return;
        }
        each!(&mut self.values, v => { let first = v[0]; v.resize(rows, first) }, text => text.repeat_first(rows));
        if self.validity.is_valid(0) {
            self.validity.extend_valid(before, rows - before);
        } else {
            self.validity.extend_mask(before, std::iter::repeat_n(0, rows - before));
        }
    }

    /// Puts the default value wherever a row is NULL.
    pub fn blank_nulls(&mut self) {
        let Some(mask) = self.validity.mask() else { return };
        each!(&mut self.values, v => blank(v, mask), text => text.blank(mask));
    }

    /// Bytes held, capacities included.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        let values = match &self.values {
            Values::Bool(v) => v.capacity(),
            Values::I32(v) => v.capacity() * 4,
            Values::I64(v) => v.capacity() * 8,
            Values::F64(v) => v.capacity() * 8,
            Values::I128(v) => v.capacity() * 16,
            Values::Text(v) => v.capacity_bytes(),
            Values::Interval(v) => v.capacity() * 16,
        };
        values + self.validity.capacity_bytes()
    }
}
