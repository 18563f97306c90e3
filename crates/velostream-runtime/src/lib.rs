//! Velostream's runtime: threads, sources, sinks and the catalogue of running queries.
//!
//! [`Engine`] is the whole of it: SQL and rows in, changes out. Each running query is a pipeline of its own,
//! by default on a thread of its own; rows and changes travel by value through bounded mailboxes. Knows no
//! SQL rules: those live in `velostream-sql` and `velostream-engine`.
//!
//! [`StreamExecutionEngine`] is the small face for Rust: one record in, all that it changes out, in the same call.

mod api;
mod catalog;
mod dead_letter;
mod engine;
mod error;
mod feed;
pub mod ingest;
mod kernel;
mod metrics;
mod partition;
mod pipeline;
mod processor;
mod record;
mod shared;
pub mod sink;
mod source;
mod spares;
mod sync;
mod time_use;
mod trouble;
mod wake;

pub use api::*;
pub use engine::Engine;
pub use error::Error;
pub use feed::{Cell, Feed, Row, Rows};
pub use partition::poison::fault;
pub use processor::Processor;
#[cfg(feature = "async")]
pub use record::{OutputReceiver, TryReceiveError};
pub use record::{StreamExecutionEngine, StreamRecord, StreamingQuery};
pub use sink::changes::{ChangeSink, Changes};
#[cfg(all(feature = "trouble", not(feature = "explore")))]
pub use sync::counted::locks_taken;
#[cfg(feature = "trouble")]
pub use trouble::{FAULTY, dawdle_from};
pub use velostream_engine::batch::{ChangeBatch, Op, Seq};
pub use velostream_sql::bind::Params;
pub use velostream_sql::catalog::RelationId;
pub use velostream_sql::diagnostic::{Diagnostic, ErrorCode};
pub use velostream_sql::plan::Literal;
pub use velostream_sql::types::{DataType, Field, Schema};

/// Runs the examples of the document.
#[cfg(all(doctest, feature = "async"))]
#[doc = include_str!("../../../docs/rust.md")]
struct RustDocument;
