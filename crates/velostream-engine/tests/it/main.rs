//! The engine's tests.
#![allow(missing_docs, clippy::unwrap_used)]

mod expr;
mod functions;
mod processor;
mod source;
mod state;
mod text_column;
