//! Velostream's SQL: text in, typed logical plan out. Knows no rows, files, threads or clocks.
//!
//! [`parse`] turns a text into statements, [`bind`] gives every name and expression its meaning and type
//! against a [`catalog::Catalog`], and the result is a [`plan::LogicalPlan`] that an engine can run.
//!
//! ```
//! use velostream_sql::{parse, diagnostic::ErrorCode};
//!
//! let statements = parse::parse("SELECT symbol, COUNT(*) FROM trades GROUP BY symbol EMIT CHANGES; SHOW TABLES");
//! assert_eq!(statements.map(|statements| statements.len()), Ok(2));
//!
//! let errors = parse::parse("SELECT symbol FROM; SHOW").map(|_| ()).unwrap_err();
//! assert!(errors.0.len() == 2 && errors.0.iter().all(|error| error.code == ErrorCode::Parse));
//! ```
#![forbid(unsafe_code)]

pub mod ast;
pub mod bind;
pub mod catalog;
pub mod diagnostic;
pub mod explain;
pub mod expr;
pub mod interval;
pub mod optimize;
pub mod parse;
pub mod plan;
pub mod shares;
pub mod statement;
mod suggest;
pub mod time;
pub mod types;
