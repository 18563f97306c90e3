//! What can be pushed as a row: tuples of values that say their types.

use crate::error::{Error, Result};
use velostream_engine::column::{Column, Values};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::types::{DataType, Field};

/// A row: a tuple of up to sixteen [`Cell`]s.
pub trait Row {
    /// Appends its values to the columns of these fields; an error may leave some of them.
    fn append(self, fields: &[Field], columns: &mut [Column]) -> Result<()>;
}

/// A value of one or several types of columns.
pub trait Cell {
    /// Appends the value to a column; false where it does not fit.
    fn put(self, column: &mut Column) -> bool;
}

/// Cells that fit the columns of some types, which hold them as they are.
macro_rules! cells {
    ($($rust:ty => $values:ident, $types:pat, $value:ident => $held:expr;)*) => {$(
        impl Cell for $rust {
            #[inline]
            fn put(self, column: &mut Column) -> bool {
                let rows = column.len();
                let (Values::$values(values), $types) = (&mut column.values, column.data_type) else { return false };
                let $value = self;
                values.push($held);
                column.validity.push(rows, true);
                true
            }
        }
    )*};
}

cells! {
    bool => Bool, DataType::Boolean, value => u8::from(value);
    i64 => I64, DataType::BigInt | DataType::Time | DataType::Timestamp, value => value;
    f64 => F64, DataType::Double, value => value;
    i128 => I128, DataType::Decimal { .. }, value => value;
    &str => Text, DataType::String, value => value.as_bytes();
    String => Text, DataType::String, value => value.as_bytes();
    &[u8] => Text, DataType::Bytes, value => value;
}

impl Cell for i32 {
    #[inline]
    fn put(self, column: &mut Column) -> bool {
        let rows = column.len();
        match &mut column.values {
            Values::I32(values) => values.push(self),
            Values::I64(values) if column.data_type == DataType::BigInt => values.push(i64::from(self)),
            _ => return false,
        }
        column.validity.push(rows, true);
        true
    }
}

impl<C: Cell> Cell for Option<C> {
    #[inline]
    fn put(self, column: &mut Column) -> bool {
        let Some(value) = self else {
            column.push_null();
            return true;
        };
        value.put(column)
    }
}

fn wrong_count(has: usize, fields: &[Field]) -> Error {
    Error::new(
        ErrorCode::Argument,
        format!("the row has {has} values, the relation {} columns", fields.len()),
    )
}

fn misfit(rust: &str, field: &Field) -> Error {
    let message = format!("{} is {} and takes no {rust}", field.name, field.data_type);
    Error::new(ErrorCode::Type, message).at_field(&field.name)
}

macro_rules! rows {
    ($($cell:ident)+) => {
        impl<$($cell: Cell),+> Row for ($($cell,)+) {
            #[inline]
            #[allow(non_snake_case)] // Values are named as their types.
            fn append(self, fields: &[Field], columns: &mut [Column]) -> Result<()> {
                let ($($cell,)+) = self;
                let has = [$(stringify!($cell)),+].len();
                if columns.len() != has || fields.len() != has {
                    return Err(wrong_count(has, fields));
                }
                let mut each = fields.iter().zip(columns);
                $(
                    let (field, column) = each.next().expect("there are as many columns as values");
                    if !$cell.put(column) {
                        return Err(misfit(std::any::type_name::<$cell>(), field));
                    }
                )+
                Ok(())
            }
        }
    };
}

/// For each number of cells up to those that are named.
macro_rules! rows_up_to {
    ($($done:ident)+ ;) => { rows!($($done)+); };
    ($($done:ident)+ ; $next:ident $($rest:ident)*) => {
        rows!($($done)+);
        rows_up_to!($($done)+ $next ; $($rest)*);
    };
}

rows_up_to!(A ; B C D E F G H I J K L M N O P);
