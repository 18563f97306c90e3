//! Tests of the query processor.

mod aggregates;
mod basics;
mod harness;
mod properties;
mod reference;
mod windows;
