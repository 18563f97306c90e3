//! Tests of the query processor.

mod basics;
mod harness;
