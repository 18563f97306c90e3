//! Tests of the query processor.

mod aggregates;
mod basics;
mod harness;
mod over;
mod properties;
mod reference;
mod shares;
mod windows;
