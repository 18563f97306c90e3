//! Velostream's engine: a plan and change batches in, change batches out.
//!
//! Synchronous and pure: it knows no threads, clocks, random numbers or files; what it needs comes in as
//! data. [`processor::QueryProcessor`] runs one query over one partition's state.

pub mod batch;
pub mod column;
pub mod error;
pub mod expr;
pub mod functions;
pub mod limits;
pub mod operators;
pub mod plan;
pub mod processor;
pub mod router;
pub mod source;
pub mod state;
pub mod time;
pub mod value;
