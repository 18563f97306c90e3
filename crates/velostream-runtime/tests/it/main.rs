//! The runtime's integration tests.

mod ingest;
