//! Expressions: the compiled program against written-out expectations and against a row-by-row reference.

mod build;
mod smoke;
