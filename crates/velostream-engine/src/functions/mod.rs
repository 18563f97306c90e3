//! The functions of SQL, each in one place: signature, documentation, kernel and examples.

pub mod aggregate;
mod example;
pub(crate) mod overload;
mod parameter;
pub mod registry;
mod scalar;

pub use example::{Example, Expected, Sample};
