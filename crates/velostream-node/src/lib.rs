//! The addon: conversion, guards and handles between JavaScript and `velostream-runtime`. Knows no SQL.
//!
//! Rows cross as blocks in memory that the facade owns and reuses (`src/marshal/layout.ts`): a call reads a
//! row block, or writes a change block, in one `Uint8Array`. Where a change block does not fit, the call
//! returns the bytes it needs, keeps the changes, and `reread` gives them into a larger array.
//!
//! Calls with one row share memory with the facade for good ([`bound`]).
//!
//! Invariants: every export contains panics; no JavaScript value outlives the call it came with; the one
//! function kept, the waker, is weak and carries nothing.
// napi registers exported functions outside tests only, so under test they look unused.
#![cfg_attr(test, allow(dead_code))]

mod bound;
mod convert;
mod engine;
mod error;
mod held;
mod metrics;
mod processor;
mod reported;

use napi_derive::napi;

/// The version of the engine, which is the version of the package.
#[napi(catch_unwind)]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
