//! Expressions: compiled once to a flat program over typed registers, one kernel call per node and batch.

mod compile;
pub(crate) mod kernel;
mod kernels;
mod program;
mod selected;

pub(crate) use kernels::compare::extreme;
pub use program::{Program, RowErrors};
