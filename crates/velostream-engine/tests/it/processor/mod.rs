//! Tests of the query processor.

mod aggregates;
mod basics;
mod harness;
mod over;
mod overflow;
mod properties;
mod reference;
mod shares;
mod windows;
