//! [`Rows`]: rows of one relation in typed columns.

use super::row::Row;
use crate::error::{Error, Result};
use std::sync::Arc;
use velostream_engine::column::Column;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::types::Schema;

/// Rows of one relation in typed columns, whose buffers are used again.
///
/// ```
/// # use std::sync::Arc;
/// # use velostream_runtime::{Engine, EngineOptions, Params};
/// use velostream_runtime::{ErrorCode, Rows};
///
/// # let mut engine = Engine::new(EngineOptions::default(), Arc::new(|| ()))?;
/// engine.exec("CREATE STREAM trades (symbol STRING, price DOUBLE, size INT)", &Params::default(), 0)?;
/// let mut rows = Rows::new(&engine.relation("trades")?.schema);
/// rows.push(("ACME", 1.5, 100))?;
/// rows.push(("ACME", None::<f64>, 100))?;
/// assert_eq!(rows.len(), 2);
///
/// let error = rows.push(("ACME", "1.5", 100)).expect_err("a text is no price");
/// assert_eq!((error.code, error.field.as_deref()), (ErrorCode::Type, Some("price")));
/// assert_eq!(rows.len(), 2, "what does not fit leaves no trace");
/// # Ok::<(), velostream_runtime::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    schema: Arc<Schema>,
    columns: Vec<Column>,
}

impl Rows {
    /// Most rows of a block.
    pub const MAX: usize = 1 << 20;

    /// No rows, columns of a relation.
    #[must_use]
    pub fn new(schema: &Arc<Schema>) -> Self {
        let columns = schema.fields.iter().map(|field| Column::new(field.data_type)).collect();
        Self { schema: Arc::clone(schema), columns }
    }

    /// The same over these columns, which are empty.
    pub(crate) fn over(schema: &Arc<Schema>, columns: Vec<Column>) -> Self {
        Self { schema: Arc::clone(schema), columns }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all rows out and keeps the buffers.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
    }

    /// Appends a row: a tuple of its values in the order of the columns. Numbers are `i32` (INT, BIGINT, and DATE in days
    /// since 1970), `i64` (BIGINT, and TIME and TIMESTAMP in microseconds), `f64` (DOUBLE) and `i128` (DECIMAL, its digits
    /// at the column's scale), texts `&str` or `String`, BYTES `&[u8]`, BOOLEAN `bool`; `None` is NULL.
    ///
    /// # Errors
    /// TYPE names the column that a value does not fit; ARGUMENT says that there are too few or too many. Then nothing is
    /// appended.
    pub fn push(&mut self, row: impl Row) -> Result<()> {
        let before = self.len();
        let appended = row.append(&self.schema.fields, &mut self.columns);
        if appended.is_err() {
            self.columns.iter_mut().for_each(|column| column.truncate(before));
        }
        appended
    }

    /// Appends all rows of `other`, of the same relation.
    ///
    /// # Errors
    /// TYPE, if the columns differ.
    pub fn extend(&mut self, other: &Self) -> Result<()> {
        let types = |rows: &Self| rows.columns.iter().map(|column| column.data_type).collect::<Vec<_>>();
        if types(self) != types(other) {
            return Err(Error::new(ErrorCode::Type, "rows of relations with different columns"));
        }
        for (column, source) in self.columns.iter_mut().zip(&other.columns) {
            column.extend_range(source, 0, source.len());
        }
        Ok(())
    }

    /// The columns, for who fills them one by one. All are to have as many rows in the end, each of its type; a STRING is
    /// UTF-8.
    pub fn columns_mut(&mut self) -> &mut [Column] {
        &mut self.columns
    }

    /// The columns by value, if all are of the types of `schema` and of one length.
    pub(crate) fn into_columns(self, schema: &Schema) -> Result<Vec<Column>> {
        let rows = self.len();
        if rows > Self::MAX {
            return Err(Error::new(
                ErrorCode::Limit,
                format!("{rows} rows at once are more than {}", Self::MAX),
            ));
        }
        let misfit = |message: String| Err(Error::new(ErrorCode::Type, message));
        if self.columns.len() != schema.fields.len() {
            return misfit(format!("{} columns instead of {}", self.columns.len(), schema.fields.len()));
        }
        for (field, column) in schema.fields.iter().zip(&self.columns) {
            let masked = column.validity.mask().map_or(rows, <[u8]>::len);
            let is_alike = std::mem::discriminant(&column.values)
                == std::mem::discriminant(&Column::new(field.data_type).values);
            if column.data_type != field.data_type || !is_alike {
                return misfit(format!(
                    "column {} is {}, not {}",
                    field.name, field.data_type, column.data_type
                ));
            }
            if column.len() != rows || masked != rows {
                return misfit(format!(
                    "column {} has {} rows of {rows}",
                    field.name,
                    column.len().min(masked)
                ));
            }
        }
        Ok(self.columns)
    }
}
