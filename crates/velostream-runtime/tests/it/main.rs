//! Tests of the runtime through its public calls, each under 0 and 1 partitions.

mod blocks;
mod engine;
mod files;
mod harness;
mod limits;
mod processor;
mod random;
mod snapshots;
