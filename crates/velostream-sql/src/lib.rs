//! Velostream's SQL: text in, typed logical plan out. Knows no rows, files, threads or clocks.
//!
//! [`parse`] turns a text into statements, [`bind`] gives every name and expression its meaning and type
//! against a [`catalog::Catalog`], and the result is a [`plan::LogicalPlan`] that an engine can run.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod diagnostic;
pub mod plan;
pub mod statement;
pub mod types;
