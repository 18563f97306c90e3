//! Tests of the runtime through its public calls, each under 0, 1 and 3 partitions.

mod blocks;
mod bytes;
mod engine;
mod files;
mod harness;
mod ingest;
mod limits;
mod partitions;
mod processor;
mod random;
mod records;
mod rollback;
mod scenarios;
mod settings;
mod snapshots;
mod wakes;
