//! Expressions: the compiled program against written-out expectations and against a row-by-row reference.

pub mod build;
mod casts;
mod operators;
mod reference;
mod smoke;
