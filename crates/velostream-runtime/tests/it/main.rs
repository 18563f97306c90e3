//! Tests of the runtime through its public calls, each under 0, 1 and 3 partitions.

mod blocks;
mod bytes;
mod engine;
mod faults;
mod feeds;
mod files;
mod harness;
#[allow(dead_code)] // Some of it is for the tests of timing.
mod histories;
mod ingest;
mod limits;
mod partitions;
mod processor;
mod random;
mod records;
mod rollback;
mod scenarios;
mod settings;
mod sinks;
mod snapshots;
mod wakes;
